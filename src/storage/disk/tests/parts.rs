use std::fs;

use super::super::engine::{Position, Recovered};
use super::super::mark::Mark;
use super::super::queue::{COMMITS_WAITING_MAX, Queue, WAITING_BYTES_MAX, Waiting};
use crate::storage::{Batch, Revision, StoreError, StoreErrorKind};

#[track_caller]
fn check_groups(groups: &[u64], expected: Recovered) {
    let row = |group: &u64| Position { group: *group, revision: Revision(group * 10) };
    assert_eq!(Recovered::of_ring(groups.iter().map(row).collect(), 4), expected);
}

fn whole(group: u64) -> Recovered {
    Recovered::Whole(Position { group, revision: Revision(group * 10) })
}

#[test]
fn the_last_groups_are_whole_when_each_has_its_place() {
    check_groups(&[], whole(0));
    check_groups(&[1, 2, 3], whole(3));
    check_groups(&[4, 1, 2, 3], whole(4));
    check_groups(&[8, 5, 6, 7], whole(8));
}

#[test]
fn a_group_missing_before_the_last_one_is_named() {
    check_groups(&[1, 3], Recovered::Hole { missing: 2, last: 3 });
    check_groups(&[2, 3], Recovered::Hole { missing: 1, last: 3 });
    check_groups(&[8, 5, 2, 7], Recovered::Hole { missing: 6, last: 8 });
    check_groups(&[8, 1, 2, 7], Recovered::Hole { missing: 5, last: 8 });
}

#[test]
fn a_mark_keeps_the_greatest_number_that_is_whole() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("MARK");
    let mut mark = Mark::create(&path, 0).expect("the mark can be made");
    for number in 1..=7 {
        mark.write(number).expect("the mark can be written");
        let (_, read) = Mark::open(&path).expect("it can be read").expect("it is whole");
        assert_eq!(read, number);
    }
    let mut bytes = fs::read(&path).expect("it can be read");
    bytes[4096 + 7] ^= 1;
    fs::write(&path, &bytes).expect("it can be written");
    let (_, read) = Mark::open(&path).expect("it can be read").expect("a slot is whole");
    assert_eq!(read, 6, "the slot of group 7 is damaged");
    bytes[3] ^= 1;
    fs::write(&path, &bytes).expect("it can be written");
    assert!(Mark::open(&path).expect("it can be read").is_none());
}

fn waiting(bytes: usize) -> Waiting {
    let batch = Batch::new().put("k", vec![0; bytes - 1]);
    Waiting { batch, answer: tokio::sync::oneshot::channel().0 }
}

#[track_caller]
fn check_overloaded(queue: &Queue, bytes: usize) {
    let error = queue.push(waiting(bytes)).expect_err("the queue must be full");
    assert_eq!(error.kind(), StoreErrorKind::Overloaded);
}

#[test]
fn a_queue_refuses_what_is_over_its_number_or_its_bytes() {
    let queue = Queue::default();
    for _ in 0..COMMITS_WAITING_MAX {
        queue.push(waiting(1)).expect("there is room");
    }
    check_overloaded(&queue, 1);
    assert_eq!(queue.take(usize::MAX).len(), COMMITS_WAITING_MAX);
    queue.push(waiting(WAITING_BYTES_MAX)).expect("there is room again");
    check_overloaded(&queue, 1);
}

#[test]
fn a_queue_gives_as_many_commits_as_fit_and_always_one() {
    let queue = Queue::default();
    for bytes in [10, 20, 30, 99, 5] {
        queue.push(waiting(bytes)).expect("there is room");
    }
    let groups: Vec<_> = (0..3).map(|_| queue.take(60).len()).collect();
    assert_eq!(groups, [3, 1, 1]);
}

#[test]
fn an_ended_queue_gives_what_waits_and_takes_nothing_more() {
    let queue = Queue::default();
    queue.push(waiting(1)).expect("there is room");
    queue.end(StoreError::Closed);
    assert!(matches!(queue.push(waiting(1)), Err(StoreError::Closed)));
    queue.end(super::super::fault("test the end", std::io::Error::other("of the test")));
    queue.end(StoreError::Closed);
    let error = queue.push(waiting(1)).expect_err("it has ended");
    assert_eq!(error.kind(), StoreErrorKind::Fault, "a fault overrules a close");
    assert_eq!((queue.take(9).len(), queue.take(9).len()), (1, 0));
}
