//! What every engine of the store keeps, tried on each of them.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use keepsake::storage::disk::{DiskStore, Kind};
use keepsake::storage::fjall::Fjall;
use keepsake::storage::sled::Sled;
use keepsake::storage::{
    BATCH_BYTES_MAX, Batch, CommitError, Erased, Erases, KEY_BYTES_MAX, MemStore, Read, Revision,
    Row, Store, StoreError, StoreErrorKind,
};

/// A store, and what must outlive it.
struct Tried {
    store: Arc<dyn Store>,
    _folder: Option<tempfile::TempDir>,
}

fn mem() -> Tried {
    Tried { store: Arc::new(MemStore::new()), _folder: None }
}

fn disk<K: Kind>() -> Tried {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = DiskStore::<K>::open(folder.path()).expect("a new folder opens");
    Tried { store: Arc::new(store), _folder: Some(folder) }
}

macro_rules! contract {
    ($($claim:ident)*) => {
        mod on_mem {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                super::$claim(super::mem().store).await;
            })*
        }
        mod on_fjall {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                let tried = super::disk::<super::Fjall>();
                super::$claim(tried.store.clone()).await;
            })*
        }
        mod on_sled {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                let tried = super::disk::<super::Sled>();
                super::$claim(tried.store.clone()).await;
            })*
        }
    };
}

contract! {
    a_commit_is_read_back_with_its_revision
    ranges_run_both_ways_and_stop_at_their_limit
    keys_are_ordered_as_bytes_and_values_may_be_empty
    a_batch_whose_precondition_fails_writes_nothing
    preconditions_follow_every_change_of_a_key
    a_batch_without_writes_only_checks
    a_read_shows_whole_commits_only
    of_many_commits_on_an_absent_key_one_wins
    counters_lose_no_commit_among_many_callers
    what_a_failed_neighbour_wrote_is_never_seen
    bad_sizes_are_refused_and_change_nothing
    erasing_from_the_files_leaves_the_rows_as_they_are
    a_closed_store_answers_closed
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

async fn commit(store: &dyn Store, batch: Batch) -> Revision {
    store.commit(batch).await.expect("the commit holds")
}

async fn conflict(store: &dyn Store, batch: Batch) -> Bytes {
    match store.commit(batch).await {
        Err(CommitError::Conflict { key }) => key,
        other => panic!("a conflict was due, not {other:?}"),
    }
}

async fn rows(store: &dyn Store, read: Read) -> Vec<Row> {
    store.read(vec![read]).await.expect("the store reads").remove(0)
}

/// The keys of the rows in the order given, as text.
async fn keys(store: &dyn Store, read: Read) -> String {
    let rows = rows(store, read).await;
    let keys: Vec<_> = rows.iter().map(|row| row.key.escape_ascii().to_string()).collect();
    keys.join(" ")
}

async fn a_commit_is_read_back_with_its_revision(store: Arc<dyn Store>) {
    let first = commit(&*store, Batch::new().put("a", "1").put("b", "2")).await;
    let second = commit(&*store, Batch::new().put("b", "3").delete("none")).await;
    assert!(Revision(0) < first && first < second);
    let reads = vec![Read::get("a"), Read::get("c"), Read::prefix(""), Read::get("b")];
    let a = Row { key: bytes("a"), revision: first, value: bytes("1") };
    let b = Row { key: bytes("b"), revision: second, value: bytes("3") };
    let answer = store.read(reads).await.expect("the store reads");
    assert_eq!(answer, [vec![a.clone()], vec![], vec![a, b.clone()], vec![b]]);
    assert!(store.read(vec![]).await.expect("the store reads").is_empty());
}

async fn ranges_run_both_ways_and_stop_at_their_limit(store: Arc<dyn Store>) {
    let store = &*store;
    let put = |batch: Batch, key: &'static str| batch.put(key, key);
    commit(store, ["a", "b", "ba", "bb", "c"].into_iter().fold(Batch::new(), put)).await;
    commit(store, Batch::new().delete("bb").put("bc", "")).await;
    assert_eq!(keys(store, Read::prefix("b")).await, "b ba bc");
    assert_eq!(keys(store, Read::prefix("b").descending()).await, "bc ba b");
    assert_eq!(keys(store, Read::range("b", "bc")).await, "b ba");
    assert_eq!(keys(store, Read::range("aa", "bb")).await, "b ba");
    assert_eq!(keys(store, Read::range("", "z").limit(2)).await, "a b");
    assert_eq!(keys(store, Read::range("", "z").limit(2).descending()).await, "c bc");
    assert_eq!(keys(store, Read::prefix("").limit(0)).await, "");
    assert_eq!(keys(store, Read::range("c", "a")).await, "");
    assert_eq!(keys(store, Read::range("b", "b").descending()).await, "");
    assert_eq!(keys(store, Read::prefix("d")).await, "");
}

async fn keys_are_ordered_as_bytes_and_values_may_be_empty(store: Arc<dyn Store>) {
    let store = &*store;
    let odd: [&'static [u8]; 6] = [b"\0", b"\0\0", b"\x01", b"a\0b", b"\xff", b"\xff\xff"];
    commit(store, odd.into_iter().fold(Batch::new(), |batch, key| batch.put(key, ""))).await;
    let all = r"\x00 \x00\x00 \x01 a\x00b \xff \xff\xff";
    assert_eq!(keys(store, Read::prefix("")).await, all);
    assert_eq!(keys(store, Read::prefix(&b"\xff"[..])).await, r"\xff \xff\xff");
    assert_eq!(keys(store, Read::prefix(&b"\0"[..]).descending()).await, r"\x00\x00 \x00");
    let empty = rows(store, Read::get(&b"\0"[..])).await;
    assert_eq!(empty[0].value, Bytes::new());
    let long = vec![b'k'; KEY_BYTES_MAX];
    commit(store, Batch::new().put(long.clone(), vec![7; 1 << 20])).await;
    assert_eq!(rows(store, Read::get(long)).await[0].value, vec![7; 1 << 20]);
}

async fn a_batch_whose_precondition_fails_writes_nothing(store: Arc<dyn Store>) {
    let store = &*store;
    let first = commit(store, Batch::new().put("a", "1")).await;
    let stale = Batch::new().absent("b").revision("a", Revision(first.0 + 1)).put("b", "2");
    assert_eq!(conflict(store, stale).await, "a");
    let two = Batch::new().absent("a").revision("b", first).put("b", "2").delete("a");
    assert_eq!(conflict(store, two).await, "a", "the first one that fails is named");
    assert_eq!(keys(store, Read::prefix("")).await, "a");
    commit(store, Batch::new().absent("b").revision("a", first).put("b", "2")).await;
    assert_eq!(keys(store, Read::prefix("")).await, "a b");
}

async fn preconditions_follow_every_change_of_a_key(store: Arc<dyn Store>) {
    let store = &*store;
    let first = commit(store, Batch::new().absent("a").put("a", "1")).await;
    let second = commit(store, Batch::new().revision("a", first).put("a", "1")).await;
    conflict(store, Batch::new().revision("a", first).put("a", "2")).await;
    commit(store, Batch::new().revision("a", second).delete("a")).await;
    conflict(store, Batch::new().revision("a", second).put("a", "2")).await;
    let again = commit(store, Batch::new().absent("a").put("a", "1")).await;
    assert!(again > second, "a key that comes back has no revision it had before");
}

async fn a_batch_without_writes_only_checks(store: Arc<dyn Store>) {
    let store = &*store;
    assert_eq!(commit(store, Batch::new()).await, Revision(0));
    let first = commit(store, Batch::new().put("a", "1")).await;
    assert_eq!(commit(store, Batch::new().revision("a", first).absent("b")).await, first);
    assert_eq!(conflict(store, Batch::new().absent("a")).await, "a");
}

/// Sixteen writers keep two keys equal; readers must never see them differ.
async fn a_read_shows_whole_commits_only(store: Arc<dyn Store>) {
    let writers = (0..16).map(|writer: u32| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for round in 0..8_u32 {
                let value = format!("{writer} {round}");
                let batch = Batch::new().put("left", value.clone()).put("right", value);
                let revision = commit(&*store, batch).await;
                let both = vec![Read::get("left"), Read::prefix("right")];
                let both = store.read(both).await.expect("the store reads");
                assert_eq!(both[0][0].value, both[1][0].value);
                assert_eq!(both[0][0].revision, both[1][0].revision);
                assert!(both[0][0].revision >= revision, "an acknowledged commit is seen");
            }
        })
    });
    for writer in join_all(writers).await {
        writer.expect("no writer fails");
    }
}

async fn of_many_commits_on_an_absent_key_one_wins(store: Arc<dyn Store>) {
    let commits = (0..64).map(|caller: u32| {
        let store = Arc::clone(&store);
        let batch = Batch::new().absent("key").put("key", caller.to_string()).put("last", "x");
        tokio::spawn(async move { (caller, store.commit(batch).await) })
    });
    let mut won = Vec::new();
    for commit in join_all(commits).await {
        match commit.expect("no caller fails") {
            (caller, Ok(revision)) => won.push((caller, revision)),
            (_, Err(error)) => assert!(matches!(error, CommitError::Conflict { .. }), "{error}"),
        }
    }
    let [(caller, revision)] = won[..] else { panic!("one wins, not {won:?}") };
    let row = Row { key: bytes("key"), revision, value: caller.to_string().into() };
    assert_eq!(rows(&*store, Read::get("key")).await, [row]);
}

async fn counters_lose_no_commit_among_many_callers(store: Arc<dyn Store>) {
    let callers = (0..16).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut own = Vec::new();
            while own.len() < 4 {
                own.extend(count_up(&*store).await);
            }
            own
        })
    });
    let revisions: Vec<Vec<_>> =
        join_all(callers).await.into_iter().map(|own| own.expect("no caller fails")).collect();
    assert!(revisions.iter().all(|own| own.is_sorted()), "a caller's revisions grow");
    let distinct: HashSet<_> = revisions.iter().flatten().collect();
    assert_eq!(distinct.len(), 64, "each commit has its own revision");
    assert_eq!(rows(&*store, Read::get("count")).await[0].value, "64");
}

/// Adds one to the counter; gives nothing when another was faster.
async fn count_up(store: &dyn Store) -> Option<Revision> {
    let read = rows(store, Read::get("count")).await;
    let (batch, count) = match read.first() {
        None => (Batch::new().absent("count"), 0),
        Some(row) => {
            let text = std::str::from_utf8(&row.value).expect("the count is text");
            let count: u32 = text.parse().expect("the count is a number");
            (Batch::new().revision("count", row.revision), count)
        }
    };
    match store.commit(batch.put("count", (count + 1).to_string())).await {
        Ok(revision) => Some(revision),
        Err(CommitError::Conflict { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Good and bad commits in one group: the bad ones leave nothing, the good ones all.
async fn what_a_failed_neighbour_wrote_is_never_seen(store: Arc<dyn Store>) {
    commit(&*store, Batch::new().put("taken", "")).await;
    let commits = (0..128_u32).map(|n| {
        let key = format!("{} {n:03}", if n % 2 == 0 { "good" } else { "bad" });
        let batch = Batch::new().put(key, "");
        store.commit(if n % 2 == 0 { batch } else { batch.absent("taken") })
    });
    let done = join_all(commits).await;
    assert_eq!(done.iter().filter(|commit| commit.is_ok()).count(), 64);
    assert_eq!(rows(&*store, Read::prefix("good")).await.len(), 64);
    assert_eq!(rows(&*store, Read::prefix("bad")).await, []);
}

async fn bad_sizes_are_refused_and_change_nothing(store: Arc<dyn Store>) {
    for batch in [
        Batch::new().put("a", "").put("", ""),
        Batch::new().put("a", "").put(vec![0; KEY_BYTES_MAX + 1], ""),
        Batch::new().put("a", vec![0; BATCH_BYTES_MAX]),
    ] {
        match store.commit(batch).await {
            Err(CommitError::Store(error)) => assert_eq!(error.kind(), StoreErrorKind::Invalid),
            other => panic!("a refusal was due, not {other:?}"),
        }
    }
    assert_eq!(rows(&*store, Read::prefix("")).await, []);
}

/// Others read and write meanwhile; what erasing does to files is looked at in `erasure/`.
async fn erasing_from_the_files_leaves_the_rows_as_they_are(store: Arc<dyn Store>) {
    let put = |batch: Batch, n: u32| batch.put(format!("{n:04}"), vec![n as u8; 3_000]);
    commit(&*store, (0..500).fold(Batch::new(), put)).await;
    commit(&*store, (0..100).fold(Batch::new(), |batch, n| batch.delete(format!("{n:04}")))).await;
    let before = rows(&*store, Read::prefix("0")).await;
    assert_eq!(before.len(), 400);
    let erasing = store.erase();
    let writing = async {
        for n in 0..20_u32 {
            commit(&*store, Batch::new().put(format!("new {n}"), "x")).await;
            assert_eq!(rows(&*store, Read::prefix("0")).await, before);
        }
    };
    let (erased, ()) = futures::join!(erasing, writing);
    let expected = match store.erases() {
        Erases::AtOnce | Erases::WhenAsked => Erased::Done,
        Erases::ByCopy => Erased::ByCopy,
    };
    assert_eq!(erased.expect("it can"), expected);
    assert_eq!(rows(&*store, Read::prefix("0")).await, before);
    assert_eq!(rows(&*store, Read::prefix("new")).await.len(), 20);
    store.close().await.expect("it closes");
    assert!(matches!(store.erase().await, Ok(Erased::Done) | Err(StoreError::Closed)));
}

async fn a_closed_store_answers_closed(store: Arc<dyn Store>) {
    let taken: Vec<_> = (0..8_u32)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.commit(Batch::new().put(n.to_string(), "")).await })
        })
        .collect();
    store.close().await.expect("the store closes");
    store.close().await.expect("a second close does nothing");
    for commit in join_all(taken).await {
        match commit.expect("no caller fails") {
            Ok(_) | Err(CommitError::Store(StoreError::Closed)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(matches!(store.read(vec![]).await, Err(StoreError::Closed)));
    let late = store.commit(Batch::new().put("a", "")).await;
    assert!(matches!(late, Err(CommitError::Store(StoreError::Closed))));
}
