//! Makes the embedder that the settings name.

use std::sync::Arc;

use crate::app::StartError;
use crate::config::{Embedding, EmbeddingModel};
use crate::embed::{EmbedError, Embedder, Hashed, Kept, builtin::MiniLm};

/// The embedder that the settings name.
pub(super) async fn embedder(
    settings: &Embedding,
) -> Result<Option<Arc<dyn Embedder>>, StartError> {
    match settings.model {
        EmbeddingModel::None => return Ok(None),
        EmbeddingModel::Hashed => return Ok(Some(Arc::new(Hashed::long()))),
        EmbeddingModel::MiniLm => {}
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if settings.threads == 0 { cores.div_ceil(2) } else { settings.threads };
    let kept_in = settings.kept_in.clone();
    let started = tokio::task::spawn_blocking(move || {
        let minilm = MiniLm::start(threads)?;
        Ok::<Arc<dyn Embedder>, EmbedError>(match kept_in {
            Some(folder) => Arc::new(Kept::open(minilm, &folder)?),
            None => Arc::new(minilm),
        })
    });
    started.await.expect("starting does not panic").map(Some).map_err(StartError::Embedder)
}
