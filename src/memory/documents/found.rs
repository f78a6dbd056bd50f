//! Chunks of documents for a question, as BuildContext and Search want them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::documents::{
    Candidates, DocumentFilter, Fused, FusionWeights, IndexError, Question, fuse,
};
use crate::error::{Failure, Reason};
use crate::memory::{Coverage, Degraded, Memory, Space, rows::revised, search::mode};
use crate::record::{CollectionRow, DocumentRow, document_keys as keys};
use crate::retrieve::{Embeddable, Mode, SignalValue, plain_question};
use crate::storage::Read;
use crate::telemetry::documents_searched;
use crate::types::{CollectionId, DocumentId, Generation, Incarnation, Metadata, Policy, TenantId};

/// How many candidates each list gives: enough that the spread of their scores is that of the
/// collection's better part.
const CANDIDATES: usize = 200;
/// How many chunks are read at a time while it shows how many tokens they have.
const PAGE_CHUNKS: usize = 16;
/// How long the index may take where the caller sets no deadline.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// A question to documents.
#[derive(Debug, Clone)]
pub struct DocumentSearch<'a> {
    /// In which collections. One that is not there is an error; see `lenient`.
    pub collections: &'a [CollectionId],
    /// Whether collections that are not there are passed over.
    pub lenient: bool,
    /// What is asked; empty: nothing is found.
    pub query: &'a str,
    /// Which documents.
    pub filter: &'a DocumentFilter,
    /// How many chunks at the most.
    pub most: usize,
    /// Chunks of so many tokens together are enough; `None`: any number.
    pub tokens_enough: Option<u64>,
    /// How long the vector of the question is waited for, and the index; `None`: as long as it
    /// takes, within reason.
    pub wait: (Duration, Option<Duration>),
    /// Whether others wait for the place of the call.
    pub hurried: bool,
}

/// A chunk that was found.
#[derive(Debug, Clone)]
pub struct FoundChunk {
    /// Its collection.
    pub collection: CollectionId,
    /// Its document.
    pub document: DocumentId,
    /// The document's title.
    pub title: Arc<str>,
    /// The document's labels.
    pub metadata: Arc<Metadata>,
    /// Its number in the document.
    pub ordinal: u32,
    /// Where it starts in the document's text, and where it ends.
    pub range: (u64, u64),
    /// The headings above it.
    pub heading: Vec<String>,
    /// Its text.
    pub text: String,
    /// Its tokens, by `o200k_base`.
    pub tokens: u32,
    /// Its score: higher is better, comparable inside one answer only.
    pub score: f64,
    /// What the score is made of.
    pub signals: Vec<SignalValue>,
}

/// What a question found.
#[derive(Debug, Clone, Default)]
pub struct FoundDocuments {
    /// The chunks, best first.
    pub chunks: Vec<FoundChunk>,
    /// What the answer lacks.
    pub degraded: Vec<Degraded>,
    /// How many chunks can be found by meaning; `None`: words alone were asked for.
    pub coverage: Option<Coverage>,
    /// A digest of what was searched; 0: nothing.
    pub digest: u64,
    /// The key of the reranker whose scores took part.
    pub reranker: Option<Arc<str>>,
}

impl Memory {
    /// Finds chunks of documents.
    ///
    /// # Errors
    /// `COLLECTION_NOT_FOUND`, and what the store refuses. An index that does not answer is no
    /// error: the answer says what it lacks.
    pub async fn find_documents(
        &self,
        tenant: &TenantId,
        policy: &Policy,
        asked: &DocumentSearch<'_>,
    ) -> Result<FoundDocuments, Failure> {
        let came = tokio::time::Instant::now();
        let mut found = FoundDocuments::default();
        if asked.collections.is_empty() {
            return Ok(found);
        }
        let lives = self.lives(tenant, asked).await?;
        if lives.is_empty() || asked.query.trim().is_empty() {
            return Ok(found);
        }
        let Some(index) = &self.library.index else {
            found.degraded.push(Degraded::Documents);
            return Ok(found);
        };
        let language = policy.retrieval.language.as_str();
        let mode = mode(policy);
        let vector = match mode {
            Mode::Words => None,
            _ => self.question_meaning(tenant, asked, language, &mut found.degraded).await,
        };
        // Another embedder may serve since then; none comes in while the index is asked.
        let held = self.spaces.hold().await;
        let vector = vector.and_then(|(space, vector)| {
            let serves = self.spaces.serves(space.embedder.key());
            found.degraded.extend((!serves).then_some(Degraded::Vector));
            serves.then_some(vector)
        });
        let collections: Vec<Incarnation> = lives.keys().copied().collect();
        let question = Question {
            tenant,
            collections: &collections,
            words: (mode != Mode::Vectors || vector.is_none()).then_some(asked.query),
            language,
            vector: vector.as_deref(),
            filter: asked.filter,
            most: CANDIDATES.max(asked.most),
        };
        let wait = asked.wait.1.unwrap_or(WAIT_MAX);
        let began = tokio::time::Instant::now();
        let answer = tokio::time::timeout(wait, index.search(&question)).await;
        documents_searched(began.elapsed());
        let candidates = match answer {
            Ok(Ok(candidates)) => candidates,
            Ok(Err(error)) => return Ok(lacking(found, Some(error))),
            Err(_) => return Ok(lacking(found, None)),
        };
        found.degraded.extend(candidates.lagging.then_some(Degraded::IndexLag));
        found.digest = candidates.digest;
        if mode != Mode::Words && self.spaces.embeds() {
            let (turns, turns_embedded) = (candidates.chunks, candidates.chunks_embedded);
            found.coverage = Some(Coverage { turns, turns_embedded });
            let pending = turns_embedded < turns && !found.degraded.contains(&Degraded::Vector);
            found.degraded.extend(pending.then_some(Degraded::VectorsPending));
        }
        let order = fuse(&candidates.found, mode, FusionWeights::DEFAULT);
        let order = (order.as_slice(), self.chunks_to_judge());
        found.chunks = self.read_chunks(&lives, &candidates, order, asked).await?;
        drop(held);
        self.judge_chunks(tenant, asked, came, &mut found).await;
        Ok(found)
    }

    /// The lives of the collections that are asked.
    async fn lives(
        &self,
        tenant: &TenantId,
        asked: &DocumentSearch<'_>,
    ) -> Result<BTreeMap<Incarnation, CollectionId>, Failure> {
        let gets = asked.collections.iter().map(|id| Read::get(keys::collection(tenant, id)));
        let rows = self.read(gets.collect()).await?;
        let mut lives = BTreeMap::new();
        for (place, (id, rows)) in asked.collections.iter().zip(&rows).enumerate() {
            match revised::<CollectionRow>(rows)? {
                Some(row) => {
                    lives.insert(row.row.incarnation, id.clone());
                }
                None if asked.lenient => {}
                None => {
                    let message = format!("no collection `{id}`");
                    return Err(Failure::new(Reason::CollectionNotFound, message)
                        .at(format!("collections[{place}]")));
                }
            }
        }
        Ok(lives)
    }

    /// The vector of a question to documents.
    async fn question_meaning(
        &self,
        tenant: &TenantId,
        asked: &DocumentSearch<'_>,
        language: &str,
        degraded: &mut Vec<Degraded>,
    ) -> Option<(Space, Arc<[f32]>)> {
        let space = self.spaces.serving()?;
        let embeddable: Embeddable = plain_question(asked.query, language)?;
        match self.question_vector(&space.embedder, tenant, embeddable, asked.wait.0).await {
            Ok(vector) => Some((space, vector)),
            Err(why) => {
                degraded.push(why);
                None
            }
        }
    }

    /// The best of the candidates, with their texts, those that are judged among them; those whose
    /// content is gone are left out.
    async fn read_chunks(
        &self,
        lives: &BTreeMap<Incarnation, CollectionId>,
        candidates: &Candidates,
        (order, judged): (&[Fused], usize),
        asked: &DocumentSearch<'_>,
    ) -> Result<Vec<FoundChunk>, Failure> {
        let best = &order[..asked.most.max(judged).min(order.len())];
        let Some(enough) = asked.tokens_enough else {
            return self.read_page(lives, candidates, best).await;
        };
        let (mut found, mut tokens) = (Vec::new(), 0);
        for page in best.chunks(PAGE_CHUNKS) {
            if tokens >= enough && found.len() >= judged {
                break;
            }
            let read = self.read_page(lives, candidates, page).await?;
            tokens += read.iter().map(|chunk| u64::from(chunk.tokens)).sum::<u64>();
            found.extend(read);
        }
        Ok(found)
    }

    async fn read_page(
        &self,
        lives: &BTreeMap<Incarnation, CollectionId>,
        candidates: &Candidates,
        best: &[Fused],
    ) -> Result<Vec<FoundChunk>, Failure> {
        let wanted: Vec<(Generation, u32)> = best
            .iter()
            .map(|fused| &candidates.found[fused.index])
            .map(|candidate| (candidate.generation, candidate.ordinal))
            .collect();
        let mut documents: BTreeMap<(Incarnation, &DocumentId), Option<Known>> = BTreeMap::new();
        for fused in best {
            let candidate = &candidates.found[fused.index];
            documents.entry((candidate.collection, &candidate.document)).or_default();
        }
        let gets = documents.keys().map(|(life, id)| Read::get(keys::document(*life, id)));
        let rows = self.read(gets.collect()).await?;
        for (known, rows) in documents.values_mut().zip(&rows) {
            *known = revised::<DocumentRow>(rows)?.map(|row| Known::of(row.row));
        }
        let chunks = self.chunks_of(&wanted).await?;
        let mut found = Vec::with_capacity(best.len());
        for (fused, chunk) in best.iter().zip(chunks) {
            let candidate = &candidates.found[fused.index];
            let place = (candidate.collection, &candidate.document);
            let known = documents.get(&place).and_then(Option::as_ref);
            let known = known.filter(|known| known.generation == candidate.generation);
            let (Some(known), Some(chunk), Some(collection)) =
                (known, chunk, lives.get(&candidate.collection))
            else {
                continue;
            };
            found.push(FoundChunk {
                collection: collection.clone(),
                document: candidate.document.clone(),
                title: known.title.clone(),
                metadata: known.metadata.clone(),
                ordinal: candidate.ordinal,
                range: (chunk.span.start, chunk.span.end),
                heading: chunk.span.heading,
                text: chunk.text,
                tokens: chunk.span.tokens,
                score: fused.score,
                signals: fused.signals.clone(),
            });
        }
        Ok(found)
    }
}

/// What is told of a document with each of its chunks.
struct Known {
    generation: Generation,
    title: Arc<str>,
    metadata: Arc<Metadata>,
}

impl Known {
    fn of(row: DocumentRow) -> Self {
        Self {
            generation: row.generation,
            title: row.header.title.into(),
            metadata: Arc::new(row.header.metadata),
        }
    }
}

/// An answer without documents, because the index gave none.
fn lacking(mut found: FoundDocuments, error: Option<IndexError>) -> FoundDocuments {
    match error {
        Some(error) => tracing::warn!("documents are not searched: {error}"),
        None => tracing::debug!("documents are not searched in time"),
    }
    found.degraded.push(Degraded::Documents);
    found
}
