//! What the store on disk keeps beyond the contract: its folder, its mark, the journals of fjall.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use keepsake::storage::disk::{DiskStore, FORMAT_VERSION, Kind, OpenError};
use keepsake::storage::fjall::{Fjall, FjallStore};
use keepsake::storage::sled::Sled;
use keepsake::storage::{Batch, Read, Row, Store};

/// Claims that hold with every engine.
macro_rules! with_every_engine {
    ($($claim:ident)*) => {
        mod on_fjall {
            $(#[tokio::test]
            async fn $claim() {
                super::$claim::<super::Fjall>().await;
            })*
        }
        mod on_sled {
            $(#[tokio::test]
            async fn $claim() {
                super::$claim::<super::Sled>().await;
            })*
        }
    };
}

with_every_engine! {
    reopening_keeps_every_row_with_its_revision
    a_dropped_store_has_kept_what_it_acknowledged
    a_second_store_on_the_same_folder_is_refused
    a_newer_format_is_refused_by_name_and_left_as_it_is
    a_folder_of_an_older_format_is_taken_over_and_then_of_this_one
    data_without_a_readable_format_is_refused
    the_folder_is_for_its_owner_only
    a_damaged_mark_is_refused
    a_folder_of_another_engine_is_refused_by_name
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn open<K: Kind>(folder: &Path) -> DiskStore<K> {
    DiskStore::open(folder).expect("the folder opens")
}

#[track_caller]
fn refused<K: Kind>(folder: &Path) -> OpenError {
    DiskStore::<K>::open(folder).expect_err("the folder must be refused")
}

async fn all(store: &dyn Store) -> Vec<Row> {
    store.read(vec![Read::prefix("")]).await.expect("the store reads").remove(0)
}

/// Writes `commits` groups of a few rows each, and gives all rows.
async fn fill<K: Kind>(folder: &Path, commits: u32) -> Vec<Row> {
    let store = open::<K>(folder);
    for n in 0..commits {
        let batch = Batch::new().put(n.to_string(), vec![b'v'; 300]).put("last", n.to_string());
        store.commit(batch).await.expect("the commit holds");
    }
    all(&store).await
}

fn journal(folder: &Path) -> PathBuf {
    folder.join("fjall/0.jnl")
}

/// The length of a journal without the zeros that it is filled up with.
fn written_length(path: &Path) -> u64 {
    let bytes = fs::read(path).expect("the journal is there");
    let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    (bytes.len() - zeros) as u64
}

fn cut(path: &Path, length: u64) {
    let file = OpenOptions::new().write(true).open(path).expect("the file is there");
    file.set_len(length).expect("the file can be cut");
}

fn flip(path: &Path, at: u64, bit: u32) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).expect("it is there");
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).expect("the place is in the file");
    file.read_exact(&mut byte).expect("the place is in the file");
    file.seek(SeekFrom::Start(at)).expect("the place is in the file");
    file.write_all(&[byte[0] ^ (1 << bit)]).expect("the file can be written");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder can be made");
    for entry in fs::read_dir(from).expect("the folder is there") {
        let entry = entry.expect("the folder can be read");
        let copy = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &copy);
        } else {
            fs::copy(entry.path(), copy).expect("the file can be copied");
        }
    }
}

async fn reopening_keeps_every_row_with_its_revision<K: Kind>() {
    let folder = folder();
    let before = fill::<K>(folder.path(), 20).await;
    let store = open::<K>(folder.path());
    assert_eq!(all(&store).await, before);
    let next = store.commit(Batch::new().put("new", "")).await.expect("the commit holds");
    assert!(before.iter().all(|row| row.revision < next), "revisions go on where they were");
    store.close().await.expect("the store closes");
    assert_eq!(all(&open::<K>(folder.path())).await.len(), before.len() + 1);
}

async fn a_dropped_store_has_kept_what_it_acknowledged<K: Kind>() {
    let folder = folder();
    let before = fill::<K>(folder.path(), 3).await;
    for _ in 0..3 {
        assert_eq!(all(&open::<K>(folder.path())).await, before);
    }
}

async fn a_second_store_on_the_same_folder_is_refused<K: Kind>() {
    let folder = folder();
    let store = open::<K>(folder.path());
    let error = refused::<K>(folder.path());
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    store.close().await.expect("the store closes");
    open::<K>(folder.path());
}

async fn a_newer_format_is_refused_by_name_and_left_as_it_is<K: Kind>() {
    let folder = folder();
    drop(open::<K>(folder.path()));
    let newer = format!("keepsake {}\n", FORMAT_VERSION + 1);
    fs::write(folder.path().join("FORMAT"), &newer).expect("FORMAT can be written");
    let error = refused::<K>(folder.path());
    assert!(matches!(error, OpenError::FormatNewer { found: 4, .. }), "{error}");
    assert!(error.to_string().contains("has format 4"), "{error}");
    let after = fs::read_to_string(folder.path().join("FORMAT")).expect("FORMAT is there");
    assert_eq!(after, newer);
}

async fn a_folder_of_an_older_format_is_taken_over_and_then_of_this_one<K: Kind>() {
    let folder = folder();
    drop(open::<K>(folder.path()));
    for older in 1..FORMAT_VERSION {
        let text = format!("keepsake {older}\n");
        fs::write(folder.path().join("FORMAT"), text).expect("FORMAT can be written");
        drop(open::<K>(folder.path()));
        let after = fs::read_to_string(folder.path().join("FORMAT")).expect("FORMAT is there");
        assert_eq!(after, format!("keepsake {FORMAT_VERSION}\n"));
    }
}

async fn data_without_a_readable_format_is_refused<K: Kind>() {
    let folder = folder();
    drop(open::<K>(folder.path()));
    for text in ["", "keepsake", "keepsake 0", "keepsake one", "other 1", "\u{0}\u{1}"] {
        fs::write(folder.path().join("FORMAT"), text).expect("FORMAT can be written");
        let error = refused::<K>(folder.path());
        assert!(matches!(error, OpenError::FormatUnreadable { .. }), "{text:?}: {error}");
    }
    fs::remove_file(folder.path().join("FORMAT")).expect("FORMAT can be removed");
    let error = refused::<K>(folder.path());
    assert!(matches!(error, OpenError::FormatMissing { .. }), "{error}");
}

async fn the_folder_is_for_its_owner_only<K: Kind>() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let made = folder.path().join("by/the/store");
    drop(open::<K>(&made));
    let found = folder.path().join("found");
    fs::create_dir(&found).expect("the folder can be made");
    fs::set_permissions(&found, fs::Permissions::from_mode(0o755)).expect("the mode can be set");
    drop(open::<K>(&found));
    for path in [made, found] {
        let mode = fs::metadata(path).expect("the folder is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[tokio::test]
async fn a_cut_journal_is_refused_by_name_and_set_aside_first() {
    let folder = folder();
    fill::<Fjall>(folder.path(), 20).await;
    let journal = journal(folder.path());
    let length = written_length(&journal);
    cut(&journal, length - 1);
    let damaged = fs::read(&journal).expect("the journal is there");
    let error = refused::<Fjall>(folder.path());
    let OpenError::GroupsLost { missing: 20, last: 20, aside: Some(aside), .. } = &error else {
        panic!("the lost group is named, not: {error}");
    };
    assert!(error.to_string().contains("group 20 of 20 is missing"), "{error}");
    assert_eq!(aside, &folder.path().join("set-aside-1"));
    let kept = fs::read(aside.join("0.jnl")).expect("the journal was set aside");
    assert!(kept == damaged, "the copy is as the journal was before the engine cut it");
    assert!(
        matches!(refused::<Fjall>(folder.path()), OpenError::GroupsLost { .. }),
        "still refused"
    );
}

#[tokio::test]
async fn without_its_mark_a_folder_goes_on_with_what_is_there() {
    let folder = folder();
    let before = fill::<Fjall>(folder.path(), 20).await;
    let journal = journal(folder.path());
    cut(&journal, written_length(&journal) - 1);
    refused::<Fjall>(folder.path());
    fs::remove_file(folder.path().join("MARK")).expect("MARK can be removed");
    assert_eq!(all(&open::<Fjall>(folder.path())).await.len(), before.len() - 1);
}

#[tokio::test]
async fn a_torn_group_that_was_never_acknowledged_is_dropped() {
    let folder = folder();
    let before = fill::<Fjall>(folder.path(), 5).await;
    let journal = journal(folder.path());
    let length = written_length(&journal);
    let mut bytes = fs::read(&journal).expect("the journal is there");
    // The number of a batch follows its tag and its number of items; a later one is greater.
    bytes[5..13].copy_from_slice(&1_000_000_u64.to_le_bytes());
    let mut file = File::options().write(true).open(&journal).expect("the journal is there");
    file.seek(SeekFrom::Start(length)).expect("the place is in the file");
    file.write_all(&bytes[..200]).expect("the journal can be written");
    drop(file);
    assert_eq!(all(&open::<Fjall>(folder.path())).await, before);
    let left = fs::read_dir(folder.path()).expect("the folder is there");
    let names = left.map(|entry| entry.expect("it can be read").file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().starts_with("set-aside")));
}

#[tokio::test]
async fn a_flipped_bit_of_a_journal_never_loses_a_row_in_silence() {
    let folder = folder();
    let sound = folder.path().join("sound");
    let before = fill::<Fjall>(&sound, 12).await;
    let length = written_length(&journal(&sound));
    cut(&journal(&sound), length);
    let mut refusals = 0;
    for n in 0..96_u32 {
        let damaged = folder.path().join(format!("damaged-{n}"));
        copy_folder(&sound, &damaged);
        flip(&journal(&damaged), u64::from(n) * (length - 1) / 95, n % 8);
        match FjallStore::open(&damaged) {
            Ok(store) => assert!(all(&store).await == before, "flip {n} changed a row"),
            Err(
                OpenError::GroupsLost { .. }
                | OpenError::Engine { .. }
                | OpenError::JournalDamaged { .. },
            ) => refusals += 1,
            Err(error) => panic!("flip {n}: {error}"),
        }
    }
    assert!(refusals > 60, "{refusals} of 96 flips were refused");
}

async fn a_folder_of_another_engine_is_refused_by_name<K: Kind>() {
    let folder = folder();
    let (other, message) = if K::NAME == "fjall" {
        drop(open::<Sled>(folder.path()));
        ("sled", "holds the record of the engine `sled`, not of `fjall`")
    } else {
        drop(open::<Fjall>(folder.path()));
        ("fjall", "holds the record of the engine `fjall`, not of `sled`")
    };
    let error = refused::<K>(folder.path());
    assert!(matches!(&error, OpenError::OtherEngine { found, .. } if *found == other), "{error}");
    assert!(error.to_string().contains(message), "{error}");
    assert!(!folder.path().join(K::NAME).exists(), "nothing was made for the other engine");
}

async fn a_damaged_mark_is_refused<K: Kind>() {
    let folder = folder();
    drop(open::<K>(folder.path()));
    fs::write(folder.path().join("MARK"), "").expect("MARK can be written");
    let error = refused::<K>(folder.path());
    assert!(matches!(error, OpenError::MarkDamaged { .. }), "{error}");
}

/// fjall itself does not compare the checksum: with fewer levels it would leave tables out.
#[tokio::test]
async fn a_damaged_list_of_tables_is_refused_by_name() {
    let folder = folder();
    fill::<Fjall>(folder.path(), 3).await;
    let keyspace = folder.path().join("fjall/keyspaces/1");
    let entries = fs::read_dir(&keyspace).expect("fjall makes it");
    let names = entries.map(|entry| entry.expect("it can be read").path());
    let is_list = |path: &PathBuf| path.to_string_lossy().contains("/v");
    let list = names.into_iter().find(is_list).expect("there is a list of tables");
    let length = fs::metadata(&list).expect("it is there").len();
    for at in 0..length {
        flip(&list, at, 1);
        let error = refused::<Fjall>(folder.path());
        assert!(matches!(&error, OpenError::ListDamaged { path } if *path == list), "{error}");
        flip(&list, at, 1);
    }
    open::<Fjall>(folder.path());
}
