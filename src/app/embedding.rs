//! Makes the embedders that the settings name, and the cache of what they make.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use crate::app::StartError;
use crate::config::{Embedding, EmbeddingModel, Engine, Settings};
use crate::embed::{
    EmbedError, Embedder, Hashed, Kept,
    builtin::MiniLm,
    cache::VectorCache,
    http::{Http, HttpOptions, probe},
    table::StaticTable,
};
use crate::memory::{Space, Spaces};
use crate::storage::Store;
use crate::telemetry::EmbedderMeter;

/// The folder of kept vectors, in the data folder. What was deleted is out of it when it is out of
/// the other files.
pub(super) const CACHE_FOLDER: &str = "cache/vectors";
/// How long a start waits for a server that is asked for a vector.
pub(super) const PROBE_MAX: Duration = Duration::from_secs(10);

/// The embedders that the settings name, with where their vectors lie.
pub(super) async fn spaces(
    settings: &Settings,
    store: &dyn Store,
) -> Result<Arc<Spaces>, StartError> {
    let model = embedder(settings, &settings.embedding.model).await?;
    let next = match &settings.embedding.next {
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
    settings: &Settings,
    model: &EmbeddingModel,
) -> Result<Option<Arc<dyn Embedder>>, StartError> {
    if let EmbeddingModel::Http(model) = model {
        let made = http(&settings.embedding, model).await.map_err(StartError::Embedder)?;
        return kept(made, &settings.embedding).await.map(Some);
    }
    // Its metrics are there from the start; a model on a server notes them itself.
    drop(EmbedderMeter::new(model.name()));
    match model {
        EmbeddingModel::None => Ok(None),
        EmbeddingModel::Hashed => Ok(Some(Arc::new(Hashed::long()))),
        // To keep its vectors costs more than to make them.
        EmbeddingModel::Static => {
            Ok(Some(Arc::new(started(threads(settings), StaticTable::start).await?)))
        }
        EmbeddingModel::MiniLm | EmbeddingModel::Http(_) => {
            kept(started(threads(settings), MiniLm::start).await?, &settings.embedding)
                .await
                .map(Some)
        }
        EmbeddingModel::FastEmbed(name) => fastembed(settings, name).await.map(Some),
    }
}

/// How many threads embed turns, and rerank; where it is not said, one for every two cores.
pub(super) fn threads(settings: &Settings) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if settings.embedding.threads == 0 { cores.div_ceil(2) } else { settings.embedding.threads }
}

/// A model in this process on so many threads.
async fn started<E: Embedder>(
    threads: usize,
    start: fn(usize) -> Result<E, EmbedError>,
) -> Result<E, StartError> {
    let started = tokio::task::spawn_blocking(move || start(threads)).await;
    started.expect("starting does not panic").map_err(StartError::Embedder)
}

/// A model of fastembed's.
#[cfg(feature = "fastembed")]
async fn fastembed(settings: &Settings, name: &str) -> Result<Arc<dyn Embedder>, StartError> {
    let (of, name) = (settings.clone(), name.to_owned());
    let start = move || super::fastembed::start(&of, &name, threads(&of));
    let started = tokio::task::spawn_blocking(start).await.expect("starting does not panic");
    kept(started.map_err(StartError::Embedder)?, &settings.embedding).await
}

#[cfg(not(feature = "fastembed"))]
async fn fastembed(_: &Settings, name: &str) -> Result<Arc<dyn Embedder>, StartError> {
    let why = format!("`{name}`: this program was built without the feature `fastembed`");
    Err(StartError::Embedder(EmbedError::Model { why }))
}

/// An embedder, over the folder of vectors of an evaluation, if there is one.
async fn kept(
    embedder: impl Embedder,
    settings: &Embedding,
) -> Result<Arc<dyn Embedder>, StartError> {
    let Some(folder) = settings.kept_in.clone() else { return Ok(Arc::new(embedder)) };
    let opened = tokio::task::spawn_blocking(move || Kept::open(embedder, &folder)).await;
    let opened = opened.expect("opening does not panic").map_err(StartError::Embedder)?;
    Ok(Arc::new(opened))
}

/// How the server of the settings is asked for vectors of a model.
pub(super) fn http_options(settings: &Embedding, model: &str) -> Result<HttpOptions, EmbedError> {
    let server = &settings.http;
    let in_file = server.api_key_file.as_ref().map(|path| {
        let why = |why: String| EmbedError::Model {
            why: format!("the file of the API key `{}` {why}", path.display()),
        };
        let text = fs::read_to_string(path).map_err(|error| why(format!("is unread: {error}")))?;
        let key = text.trim().to_owned();
        match !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(key),
            false => Err(why("must hold one word of ASCII".to_owned())),
        }
    });
    let given = server.api_key.as_ref().map(|key| key.reveal().to_owned());
    Ok(HttpOptions {
        url: server.url.clone(),
        api_key: in_file.transpose()?.or(given),
        model: model.to_owned(),
        dimensions: server.dimensions,
        send_dimensions: server.send_dimensions,
        batch_texts: server.batch_texts,
        text_chars: server.text_chars,
        timeout: server.timeout,
        requests: server.concurrency,
    })
}

/// The embedder on a server. It must answer at the start only where nobody knows how long its
/// vectors are.
async fn http(settings: &Embedding, model: &str) -> Result<Http, EmbedError> {
    let mut options = http_options(settings, model)?;
    if options.dimensions == 0 {
        let asked = HttpOptions { timeout: options.timeout.min(PROBE_MAX), ..options.clone() };
        options.dimensions = match probe(&asked).await {
            Ok(probed) => probed.dimensions,
            Err(EmbedError::Unavailable { why }) => {
                let why = format!(
                    "{}: {why}; with `embedding.http.dimensions` a start does not need its answer",
                    options.url
                );
                return Err(EmbedError::Model { why });
            }
            Err(EmbedError::Model { why }) => {
                return Err(EmbedError::Model { why: format!("{}: {why}", options.url) });
            }
            Err(error) => return Err(error),
        };
    }
    let (http, workers) = Http::new(&options, &format!("http:{model}"))?;
    // They end with the embedder.
    workers.into_iter().for_each(|worker| drop(tokio::spawn(worker)));
    tracing::info!(
        url = options.url,
        model,
        dimensions = options.dimensions,
        "texts are embedded on a server"
    );
    Ok(http)
}

/// The cache of vectors. It has files where a server makes the vectors, since that costs more than
/// the room, and where the engine can rid its files of what was deleted: these are rid then too.
pub(super) async fn cache(settings: &Settings) -> VectorCache {
    let of = &settings.embedding;
    let cache = VectorCache::in_memory(of.cache_memory_bytes);
    if settings.engine == Engine::Memory {
        return cache;
    }
    let (folder, disk_bytes) = (settings.data.join(CACHE_FOLDER), of.cache_disk_bytes);
    let is_kept = settings.engine == Engine::Fjall && disk_bytes > 0;
    // Those that are there stay while another model is tried.
    let models = [Some(&of.model), of.next.as_ref()].into_iter().flatten();
    let asks = models.into_iter().any(|model| matches!(model, EmbeddingModel::Http(_)));
    let is_wanted = asks || folder.exists();
    if !is_kept || !is_wanted {
        if folder.exists()
            && let Err(error) = fs::remove_dir_all(&folder)
        {
            tracing::warn!("`{}` is not used and cannot be removed: {error}", folder.display());
        }
        return cache;
    }
    let (free_bytes_min, memory_bytes) = (settings.free_bytes_min, of.cache_memory_bytes);
    let opened =
        tokio::task::spawn_blocking(move || cache.with_folder(&folder, disk_bytes, free_bytes_min));
    opened.await.expect("opening does not panic").unwrap_or_else(|error| {
        tracing::warn!("vectors are kept in memory only: {error}");
        VectorCache::in_memory(memory_bytes)
    })
}
