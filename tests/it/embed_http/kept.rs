//! What was embedded is not embedded again: for the same tenant, also by the next process, until it
//! is erased.

use std::fs;
use std::path::{Path, PathBuf};

use keepsake::config::Settings;
use keepsake::proto::v1 as pb;

use super::EmbeddingServer;
use super::service::{on, resolve, talk};
use crate::erasure::world::{delete_session, erase};
use crate::grpc::client::{Memory, Service, append, context, user};

const QUESTION: &str = "Which workshop was bought in Kyoto?";

fn settings(server: &EmbeddingServer, folder: &Path) -> Settings {
    resolve(on(server, folder, "fjall"), &[("embedding.http.dimensions", "64")])
}

async fn ask(memory: &mut Memory) {
    let built = memory.build_context(context("s", QUESTION, 1_000)).await.unwrap().into_inner();
    assert_eq!(built.degraded, Vec::<i32>::new());
}

/// How often the server was asked for texts with a word.
fn asked(server: &EmbeddingServer, word: &str) -> usize {
    server.texts().iter().filter(|text| text.contains(word)).count()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("cache/vectors")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn bytes(folder: &Path) -> u64 {
    files(folder).iter().map(|path| fs::metadata(path).unwrap().len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_embedded_once_for_a_tenant_and_again_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let server = EmbeddingServer::start().await;
    let service = Service::start(&settings(&server, folder.path())).await;
    talk(&service, "s").await;
    service.running().embedded().await;
    for _ in 0..3 {
        ask(&mut service.memory()).await;
    }
    assert_eq!(asked(&server, "Which workshop"), 1);
    // The same turns in another session, and by another tenant.
    let before = asked(&server, "workshop number");
    talk(&service, "again").await;
    service.running().embedded().await;
    assert_eq!(asked(&server, "workshop number"), before, "they are known");
    let key = service.tenant("other", &[pb::KeyScope::Read, pb::KeyScope::Write]).await;
    let mut other = service.memory_as(&key);
    let said = "I bought workshop number 1 in Oslo.";
    other.append_turns(append("s", vec![user(said)])).await.unwrap();
    service.running().embedded().await;
    assert_eq!(asked(&server, "workshop number"), before + 1, "tenants share nothing");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_process_knows_what_this_one_embedded_and_forgets_it_when_files_are_rid_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = EmbeddingServer::start().await;
    let settings = settings(&server, &data);
    let service = Service::start(&settings).await;
    talk(&service, "s").await;
    service.running().embedded().await;
    ask(&mut service.memory()).await;
    service.stop().await;
    assert!(bytes(&data) > 13 * 64 * 4, "{}", bytes(&data));
    let before = server.texts().len();
    let service = Service::start(&settings).await;
    ask(&mut service.memory()).await;
    talk(&service, "copy").await;
    service.running().embedded().await;
    assert_eq!(server.texts().len(), before, "nothing is embedded twice");
    // What was said is deleted, and the files are rid of it.
    delete_session(&service, "copy").await;
    assert!(bytes(&data) > 0);
    assert_eq!(erase(&service).await.held_by, "");
    assert_eq!(files(&data), Vec::<PathBuf>::new());
    ask(&mut service.memory()).await;
    assert_eq!(server.texts().len(), before + 1, "it is forgotten in memory too");
    service.stop().await;
    // A node that wants no such files has none.
    assert!(bytes(&data) > 0);
    let mut without = settings;
    without.embedding.cache_disk_bytes = 0;
    Service::start(&without).await.stop().await;
    assert!(!data.join("cache/vectors").exists());
}
