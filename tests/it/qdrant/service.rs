//! A service with its documents on a Qdrant server: what callers see when that is down or slow.

use std::path::Path;
use std::time::Duration;

use keepsake::config::{DocumentEngine, EmbeddingModel, Settings};
use keepsake::proto::v1 as pb;
use tonic::Request;

use super::{Fault, Server};
use crate::grpc::Service;
use crate::grpc::client::{append, context, settings, shown, user};
use crate::grpc::documents::{done, found, header, sent};

const TEXT: &str = "The ferry to Gotland leaves at nine. A cabin costs forty crowns.";

/// Settings with documents on this server.
fn on(server: &Server, settings: &mut Settings) {
    settings.documents.engine = DocumentEngine::Qdrant;
    settings.documents.qdrant.url = server.url();
    settings.embedding.model = EmbeddingModel::Hashed;
}

async fn service(server: &Server) -> Service {
    let mut settings = settings(Path::new("unused"), "memory");
    on(server, &mut settings);
    Service::start(&settings).await
}

fn search() -> pb::SearchRequest {
    pb::SearchRequest {
        query: "When does the ferry leave?".into(),
        collections: vec!["notes".into()],
        ..Default::default()
    }
}

fn in_documents(session: &str) -> pb::BuildContextRequest {
    let mut asked = context(session, "When does the ferry leave?", 2_000);
    asked.collections = vec!["notes".into()];
    asked
}

/// Asks until an answer has what is wanted. Each question is a call: nobody waits for time to pass.
async fn until(service: &Service, wanted: impl Fn(&pb::SearchResponse) -> bool) {
    loop {
        let answer = service.memory().search(search()).await.unwrap().into_inner();
        if wanted(&answer) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn lacks(degraded: &[i32], what: pb::Degradation) -> bool {
    degraded.contains(&what.into())
}

fn is_whole(answer: &pb::SearchResponse) -> bool {
    !answer.documents.is_empty()
        && !lacks(&answer.degraded, pb::Degradation::IndexLag)
        && !lacks(&answer.degraded, pb::Degradation::Documents)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_found_and_stand_in_contexts() {
    let server = Server::start();
    let service = service(&server).await;
    let answer = done(sent(&mut service.documents(), header("d1"), TEXT.as_bytes()).await);
    assert!(answer.words_indexed);
    assert_eq!(found(&service, "ferry").await.len(), 1);
    service.memory().append_turns(append("s", vec![user("Good morning.")])).await.unwrap();
    let built = service.memory().build_context(in_documents("s")).await.unwrap().into_inner();
    assert!(shown(&built).contains("Gotland leaves at nine"), "{}", shown(&built));
    assert!(!lacks(&built.degraded, pb::Degradation::Documents));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_server_answers_come_without_documents_and_nothing_is_lost() {
    let server = Server::start();
    let service = service(&server).await;
    sent(&mut service.documents(), header("d1"), TEXT.as_bytes()).await;
    until(&service, is_whole).await;
    server.down();
    for _ in 0..5 {
        let answer = service.memory().search(search()).await.unwrap().into_inner();
        assert!(answer.documents.is_empty());
        assert!(lacks(&answer.degraded, pb::Degradation::Documents), "{:?}", answer.degraded);
        let built = service.memory().build_context(in_documents("s")).await.unwrap().into_inner();
        assert!(lacks(&built.degraded, pb::Degradation::Documents), "{:?}", built.degraded);
    }
    let late = "The ferry of the evening leaves at ten.";
    let answer = done(sent(&mut service.documents(), header("d2"), late.as_bytes()).await);
    assert!(!answer.words_indexed, "it is kept, and says so");
    let gone = pb::DeleteDocumentRequest {
        collection: "notes".into(),
        document_id: "d1".into(),
        ..Default::default()
    };
    service.documents().delete_document(gone).await.unwrap();
    server.up();
    until(&service, is_whole).await;
    let hits = found(&service, "ferry").await.into_iter();
    let names: Vec<String> = hits.map(|hit| hit.citation.unwrap().document_id).collect();
    assert_eq!(names, ["d2"], "what went stays gone, what came is there once");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_silent_does_not_cost_a_caller_its_answer() {
    let server = Server::start();
    let service = service(&server).await;
    sent(&mut service.documents(), header("d1"), TEXT.as_bytes()).await;
    until(&service, is_whole).await;
    server.set(Fault::Silent);
    for _ in 0..6 {
        let mut asked = Request::new(in_documents("s"));
        asked.set_timeout(Duration::from_secs(2));
        let built = service.memory().build_context(asked).await.unwrap().into_inner();
        assert!(lacks(&built.degraded, pb::Degradation::Documents), "{:?}", built.degraded);
    }
    server.set(Fault::None);
    until(&service, is_whole).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_starts_without_its_server_and_fills_it_when_it_comes() {
    let server = Server::start();
    server.down();
    let service = service(&server).await;
    let answer = done(sent(&mut service.documents(), header("d1"), TEXT.as_bytes()).await);
    assert!(!answer.words_indexed);
    server.up();
    until(&service, is_whole).await;
    // Its vectors come as well.
    until(&service, |answer| {
        is_whole(answer) && !lacks(&answer.degraded, pb::Degradation::VectorsPending)
    })
    .await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_after_the_collection_was_lost_fills_it_again() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path(), "fjall");
    on(&server, &mut settings);
    let service = Service::start(&settings).await;
    sent(&mut service.documents(), header("d1"), TEXT.as_bytes()).await;
    until(&service, is_whole).await;
    service.stop().await;
    server.world().collections.clear();
    let service = Service::start(&settings).await;
    until(&service, is_whole).await;
    service.stop().await;
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused_at_the_start_and_by_the_doctor() {
    let server = Server::start();
    server.set_version("1.15.1");
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path(), "fjall");
    let service = Service::start(&settings).await;
    service.stop().await;
    on(&server, &mut settings);
    let Err(error) = keepsake::app::start(&settings).await else { panic!("it starts") };
    let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(why.contains("1.15.1") && why.contains("1.19"), "{error}: {why}");
    let told = async |settings: &Settings| {
        let lines = keepsake::app::examine(settings, false).await;
        let line = lines.into_iter().find(|line| line.name == "qdrant").expect("it is asked");
        (line.level, line.text)
    };
    let (level, text) = told(&settings).await;
    assert!(level == keepsake::audit::Level::Bad && text.contains("1.15.1"), "{text}");
    server.set_version("1.19.2");
    let (level, text) = told(&settings).await;
    assert!(level == keepsake::audit::Level::Ok && text.contains("1.19.2"), "{text}");
    server.down();
    let (level, _) = told(&settings).await;
    assert_eq!(level, keepsake::audit::Level::Warn);
}
