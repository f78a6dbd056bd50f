//! The index of documents that the settings name.

use std::sync::Arc;

use super::error::StartError;
use crate::config::{DocumentEngine, Engine, Settings};
use crate::documents::{
    DocumentIndex, DocumentRecord, EmbeddedIndex, EmbeddedOptions, IndexError, QdrantIndex,
    QdrantOptions, Twin,
};
use crate::memory::{Space, Spaces, StoreRecord};
use crate::pool::Threads;
use crate::storage::Store;
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
    /// On a server, for two embedders; the first one is the one that served at the start.
    Twin(QdrantIndex, Arc<Twin>),
}

impl Documents {
    /// Opens the index that the settings name, beside the record of a data folder or in memory.
    pub(super) async fn open(
        settings: &Settings,
        spaces: &Arc<Spaces>,
        store: &Arc<dyn Store>,
    ) -> Result<Self, StartError> {
        if settings.documents.engine == DocumentEngine::Embedded {
            let record = StoreRecord::serving(store.clone(), spaces.clone());
            return embedded(settings, Arc::new(record)).await.map(Self::Embedded);
        }
        let one = async |space: Option<&Space>| {
            let record = match space {
                Some(space) => StoreRecord::of(store.clone(), space),
                None => StoreRecord::new(store.clone(), None),
            };
            let model =
                space.map(|space| (space.embedder.key().to_owned(), space.embedder.dimensions()));
            qdrant(settings, model, Arc::new(record)).await
        };
        let serving = spaces.serving();
        let index = one(serving.as_ref()).await?;
        match (serving, spaces.beside()) {
            (Some(serving), Some(beside)) => {
                let other = one(Some(&beside)).await?;
                let slot = serving.slot as usize;
                let both: [Arc<dyn DocumentIndex>; 2] = match slot {
                    0 => [Arc::new(index.clone()), Arc::new(other)],
                    _ => [Arc::new(other), Arc::new(index.clone())],
                };
                Ok(Self::Twin(index, Arc::new(Twin::new(both, slot))))
            }
            _ => Ok(Self::Qdrant(index)),
        }
    }

    /// The index, as the rest of the house sees it.
    pub(super) fn index(&self) -> Arc<dyn DocumentIndex> {
        match self {
            Self::Embedded(index) => Arc::new(index.clone()),
            Self::Qdrant(index) => Arc::new(index.clone()),
            Self::Twin(_, twin) => twin.clone(),
        }
    }

    /// Sets the gauges of the index; those of the other kind are 0.
    pub(super) fn observe(&self) {
        let (figures, held) = match self {
            Self::Embedded(index) => (Default::default(), index.figures()),
            Self::Qdrant(index) | Self::Twin(index, _) => (index.figures(), Default::default()),
        };
        let tail = (held.waiting_chunks, held.waiting_bytes);
        telemetry::index_holds(tail, held.segments, held.vectors_bytes, held.ordering);
        telemetry::documents_server(figures.breaker.number(), figures.owed, figures.failures);
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
