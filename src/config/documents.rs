//! Which engine finds documents, and the server that one of them needs.

use std::fmt;
use std::time::Duration;

use crate::config::{Reader, boolean};

/// The longest that a question to the server may take: callers give up before.
const SEARCH_MS_MAX: u64 = 60_000;
/// The most shards, and the most nodes that have each: clusters are smaller.
const SHARDS_MAX: u32 = 1_024;
const REPLICAS_MAX: u32 = 16;

/// Which engine finds documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentEngine {
    /// In the process, the default.
    Embedded,
    /// A Qdrant server.
    Qdrant,
}

/// A text that no log and no print shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text, for the one who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The settings `documents.qdrant.…`; what they do stands in the table of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QdrantSettings {
    /// Where it speaks gRPC.
    pub url: String,
    /// What it asks for, if anything.
    pub api_key: Option<Secret>,
    /// How long a question may take.
    pub search_max: Duration,
    /// What its collections are called.
    pub prefix: String,
    /// How many shards, of each tenant where tenants have their own.
    pub shards: u32,
    /// How many nodes have each shard.
    pub replicas: u32,
    /// Whether each tenant has shards of its own.
    pub shard_per_tenant: bool,
    /// Whether vectors are kept in memory as integers of one byte.
    pub quantise: bool,
    /// Whether what is large stays on disk.
    pub on_disk: bool,
}

/// The settings `documents.…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// Which engine finds them.
    pub engine: DocumentEngine,
    /// The server, where the engine is one.
    pub qdrant: QdrantSettings,
}

impl Documents {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let engine = read.value("documents.engine", engine).unwrap_or(DocumentEngine::Embedded);
        let search_ms = read.value("documents.qdrant.search_ms", search_ms).unwrap_or(1);
        let qdrant = QdrantSettings {
            url: read.value("documents.qdrant.url", url).unwrap_or_default(),
            api_key: read.value("documents.qdrant.api_key", secret),
            search_max: Duration::from_millis(search_ms),
            prefix: read.value("documents.qdrant.prefix", prefix).unwrap_or_default(),
            shards: read.value("documents.qdrant.shards", shards).unwrap_or(1),
            replicas: read.value("documents.qdrant.replicas", replicas).unwrap_or(1),
            shard_per_tenant: read
                .value("documents.qdrant.shard_per_tenant", boolean)
                .unwrap_or_default(),
            quantise: read.value("documents.qdrant.quantise", boolean).unwrap_or_default(),
            on_disk: read.value("documents.qdrant.on_disk", boolean).unwrap_or_default(),
        };
        Self { engine, qdrant }
    }
}

fn engine(text: &str) -> Result<DocumentEngine, String> {
    match text {
        "embedded" => Ok(DocumentEngine::Embedded),
        "qdrant" => Ok(DocumentEngine::Qdrant),
        _ => Err("must be `embedded` or `qdrant`".into()),
    }
}

fn url(text: &str) -> Result<String, String> {
    let uri = text.parse::<http::Uri>().ok();
    let known = uri.filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some()
            && uri.path() == "/"
            && uri.query().is_none()
    });
    match known {
        Some(_) => Ok(text.to_owned()),
        None => Err("must be http://HOST:PORT or https://HOST:PORT".into()),
    }
}

pub(super) fn secret(text: &str) -> Result<Secret, String> {
    let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(Secret(text.to_owned())) } else { Err("must be ASCII without spaces".into()) }
}

fn prefix(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("must be 1 to 64 characters of A-Z a-z 0-9 - _".into()),
    }
}

fn search_ms(text: &str) -> Result<u64, String> {
    within(text, 1, SEARCH_MS_MAX)
}

fn shards(text: &str) -> Result<u32, String> {
    within(text, 1, SHARDS_MAX)
}

fn replicas(text: &str) -> Result<u32, String> {
    within(text, 1, REPLICAS_MAX)
}

pub(super) fn within<T: std::str::FromStr + PartialOrd + fmt::Display>(
    text: &str,
    least: T,
    most: T,
) -> Result<T, String> {
    let number = text.parse::<T>().ok().filter(|number| *number >= least && *number <= most);
    number.ok_or_else(|| format!("must be {least} to {most}"))
}
