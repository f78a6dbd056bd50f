//! Makes the reranker that the settings name.

use std::sync::Arc;

use crate::app::StartError;
use crate::config::{RerankerModel, Settings};
use crate::rerank::{RerankError, Reranker};

/// The reranker that the settings name, if any.
pub(super) async fn reranker(settings: &Settings) -> Result<Option<Arc<dyn Reranker>>, StartError> {
    let RerankerModel::FastEmbed(name) = settings.retrieval.reranker.clone() else {
        return Ok(None);
    };
    let settings = settings.clone();
    let started = tokio::task::spawn_blocking(move || fastembed(&settings, &name));
    let started = started.await.expect("starting does not panic");
    started.map(Some).map_err(StartError::Reranker)
}

#[cfg(feature = "fastembed")]
fn fastembed(settings: &Settings, name: &str) -> Result<Arc<dyn Reranker>, RerankError> {
    let reranker = super::fastembed::start_reranker(settings, name)?;
    tracing::info!(reranker = reranker.key(), "what is found first is read again");
    Ok(Arc::new(reranker))
}

#[cfg(not(feature = "fastembed"))]
fn fastembed(_: &Settings, name: &str) -> Result<Arc<dyn Reranker>, RerankError> {
    let why = format!("`{name}`: this program was built without the feature `fastembed`");
    Err(RerankError::Model { why })
}
