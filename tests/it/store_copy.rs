//! A record copied from one engine to the other and back.

use std::path::Path;

use keepsake::storage::disk::{Copied, CopyError, DiskStore, Kind, copy, engine_of};
use keepsake::storage::fjall::Fjall;
use keepsake::storage::sled::Sled;
use keepsake::storage::{Batch, Read, Revision, Row, Store};

async fn all<K: Kind>(folder: &Path) -> Vec<Row> {
    let store = DiskStore::<K>::open(folder).expect("the folder opens");
    store.read(vec![Read::prefix("")]).await.expect("the store reads").remove(0)
}

/// Two thousand rows, some of many parts, some empty, some gone again; the last commit deletes.
async fn fill<K: Kind>(folder: &Path) -> Revision {
    let store = DiskStore::<K>::open(folder).expect("a new folder opens");
    let mut last = Revision(0);
    for n in 0..40_u32 {
        let put = |batch: Batch, m: u32| {
            let length = if m == 7 { 100_000 } else { (m * 11) as usize };
            batch.put(format!("{:05}", (m * 40 + n) * 7 % 2_000), vec![n as u8; length])
        };
        let batch = (0..50).fold(Batch::new(), put);
        last = store.commit(batch).await.expect("the commit holds");
    }
    let gone = (0..9).fold(Batch::new(), |batch, n| batch.delete(format!("{:05}", n * 70)));
    last = last.max(store.commit(gone).await.expect("the commit holds"));
    last
}

async fn check_both_ways<F: Kind, T: Kind>() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let name = |name: &str| folder.path().join(name);
    let last = fill::<F>(&name("first")).await;
    let mut told = Vec::new();
    let there = copy::<F, T>(&name("first"), &name("second"), |copied: &Copied| {
        told.push(copied.rows);
    });
    let there = there.expect("the record can be copied");
    let back = copy::<T, F>(&name("second"), &name("third"), |_| {}).expect("and back");
    assert_eq!(there, back);
    assert_eq!(told, [512, 1024, 1536, 1991, 1991], "it tells how far it has come");
    assert_eq!(
        (engine_of(&name("second")).ok(), engine_of(&name("third")).ok()),
        (Some(T::NAME), Some(F::NAME))
    );
    let rows = all::<F>(&name("first")).await;
    assert_eq!(rows.len() as u64, there.rows);
    assert!(all::<T>(&name("second")).await == rows);
    assert!(all::<F>(&name("third")).await == rows);
    // Preconditions hold as before, and revisions go on after the last one, which has no row.
    let store = DiskStore::<T>::open(&name("second")).expect("the folder opens");
    let row = &rows[100];
    let batch = Batch::new().revision(row.key.clone(), row.revision).put("new", "");
    assert_eq!(store.commit(batch).await.expect("the commit holds"), Revision(last.0 + 1));
}

#[tokio::test]
async fn fjall_to_sled_and_back_is_the_same_record() {
    check_both_ways::<Fjall, Sled>().await;
}

#[tokio::test]
async fn sled_to_fjall_and_back_is_the_same_record() {
    check_both_ways::<Sled, Fjall>().await;
}

#[tokio::test]
async fn an_empty_record_is_copied_with_the_number_of_its_last_commit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let store = DiskStore::<Fjall>::open(&from).expect("a new folder opens");
    store.commit(Batch::new().put("a", "")).await.expect("the commit holds");
    store.commit(Batch::new().delete("a")).await.expect("the commit holds");
    drop(store);
    assert_eq!(copy::<Fjall, Sled>(&from, &to, |_| {}).expect("it can be copied").rows, 0);
    let store = DiskStore::<Sled>::open(&to).expect("the copy opens");
    let next = store.commit(Batch::new().put("a", "")).await.expect("the commit holds");
    assert_eq!(next, Revision(3));
}

#[test]
fn a_folder_without_a_record_or_with_two_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let error = engine_of(folder.path()).expect_err("there is none");
    assert!(error.to_string().ends_with("holds no record of an engine on disk"), "{error}");
    for name in [Fjall::NAME, Sled::NAME] {
        std::fs::create_dir(folder.path().join(name)).expect("the folder can be made");
    }
    let error = engine_of(folder.path()).expect_err("there are two");
    assert!(matches!(error, CopyError::Engines { .. }));
    assert!(error.to_string().ends_with("several engines: fjall, sled"), "{error}");
}
