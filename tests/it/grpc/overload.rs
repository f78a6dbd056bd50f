//! Too much at a time: who comes in, who is told to come later, and what memory it takes.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use keepsake::admission::{GateBounds, Refused};
use keepsake::api::{AdmitSettings, METHODS};
use keepsake::proto::v1 as pb;
use prost::Message as _;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;
use tower::Service as _;

use super::client::{append, plain, reason, user, values};
use super::crowd::{Crowd, narrow};

type Answer = Result<tonic::Response<pb::GetSessionResponse>, Status>;

/// Asks for a session that is not there, as `who`.
fn ask(crowd: &Crowd, key: &str, who: &str) -> JoinHandle<Answer> {
    let mut client = crowd.client(key);
    let mut request = Request::new(pb::GetSessionRequest { session_id: "s".into() });
    request.metadata_mut().insert("who", who.parse().unwrap());
    tokio::spawn(async move { client.get_session(request).await })
}

/// A call was let in: the session it asks for is not there.
#[track_caller]
fn was_let_in(answer: Answer) {
    assert_eq!(reason(&answer.unwrap_err()), "SESSION_NOT_FOUND");
}

/// After how long a refusal says to try again, and what limit it names.
fn told(status: &Status) -> (Duration, String) {
    let details = status.get_error_details();
    let after = details.retry_info().and_then(|info| info.retry_delay);
    let quota = details.quota_failure().expect("it names a limit");
    (after.expect("it says when to come back"), quota.violations[0].subject.clone())
}

#[test]
fn every_method_of_the_contract_is_admitted() {
    let services = keepsake::proto::POOL.services();
    let mut known: Vec<String> = services
        .flat_map(|service| service.methods().map(|m| m.full_name().to_owned()).collect::<Vec<_>>())
        .collect();
    let mut listed: Vec<_> = METHODS
        .iter()
        .map(|method| format!("keepsake.v1.{}", method.path.replace('/', ".")))
        .collect();
    known.sort();
    listed.sort();
    assert_eq!(listed, known);
}

#[tokio::test]
async fn calls_of_two_tenants_come_in_in_turn_however_many_one_sends() {
    let crowd = Crowd::new(&narrow()).await;
    let (ann, bob) = (crowd.tenant("ann").await, crowd.tenant("bob").await);
    let mut calls = Vec::new();
    for n in 0..13 {
        calls.push(ask(&crowd, &ann, "ann"));
        crowd.until(|figures| figures.reads.waiting[0] == n).await;
    }
    for n in 13..16 {
        calls.push(ask(&crowd, &bob, "bob"));
        crowd.until(|figures| figures.reads.waiting[0] == n).await;
    }
    assert_eq!(crowd.came_in(), ["ann"]);
    crowd.let_go(16);
    for call in calls {
        was_let_in(call.await.unwrap());
    }
    let order = crowd.came_in().join(" ");
    assert!(order.starts_with("ann ann bob ann bob ann bob ann ann"), "{order}");
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_says_when_to_come_back() {
    let full = GateBounds { waiting_max: 2, ..narrow().reads };
    let crowd = Crowd::new(&AdmitSettings { reads: full, ..narrow() }).await;
    let (ann, bob) = (crowd.tenant("ann").await, crowd.tenant("bob").await);
    let first = ask(&crowd, &ann, "ann");
    crowd.until(|figures| figures.reads.in_flight == [1, 0]).await;
    let mut waiting = Vec::new();
    for n in 1..=2 {
        waiting.push(ask(&crowd, &ann, "ann"));
        crowd.until(|figures| figures.reads.waiting == [n, 0]).await;
    }
    let refused = ask(&crowd, &ann, "ann").await.unwrap().unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (Code::ResourceExhausted, "OVERLOADED".into()));
    assert_eq!(values(&refused)["cause"], "queue_full");
    let (after, over) = told(&refused);
    assert_eq!(over, "calls");
    assert!((100..=10_000).contains(&after.as_millis()), "{after:?}");
    // Another tenant takes the place of the latest of ann's.
    let other = ask(&crowd, &bob, "bob");
    let ousted = waiting.pop().unwrap().await.unwrap().unwrap_err();
    assert_eq!(values(&ousted)["cause"], "queue_full");
    // Writes have a gate of their own, and health has none.
    crowd.let_go(1);
    was_let_in(first.await.unwrap());
    let mut health = HealthClient::new(crowd.channel.clone());
    health.check(HealthCheckRequest::default()).await.unwrap();
    crowd.let_go(3);
    crowd.client(&ann).append_turns(append("t", vec![user("hello")])).await.unwrap();
    for call in waiting.into_iter().chain([other]) {
        was_let_in(call.await.unwrap());
    }
    let figures = crowd.admission.figures();
    assert_eq!((figures.reads.admitted, figures.writes.admitted), ([3, 0], [1, 0]));
    assert_eq!(figures.refused[1], 2, "{:?} is the second", Refused::ALL[1]);
}

#[tokio::test]
async fn who_waits_too_long_is_told_so() {
    let brief = GateBounds { wait_max: Duration::from_millis(1), ..narrow().reads };
    let crowd = Crowd::new(&AdmitSettings { reads: brief, ..narrow() }).await;
    let ann = crowd.tenant("ann").await;
    let first = ask(&crowd, &ann, "ann");
    crowd.until(|figures| figures.reads.in_flight == [1, 0]).await;
    let refused = ask(&crowd, &ann, "ann").await.unwrap().unwrap_err();
    assert_eq!(
        (reason(&refused).as_str(), values(&refused)["cause"].as_str()),
        ("OVERLOADED", "waited")
    );
    assert_eq!(told(&refused).1, "calls");
    crowd.let_go(1);
    was_let_in(first.await.unwrap());
}

#[tokio::test]
async fn a_deadline_and_a_caller_that_goes_leave_the_queue() {
    let crowd = Crowd::new(&narrow()).await;
    let ann = crowd.tenant("ann").await;
    let first = ask(&crowd, &ann, "ann");
    crowd.until(|figures| figures.reads.in_flight == [1, 0]).await;
    let mut request = Request::new(pb::GetSessionRequest { session_id: "s".into() });
    request.set_timeout(Duration::from_millis(30));
    let late = crowd.client(&ann).get_session(request).await.unwrap_err();
    // The client looks at the clock too.
    let codes = [Code::DeadlineExceeded, Code::ResourceExhausted, Code::Cancelled];
    assert!(codes.contains(&late.code()), "{late:?}");
    crowd.until(|figures| figures.reads.waiting == [0, 0]).await;
    let gone = ask(&crowd, &ann, "ann");
    crowd.until(|figures| figures.reads.waiting == [1, 0]).await;
    gone.abort();
    crowd.until(|figures| figures.reads.waiting == [0, 0]).await;
    crowd.let_go(1);
    was_let_in(first.await.unwrap());
    crowd.until(|figures| figures.reads.in_flight == [0, 0]).await;
    assert_eq!(crowd.came_in(), ["ann"]);
}

/// Asks for a session with a deadline that only the server looks at, and says how it was answered.
async fn ask_in(crowd: &Crowd, key: &str, timeout: &str) -> Status {
    let path = format!("http://{}/keepsake.v1.MemoryService/GetSession", crowd.address);
    let request = http::Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout)
        .header("authorization", format!("Bearer {key}"))
        .body(())
        .unwrap();
    let message = pb::GetSessionRequest { session_id: "s".into() }.encode_to_vec();
    let mut sender = plain(crowd.address).await;
    let (answer, mut body) = sender.send_request(request, false).unwrap();
    body.send_data(framed(&message), true).unwrap();
    Status::from_header_map(answer.await.unwrap().headers()).unwrap()
}

#[tokio::test]
async fn a_deadline_ends_a_call_inside_and_one_that_waits() {
    let crowd = Crowd::new(&narrow()).await;
    let ann = crowd.tenant("ann").await;
    let exceeded = (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned());
    let inside = ask_in(&crowd, &ann, "200m").await;
    assert_eq!((inside.code(), reason(&inside)), exceeded);
    crowd.until(|figures| figures.reads.in_flight == [0, 0]).await;
    let first = ask(&crowd, &ann, "ann");
    crowd.until(|figures| figures.reads.in_flight == [1, 0]).await;
    let waiting = ask_in(&crowd, &ann, "200m").await;
    assert_eq!((waiting.code(), reason(&waiting)), exceeded);
    crowd.until(|figures| figures.reads.waiting == [0, 0]).await;
    crowd.let_go(1);
    was_let_in(first.await.unwrap());
}

#[tokio::test]
async fn requests_under_way_have_so_much_room() {
    let crowd = Crowd::new(&AdmitSettings { request_bytes_max: 200 << 10, ..narrow() }).await;
    let ann = crowd.tenant("ann").await;
    crowd.let_go(3);
    let of = |bytes: usize| append("t", vec![user(&"a".repeat(bytes))]);
    let refused = crowd.client(&ann).append_turns(of(300 << 10)).await.unwrap_err();
    assert_eq!(values(&refused)["cause"], "request_bytes");
    assert_eq!((reason(&refused), told(&refused).1), ("OVERLOADED".into(), "request_bytes".into()));
    // A small one takes none of it, and what was refused has given its part back.
    crowd.client(&ann).append_turns(of(10)).await.unwrap();
    assert_eq!(crowd.admission.figures().request_bytes, 0);
    crowd.client(&ann).append_turns(of(70 << 10)).await.unwrap();
    crowd.until(|figures| figures.request_bytes == 0).await;
}

#[tokio::test]
async fn a_tenant_that_calls_too_often_is_slowed_and_no_other() {
    let often = AdmitSettings { tenant_calls_per_second: 1, tenant_calls_burst: 3, ..narrow() };
    let crowd = Crowd::new(&often).await;
    let (ann, bob) = (crowd.tenant("ann").await, crowd.tenant("bob").await);
    crowd.let_go(100);
    let calls: Vec<_> = (0..30).map(|_| ask(&crowd, &ann, "ann")).collect();
    let (mut in_time, mut refused) = (0, Vec::new());
    for call in calls {
        let status = call.await.unwrap().unwrap_err();
        match reason(&status).as_str() {
            "RATE_LIMITED" => refused.push(status),
            _ => in_time += 1,
        }
    }
    assert!(in_time >= 3 && !refused.is_empty(), "{in_time} of 30 were let in");
    let (after, over) = told(&refused[0]);
    assert_eq!((refused[0].code(), over.as_str()), (Code::ResourceExhausted, "tenant_calls"));
    assert!(after <= Duration::from_secs(1) && !after.is_zero(), "{after:?}");
    was_let_in(ask(&crowd, &bob, "bob").await.unwrap());
}

#[tokio::test]
async fn thousands_of_refusals_end_no_connection() {
    let often = AdmitSettings { tenant_calls_per_second: 1, tenant_calls_burst: 1, ..narrow() };
    let crowd = Crowd::new(&often).await;
    let (ann, bob) = (crowd.tenant("ann").await, crowd.tenant("bob").await);
    crowd.let_go(100);
    let mut refused = 0;
    for _ in 0..80 {
        let calls: Vec<_> = (0..50).map(|_| ask(&crowd, &ann, "ann")).collect();
        for call in calls {
            let why = reason(&call.await.unwrap().unwrap_err());
            refused += u32::from(why == "RATE_LIMITED");
            assert!(["RATE_LIMITED", "SESSION_NOT_FOUND"].contains(&why.as_str()), "{why:?}");
        }
    }
    assert!(refused > 3_000, "{refused}");
    was_let_in(ask(&crowd, &bob, "bob").await.unwrap());
}

/// A call as any HTTP/2 client makes it, whose request is sent by `body`.
async fn call(crowd: &Crowd, key: &str, path: &str, body: Body) -> http::Response<Body> {
    let request = http::Request::post(format!("/keepsake.v1.MemoryService/{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {key}"))
        .body(body)
        .unwrap();
    let mut channel = crowd.channel.clone();
    std::future::poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
    channel.call(request).await.unwrap()
}

fn framed(message: &[u8]) -> Bytes {
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    frame.into()
}

#[tokio::test]
async fn who_sends_slowly_holds_no_place() {
    let crowd = Crowd::new(&narrow()).await;
    let (ann, bob) = (crowd.tenant("ann").await, crowd.tenant("bob").await);
    let mut whole = framed(&append("t", vec![user("hello")]).encode_to_vec());
    let half = whole.split_to(whole.len() / 2);
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    sender.send(half).unwrap();
    let parts = stream::unfold(receiver, |mut receiver| async {
        let part = receiver.recv().await?;
        Some((Ok::<_, Status>(Frame::data(part)), receiver))
    });
    crowd.let_go(2);
    let slow = call(&crowd, &ann, "AppendTurns", Body::new(StreamBody::new(parts)));
    let rest = async {
        let turns = vec![user("hello")];
        crowd.client(&bob).append_turns(append("t", turns)).await.unwrap();
        sender.send(whole).unwrap();
        drop(sender);
    };
    let (slow, ()) = tokio::join!(slow, rest);
    let trailers = slow.into_body().collect().await.unwrap();
    assert_eq!(trailers.trailers().unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn answers_that_nobody_reads_stop_more_of_them_until_they_are_read() {
    let crowd = Crowd::new(&narrow()).await;
    let (ann, bob) = (crowd.tenant("ann").await, crowd.tenant("bob").await);
    crowd.let_go(100);
    for key in [&ann, &bob] {
        let turns = vec![user(&"word ".repeat(180_000))];
        crowd.client(key).append_turns(append("large", turns)).await.unwrap();
        crowd.client(key).append_turns(append("small", vec![user("hello")])).await.unwrap();
    }
    let list = |session: &str| {
        let request = pb::ListTurnsRequest { session_id: session.into(), ..Default::default() };
        Body::new(http_body_util::Full::new(framed(&request.encode_to_vec())))
    };
    let unread = call(&crowd, &ann, "ListTurns", list("large")).await;
    assert!(unread.headers().get("grpc-status").is_none(), "it is an answer");
    assert!(crowd.admission.figures().answer_bytes > 512 << 10);
    // A tenant that has half of the room asks in vain; what has no room is refused for another one.
    let refused = |answer: http::Response<Body>| {
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(values(&status)["cause"], "answer_bytes");
        assert_eq!(
            (reason(&status), told(&status).1),
            ("OVERLOADED".into(), "answer_bytes".into())
        );
    };
    refused(call(&crowd, &ann, "ListTurns", list("small")).await);
    refused(call(&crowd, &bob, "ListTurns", list("large")).await);
    let small = call(&crowd, &bob, "ListTurns", list("small")).await;
    small.into_body().collect().await.unwrap();
    // Writes tell of what they did, whatever the room is.
    crowd.client(&ann).append_turns(append("small", vec![user("again")])).await.unwrap();
    let read = unread.into_body().collect().await.unwrap();
    assert_eq!(read.trailers().unwrap()["grpc-status"], "0");
    let bytes = read.to_bytes();
    let page = pb::ListTurnsResponse::decode(&bytes[5..]).unwrap();
    assert_eq!(page.turns.len(), 1, "it came whole, in pieces");
    crowd.until(|figures| figures.answer_bytes == 0).await;
    let again = call(&crowd, &ann, "ListTurns", list("large")).await;
    drop(again);
    crowd.until(|figures| figures.answer_bytes == 0).await;
}

#[tokio::test]
async fn background_work_waits_while_calls_do() {
    let crowd = Crowd::new(&narrow()).await;
    crowd.admission.background().await;
    let ann = crowd.tenant("ann").await;
    let calls = [ask(&crowd, &ann, "ann"), ask(&crowd, &ann, "ann")];
    crowd.until(|figures| figures.reads.waiting == [1, 0]).await;
    let mut behind = Box::pin(crowd.admission.background());
    assert!(futures::poll!(&mut behind).is_pending(), "somebody waits");
    crowd.let_go(2);
    for call in calls {
        was_let_in(call.await.unwrap());
    }
    behind.await;
}
