//! What embeds turns, chunks and questions, and what it needs.

mod fastembed;
mod http;

use std::path::PathBuf;

use crate::config::{Reader, number};
pub use fastembed::{FastEmbedSettings, PoolingSetting};
pub use http::HttpSettings;

/// The most threads that embed: each holds some megabytes, and more than cores gain nothing.
const THREADS_MAX: usize = 64;

/// What stands before the name of a model of fastembed's.
const FASTEMBED: &str = "fastembed:";

/// What embeds turns and questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbeddingModel {
    /// all-MiniLM-L6-v2 in the process.
    MiniLm,
    /// A table distilled from it: microseconds a text, and less found.
    Static,
    /// A model of fastembed's zoo by its name or its repository, or one in a folder.
    FastEmbed(String),
    /// Words by their hashes, as long as vectors of MiniLM and made in no time: for benchmarks. No
    /// list of settings names it, since what it finds is of no use.
    Hashed,
    /// A model on a server, by what the server calls it.
    Http(String),
    /// Nothing: retrieval goes by words alone.
    None,
}

impl EmbeddingModel {
    /// Its name in settings, logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MiniLm => "minilm",
            Self::Static => "static",
            Self::FastEmbed(_) => "fastembed",
            Self::Hashed => "hashed",
            Self::Http(_) => "http",
            Self::None => "none",
        }
    }
}

/// How turns and questions are embedded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedding {
    /// What embeds.
    pub model: EmbeddingModel,
    /// What is to embed after it, and is prepared meanwhile; `None`: nothing else.
    pub next: Option<EmbeddingModel>,
    /// How many threads embed turns; 0: one for every two cores.
    pub threads: usize,
    /// What a model of fastembed's needs.
    pub fastembed: FastEmbedSettings,
    /// The server, where the model is on one.
    pub http: HttpSettings,
    /// How much memory vectors that were made may take, in bytes.
    pub cache_memory_bytes: u64,
    /// How much of the disk they may take, in bytes, where a server makes them; 0: none.
    pub cache_disk_bytes: u64,
    /// Where vectors are kept by the hash of their texts; `None`: nowhere. No key sets it: it is
    /// for evaluations, and what is kept outlives what was erased.
    pub kept_in: Option<PathBuf>,
}

impl Embedding {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let model = read.value("embedding.model", model).unwrap_or(EmbeddingModel::MiniLm);
        let next = read.value("embedding.next", next).flatten();
        let asks = [Some(&model), next.as_ref()].into_iter().flatten();
        let asks = asks.into_iter().any(|model| matches!(model, EmbeddingModel::Http(_)));
        let http = HttpSettings::read(read, asks);
        Self {
            model,
            next,
            http,
            cache_memory_bytes: read
                .value("embedding.cache.memory_bytes", number)
                .unwrap_or_default(),
            cache_disk_bytes: read.value("embedding.cache.disk_bytes", number).unwrap_or_default(),
            threads: read.value("embedding.threads", threads).unwrap_or_default(),
            fastembed: FastEmbedSettings::read(read),
            kept_in: None,
        }
    }
}

fn model(text: &str) -> Result<EmbeddingModel, String> {
    if let Some(name) = text.strip_prefix(FASTEMBED).filter(|name| !name.is_empty()) {
        return Ok(EmbeddingModel::FastEmbed(name.to_owned()));
    }
    match text {
        "minilm" => Ok(EmbeddingModel::MiniLm),
        "static" => Ok(EmbeddingModel::Static),
        "none" => Ok(EmbeddingModel::None),
        "hashed" => Ok(EmbeddingModel::Hashed),
        _ => match text.strip_prefix("http:").filter(|name| http::is_name(name)) {
            Some(name) => Ok(EmbeddingModel::Http(name.to_owned())),
            None => {
                Err("must be `minilm`, `static`, `fastembed:NAME`, `http:MODEL` or `none`".into())
            }
        },
    }
}

/// The model to come; empty: there is none.
fn next(text: &str) -> Result<Option<EmbeddingModel>, String> {
    match text {
        "" => Ok(None),
        "none" => Err("must name a model, or be empty".into()),
        _ => model(text).map(Some),
    }
}

fn threads(text: &str) -> Result<usize, String> {
    let threads = text.parse().ok().filter(|threads| *threads <= THREADS_MAX);
    threads.ok_or_else(|| format!("must be 0 to {THREADS_MAX}"))
}
