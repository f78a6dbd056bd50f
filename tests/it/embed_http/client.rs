//! What becomes of texts when the server is as it should be, and when it is not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::join_all;
use keepsake::embed::http::{Http, HttpOptions, QUERIES_MAX, probe};
use keepsake::embed::{EmbedError, Embedder, Hashed, Urgency, metered};
use serde_json::json;

use super::{Act, DIMENSIONS, EmbeddingServer, PATIENCE, tokens, until};
use crate::embed_contract::check;

const KEY: &str = "sk-very-secret";

fn options(server: &EmbeddingServer) -> HttpOptions {
    HttpOptions {
        url: server.url(),
        api_key: Some(KEY.to_owned()),
        model: "small".to_owned(),
        dimensions: DIMENSIONS,
        send_dimensions: false,
        batch_texts: 8,
        text_chars: 8_000,
        timeout: Duration::from_secs(20),
        requests: 2,
    }
}

fn run(options: &HttpOptions) -> Arc<Http> {
    let (http, workers) = Http::new(options, "http:small").unwrap();
    workers.into_iter().for_each(|worker| drop(tokio::spawn(worker)));
    Arc::new(http)
}

async fn started() -> (EmbeddingServer, Arc<Http>) {
    let server = EmbeddingServer::start().await;
    let http = run(&options(&server));
    (server, http)
}

async fn embed(http: &Http, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    http.embed(Urgency::Background, texts).await
}

type Call = tokio::task::JoinHandle<Result<Vec<Vec<f32>>, EmbedError>>;

/// Takes both places that are not for questions, until the gate opens.
async fn block(server: &EmbeddingServer, http: &Arc<Http>) -> Vec<Call> {
    let mut calls = Vec::new();
    for text in ["a", "b"] {
        server.then(&[Act::Gate]);
        let http = http.clone();
        calls.push(tokio::spawn(async move { embed(&http, &[text]).await }));
        server.saw(calls.len()).await;
    }
    calls
}

/// Near what the server means.
#[track_caller]
fn right(vector: &[f32], text: &str) {
    let expected = Hashed::new().vector(text);
    let near = vector.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(near, "{text}: {vector:?}");
}

/// Why nothing is embedded, without what nobody may see.
#[track_caller]
fn unavailable(made: Result<Vec<Vec<f32>>, EmbedError>) -> String {
    let error = made.unwrap_err();
    assert!(matches!(error, EmbedError::Unavailable { .. }), "{error:?}");
    let said = format!("{error} {error:?}");
    assert!(!said.contains("hush") && !said.contains("secret"), "{said}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract() {
    let (server, http) = started().await;
    check(http).await;
    let longest = server.texts().iter().map(|text| text.chars().count()).max();
    assert_eq!(longest, Some(8_000), "a long text counts up to the limit");
    assert!(server.texts().iter().all(|text| !text.trim().is_empty()), "nothing is not sent");
}

#[tokio::test]
async fn a_request_says_model_and_key_and_dimensions_only_when_it_is_to() {
    let (server, http) = started().await;
    embed(&http, &["one"]).await.unwrap();
    let told = run(&HttpOptions { send_dimensions: true, api_key: None, ..options(&server) });
    embed(&told, &["two"]).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].path, "/v1/embeddings");
    assert_eq!(seen[0].authorization.as_deref(), Some("Bearer sk-very-secret"));
    assert_eq!(seen[0].body, json!({ "model": "small", "input": ["one"] }));
    assert_eq!(seen[1].authorization, None);
    assert_eq!(seen[1].body, json!({ "model": "small", "input": ["two"], "dimensions": 64 }));
}

#[tokio::test]
async fn what_fails_for_a_moment_is_tried_again() {
    let (server, http) = started().await;
    let fault = Act::Status(500, vec![], "hush");
    for faults in [[fault.clone(), fault.clone()], [Act::Close, Act::Status(503, vec![], "")]] {
        let before = server.seen().len();
        server.then(&faults);
        right(&embed(&http, &["hush now"]).await.unwrap()[0], "hush now");
        assert_eq!(server.seen().len(), before + 3);
    }
    // Not for ever.
    server.always(fault);
    let why = unavailable(embed(&http, &["hush now"]).await);
    assert!(why.contains("500"), "{why}");
    assert_eq!(server.seen().len(), 9);
}

#[tokio::test]
async fn a_server_that_asks_to_wait_is_waited_for_by_all() {
    let (server, http) = started().await;
    let wait = Duration::from_millis(700);
    server.then(&[Act::Status(429, vec![("retry-after-ms", "700")], "")]);
    let first = tokio::spawn({
        let http = http.clone();
        async move { embed(&http, &["first"]).await }
    });
    server.saw(1).await;
    let again = embed(&http, &["second"]).await;
    right(&first.await.unwrap().unwrap()[0], "first");
    right(&again.unwrap()[0], "second");
    let seen = server.seen();
    assert!(seen[1..].iter().all(|later| later.at - seen[0].at >= wait), "{seen:?}");
    // A caller that has no time for that is told at once.
    server.then(&[Act::Status(429, vec![("retry-after", "3600")], "")]);
    let began = Instant::now();
    assert!(unavailable(embed(&http, &["third"]).await).contains("left alone"));
    let asked = http.embed(Urgency::Query, vec!["fourth".to_owned()]).await;
    assert!(unavailable(asked).contains("left alone"));
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_refusal_is_no_reason_to_come_again() {
    let (server, http) = started().await;
    let body = r#"{"error":{"message":"Bad key sk-very-secret","code":"invalid_api_key"}}"#;
    server.then(&[Act::Status(401, vec![], body)]);
    let why = unavailable(embed(&http, &["hush now"]).await);
    assert_eq!(why, "no text is embedded now: it answers 401 (invalid_api_key)");
    let poor = r#"{"error":{"code":"insufficient_quota"}}"#;
    server.then(&[Act::Status(429, vec![], poor)]);
    assert!(unavailable(embed(&http, &["hush now"]).await).contains("insufficient_quota"));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn what_is_no_answer_is_never_taken_for_one() {
    let huge = format!(r#"{{"data":[{}"#, " ".repeat(1 << 20));
    let nan = r#"{"data":[{"index":0,"embedding":[NaN]}]}"#.to_owned();
    let bad = [
        (Act::First(json!([1.0, 2.0])), "2 numbers, not of 64"),
        (Act::First(json!(vec![json!(null); DIMENSIONS])), "cannot be read"),
        (Act::First(json!("hush")), "cannot be read"),
        (Act::First(json!(vec![1e300; DIMENSIONS])), "a number that is none"),
        (Act::OneLess, "gives 1 vectors for 2 texts"),
        (Act::Body(nan), "cannot be read"),
        (Act::Body("hush, this is no JSON".to_owned()), "cannot be read"),
        (Act::Body(huge), "larger than"),
    ];
    let (server, http) = started().await;
    for (act, expected) in bad {
        server.then(std::slice::from_ref(&act));
        let why = unavailable(embed(&http, &["hush", "now"]).await);
        assert!(why.contains(expected), "{act:?}: {why}");
        // It is not asked the same again, and a good answer is one.
        assert!(embed(&http, &["well"]).await.is_ok());
    }
    assert_eq!(server.seen().len(), 16);
    server.then(&[Act::Reversed]);
    let made = embed(&http, &["first of all", "second"]).await.unwrap();
    right(&made[0], "first of all");
    right(&made[1], "second");
}

#[tokio::test]
async fn a_text_that_is_refused_harms_no_other() {
    let (server, http) = started().await;
    server.hate("hush");
    let blocked = block(&server, &http).await;
    // Both places are taken: these wait, and go together.
    let calls: Vec<_> = (0..8)
        .map(|n| {
            let text = if n == 5 { "hush now".to_owned() } else { format!("text {n}") };
            let call = http.embed(Urgency::Background, vec![text]);
            let mut call = Box::pin(call);
            assert!(call.as_mut().now_or_never().is_none());
            call
        })
        .collect();
    server.open();
    for (n, made) in join_all(calls).await.into_iter().enumerate() {
        match made {
            Ok(made) => right(&made[0], &format!("text {n}")),
            Err(EmbedError::Failed { why }) => {
                assert_eq!((n, why.as_str()), (5, "it answers 400 (bad_input)"));
            }
            Err(other) => panic!("{n}: {other}"),
        }
    }
    for call in blocked {
        assert!(call.await.unwrap().is_ok());
    }
    assert!(server.seen().len() <= 2 + 7, "halves are asked for, not each text");
    // What refuses every text refuses something else.
    server.hate("");
    let why = unavailable(embed(&http, &["one", "two", "three"]).await);
    assert!(why.contains("400"), "{why}");
}

#[tokio::test]
async fn texts_of_many_callers_go_in_one_request_and_questions_first() {
    let (server, http) = started().await;
    let blocked = block(&server, &http).await;
    server.then(&[Act::Gate]);
    // Questions have a place that is never taken by others.
    let asked = tokio::spawn({
        let http = http.clone();
        async move { http.embed(Urgency::Query, vec!["asked".to_owned()]).await }
    });
    server.saw(3).await;
    let call = |urgency: Urgency, text: String| {
        let mut call = Box::pin(http.embed(urgency, vec![text]));
        assert!(call.as_mut().now_or_never().is_none());
        call
    };
    let turns: Vec<_> = (0..4).map(|n| call(Urgency::Background, format!("turn {n}"))).collect();
    let more: Vec<_> = (0..3).map(|n| call(Urgency::Query, format!("question {n}"))).collect();
    server.open();
    assert!(join_all(more).await.iter().all(Result::is_ok));
    assert!(join_all(turns).await.iter().all(Result::is_ok));
    let mut rest: Vec<_> = server.seen()[3..].iter().map(|seen| seen.texts().join(", ")).collect();
    rest.sort();
    assert_eq!(rest, ["question 0, question 1, question 2", "turn 0, turn 1, turn 2, turn 3"]);
    assert!(asked.await.unwrap().is_ok());
    for call in blocked {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_server_that_is_silent_is_left_alone_and_found_again() {
    let server = EmbeddingServer::start().await;
    let patient = options(&server);
    let http = run(&HttpOptions { timeout: Duration::from_millis(50), ..patient });
    server.always(Act::Silent);
    let why = unavailable(embed(&http, &["hush"]).await);
    assert!(why.contains("no answer within 50 ms") || why.contains("left alone"), "{why}");
    // It failed three times in a row by now: no more requests for a while.
    let asked = server.seen().len();
    assert_eq!(asked, 3);
    assert!(unavailable(embed(&http, &["hush"]).await).contains("left alone"));
    assert_eq!(server.seen().len(), asked);
    server.always(Act::Good);
    until("an answer", async || embed(&http, &["well"]).await.ok()).await;
}

#[tokio::test]
async fn too_many_questions_are_refused_and_the_others_are_answered() {
    let (server, http) = started().await;
    server.always(Act::Gate);
    let calls: Vec<_> = (0..2 * QUERIES_MAX)
        .map(|n| {
            let mut call = Box::pin(http.embed(Urgency::Query, vec![format!("question {n}")]));
            (call.as_mut().now_or_never(), call)
        })
        .collect();
    server.open();
    let (mut busy, mut good) = (0, 0);
    for (at_once, call) in calls {
        match at_once {
            Some(Err(EmbedError::Busy)) => busy += 1,
            Some(other) => panic!("{other:?}"),
            None => good += usize::from(call.await.is_ok()),
        }
    }
    assert_eq!((busy, good), (QUERIES_MAX, QUERIES_MAX));
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_asked_for_again() {
    let (server, http) = started().await;
    server.always(Act::Silent);
    let call = http.embed(Urgency::Background, vec!["gone".to_owned()]);
    let call = tokio::time::timeout(PATIENCE, call);
    tokio::select! {
        made = call => panic!("{made:?}"),
        () = server.saw(1) => {}
    }
    server.always(Act::Good);
    // Its place is free.
    let made = join_all((0..3).map(|_| embed(&http, &["here"]))).await;
    assert!(made.iter().all(Result::is_ok));
    assert_eq!(server.texts().iter().filter(|text| *text == "gone").count(), 1);
}

#[tokio::test]
async fn tokens_are_told_to_the_caller_whose_texts_they_were_for() {
    let (_server, http) = started().await;
    let call = async |text: &str| {
        let (made, spent) = metered(embed(&http, &[text])).await;
        made.unwrap();
        spent
    };
    assert_eq!(call("three words here").await, tokens("three words here"));
    assert_eq!(call("").await, 0, "nothing is not sent");
    let (short, long) = tokio::join!(call("one"), call("one two three four five"));
    assert_eq!(short + long, tokens("one") + tokens("one two three four five"));
}

#[tokio::test]
async fn a_probe_says_what_the_vectors_are_or_what_is_wrong() {
    let server = EmbeddingServer::start().await;
    let unknown = HttpOptions { dimensions: 0, ..options(&server) };
    let found = probe(&unknown).await.unwrap();
    assert_eq!((found.dimensions, found.tokens), (DIMENSIONS, tokens("hello")));
    server.then(&[Act::Status(404, vec![], r#"{"error":{"code":"model_not_found"}}"#)]);
    let refused = probe(&unknown).await.unwrap_err();
    assert!(matches!(&refused, EmbedError::Model { why } if why.contains("model_not_found")));
    server.then(&[Act::Close]);
    assert!(matches!(probe(&unknown).await, Err(EmbedError::Unavailable { .. })));
    assert!(matches!(Http::new(&unknown, "m"), Err(EmbedError::Model { .. })));
}
