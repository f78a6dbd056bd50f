//! ForkSession: the turns are copied first, then one commit makes the copies a session.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use serde::Serialize;

use crate::chance::incarnation;
use crate::error::{Failure, Kind, Reason};
use crate::memory::{
    Answered, Memory,
    append::{Noted, seq_of},
    behind::WHOLE,
    partitions::by_seq,
    rows::{repeat_of, revised, unreadable},
};
use crate::record::{ChangeRow, Head, Slot, Verb, decode, encode, keys};
use crate::sessions::{AppendPlan, FORK_MARK, ForkEnd, Repeat, Revised, plan_fork_end};
use crate::storage::{Batch, Read, Revision, Row};
use crate::summarize::tokens_of;
use crate::types::{Incarnation, Policy, RequestId, Seq, SessionId, SummaryPolicy, TenantId, Turn};

/// How many turns a fork reads at a time: at the most 256 MiB, mostly far below one.
const READ_TURNS: usize = 64;
/// How many turns a fork copies in one commit.
const COMMIT_TURNS: u64 = 256;
/// How many bytes a fork copies in one commit, give or take one turn: the writer is not held up.
const COMMIT_BYTES: usize = 8 << 20;

/// The forks of this process that are under way: their copies are left alone.
#[derive(Default)]
pub(super) struct Forks {
    lives: Mutex<BTreeSet<Incarnation>>,
}

impl Forks {
    fn lives(&self) -> MutexGuard<'_, BTreeSet<Incarnation>> {
        self.lives.lock().expect("no holder panics")
    }

    /// Whether a fork makes this life now.
    pub(super) fn has(&self, life: Incarnation) -> bool {
        self.lives().contains(&life)
    }
}

/// The copies that one call has begun, the last one last. When the call ends, or its caller has
/// gone, what is left of them belongs to nobody.
struct Begun<'a> {
    forks: &'a Forks,
    copies: Mutex<Vec<Incarnation>>,
}

impl Begun<'_> {
    fn copies(&self) -> MutexGuard<'_, Vec<Incarnation>> {
        self.copies.lock().expect("no holder panics")
    }

    fn add(&self, fresh: Incarnation) {
        self.forks.lives().insert(fresh);
        self.copies().push(fresh);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let copies = std::mem::take(&mut *self.copies());
        let mut lives = self.forks.lives();
        for copy in &copies {
            lives.remove(copy);
        }
    }
}

/// A request to fork, as it is hashed.
#[derive(Serialize)]
struct Fork<'a> {
    source: &'a SessionId,
    at: Option<Seq>,
    session: &'a SessionId,
}

/// What there is of a turn behind its append.
struct Behind {
    /// Its vectors in each slot.
    vectors: [Option<bytes::Bytes>; 2],
    pending: Option<bytes::Bytes>,
}

impl Behind {
    fn of(vectors: [Option<&Row>; 2], pending: Option<&Row>) -> Self {
        let value = |row: Option<&Row>| row.map(|row| row.value.clone());
        Self { vectors: vectors.map(value), pending: value(pending) }
    }
}

/// Rows that are copied but not yet committed, and what was copied by now.
struct Copies {
    batch: Batch,
    batch_turns: u64,
    batch_bytes: usize,
    turns: u64,
    span: Option<(Seq, Seq)>,
    tokens: u64,
    pending: bool,
}

impl Copies {
    fn add(&mut self, fresh: Incarnation, turn: &Turn, rows: [bytes::Bytes; 2], behind: Behind) {
        let seq = turn.seq;
        let mut batch = std::mem::take(&mut self.batch);
        if !turn.external_id.is_empty() {
            batch = batch.put(keys::external(fresh, &turn.external_id), encode(&seq));
        }
        let [value, derived] = rows;
        self.batch_bytes += value.len() + derived.len();
        for (slot, vectors) in Slot::ALL.into_iter().zip(behind.vectors) {
            if let Some(vectors) = vectors {
                self.batch_bytes += vectors.len();
                batch = batch.put(keys::vectors(slot, fresh, seq), vectors);
            }
        }
        if let Some(pending) = behind.pending {
            self.pending = true;
            batch = batch.put(keys::pending(fresh, seq), pending);
        }
        self.batch =
            batch.put(keys::turn(fresh, seq), value).put(keys::derived(fresh, seq), derived);
        self.tokens += tokens_of(turn);
        self.batch_turns += 1;
        self.turns += 1;
        self.span = Some((self.span.map_or(seq, |(first, _)| first), seq));
    }

    fn is_full(&self) -> bool {
        self.batch_turns >= COMMIT_TURNS || self.batch_bytes >= COMMIT_BYTES
    }

    fn take(&mut self) -> Batch {
        (self.batch_turns, self.batch_bytes) = (0, 0);
        std::mem::take(&mut self.batch)
    }
}

impl Memory {
    /// Copies the living turns of a session up to `at` into a new one.
    ///
    /// # Errors
    /// `SESSION_NOT_FOUND`, `SESSION_EXISTS`, `SEQ_OUT_OF_RANGE`; `REQUEST_ID_REUSED`,
    /// `CONTENTION` and what the store refuses.
    pub async fn fork_session(
        &self,
        tenant: &TenantId,
        source: &SessionId,
        at: Option<Seq>,
        session: &SessionId,
        policy: &Policy,
        request_id: Option<RequestId>,
    ) -> Result<Answered, Failure> {
        let request = Fork { source, at, session };
        let repeat = repeat_of(tenant, Verb::ForkSession, request_id, &request);
        let begun = Begun { forks: &self.forks, copies: Mutex::default() };
        let noted = Noted { memory: self, of: (tenant, session), life: Mutex::default() };
        let answered = self
            .commit(repeat.as_ref(), || async {
                let by = (&policy.summaries, repeat.as_ref());
                let plan = self.planned_fork(tenant, &request, by, &begun).await?;
                noted.set(begun.copies().last().copied());
                Ok(plan)
            })
            .await;
        let mut copies = begun.copies().clone();
        match &answered {
            // The copies of the last plan are the session now.
            Ok(answered) if !answered.replayed => {
                noted.set(None);
                if let Some(incarnation) = copies.pop().filter(|_| self.spaces.embeds()) {
                    self.backlog.note((tenant, incarnation, session), WHOLE, self.now());
                    self.beside_session((tenant, session), WHOLE.0);
                }
            }
            Ok(_) => {}
            // Whether the last commit is kept is open: the sweep or the next start finds out.
            Err(failure) if failure.reason().kind() == Kind::Internal => return answered,
            Err(_) => {}
        }
        for copy in copies {
            // What is left behind now, the sweep removes.
            if let Err(failure) = self.purge(copy).await {
                tracing::warn!(reason = failure.reason().text(), "copies are left: {failure}");
            }
        }
        answered
    }

    async fn planned_fork(
        &self,
        tenant: &TenantId,
        request: &Fork<'_>,
        (summaries, repeat): (&SummaryPolicy, Option<&Repeat>),
        begun: &Begun<'_>,
    ) -> Result<AppendPlan, Failure> {
        self.must_be_absent(tenant, request.session).await?;
        let source = self.existing(tenant, request.source).await?;
        let head = &source.row;
        let at_seq = request.at.unwrap_or(head.last_seq);
        if at_seq > head.last_seq {
            let message = format!("`{}` lies after the last turn, `{}`", at_seq.0, head.last_seq.0);
            return Err(Failure::new(Reason::SeqOutOfRange, message)
                .at("at_seq")
                .with("last_seq", head.last_seq.0));
        }
        let now = self.clock.now();
        let fresh = incarnation(now, self.chance.as_ref());
        begun.add(fresh);
        let (copies, purge_revision) = self.copy_turns(head.incarnation, at_seq, fresh).await?;
        let user = self.user_head(tenant, head.user.as_ref()).await?;
        let end = ForkEnd {
            source: request.source,
            source_head: head,
            source_revision: self.unedited_since(tenant, request.source, &source).await?,
            session: request.session,
            incarnation: fresh,
            purge_revision,
            turns: copies.turns,
            span: copies.span,
            at_seq,
            tokens: copies.tokens,
            pending: copies.pending,
            summaries,
        };
        Ok(plan_fork_end(tenant, &end, user.as_ref(), now, repeat))
    }

    /// The revision that the source must have when the fork is committed: the present one when only
    /// appends came since it was read, else the old one, so that the fork is planned again.
    async fn unedited_since(
        &self,
        tenant: &TenantId,
        source: &SessionId,
        was: &Revised<Head>,
    ) -> Result<Revision, Failure> {
        let Some(is) = self.get::<Head>(keys::head(tenant, source)).await? else {
            return Ok(was.revision);
        };
        if is.row.incarnation != was.row.incarnation {
            return Ok(was.revision);
        }
        let (from, to) = (was.row.change, is.row.change);
        let range = Read::range(
            keys::change(is.row.incarnation, from.next()),
            keys::change(is.row.incarnation, to.next()),
        );
        let rows = self.read(vec![range]).await?.remove(0);
        let mut whole = rows.len() as u64 == to.0 - from.0;
        for row in &rows {
            let found = revised::<ChangeRow>(std::slice::from_ref(row))?;
            let edits = |row: &ChangeRow| row.superseded_from.is_some() || !row.erased.is_empty();
            whole &= !found.is_some_and(|found| edits(&found.row));
        }
        Ok(if whole { is.revision } else { was.revision })
    }

    /// Copies rows under a fresh incarnation, behind a purge row whose revision is given too: if
    /// the fork does not come to its end, the sweep or the next start removes them.
    async fn copy_turns(
        &self,
        source: Incarnation,
        until: Seq,
        fresh: Incarnation,
    ) -> Result<(Copies, Revision), Failure> {
        let mut purge_revision = None;
        let mut copies = Copies {
            batch: Batch::new().put(keys::purge(fresh), FORK_MARK),
            batch_turns: 0,
            batch_bytes: 0,
            turns: 0,
            span: None,
            tokens: 0,
            pending: false,
        };
        let mut from = Seq(1);
        loop {
            let read = |key: fn(Incarnation, Seq) -> Vec<u8>| {
                Read::range(key(source, from), key(source, until.next()))
            };
            let limited = read(keys::turn).limit(READ_TURNS);
            let derived = read(keys::derived).limit(READ_TURNS);
            let of = |slot: Slot| {
                let key = |seq| keys::vectors(slot, source, seq);
                Read::range(key(from), key(until.next())).limit(READ_TURNS)
            };
            let pending = read(keys::pending).limit(READ_TURNS);
            let [first, second] = Slot::ALL.map(of);
            let reads = vec![limited, derived, read(keys::mark), pending, first, second];
            let rows = self.read(reads).await?;
            let [pending, first, second] = [&rows[3], &rows[4], &rows[5]].map(|rows| by_seq(rows));
            let marked: Vec<_> = rows[2].iter().filter_map(|row| seq_of(&row.key)).collect();
            for (row, derived) in rows[0].iter().zip(&rows[1]) {
                let turn: Turn = decode(&row.value).map_err(unreadable)?;
                let same = seq_of(&derived.key) == Some(turn.seq);
                debug_assert!(same, "each stored turn has its derived row");
                if marked.binary_search(&turn.seq).is_err() {
                    let vectors = [&first, &second].map(|of| of.get(&turn.seq).copied());
                    let behind = Behind::of(vectors, pending.get(&turn.seq).copied());
                    copies.add(fresh, &turn, [row.value.clone(), derived.value.clone()], behind);
                }
                if copies.is_full() {
                    let revision = self.commit_plain(copies.take()).await?;
                    purge_revision.get_or_insert(revision);
                }
            }
            match rows[0].last().and_then(|row| seq_of(&row.key)) {
                Some(last) if rows[0].len() == READ_TURNS => from = last.next(),
                _ => break,
            }
        }
        let last = self.commit_plain(copies.take()).await?;
        Ok((copies, purge_revision.unwrap_or(last)))
    }
}
