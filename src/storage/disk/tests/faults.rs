//! A store over an engine whose writes wait or fail when a test says so.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use futures::future::join_all;

use super::super::engine::{Engine, EngineError, Kind, Position, Recovered, Writes};
use super::super::{DiskOptions, DiskStore, GroupWritten};
use crate::storage::{
    Batch, CommitError, Erases, Read, Revision, Row, Store, StoreError, StoreErrorKind,
    fjall::Fjall, sled::Sled,
};

/// An engine of the kind `K` that does in its writes what a script says.
#[derive(Clone, Default)]
struct Scripted<K> {
    kind: K,
    script: Arc<Script>,
}

#[derive(Default)]
struct Script {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    shut: bool,
    fails: bool,
    /// What is written is kept, and told to have met a full disk.
    seems_full: bool,
    writes: usize,
}

impl Script {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait(&self, until: impl Fn(&State) -> bool) {
        drop(self.changed.wait_while(self.state.lock().unwrap(), |state| !until(state)).unwrap());
    }

    fn writes(&self) -> usize {
        self.state.lock().unwrap().writes
    }
}

struct ScriptedEngine<E> {
    engine: E,
    script: Arc<Script>,
}

impl<K: Kind> Kind for Scripted<K> {
    const NAME: &'static str = K::NAME;

    const SYNCED_BY_OPENING: bool = K::SYNCED_BY_OPENING;

    const ERASES: Erases = K::ERASES;

    type Engine = ScriptedEngine<K::Engine>;

    fn open(&self, path: &Path) -> Result<Self::Engine, EngineError> {
        let engine = self.kind.open(path)?;
        Ok(ScriptedEngine { engine, script: Arc::clone(&self.script) })
    }

    fn reserve_bytes(path: &Path) -> u64 {
        K::reserve_bytes(path)
    }

    fn damaged_list(path: &Path) -> io::Result<Option<PathBuf>> {
        K::damaged_list(path)
    }

    fn journals(path: &Path) -> io::Result<Vec<PathBuf>> {
        K::journals(path)
    }

    fn damaged(journals: &[PathBuf]) -> io::Result<Option<&PathBuf>> {
        K::damaged(journals)
    }
}

impl<E: Engine> Engine for ScriptedEngine<E> {
    fn recovered(&self) -> Result<Recovered, EngineError> {
        self.engine.recovered()
    }

    fn write(&self, writes: Writes, position: Position) -> Result<(), EngineError> {
        self.script.set(|state| state.writes += 1);
        self.script.wait(|state| !state.shut);
        if self.script.state.lock().unwrap().fails {
            return Err(EngineError::new(io::Error::from_raw_os_error(5)));
        }
        self.engine.write(writes, position)?;
        match self.script.state.lock().unwrap().seems_full {
            true => Err(EngineError::new(io::Error::from_raw_os_error(28))),
            false => Ok(()),
        }
    }

    fn revision(&self, key: &[u8]) -> Result<Option<Revision>, EngineError> {
        self.engine.revision(key)
    }

    fn read(&self, reads: &[Read]) -> Result<Vec<Vec<Row>>, EngineError> {
        self.engine.read(reads)
    }
}

async fn keys(store: &dyn Store) -> Vec<String> {
    let reads = vec![Read::prefix(""), Read::get("first")];
    let rows = store.read(reads).await.expect("the store reads").remove(0);
    rows.iter().map(|row| row.key.escape_ascii().to_string()).collect()
}

async fn put(store: &dyn Store, key: &'static str) {
    store.commit(Batch::new().put(key, "")).await.expect("the commit holds");
}

async fn reads_go_on_while_a_sync_takes_its_time<K: Kind>() {
    let folder = tempfile::tempdir().unwrap();
    let kind = Scripted::<K>::default();
    let script = Arc::clone(&kind.script);
    let groups = Arc::<Mutex<Vec<GroupWritten>>>::default();
    let note = Arc::clone(&groups);
    let options = DiskOptions {
        on_group: Some(Arc::new(move |group| note.lock().unwrap().push(*group))),
        ..DiskOptions::default()
    };
    let store = Arc::new(DiskStore::open_with(folder.path(), kind, options).unwrap());
    put(&*store, "first").await;
    script.set(|state| state.shut = true);
    let slow = Arc::clone(&store);
    let slow = tokio::spawn(async move { put(&*slow, "slow").await });
    let waiting = Arc::clone(&script);
    tokio::task::spawn_blocking(move || waiting.wait(|state| state.writes == 2)).await.unwrap();
    // The disk is at it, and stays so until this test is done with its reads.
    for _ in 0..3 {
        assert_eq!(keys(&*store).await, ["first"]);
    }
    assert!(!slow.is_finished());
    let more = (0..64_u8).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.commit(Batch::new().put(vec![b'm', n], "v")).await })
    });
    let more: Vec<_> = more.collect();
    while store.shared.queue.waiting() < more.len() {
        tokio::task::yield_now().await;
    }
    script.set(|state| state.shut = false);
    slow.await.unwrap();
    assert!(join_all(more).await.into_iter().all(|commit| commit.unwrap().is_ok()));
    assert_eq!(keys(&*store).await.len(), 66);
    let groups: Vec<_> = groups.lock().unwrap().iter().map(|g| (g.commits, g.bytes)).collect();
    assert_eq!(groups, [(1, 5), (1, 4), (64, 64 * 3)], "all that waited is one group");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_while_fjall_syncs() {
    reads_go_on_while_a_sync_takes_its_time::<Fjall>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_while_sled_syncs() {
    reads_go_on_while_a_sync_takes_its_time::<Sled>().await;
}

async fn a_failed_write_ends_the_store_and_is_never_tried_again<K: Kind>() {
    let folder = tempfile::tempdir().unwrap();
    let kind = Scripted::<K>::default();
    let script = Arc::clone(&kind.script);
    let store = DiskStore::open_with(folder.path(), kind, DiskOptions::default()).unwrap();
    put(&store, "first").await;
    script.set(|state| state.fails = true);
    for _ in 0..2 {
        let error = store.commit(Batch::new().put("second", "")).await.unwrap_err();
        let CommitError::Store(error) = error else { panic!("{error}") };
        assert_eq!(error.kind(), StoreErrorKind::Fault);
        script.set(|state| state.fails = false);
    }
    assert_eq!(script.writes(), 2, "the second commit does not reach the engine");
    assert!(matches!(store.faulted().await, StoreError::Fault { .. }));
    assert_eq!(store.close().await.unwrap_err().kind(), StoreErrorKind::Fault);
    let read = store.read(vec![Read::get("first")]).await;
    assert_eq!(read.unwrap_err().kind(), StoreErrorKind::Fault);
    drop(store);
    assert_eq!(keys(&DiskStore::<K>::open(folder.path()).unwrap()).await, ["first"]);
}

#[tokio::test]
async fn a_failed_write_of_fjall_ends_the_store() {
    a_failed_write_ends_the_store_and_is_never_tried_again::<Fjall>().await;
}

#[tokio::test]
async fn a_failed_write_of_sled_ends_the_store() {
    a_failed_write_ends_the_store_and_is_never_tried_again::<Sled>().await;
}

#[tokio::test]
async fn a_group_that_came_to_the_disk_after_all_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let kind = Scripted::<Sled>::default();
    let script = Arc::clone(&kind.script);
    let store = DiskStore::open_with(folder.path(), kind, DiskOptions::default()).unwrap();
    put(&store, "first").await;
    script.set(|state| state.seems_full = true);
    put(&store, "second").await;
    script.set(|state| state.seems_full = false);
    put(&store, "third").await;
    assert_eq!(keys(&store).await, ["first", "second", "third"]);
    store.close().await.expect("the store is sound");
    drop(store);
    let store = DiskStore::<Sled>::open(folder.path()).unwrap();
    assert_eq!(keys(&store).await, ["first", "second", "third"]);
}

#[tokio::test]
async fn on_a_nearly_full_disk_only_vital_commits_are_written() {
    let folder = tempfile::tempdir().unwrap();
    put(&DiskStore::<Fjall>::open(folder.path()).unwrap(), "first").await;
    let options = DiskOptions { free_bytes_min: u64::MAX, ..DiskOptions::default() };
    let store = DiskStore::<Fjall>::open_with(folder.path(), Fjall, options).unwrap();
    let batch = Batch::new().delete("first");
    let error = store.commit(batch.clone().put("second", "")).await.unwrap_err();
    let CommitError::Store(error @ StoreError::Full { .. }) = error else { panic!("{error}") };
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.ends_with("below 18446744073709551615 nothing is written"), "{source}");
    assert_eq!(keys(&store).await, ["first"], "reads go on");
    store.commit(Batch::new().absent("second")).await.expect("a check writes nothing");
    store.commit(batch.vital()).await.expect("a vital commit is written");
    assert!(keys(&store).await.is_empty());
}
