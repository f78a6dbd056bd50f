//! The real service over an embedder on a server: nobody waits for it longer than they said.

use std::path::Path;
use std::time::{Duration, Instant};

use keepsake::app::{examine, start};
use keepsake::audit::Level;
use keepsake::config::{Layers, Settings};
use keepsake::error::chain;
use keepsake::proto::v1 as pb;
use tonic::Request;

use super::{Act, EmbeddingServer, until};
use crate::grpc::client::{Service, append, context, layers, user};

/// Layers of settings for a node whose embedder is that server.
pub fn on(server: &EmbeddingServer, folder: &Path, engine: &str) -> Layers {
    layers(folder, engine)
        .with_flag("embedding.model", Some("http:small".to_owned()))
        .with_flag("embedding.http.url", Some(server.url()))
        .with_flag("embedding.http.api_key", Some("sk-very-secret".to_owned()))
}

pub fn resolve(layers: Layers, pairs: &[(&str, &str)]) -> Settings {
    let with = |layers: Layers, (key, value): &(&str, &str)| {
        layers.with_flag(key, Some((*value).to_owned()))
    };
    Settings::resolve(&pairs.iter().fold(layers, with)).unwrap()
}

/// Says some things in a session.
pub async fn talk(service: &Service, session: &str) {
    for n in 0..12 {
        let place = ["Lisbon", "Oslo", "Kyoto"][n % 3];
        let said = format!("I bought workshop number {n} in {place}.");
        service.memory().append_turns(append(session, vec![user(&said)])).await.unwrap();
    }
}

const QUESTION: &str = "Which workshop was bought in Kyoto?";

async fn degraded(service: &Service, within: Duration) -> Vec<pb::Degradation> {
    let mut request = Request::new(context("s", QUESTION, 1_000));
    request.set_timeout(within);
    let began = Instant::now();
    let built = service.memory().build_context(request).await.unwrap().into_inner();
    assert!(began.elapsed() < within, "{:?}", began.elapsed());
    assert!(!built.messages.is_empty());
    built.degraded().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_silent_server_and_all_is_well_when_it_speaks_again() {
    let server = EmbeddingServer::start().await;
    server.always(Act::Silent);
    let pairs = [("embedding.http.dimensions", "64"), ("embedding.http.timeout_ms", "2000")];
    let settings = resolve(on(&server, Path::new("unused"), "memory"), &pairs);
    // The start does not wait for it either, since it need not ask.
    let service = Service::start(&settings).await;
    let began = Instant::now();
    talk(&service, "s").await;
    // Twelve appends take less than one that waited.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    server.saw(1).await;
    let lacks = degraded(&service, Duration::from_secs(2)).await;
    for lack in [pb::Degradation::Vector, pb::Degradation::VectorsPending] {
        assert!(lacks.contains(&lack), "{lacks:?}");
    }
    server.always(Act::Good);
    service.running().embedded().await;
    until("a context with everything", async || {
        degraded(&service, Duration::from_secs(20)).await.is_empty().then_some(())
    })
    .await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_learns_how_long_vectors_are_or_says_what_to_set() {
    let server = EmbeddingServer::start().await;
    let settings = resolve(on(&server, Path::new("unused"), "memory"), &[]);
    let service = Service::start(&settings).await;
    talk(&service, "s").await;
    service.running().embedded().await;
    assert_eq!(degraded(&service, Duration::from_secs(20)).await, []);
    service.stop().await;
    server.then(&[Act::Status(503, vec![], "")]);
    let refused = chain(&start(&settings).await.err().unwrap());
    let expected = "with `embedding.http.dimensions` a start does not need its answer";
    assert!(refused.contains("it answers 503") && refused.contains(expected), "{refused}");
    server.then(&[Act::Status(401, vec![], "sk-very-secret")]);
    let refused = chain(&start(&settings).await.err().unwrap());
    assert!(refused.contains("it answers 401") && !refused.contains("secret"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_comes_from_a_file_or_the_start_says_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let server = EmbeddingServer::start().await;
    let plain = layers(Path::new("unused"), "memory")
        .with_flag("embedding.model", Some("http:small".to_owned()))
        .with_flag("embedding.http.url", Some(server.url()));
    let file = [("embedding.http.api_key_file", path.to_str().unwrap())];
    let settings = resolve(plain, &file);
    let refused = chain(&start(&settings).await.err().unwrap());
    assert!(refused.contains("the file of the API key"), "{refused}");
    std::fs::write(&path, "two words\n").unwrap();
    let refused = chain(&start(&settings).await.err().unwrap());
    assert!(refused.contains("one word") && !refused.contains("two"), "{refused}");
    std::fs::write(&path, "sk-of-a-file\n").unwrap();
    Service::start(&settings).await.stop().await;
    let said = server.seen().pop().unwrap().authorization;
    assert_eq!(said.as_deref(), Some("Bearer sk-of-a-file"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_asks_the_server_and_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let server = EmbeddingServer::start().await;
    let wrong = [("embedding.http.dimensions", "1536")];
    let at = |pairs: &[(&str, &str)]| resolve(on(&server, folder.path(), "fjall"), pairs);
    Service::start(&at(&[])).await.stop().await;
    let told = async |settings: &Settings| {
        let lines = examine(settings, false).await;
        let line = lines.into_iter().find(|line| line.name == "embedder").expect("it is asked");
        assert!(!line.text.contains("secret"), "{}", line.text);
        (line.level, line.text)
    };
    let (level, text) = told(&at(&[])).await;
    assert!(level == Level::Ok && text.contains("64 numbers"), "{text}");
    let (level, text) = told(&at(&wrong)).await;
    assert!(level == Level::Bad && text.contains("64") && text.contains("1536"), "{text}");
    server.then(&[Act::Status(401, vec![], r#"{"error":{"code":"invalid_api_key"}}"#)]);
    let (level, text) = told(&at(&[])).await;
    assert!(level == Level::Bad && text.contains("invalid_api_key"), "{text}");
    server.then(&[Act::Close]);
    let (level, text) = told(&at(&[])).await;
    assert!(level == Level::Warn && text.contains("found by words"), "{text}");
}
