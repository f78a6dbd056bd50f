//! The model of an index: all in memory, every question answered by looking at every chunk. What
//! it says is what each engine must say.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;

use crate::documents::{
    Candidates, DocumentIndex, DocumentRecord, Entry, IndexError, Place, Question,
    best::{Best, ChunkKey, unite},
    digest,
};
use crate::retrieve::{
    Bm25, ChunkTerms, Language, QueryVector, QuestionTerm, TurnVectors, chunks_terms,
    counting_terms, question_terms,
};
use crate::types::{DocumentId, Generation};

/// A document with all that is known of its chunks.
struct Held {
    entry: Entry,
    terms: Vec<ChunkTerms>,
    /// The integers of each chunk's vector and their scale, where it has one.
    vectors: Vec<Option<(Vec<i8>, f32)>>,
}

type Collections = BTreeMap<Place, BTreeMap<DocumentId, Held>>;

/// An index that keeps everything in memory and is exact.
pub struct MemIndex {
    record: Arc<dyn DocumentRecord>,
    collections: RwLock<Collections>,
    /// Whether it has to be brought to where the record is.
    lagging: AtomicBool,
    /// The mean length of chunks, where it is not counted.
    mean_words: Option<u64>,
}

impl MemIndex {
    /// An empty index of `record`, which lags until it is reconciled.
    pub fn new(record: Arc<dyn DocumentRecord>) -> Self {
        let (collections, lagging) = (RwLock::default(), AtomicBool::new(true));
        Self { record, collections, lagging, mean_words: None }
    }

    /// The same, where chunks are taken to have so many words on average: the model of an engine
    /// that cannot count them.
    #[must_use]
    pub fn with_mean_words(mut self, words: u64) -> Self {
        self.mean_words = Some(words);
        self
    }

    fn read(&self) -> RwLockReadGuard<'_, Collections> {
        self.collections.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Collections> {
        self.collections.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DocumentIndex for MemIndex {
    async fn put(&self, place: &Place, entry: Entry, texts: Vec<String>) -> Result<(), IndexError> {
        let mut collections = self.write();
        let documents = collections.entry(place.clone()).or_default();
        put(documents, entry, &texts);
        Ok(())
    }

    async fn set_vectors(
        &self,
        place: &Place,
        generation: Generation,
        first: u32,
        vectors: &TurnVectors,
    ) -> Result<(), IndexError> {
        let mut collections = self.write();
        let documents = collections.get_mut(place);
        let held = documents.and_then(|documents| {
            documents.values_mut().find(|held| held.entry.generation == generation)
        });
        if let Some(held) = held {
            set_vectors(held, first, vectors);
        }
        Ok(())
    }

    fn serve(&self, _slot: usize) {
        for held in self.write().values_mut().flat_map(BTreeMap::values_mut) {
            held.vectors.fill(None);
        }
        self.lagging.store(true, Ordering::Release);
    }

    fn is_behind(&self) -> bool {
        self.lagging.load(Ordering::Acquire)
    }

    async fn remove(&self, place: &Place, generation: Generation) -> Result<(), IndexError> {
        if let Some(documents) = self.write().get_mut(place) {
            documents.retain(|_, held| held.entry.generation != generation);
        }
        Ok(())
    }

    async fn remove_collection(&self, place: &Place) -> Result<(), IndexError> {
        self.write().remove(place);
        Ok(())
    }

    async fn search(&self, question: &Question<'_>) -> Result<Candidates, IndexError> {
        let collections = self.read();
        let asked = collections.iter().filter(|(place, _)| {
            place.tenant == *question.tenant && question.collections.contains(&place.collection)
        });
        let held: Vec<(&Place, &Held)> = asked
            .flat_map(|(place, documents)| documents.values().map(move |held| (place, held)))
            .collect();
        let mut found = Scan::new(question, held, self.mean_words).candidates();
        found.lagging = self.lagging.load(Ordering::Acquire);
        Ok(found)
    }

    async fn reconcile(&self) -> Result<(), IndexError> {
        let mut collections = Collections::new();
        for place in self.record.collections().await? {
            let mut documents = BTreeMap::new();
            for entry in self.record.documents(&place).await? {
                let generation = entry.generation;
                let id = entry.document.clone();
                let Some(texts) = self.record.texts(&place, &entry).await? else { continue };
                put(&mut documents, entry, &texts);
                let batches = self.record.vectors(generation).await?;
                if let Some(held) = documents.get_mut(&id) {
                    batches.iter().for_each(|(first, batch)| set_vectors(held, *first, batch));
                }
            }
            collections.insert(place, documents);
        }
        *self.write() = collections;
        self.lagging.store(false, Ordering::Release);
        Ok(())
    }

    async fn compact(&self) -> Result<(), IndexError> {
        Ok(())
    }
}

fn put(documents: &mut BTreeMap<DocumentId, Held>, entry: Entry, texts: &[String]) {
    // The same content again is the same document, with other labels perhaps.
    if let Some(held) = documents.get_mut(&entry.document)
        && held.entry.generation == entry.generation
    {
        held.entry = entry;
        return;
    }
    let terms = chunks_terms(texts, &entry.language);
    let vectors = vec![None; texts.len()];
    documents.insert(entry.document.clone(), Held { entry, terms, vectors });
}

fn set_vectors(held: &mut Held, first: u32, vectors: &TurnVectors) {
    for (vector, (numbers, scale)) in
        held.vectors.iter_mut().skip(first as usize).zip(vectors.rows())
    {
        *vector = Some((numbers.to_vec(), scale));
    }
}

/// One question put to all chunks of its collections.
struct Scan<'a> {
    question: &'a Question<'a>,
    held: Vec<(&'a Place, &'a Held)>,
    bm25: Bm25,
    /// The hashes of the terms that count, each with its worth.
    worths: Vec<(u64, f64)>,
    vector: Option<QueryVector>,
}

impl<'a> Scan<'a> {
    fn new(
        question: &'a Question<'a>,
        held: Vec<(&'a Place, &'a Held)>,
        mean_words: Option<u64>,
    ) -> Self {
        let chunks = || held.iter().flat_map(|(_, held)| &held.terms);
        let count = chunks().count() as u64;
        let counted = || chunks().map(|chunk| u64::from(chunk.words)).sum();
        let words = mean_words.map_or_else(counted, |mean| mean * count);
        let bm25 = Bm25::over(count, words);
        let worths = question.words.map_or_else(Vec::new, |text| {
            let languages = languages(chunks());
            worths(&question_terms(text, question.language, &languages), bm25, chunks)
        });
        Self { question, vector: question.vector.and_then(QueryVector::of), held, bm25, worths }
    }

    fn candidates(&self) -> Candidates {
        let mut by_words = Best::new(self.question.most);
        let mut by_vector = Best::new(self.question.most);
        let mut found = Candidates::default();
        let mut all = HashMap::new();
        for (place, held) in &self.held {
            let generation = held.entry.generation;
            found.chunks += held.terms.len() as u64;
            found.digest = found.digest.wrapping_add(digest::of_content(generation));
            let passes = self.question.filter.passes(&held.entry);
            for (ordinal, terms) in (0u32..).zip(&held.terms) {
                let vector = held.vectors[ordinal as usize].as_ref();
                let cosine = self.cosine(vector);
                if let Some((row, _)) = vector.filter(|_| cosine.is_some()) {
                    let digest = digest::of_vector(generation, ordinal, row);
                    found.digest = found.digest.wrapping_add(digest);
                    found.chunks_embedded += 1;
                }
                if !passes {
                    continue;
                }
                let words = self.words(terms);
                let key = ChunkKey {
                    document: held.entry.document.clone(),
                    ordinal,
                    collection: place.collection,
                    generation,
                };
                if let Some(words) = words.filter(|words| *words > 0.0) {
                    by_words.offer(words, || key.clone());
                }
                if let Some(cosine) = cosine {
                    by_vector.offer(cosine, || key.clone());
                }
                all.insert((generation, ordinal), (words, cosine));
            }
        }
        let known = |key: &ChunkKey| all[&(key.generation, key.ordinal)];
        let (by_words, by_vector) = (by_words.sorted(), by_vector.sorted());
        found.found = unite(by_words, by_vector, |key| known(key).0, |key| known(key).1);
        found
    }

    fn words(&self, chunk: &ChunkTerms) -> Option<f32> {
        self.question.words?;
        let norm = self.bm25.norm(chunk.words);
        let score = |(hash, worth): &(u64, f64)| {
            let place = chunk.terms.binary_search_by_key(hash, |(hash, _)| *hash).ok()?;
            Some(Bm25::score(*worth, u32::from(chunk.terms[place].1), norm))
        };
        Some(self.worths.iter().filter_map(score).sum::<f64>() as f32)
    }

    fn cosine(&self, vector: Option<&(Vec<i8>, f32)>) -> Option<f32> {
        let (query, (row, scale)) = (self.vector.as_ref()?, vector?);
        let fits = row.len() == query.dimensions();
        let mut cosines = Vec::new();
        if fits {
            query.cosines(row, &[*scale], &mut Vec::new(), &mut cosines);
        }
        cosines.first().copied()
    }
}

/// The languages of chunks with how many are of each, the commonest first.
fn languages<'a>(chunks: impl Iterator<Item = &'a ChunkTerms>) -> Vec<(Language, usize)> {
    let mut counts: BTreeMap<Language, usize> = BTreeMap::new();
    chunks.for_each(|chunk| *counts.entry(chunk.language).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(language, count)| (std::cmp::Reverse(*count), *language));
    counts
}

fn worths<'a, I: Iterator<Item = &'a ChunkTerms>>(
    question: &[QuestionTerm],
    bm25: Bm25,
    chunks: impl Fn() -> I,
) -> Vec<(u64, f64)> {
    let has = |chunk: &ChunkTerms, hash: &u64| {
        chunk.terms.binary_search_by_key(hash, |(hash, _)| *hash).is_ok()
    };
    // The stems of a word in several languages count each by itself, as rare as all together.
    let frequency = |hash: &u64| chunks().filter(|chunk| has(chunk, hash)).count() as u64;
    let frequencies: Vec<u64> =
        question.iter().map(|term| term.hashes.iter().map(frequency).sum()).collect();
    let term = |at: usize| {
        let worth = bm25.worth(frequencies[at]) * f64::from(question[at].count);
        question[at].hashes.iter().map(move |hash| (*hash, worth))
    };
    counting_terms(&frequencies).into_iter().flat_map(term).collect()
}
