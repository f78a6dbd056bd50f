//! What finds chunks of documents, as a port: in the process, or a server beside it.
//! In: documents with the texts and vectors of their chunks; questions. Out: candidates, scored.
//! Invariant: a question sees its own tenant's chunks only, and no score depends on another's.

mod best;
mod digest;
mod embedded;
mod fuse;
mod mem;
mod qdrant;
#[cfg(test)]
mod tests;
mod twin;

use async_trait::async_trait;

pub use embedded::{EmbeddedFigures, EmbeddedIndex, EmbeddedOptions};
pub use fuse::{Fused, FusionWeights, fuse};
pub use mem::MemIndex;
pub use qdrant::{MEAN_WORDS, QdrantFigures, QdrantIndex, QdrantOptions, qdrant_version};

pub use twin::Twin;

use crate::retrieve::TurnVectors;
use crate::types::{DocumentId, Generation, Incarnation, Metadata, TenantId, Timestamp};

/// A collection of a tenant, as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The tenant.
    pub tenant: TenantId,
    /// This life of the collection.
    pub collection: Incarnation,
}

/// A document, as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id, one of its collection.
    pub document: DocumentId,
    /// Its content.
    pub generation: Generation,
    /// How many chunks it has; their ordinals run from 0.
    pub chunks: u32,
    /// Its labels.
    pub metadata: Metadata,
    /// When its content was made, as filters by time see it.
    pub created_at: Timestamp,
    /// The language of the tenant's text (ISO 639-1), or empty: detected chunk by chunk.
    pub language: String,
}

/// Which documents a question is about. An empty filter lets all pass; what it names must all hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DocumentFilter {
    /// Only these documents; empty: all.
    pub documents: Vec<DocumentId>,
    /// Only documents whose label of that key has one of these values.
    pub any_of: Vec<(String, Vec<String>)>,
    /// Only documents whose label of that key is a number in this range, both ends included.
    pub ranges: Vec<(String, Option<f64>, Option<f64>)>,
    /// Only documents created then or later.
    pub created_after: Option<Timestamp>,
    /// Only documents created before.
    pub created_before: Option<Timestamp>,
}

impl DocumentFilter {
    /// Whether a document passes: the one meaning that every engine has.
    pub fn passes(&self, entry: &Entry) -> bool {
        let label = |key: &String| entry.metadata.get(key);
        let among = |(key, values): &(String, Vec<String>)| {
            label(key).is_some_and(|value| values.contains(value))
        };
        let within = |(key, from, to): &(String, Option<f64>, Option<f64>)| {
            let number = label(key).and_then(|value| value.trim().parse::<f64>().ok());
            number.is_some_and(|number| {
                from.is_none_or(|from| number >= from) && to.is_none_or(|to| number <= to)
            })
        };
        (self.documents.is_empty() || self.documents.contains(&entry.document))
            && self.any_of.iter().all(among)
            && self.ranges.iter().all(within)
            && self.created_after.is_none_or(|after| entry.created_at >= after)
            && self.created_before.is_none_or(|before| entry.created_at < before)
    }
}

/// A question.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Whose documents.
    pub tenant: &'a TenantId,
    /// In which collections.
    pub collections: &'a [Incarnation],
    /// What is asked, by words; `None`: words do not count.
    pub words: Option<&'a str>,
    /// The language of the question (ISO 639-1), or empty: detected.
    pub language: &'a str,
    /// What is asked, by meaning, as a vector of length 1; `None`: meaning does not count.
    pub vector: Option<&'a [f32]>,
    /// Which documents.
    pub filter: &'a DocumentFilter,
    /// How many chunks each list gives at the most, 1 to 1,000.
    pub most: usize,
}

/// A chunk that may answer a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its collection.
    pub collection: Incarnation,
    /// Its document.
    pub document: DocumentId,
    /// The content of the document that it is of.
    pub generation: Generation,
    /// Its number in the document, from 0.
    pub ordinal: u32,
    /// Its BM25 score, where it is known: 0 when it has none of the words.
    pub words: Option<f32>,
    /// The cosine of its vector with the question's, where it is known.
    pub vector: Option<f32>,
}

/// What an index found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Candidates {
    /// The best by words and the best by meaning, united, in the order of document and ordinal.
    pub found: Vec<Candidate>,
    /// Whether the index is behind the record: documents may be missing, or be found that are gone.
    pub lagging: bool,
    /// How many chunks were searched, filtered ones included.
    pub chunks: u64,
    /// How many of them have vectors of the size of the question's; 0 when it has none.
    pub chunks_embedded: u64,
    /// A digest of the contents that were searched, and of their vectors where the question has
    /// one, whatever their order; 0: none.
    pub digest: u64,
}

/// Why an index does not answer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It does not answer now; it may later.
    #[error("the index of documents does not answer: {why}")]
    Unavailable {
        /// What it said, without content.
        why: String,
    },
    /// It cannot be used until somebody acts.
    #[error("the index of documents is broken: {why}")]
    Broken {
        /// What it said, without content.
        why: String,
    },
    /// The record behind it failed.
    #[error("the record behind the index cannot be read: {why}")]
    Record {
        /// What it said, without content.
        why: String,
    },
}

/// The record that an index is made from, and made anew.
#[async_trait]
pub trait DocumentRecord: Send + Sync {
    /// All collections of all tenants.
    async fn collections(&self) -> Result<Vec<Place>, IndexError>;
    /// The documents of a collection, in the order of their ids; none when it is gone.
    async fn documents(&self, place: &Place) -> Result<Vec<Entry>, IndexError>;
    /// What is searched of each chunk of a content, by ordinal; `None` when it is gone.
    async fn texts(&self, place: &Place, entry: &Entry) -> Result<Option<Vec<String>>, IndexError>;
    /// A document of a collection; none when it is gone.
    async fn document(
        &self,
        place: &Place,
        document: &DocumentId,
    ) -> Result<Option<Entry>, IndexError> {
        let all = self.documents(place).await?;
        Ok(all.into_iter().find(|entry| entry.document == *document))
    }
    /// The vectors of a content, each batch with the ordinal of its first.
    async fn vectors(&self, generation: Generation) -> Result<Vec<(u32, TurnVectors)>, IndexError>;
}

/// An index of the chunks of documents. Each engine passes `tests/it/documents_contract.rs`.
#[async_trait]
pub trait DocumentIndex: Send + Sync {
    /// Takes a document in, in place of what it knew of the document before; the next question
    /// finds it, by words. `texts` are what is searched of its chunks, by ordinal.
    async fn put(&self, place: &Place, entry: Entry, texts: Vec<String>) -> Result<(), IndexError>;

    /// Gives chunks their vectors, from ordinal `first` on. Without effect on a content that is
    /// not, or no longer, there.
    async fn set_vectors(
        &self,
        place: &Place,
        generation: Generation,
        first: u32,
        vectors: &TurnVectors,
    ) -> Result<(), IndexError>;

    /// The same with vectors of the embedder that does not serve, for an engine that keeps both.
    async fn set_vectors_beside(
        &self,
        _place: &Place,
        _generation: Generation,
        _first: u32,
        _vectors: &TurnVectors,
    ) -> Result<(), IndexError> {
        Ok(())
    }

    /// Answers by the vectors of another embedder from now on: those that the record gives now, in
    /// its slot 0 or 1. Those of the one before are forgotten, or kept apart.
    fn serve(&self, slot: usize);

    /// Forgets a document; the next question does not find it. Without effect when the content is
    /// not there.
    async fn remove(&self, place: &Place, generation: Generation) -> Result<(), IndexError>;

    /// Forgets a collection with all its documents.
    async fn remove_collection(&self, place: &Place) -> Result<(), IndexError>;

    /// Answers a question. A collection that is unknown is empty.
    async fn search(&self, question: &Question<'_>) -> Result<Candidates, IndexError>;

    /// Whether it knows that it is behind the record, so that reconciling is due: an engine that
    /// may fail to take in what it is told.
    fn is_behind(&self) -> bool {
        false
    }

    /// Brings the index to where the record is: what is missing is taken in, what is gone is
    /// forgotten. An engine that knows what it lacks takes in that alone. Questions meanwhile say
    /// that it lags.
    async fn reconcile(&self) -> Result<(), IndexError>;

    /// Writes down what is in memory only and merges what was deleted away, so that files hold no
    /// word of what was removed before. A server that keeps files of its own is told all that it
    /// was not told yet; when it rids its files of it is its own matter.
    async fn compact(&self) -> Result<(), IndexError>;
}
