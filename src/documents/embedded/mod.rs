//! The index in the process: words in files of tantivy, vectors in memory.
//! In and out: as [`DocumentIndex`].
//! Invariant: the record is the truth. What was put is searched at once, from memory, and comes
//! to the files with the next batch; what is gone is masked until the files are rid of it.

mod centres;
mod cursors;
mod files;
mod fresh;
mod lexical;
mod load;
mod meaning;
mod open;
mod reconcile;
mod rows;
mod segment;
mod shelf;
mod state;
#[cfg(test)]
mod tests;
mod tokens;
mod verdicts;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;

use crate::documents::{
    Candidates, DocumentFilter, DocumentIndex, DocumentRecord, Entry, IndexError, Place, Question,
    best::{Best, ChunkKey, unite},
};
use crate::pool::{Pool, compute};
use crate::retrieve::{QueryVector, TurnVectors};
use crate::types::{Generation, Incarnation};

use fresh::Fresh;
use lexical::Lexical;
use load::Asking;
use meaning::{Meaning, Reach};
use open::Open;
use shelf::Shelf;
use state::State;

/// Questions about fewer chunks than this are answered where they come in: it takes less than to
/// hand them over.
const HANDED_CHUNKS_MIN: u64 = 2_000;

/// Texts of fewer bytes than this are analysed where they come in.
const HANDED_BYTES_MIN: usize = 16 * 1024;

/// How an embedded index is set up.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// The folder of its files; none: they are in memory.
    pub folder: Option<PathBuf>,
    /// The memory that vectors may take, in bytes; of more, the collections that were not asked
    /// about for longest are given up until they are asked about again.
    pub vectors_bytes_max: usize,
    /// Collections of so many chunks are searched by meaning exactly; of more, the nearest parts.
    pub exact_chunks_max: usize,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { folder: None, vectors_bytes_max: 2 << 30, exact_chunks_max: 50_000 }
    }
}

/// An index in the process. Cheap to copy: copies are the same index.
#[derive(Clone)]
pub struct EmbeddedIndex {
    state: Arc<State>,
}

/// What an index holds in memory and in files, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EmbeddedFigures {
    /// Chunks that are not in the files yet.
    pub waiting_chunks: u64,
    /// The memory that these take, in bytes.
    pub waiting_bytes: u64,
    /// The memory that vectors take, in bytes.
    pub vectors_bytes: u64,
    /// Collections whose vectors are being put in order, each searched whole until it is done.
    pub ordering: u64,
    /// How many segments the files have.
    pub segments: u64,
    /// The memory that is taken to find one's way in the files, in bytes.
    pub segments_bytes: u64,
}

impl EmbeddedIndex {
    /// Opens an index of `record`. It finds nothing and lags until it is reconciled. Files that
    /// cannot be read or are of another version are made anew; the second value says why.
    ///
    /// # Errors
    /// [`IndexError::Broken`] when the folder can neither be read nor made.
    pub fn open(
        options: EmbeddedOptions,
        record: Arc<dyn DocumentRecord>,
        pool: Arc<dyn Pool>,
    ) -> Result<(Self, Option<String>), IndexError> {
        let (state, why) = State::open(options, record, pool)?;
        Ok((Self { state: Arc::new(state) }, why))
    }

    /// Writes down what waits in memory, if anything does. To be called every second or so; a
    /// full tail is written by the call that filled it.
    ///
    /// # Errors
    /// [`IndexError::Unavailable`] when the files cannot be written; what waits, waits on.
    pub async fn tend(&self) -> Result<(), IndexError> {
        let state = Arc::clone(&self.state);
        if !state.anything_waits() {
            return Ok(());
        }
        self.hand_over(move || state.commit()).await?
    }

    /// Whether the vectors of a collection are being put in order; until they are, every one is
    /// looked at.
    pub fn is_ordering(&self, place: &Place) -> bool {
        let shelf = self.state.shelf_if_any(place);
        shelf.is_some_and(|shelf| shelf.ordering.load(Ordering::Acquire))
    }

    /// What it holds.
    pub fn figures(&self) -> EmbeddedFigures {
        self.state.figures()
    }

    /// Derives the terms of a document.
    async fn analyse(
        &self,
        place: &Place,
        entry: &Entry,
        texts: Vec<String>,
    ) -> Result<Arc<Fresh>, IndexError> {
        if self.state.refuses() {
            let why = "too much waits to be written".to_owned();
            return Err(IndexError::Unavailable { why });
        }
        let (collection, generation) = (place.collection, entry.generation);
        let language = entry.language.clone();
        let bytes: usize = texts.iter().map(String::len).sum();
        let analyse = move || Arc::new(Fresh::of(collection, generation, &texts, &language));
        match bytes < HANDED_BYTES_MIN {
            true => Ok(analyse()),
            false => self.hand_over(analyse).await,
        }
    }

    async fn write_if_full(&self) -> Result<(), IndexError> {
        if !self.state.is_full() {
            return Ok(());
        }
        let state = Arc::clone(&self.state);
        self.hand_over(move || state.commit_if_full()).await?
    }

    async fn hand_over<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, IndexError> {
        let done = compute(self.state.pool.as_ref(), work).await;
        done.map_err(|broken| IndexError::Broken { why: broken.to_string() })
    }
}

#[async_trait]
impl DocumentIndex for EmbeddedIndex {
    async fn put(&self, place: &Place, entry: Entry, texts: Vec<String>) -> Result<(), IndexError> {
        if self.state.relabel(place, &entry) {
            return Ok(());
        }
        let fresh = self.analyse(place, &entry, texts).await?;
        self.state.add(place, entry, fresh);
        self.write_if_full().await
    }

    async fn set_vectors(
        &self,
        place: &Place,
        generation: Generation,
        first: u32,
        vectors: &TurnVectors,
    ) -> Result<(), IndexError> {
        if let Some(shelf) = self.state.shelf_if_any(place) {
            shelf.write().set_vectors(generation, first, vectors);
            self.state.order_if_wanted(&shelf);
        }
        Ok(())
    }

    fn serve(&self, _slot: usize) {
        self.state.forget_vectors();
    }

    async fn remove(&self, place: &Place, generation: Generation) -> Result<(), IndexError> {
        self.state.remove(place, generation);
        Ok(())
    }

    async fn remove_collection(&self, place: &Place) -> Result<(), IndexError> {
        self.state.remove_collection(place);
        Ok(())
    }

    async fn search(&self, question: &Question<'_>) -> Result<Candidates, IndexError> {
        let mut shelves: BTreeMap<Incarnation, Arc<Shelf>> = BTreeMap::new();
        for collection in question.collections {
            let place = Place { tenant: question.tenant.clone(), collection: *collection };
            if let Some(shelf) = self.state.shelf_if_any(&place) {
                shelves.insert(*collection, shelf);
            }
        }
        // In the order of the collections.
        let shelves: Vec<Arc<Shelf>> = shelves.into_values().collect();
        let vector = question.vector.and_then(QueryVector::of);
        let asking = if vector.is_some() { Some(Asking::of(&shelves)) } else { None };
        if vector.is_some() {
            self.state.load(&shelves).await?;
        }
        let chunks: u64 = shelves.iter().map(|shelf| shelf.read().chunks).sum();
        let asked = Asked {
            words: question.words.map(str::to_owned),
            language: question.language.to_owned(),
            vector,
            filter: question.filter.clone(),
            most: question.most,
        };
        let state = Arc::clone(&self.state);
        let answer = move || {
            let answer = asked.answer(&state, &shelves);
            drop(asking);
            answer
        };
        match chunks < HANDED_CHUNKS_MIN {
            true => answer(),
            false => self.hand_over(answer).await?,
        }
    }

    async fn reconcile(&self) -> Result<(), IndexError> {
        reconcile::reconcile(self).await
    }

    async fn compact(&self) -> Result<(), IndexError> {
        let state = Arc::clone(&self.state);
        self.hand_over(move || state.compact()).await?
    }
}

/// A question on its way to the pool.
struct Asked {
    words: Option<String>,
    language: String,
    vector: Option<QueryVector>,
    filter: DocumentFilter,
    most: usize,
}

impl Asked {
    fn answer(&self, state: &State, shelves: &[Arc<Shelf>]) -> Result<Candidates, IndexError> {
        let lagging = state.lagging.load(Ordering::Acquire);
        let open = Open::new(shelves, &self.filter, || state.committed());
        let found = self.candidates(&open, state.reach()).map_err(|error| {
            // Files that were fine when they were opened: the next start makes them anew.
            IndexError::Broken { why: error.to_string() }
        })?;
        Ok(Candidates { lagging, ..found })
    }

    fn candidates(&self, open: &Open<'_>, reach: Reach) -> tantivy::Result<Candidates> {
        let mut found = Candidates { chunks: open.totals().0, ..Candidates::default() };
        for books in &open.books {
            found.digest = found.digest.wrapping_add(books.digest);
        }
        let lexical = self.words.as_ref();
        let lexical = lexical.map(|text| Lexical::new(open, text, &self.language)).transpose()?;
        let mut by_words = Best::new(self.most);
        if let Some(lexical) = &lexical {
            lexical.search(&mut by_words);
        }
        let meaning = self.vector.as_ref().map(|query| Meaning::new(open, query));
        let mut by_vector = Best::new(self.most);
        if let Some(meaning) = &meaning {
            meaning.search(self.most, reach, &mut by_vector);
            for rows in (0..open.books.len()).filter_map(|shelf| meaning.rows(shelf)) {
                found.digest = found.digest.wrapping_add(rows.digest());
                found.chunks_embedded += rows.count() as u64;
            }
        }
        let by_vector = by_vector.sorted();
        let known = lexical.as_ref().map(|lexical| {
            let keys: Vec<ChunkKey> = by_vector.iter().map(|(_, key)| key.clone()).collect();
            let scores = lexical.scores_of(&keys);
            keys.into_iter().zip(scores).collect::<BTreeMap<_, _>>()
        });
        found.found = unite(
            by_words.sorted(),
            by_vector,
            |key| known.as_ref().map(|known| known.get(key).copied().unwrap_or_default()),
            |key| meaning.as_ref().and_then(|meaning| meaning.cosine_of(key)),
        );
        Ok(found)
    }
}
