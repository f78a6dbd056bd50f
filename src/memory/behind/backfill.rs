//! Vectors of the embedder that does not serve: what is in the record gets them in one pass, what
//! comes meanwhile is noted and gets them after it. Nothing waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::error::{Failure, Reason};
use crate::memory::{
    Memory, Space, append::seq_of, behind::embedding::Made, documents::Shelved, rows::unreadable,
};
use crate::record::{Head, Slot, VectorRow, decode, keys};
use crate::retrieve::PIECES_VERSION;
use crate::sessions::{Draft, plan_beside};
use crate::storage::{Batch, Read};
use crate::types::{Incarnation, Seq, SessionId, TenantId, Turn};

/// How many turns are looked at for one commit, and embedded at the most.
const PAGE_TURNS: usize = 16;
/// How many rows are removed for one commit.
const PAGE_CLEARED: usize = 256;
/// How many sessions and documents that came meanwhile are noted; with more, the pass is made
/// again.
const NOTED_MAX: usize = 10_000;

/// Where the embedder that does not serve stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preparing {
    /// The key of the embedder that serves; empty: there is none.
    pub serving: String,
    /// The key of the other one; empty: there is none.
    pub beside: String,
    /// Whether all that is in the record has its vectors.
    pub ready: bool,
    /// How many turns were looked at, and given their vectors where they lacked them.
    pub turns_done: u64,
    /// How many there were when they were counted.
    pub turns: u64,
    /// The same of chunks of documents.
    pub chunks_done: u64,
    /// How many there were.
    pub chunks: u64,
    /// Why nothing more is embedded now, as the embedder says; empty: it goes on.
    pub held_by: String,
    /// Whether vectors of an embedder that is named no more are being removed.
    pub clearing: bool,
}

impl Preparing {
    /// How many turns and chunks it was not brought to yet; one at least until it is ready.
    pub fn pending(&self) -> u64 {
        if self.beside.is_empty() || self.ready {
            return 0;
        }
        ((self.turns - self.turns_done) + (self.chunks - self.chunks_done)).max(1)
    }
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// There may be more to do.
    Some,
    /// All is done, until something comes.
    All,
}

/// How far the pass is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum At {
    /// Nothing is counted yet.
    #[default]
    Start,
    /// Sessions after this key.
    Sessions(Vec<u8>),
    /// Documents after this one.
    Documents(Option<Shelved>),
    /// What was noted.
    Noted,
}

#[derive(Default)]
struct State {
    /// The key that it is for.
    of: String,
    at: At,
    turns: (u64, u64),
    chunks: (u64, u64),
    sessions: BTreeMap<(TenantId, SessionId), Seq>,
    documents: BTreeSet<Shelved>,
    again: bool,
    held_by: String,
}

/// The state of the pass, and what came meanwhile.
#[derive(Default)]
pub struct Backfill {
    state: Mutex<State>,
    more: Notify,
}

impl Backfill {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_ready(&self) -> bool {
        self.at == At::Noted && !self.again && self.sessions.is_empty() && self.documents.is_empty()
    }
}

/// A life of a session.
struct Named {
    tenant: TenantId,
    session: SessionId,
    incarnation: Incarnation,
}

/// What is next.
enum Next {
    Count,
    Session(Vec<u8>),
    Document(Option<Shelved>),
    NotedSession((TenantId, SessionId), Seq),
    NotedDocument(Shelved),
    Nothing,
}

impl Memory {
    /// Where the embedder that does not serve stands.
    pub fn preparing(&self) -> Preparing {
        let key = |space: Option<Space>| {
            space.map(|space| space.embedder.key().to_owned()).unwrap_or_default()
        };
        let (serving, beside) = (key(self.spaces.serving()), key(self.spaces.beside()));
        let clearing = self.spaces.to_clear().is_some();
        let state = self.backfill.state();
        let known = !beside.is_empty() && state.of == beside;
        let (turns_done, turns) = if known { state.turns } else { (0, 0) };
        let (chunks_done, chunks) = if known { state.chunks } else { (0, 0) };
        Preparing {
            ready: known && state.is_ready(),
            held_by: if known { state.held_by.clone() } else { String::new() },
            serving,
            beside,
            turns_done,
            turns: turns.max(turns_done),
            chunks_done,
            chunks: chunks.max(chunks_done),
            clearing,
        }
    }

    /// Has the embedder of this key serve, from the next question on. One that is not ready is
    /// refused unless it is forced: then answers lack meaning until it is.
    ///
    /// # Errors
    /// `EMBEDDER_UNKNOWN`, `EMBEDDER_NOT_READY`, `CONTENTION`, and what the store refuses.
    pub async fn switch_embedder(&self, key: &str, force: bool) -> Result<Preparing, Failure> {
        let now = self.preparing();
        if !force && key == now.beside && !key.is_empty() && !now.ready {
            let message = format!(
                "`{key}` has vectors of {} of {} turns and {} of {} chunks",
                now.turns_done, now.turns, now.chunks_done, now.chunks
            );
            return Err(Failure::new(Reason::EmbedderNotReady, message));
        }
        self.serve_embedder(key).await?;
        self.backfill.more.notify_one();
        Ok(self.preparing())
    }

    /// Notes that turns of a session, from a seq on, may lack vectors of the other embedder.
    pub(in crate::memory) fn beside_session(
        &self,
        (tenant, session): (&TenantId, &SessionId),
        from: Seq,
    ) {
        if self.spaces.beside().is_none() {
            return;
        }
        let mut state = self.backfill.state();
        if state.sessions.len() >= NOTED_MAX {
            state.again = true;
        } else {
            let key = (tenant.clone(), session.clone());
            state.sessions.entry(key).and_modify(|at| *at = from.min(*at)).or_insert(from);
        }
        drop(state);
        self.backfill.more.notify_one();
    }

    /// The same of a document.
    pub(in crate::memory) fn beside_document(&self, document: Shelved) {
        if self.spaces.beside().is_none() {
            return;
        }
        let mut state = self.backfill.state();
        if state.documents.len() >= NOTED_MAX {
            state.again = true;
        } else {
            state.documents.insert(document);
        }
        drop(state);
        self.backfill.more.notify_one();
    }

    /// Waits until there may be something to fill.
    pub async fn more_to_fill(&self) {
        self.backfill.more.notified().await;
    }

    /// Gives some turns or chunks their vectors of the embedder that does not serve, or removes
    /// vectors of one that is named no more.
    ///
    /// # Errors
    /// What the store refuses; `EMBEDDER_FAILED` when no text can be embedded now. It is tried
    /// again at the same place then.
    pub async fn fill_some(&self) -> Result<Filled, Failure> {
        if let Some(slot) = self.spaces.to_clear() {
            return self.clear_slot(slot).await;
        }
        let Some(space) = self.spaces.beside() else { return Ok(Filled::All) };
        let next = self.next_to_fill(space.embedder.key());
        let worked = self.fill(&space, &next).await;
        let mut state = self.backfill.state();
        match &worked {
            Ok(_) => state.held_by.clear(),
            Err(failure) => {
                state.held_by = failure.to_string();
                match next {
                    Next::NotedSession(key, from) => drop(state.sessions.insert(key, from)),
                    Next::NotedDocument(document) => drop(state.documents.insert(document)),
                    _ => {}
                }
            }
        }
        worked
    }

    fn next_to_fill(&self, key: &str) -> Next {
        let mut state = self.backfill.state();
        if state.of != key {
            *state = State { of: key.to_owned(), ..State::default() };
        }
        match &state.at {
            At::Start => Next::Count,
            At::Sessions(after) => Next::Session(after.clone()),
            At::Documents(after) => Next::Document(after.clone()),
            At::Noted => {
                if let Some((key, from)) = state.sessions.pop_first() {
                    return Next::NotedSession(key, from);
                }
                match state.documents.pop_first() {
                    Some(document) => Next::NotedDocument(document),
                    None if state.again => {
                        (state.again, state.at) = (false, At::Start);
                        Next::Count
                    }
                    None => Next::Nothing,
                }
            }
        }
    }

    async fn fill(&self, space: &Space, next: &Next) -> Result<Filled, Failure> {
        match next {
            Next::Nothing => return Ok(Filled::All),
            Next::Count => {
                let (turns, chunks) = (self.count_turns().await?, self.count_chunks().await?);
                let mut state = self.backfill.state();
                (state.turns, state.chunks) = ((0, turns), (0, chunks));
                state.at = At::Sessions(keys::all_heads());
            }
            Next::Session(after) => match self.head_after(after).await? {
                Some((key, named)) => {
                    let turns = self.fill_session(space, &named, Seq(0)).await?;
                    let mut state = self.backfill.state();
                    state.turns.0 += turns;
                    state.at = At::Sessions(key);
                }
                None => self.backfill.state().at = At::Documents(None),
            },
            Next::Document(after) => match self.document_after(after.as_ref()).await? {
                Some(document) => {
                    let chunks = self.fill_document(space, &document).await?;
                    let mut state = self.backfill.state();
                    state.chunks.0 += chunks;
                    state.at = At::Documents(Some(document));
                }
                None => self.backfill.state().at = At::Noted,
            },
            Next::NotedSession((tenant, session), from) => {
                let head = self.get::<Head>(keys::head(tenant, session)).await?;
                if let Some(head) = head {
                    let (tenant, session) = (tenant.clone(), session.clone());
                    let incarnation = head.row.incarnation;
                    let named = Named { tenant, session, incarnation };
                    self.fill_session(space, &named, *from).await?;
                }
            }
            Next::NotedDocument(document) => {
                self.fill_document(space, document).await?;
            }
        }
        Ok(Filled::Some)
    }

    async fn head_after(&self, after: &[u8]) -> Result<Option<(Vec<u8>, Named)>, Failure> {
        let mut from = after.to_vec();
        from.push(0);
        let to = keys::after_prefix(&keys::all_heads());
        let rows = self.read(vec![Read::range(from, to).limit(1)]).await?.remove(0);
        let Some(row) = rows.first() else { return Ok(None) };
        let Some((tenant, session)) = keys::head_named_by(&row.key) else { return Ok(None) };
        let incarnation = decode::<Head>(&row.value).map_err(unreadable)?.incarnation;
        Ok(Some((row.key.to_vec(), Named { tenant, session, incarnation })))
    }

    async fn count_turns(&self) -> Result<u64, Failure> {
        let mut turns = 0;
        self.pages(keys::all_heads(), |rows| {
            for row in rows {
                turns += decode::<Head>(&row.value).map_err(unreadable)?.turns_living;
            }
            Ok(())
        })
        .await?;
        Ok(turns)
    }

    /// Gives the living turns of a session from a seq on their vectors, where they lack them. Gives
    /// how many it looked at.
    async fn fill_session(
        &self,
        space: &Space,
        named: &Named,
        mut from: Seq,
    ) -> Result<u64, Failure> {
        let incarnation = named.incarnation;
        let mut looked_at = 0;
        loop {
            let page = Read::range(keys::turn(incarnation, from), keys::turn(incarnation, END));
            let rows = self.read(vec![page.limit(PAGE_TURNS)]).await?.remove(0);
            let Some(last) = rows.last().and_then(|row| seq_of(&row.key)) else {
                return Ok(looked_at);
            };
            let of = |key: &dyn Fn(Seq) -> Vec<u8>| Read::range(key(from), key(last.next()));
            let reads = vec![
                of(&|seq| keys::mark(incarnation, seq)),
                of(&|seq| keys::vectors(space.slot, incarnation, seq)),
            ];
            let beside = self.read(reads).await?;
            let mut done: BTreeSet<Seq> =
                beside[0].iter().filter_map(|row| seq_of(&row.key)).collect();
            let whole = |value: &[u8]| {
                decode::<VectorRow>(value).is_ok_and(|row| {
                    row.embedder == space.embedder.key() && row.pieces_version == PIECES_VERSION
                })
            };
            let known = beside[1].iter().filter(|row| whole(&row.value));
            done.extend(known.filter_map(|row| seq_of(&row.key)));
            let turns = rows.iter().map(|row| decode::<Turn>(&row.value).map_err(unreadable));
            let mut turns = turns.collect::<Result<Vec<_>, _>>()?;
            looked_at += turns.len() as u64;
            turns.retain(|turn| {
                !done.contains(&turn.seq) && !turn.searchable_text().trim().is_empty()
            });
            if !turns.is_empty() {
                let made = self.vectors_of(space, &named.tenant, turns).await?;
                self.keep_beside(named, space, made).await?;
            }
            from = last.next();
        }
    }

    /// Commits vectors of those of the turns that still live.
    async fn keep_beside(
        &self,
        Named { tenant, session, incarnation }: &Named,
        space: &Space,
        made: Vec<Made>,
    ) -> Result<(), Failure> {
        let incarnation = *incarnation;
        let found = self.behind(tenant, session, incarnation, |head, _| {
            let made = made.clone();
            async move {
                if self.spaces.beside().is_none_or(|now| now.slot != space.slot) {
                    return Ok(Draft::new(tenant.clone()));
                }
                let gets = made.iter().flat_map(|(seq, _)| {
                    let (turn, mark) =
                        (keys::turn(incarnation, *seq), keys::mark(incarnation, *seq));
                    [Read::get(turn), Read::get(mark)]
                });
                let rows = self.read(gets.collect()).await?;
                let lives = |at: usize| !rows[2 * at].is_empty() && rows[2 * at + 1].is_empty();
                let made = made.into_iter().enumerate().filter(|(at, _)| lives(*at));
                let made: Vec<Made> = made.map(|(_, made)| made).collect();
                let mut draft = plan_beside(tenant, (session, &head), space.slot, &made);
                self.spaces.expected(&mut draft);
                Ok(draft)
            }
        });
        found.await.map(|_| ())
    }

    /// Removes all vectors of a slot: those of turns, then those of chunks.
    async fn clear_slot(&self, slot: Slot) -> Result<Filled, Failure> {
        let mut after = keys::all_heads();
        while let Some((key, named)) = self.head_after(&after).await? {
            let of = |seq| keys::vectors(slot, named.incarnation, seq);
            self.clear_range(slot, (of(Seq(0)), of(END))).await?;
            after = key;
        }
        let mut last = None;
        while let Some(document) = self.document_after(last.as_ref()).await? {
            if let Some(range) = self.vectors_of_document(slot, &document).await? {
                self.clear_range(slot, range).await?;
            }
            last = Some(document);
        }
        self.cleared_slot().await?;
        Ok(Filled::Some)
    }

    /// Removes the rows of a range while their slot is to be cleared.
    async fn clear_range(&self, slot: Slot, (from, to): (Vec<u8>, Vec<u8>)) -> Result<(), Failure> {
        loop {
            let page = Read::range(from.clone(), to.clone()).limit(PAGE_CLEARED);
            let rows = self.read(vec![page]).await?.remove(0);
            if rows.is_empty() || self.spaces.to_clear() != Some(slot) {
                return Ok(());
            }
            let gone = rows.iter().fold(Batch::new(), |batch, row| batch.delete(row.key.clone()));
            self.commit_plain(gone).await?;
        }
    }
}

/// After every seq.
const END: Seq = Seq(u64::MAX);
