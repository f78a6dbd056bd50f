//! The server's settings: defaults < TOML file < environment < flags.
//! In: a file's text, environment variables, flags. Out: settings, or every mistake at once.
//! Invariant: a key that is not in the table is refused, with the nearest name.

mod documents;
mod embedding;
mod keys;
mod layers;
mod limits;
mod onnx;
mod retrieval;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::retrieve::Weights;

/// The longest time for files to hold something that was deleted: a year.
const ERASE_AFTER_HOURS_MAX: u32 = 366 * 24;

pub use documents::{DocumentEngine, Documents, QdrantSettings, Secret};
pub use embedding::{Embedding, EmbeddingModel, FastEmbedSettings, HttpSettings, PoolingSetting};
pub use keys::{KEYS, Key};
pub use layers::{Layers, Mistake, Origin};
pub use limits::Limits;
pub use onnx::OnnxSettings;
pub use retrieval::{RerankerModel, Retrieval};

/// Which engine keeps the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// On disk, the default.
    Fjall,
    /// On disk.
    Sled,
    /// In memory, gone with the process: for tests.
    Memory,
}

impl Engine {
    /// Its name in settings, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fjall => "fjall",
            Self::Sled => "sled",
            Self::Memory => "memory",
        }
    }
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where spans of calls are sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// The collector: `http://HOST:PORT`, OTLP over gRPC.
    pub endpoint: String,
    /// Which part of the traces that begin here is sent, 0 to 1.
    pub sample_ratio: f64,
}

/// The certificate and the key of the server, in PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// How a server runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The data folder.
    pub data: PathBuf,
    /// Where it listens; port 0: any free one.
    pub listen: SocketAddr,
    /// Whether it may listen on a public address without TLS.
    pub insecure_public: bool,
    /// TLS, if it is used.
    pub tls: Option<Tls>,
    /// The engine of the record.
    pub engine: Engine,
    /// Bytes of the disk to keep free: below, only what erases is written; 0: none.
    pub free_bytes_min: u64,
    /// By when files hold nothing of what was deleted, in hours after it; `None`: when it is asked.
    pub erase_after_hours: Option<u32>,
    /// How much memory copies of sessions may take, in bytes.
    pub partitions_bytes: u64,
    /// How turns and questions are embedded.
    pub embedding: Embedding,
    /// What retrieval has besides.
    pub retrieval: Retrieval,
    /// Where ONNX Runtime and its models are.
    pub onnx: OnnxSettings,
    /// What finds documents.
    pub documents: Documents,
    /// How many calls are taken at a time.
    pub limits: Limits,
    /// Whether a development key with all scopes is made at the first start.
    pub dev_key: bool,
    /// Where metrics are served; `None`: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Where spans are sent; `None`: nowhere.
    pub traces: Option<Traces>,
    /// The form of the log.
    pub log_format: LogFormat,
    /// What is logged, as `tracing` filters are written.
    pub log_filter: String,
    /// What signals count in retrieval. No key sets it: evaluations do.
    pub weights: Weights,
}

impl Settings {
    /// The settings that stand in the layers.
    ///
    /// # Errors
    /// Every mistake of every layer.
    pub fn resolve(layers: &Layers) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = layers.unknown();
        let mut read = Reader { layers, mistakes: &mut mistakes };
        let cert = read.value("tls.cert", path);
        let key = read.value("tls.key", path);
        let sample_ratio = read.value("tracing.sample_ratio", ratio).unwrap_or_default();
        let collector = read.value("tracing.otlp_endpoint", collector);
        let settings = Self {
            data: read.value("data", path).unwrap_or_default(),
            listen: read
                .value("listen", address)
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            insecure_public: read.value("insecure_public", boolean).unwrap_or_default(),
            tls: cert.clone().zip(key.clone()).map(|(cert, key)| Tls { cert, key }),
            engine: read.value("storage.engine", engine).unwrap_or(Engine::Fjall),
            free_bytes_min: read.value("storage.free_bytes_min", number).unwrap_or_default(),
            erase_after_hours: read.value("storage.erase_after_hours", hours).flatten(),
            partitions_bytes: read.value("cache.partitions_bytes", number).unwrap_or_default(),
            embedding: Embedding::read(&mut read),
            retrieval: Retrieval::read(&mut read),
            onnx: OnnxSettings::read(&mut read),
            documents: Documents::read(&mut read),
            limits: Limits::read(&mut read),
            dev_key: read.value("auth.dev_key", boolean).unwrap_or_default(),
            metrics_listen: read.value("metrics.listen", address),
            traces: collector.map(|endpoint| Traces { endpoint, sample_ratio }),
            log_format: read.value("log.format", log_format).unwrap_or(LogFormat::Text),
            log_filter: read.value("log.filter", log_filter).unwrap_or_default(),
            weights: Weights::DEFAULT,
        };
        if cert.is_some() != key.is_some() {
            let missing = if cert.is_some() { "tls.key" } else { "tls.cert" };
            mistakes.push(Mistake::new(
                missing,
                Origin::Default,
                "must be given: `tls.cert` and `tls.key` belong together",
            ));
        }
        let public = !settings.listen.ip().is_loopback();
        if public && settings.tls.is_none() && !settings.insecure_public {
            let text = "is public, and there is no TLS: set `tls.cert` and `tls.key`, or say \
                        `insecure_public` when something in front of it encrypts";
            mistakes.push(Mistake::new("listen", layers.origin("listen"), text));
        }
        if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) }
    }
}

struct Reader<'a> {
    layers: &'a Layers,
    mistakes: &'a mut Vec<Mistake>,
}

impl Reader<'_> {
    /// A value, if it is set and right; a wrong one is noted.
    fn value<T>(&mut self, key: &str, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        let (text, origin) = self.layers.get(key)?;
        parse(text).map_err(|why| self.mistakes.push(Mistake::new(key, origin, &why))).ok()
    }
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("must not be empty".into()) } else { Ok(PathBuf::from(text)) }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be ADDRESS:PORT".into())
}

fn boolean(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "must be `true` or `false`".into())
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "must be a whole number".into())
}

fn hours(text: &str) -> Result<Option<u32>, String> {
    let hours = text.parse().ok().filter(|hours| *hours <= ERASE_AFTER_HOURS_MAX);
    let hours = hours.ok_or_else(|| format!("must be 0 to {ERASE_AFTER_HOURS_MAX}"))?;
    Ok((hours > 0).then_some(hours))
}

fn log_filter(text: &str) -> Result<String, String> {
    let parsed = tracing_subscriber::EnvFilter::try_new(text);
    parsed.map(|_| text.to_owned()).map_err(|error| format!("is no filter: {error}"))
}

fn collector(text: &str) -> Result<String, String> {
    let uri = text.parse::<http::Uri>().ok();
    let plain = uri.filter(|uri| uri.scheme_str() == Some("http") && uri.path() == "/");
    let named = plain.is_some_and(|uri| uri.host().is_some() && uri.query().is_none());
    if named { Ok(text.to_owned()) } else { Err("must be http://HOST:PORT".into()) }
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "must be 0 to 1".into())
}

fn engine(text: &str) -> Result<Engine, String> {
    match text {
        "fjall" => Ok(Engine::Fjall),
        "sled" => Ok(Engine::Sled),
        "memory" => Ok(Engine::Memory),
        _ => Err("must be `fjall`, `sled` or `memory`".into()),
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be `text` or `json`".into()),
    }
}

/// Settings whose values are not shown.
const SECRETS: [&str; 2] = ["documents.qdrant.api_key", "embedding.http.api_key"];

/// The settings as a TOML file, each with where it came from. It holds no secrets.
pub fn print(layers: &Layers) -> String {
    let mut text = String::new();
    let mut table = "";
    for key in KEYS {
        let (section, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if section != table {
            let _ = write!(text, "\n[{section}]\n");
            table = section;
        }
        let _ = writeln!(text, "# {}", key.doc);
        match layers.get(key.path) {
            Some((_, origin)) if SECRETS.contains(&key.path) => {
                let _ = writeln!(text, "# {name} is set  # {origin}");
            }
            Some((value, origin)) => {
                let value = key.as_toml(value);
                let _ = writeln!(text, "{name} = {value}  # {origin}");
            }
            None => {
                let _ = writeln!(text, "# {name} =");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
