//! `keepsake reindex`: the index of documents is made anew from the record.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use keepsake::proto::v1 as pb;
use keepsake::record::document_keys;
use keepsake::storage::{Batch, Read, Store as _, disk::DiskStore, fjall::Fjall};
use serde_json::Value;

use crate::grpc::client::Service;

const DOCUMENTS: usize = 12;

async fn filled(data: &Path) {
    use pb::ingest_documents_request::Message;
    let service = Service::on(data).await;
    let document = |n: usize| {
        let text = format!("Note {n} is about lighthouses. ").repeat(60);
        let header = pb::DocumentHeader {
            collection: "notes".into(),
            document_id: format!("note-{n}"),
            ..Default::default()
        };
        let part = pb::DocumentPart { offset: 0, data: text.into_bytes(), last: true };
        [Message::Header(header), Message::Part(part)]
            .map(|message| pb::IngestDocumentsRequest { message: Some(message) })
    };
    let sent: Vec<_> = (0..DOCUMENTS).flat_map(document).collect();
    let mut documents = service.documents();
    let answers = documents.ingest_documents(futures::stream::iter(sent)).await;
    let mut answers = answers.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}
    service.stop().await;
}

fn reindex(data: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepsake"));
    command.args(["reindex", "--data"]).arg(data).args(flags).output().unwrap()
}

/// The answer as JSON, with its exit code.
fn answer(data: &Path) -> (Value, Option<i32>) {
    let output = reindex(data, &["--json"]);
    let answer = serde_json::from_slice(&output.stdout);
    (answer.unwrap_or_else(|_| panic!("{output:?}")), output.status.code())
}

/// How many documents a server on the folder finds, once its index is where the record is.
async fn finds(data: &Path) -> usize {
    let service = Service::on(data).await;
    let request = pb::SearchRequest {
        query: "lighthouses".into(),
        collections: vec!["notes".into()],
        top_k: 100,
        ..Default::default()
    };
    let answer = loop {
        let answer = service.memory().search(request.clone()).await.unwrap().into_inner();
        if !answer.degraded().any(|lacks| lacks == pb::Degradation::IndexLag) {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    service.stop().await;
    let ids: std::collections::BTreeSet<_> =
        answer.documents.into_iter().map(|hit| hit.citation.unwrap().document_id).collect();
    ids.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_damaged_or_gone_is_made_anew_and_has_all_of_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    filled(&data).await;
    let index = data.join("index");
    let check = |what: &str| {
        let (answer, code) = answer(&data);
        assert_eq!(code, Some(0), "{what}: {answer}");
        assert_eq!(answer["isWhole"], true, "{what}: {answer}");
        assert_eq!(answer["record"]["documents"], DOCUMENTS, "{what}: {answer}");
        assert_eq!(answer["taken"], answer["record"], "{what}: {answer}");
        assert_eq!(answer["chunksSearched"], answer["record"]["chunks"], "{what}: {answer}");
    };
    fs::remove_dir_all(&index).unwrap();
    check("without its folder");
    assert_eq!(finds(&data).await, DOCUMENTS);
    for entry in fs::read_dir(index.join("words")).unwrap() {
        let path = entry.unwrap().path();
        let half = fs::metadata(&path).unwrap().len() / 2;
        fs::File::options().write(true).open(&path).unwrap().set_len(half).unwrap();
    }
    check("with every file cut in half");
    assert_eq!(finds(&data).await, DOCUMENTS);
    // What nobody of us made is left alone.
    fs::create_dir(index.join("words-set-aside-1")).unwrap();
    check("as it is");
    assert!(index.join("words-set-aside-1").exists());
    let said = reindex(&data, &[]);
    let (text, progress) = (said.stdout, said.stderr);
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("the record has 12 documents"), "{text}");
    let progress = String::from_utf8(progress).unwrap();
    assert!(progress.contains("12/12 documents"), "a pipe gets lines: {progress}");
    assert!(progress.contains("documents/s") && progress.contains("left"), "{progress}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_the_record_does_not_have_whole_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    filled(&data).await;
    {
        let store = DiskStore::<Fjall>::open(&data).unwrap();
        let rows = store.read(vec![Read::prefix("g")]).await.unwrap().remove(0);
        let chunk = rows.iter().find(|row| row.key[17] == b'k').unwrap();
        store.commit(Batch::new().delete(chunk.key.clone())).await.unwrap();
        assert!(document_keys::ordinal_of(&chunk.key).is_some());
        store.close().await.unwrap();
    }
    let (answer, code) = answer(&data);
    assert_eq!(code, Some(1), "{answer}");
    assert_eq!(answer["isWhole"], false);
    assert_eq!(answer["broken"].as_array().map(Vec::len), Some(1), "{answer}");
    assert_eq!(answer["taken"]["documents"], DOCUMENTS - 1, "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_a_server_holds_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let service = Service::on(&data).await;
    assert_eq!(reindex(&data, &[]).status.code(), Some(2));
    service.stop().await;
    let nowhere = reindex(&folder.path().join("none"), &[]);
    assert_eq!(nowhere.status.code(), Some(2), "{nowhere:?}");
}
