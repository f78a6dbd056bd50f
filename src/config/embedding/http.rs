//! The server that embeds, and how it is asked.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{
    Mistake, Reader, Secret, boolean,
    documents::{secret, within},
    path,
};

/// The longest name of a model.
const NAME_BYTES_MAX: usize = 128;
/// The longest vector: known models have 4,096 numbers at the most.
const DIMENSIONS_MAX: usize = 16_384;
/// The most characters of a text: no known model reads more.
const TEXT_CHARS_MAX: usize = 100_000;
/// The most texts of a request: what OpenAI takes.
const BATCH_TEXTS_MAX: usize = 2_048;
/// The longest that a request may take.
const TIMEOUT_MS_MAX: u64 = 600_000;
/// The most requests at a time.
const CONCURRENCY_MAX: usize = 64;

/// The settings `embedding.http.…`; what they do stands in the table of settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpSettings {
    /// What `/embeddings` is appended to.
    pub url: String,
    /// What it asks for, if anything.
    pub api_key: Option<Secret>,
    /// The file that holds what it asks for.
    pub api_key_file: Option<PathBuf>,
    /// How many numbers its vectors have; 0: it is asked.
    pub dimensions: usize,
    /// Whether it is told.
    pub send_dimensions: bool,
    /// How many characters of a text are sent.
    pub text_chars: usize,
    /// How many texts are in a request.
    pub batch_texts: usize,
    /// How long a request may take.
    pub timeout: Duration,
    /// How many requests are under way.
    pub concurrency: usize,
}

impl HttpSettings {
    /// Reads them; `is_used`: what is needed must be there.
    pub(super) fn read(read: &mut Reader<'_>, is_used: bool) -> Self {
        let found = Self {
            url: read.value("embedding.http.url", url).unwrap_or_default(),
            api_key: read.value("embedding.http.api_key", secret),
            api_key_file: read.value("embedding.http.api_key_file", path),
            dimensions: read.value("embedding.http.dimensions", dimensions).unwrap_or_default(),
            send_dimensions: read
                .value("embedding.http.send_dimensions", boolean)
                .unwrap_or_default(),
            text_chars: read.value("embedding.http.text_chars", text_chars).unwrap_or(1),
            batch_texts: read.value("embedding.http.batch_texts", batch_texts).unwrap_or(1),
            timeout: read.value("embedding.http.timeout_ms", timeout).unwrap_or_default(),
            concurrency: read.value("embedding.http.concurrency", concurrency).unwrap_or(1),
        };
        let mut wrong = |key: &str, what: &str| {
            let origin = read.layers.origin(key);
            read.mistakes.push(Mistake::new(key, origin, what));
        };
        if is_used && read.layers.get("embedding.http.url").is_none() {
            wrong("embedding.http.url", "must be given: the model is on a server");
        }
        if found.api_key.is_some() && found.api_key_file.is_some() {
            wrong(
                "embedding.http.api_key_file",
                "must not be given beside `embedding.http.api_key`",
            );
        }
        if found.send_dimensions && found.dimensions == 0 {
            wrong("embedding.http.dimensions", "must be given: the server is to be told");
        }
        found
    }
}

/// Whether a model may be called so.
pub(super) fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn url(text: &str) -> Result<String, String> {
    let uri = text.parse::<http::Uri>().ok();
    let known = uri.filter(|uri| {
        let plain = uri.authority().is_some_and(|of| !of.as_str().contains('@'));
        matches!(uri.scheme_str(), Some("http" | "https")) && plain && uri.query().is_none()
    });
    match known.is_some() && !text.contains('#') {
        true => Ok(text.to_owned()),
        false => Err("must be http://HOST:PORT/PATH or https://HOST/PATH, without a key".into()),
    }
}

fn dimensions(text: &str) -> Result<usize, String> {
    within(text, 0, DIMENSIONS_MAX)
}

fn text_chars(text: &str) -> Result<usize, String> {
    within(text, 1, TEXT_CHARS_MAX)
}

fn batch_texts(text: &str) -> Result<usize, String> {
    within(text, 1, BATCH_TEXTS_MAX)
}

fn timeout(text: &str) -> Result<Duration, String> {
    within(text, 1, TIMEOUT_MS_MAX).map(Duration::from_millis)
}

fn concurrency(text: &str) -> Result<usize, String> {
    within(text, 1, CONCURRENCY_MAX)
}
