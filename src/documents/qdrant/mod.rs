//! The index on a Qdrant server beside the process.
//! In and out: as [`DocumentIndex`].
//! Invariant: the record is the truth. What the server could not be told is owed to it, and told
//! when it answers again; until then questions say that the index lags.
//!
//! A chunk is a point with two vectors: its words, weighed as BM25 weighs them, and its meaning.
//! How rare a word is, the server counts over the collections that are asked. A content has a
//! marker beside its chunks, written first and last, so that what was left half-written is found
//! by a look at the markers. Scores differ from the model's in two ways: the mean length of chunks
//! is a constant ([`MEAN_WORDS`]), and the stems of a word in several languages are as rare as each
//! is.

mod books;
mod changes;
mod connection;
mod debts;
mod filters;
mod points;
mod ranges;
mod reconcile;
mod schema;
mod search;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::breaker::BreakerState;
use crate::documents::{
    Candidates, DocumentIndex, DocumentRecord, Entry, IndexError, Place, Question,
};
use crate::pool::Pool;
use crate::retrieve::TurnVectors;
use crate::types::Generation;

use connection::Connection;
use schema::check_version;
use state::State;

/// How many words a chunk is taken to have on average: what a chunk of 200 tokens of English has
/// without its stop words. The server is told the weights of a chunk's words once; the mean of the
/// collections that are asked moves with every document.
pub const MEAN_WORDS: u64 = 100;

/// How an index on a server is set up. All but the first three count only when the server's
/// collection is made.
#[derive(Clone)]
pub struct QdrantOptions {
    /// Where the server speaks gRPC: `http://HOST:PORT`, or `https://…`.
    pub url: String,
    /// What it asks for, if anything.
    pub api_key: Option<String>,
    /// How long a question may take.
    pub search_max: Duration,
    /// What the server's collections are called, before a dash and a digest of the model.
    pub prefix: String,
    /// The key of the embedder and how many numbers its vectors have; none: words alone. Each
    /// model has a collection of its own.
    pub model: Option<(String, usize)>,
    /// How many shards there are, of each tenant where tenants have shards of their own.
    pub shards: u32,
    /// How many nodes have each shard.
    pub replicas: u32,
    /// Whether each tenant has shards of its own.
    pub shard_per_tenant: bool,
    /// Whether vectors are kept in memory as integers of one byte, besides the whole ones.
    pub quantise: bool,
    /// Whether vectors, words and payloads stay on disk.
    pub on_disk: bool,
}

impl Default for QdrantOptions {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:6334".into(),
            api_key: None,
            search_max: Duration::from_secs(1),
            prefix: "keepsake".into(),
            model: None,
            shards: 1,
            replicas: 1,
            shard_per_tenant: false,
            quantise: true,
            on_disk: false,
        }
    }
}

/// An index on a server. Cheap to copy: copies are the same index.
#[derive(Clone)]
pub struct QdrantIndex {
    state: Arc<State>,
}

/// How an index on a server fares, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QdrantFigures {
    /// What the breaker does with calls.
    pub breaker: BreakerState,
    /// How many documents and collections the server has to be told of; everything counts as one.
    pub owed: u64,
    /// How many calls were not answered.
    pub failures: u64,
}

/// Asks a server for its version.
///
/// # Errors
/// [`IndexError::Broken`] when it is too old, [`IndexError::Unavailable`] when it does not answer.
pub async fn qdrant_version(options: &QdrantOptions) -> Result<String, IndexError> {
    let key = options.api_key.as_deref();
    let version = Connection::new(&options.url, key, options.search_max)?.version().await?;
    check_version(&version)?;
    Ok(version)
}

impl QdrantIndex {
    /// An index of `record`, which lags until it is reconciled. Nothing is sent yet.
    ///
    /// # Errors
    /// [`IndexError::Broken`] for a URL that is none.
    pub fn new(
        options: QdrantOptions,
        record: Arc<dyn DocumentRecord>,
        pool: Arc<dyn Pool>,
    ) -> Result<Self, IndexError> {
        Ok(Self { state: Arc::new(State::new(options, record, pool)?) })
    }

    /// Asks the server what it is, and makes its collection if it is not there. Gives its version.
    ///
    /// # Errors
    /// [`IndexError::Broken`] when it is too old or its collection is another,
    /// [`IndexError::Unavailable`] when it does not answer.
    pub async fn check(&self) -> Result<String, IndexError> {
        let version = self.state.connection.version().await?;
        self.state.prepare().await?;
        Ok(version)
    }

    /// The server's collection.
    pub fn collection(&self) -> &str {
        &self.state.schema.name
    }

    /// How it fares.
    pub fn figures(&self) -> QdrantFigures {
        QdrantFigures {
            breaker: self.state.connection.state(),
            owed: self.state.debts().len() as u64,
            failures: self.state.connection.failures(),
        }
    }
}

#[async_trait]
impl DocumentIndex for QdrantIndex {
    async fn put(&self, place: &Place, entry: Entry, texts: Vec<String>) -> Result<(), IndexError> {
        self.state.put(place, &entry, texts).await
    }

    async fn set_vectors(
        &self,
        place: &Place,
        generation: Generation,
        first: u32,
        vectors: &TurnVectors,
    ) -> Result<(), IndexError> {
        self.state.set_vectors(place, generation, first, vectors).await
    }

    /// Its server's collection has vectors of one embedder, whichever serves: a [`super::Twin`]
    /// asks another one.
    fn serve(&self, _slot: usize) {}

    async fn remove(&self, place: &Place, generation: Generation) -> Result<(), IndexError> {
        self.state.remove(place, generation).await
    }

    async fn remove_collection(&self, place: &Place) -> Result<(), IndexError> {
        self.state.remove_collection(place).await
    }

    async fn search(&self, question: &Question<'_>) -> Result<Candidates, IndexError> {
        self.state.search(question).await
    }

    fn is_behind(&self) -> bool {
        self.state.debts().any()
    }

    async fn reconcile(&self) -> Result<(), IndexError> {
        self.state.reconcile().await
    }

    async fn compact(&self) -> Result<(), IndexError> {
        // The server rids its files of what was deleted by itself; what it was not told yet counts.
        self.state.reconcile().await
    }
}
