//! BuildContext: the sessions from memory, ranked, packed, rendered. Nothing is written.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLockReadGuard};

use jiff::tz::TimeZone;

use crate::context::{
    BuildError, Context, DocumentView, Format, Hit, Input, Instructions, Passage, Source,
    SummaryView, build,
};
use crate::documents::DocumentFilter;
use crate::error::{Failure, Reason};
use crate::memory::{
    Coverage, Degraded, DocumentSearch, Filter, FoundChunk, FoundDocuments, Memory, Target,
    behind::wait_of,
    heavy::nearby,
    partition::Partition,
    query::{Corpus, time_left},
    rerank::{Judged, TurnsAsked},
    search::{Asked, Meaning, Ranked, Wanted, rank_corpus},
};
use crate::retrieve::{SignalValue, Weights, asks};
use crate::telemetry::{context_built, degraded, note_tokens};
use crate::tokens::Model;
use crate::types::{
    Change, CollectionId, DocumentId, Group, Policy, Role, Seq, SessionId, Shares, TenantId,
    Timestamp, Turn,
};

/// How many hits are ranked beyond those that may be taken: some are shown as recent turns already,
/// and some do not fit where later ones do.
const SPARE_HITS: usize = 256;

/// The most chunks that a context takes from documents: 40,000 tokens of chunks of the usual size,
/// a fifth of the large windows in use.
pub const PASSAGES_MAX: u32 = 200;

/// Passages are read until they have so many times the tokens of the budget: some are of crowded
/// documents, some are shown already, and tokenizers differ.
const PASSAGE_SPARE: u64 = 2;

/// A request for a context, checked.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// Whose past.
    pub target: Target,
    /// What the user asks now, when it is not appended; empty: the last user turn asks.
    pub query: String,
    /// The model that will read; empty: the policy's.
    pub model: String,
    /// The budget; `None`: the policy's.
    pub budget_tokens: Option<u32>,
    /// Tokens of the budget to leave unused.
    pub reserve_tokens: u32,
    /// Instructions for this call only.
    pub instructions: String,
    /// Which turns retrieval may return.
    pub filter: Filter,
    /// The reference for relative dates; `None`: now.
    pub as_of: Option<Timestamp>,
    /// The user's time zone.
    pub time_zone: TimeZone,
    /// How to share the budget; `None`: as the policy says.
    pub shares: Option<Shares>,
    /// The share of the documents that comes with `shares`; `None`: they have none of their own.
    pub documents_percent: Option<u8>,
    /// The form of the messages.
    pub format: Format,
    /// Whether to give every signal of every retrieved item.
    pub explain: bool,
    /// Collections of documents to search; empty: the policy's.
    pub collections: Vec<CollectionId>,
    /// Which documents may be quoted.
    pub document_filter: DocumentFilter,
}

/// A context with where it came from.
pub struct Built {
    /// The context.
    pub context: Context,
    /// The sessions that the account numbers.
    pub sessions: Vec<SessionId>,
    /// The session's change; 0: there is no such session.
    pub session_change: Change,
    /// The user's change; 0 in scope SESSION.
    pub user_change: Change,
    /// What retrieval decided.
    pub ranked: Ranked,
    /// What the answer lacks.
    pub degraded: Vec<Degraded>,
    /// The reference for dates that was used.
    pub as_of: Timestamp,
    /// The budget that held.
    pub budget_tokens: u32,
    /// The model that counted.
    pub model: Model,
    /// With `explain`: the signals of hits by session and turn.
    pub signals: BTreeMap<(usize, Seq), Vec<SignalValue>>,
    /// The documents that the account numbers.
    pub documents: Vec<QuotedDocument>,
    /// With `explain`: the signals of chunks, by document and number in it.
    pub passage_signals: BTreeMap<(usize, u32), Vec<SignalValue>>,
    /// A digest of what was searched of documents; 0: nothing was.
    pub documents_digest: u64,
    /// How many chunks can be found by meaning; `None`: no documents were searched, or by words
    /// alone.
    pub documents_coverage: Option<Coverage>,
    /// The key of the reranker whose scores took part.
    pub reranker: Option<Arc<str>>,
}

/// A document that a context may quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotedDocument {
    /// Its collection.
    pub collection: CollectionId,
    /// Its id.
    pub document: DocumentId,
    /// Its title.
    pub title: String,
}

impl Memory {
    /// Builds a context. A session or user that does not exist is empty.
    ///
    /// # Errors
    /// `UNKNOWN_MODEL`, `TOKENIZER_INVALID`, `BUDGET_OVER_POLICY`, `USER_MISMATCH`,
    /// `INSTRUCTIONS_TOO_LARGE` and `CURRENT_EXCHANGE_TOO_LARGE` (with `minimum_tokens`), and what
    /// the store refuses.
    pub async fn build_context(
        &self,
        tenant: &TenantId,
        policy: &Policy,
        request: BuildRequest,
    ) -> Result<Built, Failure> {
        let name = if request.model.is_empty() { &policy.model_default } else { &request.model };
        let model = self.model(tenant, policy, name).map_err(|failure| failure.at("model"))?;
        let budget_tokens = budget(policy, request.budget_tokens)?;
        if request.reserve_tokens >= budget_tokens {
            let message = format!("the reserve is not below the budget, `{budget_tokens}` tokens");
            return Err(Failure::new(Reason::InvalidRequest, message).at("reserve_tokens"));
        }
        let as_of = request.as_of.unwrap_or_else(|| self.clock.now());
        let corpus = self.corpus(tenant, &request.target, &policy.retrieval.language).await?;
        let turns = self.turns_for(tenant, policy, &corpus, (&request, as_of));
        let documents = self.documents_for(tenant, policy, &corpus, &request);
        let ((meaning, judged), documents) = tokio::join!(turns, documents);
        let documents = documents?;
        let (policy, weights) = (policy.clone(), self.weights);
        let brought = request.query.len() + request.instructions.len();
        let is_light =
            documents.chunks.is_empty() && corpus.is_light(brought, Some(&model.tokenizer));
        let built = nearby(self.pool.as_ref(), is_light, move || {
            let policy = &policy;
            let by =
                Basis { policy, model, budget_tokens, as_of, meaning, judged, documents, weights };
            build_from(&corpus, &request, by)
        });
        let built = built.await.expect("building a context does not panic")?;
        let Context { used_tokens, full_history_tokens, .. } = built.context;
        note_tokens(used_tokens);
        context_built(used_tokens, full_history_tokens);
        built.degraded.iter().for_each(|lacks| degraded(lacks.text()));
        Ok(built)
    }
}

fn budget(policy: &Policy, asked: Option<u32>) -> Result<u32, Failure> {
    let most = policy.budget_tokens_max;
    match asked {
        Some(asked) if asked > most => {
            let message = format!("the budget is above the policy's maximum of `{most}` tokens");
            Err(Failure::new(Reason::BudgetOverPolicy, message)
                .at("budget_tokens")
                .with("budget_tokens_max", most))
        }
        Some(asked) => Ok(asked),
        None => Ok(policy.budget_tokens_default),
    }
}

/// What a request is answered by.
struct Basis<'a> {
    policy: &'a Policy,
    model: Model,
    budget_tokens: u32,
    as_of: Timestamp,
    meaning: Meaning,
    judged: Judged,
    documents: FoundDocuments,
    weights: Weights,
}

/// The query of a request, when it was not appended as the last user turn.
fn unappended<'a>(corpus: &Corpus, request: &'a BuildRequest) -> Option<&'a str> {
    let query = Some(request.query.as_str()).filter(|query| !query.trim().is_empty())?;
    let own = corpus.own.map(|own| corpus.copies[own].1.read().expect("no writer panics"));
    let appended = own.is_some_and(|own| is_appended(own.turns(), query));
    (!appended).then_some(query)
}

fn build_from(corpus: &Corpus, request: &BuildRequest, by: Basis<'_>) -> Result<Built, Failure> {
    let copies = counted(corpus, &by.model);
    let turns = corpus.own.map(|own| copies[own].turns()).unwrap_or_default();
    let is_asked = |query: &&str| !query.trim().is_empty() && !is_appended(turns, query);
    let query = Some(request.query.as_str()).filter(is_asked);
    let ranked = rank_for(corpus, &copies, (request, query), &by);
    let Basis { policy, model, budget_tokens, as_of, documents, .. } = by;
    let views: Vec<_> = copies.iter().map(|copy| copy.views(&model.tokenizer)).collect();
    let sources: Vec<Source<'_>> = views.iter().map(|turns| Source { turns }).collect();
    let summaries: Vec<SummaryView<'_>> = (copies.iter().enumerate())
        .flat_map(|(at, copy)| copy.summary_views(at, &model.tokenizer))
        .collect();
    let hits: Vec<Hit> = ranked.hits.iter().map(hit).collect();
    let (shares, documents_percent) = shares(request, policy);
    let quoted = Quoted::of(&documents);
    let (document_views, passages) = quoted.views(&documents);
    let input = Input {
        model: &model,
        format: request.format,
        budget_tokens,
        reserve_tokens: request.reserve_tokens,
        instructions: instructions(&request.instructions, &model),
        pinned: instructions(corpus.own.map_or("", |own| copies[own].pinned()), &model),
        shares,
        sources: &sources,
        session: corpus.own,
        summaries: &summaries,
        hits: &hits,
        length_price: ranked.length_price,
        retrieved_turns_max: policy.retrieval.retrieved_turns_max,
        documents: &document_views,
        passages: &passages,
        passages_max: PASSAGES_MAX,
        documents_percent,
        query,
        as_of,
        time_zone: &request.time_zone,
    };
    let context = build(&input).map_err(too_large)?;
    let signals = explained(request, || (ranked.signals(), quoted.signals(&documents)));
    Ok(Built {
        context,
        sessions: corpus.copies.iter().map(|(id, _)| id.clone()).collect(),
        session_change: corpus.own.map_or(Change(0), |own| copies[own].change()),
        user_change: corpus.user_change,
        degraded: united(&ranked.degraded, &documents.degraded),
        reranker: ranked.reranker.clone().or_else(|| documents.reranker.clone()),
        ranked,
        as_of,
        budget_tokens,
        model: model.clone(),
        signals: signals.0,
        documents: quoted.documents,
        passage_signals: signals.1,
        documents_digest: documents.digest,
        documents_coverage: documents.coverage,
    })
}

/// The turns for a request, ranked.
fn rank_for(
    corpus: &Corpus,
    copies: &[RwLockReadGuard<'_, Partition>],
    (request, query): (&BuildRequest, Option<&str>),
    by: &Basis<'_>,
) -> Ranked {
    let most = by.policy.retrieval.retrieved_turns_max;
    if most == 0 {
        return Ranked::off(corpus);
    }
    let turns = corpus.own.map(|own| copies[own].turns()).unwrap_or_default();
    let wanted = Wanted {
        filter: &request.filter,
        hits_max: most as usize + SPARE_HITS,
        as_of: by.as_of,
        policy: by.policy,
        meaning: &by.meaning,
        judged: &by.judged,
        explain: request.explain,
        weights: &by.weights,
    };
    rank_corpus(corpus, copies, &Asked::of(turns, query), &wanted)
}

/// What only a request that wants to be explained gets.
fn explained<T: Default>(request: &BuildRequest, make: impl FnOnce() -> T) -> T {
    if request.explain { make() } else { T::default() }
}

impl Memory {
    /// What the question of a request means, and what the reranker says of turns.
    async fn turns_for(
        &self,
        tenant: &TenantId,
        policy: &Policy,
        corpus: &Corpus,
        (request, as_of): (&BuildRequest, Timestamp),
    ) -> (Meaning, Judged) {
        if policy.retrieval.retrieved_turns_max == 0 {
            return (Meaning::Unwanted, Judged::default());
        }
        let given = unappended(corpus, request);
        let by = (policy, as_of, wait_of(&request.target));
        let meaning = self.meaning(tenant, corpus, given, by).await;
        let (filter, target) = (&request.filter, &request.target);
        let asked = TurnsAsked { given, filter, policy, as_of, meaning: &meaning, target };
        let judged = self.judge_turns(tenant, corpus, &asked).await;
        (meaning, judged)
    }

    /// What the documents have to the question of a request.
    async fn documents_for(
        &self,
        tenant: &TenantId,
        policy: &Policy,
        corpus: &Corpus,
        request: &BuildRequest,
    ) -> Result<FoundDocuments, Failure> {
        let named = !request.collections.is_empty();
        let default = &policy.documents.default_collections;
        let collections = if named { &request.collections } else { default };
        if collections.is_empty() || shares(request, policy).1 == Some(0) {
            return Ok(FoundDocuments::default());
        }
        let query = question(corpus, request);
        if !asks(&query, &policy.retrieval.language) {
            return Ok(FoundDocuments::default());
        }
        let search = DocumentSearch {
            collections,
            lenient: !named,
            query: &query,
            filter: &request.document_filter,
            most: PASSAGES_MAX as usize,
            tokens_enough: Some(passage_tokens(policy, request)),
            wait: (wait_of(&request.target), time_left(request.target.deadline)),
            hurried: request.target.hurried,
        };
        self.find_documents(tenant, policy, &search).await
    }
}

/// Passages of so many tokens are read. Documents may get the whole budget, where nothing else
/// needs it.
fn passage_tokens(policy: &Policy, request: &BuildRequest) -> u64 {
    PASSAGE_SPARE * u64::from(request.budget_tokens.unwrap_or(policy.budget_tokens_default))
}

/// What is asked: the query, or the last user turn.
fn question(corpus: &Corpus, request: &BuildRequest) -> String {
    if !request.query.trim().is_empty() {
        return request.query.clone();
    }
    let own = corpus.own.map(|own| corpus.copies[own].1.read().expect("no writer panics"));
    let turns = own.as_ref().map(|own| own.turns()).unwrap_or_default();
    let last = turns.iter().rfind(|turn| turn.role == Role::User);
    last.map(Turn::searchable_text).unwrap_or_default()
}

/// What both lack, each once.
pub(super) fn united(one: &[Degraded], other: &[Degraded]) -> Vec<Degraded> {
    let new = other.iter().filter(|lacks| !one.contains(lacks));
    one.iter().chain(new).copied().collect()
}

/// The documents of the chunks that were found, each once, in the order of their best chunk.
struct Quoted {
    documents: Vec<QuotedDocument>,
    /// The place of the document of each chunk.
    places: Vec<usize>,
}

impl Quoted {
    fn of(found: &FoundDocuments) -> Self {
        let (mut documents, mut places) = (Vec::new(), Vec::with_capacity(found.chunks.len()));
        let mut known = BTreeMap::new();
        for chunk in &found.chunks {
            let place = *known.entry((&chunk.collection, &chunk.document)).or_insert_with(|| {
                documents.push(QuotedDocument {
                    collection: chunk.collection.clone(),
                    document: chunk.document.clone(),
                    title: chunk.title.to_string(),
                });
                documents.len() - 1
            });
            places.push(place);
        }
        Self { documents, places }
    }

    fn views<'a>(&'a self, found: &'a FoundDocuments) -> (Vec<DocumentView<'a>>, Vec<Passage<'a>>) {
        let view = |document: &'a QuotedDocument| DocumentView {
            collection: document.collection.as_str(),
            document: document.document.as_str(),
            title: &document.title,
        };
        let passage = |(place, chunk): (&usize, &'a FoundChunk)| Passage {
            document: *place,
            chunk: chunk.ordinal,
            start: chunk.range.0,
            end: chunk.range.1,
            heading: &chunk.heading,
            text: &chunk.text,
            tokens: chunk.tokens,
            score: chunk.score,
        };
        let passages = self.places.iter().zip(&found.chunks).map(passage).collect();
        (self.documents.iter().map(view).collect(), passages)
    }

    fn signals(&self, found: &FoundDocuments) -> BTreeMap<(usize, u32), Vec<SignalValue>> {
        let chunks = self.places.iter().zip(&found.chunks);
        chunks.map(|(at, chunk)| ((*at, chunk.ordinal), chunk.signals.clone())).collect()
    }
}

/// The shares of a request, with that of the documents: both are the request's, or both the
/// policy's.
fn shares(request: &BuildRequest, policy: &Policy) -> (Shares, Option<u8>) {
    match request.shares {
        Some(shares) => (shares, request.documents_percent),
        None => (policy.shares, policy.documents.share_percent),
    }
}

/// The copies, locked, each with its turns counted by the model's tokenizer. A writer may come
/// between the counting and the lock, so it is looked again.
fn counted<'a>(corpus: &'a Corpus, model: &Model) -> Vec<RwLockReadGuard<'a, Partition>> {
    loop {
        let copies = corpus.read();
        if copies.iter().all(|copy| copy.is_counted(&model.tokenizer)) {
            return copies;
        }
        drop(copies);
        for (_, copy) in &corpus.copies {
            copy.write().expect("no writer panics").count(&model.tokenizer);
        }
    }
}

/// Whether the query is the last user turn, which nobody has answered yet: only calls of tools and
/// their results come after it.
fn is_appended(turns: &[Turn], query: &str) -> bool {
    let Some(last) = turns.iter().rposition(|turn| turn.role == Role::User) else { return false };
    let pending = turns[last + 1..].iter().all(|turn| turn.group() != Group::None);
    pending && turns[last].searchable_text().trim() == query.trim()
}

fn instructions<'a>(text: &'a str, model: &Model) -> Option<Instructions<'a>> {
    (!text.trim().is_empty()).then(|| Instructions::new(text, &model.tokenizer))
}

fn hit(hit: &crate::retrieve::Hit) -> Hit {
    Hit { source: hit.source, seq: hit.seq, score: hit.score, passage: hit.passage.clone() }
}

fn too_large(error: BuildError) -> Failure {
    let (reason, minimum) = match error {
        BuildError::InstructionsTooLarge { minimum_tokens } => {
            (Reason::InstructionsTooLarge, minimum_tokens)
        }
        BuildError::CurrentExchangeTooLarge { minimum_tokens } => {
            (Reason::CurrentExchangeTooLarge, minimum_tokens)
        }
    };
    Failure::new(reason, error.to_string()).at("budget_tokens").with("minimum_tokens", minimum)
}
