//! The store on disk against the model: the same calls, the same answers.

use bytes::Bytes;
use keepsake::storage::disk::{DiskStore, Kind};
use keepsake::storage::fjall::Fjall;
use keepsake::storage::sled::Sled;
use keepsake::storage::{Batch, CommitError, MemStore, Order, Read, Revision, Row, Store};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use tokio::runtime::Runtime;

#[derive(Debug, Clone)]
enum Step {
    Commit { demands: Vec<(u8, Demand)>, writes: Vec<(u8, Option<Bytes>)> },
    Read(Vec<Read>),
    Reopen,
}

/// A precondition, made true or false by what the model holds when its turn comes.
#[derive(Debug, Clone, Copy)]
enum Demand {
    Holds,
    Absent,
    Revision(u64),
}

/// Eight keys, one a prefix of another, with the bytes at both ends of the order among them.
fn key(name: u8) -> Bytes {
    let keys: [&'static [u8]; 8] =
        [b"\0", b"a", b"a\0", b"aa", b"a\xff", b"b", b"\xff", b"\xff\xff"];
    Bytes::from_static(keys[usize::from(name) % keys.len()])
}

fn step() -> impl Strategy<Value = Step> {
    let demand = prop_oneof![
        6 => Just(Demand::Holds),
        1 => Just(Demand::Absent),
        1 => (0..40_u64).prop_map(Demand::Revision),
    ];
    let value = prop_oneof![
        1 => Just(None),
        3 => vec(any::<u8>(), 0..40).prop_map(|bytes| Some(bytes.into())),
        1 => (4_000..9_000_usize).prop_map(|length| Some(vec![b'x'; length].into())),
    ];
    let commit = (vec((0..8_u8, demand), 0..3), vec((0..8_u8, value), 0..5))
        .prop_map(|(demands, writes)| Step::Commit { demands, writes });
    let order = prop_oneof![Just(Order::Ascending), Just(Order::Descending)];
    let limit = prop_oneof![Just(usize::MAX), 0..5_usize];
    let range = (0..9_u8, 0..9_u8, limit, order).prop_map(|(from, to, limit, order)| {
        let from = if from == 8 { Bytes::new() } else { key(from) };
        Read::Range { from, to: (to < 8).then(|| key(to)), limit, order }
    });
    let read = prop_oneof![(0..8_u8).prop_map(|name| Read::Get(key(name))), range];
    prop_oneof![
        12 => commit,
        6 => vec(read, 0..4).prop_map(Step::Read),
        1 => Just(Step::Reopen),
    ]
}

async fn everything(store: &dyn Store) -> Vec<Row> {
    store.read(vec![Read::prefix("")]).await.expect("the store reads").remove(0)
}

async fn batch(
    model: &MemStore,
    demands: &[(u8, Demand)],
    writes: &[(u8, Option<Bytes>)],
) -> Batch {
    let rows = everything(model).await;
    let mut batch = Batch::new();
    for (name, demand) in demands {
        let current = rows.iter().find(|row| row.key == key(*name)).map(|row| row.revision);
        batch = match (demand, current) {
            (Demand::Holds, Some(revision)) => batch.revision(key(*name), revision),
            (Demand::Revision(revision), _) => batch.revision(key(*name), Revision(*revision)),
            (Demand::Holds, None) | (Demand::Absent, _) => batch.absent(key(*name)),
        };
    }
    for (name, value) in writes {
        batch = match value {
            Some(value) => batch.put(key(*name), value.clone()),
            None => batch.delete(key(*name)),
        };
    }
    batch
}

/// A commit's answer in a form that can be compared.
fn answer(committed: Result<Revision, CommitError>) -> Result<Revision, Bytes> {
    committed.map_err(|error| match error {
        CommitError::Conflict { key } => key,
        CommitError::Store(error) => panic!("{error}"),
    })
}

async fn check<K: Kind>(steps: Vec<Step>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let open = || DiskStore::<K>::open(folder.path()).expect("the folder opens");
    let (model, mut disk) = (MemStore::new(), open());
    for step in steps {
        match step {
            Step::Commit { demands, writes } => {
                let batch = batch(&model, &demands, &writes).await;
                let expected = answer(model.commit(batch.clone()).await);
                assert_eq!(answer(disk.commit(batch).await), expected);
            }
            Step::Read(reads) => {
                let expected = model.read(reads.clone()).await.expect("the model reads");
                assert_eq!(disk.read(reads).await.expect("the store reads"), expected);
            }
            Step::Reopen => {
                drop(disk);
                disk = open();
            }
        }
    }
    drop(disk);
    assert_eq!(everything(&open()).await, everything(&model).await);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_store_on_disk_answers_as_the_model_does(steps in vec(step(), 1..60)) {
        Runtime::new().expect("a runtime").block_on(check::<Fjall>(steps));
    }

    #[test]
    fn the_store_on_sled_answers_as_the_model_does(steps in vec(step(), 1..60)) {
        Runtime::new().expect("a runtime").block_on(check::<Sled>(steps));
    }
}
