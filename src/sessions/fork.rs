//! Planning the end of a fork: the copied turns become a session.

use crate::record::{Answer, ChangeRow, Head, JobSet, PendingSession, UserHead, keys};
use crate::sessions::{AppendPlan, Draft, Repeat, Revised, behind::queue_summaries};
use crate::storage::Revision;
use crate::types::{
    Change, Incarnation, Seq, SessionId, SummaryPolicy, TenantId, Timestamp, Version,
};

/// The value of the purge row of a fork that is not whole yet; that of a deletion is empty.
pub const FORK_MARK: &[u8] = b"f";

/// What a fork has copied under the new incarnation.
#[derive(Debug, Clone)]
pub struct ForkEnd<'a> {
    /// The session it was copied from.
    pub source: &'a SessionId,
    /// The head of that session as it was read first.
    pub source_head: &'a Head,
    /// The revision that the source must still have, so that nothing was erased or superseded while
    /// its turns were copied.
    pub source_revision: Revision,
    /// The new session.
    pub session: &'a SessionId,
    /// The new incarnation, whose rows are there and have a purge row.
    pub incarnation: Incarnation,
    /// The revision of that row: a sweep that takes the copies for forgotten changes it.
    pub purge_revision: Revision,
    /// How many turns were copied.
    pub turns: u64,
    /// The first and last of them; `None`: none.
    pub span: Option<(Seq, Seq)>,
    /// The seq that the request named, or the last one.
    pub at_seq: Seq,
    /// How many tokens the copied turns have, as summaries count them.
    pub tokens: u64,
    /// Whether some of them wait for their vectors.
    pub pending: bool,
    /// When summaries are made.
    pub summaries: &'a SummaryPolicy,
}

/// Plans the commit that turns the copied rows into a session: its head in, the purge row out.
/// Pinned instructions, metadata, TTL and kind are the source's.
pub fn plan_fork_end(
    tenant: &TenantId,
    end: &ForkEnd<'_>,
    user: Option<&Revised<UserHead>>,
    now: Timestamp,
    repeat: Option<&Repeat>,
) -> AppendPlan {
    let mut draft = Draft::new(tenant.clone());
    draft.expect(keys::head(tenant, end.source), Some(end.source_revision));
    draft.expect_head(end.session, None);
    draft.expect(keys::purge(end.incarnation), Some(end.purge_revision));
    draft.remove(keys::purge(end.incarnation));
    let mut head = Head {
        incarnation: end.incarnation,
        version: Version(u64::from(end.turns > 0)),
        change: Change(0),
        last_seq: end.span.map_or(Seq(0), |(_, last)| last),
        turns_living: end.turns,
        turns_stored: end.turns,
        created_at: now,
        updated_at: now,
        forked_from: Some((end.source.clone(), end.at_seq)),
        tail_tokens: end.tokens,
        summarized_to: Seq(0),
        jobs: JobSet::default(),
        appended_at: now,
        ..end.source_head.clone()
    };
    if end.pending {
        let row = PendingSession { session: end.session.clone() };
        draft.put(keys::pending_session(tenant, end.incarnation), &row);
    }
    if end.turns > 0 {
        queue_summaries(&mut draft, end.session, &mut head, end.summaries, now);
    }
    let row = ChangeRow { appended: end.span, ..ChangeRow::default() };
    draft.touch(end.session, &mut head, &row, user, now);
    if let Some(at) = head.expires_at() {
        draft.put(keys::session_end(at, tenant, end.session), &head.incarnation);
    }
    let answer = Answer::SessionForked {
        turns: end.turns,
        last_seq: head.last_seq,
        version: head.version,
        change: head.change,
        at: now,
    };
    draft.remember(repeat, &answer, now);
    AppendPlan { draft, answer }
}
