//! The index of documents that the settings name.

use std::sync::Arc;

use super::error::StartError;
use crate::config::{DocumentEngine, Engine, Settings};
use crate::documents::{
    BreakerState, DocumentIndex, DocumentRecord, EmbeddedIndex, EmbeddedOptions, IndexError,
    QdrantIndex, QdrantOptions,
};
use crate::embed::Embedder;
use crate::pool::Threads;
use crate::telemetry;

/// The folder of the index of documents, in the data folder. It is made from the record.
pub(super) const INDEX_FOLDER: &str = "index";

/// An index. Cheap to copy.
#[derive(Clone)]
pub(super) enum Documents {
    /// In the process.
    Embedded(EmbeddedIndex),
    /// On a server.
    Qdrant(QdrantIndex),
}

impl Documents {
    /// Opens the index that the settings name, beside the record of a data folder or in memory.
    pub(super) async fn open(
        settings: &Settings,
        embedder: Option<&Arc<dyn Embedder>>,
        record: Arc<dyn DocumentRecord>,
    ) -> Result<Self, StartError> {
        match settings.documents.engine {
            DocumentEngine::Embedded => embedded(settings, record).await.map(Self::Embedded),
            DocumentEngine::Qdrant => {
                let model = embedder.map(|e| (e.key().to_owned(), e.dimensions()));
                qdrant(settings, model, record).await.map(Self::Qdrant)
            }
        }
    }

    /// The index, as the rest of the house sees it.
    pub(super) fn index(&self) -> Arc<dyn DocumentIndex> {
        match self {
            Self::Embedded(index) => Arc::new(index.clone()),
            Self::Qdrant(index) => Arc::new(index.clone()),
        }
    }

    /// Sets the gauges of the index; those of the other kind are 0.
    pub(super) fn observe(&self) {
        let (figures, held) = match self {
            Self::Embedded(index) => (Default::default(), index.figures()),
            Self::Qdrant(index) => (index.figures(), Default::default()),
        };
        let tail = (held.waiting_chunks, held.waiting_bytes);
        telemetry::index_holds(tail, held.segments, held.vectors_bytes);
        let breaker = match figures.breaker {
            BreakerState::Closed => 0,
            BreakerState::Trying => 1,
            BreakerState::Open => 2,
        };
        telemetry::documents_server(breaker, figures.owed, figures.failures);
    }
}

/// How an index on the server of the settings is set up.
pub(super) fn options(settings: &Settings, model: Option<(String, usize)>) -> QdrantOptions {
    let server = settings.documents.qdrant.clone();
    QdrantOptions {
        url: server.url,
        api_key: server.api_key.map(|key| key.reveal().to_owned()),
        search_max: server.search_max,
        prefix: server.prefix,
        model,
        shards: server.shards,
        replicas: server.replicas,
        shard_per_tenant: server.shard_per_tenant,
        quantise: server.quantise,
        on_disk: server.on_disk,
    }
}

async fn qdrant(
    settings: &Settings,
    model: Option<(String, usize)>,
    record: Arc<dyn DocumentRecord>,
) -> Result<QdrantIndex, StartError> {
    let index = QdrantIndex::new(options(settings, model), record, Arc::new(Threads));
    let index = index.map_err(StartError::Index)?;
    match index.check().await {
        Ok(version) => {
            tracing::info!(version, collection = index.collection(), "documents are on Qdrant");
        }
        // All else works without it, and it is told of documents when it answers.
        Err(IndexError::Unavailable { why }) => {
            tracing::warn!("Qdrant does not answer, documents are not found until it does: {why}");
        }
        Err(error) => return Err(StartError::Index(error)),
    }
    Ok(index)
}

/// Opens the index in the process.
pub(super) async fn embedded(
    settings: &Settings,
    record: Arc<dyn DocumentRecord>,
) -> Result<EmbeddedIndex, StartError> {
    let folder = (settings.engine != Engine::Memory).then(|| settings.data.join(INDEX_FOLDER));
    let options = EmbeddedOptions { folder, ..EmbeddedOptions::default() };
    let open = move || EmbeddedIndex::open(options, record, Arc::new(Threads));
    let opened = tokio::task::spawn_blocking(open).await.expect("opening does not panic");
    let (index, why) = opened.map_err(StartError::Index)?;
    if let Some(why) = why {
        tracing::warn!("the index of documents is made anew: {why}");
    }
    Ok(index)
}
