//! A question to the server: two lists at one time, then what each lacks of the other's chunks.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use qdrant_client::qdrant::{
    Condition, DenseVector, Filter, IdfParams, PayloadIncludeSelector, PointId,
    QuantizationSearchParams, Query, QueryPoints, ScoredPoint, SearchParams, SparseVector,
    VectorInput, WithPayloadSelector, query, vector_input, with_payload_selector::SelectorOptions,
};

use crate::documents::{
    Candidate, Candidates, IndexError, Place, Question,
    best::{ChunkKey, unite},
    qdrant::{
        books::Totals,
        connection::Refused,
        filters,
        points::{self, MEANING, WORDS, fields},
        state::State,
    },
};
use crate::retrieve::{TurnVectors, question_terms};
use crate::types::Incarnation;

/// A question has so many terms at the most. How rare they are is known to the server only, so the
/// first ones count.
const TERMS_MAX: usize = 256;

/// A question as the server understands it.
struct Asked<'a> {
    state: &'a State,
    question: &'a Question<'a>,
    words: Option<SparseVector>,
    meaning: Option<Vec<f32>>,
}

/// What the server gave of chunks: their ids, scores and places.
type Scores = Vec<(PointId, f32, ChunkKey)>;

impl State {
    pub(super) async fn search(&self, question: &Question<'_>) -> Result<Candidates, IndexError> {
        let lagging = self.debts().any();
        let totals = self.books.hold().totals(question.tenant, question.collections);
        let asked = Asked::new(self, question, &totals);
        let embeds = asked.meaning.is_some();
        let mut answer = Candidates {
            found: Vec::new(),
            lagging,
            chunks: totals.chunks,
            chunks_embedded: if embeds { totals.embedded } else { 0 },
            digest: totals.digests.0.wrapping_add(if embeds { totals.digests.1 } else { 0 }),
        };
        if totals.chunks == 0 && !lagging {
            return Ok(answer);
        }
        match asked.candidates().await {
            Ok(found) => answer.found = found,
            Err(refused) => {
                self.look_at(&refused);
                return Err(refused.into());
            }
        }
        // What failed meanwhile counts as well.
        answer.lagging |= self.debts().any();
        Ok(answer)
    }
}

impl<'a> Asked<'a> {
    fn new(state: &'a State, question: &'a Question<'a>, totals: &Totals) -> Self {
        let words = question.words.map(|text| {
            let terms = question_terms(text, question.language, &totals.languages);
            let weights = terms.iter().flat_map(|term| {
                let count = term.count as f32;
                term.hashes.iter().map(move |hash| (points::dimension(*hash), count))
            });
            points::sparse(weights.take(TERMS_MAX).collect())
        });
        let fits = |vector: &&[f32]| state.schema.size() == Some(vector.len());
        let meaning = question.vector.filter(fits).and_then(|vector| {
            let vector = TurnVectors::quantise(&[vector.to_vec()]);
            let (row, scale) = vector.rows().next()?;
            (scale > 0.0).then(|| points::numbers(row, scale))
        });
        Self { state, question, words, meaning }
    }

    async fn candidates(&self) -> Result<Vec<Candidate>, Refused> {
        let Question { tenant, collections, filter, .. } = *self.question;
        self.state.prepare().await?;
        let passing = filters::asked(tenant, collections, filter);
        let Some(passing) = passing.filter(|_| !self.state.schema.is_unknown(tenant)) else {
            return Ok(Vec::new());
        };
        let most = self.question.most as u64;
        let by_words = self.words().map(|query| self.query(query, passing.clone(), most));
        let by_vector = self.meaning(false).map(|query| self.query(query, passing, most));
        let [by_words, by_vector] = self.ask([by_words, by_vector]).await?;
        let (by_words, by_vector) = (self.known(by_words), self.known(by_vector));
        // The lacking ones, by their ids.
        let lack_words = lacking(&by_vector, &by_words);
        let lack_vector = lacking(&by_words, &by_vector);
        let again = |query: Option<(Query, &'static str, SearchParams)>, ids: Vec<PointId>| {
            let query = query.filter(|_| !ids.is_empty())?;
            let most = ids.len() as u64;
            let mut these = filters::chunks(tenant, collections);
            these.must.push(Condition::has_id(ids));
            Some(self.query(query, these, most))
        };
        let more = [again(self.words(), lack_words), again(self.meaning(true), lack_vector)];
        let [more_words, more_vector] = self.ask(more).await?;
        let scores = |more: Scores| -> HashMap<ChunkKey, f32> {
            more.into_iter().map(|(_, score, key)| (key, score)).collect()
        };
        let (words, vector) = (scores(more_words), scores(more_vector));
        let list =
            |scores: Scores| scores.into_iter().map(|(_, score, key)| (score, key)).collect();
        let asks_words = self.words.is_some();
        Ok(unite(
            list(by_words),
            list(by_vector),
            |key| asks_words.then(|| words.get(key).copied().unwrap_or_default()),
            |key| vector.get(key).copied(),
        ))
    }

    fn words(&self) -> Option<(Query, &'static str, SearchParams)> {
        let words = self.words.as_ref().filter(|words| !words.indices.is_empty())?;
        let corpus = filters::chunks(self.question.tenant, self.question.collections);
        let params = SearchParams {
            idf: Some(IdfParams { corpus: Some(corpus) }),
            ..SearchParams::default()
        };
        Some((nearest(vector_input::Variant::Sparse(words.clone())), WORDS, params))
    }

    fn meaning(&self, exact: bool) -> Option<(Query, &'static str, SearchParams)> {
        let data = self.meaning.clone()?;
        let quantization =
            Some(QuantizationSearchParams { rescore: Some(true), ..Default::default() });
        let params =
            SearchParams { exact: exact.then_some(true), quantization, ..SearchParams::default() };
        let dense = vector_input::Variant::Dense(DenseVector { data });
        Some((nearest(dense), MEANING, params))
    }

    fn query(
        &self,
        (query, using, params): (Query, &'static str, SearchParams),
        filter: Filter,
        limit: u64,
    ) -> QueryPoints {
        let wanted = [fields::COLLECTION, fields::DOCUMENT, fields::GENERATION, fields::ORDINAL];
        let include = PayloadIncludeSelector { fields: wanted.map(str::to_owned).into() };
        QueryPoints {
            collection_name: self.state.schema.name.clone(),
            query: Some(query),
            using: Some(using.to_owned()),
            filter: Some(filter),
            params: Some(params),
            limit: Some(limit),
            with_payload: Some(WithPayloadSelector {
                selector_options: Some(SelectorOptions::Include(include)),
            }),
            shard_key_selector: self.state.schema.selector(self.question.tenant),
            ..QueryPoints::default()
        }
    }

    /// Puts two questions at one time; one that is none has no answer.
    async fn ask(&self, queries: [Option<QueryPoints>; 2]) -> Result<[Scores; 2], Refused> {
        let mut wanted = queries.iter().map(Option::is_some).collect::<Vec<_>>().into_iter();
        let queries: Vec<QueryPoints> = queries.into_iter().flatten().collect();
        if queries.is_empty() {
            return Ok([Vec::new(), Vec::new()]);
        }
        let name = &self.state.schema.name;
        let mut answers = self.state.connection.query(name, queries).await?.into_iter();
        let mut next = || match wanted.next() {
            Some(true) => answers.next().unwrap_or_default().into_iter().filter_map(read).collect(),
            _ => Vec::new(),
        };
        Ok([next(), next()])
    }

    /// Leaves out contents that are being written or removed just now.
    fn known(&self, mut scores: Scores) -> Scores {
        if self.state.compared.load(Ordering::Acquire) {
            let books = self.state.books.hold();
            let mut place =
                Place { tenant: self.question.tenant.clone(), collection: Incarnation([0; 16]) };
            scores.retain(|(_, _, key)| {
                place.collection = key.collection;
                books.content(&place, key.generation).is_some_and(|(_, content)| content.whole)
            });
        }
        scores
    }
}

fn nearest(vector: vector_input::Variant) -> Query {
    let vector = VectorInput { variant: Some(vector) };
    Query { variant: Some(query::Variant::Nearest(vector)) }
}

fn read(point: ScoredPoint) -> Option<(PointId, f32, ChunkKey)> {
    Some((point.id?, point.score, points::chunk_key(&point.payload)?))
}

/// The ids of those chunks that the other list does not have.
fn lacking(one: &Scores, other: &Scores) -> Vec<PointId> {
    let known: std::collections::HashSet<&PointId> = other.iter().map(|(id, ..)| id).collect();
    let ids = one.iter().map(|(id, ..)| id).filter(|id| !known.contains(id));
    ids.cloned().collect()
}
