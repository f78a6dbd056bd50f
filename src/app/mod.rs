//! The only room that names concrete engines: it makes the parts, and starts and ends all tasks.

mod admission;
mod connections;
mod copy;
mod doctor;
mod documents;
mod embedding;
mod error;
#[cfg(feature = "fastembed")]
mod fastembed;
mod limits;
mod metrics;
mod reindex;
mod reranking;
mod secrets;
mod server;
mod tasks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admission::Figures;
use crate::api::{Admission, Calls, ObserveLayer, PageTokens};
use crate::chance::{Chance as _, SystemChance};
use crate::clock::SystemClock;
use crate::config::{Engine, Settings, Traces};
use crate::memory::{Memory, Partitions};
use crate::proto::v1 as pb;
use crate::storage::{
    MemStore, Store, StoreError,
    disk::{DiskOptions, DiskStore, Kind},
    fjall::Fjall,
    sled::Sled,
};
use crate::telemetry::{ExportSettings, RequestIds, Spans, TenantTags};
use documents::Documents;

pub use copy::{Copied, CopyFolderError, copy_folder};
pub use doctor::{Line, examine};
pub use error::StartError;
pub use limits::limits;
pub use reindex::{Counts, ReindexError, Reindexed, reindex};

/// How long calls that are running may take to end; with closing the store this stays below 10 s.
const DRAIN_MAX: Duration = Duration::from_secs(8);

/// A server that runs in this process.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// The development key, if the settings want one.
    pub dev_key: Option<String>,
    memory: Arc<Memory>,
    admission: Arc<Admission>,
    store: Arc<dyn Store>,
    stop: watch::Sender<bool>,
    server: server::Started,
    tasks: Vec<JoinHandle<()>>,
    spans: Option<Spans>,
}

/// Starts a server.
///
/// # Errors
/// [`StartError`] says which part could not be had, and its source why.
pub async fn start(settings: &Settings) -> Result<Running, StartError> {
    // First: what is counted before anybody collects is lost.
    if let Some(listen) = settings.metrics_listen {
        metrics::serve(listen, settings).await?;
    }
    let (store, durability) = open_store(settings).await?;
    let is_new = secrets::is_empty(store.as_ref()).await?;
    let secret = secrets::server_secret(settings, is_new);
    let secret = secret.map_err(|source| error::folder_error(settings, source))?;
    let partitions = Partitions::new(settings.partitions_bytes);
    let (clock, chance) = (Arc::new(SystemClock::new()), Arc::new(SystemChance));
    let erased_after = settings.erase_after_hours.map(|h| Duration::from_secs(3_600) * h);
    let mut memory = Memory::new(store.clone(), clock, chance, partitions, &secret)
        .with_sessions_max(settings.limits.tenant_sessions)
        .with_files_erased_after(erased_after)
        .with_weights(settings.weights);
    let spaces = embedding::spaces(settings, store.as_ref()).await?;
    if let Some(reranker) = reranking::reranker(settings).await? {
        memory = memory.with_reranker(reranker, settings.retrieval.reranker_candidates, &secret);
    }
    if let Ok(program) = std::env::current_exe() {
        memory = memory.with_pdf_reader(program);
    }
    let documents = Documents::open(settings, &spaces, &store).await?;
    memory = memory.with_vectors(embedding::cache(settings).await);
    let memory = Arc::new(memory.with_documents(documents.index()).with_spaces(spaces));
    memory.resume_purges().await.map_err(StartError::Prepare)?;
    memory.resume_embedding().await.map_err(StartError::Prepare)?;
    memory.resume_erasure().await.map_err(StartError::Prepare)?;
    let dev_key = match settings.dev_key {
        true => secrets::dev_key(settings, &memory).await?,
        false => None,
    };
    let listen = settings.listen;
    let listener = TcpListener::bind(listen);
    let listener = listener.await.map_err(|source| StartError::Listen { listen, source })?;
    let address = listener.local_addr().map_err(|source| StartError::Listen { listen, source })?;
    let spans = settings.traces.as_ref().map(spans).transpose()?;
    let (stop, stopped) = watch::channel(false);
    let calls = Calls {
        memory: memory.clone(),
        pages: PageTokens::new(&secret),
        tags: TenantTags::new(&secret),
    };
    let observe = ObserveLayer::new(RequestIds::new(SystemChance.secret32()), spans.clone());
    let seed = u128::from_be_bytes(SystemChance.bytes16()) as u64;
    let admission = Arc::new(Admission::new(&admission::settings(&settings.limits), seed));
    let edge = server::Edge { calls, observe, admission: admission.clone() };
    let server = server::start(settings, listener, edge, durability, stopped.clone()).await?;
    let collected = settings.metrics_listen.is_some();
    let tasks = tasks::start(&memory, &documents, &admission, &stopped, collected);
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, engine = settings.engine.name(), %address, "serving");
    Ok(Running { address, dev_key, memory, admission, store, stop, server, tasks, spans })
}

fn spans(settings: &Traces) -> Result<Spans, StartError> {
    let Traces { endpoint, sample_ratio } = settings.clone();
    Spans::start(&ExportSettings { endpoint, sample_ratio }).map_err(StartError::Traces)
}

async fn open_store(settings: &Settings) -> Result<(Arc<dyn Store>, pb::Durability), StartError> {
    match settings.engine {
        Engine::Memory => Ok((Arc::new(MemStore::new()), pb::Durability::Memory)),
        Engine::Fjall => Ok((open_disk::<Fjall>(settings).await?, pb::Durability::Disk)),
        Engine::Sled => Ok((open_disk::<Sled>(settings).await?, pb::Durability::Disk)),
    }
}

async fn open_disk<K: Kind>(settings: &Settings) -> Result<Arc<dyn Store>, StartError> {
    let folder = settings.data.clone();
    let options = DiskOptions {
        free_bytes_min: settings.free_bytes_min,
        on_group: Some(Arc::new(metrics::group_written)),
    };
    let open = move || DiskStore::open_with(&folder, K::default(), options);
    let opened = tokio::task::spawn_blocking(open);
    let store = opened.await.expect("opening does not panic").map_err(StartError::Store)?;
    Ok(Arc::new(store))
}

impl Running {
    /// Waits until the store has failed for good; never returns while it is sound.
    pub async fn faulted(&self) -> StoreError {
        self.store.faulted().await
    }

    /// What admission of calls counts.
    pub fn figures(&self) -> Figures {
        self.admission.figures()
    }

    /// Waits until no turn waits for its vectors; at once without an embedder.
    pub async fn embedded(&self) {
        self.memory.embedded().await;
    }

    /// Ends the server: NOT_SERVING, no new calls, those that run may end, the last sync.
    ///
    /// # Errors
    /// When the store cannot be closed.
    pub async fn stop(self) -> Result<(), StoreError> {
        self.server.set_not_serving().await;
        // Nobody listens any more when the server ended by itself.
        let _ = self.stop.send(true);
        let abort = self.server.task.abort_handle();
        if tokio::time::timeout(DRAIN_MAX, self.server.task).await.is_err() {
            tracing::warn!("calls were still running after {DRAIN_MAX:?}");
            abort.abort();
        }
        for task in self.tasks {
            let _ = task.await;
        }
        if let Some(spans) = self.spans {
            let ended = tokio::task::spawn_blocking(move || spans.end());
            ended.await.expect("ending does not panic");
        }
        let closed = self.store.close().await;
        if closed.is_ok() {
            tracing::info!("stopped");
        }
        closed
    }
}
