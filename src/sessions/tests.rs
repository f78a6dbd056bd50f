//! Plans hold their preconditions, and groups of tool calls close.

use std::collections::BTreeSet;

use crate::context::LAYOUT_VERSION;
use crate::error::Reason;
use crate::record::{
    Answer, DerivedRow, Head, JobKind, JobRow, JobSet, JobState, SessionKind, Verb, keys,
};
use crate::retrieve::{ANALYSIS_VERSION, analyse};
use crate::sessions::{
    ATTEMPTS_MAX, Append, AppendFound, Behind, DeleteTurns, Erased, LEASE_MS, NewTurn, Repeat,
    Revised, SESSION_TURNS_MAX, Stored, backoff_ms, close_groups, plan_append, plan_delete_session,
    plan_delete_turns, plan_failed, plan_leased, plan_retried,
};
use crate::storage::{Batch, Precondition, Revision};
use crate::types::{
    Change, Group, Incarnation, Part, RequestId, Role, Seq, SessionId, Status, SummaryPolicy,
    TenantId, Timestamp, Turn, Version,
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

#[test]
fn turns_that_came_after_the_head_break_no_plan() {
    let head = head(0);
    let stored = Stored { seq: Seq(1), group: Group::None, superseded: false };
    let request = DeleteTurns {
        session: SessionId::parse("s").unwrap(),
        seqs: BTreeSet::from([Seq(1)]),
        expected_version: None,
    };
    let erased = Erased { turns: &[stored], summaries: &[] };
    let tenant = TenantId::parse("t").unwrap();
    let plan = plan_delete_turns(&tenant, &request, &head, None, erased, Timestamp(1), None);
    let batch = plan.unwrap().draft.into_batch();
    let expected =
        Precondition::Revision(keys::head(&tenant, &request.session).into(), head.revision);
    assert!(batch.preconditions().contains(&expected), "the commit conflicts");
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
        tail_tokens: 0,
        summarized_to: Seq(0),
        jobs: JobSet::default(),
        appended_at: Timestamp(0),
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
    let summaries = SummaryPolicy::default();
    let behind = Behind { derive: &derive, embeds: true, summaries: &summaries };
    plan_append(&tenant(), &request(turns), found, fresh, now, Some(&repeat), &behind)
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

fn job(state: JobState, due_at: i64, attempts: u32) -> Revised<JobRow> {
    let row = JobRow {
        kind: JobKind::Summarize,
        session: session(),
        incarnation: Incarnation([1; 16]),
        state,
        due_at: Timestamp(due_at),
        attempts,
        last_reason: String::new(),
        created_at: Timestamp(0),
    };
    Revised { row, revision: Revision(4) }
}

#[test]
fn a_lease_that_was_given_up_counts_as_an_attempt_and_the_last_one_is_the_end() {
    let now = Timestamp(5_000);
    let (_, leased) = plan_leased(&tenant(), &job(JobState::Waiting, 5_000, 2), now);
    let leased = leased.unwrap();
    assert_eq!((leased.state, leased.due_at.0), (JobState::Leased, 5_000 + LEASE_MS));
    assert_eq!(leased.attempts, 2);
    let (_, again) = plan_leased(&tenant(), &job(JobState::Leased, 5_000, 2), now);
    assert_eq!(again.unwrap().attempts, 3);
    let (_, kept) = plan_leased(&tenant(), &job(JobState::Leased, 9_000, 2), now);
    assert_eq!(kept.unwrap().attempts, 2, "a heartbeat is no attempt");
    let (draft, last) =
        plan_leased(&tenant(), &job(JobState::Leased, 5_000, ATTEMPTS_MAX - 1), now);
    assert!(last.is_none());
    let due = keys::jobs_until(Timestamp(i64::MAX - 1)).0;
    let filed =
        draft.into_batch().writes().any(|(key, value)| key.starts_with(&due) && value.is_some());
    assert!(!filed, "a dead job is not filed by a time");
}

#[test]
fn a_failed_job_waits_longer_each_time_until_it_is_dead() {
    let waits: Vec<i64> = (1..ATTEMPTS_MAX).map(|attempt| backoff_ms(attempt, 0.0)).collect();
    assert_eq!(&waits[..4], [1_000, 2_000, 4_000, 8_000]);
    assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
    assert_eq!(backoff_ms(u32::MAX, 1.0), 22 * 60_000 + 30_000);
    let failed = |attempts| {
        let job = job(JobState::Leased, 0, attempts);
        let draft = plan_failed(&tenant(), &job, "INTERNAL", 0.0, Timestamp(10));
        let batch = draft.into_batch();
        let key = keys::job(&tenant(), Incarnation([1; 16]), JobKind::Summarize);
        let value = batch.writes().find(|(written, _)| written.as_ref() == key).unwrap().1.unwrap();
        crate::record::decode::<JobRow>(value).unwrap()
    };
    let first = failed(0);
    assert_eq!((first.state, first.due_at.0, first.attempts), (JobState::Waiting, 1_010, 1));
    assert_eq!(first.last_reason, "INTERNAL");
    assert_eq!(failed(ATTEMPTS_MAX - 1).state, JobState::Dead);
}

#[test]
fn a_dead_job_is_retried_by_hand_and_a_running_one_is_left_to_its_worker() {
    let now = Timestamp(100);
    let (_, next) = plan_retried(&tenant(), &job(JobState::Dead, 7, 12), now).unwrap();
    assert_eq!((next.state, next.due_at, next.attempts), (JobState::Waiting, now, 0));
    assert!(plan_retried(&tenant(), &job(JobState::Leased, 101, 0), now).is_none());
    assert!(plan_retried(&tenant(), &job(JobState::Leased, 100, 0), now).is_some());
}
