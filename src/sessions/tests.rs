//! Plans hold their preconditions, and groups of tool calls close.

use std::collections::BTreeSet;

use crate::context::LAYOUT_VERSION;
use crate::error::Reason;
use crate::record::{Answer, DerivedRow, Head, SessionKind, Verb, keys};
use crate::retrieve::{ANALYSIS_VERSION, analyse};
use crate::sessions::{
    Append, AppendFound, NewTurn, Repeat, Revised, SESSION_TURNS_MAX, Stored, close_groups,
    plan_append, plan_delete_session,
};
use crate::storage::{Batch, Precondition, Revision};
use crate::types::{
    Change, Group, Incarnation, Part, RequestId, Role, Seq, SessionId, Status, TenantId, Timestamp,
    Turn, Version,
};

/// Turns as text: `u` alone, `c` with calls, `r` results; a capital letter: superseded. What is
/// erased when the turns with these seqs are wanted.
#[track_caller]
fn check(turns: &str, wanted: &[u64], erased: &[u64]) {
    let around: Vec<_> = (1..)
        .zip(turns.chars())
        .map(|(seq, kind)| Stored {
            seq: Seq(seq),
            group: match kind.to_ascii_lowercase() {
                'c' => Group::Calls,
                'r' => Group::Results,
                _ => Group::None,
            },
            superseded: kind.is_ascii_uppercase(),
        })
        .collect();
    let wanted: BTreeSet<_> = wanted.iter().copied().map(Seq).collect();
    let closed: Vec<_> = close_groups(&around, &wanted).iter().map(|turn| turn.seq.0).collect();
    assert_eq!(closed, erased, "{turns} {wanted:?}");
}

#[test]
fn a_turn_alone_takes_nothing_along() {
    check("ucru", &[1], &[1]);
    check("ucru", &[1, 4], &[1, 4]);
    check("ucru", &[9], &[]);
}

#[test]
fn a_call_and_its_results_go_together() {
    check("ucrru", &[2], &[2, 3, 4]);
    check("ucrru", &[4], &[2, 3, 4]);
    check("crcr", &[3], &[3, 4]);
    check("ccr", &[2], &[2, 3]);
    check("rru", &[1], &[1, 2]);
}

#[test]
fn a_superseded_turn_parts_no_group_of_living_ones() {
    check("cUr", &[3], &[1, 3]);
    check("cUr", &[1], &[1, 3]);
    check("cUr", &[2], &[2]);
    check("cRr", &[3], &[1, 2, 3]);
}

fn tenant() -> TenantId {
    TenantId::parse("t").unwrap()
}

fn session() -> SessionId {
    SessionId::parse("s").unwrap()
}

fn request(turns: usize) -> Append {
    let turn = NewTurn {
        role: Role::User,
        name: String::new(),
        parts: vec![Part::Text("hello".into())],
        created_at: None,
        external_id: String::new(),
        metadata: Default::default(),
        status: Status::Complete,
    };
    Append {
        session: session(),
        user: None,
        turns: vec![turn; turns],
        expected_version: None,
        replace_from: None,
    }
}

fn head(turns_stored: u64) -> Revised<Head> {
    let row = Head {
        incarnation: Incarnation([1; 16]),
        user: None,
        version: Version(4),
        change: Change(5),
        last_seq: Seq(turns_stored),
        turns_living: turns_stored,
        turns_stored,
        pinned_instructions: String::new(),
        metadata: Default::default(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        ttl_ms: Some(60_000),
        kind: SessionKind::Seen,
        forked_from: None,
    };
    Revised { row, revision: Revision(9) }
}

fn derive(turn: &Turn) -> DerivedRow {
    DerivedRow {
        analysis_version: ANALYSIS_VERSION,
        layout_version: LAYOUT_VERSION,
        terms: analyse(turn, ""),
        counts: Vec::new(),
    }
}

fn planned(found: &AppendFound, turns: usize) -> Result<(Batch, Answer), Reason> {
    let repeat = Repeat {
        tenant: tenant(),
        verb: Verb::AppendTurns,
        request: RequestId(uuid()),
        hash: [2; 32],
    };
    let fresh = Incarnation([3; 16]);
    let now = Timestamp(1_000);
    plan_append(&tenant(), &request(turns), found, fresh, now, Some(&repeat), &derive)
        .map(|plan| (plan.draft.into_batch(), plan.answer))
        .map_err(|failure| failure.reason())
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::from_u128(7)
}

#[test]
fn a_plan_expects_its_head_as_it_was_read_and_its_repeat_absent() {
    let (batch, answer) =
        planned(&AppendFound { head: Some(head(3)), ..AppendFound::default() }, 2).unwrap();
    let expected = [
        Precondition::Revision(keys::head(&tenant(), &session()).into(), Revision(9)),
        Precondition::Absent(keys::repeat(&tenant(), b'a', RequestId(uuid())).into()),
    ];
    assert_eq!(batch.preconditions(), expected);
    let Answer::Appended { version, change, turns, superseded } = answer else { panic!() };
    assert_eq!((version, change, superseded), (Version(5), Change(6), 0));
    assert_eq!(turns, [(Seq(4), false), (Seq(5), false)]);
    let (batch, _) = planned(&AppendFound::default(), 1).unwrap();
    let absent = Precondition::Absent(keys::head(&tenant(), &session()).into());
    assert_eq!(batch.preconditions()[0], absent);
}

#[test]
fn a_full_session_takes_no_more_turns() {
    let found = |stored| AppendFound { head: Some(head(stored)), ..AppendFound::default() };
    assert!(planned(&found(SESSION_TURNS_MAX - 2), 2).is_ok());
    assert_eq!(planned(&found(SESSION_TURNS_MAX - 1), 2).unwrap_err(), Reason::SessionFull);
}

#[test]
fn the_end_of_a_session_leaves_a_purge_and_takes_its_rows_of_lists_away() {
    let plan = plan_delete_session(&tenant(), &session(), &head(3), None, Timestamp(9), None);
    assert_eq!(plan.answer, Answer::SessionDeleted { turns: 3, at: Timestamp(9) });
    let batch = plan.draft.into_batch();
    let written = |key: Vec<u8>| {
        let mut writes = batch.writes();
        writes.find(|(written, _)| written.as_ref() == key).map(|(_, value)| value.is_some())
    };
    assert_eq!(written(keys::head(&tenant(), &session())), Some(false));
    assert_eq!(written(keys::purge(Incarnation([1; 16]))), Some(true));
    let end = keys::session_end(Timestamp(60_000), &tenant(), &session());
    assert_eq!(written(end), Some(false));
}
