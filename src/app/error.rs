//! Why a server could not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use metrics_exporter_prometheus::BuildError;

use crate::config::Settings;
use crate::documents::IndexError;
use crate::embed::EmbedError;
use crate::error::Failure;
use crate::rerank::RerankError;
use crate::storage::{StoreError, disk::OpenError};
use crate::telemetry::ExportError;

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
    /// The reranker cannot be had.
    #[error("cannot start the reranker")]
    Reranker(#[source] RerankError),
    /// The index of documents cannot be opened.
    #[error("cannot open the index of documents")]
    Index(#[source] IndexError),
    /// Metrics cannot be served.
    #[error("cannot serve metrics")]
    Metrics(#[source] BuildError),
    /// Spans cannot be sent.
    #[error("cannot export traces")]
    Traces(#[source] ExportError),
    /// The rows of a store could not be looked at.
    #[error("cannot look at the data")]
    Examine(#[source] StoreError),
    /// What a start writes could not be written.
    #[error("cannot prepare the data")]
    Prepare(#[source] Failure),
}

pub(super) fn folder_error(settings: &Settings, source: io::Error) -> StartError {
    StartError::Folder { folder: settings.data.clone(), source }
}
