//! Planning an append: which turns are new, what they supersede, and all the rows of one commit.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::error::{Failure, Reason};
use crate::planted::{self, Bug};
use crate::record::{Answer, ChangeRow, Head, JobSet, SessionKind, UserHead, keys};
use crate::sessions::{
    Behind, Draft, Repeat, Revised,
    behind::{forget_turn, queue_work, void},
};
use crate::summarize::Span;
use crate::types::{
    Change, Incarnation, Metadata, Part, Role, Seq, SessionId, Status, TenantId, Timestamp, Turn,
    UserId, Version,
};

/// The most turns a session may store: a partition is searched whole, in memory.
pub const SESSION_TURNS_MAX: u64 = 100_000;

/// A turn to append, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewTurn {
    /// Who it is from.
    pub role: Role,
    /// The speaker's name, or empty.
    pub name: String,
    /// At least one part with content.
    pub parts: Vec<Part>,
    /// When it was said; `None`: the time of the commit.
    pub created_at: Option<Timestamp>,
    /// The client's id for it, or empty.
    pub external_id: String,
    /// Free labels.
    pub metadata: Metadata,
    /// Whether it came to its end.
    pub status: Status,
}

/// A request to append, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Append {
    /// The session, which may not exist yet.
    pub session: SessionId,
    /// The user, if the request names one.
    pub user: Option<UserId>,
    /// The turns, at least one.
    pub turns: Vec<NewTurn>,
    /// The version that the session must have.
    pub expected_version: Option<Version>,
    /// Supersede all turns from here on.
    pub replace_from: Option<Seq>,
}

/// What was read for an append, at one snapshot each.
#[derive(Debug, Default)]
pub struct AppendFound {
    /// The head, if the session exists.
    pub head: Option<Revised<Head>>,
    /// The head of the session's user, if it has one that exists.
    pub user: Option<Revised<UserHead>>,
    /// The seqs of the request's external ids that are known.
    pub external: BTreeMap<String, Seq>,
    /// The living turns from `replace_from` on.
    pub living_from: Vec<Seq>,
    /// What the session's summaries cover, when `replace_from` reaches one.
    pub summaries: Vec<Span>,
}

/// What an append does.
#[derive(Debug)]
pub struct AppendPlan {
    /// The commit.
    pub draft: Draft,
    /// The answer when it succeeds.
    pub answer: Answer,
}

/// Plans an append. `fresh` is the incarnation of the session if this append creates it; `behind`
/// says what is derived from a turn at once, and what is done behind the acknowledgement.
///
/// A turn whose external id is known, or came earlier in the request, is not appended; when none
/// is left, nothing is superseded either, and only the repeat row is written.
///
/// # Errors
/// `USER_MISMATCH`, `VERSION_MISMATCH` (with `current_version`), `SEQ_OUT_OF_RANGE`,
/// `SESSION_FULL`.
pub fn plan_append(
    tenant: &TenantId,
    request: &Append,
    found: &AppendFound,
    fresh: Incarnation,
    now: Timestamp,
    repeat: Option<&Repeat>,
    behind: &Behind<'_>,
) -> Result<AppendPlan, Failure> {
    check(request, found)?;
    let mut head = match &found.head {
        Some(head) => head.row.clone(),
        None => new_head(request, fresh, now),
    };
    let (turns, outcome) = sort_out(request, found, &head, now);
    let mut draft = Draft::new(tenant.clone());
    draft.expect_head(&request.session, found.head.as_ref());
    let mut superseded = Vec::new();
    if !turns.is_empty() {
        if head.turns_stored + turns.len() as u64 > SESSION_TURNS_MAX {
            return Err(full(&request.session));
        }
        superseded.clone_from(&found.living_from);
        write_turns(&mut draft, &mut head, &turns, &superseded, behind);
        let from = request.replace_from.filter(|_| !superseded.is_empty());
        let nothing = BTreeSet::new();
        let session = &request.session;
        let summaries =
            void(&mut draft, session, &mut head, &found.summaries, (&nothing, from), now);
        queue_work(&mut draft, session, &mut head, &turns, behind, now);
        let row = ChangeRow {
            appended: turns.first().zip(turns.last()).map(|(a, b)| (a.seq, b.seq)),
            superseded_from: from,
            summaries,
            ..ChangeRow::default()
        };
        draft.touch(&request.session, &mut head, &row, found.user.as_ref(), now);
    }
    let answer = Answer::Appended {
        version: head.version,
        change: head.change,
        turns: outcome,
        superseded: superseded.len() as u64,
    };
    draft.remember(repeat, &answer, now);
    Ok(AppendPlan { draft, answer })
}

fn check(request: &Append, found: &AppendFound) -> Result<(), Failure> {
    let head = found.head.as_ref().map(|head| &head.row);
    if let (Some(head), Some(user)) = (head, &request.user)
        && head.user.as_ref() != Some(user)
    {
        let message = format!("session `{}` belongs to another user", request.session);
        return Err(Failure::new(Reason::UserMismatch, message).at("user_id"));
    }
    check_version(request.expected_version, head.map_or(Version(0), |head| head.version))?;
    let last = head.map_or(Seq(0), |head| head.last_seq);
    match request.replace_from {
        Some(from) if from > last => {
            let message = format!("`{}` lies after the last turn, `{}`", from.0, last.0);
            Err(Failure::new(Reason::SeqOutOfRange, message)
                .at("replace_from_seq")
                .with("last_seq", last.0))
        }
        _ => Ok(()),
    }
}

/// Compares a version with the expected one.
///
/// # Errors
/// `VERSION_MISMATCH`, with `current_version`.
pub(super) fn check_version(expected: Option<Version>, current: Version) -> Result<(), Failure> {
    match expected {
        Some(expected) if expected != current => {
            let message = format!("the version is `{}`, not `{}`", current.0, expected.0);
            Err(Failure::new(Reason::VersionMismatch, message).with("current_version", current.0))
        }
        _ => Ok(()),
    }
}

fn full(session: &SessionId) -> Failure {
    let message = format!("session `{session}` may store `{SESSION_TURNS_MAX}` turns");
    Failure::new(Reason::SessionFull, message).over(format!("session:{session}"))
}

fn new_head(request: &Append, incarnation: Incarnation, now: Timestamp) -> Head {
    Head {
        incarnation,
        user: request.user.clone(),
        version: Version(0),
        change: Change(0),
        last_seq: Seq(0),
        turns_living: 0,
        turns_stored: 0,
        pinned_instructions: String::new(),
        metadata: Metadata::new(),
        created_at: now,
        updated_at: now,
        ttl_ms: None,
        kind: SessionKind::Seen,
        forked_from: None,
        tail_tokens: 0,
        summarized_to: Seq(0),
        jobs: JobSet::default(),
        appended_at: Timestamp(0),
    }
}

/// The turns that are new, with their seqs, and what became of each turn of the request.
fn sort_out(
    request: &Append,
    found: &AppendFound,
    head: &Head,
    now: Timestamp,
) -> (Vec<Turn>, Vec<(Seq, bool)>) {
    let mut known = found.external.clone();
    let mut next = match planted::has(Bug::ReuseSeq) {
        true => Seq(head.turns_stored),
        false => head.last_seq,
    };
    let (mut turns, mut outcome) = (Vec::new(), Vec::new());
    for new in &request.turns {
        if let Some(seq) = known.get(&new.external_id).filter(|_| !new.external_id.is_empty()) {
            outcome.push((*seq, true));
            continue;
        }
        next = next.next();
        known.insert(new.external_id.clone(), next);
        outcome.push((next, false));
        turns.push(Turn {
            seq: next,
            role: new.role,
            name: new.name.clone(),
            parts: new.parts.clone(),
            created_at: new.created_at.unwrap_or(now),
            committed_at: now,
            external_id: new.external_id.clone(),
            metadata: new.metadata.clone(),
            status: new.status,
        });
    }
    (turns, outcome)
}

fn write_turns(
    draft: &mut Draft,
    head: &mut Head,
    turns: &[Turn],
    superseded: &[Seq],
    behind: &Behind<'_>,
) {
    let incarnation = head.incarnation;
    for seq in superseded {
        draft.put(keys::mark(incarnation, *seq), &head.change.next());
        forget_turn(draft, incarnation, *seq);
    }
    for turn in turns {
        draft.put(keys::turn(incarnation, turn.seq), turn);
        draft.put(keys::derived(incarnation, turn.seq), &(behind.derive)(turn));
        if !turn.external_id.is_empty() {
            draft.put(keys::external(incarnation, &turn.external_id), &turn.seq);
        }
    }
    head.last_seq = turns.last().map_or(head.last_seq, |turn| turn.seq);
    head.turns_stored += turns.len() as u64;
    head.turns_living += turns.len() as u64;
    // They were read after the head: where others came meanwhile, the commit conflicts.
    head.turns_living = head.turns_living.saturating_sub(superseded.len() as u64);
    head.version = head.version.next();
}
