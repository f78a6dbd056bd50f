//! What goes on behind an append: turns that wait for vectors, summaries that are due or void.

use std::collections::BTreeSet;

use crate::planted::{self, Bug};
use crate::record::{
    ChangeRow, DerivedRow, Head, JobKind, PendingRow, PendingSession, Slot, SummaryRow, UserHead,
    VectorRow, keys,
};
use crate::sessions::{Draft, Revised, jobs::queue_job};
use crate::summarize::{Marks, Span, tokens_of, voided};
use crate::types::{Incarnation, Seq, SessionId, SummaryPolicy, TenantId, Timestamp, Turn};

/// What is derived from appended turns, at once and later.
#[derive(Clone, Copy)]
pub struct Behind<'a> {
    /// Makes the derived row of a turn.
    pub derive: &'a dyn Fn(&Turn) -> DerivedRow,
    /// Whether turns get vectors.
    pub embeds: bool,
    /// When summaries are made.
    pub summaries: &'a SummaryPolicy,
}

/// The marks of a policy: a low mark is at most half of the high one.
pub fn marks(policy: &SummaryPolicy) -> Marks {
    let high = policy.tail_high_tokens.map_or(Marks::DEFAULT.tail_high_tokens, u64::from);
    let low = policy.tail_low_tokens.map_or(high / 2, u64::from).min(high / 2);
    Marks { tail_high_tokens: high, tail_low_tokens: low, ..Marks::DEFAULT }
}

/// The longest time between two looks whether a session rests, in milliseconds.
const LOOK_MS: i64 = 3_600_000;

/// Whether a turn has words to embed.
fn embeds(turn: &Turn) -> bool {
    !turn.searchable_text().trim().is_empty()
}

/// Queues what appended turns need: vectors, and a summary when it is due or once they rest.
pub(super) fn queue_work(
    draft: &mut Draft,
    session: &SessionId,
    head: &mut Head,
    turns: &[Turn],
    behind: &Behind<'_>,
    now: Timestamp,
) {
    let waiting = turns.iter().filter(|turn| behind.embeds && embeds(turn)).map(|turn| turn.seq);
    queue_vectors(draft, session, head.incarnation, waiting, now);
    head.tail_tokens += turns.iter().map(tokens_of).sum::<u64>();
    head.appended_at = now;
    queue_summaries(draft, session, head, behind.summaries, now);
}

fn queue_vectors(
    draft: &mut Draft,
    session: &SessionId,
    incarnation: Incarnation,
    seqs: impl Iterator<Item = Seq>,
    now: Timestamp,
) {
    let mut any = false;
    for seq in seqs {
        draft.put(keys::pending(incarnation, seq), &PendingRow { since: now });
        any = true;
    }
    if any {
        let key = keys::pending_session(draft.tenant(), incarnation);
        draft.put(key, &PendingSession { session: session.clone() });
    }
}

/// Queues the jobs that the tail of a session calls for.
pub(super) fn queue_summaries(
    draft: &mut Draft,
    session: &SessionId,
    head: &mut Head,
    policy: &SummaryPolicy,
    now: Timestamp,
) {
    if policy.off {
        return;
    }
    if head.tail_tokens > marks(policy).tail_high_tokens {
        queue_job(draft, session, head, JobKind::Summarize, now, now);
    }
    if let Some(look) = rests_at(head, policy, now) {
        queue_job(draft, session, head, JobKind::SummarizeIdle, look, now);
    }
}

/// When to look whether a session rests: once it will, if nothing comes, but no later than in an
/// hour, since the policy may change meanwhile. `None`: it rests now.
pub fn rests_at(head: &Head, policy: &SummaryPolicy, now: Timestamp) -> Option<Timestamp> {
    // Heads of format 1 do not tell.
    let since = if head.appended_at.0 == 0 { head.updated_at } else { head.appended_at };
    let at = Timestamp(since.0.saturating_add(policy.idle_ms()));
    (at > now).then_some(at.min(Timestamp(now.0.saturating_add(LOOK_MS))))
}

/// Removes what was derived from a turn behind its append.
pub(super) fn forget_turn(draft: &mut Draft, incarnation: Incarnation, seq: Seq) {
    draft.remove(keys::pending(incarnation, seq));
    if !planted::has(Bug::LeaveVectors) {
        for slot in Slot::ALL {
            draft.remove(keys::vectors(slot, incarnation, seq));
        }
    }
}

/// Removes every summary that holds an erased turn or reaches a superseded one, and queues their
/// making anew. `true`: there was one.
pub(super) fn void(
    draft: &mut Draft,
    session: &SessionId,
    head: &mut Head,
    spans: &[Span],
    (erased, superseded_from): (&BTreeSet<Seq>, Option<Seq>),
    now: Timestamp,
) -> bool {
    let mut void = voided(spans, erased, superseded_from);
    if planted::has(Bug::KeepSummaries) {
        void.clear();
    }
    for at in &void {
        let span = spans[*at];
        draft.remove(keys::summary(head.incarnation, span.first_seq, span.level));
    }
    if void.is_empty() {
        return false;
    }
    queue_job(draft, session, head, JobKind::Summarize, now, now);
    // A session at rest had all of it summarized; the job waits until the session rests again.
    queue_job(draft, session, head, JobKind::SummarizeIdle, now, now);
    true
}

/// Vectors that were made for a session as it was read.
#[derive(Debug)]
pub struct Vectorized<'a> {
    /// The session.
    pub session: &'a SessionId,
    /// Its head; the turns below are living and waiting at it.
    pub head: &'a Revised<Head>,
    /// The head of its user.
    pub user: Option<&'a Revised<UserHead>>,
    /// The slot of the embedder that made them: the one that serves.
    pub slot: Slot,
    /// The vectors of each turn.
    pub rows: Vec<(Seq, VectorRow)>,
    /// Turns that are gone and wait all the same.
    pub gone: Vec<Seq>,
}

/// Plans the commit of vectors: each takes the place of the row that waited for it.
pub fn plan_vectors(tenant: &TenantId, made: Vectorized<'_>) -> Draft {
    let Vectorized { session, head, user, slot, rows, gone } = made;
    let mut draft = Draft::new(tenant.clone());
    draft.expect_head(session, Some(head));
    let mut after = head.row.clone();
    let embedded: Vec<Seq> = rows.iter().map(|(seq, _)| *seq).collect();
    for (seq, row) in &rows {
        draft.remove(keys::pending(after.incarnation, *seq));
        draft.put(keys::vectors(slot, after.incarnation, *seq), row);
    }
    for seq in gone {
        draft.remove(keys::pending(after.incarnation, seq));
    }
    if !embedded.is_empty() {
        let row = ChangeRow { embedded, ..ChangeRow::default() };
        match planted::has(Bug::MissChange) {
            true => draft.put(keys::head(tenant, session), &after),
            false => draft.advance(session, &mut after, &row, user),
        }
    }
    draft
}

/// Plans the commit of vectors of an embedder that does not serve, of turns that are living at a
/// head: nobody who reads the session sees a change.
pub fn plan_beside(
    tenant: &TenantId,
    (session, head): (&SessionId, &Revised<Head>),
    slot: Slot,
    rows: &[(Seq, VectorRow)],
) -> Draft {
    let mut draft = Draft::new(tenant.clone());
    draft.expect_head(session, Some(head));
    for (seq, row) in rows {
        draft.put(keys::vectors(slot, head.row.incarnation, *seq), row);
    }
    draft
}

/// Plans that turns wait for vectors which have none of the embedder in use.
pub fn plan_missing(
    tenant: &TenantId,
    session: &SessionId,
    head: &Revised<Head>,
    seqs: &[Seq],
    now: Timestamp,
) -> Draft {
    let mut draft = Draft::new(tenant.clone());
    draft.expect_head(session, Some(head));
    queue_vectors(&mut draft, session, head.row.incarnation, seqs.iter().copied(), now);
    draft
}

/// Plans that a session is no longer listed as waiting: none of its turns does at this head.
pub fn plan_settled(tenant: &TenantId, session: &SessionId, head: &Revised<Head>) -> Draft {
    let mut draft = Draft::new(tenant.clone());
    draft.expect_head(session, Some(head));
    draft.remove(keys::pending_session(tenant, head.row.incarnation));
    draft
}

/// A summary that was made of a session as it was read.
#[derive(Debug)]
pub struct Summarized<'a> {
    /// The session.
    pub session: &'a SessionId,
    /// Its head, at which the summary was made.
    pub head: &'a Revised<Head>,
    /// The head of its user.
    pub user: Option<&'a Revised<UserHead>>,
    /// The summary.
    pub row: SummaryRow,
    /// How many tokens of living turns no summary covers after it.
    pub tail_tokens: u64,
}

/// Plans the commit of a summary.
pub fn plan_summary(tenant: &TenantId, made: &Summarized<'_>) -> Draft {
    let Summarized { session, head, user, row, tail_tokens } = made;
    let mut draft = Draft::new(tenant.clone());
    draft.expect_head(session, Some(head));
    let mut after = head.row.clone();
    let span = row.summary.span;
    draft.put(keys::summary(after.incarnation, span.first_seq, span.level), row);
    after.tail_tokens = *tail_tokens;
    after.summarized_to = after.summarized_to.max(span.last_seq);
    let change = ChangeRow { summaries: true, ..ChangeRow::default() };
    draft.advance(session, &mut after, &change, *user);
    draft
}
