//! Ranking the sessions of a request; Search on top of it.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLockReadGuard};
use std::time::Duration;

use crate::documents::DocumentFilter;
use crate::error::Failure;
use crate::memory::{
    Degraded, DocumentSearch, Filter, FoundDocuments, Memory, Target,
    behind::wait_of,
    context::united,
    heavy::nearby,
    partition::Partition,
    query::{Corpus, time_left},
    rerank::{Judged, TurnsAsked},
};
use crate::record::SessionKind;
use crate::retrieve::{
    ChatKind, Decision, Hit, Mode, NoSignal, Query, Request, SignalValue, Source, Weights, rank,
    to_embed,
};
use crate::telemetry::degraded;
use crate::types::{
    Change, CollectionId, Policy, RetrievalMode, Role, Seq, SessionId, TenantId, Timestamp, Turn,
};

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
    /// Whether to give every signal of every hit.
    pub explain: bool,
    /// Collections of documents to search.
    pub collections: Vec<CollectionId>,
    /// Which documents may be returned.
    pub document_filter: DocumentFilter,
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
    /// How many turns can be found by meaning; `None`: words alone were asked for.
    pub coverage: Option<Coverage>,
    /// The key of the embedder whose vectors took part.
    pub embedder: Option<Arc<str>>,
    /// The key of the reranker whose scores took part.
    pub reranker: Option<Arc<str>>,
    /// The session's change; 0: there is no such session.
    pub session_change: Change,
    /// The user's change; 0 in scope SESSION.
    pub user_change: Change,
    /// The reference for dates that was used.
    pub as_of: Timestamp,
    /// Chunks of documents.
    pub documents: FoundDocuments,
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

/// How many turns of a corpus can be found by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// Turns that are searched and have something to embed.
    pub turns: u64,
    /// Those of them that have their vectors.
    pub turns_embedded: u64,
}

/// The hits of a request.
pub struct Ranked {
    /// What retrieval decided.
    pub decision: Decided,
    /// The hits, best first; `source` numbers the copies of the corpus.
    pub hits: Vec<Hit>,
    /// By how much the score of a hit must be above that of another to be worth e times the tokens.
    pub length_price: f64,
    /// What the ranking lacks.
    pub degraded: Vec<Degraded>,
    /// How many turns can be found by meaning; `None`: words alone were asked for.
    pub coverage: Option<Coverage>,
    /// The key of the embedder whose vectors took part.
    pub embedder: Option<Arc<str>>,
    /// The key of the reranker whose scores took part.
    pub reranker: Option<Arc<str>>,
}

impl Ranked {
    fn none(decision: Decided, degraded: Vec<Degraded>) -> Self {
        Self {
            decision,
            hits: Vec::new(),
            length_price: 0.0,
            degraded,
            coverage: None,
            embedder: None,
            reranker: None,
        }
    }

    /// Nothing, because retrieval is switched off. The user's other sessions, of which summaries
    /// are shown all the same, may have been late.
    pub(super) fn off(corpus: &Corpus) -> Self {
        let late = corpus.timed_out.then_some(Degraded::Retrieval);
        Self::none(Decided::Off, late.into_iter().collect())
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
    /// In the named session turns from this one on are found by words alone.
    words_from: Option<Seq>,
}

/// Turns that came no longer than this before the last user turn, and not before the user turn
/// before it, may lack their vectors at that turn. They are found by words alone while it is the
/// last, so that what is retrieved for it stays as it is while an answer is worked out in many
/// calls.
const SETTLING_MS: i64 = 30_000;

impl Asked {
    /// What is asked.
    pub fn into_text(self) -> String {
        self.text
    }

    /// The query, or else the last user turn of the session.
    pub fn of(turns: &[Turn], query: Option<&str>) -> Self {
        let mut users = turns.iter().rev().filter(|turn| turn.role == Role::User);
        match query {
            Some(query) => Self {
                text: query.to_owned(),
                previous: users.next().map(Turn::searchable_text),
                horizon: None,
                words_from: None,
            },
            None => {
                let (last, before) = (users.next(), users.next());
                Self {
                    text: last.map(Turn::searchable_text).unwrap_or_default(),
                    previous: before.map(Turn::searchable_text),
                    horizon: last.map(|turn| turn.seq),
                    words_from: last.map(|last| words_from(turns, last, before)),
                }
            }
        }
    }
}

/// The first turn that is found by words alone while `last` is the last user turn and `before` the
/// one before it.
fn words_from(turns: &[Turn], last: &Turn, before: Option<&Turn>) -> Seq {
    let first = before.map_or(Seq(0), |before| before.seq);
    let since = last.committed_at.0.saturating_sub(SETTLING_MS);
    let below = turns.iter().rev().skip_while(|turn| turn.seq >= last.seq);
    let settling = below.take_while(|turn| turn.seq >= first && turn.committed_at.0 >= since);
    settling.last().map_or(last.seq, |turn| turn.seq)
}

/// The vector of a question, or why there is none.
#[derive(Clone)]
pub(super) enum Meaning {
    /// None is wanted.
    Unwanted,
    /// None could be had.
    Lacking(Degraded),
    /// It is there.
    Of(Meant),
}

/// The vector of a question.
#[derive(Clone)]
pub(super) struct Meant {
    /// The text that it is of.
    text: String,
    vector: Arc<[f32]>,
    /// The key of the embedder that made it.
    embedder: Arc<str>,
}

/// How to rank: what of the answer is wanted, and what it is measured by.
pub(super) struct Wanted<'a> {
    pub filter: &'a Filter,
    pub hits_max: usize,
    pub as_of: Timestamp,
    pub policy: &'a Policy,
    pub meaning: &'a Meaning,
    pub judged: &'a Judged,
    pub explain: bool,
    pub weights: &'a Weights,
}

/// By what a policy has turns and chunks ranked.
pub(super) fn mode(policy: &Policy) -> Mode {
    match policy.retrieval_mode {
        RetrievalMode::Hybrid => Mode::Hybrid,
        RetrievalMode::Words => Mode::Words,
        RetrievalMode::Vectors => Mode::Vectors,
    }
}

fn sources<'a>(
    corpus: &Corpus,
    copies: &'a [RwLockReadGuard<'_, Partition>],
    asked: &Asked,
) -> Vec<Source<'a>> {
    let source = |(place, copy): (usize, &'a RwLockReadGuard<'_, Partition>)| {
        let is_own = corpus.own == Some(place);
        Source {
            index: copy.index(),
            horizon: asked.horizon.filter(|_| is_own),
            words_from: asked.words_from.filter(|_| is_own),
        }
    };
    copies.iter().enumerate().map(source).collect()
}

fn query<'a>(
    corpus: &Corpus,
    copies: &[RwLockReadGuard<'_, Partition>],
    asked: &'a Asked,
    (policy, as_of): (&'a Policy, Timestamp),
) -> Query<'a> {
    Query {
        text: &asked.text,
        previous_user_text: asked.previous.as_deref(),
        language: &policy.retrieval.language,
        as_of,
        kind: declared_kind(corpus, copies),
    }
}

/// Ranks the turns of a corpus.
pub(super) fn rank_corpus(
    corpus: &Corpus,
    copies: &[RwLockReadGuard<'_, Partition>],
    asked: &Asked,
    wanted: &Wanted<'_>,
) -> Ranked {
    if corpus.timed_out {
        return Ranked::none(Decided::TimedOut, vec![Degraded::Retrieval]);
    }
    let sources = sources(corpus, copies, asked);
    let query = query(corpus, copies, asked, (wanted.policy, wanted.as_of));
    let mut degraded = Vec::new();
    let mut meant = None;
    match wanted.meaning {
        Meaning::Unwanted => {}
        Meaning::Lacking(why) => degraded.push(*why),
        Meaning::Of(of) => {
            // A turn may have come since the text was embedded, and ask something else.
            let same = to_embed(&query, &sources).is_some_and(|now| now.text == of.text);
            // Another embedder may serve since then.
            let same = same && copies.iter().all(|copy| copy.embedder() == Some(&*of.embedder));
            meant = Some(of).filter(|_| same);
            degraded.extend((!same).then_some(Degraded::Vector));
        }
    }
    let coverage = coverage(&sources, wanted.meaning);
    if coverage.is_some_and(|coverage| coverage.turns_embedded < coverage.turns) {
        degraded.push(Degraded::VectorsPending);
    }
    let passes = |source: usize, seq: Seq| {
        copies[source].turn(seq).is_some_and(|turn| wanted.filter.passes(turn))
    };
    let ranking = rank(&Request {
        sources: &sources,
        query,
        filter: &passes,
        hits_max: wanted.judged.hits_max(wanted.hits_max),
        weights: wanted.weights,
        mode: mode(wanted.policy),
        vector: meant.map(|meant| meant.vector.as_ref()),
        explain: wanted.explain,
    });
    let decision = match ranking.decision {
        Decision::Retrieved => Decided::Retrieved,
        Decision::NoSignal(NoSignal::EmptyPartition) => Decided::Empty,
        Decision::NoSignal(NoSignal::NothingAsked | NoSignal::NothingKnown) => Decided::NoSignal,
    };
    let mut ranked = Ranked {
        decision,
        hits: ranking.hits,
        length_price: wanted.weights.length * ranking.spread,
        degraded,
        coverage,
        embedder: meant.map(|meant| meant.embedder.clone()),
        reranker: None,
    };
    wanted.judged.reorder(&mut ranked, wanted.hits_max, wanted.explain);
    ranked
}

/// How many turns can be found by meaning, when that is wanted.
fn coverage(sources: &[Source<'_>], meaning: &Meaning) -> Option<Coverage> {
    if matches!(meaning, Meaning::Unwanted) {
        return None;
    }
    let mut coverage = Coverage { turns: 0, turns_embedded: 0 };
    for source in sources {
        coverage.turns += source.wanting() as u64;
        coverage.turns_embedded += source.vectors_known() as u64;
    }
    Some(coverage)
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
    /// What a question means, as a vector, when retrieval goes by meaning too.
    pub(super) async fn meaning(
        &self,
        tenant: &TenantId,
        corpus: &Corpus,
        given: Option<&str>,
        (policy, as_of, wait): (&Policy, Timestamp, Duration),
    ) -> Meaning {
        if policy.retrieval_mode == RetrievalMode::Words || corpus.timed_out {
            return Meaning::Unwanted;
        }
        let Some(space) = self.spaces.serving() else {
            // A node without a model answers by words; who wants vectors alone is told.
            return match policy.retrieval_mode {
                RetrievalMode::Vectors => Meaning::Lacking(Degraded::Vector),
                RetrievalMode::Hybrid | RetrievalMode::Words => Meaning::Unwanted,
            };
        };
        let embeddable = {
            let copies = corpus.read();
            for copy in copies.iter().filter(|copy| copy.lacks_vectors()) {
                self.backlog.asked(tenant, copy.incarnation());
            }
            let turns = corpus.own.map(|own| copies[own].turns()).unwrap_or_default();
            let asked = Asked::of(turns, given);
            let query = query(corpus, &copies, &asked, (policy, as_of));
            to_embed(&query, &sources(corpus, &copies, &asked))
        };
        let Some(embeddable) = embeddable else { return Meaning::Unwanted };
        let text = embeddable.text.clone();
        match self.question_vector(&space.embedder, tenant, embeddable, wait).await {
            Ok(vector) => {
                Meaning::Of(Meant { text, vector, embedder: space.embedder.key().into() })
            }
            Err(degraded) => Meaning::Lacking(degraded),
        }
    }

    /// Ranks past turns and chunks of documents for a query. A session or user that does not exist
    /// is empty.
    ///
    /// # Errors
    /// `USER_MISMATCH`, `COLLECTION_NOT_FOUND`, and what the store refuses.
    pub async fn search(
        &self,
        tenant: &TenantId,
        policy: &Policy,
        request: SearchRequest,
    ) -> Result<Found, Failure> {
        let asked = (request.collections.clone(), request.document_filter.clone());
        let query = request.query.clone();
        let wait = (wait_of(&request.target), time_left(request.target.deadline));
        let documents = DocumentSearch {
            tokens_enough: None,
            collections: &asked.0,
            lenient: false,
            query: &query,
            filter: &asked.1,
            most: request.top_k,
            wait,
            hurried: request.target.hurried,
        };
        let (found, documents) = tokio::join!(
            self.search_turns(tenant, policy, request),
            self.find_documents(tenant, policy, &documents),
        );
        let (mut found, documents) = (found?, documents?);
        found.degraded = united(&found.degraded, &documents.degraded);
        found.degraded.iter().for_each(|lacks| degraded(lacks.text()));
        Ok(Found { documents, ..found })
    }

    async fn search_turns(
        &self,
        tenant: &TenantId,
        policy: &Policy,
        request: SearchRequest,
    ) -> Result<Found, Failure> {
        let as_of = request.as_of.unwrap_or_else(|| self.clock.now());
        let corpus = self.corpus(tenant, &request.target, &policy.retrieval.language).await?;
        let by = (policy, as_of, wait_of(&request.target));
        let meaning = self.meaning(tenant, &corpus, Some(&request.query), by).await;
        let asked = TurnsAsked {
            given: Some(&request.query),
            filter: &request.filter,
            policy,
            as_of,
            meaning: &meaning,
            target: &request.target,
        };
        let judged = self.judge_turns(tenant, &corpus, &asked).await;
        let (policy, weights) = (policy.clone(), self.weights);
        let is_light = corpus.is_light(request.query.len(), None);
        let found = nearby(self.pool.as_ref(), is_light, move || {
            let copies = corpus.read();
            let turns = corpus.own.map(|own| copies[own].turns()).unwrap_or_default();
            let asked = Asked::of(turns, Some(&request.query));
            let wanted = Wanted {
                filter: &request.filter,
                hits_max: request.top_k,
                as_of,
                policy: &policy,
                meaning: &meaning,
                judged: &judged,
                explain: request.explain,
                weights: &weights,
            };
            let ranked = rank_corpus(&corpus, &copies, &asked, &wanted);
            let turns = ranked.hits.into_iter().filter_map(|hit| {
                let turn = copies[hit.source].turn(hit.seq)?.clone();
                Some(FoundTurn { session: corpus.copies[hit.source].0.clone(), turn, hit })
            });
            Found {
                turns: turns.collect(),
                decision: ranked.decision,
                degraded: ranked.degraded,
                coverage: ranked.coverage,
                embedder: ranked.embedder,
                reranker: ranked.reranker,
                session_change: corpus.own.map_or(Change(0), |own| copies[own].change()),
                user_change: corpus.user_change,
                as_of,
                documents: FoundDocuments::default(),
            }
        });
        Ok(found.await.expect("ranking does not panic"))
    }
}
