//! The only file that names concrete engines: it makes the parts, and starts and ends all tasks.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tower::util::MapResponseLayer;

use crate::api::{
    ANSWER_BYTES_MAX, Calls, DeadlineLayer, MemoryApi, PageTokens, REQUEST_BYTES_MAX, TenantApi,
    corrected, move_mark,
};
use crate::chance::{Chance, SystemChance};
use crate::clock::SystemClock;
use crate::config::{Embedding, EmbeddingModel, Engine, Settings, Tls};
use crate::embed::{EmbedError, Embedder, Kept, builtin::MiniLm};
use crate::error::{Failure, Reason};
use crate::memory::{Memory, NewKey, NewTenant, Partitions, Worked};
use crate::proto::{
    DESCRIPTORS, v1 as pb, v1::memory_service_server::MemoryServiceServer,
    v1::tenant_service_server::TenantServiceServer,
};
use crate::record::{Scopes, keys};
use crate::storage::{
    MemStore, Read, Store,
    fjall::{FjallStore, OpenError},
};
use crate::telemetry;
use crate::types::{Policy, TenantId};

/// The tenant of the development key.
const DEV_TENANT: &str = "dev";
/// How long calls that are running may take to end; with closing the store this stays below 10 s.
const DRAIN_MAX: Duration = Duration::from_secs(8);
/// How often sessions past their time and old repeats are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How many rounds of the sweep follow each other: about a hundred thousand rows.
const SWEEP_ROUNDS_MAX: usize = 100;
/// How often jobs are looked for: a summary may be late by this much.
const JOBS_EVERY: Duration = Duration::from_secs(1);
/// How often gauges are set: more often than anybody collects them.
const OBSERVE_EVERY: Duration = Duration::from_secs(5);
/// How long to wait after a failure before trying again: the first time, and at the most.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Calls at a time on one connection.
const STREAMS_MAX: u32 = 64;
/// A connection on which nothing is heard for this long is asked whether it lives.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection that is this old is asked to end, so that clients spread anew over the nodes behind
/// a name; calls on it have this long to end.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(3_600);
const CONNECTION_GRACE: Duration = Duration::from_secs(60);
/// Bytes of the headers of a call: a credential, a deadline, a trace.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Calls of a connection that were given up and not yet accepted: more are an attack.
const RESETS_MAX: usize = 64;

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error("cannot use the data folder `{}`", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Store(#[source] OpenError),
    /// The address cannot be listened on.
    #[error("cannot listen on `{listen}`")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use the TLS file `{}`", file.display())]
    Tls {
        /// The file.
        file: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The embedder cannot be had.
    #[error("cannot start the embedder")]
    Embedder(#[source] EmbedError),
    /// Metrics cannot be served.
    #[error("cannot serve metrics")]
    Metrics(#[source] BuildError),
    /// What a start writes could not be written.
    #[error("cannot prepare the data")]
    Prepare(#[source] Failure),
}

/// A server that runs in this process.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// The development key, if the settings want one.
    pub dev_key: Option<String>,
    memory: Arc<Memory>,
    store: Arc<dyn Store>,
    health: tonic_health::server::HealthReporter,
    stop: watch::Sender<bool>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts a server.
///
/// # Errors
/// [`StartError`] says which part could not be had, and its source why.
pub async fn start(settings: &Settings) -> Result<Running, StartError> {
    let (store, durability) = open_store(settings).await?;
    let is_new = is_empty(store.as_ref()).await?;
    let secret = server_secret(settings, is_new);
    let secret = secret.map_err(|source| folder_error(settings, source))?;
    let partitions = Partitions::new(settings.partitions_bytes);
    let (clock, chance) = (Arc::new(SystemClock::new()), Arc::new(SystemChance));
    let mut memory = Memory::new(store.clone(), clock, chance, partitions, &secret);
    if let Some(embedder) = embedder(&settings.embedding).await? {
        memory = memory.with_embedder(embedder);
    }
    let memory = Arc::new(memory);
    memory.resume_purges().await.map_err(StartError::Prepare)?;
    memory.resume_embedding().await.map_err(StartError::Prepare)?;
    let dev_key = match settings.dev_key {
        true => dev_key(settings, &memory).await?,
        false => None,
    };
    let listen = settings.listen;
    let listener = TcpListener::bind(listen);
    let listener = listener.await.map_err(|source| StartError::Listen { listen, source })?;
    let address = listener.local_addr().map_err(|source| StartError::Listen { listen, source })?;
    if let Some(listen) = settings.metrics_listen {
        let exporter = PrometheusBuilder::new().with_http_listener(listen);
        exporter.install().map_err(StartError::Metrics)?;
        telemetry::describe();
    }
    let (stop, stopped) = watch::channel(false);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<MemoryServiceServer<MemoryApi>>().await;
    health.set_serving::<TenantServiceServer<TenantApi>>().await;
    let calls = Calls { memory: memory.clone(), pages: PageTokens::new(&secret) };
    let server = server(settings)?
        .layer(DeadlineLayer)
        .layer(MapResponseLayer::new(move_mark))
        .layer(MapResponseLayer::new(corrected))
        .add_service(health_service)
        .add_service(reflection())
        .add_service(
            MemoryServiceServer::new(MemoryApi::new(calls.clone(), durability))
                .max_decoding_message_size(REQUEST_BYTES_MAX)
                .max_encoding_message_size(ANSWER_BYTES_MAX),
        )
        .add_service(
            TenantServiceServer::new(TenantApi::new(calls))
                .max_decoding_message_size(REQUEST_BYTES_MAX)
                .max_encoding_message_size(ANSWER_BYTES_MAX),
        );
    // Without it an answer waits some 40 ms for the acknowledgement of its first packet.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let mut until = stopped.clone();
    let server = tokio::spawn(async move {
        let signal = async move {
            let _ = until.wait_for(|stop| *stop).await;
        };
        server.serve_with_incoming_shutdown(incoming, signal).await
    });
    let tasks = vec![
        tokio::spawn(sweep(memory.clone(), stopped.clone())),
        tokio::spawn(embed(memory.clone(), stopped.clone())),
        tokio::spawn(embed(memory.clone(), stopped.clone())),
        tokio::spawn(work(memory.clone(), stopped.clone())),
        tokio::spawn(observe(memory.clone(), stopped)),
    ];
    Ok(Running { address, dev_key, memory, store, health, stop, server, tasks })
}

/// The embedder that the settings name.
async fn embedder(settings: &Embedding) -> Result<Option<Arc<dyn Embedder>>, StartError> {
    if settings.model == EmbeddingModel::None {
        return Ok(None);
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

fn folder_error(settings: &Settings, source: io::Error) -> StartError {
    StartError::Folder { folder: settings.data.clone(), source }
}

async fn open_store(settings: &Settings) -> Result<(Arc<dyn Store>, pb::Durability), StartError> {
    match settings.engine {
        Engine::Memory => Ok((Arc::new(MemStore::new()), pb::Durability::Memory)),
        Engine::Fjall => {
            let folder = settings.data.clone();
            let opened = tokio::task::spawn_blocking(move || FjallStore::open(&folder));
            let store = opened.await.expect("opening does not panic").map_err(StartError::Store)?;
            Ok((Arc::new(store), pb::Durability::Disk))
        }
    }
}

fn server(settings: &Settings) -> Result<Server, StartError> {
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_adaptive_window(Some(true))
        .http2_max_header_list_size(Some(HEADER_BYTES_MAX))
        .http2_max_pending_accept_reset_streams(Some(RESETS_MAX))
        .max_connection_age(CONNECTION_AGE_MAX)
        .max_connection_age_grace(CONNECTION_GRACE)
        .max_concurrent_streams(Some(STREAMS_MAX));
    let Some(Tls { cert, key }) = &settings.tls else { return Ok(server) };
    let refused = |file: &Path, source: Box<dyn std::error::Error + Send + Sync>| StartError::Tls {
        file: file.to_owned(),
        source,
    };
    let read = |path: &Path| fs::read(path).map_err(|error| refused(path, Box::new(error)));
    let identity = Identity::from_pem(read(cert)?, read(key)?);
    let config = ServerTlsConfig::new().identity(identity);
    server.tls_config(config).map_err(|error| refused(cert, Box::new(error)))
}

fn reflection() -> tonic_reflection::server::v1::ServerReflectionServer<
    impl tonic_reflection::server::v1::ServerReflection,
> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the build script wrote valid descriptors")
}

/// The secret that keys hashes and page tokens: made at the first start, kept beside the data.
/// A store that holds tenants is refused without it: no API key would be known any more.
fn server_secret(settings: &Settings, is_new: bool) -> io::Result<[u8; 32]> {
    if settings.engine == Engine::Memory {
        return Ok(SystemChance.secret32());
    }
    let path = settings.data.join("server.key");
    match fs::read(&path) {
        Ok(bytes) => <[u8; 32]>::try_from(bytes.as_slice())
            .map_err(|_| io::Error::other("`server.key` must hold 32 bytes")),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_new => {
            Err(io::Error::other("it holds tenants but no `server.key`: put that file back"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = SystemChance.secret32();
            write_secret(&path, &secret)?;
            Ok(secret)
        }
        Err(error) => Err(error),
    }
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    // `NamedTempFile` makes files with mode 0600.
    file.persist(path)?;
    fs::File::open(folder)?.sync_all()
}

/// Whether a store holds no tenant yet.
async fn is_empty(store: &dyn Store) -> Result<bool, StartError> {
    let tenants = Read::prefix(keys::tenants()).limit(1);
    let failed = |error| {
        let failure = Failure::new(Reason::StoreFault, "the store cannot be read");
        StartError::Prepare(failure.because(error))
    };
    Ok(store.read(vec![tenants]).await.map_err(failed)?[0].is_empty())
}

/// The development key: the one in `dev.key` while it is valid. A new one is made only while its
/// tenant has no key at all, so that one that was taken away does not come back.
async fn dev_key(settings: &Settings, memory: &Memory) -> Result<Option<String>, StartError> {
    let path = settings.data.join("dev.key");
    if settings.engine == Engine::Fjall
        && let Ok(text) = fs::read_to_string(&path)
        && memory.authenticate(text.trim()).await.is_ok()
    {
        return Ok(Some(text.trim().to_owned()));
    }
    let tenant = TenantId::parse(DEV_TENANT).expect("the name is an id");
    let new = NewTenant { tenant: tenant.clone(), policy: Policy::initial() };
    match memory.create_tenant(&new, None).await {
        Ok(_) => {}
        Err(failure) if failure.reason() == Reason::TenantExists => {}
        Err(failure) => return Err(StartError::Prepare(failure)),
    }
    let known = memory.list_keys(&tenant, None, 1).await.map_err(StartError::Prepare)?;
    if !known.items.is_empty() {
        tracing::warn!("there is no valid development key; one is made at the first start only");
        return Ok(None);
    }
    let scopes = Scopes::READ.and(Scopes::WRITE).and(Scopes::ADMIN).and(Scopes::OPERATOR);
    let key = NewKey { display_name: "development".to_owned(), scopes, expires_at: None };
    let created = memory.create_key(&tenant, &key, None).await.map_err(StartError::Prepare)?;
    let secret = created.secret.expect("a key that was just made has its secret");
    if settings.engine == Engine::Fjall {
        write_secret(&path, format!("{secret}\n").as_bytes())
            .map_err(|source| folder_error(settings, source))?;
    }
    Ok(Some(secret))
}

/// Embeds turns that wait, until the stop.
async fn embed(memory: Arc<Memory>, mut stopped: watch::Receiver<bool>) {
    let mut pause = RETRY_FIRST;
    loop {
        // A stop does not wait for texts that are being embedded: their rows are still there.
        let worked = tokio::select! {
            worked = memory.embed_some() => worked,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        let idle = match worked {
            Ok(true) => {
                pause = RETRY_FIRST;
                continue;
            }
            Ok(false) => None,
            Err(failure) => {
                tracing::warn!(reason = failure.reason().text(), "embedding failed: {failure}");
                pause = (pause * 2).min(RETRY_MAX);
                Some(pause)
            }
        };
        tokio::select! {
            () = rest(idle) => {}
            () = memory.more_to_embed(), if idle.is_none() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

/// Notes how far the work behind the appends lags, until the stop.
async fn observe(memory: Arc<Memory>, mut stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(OBSERVE_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        let (sessions, oldest) = memory.embedding_lag();
        let age_ms = oldest.map_or(0, |oldest| memory.now().0.saturating_sub(oldest.0));
        telemetry::embedding_lag(sessions, age_ms);
    }
}

/// Waits for a time; for ever without one.
async fn rest(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Works on jobs that are due, until the stop.
async fn work(memory: Arc<Memory>, mut stopped: watch::Receiver<bool>) {
    let mut pause = JOBS_EVERY;
    loop {
        match memory.work_some().await {
            Ok(Worked::Some) if *stopped.borrow() => return,
            Ok(Worked::Some) => continue,
            Ok(Worked::Idle(_)) => pause = JOBS_EVERY,
            Err(failure) => {
                tracing::warn!(reason = failure.reason().text(), "jobs cannot be read: {failure}");
                pause = (pause * 2).min(RETRY_MAX);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

async fn sweep(memory: Arc<Memory>, mut stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        for _ in 0..SWEEP_ROUNDS_MAX {
            match memory.sweep().await {
                Ok(0) => break,
                Ok(_) => {}
                Err(failure) => {
                    tracing::warn!(reason = failure.reason().text(), "the sweep failed: {failure}");
                    break;
                }
            }
        }
    }
}

impl Running {
    /// Waits until the store has failed for good; never returns while it is sound.
    pub async fn faulted(&self) -> crate::storage::StoreError {
        self.store.faulted().await
    }

    /// Waits until no turn waits for its vectors; at once without an embedder.
    pub async fn embedded(&self) {
        self.memory.embedded().await;
    }

    /// Ends the server: NOT_SERVING, no new calls, those that run may end, the last sync.
    ///
    /// # Errors
    /// When the store cannot be closed.
    pub async fn stop(self) -> Result<(), crate::storage::StoreError> {
        self.health.set_not_serving::<MemoryServiceServer<MemoryApi>>().await;
        self.health.set_not_serving::<TenantServiceServer<TenantApi>>().await;
        self.health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        // Nobody listens any more when the server ended by itself.
        let _ = self.stop.send(true);
        let abort = self.server.abort_handle();
        if tokio::time::timeout(DRAIN_MAX, self.server).await.is_err() {
            tracing::warn!("calls were still running after {DRAIN_MAX:?}");
            abort.abort();
        }
        for task in self.tasks {
            let _ = task.await;
        }
        self.store.close().await
    }
}
