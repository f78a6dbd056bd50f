//! A disk that is really full: a small file system in memory, which the test mounts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use keepsake::storage::disk::{DiskOptions, DiskStore, Kind};
use keepsake::storage::fjall::Fjall;
use keepsake::storage::sled::Sled;
use keepsake::storage::{Batch, CommitError, Read, Store, StoreErrorKind};

/// How large the disk is: what an engine needs for its own work fits several times.
const DISK: &str = "448m";

/// What is written at a time.
const VALUE_BYTES: usize = 256 << 10;

/// How long a store may take to see that there is space again: far more than it needs.
const RESUMES_WITHIN: Duration = Duration::from_secs(60);

/// A small disk, there until it is dropped.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// Mounts a disk; says so and gives nothing where this process may not.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let size = format!("size={DISK}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "none"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("SKIPPED: a full disk is not tried, this process may not mount a small one");
            return None;
        }
        Some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the space that is left.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut block = 1 << 20;
        let mut length = 0;
        let file = fs::File::create(&path).expect("the file can be made");
        let bytes = vec![1; block];
        while block > 0 {
            match std::os::unix::fs::FileExt::write_at(&file, &bytes[..block], length) {
                Ok(written) => length += written as u64,
                Err(_) => block /= 2,
            }
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A disk that stays mounted is seen by whoever runs the tests; nothing depends on it.
        Command::new("umount").arg("-l").arg(self.folder.path()).status().ok();
    }
}

fn key(n: u32) -> Vec<u8> {
    n.to_be_bytes().to_vec()
}

/// Writes from `n` on until the disk is full; gives the first number that was not written.
async fn write_until_full(store: &dyn Store, from: u32) -> u32 {
    let mut n = from;
    loop {
        let value = vec![n as u8; VALUE_BYTES];
        match store.commit(Batch::new().put(key(n), value)).await {
            Ok(_) => n += 1,
            Err(CommitError::Store(error)) if error.kind() == StoreErrorKind::Full => return n,
            Err(error) => panic!("{error:?}"),
        }
        assert!(n < from + 10_000, "the disk is never full");
    }
}

/// Commits, however long the store says that the disk is full.
async fn commit_when_there_is_space(store: &dyn Store, batch: Batch) {
    let committed = async {
        loop {
            match store.commit(batch.clone()).await {
                Ok(_) => return,
                Err(CommitError::Store(error)) if error.kind() == StoreErrorKind::Full => {
                    // The store tries again a second later.
                    tokio::task::yield_now().await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    let seen = tokio::time::timeout(RESUMES_WITHIN, committed).await;
    seen.expect("there is space, and the store sees it");
}

async fn write_when_there_is_space(store: &dyn Store, n: u32) {
    let batch = Batch::new().put(key(n), vec![n as u8; VALUE_BYTES]);
    commit_when_there_is_space(store, batch).await;
}

/// All rows are there, with their values, and no others.
async fn check_rows(store: &dyn Store, expected: &BTreeSet<u32>) {
    let rows = store.read(vec![Read::prefix("")]).await.expect("reads go on").remove(0);
    let found: Vec<_> = rows.iter().map(|row| row.key.to_vec()).collect();
    let keys: Vec<_> = expected.iter().map(|n| key(*n)).collect();
    assert!(found == keys, "{} rows, and {} were acknowledged", found.len(), keys.len());
    for (row, n) in rows.iter().zip(expected) {
        assert!(row.value == vec![*n as u8; VALUE_BYTES], "row {n} is as it was written");
    }
}

async fn on_a_full_disk_reads_go_on_and_writes_resume<K: Kind>() {
    let Some(disk) = Disk::mount() else { return };
    let folder = disk.path().join("data");
    let store = DiskStore::<K>::open(&folder).expect("there is space to begin");
    let mut kept = BTreeSet::new();
    for round in 0..2 {
        let from = round * 20_000;
        // The first time what fills the disk is the store, then it is somebody else.
        let filler = if round == 0 {
            let some = disk.path().join("ballast");
            fs::write(&some, vec![1; 288 << 20]).expect("there is space to begin");
            some
        } else {
            disk.fill()
        };
        let full_at = write_until_full(&store, from).await;
        kept.extend(from..full_at);
        check_rows(&store, &kept).await;
        fs::remove_file(filler).expect("the file is there");
        write_when_there_is_space(&store, from + 19_999).await;
        kept.insert(from + 19_999);
    }
    store.close().await.expect("the store is sound");
    drop(store);
    let store = DiskStore::<K>::open(&folder).expect("the folder opens");
    check_rows(&store, &kept).await;
}

#[tokio::test]
async fn on_a_full_disk_reads_go_on_and_writes_resume_on_fjall() {
    on_a_full_disk_reads_go_on_and_writes_resume::<Fjall>().await;
}

#[tokio::test]
async fn on_a_full_disk_reads_go_on_and_writes_resume_on_sled() {
    on_a_full_disk_reads_go_on_and_writes_resume::<Sled>().await;
}

#[tokio::test]
async fn a_store_stops_at_its_mark_of_free_space_and_goes_on_by_itself() {
    let Some(disk) = Disk::mount() else { return };
    let options = DiskOptions { free_bytes_min: 64 << 20, ..DiskOptions::default() };
    let folder = disk.path().join("data");
    let store = DiskStore::open_with(&folder, Sled, options).expect("there is space to begin");
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 352 << 20]).expect("there is space to begin");
    write_until_full(&store, 0).await;
    fs::write(disk.path().join("other"), vec![1; 16 << 20]).expect("the disk is not full");
    fs::remove_file(ballast).expect("the file is there");
    write_when_there_is_space(&store, 1_000).await;
}
