//! The order of sessions that wait.

use crate::memory::behind::backlog::{Backlog, SESSIONS_MAX, WHOLE};
use crate::types::{Incarnation, Seq, SessionId, TenantId, Timestamp};

fn tenant(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

fn noted(backlog: &Backlog, text: &str) {
    for (at, word) in text.split(' ').enumerate() {
        let (owner, number) = word.split_once(':').unwrap();
        let incarnation = Incarnation([number.parse().unwrap(); 16]);
        let session = SessionId::parse(number).unwrap();
        let id = (&tenant(owner), incarnation, &session);
        backlog.note(id, (Seq(1), Seq(3)), Timestamp(at as i64));
    }
}

/// The sessions in the order in which they are taken, each done at once.
fn order(backlog: &Backlog) -> String {
    let mut taken = Vec::new();
    while let Some(next) = backlog.take() {
        taken.push(format!("{}:{}", next.tenant, next.session));
        backlog.done(&next);
    }
    taken.join(" ")
}

#[test]
fn tenants_take_turns_and_the_newest_session_comes_first() {
    let backlog = Backlog::default();
    noted(&backlog, "a:1 a:2 a:3 b:4 c:5 c:6");
    assert_eq!(order(&backlog), "a:3 b:4 c:6 a:2 c:5 a:1");
    assert_eq!(backlog.is_empty(), (true, false));
}

#[test]
fn a_session_that_was_asked_about_comes_before_newer_ones() {
    let backlog = Backlog::default();
    noted(&backlog, "a:1 a:2 a:3");
    backlog.asked(&tenant("a"), Incarnation([1; 16]));
    assert_eq!(order(&backlog), "a:1 a:3 a:2");
}

#[test]
fn a_taken_session_is_given_to_nobody_else_and_keeps_what_is_noted_meanwhile() {
    let backlog = Backlog::default();
    noted(&backlog, "a:1");
    let taken = backlog.take().unwrap();
    assert!(backlog.take().is_none());
    noted(&backlog, "a:1");
    backlog.done(&taken);
    assert_eq!(backlog.take().unwrap().range, Some((Seq(1), Seq(3))));
}

#[test]
fn a_session_that_is_given_back_is_looked_through_again_for_what_is_missing() {
    let backlog = Backlog::default();
    noted(&backlog, "a:1");
    let id = (&tenant("a"), Incarnation([1; 16]), &SessionId::parse("1").unwrap());
    backlog.note_missing(id, Timestamp(0));
    let taken = backlog.take().unwrap();
    assert!(taken.missing);
    backlog.give_back(&taken);
    let again = backlog.take().unwrap();
    assert_eq!((again.missing, again.range), (true, Some((Seq(1), Seq(3)))));
}

#[test]
fn newer_turns_come_before_the_rest_of_older_ones() {
    let backlog = Backlog::default();
    noted(&backlog, "a:1");
    let taken = backlog.take().unwrap();
    let id = (&taken.tenant, taken.incarnation, &taken.session);
    backlog.note(id, (Seq(9), Seq(12)), Timestamp(5));
    backlog.put_back(&taken, Some((Seq(1), Seq(2))));
    assert_eq!(backlog.take().unwrap().range, Some((Seq(9), Seq(12))));
}

#[test]
fn the_oldest_turn_is_known_until_its_session_is_done() {
    let backlog = Backlog::default();
    noted(&backlog, "a:1 b:2");
    assert_eq!(backlog.oldest(), (2, Some(Timestamp(0))));
    let first = backlog.take().unwrap();
    backlog.done(&first);
    assert_eq!(backlog.oldest(), (1, Some(Timestamp(1))));
}

#[test]
fn sessions_beyond_the_limit_are_left_to_the_store() {
    let backlog = Backlog::default();
    for at in 0..=SESSIONS_MAX as u64 {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&at.to_be_bytes());
        let session = SessionId::parse(&at.to_string()).unwrap();
        let id = (&tenant("a"), Incarnation(bytes), &session);
        backlog.note(id, WHOLE, Timestamp(0));
    }
    assert_eq!(backlog.oldest().0, SESSIONS_MAX);
    assert_eq!(backlog.is_empty(), (false, true));
}
