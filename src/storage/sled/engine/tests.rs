use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

use super::super::Sled;
use super::super::rows::{self, PART_BYTES};
use super::SledEngine;
use crate::storage::{
    KEY_BYTES_MAX, Order, Read, Revision, Row,
    disk::{Engine, Kind, Position, Recovered, Writes},
};

type Model = BTreeMap<Bytes, (Revision, Bytes)>;

fn open(folder: &Path) -> SledEngine {
    Sled.open(&folder.join("sled")).expect("the folder opens")
}

fn position(group: u64) -> Position {
    Position { group, revision: Revision(group) }
}

fn writes(group: u64, pairs: &[(Bytes, Option<usize>)]) -> Writes {
    let value = |bytes: usize| (Revision(group), vec![group as u8; bytes].into());
    pairs.iter().map(|(key, bytes)| (key.clone(), bytes.map(value))).collect()
}

fn note(model: &mut Model, writes: &Writes) {
    for (key, write) in writes {
        match write {
            Some(write) => model.insert(key.clone(), write.clone()),
            None => model.remove(key),
        };
    }
}

#[track_caller]
fn check_sees(found: Vec<Row>, model: &Model, order: Order, limit: usize) {
    let row = |(key, (revision, value)): (&Bytes, &(Revision, Bytes))| Row {
        key: key.clone(),
        revision: *revision,
        value: value.clone(),
    };
    let expected: Vec<Row> = match order {
        Order::Ascending => model.iter().take(limit).map(row).collect(),
        Order::Descending => model.iter().rev().take(limit).map(row).collect(),
    };
    assert!(found == expected, "{found:?}\n{expected:?}");
}

#[test]
fn settings_that_a_first_start_did_not_finish_are_made_anew() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("sled");
    fs::create_dir(&path).expect("the folder can be made");
    fs::write(path.join("conf"), "segment_size: 2").expect("it can be written");
    drop(open(folder.path()));
    assert!(path.join("db").exists());
}

/// One of nine keys, and a value of no, one or several parts, or its deletion.
fn write() -> impl Strategy<Value = (Bytes, Option<usize>)> {
    let bytes = prop_oneof![
        Just(None),
        (0..40_usize).prop_map(Some),
        (PART_BYTES - 1..PART_BYTES * 3).prop_map(Some),
    ];
    (0..9_u8, bytes).prop_map(|(key, bytes)| (vec![b'k', key].into(), bytes))
}

/// What a group writes, and whether a reader begins before it.
type Step = (Vec<(Bytes, Option<usize>)>, bool);

fn check_readers(groups: Vec<Step>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = open(folder.path());
    let mut model = Model::new();
    let mut readers = Vec::new();
    for (group, (pairs, reads)) in (1..).zip(groups) {
        if reads {
            readers.push((engine.undo.reader(), model.clone()));
        }
        let writes = writes(group, &pairs);
        note(&mut model, &writes);
        engine.write(writes, position(group)).expect("the group is written");
    }
    readers.push((engine.undo.reader(), model));
    for (reader, model) in readers {
        for (order, limit) in [
            (Order::Ascending, usize::MAX),
            (Order::Ascending, 3),
            (Order::Descending, 2),
            (Order::Descending, usize::MAX),
        ] {
            let read = Read::Range { from: Bytes::new(), to: None, limit, order };
            let found = engine.rows(&reader, &read).expect("the engine reads");
            check_sees(found, &model, order, limit);
        }
        for key in 0..9_u8 {
            let key: Bytes = vec![b'k', key].into();
            let found = engine.rows(&reader, &Read::Get(key.clone())).expect("the engine reads");
            let one = model.get_key_value(&key).map(|(k, v)| (k.clone(), v.clone()));
            check_sees(found, &one.into_iter().collect(), Order::Ascending, 1);
        }
    }
    assert_eq!(engine.undo.kept(), 0, "what nobody needs is forgotten");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_reader_sees_what_was_published_when_it_began(
        groups in vec((vec(write(), 0..6), any::<bool>()), 1..20)
    ) {
        check_readers(groups);
    }
}

#[test]
fn a_group_is_hidden_until_it_is_published() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = open(folder.path());
    let mut model = Model::new();
    let first = writes(1, &[("a".into(), Some(9000)), ("c".into(), Some(1))]);
    note(&mut model, &first);
    engine.write(first, position(1)).expect("the group is written");
    let second = writes(2, &[("a".into(), Some(1)), ("b".into(), Some(1)), ("c".into(), None)]);
    // All that a write does except the sync and what follows it.
    let before = second.keys().map(|key| (key.clone(), engine.current(key).expect("it reads")));
    let before: super::Before = before.collect();
    engine.undo.hide(2, before.clone());
    engine.apply(second.clone(), &before, position(2)).expect("the group is applied");
    let all = || engine.read(&[Read::prefix("")]).expect("the engine reads").remove(0);
    check_sees(all(), &model, Order::Ascending, usize::MAX);
    engine.undo.publish(2);
    note(&mut model, &second);
    check_sees(all(), &model, Order::Ascending, usize::MAX);
}

#[test]
fn no_value_leaves_the_log_for_a_file_of_its_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = open(folder.path());
    let long = |n: u32| -> Bytes {
        let mut key = n.to_be_bytes().to_vec();
        // Keys that differ at their end too, so that none of them can be shortened.
        key.resize(KEY_BYTES_MAX - 4, b'k');
        key.extend_from_slice(&n.to_be_bytes());
        key.into()
    };
    for group in 0..40_u32 {
        let keys =
            (0..100).map(|n| (long(n * 40 + group), Some(if n == 0 { 1 << 20 } else { 4096 })));
        let pairs: Vec<_> = keys.collect();
        let group = u64::from(group) + 1;
        engine.write(writes(group, &pairs), position(group)).expect("the group is written");
    }
    let blobs = fs::read_dir(folder.path().join("sled/blobs")).expect("sled makes it");
    assert_eq!(blobs.count(), 0);
    drop(engine);
    let engine = open(folder.path());
    assert_eq!(engine.recovered().expect("it reads"), Recovered::Whole(position(40)));
    let rows = engine.read(&[Read::prefix("")]).expect("the engine reads").remove(0);
    assert_eq!(rows.len(), 4000);
}

#[test]
fn a_snapshot_that_was_not_finished_does_not_keep_a_folder_shut() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = open(folder.path());
    engine.write(writes(1, &[("a".into(), Some(1))]), position(1)).expect("it is written");
    drop(engine);
    let unfinished = folder.path().join("sled/snap.00000000FFFFFFFF.generating");
    fs::write(&unfinished, "cut off").expect("the file can be written");
    let engine = open(folder.path());
    assert_eq!(engine.recovered().expect("it reads"), Recovered::Whole(position(1)));
    assert!(!unfinished.exists());
}

#[test]
fn a_row_that_is_not_what_was_written_is_named_and_not_given() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = open(folder.path());
    engine.write(writes(1, &[("a".into(), Some(9000))]), position(1)).expect("it is written");
    let part = rows::part_key(b"a", 2);
    engine.rows.insert(part, vec![0; 808]).expect("sled writes");
    let error = engine.read(&[Read::get("a")]).expect_err("the row is damaged");
    let chain = format!("{}: {}", error.source, error.source.source().expect("it has a source"));
    assert!(chain.contains("/sled/db`: the row `a` is damaged"), "{chain}");
}
