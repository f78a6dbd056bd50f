//! Ranking the sessions of a request; Search on top of it.

use std::collections::BTreeMap;
use std::sync::RwLockReadGuard;

use crate::error::Failure;
use crate::memory::{Degraded, Filter, Memory, Target, partition::Partition, query::Corpus};
use crate::record::SessionKind;
use crate::retrieve::{
    ChatKind, Decision, Hit, NoSignal, Query, Request, SignalValue, Weights, rank,
};
use crate::types::{Change, Policy, Role, Seq, SessionId, TenantId, Timestamp, Turn};

/// A request to search, checked.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// Whose past.
    pub target: Target,
    /// What to find.
    pub query: String,
    /// How many hits at the most.
    pub top_k: usize,
    /// Which turns may be returned.
    pub filter: Filter,
    /// The reference for relative dates; `None`: now.
    pub as_of: Option<Timestamp>,
}

/// A turn that was found.
pub struct FoundTurn {
    /// Its session.
    pub session: SessionId,
    /// The turn.
    pub turn: Turn,
    /// How it was found.
    pub hit: Hit,
}

/// What a search found.
pub struct Found {
    /// The turns, best first.
    pub turns: Vec<FoundTurn>,
    /// What retrieval decided.
    pub decision: Decided,
    /// What the answer lacks.
    pub degraded: Vec<Degraded>,
    /// The session's change; 0: there is no such session.
    pub session_change: Change,
    /// The user's change; 0 in scope SESSION.
    pub user_change: Change,
    /// The reference for dates that was used.
    pub as_of: Timestamp,
}

/// What retrieval decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// Turns were ranked.
    Retrieved,
    /// The query says nothing that the past could answer.
    NoSignal,
    /// There was nothing to search.
    Empty,
    /// It was switched off.
    Off,
    /// It did not finish inside the deadline.
    TimedOut,
}

/// The hits of a request.
pub struct Ranked {
    /// What retrieval decided.
    pub decision: Decided,
    /// The hits, best first; `source` numbers the copies of the corpus.
    pub hits: Vec<Hit>,
    /// What the ranking lacks.
    pub degraded: Vec<Degraded>,
}

impl Ranked {
    fn none(decision: Decided, degraded: Vec<Degraded>) -> Self {
        Self { decision, hits: Vec::new(), degraded }
    }

    /// Nothing, because retrieval is switched off.
    pub fn off() -> Self {
        Self::none(Decided::Off, Vec::new())
    }

    /// The signals of each hit.
    pub fn signals(&self) -> BTreeMap<(usize, Seq), Vec<SignalValue>> {
        self.hits.iter().map(|hit| ((hit.source, hit.seq), hit.signals.clone())).collect()
    }
}

/// What is asked, and what of the named session is before it.
pub(super) struct Asked {
    text: String,
    previous: Option<String>,
    /// In the named session only turns before this one are searched.
    horizon: Option<Seq>,
}

impl Asked {
    /// The query, or else the last user turn of the session.
    pub fn of(turns: &[Turn], query: Option<&str>) -> Self {
        let mut users = turns.iter().rev().filter(|turn| turn.role == Role::User);
        match query {
            Some(query) => Self {
                text: query.to_owned(),
                previous: users.next().map(Turn::searchable_text),
                horizon: None,
            },
            None => {
                let last = users.next();
                Self {
                    text: last.map(Turn::searchable_text).unwrap_or_default(),
                    previous: users.next().map(Turn::searchable_text),
                    horizon: last.map(|turn| turn.seq),
                }
            }
        }
    }
}

/// Ranks the turns of a corpus.
pub(super) fn rank_corpus(
    corpus: &Corpus,
    copies: &[RwLockReadGuard<'_, Partition>],
    asked: &Asked,
    filter: &Filter,
    hits_max: usize,
    as_of: Timestamp,
    policy: &Policy,
) -> Ranked {
    if corpus.timed_out {
        return Ranked::none(Decided::TimedOut, vec![Degraded::Retrieval]);
    }
    let sources: Vec<_> = copies
        .iter()
        .enumerate()
        .map(|(place, copy)| crate::retrieve::Source {
            index: copy.index(),
            horizon: asked.horizon.filter(|_| corpus.own == Some(place)),
        })
        .collect();
    let query = Query {
        text: &asked.text,
        previous_user_text: asked.previous.as_deref(),
        language: &policy.retrieval.language,
        as_of,
        kind: declared_kind(corpus, copies),
    };
    let passes =
        |source: usize, seq: Seq| copies[source].turn(seq).is_some_and(|turn| filter.passes(turn));
    let ranking = rank(&Request {
        sources: &sources,
        query,
        filter: &passes,
        hits_max,
        weights: &Weights::DEFAULT,
    });
    let decision = match ranking.decision {
        Decision::Retrieved => Decided::Retrieved,
        Decision::NoSignal(NoSignal::EmptyPartition) => Decided::Empty,
        Decision::NoSignal(NoSignal::NothingAsked | NoSignal::NothingKnown) => Decided::NoSignal,
    };
    Ranked { decision, hits: ranking.hits, degraded: Vec::new() }
}

/// The kind that the named session was declared to be, or else the first session that was.
fn declared_kind(corpus: &Corpus, copies: &[RwLockReadGuard<'_, Partition>]) -> Option<ChatKind> {
    let own = corpus.own.into_iter().map(|own| &copies[own]);
    own.chain(copies).find_map(|copy| match copy.kind() {
        SessionKind::Seen => None,
        SessionKind::UserAssistant => Some(ChatKind::UserAssistant),
        SessionKind::PersonToPerson => Some(ChatKind::PersonToPerson),
    })
}

impl Memory {
    /// Ranks past turns for a query. A session or user that does not exist is empty.
    ///
    /// # Errors
    /// `USER_MISMATCH` and what the store refuses.
    pub async fn search(
        &self,
        tenant: &TenantId,
        policy: &Policy,
        request: SearchRequest,
    ) -> Result<Found, Failure> {
        let as_of = request.as_of.unwrap_or_else(|| self.clock.now());
        let corpus = self.corpus(tenant, &request.target, &policy.retrieval.language).await?;
        let policy = policy.clone();
        let found = tokio::task::spawn_blocking(move || {
            let copies = corpus.read();
            let turns = corpus.own.map(|own| copies[own].turns()).unwrap_or_default();
            let asked = Asked::of(turns, Some(&request.query));
            let filter = &request.filter;
            let most = request.top_k;
            let ranked = rank_corpus(&corpus, &copies, &asked, filter, most, as_of, &policy);
            let turns = ranked.hits.into_iter().filter_map(|hit| {
                let turn = copies[hit.source].turn(hit.seq)?.clone();
                Some(FoundTurn { session: corpus.copies[hit.source].0.clone(), turn, hit })
            });
            Found {
                turns: turns.collect(),
                decision: ranked.decision,
                degraded: ranked.degraded,
                session_change: corpus.own.map_or(Change(0), |own| copies[own].change()),
                user_change: corpus.user_change,
                as_of,
            }
        });
        Ok(found.await.expect("ranking does not panic"))
    }
}
