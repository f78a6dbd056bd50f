//! Keys sort as the layout says, and rows come back as they were written.

use proptest::prelude::*;

use crate::record::{
    Answer, ChangeRow, JobKind, RepeatRow, RowError, Scopes, decode, encode, keys,
};
use crate::types::{
    Change, DocumentPolicy, Incarnation, Policy, RequestId, Seq, SessionId, Shares, TenantId,
    Timestamp, UserId, Version,
};

fn tenant(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

fn session(text: &str) -> SessionId {
    SessionId::parse(text).unwrap()
}

#[test]
fn no_tenants_keys_begin_with_anothers_prefix() {
    let head = keys::head(&tenant("ab"), &session("s"));
    assert!(!head.starts_with(&keys::heads(&tenant("a"))));
    let user = UserId::parse("u").unwrap();
    let of_user = keys::session_of_user(&tenant("ab"), &user, &session("s"));
    assert!(!of_user.starts_with(&keys::sessions_of_user(&tenant("a"), &user)));
}

#[test]
fn a_key_names_what_it_was_made_of() {
    let end = keys::session_end(Timestamp(7), &tenant("t"), &session("s"));
    assert_eq!(keys::session_named_by(&end), Some((tenant("t"), session("s"))));
    let repeat = keys::repeat(&tenant("t"), b'a', RequestId(uuid::Uuid::from_u128(5)));
    let by_age = keys::repeat_by_age(Timestamp(9), &repeat);
    assert_eq!(keys::repeat_named_by(&by_age), repeat);
    let purge = keys::purge(Incarnation([3; 16]));
    assert_eq!(keys::incarnation_named_by(&purge), Some(Incarnation([3; 16])));
    assert_eq!(keys::last_id(&keys::head(&tenant("t"), &session("s-1"))), "s-1");
    assert_eq!(keys::last_id(&keys::tenant(&tenant("t-1"))), "t-1");
    assert_eq!(keys::last_id(b""), "");
}

#[test]
fn the_end_of_a_prefix_lies_after_all_its_keys() {
    assert_eq!(keys::after_prefix(b"ab"), b"ac");
    assert_eq!(keys::after_prefix(b"a\xff\xff"), b"b");
    assert_eq!(keys::after_prefix(b"\xff"), b"");
}

#[test]
fn a_row_of_a_later_version_is_refused_and_a_damaged_one_too() {
    let mut value = encode(&ChangeRow::default());
    assert_eq!(decode::<ChangeRow>(&value).unwrap(), ChangeRow::default());
    value[0] = 4;
    assert!(matches!(decode::<ChangeRow>(&value), Err(RowError::Encoding { found: Some(4) })));
    assert!(matches!(decode::<ChangeRow>(&[]), Err(RowError::Encoding { found: None })));
    assert!(matches!(decode::<ChangeRow>(&[3, 9]), Err(RowError::Damaged(_))));
}

#[test]
fn a_row_of_the_first_version_is_read_with_what_it_lacks_left_empty() {
    // One appended turn, nothing superseded, turn 3 erased: as version 1 wrote it.
    let value = [1, 1, 1, 1, 0, 1, 3];
    let row = decode::<ChangeRow>(&value).unwrap();
    assert_eq!(row.appended, Some((Seq(1), Seq(1))));
    assert_eq!(row.erased, [Seq(3)]);
    assert_eq!((row.embedded.len(), row.summaries), (0, false));
}

#[test]
fn a_policy_of_the_second_version_is_read_without_documents() {
    let value = [
        &[2, 7, 0xa0, 0x1f, 0xc0, 0x84, 0x3d][..], // version 7, budgets 4,000 and 1,000,000
        &[10, 50, 40, 0xc8, 1, 2, b'd', b'e'],     // shares, 200 turns, the language
        &[2, b'm', b'1', 0, 0, 1],                 // a model, none of its own, no fallback, words
        &[0, 0, 1, 60, 1],                         // summaries after an hour, switched off
    ];
    let policy = decode::<Policy>(&value.concat()).unwrap();
    assert_eq!((policy.version, policy.budget_tokens_max), (7, 1_000_000));
    assert_eq!((policy.shares, policy.model_default.as_str()), (Shares::DEFAULT, "m1"));
    assert_eq!(
        (policy.retrieval.language.as_str(), policy.summaries.idle_minutes),
        ("de", Some(60))
    );
    assert!(policy.summaries.off);
    assert_eq!(policy.documents, DocumentPolicy::default());
    assert_eq!(decode::<Policy>(&encode(&policy)).unwrap(), policy);
}

#[test]
fn a_job_and_a_waiting_session_are_named_by_their_keys() {
    let (owner, life) = (tenant("t"), Incarnation([5; 16]));
    let job = keys::job(&owner, life, JobKind::SummarizeIdle);
    let by_due = keys::job_by_due(Timestamp(-3), &job);
    let named = keys::job_named_by(&by_due);
    assert_eq!(named, Some((Timestamp(-3), owner.clone(), life, JobKind::SummarizeIdle)));
    let (from, to) = keys::jobs_until(Timestamp(-3));
    assert!(from <= by_due && by_due < to);
    assert!(keys::jobs_until(Timestamp(-4)).1 <= by_due);
    let waiting = keys::pending_session(&owner, life);
    assert_eq!(keys::pending_named_by(&waiting), Some((owner, life)));
}

#[test]
fn a_scope_holds_itself_and_no_other() {
    let both = Scopes::READ.and(Scopes::WRITE);
    assert!(both.holds(Scopes::READ) && both.holds(Scopes::WRITE));
    assert!(!both.holds(Scopes::ADMIN) && !Scopes::ADMIN.holds(both));
}

proptest! {
    #[test]
    fn keys_by_time_sort_by_time(a in any::<i64>(), b in any::<i64>()) {
        let key = |at| keys::session_end(Timestamp(at), &tenant("t"), &session("s"));
        prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
    }

    #[test]
    fn keys_by_seq_sort_by_seq(a in any::<u64>(), b in any::<u64>()) {
        let key = |seq| keys::turn(Incarnation([1; 16]), Seq(seq));
        prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
    }

    #[test]
    fn a_repeat_row_comes_back_as_it_was(
        hash in any::<[u8; 32]>(),
        turns in prop::collection::vec((any::<u64>(), any::<bool>()), 0..20),
        numbers in any::<(u64, u64, i64)>(),
    ) {
        let row = RepeatRow {
            request_hash: hash,
            answer: Answer::Appended {
                version: Version(numbers.0),
                change: Change(numbers.1),
                turns: turns.into_iter().map(|(seq, existed)| (Seq(seq), existed)).collect(),
                superseded: numbers.0,
            },
            at: Timestamp(numbers.2),
        };
        prop_assert_eq!(decode::<RepeatRow>(&encode(&row)).unwrap(), row);
    }
}
