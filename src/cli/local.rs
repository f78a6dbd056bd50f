//! A server of this process on a temporary folder, for commands that bring their own.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::app::{Running, start};
use crate::cli::{Client, Error, Settings as ClientSettings};
use crate::config::{Layers, Settings};
use crate::error::chain;
use crate::retrieve::Weights;

/// The longest time a call to the own server may take.
const TIMEOUT: Duration = Duration::from_secs(300);

/// What is other than a new tenant's settings; by default nothing.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// A folder in which vectors are kept by the hash of their texts, and from which those that are
    /// there are taken.
    pub(super) vectors_in: Option<PathBuf>,
    /// The URL of a Qdrant server that has the index of documents, in a collection of its own that
    /// stays.
    pub(super) qdrant: Option<String>,
    /// What signals count.
    pub(super) weights: Option<Weights>,
    /// The setting `embedding.model`.
    pub(super) embedding: Option<String>,
}

/// A server with the settings that a new tenant gets; its data goes when it is dropped.
pub(super) struct LocalServer {
    running: Running,
    // Held for its end: dropping it removes the folder.
    _folder: TempDir,
}

impl LocalServer {
    /// Starts a server on loopback, and a client of it.
    ///
    /// # Errors
    /// [`Error::Internal`] with the whole chain of reasons; [`Error::Connect`].
    pub(super) async fn start(wishes: Wishes) -> Result<(Self, Client), Error> {
        let Wishes { vectors_in, qdrant, weights, embedding } = wishes;
        let folder = tempfile::Builder::new().prefix("keepsake-").tempdir();
        let folder = folder.map_err(|e| Error::Internal(format!("no temporary folder: {e}")))?;
        let data = folder.path().to_string_lossy().into_owned();
        let engine = qdrant.as_ref().map(|_| "qdrant".to_owned());
        let prefix =
            qdrant.as_ref().map(|_| format!("keepsake-eval-{}", uuid::Uuid::new_v4().simple()));
        let layers = Layers::default()
            .with_flag("embedding.model", embedding)
            .with_flag("documents.engine", engine)
            .with_flag("documents.qdrant.url", qdrant)
            .with_flag("documents.qdrant.prefix", prefix)
            .with_flag("data", Some(data))
            .with_flag("listen", Some("127.0.0.1:0".to_owned()));
        let mut settings = Settings::resolve(&layers).map_err(|mistakes| {
            let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            Error::Internal(mistakes.join("; "))
        })?;
        if vectors_in.is_some() {
            // An evaluation waits for the vectors: all cores make them.
            settings.embedding.threads = cores();
        }
        settings.embedding.kept_in = vectors_in;
        settings.weights = weights.unwrap_or(settings.weights);
        let running = start(&settings).await.map_err(|error| Error::Internal(chain(&error)))?;
        let settings = ClientSettings {
            address: format!("http://{}", running.address),
            api_key: running.dev_key.clone(),
            ca_cert: None,
            timeout: TIMEOUT,
        };
        let client = Client::connect(&settings).await?;
        Ok((Self { running, _folder: folder }, client))
    }

    /// Waits until no turn waits for its vectors.
    pub(super) async fn embedded(&self) {
        self.running.embedded().await;
    }

    /// Stops the server.
    ///
    /// # Errors
    /// [`Error::Internal`] when its store cannot be closed.
    pub(super) async fn stop(self) -> Result<(), Error> {
        self.running.stop().await.map_err(|error| Error::Internal(chain(&error)))
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
