//! Embedding of turns: rows that wait become rows with vectors.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use crate::embed::{EmbedError, Urgency};
use crate::error::{Failure, Reason};
use crate::memory::{
    Memory, Space,
    append::seq_of,
    behind::backlog::{SESSIONS_MAX, Taken, WHOLE},
    rows::{revised, store_failure, unreadable},
};
use crate::planted::{self, Bug};
use crate::pool::compute;
use crate::record::{Head, PendingRow, PendingSession, UserHead, VectorRow, decode, keys};
use crate::retrieve::{PIECES_VERSION, TurnVectors, pieces};
use crate::sessions::{Draft, Revised, Vectorized, plan_missing, plan_settled, plan_vectors};
use crate::storage::{CommitError, Read};
use crate::telemetry::embedded;
use crate::types::{Incarnation, Seq, SessionId, TenantId, Timestamp, Turn};

/// How many turns are embedded for one commit: a second of work at the most, so that a stop loses
/// little, and few enough commits.
const BATCH_TURNS: usize = 16;
/// How often a commit of vectors is planned again after a conflict with other writers.
const ATTEMPTS_MAX: usize = 16;
/// How many sessions that wait are read at a time.
const PAGE_SESSIONS: usize = 1_000;
/// How many waiting turns are read at a time when they are counted.
const PAGE_TURNS: usize = 10_000;

/// Turns of a session that wait for their vectors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PendingVectors {
    /// How many.
    pub turns: u64,
    /// Since when the oldest waits.
    pub oldest: Option<Timestamp>,
}

/// The vectors of one turn.
pub(super) type Made = (Seq, VectorRow);

impl Memory {
    /// Learns which sessions have turns that wait, as far as there is room for them in memory.
    ///
    /// # Errors
    /// What the store refuses.
    pub async fn resume_embedding(&self) -> Result<(), Failure> {
        if !self.spaces.embeds() {
            return Ok(());
        }
        self.backlog.set_overflow(false);
        let mut from = keys::pending_sessions();
        let to = keys::after_prefix(&from);
        let mut known = 0;
        loop {
            let page = Read::range(from, to.clone()).limit(PAGE_SESSIONS);
            let rows = self.read(vec![page]).await?.remove(0);
            for row in &rows {
                let Some((tenant, incarnation)) = keys::pending_named_by(&row.key) else {
                    continue;
                };
                let session = decode::<PendingSession>(&row.value).map_err(unreadable)?.session;
                let oldest = Read::range(
                    keys::pending(incarnation, Seq(0)),
                    keys::pending(incarnation, Seq(u64::MAX)),
                );
                let oldest = self.read(vec![oldest.limit(1)]).await?.remove(0);
                let oldest = oldest.first().map(|row| decode::<PendingRow>(&row.value));
                let since = oldest.and_then(Result::ok).map_or(self.now(), |row| row.since);
                self.backlog.note((&tenant, incarnation, &session), WHOLE, since);
                known += 1;
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE_SESSIONS && known < SESSIONS_MAX => {
                    from = last.key.to_vec();
                    from.push(0);
                }
                // There may be more sessions than are known here.
                last => {
                    if last.is_some() && known >= SESSIONS_MAX {
                        self.backlog.set_overflow(true);
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Embeds some turns of the session whose turn it is. `false`: nothing waits.
    ///
    /// # Errors
    /// What the store refuses; `EMBEDDER_FAILED` when no text can be embedded now. The turns still
    /// wait then.
    pub async fn embed_some(&self) -> Result<bool, Failure> {
        let Some(taken) = self.backlog.take() else {
            if self.backlog.is_empty() == (true, true) {
                self.resume_embedding().await?;
                return Ok(self.backlog.is_empty() != (true, false));
            }
            return Ok(false);
        };
        let worked = self.embed_taken(&taken).await;
        match &worked {
            Ok(Next::Rest(rest)) => self.backlog.put_back(&taken, *rest),
            Ok(Next::Done) => self.backlog.done(&taken),
            Err(_) => self.backlog.give_back(&taken),
        }
        worked.map(|_| true)
    }

    /// Waits until there may be something to embed.
    pub async fn more_to_embed(&self) {
        self.backlog.more.notified().await;
    }

    /// Waits until no turn waits for vectors; at once without an embedder.
    pub async fn embedded(&self) {
        loop {
            let less = self.backlog.less.notified();
            if self.backlog.is_empty() == (true, false) {
                return;
            }
            less.await;
        }
    }

    /// How many sessions have turns that wait, and since when the oldest of all does.
    pub fn embedding_lag(&self) -> (usize, Option<Timestamp>) {
        self.backlog.oldest()
    }

    /// What of a session waits for vectors.
    ///
    /// # Errors
    /// What the store refuses.
    pub async fn pending_vectors(
        &self,
        incarnation: Incarnation,
    ) -> Result<PendingVectors, Failure> {
        let mut found = PendingVectors::default();
        let mut below = WHOLE.1;
        loop {
            let rows = self.waiting(incarnation, (WHOLE.0, below), PAGE_TURNS).await?;
            found.turns += rows.len() as u64;
            found.oldest = rows.iter().map(|(_, row)| row.since).chain(found.oldest).min();
            match rows.last() {
                Some((lowest, _)) if rows.len() == PAGE_TURNS => below = *lowest,
                _ => return Ok(found),
            }
        }
    }

    /// Rows that wait, the newest first.
    async fn waiting(
        &self,
        incarnation: Incarnation,
        (from, to): (Seq, Seq),
        most: usize,
    ) -> Result<Vec<(Seq, PendingRow)>, Failure> {
        let range = Read::range(keys::pending(incarnation, from), keys::pending(incarnation, to));
        let rows = self.read(vec![range.descending().limit(most)]).await?.remove(0);
        let decoded = rows.iter().filter_map(|row| Some((seq_of(&row.key)?, row)));
        decoded.map(|(seq, row)| Ok((seq, decode(&row.value).map_err(unreadable)?))).collect()
    }

    async fn embed_taken(&self, taken: &Taken) -> Result<Next, Failure> {
        if taken.missing {
            self.queue_missing(taken).await?;
            return Ok(Next::Rest(Some(WHOLE)));
        }
        let Some(range) = taken.range else { return self.settle(taken).await };
        let waiting = self.waiting(taken.incarnation, range, BATCH_TURNS).await?;
        let gets = waiting.iter().map(|(seq, _)| Read::get(keys::turn(taken.incarnation, *seq)));
        let rows = self.read(gets.collect()).await?;
        let turns = rows.iter().filter_map(|rows| rows.first());
        let turns: Vec<Turn> =
            turns.map(|row| decode(&row.value).map_err(unreadable)).collect::<Result<_, _>>()?;
        let Some(space) = self.spaces.serving() else { return Ok(Next::Done) };
        let made = self.vectors_of(&space, &taken.tenant, turns).await?;
        let stored = made.iter().map(|(seq, _)| *seq).collect::<BTreeSet<_>>();
        let gone = waiting.iter().map(|(seq, _)| *seq).filter(|seq| !stored.contains(seq));
        self.keep_vectors(taken, &space, made, gone.collect()).await?;
        let lowest = waiting.last().map(|(seq, _)| *seq);
        let full = waiting.len() == BATCH_TURNS;
        let rest =
            lowest.filter(|lowest| full && *lowest > range.0).map(|lowest| (range.0, lowest));
        Ok(Next::Rest(rest))
    }

    /// Embeds turns. A turn that the embedder fails on while it embeds others gets no vectors, and
    /// waits no more: it is found by its words.
    pub(super) async fn vectors_of(
        &self,
        space: &Space,
        tenant: &TenantId,
        turns: Vec<Turn>,
    ) -> Result<Vec<Made>, Failure> {
        let embedder = &space.embedder;
        let cut = compute(self.pool.as_ref(), move || {
            turns.iter().map(|turn| (turn.seq, pieces(turn))).collect::<Vec<_>>()
        });
        let cut = cut.await.expect("cutting turns does not panic");
        let texts: BTreeSet<&String> = cut.iter().flat_map(|(_, texts)| texts).collect();
        let texts: Vec<String> = texts.into_iter().cloned().collect();
        let row = |vectors: &[Vec<f32>]| VectorRow {
            embedder: embedder.key().to_owned(),
            pieces_version: PIECES_VERSION,
            vectors: TurnVectors::quantise(vectors),
        };
        match self.embed_for(embedder, tenant, Urgency::Background, texts.clone()).await {
            Ok(vectors) => {
                let known: HashMap<String, Vec<f32>> = texts.into_iter().zip(vectors).collect();
                let own = |texts: &[String]| -> Vec<Vec<f32>> {
                    texts.iter().filter_map(|text| known.get(text).cloned()).collect()
                };
                return Ok(cut.iter().map(|(seq, texts)| (*seq, row(&own(texts)))).collect());
            }
            Err(EmbedError::Failed { .. }) => {}
            Err(error) => return Err(embedder_failed(error)),
        }
        let (mut made, mut failed) = (Vec::new(), None);
        for (seq, texts) in cut {
            match self.embed_for(embedder, tenant, Urgency::Background, texts).await {
                Ok(vectors) => made.push((seq, row(&vectors))),
                Err(error) => {
                    made.push((seq, row(&[])));
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if made.iter().all(|(_, row)| row.vectors.is_empty()) => {
                Err(embedder_failed(error))
            }
            Some(error) => {
                tracing::warn!("a turn cannot be embedded and stays without vectors: {error}");
                Ok(made)
            }
            None => Ok(made),
        }
    }

    /// Commits vectors for those of the turns that still live and wait; what waits for turns that
    /// are gone is removed.
    async fn keep_vectors(
        &self,
        taken: &Taken,
        space: &Space,
        made: Vec<Made>,
        gone: Vec<Seq>,
    ) -> Result<(), Failure> {
        let (tenant, session) = (&taken.tenant, &taken.session);
        let kept = AtomicUsize::new(0);
        let kept_now = &kept;
        let found = self
            .behind(tenant, session, taken.incarnation, |head, user| {
                let (made, gone) = (made.clone(), gone.clone());
                async move {
                    let incarnation = taken.incarnation;
                    let gets =
                        made.iter().map(|(seq, _)| Read::get(keys::pending(incarnation, *seq)));
                    let waiting = self.read(gets.collect()).await?;
                    let rows = made.into_iter().zip(waiting);
                    let rows = rows.filter(|(_, waits)| !waits.is_empty()).map(|(made, _)| made);
                    let rows: Vec<Made> = rows.collect();
                    // What another embedder made, from before a switch, is of no use: the turns
                    // wait on.
                    if !self.spaces.serves(space.embedder.key()) {
                        return Ok(Draft::new(tenant.clone()));
                    }
                    kept_now.store(rows.len(), Relaxed);
                    let (head, user, slot) = (&head, user.as_ref(), space.slot);
                    let made = Vectorized { session, head, user, slot, rows, gone };
                    let mut draft = plan_vectors(tenant, made);
                    self.spaces.expected(&mut draft);
                    Ok(draft)
                }
            })
            .await?;
        if found {
            embedded(kept.into_inner());
        }
        Ok(())
    }

    /// Lets turns wait that have no vectors of the embedder in use and do not wait for any.
    async fn queue_missing(&self, taken: &Taken) -> Result<(), Failure> {
        let (tenant, session) = (&taken.tenant, &taken.session);
        let now = self.now();
        for _ in 0..ATTEMPTS_MAX {
            let Some((_, copy)) = self.partition(tenant, session, "").await? else { return Ok(()) };
            let waiting = self.waiting(taken.incarnation, WHOLE, usize::MAX).await?;
            let waiting: BTreeSet<Seq> = waiting.into_iter().map(|(seq, _)| seq).collect();
            let (at, mut lacking) = {
                let copy = copy.read().expect("no writer panics");
                (copy.change(), copy.turns_without_vectors())
            };
            lacking.retain(|seq| !waiting.contains(seq));
            if lacking.is_empty() {
                return Ok(());
            }
            let queued = AtomicBool::new(false);
            self.behind(tenant, session, taken.incarnation, |head, _| {
                let same = head.row.change == at;
                queued.store(same, Relaxed);
                let lacking = if same { lacking.as_slice() } else { &[] };
                let draft = plan_missing(tenant, session, &head, lacking, now);
                async move { Ok(draft) }
            })
            .await?;
            if queued.into_inner() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes a session off the list of those that wait, when none of its turns does.
    async fn settle(&self, taken: &Taken) -> Result<Next, Failure> {
        let (tenant, session) = (&taken.tenant, &taken.session);
        let waits = AtomicBool::new(false);
        let waits_now = &waits;
        let found = self
            .behind(tenant, session, taken.incarnation, |head, _| async move {
                let some = self.waiting(taken.incarnation, WHOLE, 1).await?;
                waits_now.store(!some.is_empty(), Relaxed);
                match some.is_empty() {
                    true => Ok(plan_settled(tenant, session, &head)),
                    false => Ok(Draft::new(tenant.clone())),
                }
            })
            .await?;
        if waits.into_inner() {
            return Ok(Next::Rest(Some(WHOLE)));
        }
        if !found {
            // The session is gone, and with it the rows; the list's row may not be.
            let key = keys::pending_session(tenant, taken.incarnation);
            self.commit_plain(crate::storage::Batch::new().delete(key)).await?;
        }
        Ok(Next::Done)
    }

    /// Commits work behind a session: reads its head, plans, and commits with the head as
    /// precondition, while writers of the session in this process wait. `false`: this life of the
    /// session is over.
    pub(super) async fn behind<F, P>(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        incarnation: Incarnation,
        plan: P,
    ) -> Result<bool, Failure>
    where
        P: Fn(Revised<Head>, Option<Revised<UserHead>>) -> F,
        F: Future<Output = Result<Draft, Failure>>,
    {
        for _ in 0..ATTEMPTS_MAX {
            let Some(head) = self.get::<Head>(keys::head(tenant, session)).await? else {
                return Ok(false);
            };
            let name = head.row.user.as_ref().map_or(session.as_str(), |user| user.as_str());
            let _turn = self.stripes.lock(tenant.as_str(), name).await;
            let mut reads = vec![Read::get(keys::head(tenant, session))];
            reads.extend(head.row.user.as_ref().map(|user| Read::get(keys::user(tenant, user))));
            let rows = self.read(reads).await?;
            let Some(head) = revised::<Head>(&rows[0])? else { return Ok(false) };
            if head.row.incarnation != incarnation && !planted::has(Bug::LateWork) {
                return Ok(false);
            }
            let user = rows.get(1).map(|rows| revised::<UserHead>(rows)).transpose()?.flatten();
            let draft = plan(head, user).await?;
            match self.store.commit(draft.into_batch()).await {
                Ok(_) => return Ok(true),
                Err(CommitError::Conflict { .. }) => {
                    self.refresh_spaces().await?;
                    tokio::task::yield_now().await;
                }
                Err(CommitError::Store(error)) => return Err(store_failure(error)),
            }
        }
        Err(Failure::new(Reason::Contention, "too many writers of the same session or user"))
    }
}

/// What is next for a session that was taken.
enum Next {
    /// Look at it again: at this rest of the range first, or at its other ranges.
    Rest(Option<(Seq, Seq)>),
    /// Nothing of it waits.
    Done,
}

fn embedder_failed(error: EmbedError) -> Failure {
    Failure::new(Reason::EmbedderFailed, "no text can be embedded now").because(error)
}

/// The seqs that have something to embed and are not in `known`.
pub(in crate::memory) fn lacking(turns: &[Turn], known: impl Fn(Seq) -> bool) -> Vec<Seq> {
    let wanting = turns.iter().filter(|turn| !turn.searchable_text().trim().is_empty());
    wanting.map(|turn| turn.seq).filter(|seq| !known(*seq)).collect()
}
