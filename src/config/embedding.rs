//! What embeds turns, chunks and questions, and what it needs.

use std::path::PathBuf;

use crate::config::Reader;

/// The most threads that embed: each holds some megabytes, and more than cores gain nothing.
const THREADS_MAX: usize = 64;

/// What embeds turns and questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbeddingModel {
    /// all-MiniLM-L6-v2 in the process.
    MiniLm,
    /// Words by their hashes, as long as vectors of MiniLM and made in no time: for benchmarks. No
    /// list of settings names it, since what it finds is of no use.
    Hashed,
    /// Nothing: retrieval goes by words alone.
    None,
}

impl EmbeddingModel {
    /// Its name in settings, logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MiniLm => "minilm",
            Self::Hashed => "hashed",
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
    /// Where vectors are kept by the hash of their texts; `None`: nowhere. No key sets it: it is
    /// for evaluations, and what is kept outlives what was erased.
    pub kept_in: Option<PathBuf>,
}

impl Embedding {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        Self {
            model: read.value("embedding.model", model).unwrap_or(EmbeddingModel::MiniLm),
            next: read.value("embedding.next", next).flatten(),
            threads: read.value("embedding.threads", threads).unwrap_or_default(),
            kept_in: None,
        }
    }
}

fn model(text: &str) -> Result<EmbeddingModel, String> {
    match text {
        "minilm" => Ok(EmbeddingModel::MiniLm),
        "none" => Ok(EmbeddingModel::None),
        "hashed" => Ok(EmbeddingModel::Hashed),
        _ => Err("must be `minilm` or `none`".into()),
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
