//! TLS, health, reflection, and how a server ends.

use std::path::Path;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use keepsake::app::start;
use keepsake::config::{Layers, Settings};
use keepsake::proto::v1 as pb;
use prost::Message;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Request, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tower::Service as _;

use super::Service;
use super::client::{append, user};

fn layers(folder: &Path) -> Layers {
    Layers::default()
        .with_flag("data", Some(folder.to_str().unwrap().to_owned()))
        .with_flag("listen", Some("127.0.0.1:0".to_owned()))
        .with_flag("storage.engine", Some("memory".to_owned()))
}

#[tokio::test]
async fn a_server_with_a_certificate_speaks_tls_only() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let named = |path: &Path| Some(path.to_str().unwrap().to_owned());
    let layers =
        layers(folder.path()).with_flag("tls.cert", named(&cert)).with_flag("tls.key", named(&key));
    let running = start(&Settings::resolve(&layers).unwrap()).await.unwrap();
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(made.cert.pem()))
        .domain_name("localhost");
    let endpoint = Channel::from_shared(format!("https://{}", running.address)).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    let mut memory = pb::memory_service_client::MemoryServiceClient::new(channel);
    let mut request = Request::new(append("s", vec![user("hello")]));
    let key = format!("Bearer {}", running.dev_key.as_deref().unwrap());
    request.metadata_mut().insert("authorization", key.parse().unwrap());
    assert_eq!(memory.append_turns(request).await.unwrap().into_inner().last_seq, 1);
    let plain = Channel::from_shared(format!("http://{}", running.address)).unwrap();
    let refused = match plain.connect().await {
        Ok(channel) => {
            HealthClient::new(channel).check(HealthCheckRequest::default()).await.is_err()
        }
        Err(_) => true,
    };
    assert!(refused, "without TLS nothing is answered");
    running.stop().await.unwrap();
}

#[test]
fn a_public_address_needs_tls_or_a_word_that_it_is_meant() {
    let public = || layers(Path::new("unused")).with_flag("listen", Some("0.0.0.0:0".to_owned()));
    let mistakes = Settings::resolve(&public()).unwrap_err();
    assert_eq!(mistakes.iter().map(|mistake| mistake.key.as_str()).collect::<Vec<_>>(), ["listen"]);
    let said = public().with_flag("insecure_public", Some("true".to_owned()));
    assert!(Settings::resolve(&said).is_ok());
    let file = || Some("file.pem".to_owned());
    let secured = public().with_flag("tls.cert", file()).with_flag("tls.key", file());
    assert!(Settings::resolve(&secured).is_ok());
}

#[tokio::test]
async fn a_certificate_that_is_none_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cert.pem");
    std::fs::write(&file, "no certificate").unwrap();
    let named = || Some(file.to_str().unwrap().to_owned());
    let layers = layers(folder.path()).with_flag("tls.cert", named()).with_flag("tls.key", named());
    let started = start(&Settings::resolve(&layers).unwrap()).await;
    assert!(started.is_err_and(|error| error.to_string().contains("TLS")));
}

const SERVICES: [&str; 2] = ["keepsake.v1.MemoryService", "keepsake.v1.TenantService"];

#[tokio::test]
async fn reflection_names_both_services_and_knows_their_messages() {
    let service = Service::in_memory().await;
    let mut client = ServerReflectionClient::new(service.channel());
    let ask = |asked: MessageRequest| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(asked),
    };
    let asked = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("keepsake.v1.BuildContextRequest".into())),
    ];
    let answers = client.server_reflection_info(stream::iter(asked)).await.unwrap();
    let answers: Vec<_> = answers.into_inner().map(|answer| answer.unwrap()).collect().await;
    let Some(MessageResponse::ListServicesResponse(list)) = &answers[0].message_response else {
        panic!("a list was asked for: {answers:?}");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(SERVICES.iter().all(|service| names.contains(service)), "{names:?}");
    let file = &answers[1].message_response;
    assert!(matches!(file, Some(MessageResponse::FileDescriptorResponse(_))), "{file:?}");
}

fn check(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

fn status(answer: &HealthCheckResponse) -> ServingStatus {
    answer.status()
}

#[tokio::test]
async fn a_server_that_runs_is_serving() {
    let service = Service::in_memory().await;
    let mut health = HealthClient::new(service.channel());
    for name in ["", SERVICES[0], SERVICES[1]] {
        let answer = health.check(check(name)).await.unwrap().into_inner();
        assert_eq!(status(&answer), ServingStatus::Serving, "{name:?}");
    }
}

/// A call whose request is sent in two halves: the second when the test says so.
fn halves(message: &impl Message) -> (Bytes, Bytes) {
    let bytes = message.encode_to_vec();
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&bytes);
    let second = frame.split_off(frame.len() / 2);
    (frame.into(), second.into())
}

#[tokio::test]
async fn a_stop_says_so_and_lets_a_running_call_end() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::on(folder.path()).await;
    let address = service.running().address;
    let mut health = HealthClient::new(service.channel());
    let mut watched = Vec::new();
    for name in ["", SERVICES[0], SERVICES[1]] {
        let mut watch = health.watch(check(name)).await.unwrap().into_inner();
        let first = watch.next().await.unwrap().unwrap();
        assert_eq!(status(&first), ServingStatus::Serving);
        watched.push(watch);
    }
    let (first, second) = halves(&append("s", vec![user("the last words")]));
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(2);
    let body = stream::unfold(receiver, |mut receiver| async {
        let part = receiver.recv().await?;
        Some((Ok::<_, Status>(Frame::data(part)), receiver))
    });
    let request = http::Request::post("/keepsake.v1.MemoryService/AppendTurns")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", service.dev_key()))
        .body(tonic::body::Body::new(StreamBody::new(body)))
        .unwrap();
    let mut channel = service.channel();
    std::future::poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
    let call = tokio::spawn(channel.call(request));
    sender.send(first).await.unwrap();
    // One connection keeps its order: when this is answered, the server has begun the call above.
    health.check(check("")).await.unwrap();
    let stopping = tokio::spawn(service.stop());
    for watch in &mut watched {
        let next = watch.next().await.unwrap().unwrap();
        assert_eq!(status(&next), ServingStatus::NotServing);
    }
    sender.send(second).await.unwrap();
    drop(sender);
    let answer = call.await.unwrap().unwrap().into_body().collect().await.unwrap();
    let trailers = answer.trailers().cloned().unwrap();
    assert_eq!(Status::from_header_map(&trailers).unwrap().code(), tonic::Code::Ok);
    drop((watched, health));
    stopping.await.unwrap();
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    assert!(endpoint.connect().await.is_err(), "nobody listens any more");
    let service = Service::on(folder.path()).await;
    let get = pb::GetSessionRequest { session_id: "s".into() };
    let session = service.memory().get_session(get).await.unwrap().into_inner().session.unwrap();
    assert_eq!(session.turn_count, 1, "what was acknowledged is kept");
    service.stop().await;
}
