//! A node on fjall rids its own files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use keepsake::config::Settings;
use keepsake::proto::v1 as pb;

use super::scan::{Found, Kind, Needle, files, holds, scan};
use super::world::{
    begin, delete_document, delete_session, erase, erasure, ingest, make_often, needles, rows,
    settings, start, take_lives, talk,
};

/// The kinds of rows that content lies in: what was said, what was derived of it, vectors and
/// summaries; parts, chunks and vectors of a document; its description, and that of an upload.
const KINDS: [&str; 9] = ["it", "id", "iv", "is", "gp", "gk", "gv", "cd", "S"];

fn found_in(found: &Found, kind: Kind) -> BTreeSet<&str> {
    found.iter().filter(|(_, of)| *of == kind).map(|(name, _)| name.as_str()).collect()
}

#[track_caller]
fn must_hold(found: &Found, kind: Kind, names: &[&str]) {
    let there = found_in(found, kind);
    for name in names {
        assert!(there.contains(name), "the scan does not find `{name}` in {kind:?}: {there:?}");
    }
}

async fn needles_of(settings: &Settings, mark: &str) -> Vec<Needle> {
    needles(&rows(settings).await, mark)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_is_in_no_file_once_the_files_were_erased() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder.path().join("data"), "fjall");
    let data = settings.data.as_path();
    let service = start(&settings).await;
    make_often(&service).await;
    // The first comes to the tables, by an erasure of nothing.
    talk(&service, "first", "quokka").await;
    ingest(&service, "first", "quokka", "much").await;
    talk(&service, "kept", "wombat").await;
    ingest(&service, "kept", "wombat", "much").await;
    assert_eq!(erase(&service).await.held_by, "");
    // The second stays in the journal; of a document that is replaced there is an old content.
    talk(&service, "second", "numbat").await;
    ingest(&service, "second", "numbat", "little").await;
    begin(&service, "half", "dugong").await;
    service.stop().await;
    let [first, second, half, kept] =
        ["quokka", "numbat", "dugong", "wombat"].map(|mark| needles_of(&settings, mark));
    let (first, second) = (first.await, second.await);
    let (half, kept) = (half.await, kept.await);
    let all_lives = ["mark", "i life", "g life"];
    let found = scan(data, &first);
    must_hold(&found, Kind::Table, &[&KINDS[..], &all_lives].concat());
    assert!(found_in(&found, Kind::Words).contains("g life"), "the index names its contents");
    must_hold(&scan(data, &second), Kind::Journal, &[&KINDS[..], &all_lives].concat());
    must_hold(&scan(data, &half), Kind::Journal, &["mark", "gp", "co"]);
    must_hold(&scan(data, &kept), Kind::Table, &[&KINDS[..], &all_lives].concat());

    let service = start(&settings).await;
    ingest(&service, "second", "dingo", "something else").await;
    let receipt = delete_session(&service, "first").await.erasure.unwrap();
    assert_eq!(receipt.files(), pb::FileErasure::ByNode);
    assert!(receipt.erased_from_files_by.is_some());
    delete_document(&service, "first").await;
    delete_session(&service, "second").await;
    begin(&service, "half", "bilby").await;
    assert_eq!(erase(&service).await.held_by, "");
    let mut gone = [&first[..], &second, &half].concat();
    let lives = take_lives(&mut gone);
    let empty = Found::new();
    assert_eq!(scan(data, &gone), empty, "while the server runs");
    service.stop().await;
    assert_eq!(scan(data, &gone), empty, "after its end");
    for row in rows(&settings).await.iter().filter(|row| row.key[0] != b'j') {
        let of_one = |life: &Needle| holds(&row.key, &life.bytes) || holds(&row.value, &life.bytes);
        assert!(!lives.iter().any(of_one), "{}", row.key.escape_ascii());
    }
    must_hold(&scan(data, &kept), Kind::Table, &[&KINDS[..], &all_lives].concat());
    // What is left is whole, and was searched for: it can be found.
    let service = start(&settings).await;
    let request = pb::SearchRequest {
        query: "wombatword".into(),
        collections: vec!["notes".into()],
        ..Default::default()
    };
    let hits = service.memory().search(request).await.unwrap().into_inner().documents;
    let first = hits.into_iter().next().and_then(|hit| hit.citation).unwrap();
    assert_eq!(first.document_id, "kept");
    let state = erasure(&service).await;
    assert!(state.erased_before.is_some(), "it is known after a start");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_that_were_erased_leave_the_files_and_the_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder.path().join("data"), "fjall");
    let service = start(&settings).await;
    talk_twice(&service).await;
    service.stop().await;
    let data = settings.data.as_path();
    let needle = |mark: &str| vec![Needle { name: mark.into(), bytes: mark.into() }];
    must_hold(&scan(data, &needle("quokka")), Kind::Journal, &["quokka"]);
    let service = start(&settings).await;
    let erase_it =
        pb::DeleteTurnsRequest { session_id: "one".into(), seqs: vec![1], ..Default::default() };
    let receipt = service.memory().delete_turns(erase_it).await.unwrap().into_inner();
    assert_eq!(receipt.erasure.unwrap().files(), pb::FileErasure::ByNode);
    let state = erase(&service).await;
    let (deleted, before) = (receipt.delete_time.unwrap(), state.erased_before.unwrap());
    assert!((deleted.seconds, deleted.nanos) < (before.seconds, before.nanos));
    assert_eq!(scan(data, &needle("quokka")), Found::new());
    must_hold(&scan(data, &needle("wombat")), Kind::Table, &["wombat"]);
    service.stop().await;
}

async fn talk_twice(service: &crate::grpc::client::Service) {
    use crate::grpc::client::{append, user};
    let turns = vec![user("I met a quokka."), user("I met a wombat.")];
    service.memory().append_turns(append("one", turns)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn journals_that_were_set_aside_hold_it_and_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder.path().join("data"), "fjall");
    let service = start(&settings).await;
    talk_twice(&service).await;
    service.stop().await;
    let data: &Path = &settings.data;
    let aside = data.join("set-aside-1");
    fs::create_dir(&aside).unwrap();
    for path in files(&data.join("fjall")).iter().filter(|path| path.extension().is_some()) {
        if path.extension().unwrap() == "jnl" {
            fs::copy(path, aside.join(path.file_name().unwrap())).unwrap();
        }
    }
    let needle = vec![Needle { name: "quokka".into(), bytes: "quokka".into() }];
    must_hold(&scan(data, &needle), Kind::Aside, &["quokka"]);
    let service = start(&settings).await;
    delete_session(&service, "one").await;
    let state = erase(&service).await;
    assert_eq!((state.held_by.as_str(), state.erased_before), ("set-aside-1", None));
    must_hold(&scan(data, &needle), Kind::Aside, &["quokka"]);
    fs::remove_dir_all(&aside).unwrap();
    assert_eq!(erase(&service).await.held_by, "");
    assert_eq!(scan(data, &needle), Found::new());
    service.stop().await;
}
