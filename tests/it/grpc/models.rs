//! Another embedding model takes over a running service, and the one before comes back.

use std::path::Path;

use keepsake::config::{DocumentEngine, EmbeddingModel, Settings};
use keepsake::proto::v1 as pb;

use super::Service;
use super::client::{append, context, reason, settings, user};
use super::documents::{header, sent};
use crate::qdrant::Server;

const OLD: &str = "hashed-words-384";
const QUESTION: &str = "When does the ferry to Gotland leave?";

/// Settings of a node in a folder, its documents in the process or on a server.
fn node(folder: &Path, server: Option<&Server>) -> Settings {
    let mut settings = settings(folder, "fjall");
    if let Some(server) = server {
        settings.documents.engine = DocumentEngine::Qdrant;
        settings.documents.qdrant.url = server.url();
    }
    settings.embedding.model = EmbeddingModel::Hashed;
    settings
}

async fn look(service: &Service) -> pb::Embedding {
    let answer = service.tenants().get_embedding(pb::GetEmbeddingRequest {}).await.unwrap();
    answer.into_inner().embedding.unwrap()
}

async fn ready(service: &Service) -> pb::Embedding {
    loop {
        let now = look(service).await;
        if now.ready {
            return now;
        }
        tokio::task::yield_now().await;
    }
}

async fn switch(service: &Service, to: &str) -> Result<pb::Embedding, String> {
    let request = pb::SwitchEmbeddingRequest { to: to.into(), force: false };
    let answer = service.tenants().switch_embedding(request).await;
    answer.map(|answer| answer.into_inner().embedding.unwrap()).map_err(|status| reason(&status))
}

/// The embedder whose vectors took part in a context, once its documents are found by meaning too.
async fn asked(service: &Service) -> String {
    loop {
        let mut request = context("s", QUESTION, 2_000);
        request.collections = vec!["notes".into()];
        let built = service.memory().build_context(request).await.unwrap().into_inner();
        let vectors = built.document_vectors.unwrap_or_default();
        if built.degraded.is_empty() && vectors.chunks == vectors.chunks_embedded {
            assert_eq!(vectors.chunks, 1, "the document is found by meaning");
            return built.state.unwrap().components["embedder"].clone();
        }
        tokio::task::yield_now().await;
    }
}

async fn say(service: &Service, id: &str, text: &str) {
    service.memory().append_turns(append("s", vec![user(text)])).await.unwrap();
    sent(&mut service.documents(), header(id), text.as_bytes()).await;
}

async fn check(server: Option<&Server>) {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(&node(folder.path(), server)).await;
    say(&service, "d1", "The ferry to Gotland leaves at nine, and a cabin costs forty crowns.")
        .await;
    assert_eq!(asked(&service).await, OLD);
    let alone = look(&service).await;
    assert_eq!((alone.serving.as_str(), alone.beside.as_str(), alone.ready), (OLD, "", false));
    assert_eq!(switch(&service, "another").await, Err("EMBEDDER_UNKNOWN".into()));
    assert_eq!(switch(&service, "").await, Err("INVALID_REQUEST".into()));
    service.stop().await;

    let mut settings = node(folder.path(), server);
    settings.embedding.next = Some(EmbeddingModel::MiniLm);
    let service = Service::start(&settings).await;
    let prepared = ready(&service).await;
    assert_eq!((prepared.turns_done, prepared.turns), (1, 1));
    assert_eq!((prepared.chunks_done, prepared.chunks), (1, 1));
    assert_eq!(asked(&service).await, OLD, "until it is told to switch");
    let new = prepared.beside;
    assert_eq!(switch(&service, &new).await.unwrap().serving, new);
    assert_eq!(asked(&service).await, new);
    ready(&service).await;
    assert_eq!(switch(&service, OLD).await.unwrap().serving, OLD);
    assert_eq!(asked(&service).await, OLD);
    ready(&service).await;
    switch(&service, &new).await.unwrap();
    service.stop().await;

    let service = Service::start(&settings).await;
    assert_eq!(look(&service).await.serving, new, "what serves is in the record");
    service.stop().await;

    settings.embedding.model = EmbeddingModel::MiniLm;
    settings.embedding.next = None;
    let service = Service::start(&settings).await;
    while look(&service).await.clearing {
        tokio::task::yield_now().await;
    }
    let last = look(&service).await;
    assert_eq!((last.serving.as_str(), last.beside.as_str()), (new.as_str(), ""));
    assert_eq!(asked(&service).await, new);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_takes_over_goes_back_and_stays_over_starts() {
    check(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_does_with_documents_on_a_server() {
    let server = Server::start();
    check(Some(&server)).await;
}
