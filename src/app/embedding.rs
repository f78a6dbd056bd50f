//! Makes the embedders that the settings name.

use std::sync::Arc;

use crate::app::StartError;
use crate::config::{Embedding, EmbeddingModel};
use crate::embed::{EmbedError, Embedder, Hashed, Kept, builtin::MiniLm};
use crate::memory::{Space, Spaces};
use crate::storage::Store;

/// The embedders that the settings name, with where their vectors lie.
pub(super) async fn spaces(
    settings: &Embedding,
    store: &dyn Store,
) -> Result<Arc<Spaces>, StartError> {
    let model = embedder(settings, &settings.model).await?;
    let next = match &settings.next {
        Some(next) => embedder(settings, next).await?,
        None => None,
    };
    let same = |(model, next): (&Arc<dyn Embedder>, &Arc<dyn Embedder>)| model.key() == next.key();
    let next = next.filter(|next| !model.as_ref().is_some_and(|model| same((model, next))));
    let spaces = Spaces::open(store, model, next).await.map_err(StartError::Prepare)?;
    let key = |space: Option<Space>| space.map(|space| space.embedder.key().to_owned());
    if let (Some(serving), Some(beside)) = (key(spaces.serving()), key(spaces.beside())) {
        tracing::info!(serving, beside, "two embedders: one serves, the other is prepared");
    }
    Ok(Arc::new(spaces))
}

/// The embedder of a name.
async fn embedder(
    settings: &Embedding,
    model: &EmbeddingModel,
) -> Result<Option<Arc<dyn Embedder>>, StartError> {
    match model {
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
