//! Planning what erases: turns with their tool groups, and whole sessions.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::error::Failure;
use crate::record::{Answer, ChangeRow, Head, JobKind, UserHead, keys};
use crate::sessions::{
    AppendPlan, Draft, Repeat, Revised,
    append::check_version,
    behind::{forget_turn, void},
};
use crate::summarize::Span;
use crate::types::{Group, Seq, SessionId, TenantId, Timestamp, Version};

/// How many turns before and after an erased one are looked at for its tool group: more calls and
/// results than a model makes in one go.
pub const GROUP_REACH: u64 = 256;

/// A request to erase turns, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeleteTurns {
    /// The session.
    pub session: SessionId,
    /// The turns, at least one.
    pub seqs: BTreeSet<Seq>,
    /// The version that the session must have.
    pub expected_version: Option<Version>,
}

/// A turn that is stored, as far as erasing needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub seq: Seq,
    /// Its part in a tool group.
    pub group: Group,
    /// Whether it is superseded.
    pub superseded: bool,
}

/// What a deletion takes away.
#[derive(Debug, Clone, Copy)]
pub struct Erased<'a> {
    /// The turns, as [`close_groups`] gave them.
    pub turns: &'a [Stored],
    /// What the session's summaries cover; empty when none reaches so far.
    pub summaries: &'a [Span],
}

/// The wanted turns that are stored, with the rest of their tool groups. `around` holds the stored
/// turns around the wanted ones, in order; a group is a turn with calls and the results that
/// directly follow it, among all turns or among the living ones.
pub fn close_groups(around: &[Stored], wanted: &BTreeSet<Seq>) -> Vec<Stored> {
    let living: Vec<_> = around.iter().filter(|turn| !turn.superseded).copied().collect();
    let mut erased = groups_with(&living, wanted);
    erased.extend(groups_with(around, wanted));
    erased.sort_by_key(|turn| turn.seq);
    erased.dedup_by_key(|turn| turn.seq);
    erased
}

fn groups_with(around: &[Stored], wanted: &BTreeSet<Seq>) -> Vec<Stored> {
    let mut erased = Vec::new();
    let mut rest = around;
    while let Some(first) = rest.first() {
        let len = match first.group {
            Group::None => 1,
            Group::Calls | Group::Results => {
                1 + rest[1..].iter().take_while(|turn| turn.group == Group::Results).count()
            }
        };
        let (group, after) = rest.split_at(len);
        if group.iter().any(|turn| wanted.contains(&turn.seq)) {
            erased.extend_from_slice(group);
        }
        rest = after;
    }
    erased
}

/// Plans the erasure of turns, with their vectors and the summaries made from them. The external
/// ids stay, so that an import cannot bring the turns back.
///
/// # Errors
/// `VERSION_MISMATCH` (with `current_version`).
pub fn plan_delete_turns(
    tenant: &TenantId,
    request: &DeleteTurns,
    head: &Revised<Head>,
    user: Option<&Revised<UserHead>>,
    erased: Erased<'_>,
    now: Timestamp,
    repeat: Option<&Repeat>,
) -> Result<AppendPlan, Failure> {
    check_version(request.expected_version, head.row.version)?;
    let mut draft = Draft::new(tenant.clone());
    draft.vital();
    draft.expect_head(&request.session, Some(head));
    let mut after = head.row.clone();
    let seqs: Vec<_> = erased.turns.iter().map(|turn| turn.seq).collect();
    if !seqs.is_empty() {
        draft.erase(now);
        for seq in &seqs {
            draft.remove(keys::turn(after.incarnation, *seq));
            draft.remove(keys::derived(after.incarnation, *seq));
            draft.remove(keys::mark(after.incarnation, *seq));
            forget_turn(&mut draft, after.incarnation, *seq);
        }
        let all = seqs.iter().copied().collect();
        let summaries =
            void(&mut draft, &request.session, &mut after, erased.summaries, (&all, None), now);
        let living = erased.turns.iter().filter(|turn| !turn.superseded).count();
        // The turns were read after the head: where others came meanwhile, the commit conflicts.
        after.turns_stored = after.turns_stored.saturating_sub(seqs.len() as u64);
        after.turns_living = after.turns_living.saturating_sub(living as u64);
        after.version = after.version.next();
        let row = ChangeRow { erased: seqs.clone(), summaries, ..ChangeRow::default() };
        draft.touch(&request.session, &mut after, &row, user, now);
    }
    let answer =
        Answer::TurnsErased { seqs, version: after.version, change: after.change, at: now };
    draft.remember(repeat, &answer, now);
    Ok(AppendPlan { draft, answer })
}

/// Plans the end of a session: it is gone with this commit, and a purge row stands for its rows
/// until they are removed too.
pub fn plan_delete_session(
    tenant: &TenantId,
    session: &SessionId,
    head: &Revised<Head>,
    user: Option<&Revised<UserHead>>,
    now: Timestamp,
    repeat: Option<&Repeat>,
) -> AppendPlan {
    let mut draft = Draft::new(tenant.clone());
    draft.vital();
    draft.erase(now);
    draft.expect_head(session, Some(head));
    draft.remove(keys::head(tenant, session));
    if let Some(end) = head.row.expires_at() {
        draft.remove(keys::session_end(end, tenant, session));
    }
    if let Some(name) = &head.row.user {
        draft.remove(keys::session_of_user(tenant, name, session));
        draft.touch_user(name, session, user);
    }
    let incarnation = head.row.incarnation;
    draft.put_name(keys::purge(incarnation));
    draft.remove(keys::pending_session(tenant, incarnation));
    for kind in JobKind::ALL {
        draft.remove(keys::job(tenant, incarnation, kind));
    }
    let answer = Answer::SessionDeleted { turns: head.row.turns_stored, at: now };
    draft.remember(repeat, &answer, now);
    AppendPlan { draft, answer }
}
