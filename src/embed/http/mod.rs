//! A model on a server that speaks the `/v1/embeddings` of OpenAI.
//!
//! Texts of all callers wait in one queue and go in requests of many; questions go first and have
//! a place of their own. What fails is tried again while somebody waits for it; a server that does
//! not answer, or asks to be left alone, is. No text, and no word of the server, is in an error.

mod connection;
mod queue;
mod wire;
mod worker;

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::breaker::Breaker;
use crate::embed::{EmbedError, Embedder, Urgency, spent::spend, unit};
use crate::telemetry::EmbedderMeter;

use connection::Connection;
use queue::Queue;
pub use queue::{BACKGROUND_MAX, QUERIES_MAX};
use worker::{Shared, run};

/// The longest key.
const KEY_BYTES_MAX: usize = 64;

/// Where a model is, and how it is asked.
#[derive(Clone)]
pub struct HttpOptions {
    /// What `/embeddings` is appended to, for example `https://api.openai.com/v1`.
    pub url: String,
    /// What the server asks for, if anything.
    pub api_key: Option<String>,
    /// The model, as the server calls it.
    pub model: String,
    /// How many numbers a vector must have; 0: what the first one has, for [`probe`] only.
    pub dimensions: usize,
    /// Whether the server is told how many.
    pub send_dimensions: bool,
    /// The most texts of a request, at least 1.
    pub batch_texts: usize,
    /// How many characters of a text count, at least 1.
    pub text_chars: usize,
    /// How long a request may take.
    pub timeout: Duration,
    /// How many requests are under way at a time, at least 1; questions have one more.
    pub requests: usize,
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the key.
        let Self { url, model, dimensions, .. } = self;
        write!(f, "HttpOptions {{ {model} at {url}, {dimensions} numbers }}")
    }
}

/// Sends what waits until the embedder is dropped.
pub type Worker = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An embedder on a server.
pub struct Http {
    key: String,
    dimensions: usize,
    text_chars: usize,
    shared: Arc<Shared>,
    /// Tells the workers that there is more; its end is theirs.
    more: watch::Sender<()>,
}

impl Http {
    /// The embedder, and the workers that send what waits for it: run all of them. Nothing is sent
    /// yet, and the server may be gone. `named` is the model in metrics.
    ///
    /// # Errors
    /// [`EmbedError::Model`] for options that cannot be.
    pub fn new(options: &HttpOptions, named: &str) -> Result<(Self, Vec<Worker>), EmbedError> {
        if options.dimensions == 0 {
            let why = "nobody knows how many numbers its vectors have".to_owned();
            return Err(EmbedError::Model { why });
        }
        let shared = Arc::new(Shared {
            connection: Connection::new(options)?,
            queue: Queue::default(),
            meter: EmbedderMeter::new(named),
            batch_texts: options.batch_texts,
            timeout: options.timeout,
            breaker: Mutex::new(Breaker::new()),
            hold: Mutex::new(None),
        });
        let (more, seen) = watch::channel(());
        let worker =
            |only_queries| -> Worker { Box::pin(run(shared.clone(), seen.clone(), only_queries)) };
        let others = (0..options.requests).map(|_| worker(false));
        let workers = [worker(true)].into_iter().chain(others).collect();
        let http = Self {
            key: key(options),
            dimensions: options.dimensions,
            text_chars: options.text_chars,
            shared,
            more,
        };
        Ok((http, workers))
    }

    /// Waits for the vectors of texts that have something to embed.
    async fn vectors(
        &self,
        urgency: Urgency,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        // As many as the queue takes beside those of others: a call may bring more.
        let most = match urgency {
            Urgency::Query => QUERIES_MAX / 4,
            Urgency::Background => BACKGROUND_MAX / 4,
        };
        let mut vectors = Vec::with_capacity(texts.len());
        let mut texts = texts.into_iter();
        loop {
            let part: Vec<String> = texts.by_ref().take(most).collect();
            if part.is_empty() {
                return Ok(vectors);
            }
            let answers = self.shared.queue.push(urgency, part)?;
            self.more.send_replace(());
            for answer in answers {
                let (vector, tokens) = answer.await.map_err(|_| EmbedError::Stopped)??;
                spend(tokens);
                vectors.push(vector);
            }
        }
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.shared.queue.clear();
    }
}

/// Names host, model and length of vectors, and how much of a text counts: as they are where that
/// fits, else by a hash. A server that moves to another port keeps its vectors.
fn key(options: &HttpOptions) -> String {
    let uri = options.url.parse::<::http::Uri>().ok();
    let host = uri.as_ref().and_then(|uri| uri.host()).unwrap_or_default();
    let HttpOptions { model, dimensions, text_chars, .. } = options;
    let whole = format!("http-{host}-{model}-{dimensions}-{text_chars}");
    match whole.len() <= KEY_BYTES_MAX && whole.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => whole,
        false => format!("http-{}", &blake3::hash(whole.as_bytes()).to_hex()[..32]),
    }
}

/// The first characters of a text.
fn cut(mut text: String, chars: usize) -> String {
    if let Some((at, _)) = text.char_indices().nth(chars) {
        text.truncate(at);
    }
    text
}

/// What one request to a server found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probed {
    /// How many numbers its vectors have.
    pub dimensions: usize,
    /// What it counted for one word.
    pub tokens: u64,
}

/// Asks a server for one vector, within the time that a request may take.
///
/// # Errors
/// [`EmbedError::Unavailable`] when it does not answer; [`EmbedError::Model`] for options that
/// cannot be, and when its answer is no, or none.
pub async fn probe(options: &HttpOptions) -> Result<Probed, EmbedError> {
    let connection = Connection::new(options)?;
    let asked = connection.ask(&["hello".to_owned()], options.timeout).await;
    let answer = asked.map_err(|refused| match refused.is_passing() {
        true => EmbedError::Unavailable { why: refused.why },
        false => EmbedError::Model { why: refused.why },
    })?;
    let dimensions = answer.vectors.first().map_or(0, Vec::len);
    Ok(Probed { dimensions, tokens: answer.tokens })
}

#[async_trait]
impl Embedder for Http {
    fn key(&self) -> &str {
        &self.key
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Nobody but the user knows what a model was trained on: it is taken to know every language.
    fn covers(&self, _: &str) -> bool {
        true
    }

    async fn embed(
        &self,
        urgency: Urgency,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let is_blank: Vec<bool> = texts.iter().map(|text| text.trim().is_empty()).collect();
        let sent = texts.into_iter().filter(|text| !text.trim().is_empty());
        let sent = sent.map(|text| cut(text, self.text_chars)).collect();
        let mut made = self.vectors(urgency, sent).await?.into_iter();
        let vectors = is_blank.into_iter().map(|is_blank| match is_blank {
            true => unit(vec![0.0; self.dimensions]),
            false => made.next().expect("each text that was sent has a vector"),
        });
        Ok(vectors.collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{HttpOptions, cut, key};

    fn options(url: &str, model: &str) -> HttpOptions {
        HttpOptions {
            url: url.to_owned(),
            api_key: Some("hush".to_owned()),
            model: model.to_owned(),
            dimensions: 8,
            send_dimensions: false,
            batch_texts: 4,
            text_chars: 100,
            timeout: Duration::from_secs(1),
            requests: 1,
        }
    }

    #[test]
    fn the_key_names_host_and_model_and_is_short_ascii() {
        let of = |url, model| key(&options(url, model));
        assert_eq!(of("http://h.org:1/v1", "small"), "http-h.org-small-8-100");
        assert_eq!(of("http://h.org:1/v1", "small"), of("https://h.org/v2", "small"));
        let (long, odd) = (of("http://h.org", &"x".repeat(99)), of("http://h.org", "größe"));
        for key in [&long, &odd] {
            assert!(key.is_ascii() && key.len() == 37, "{key}");
        }
        assert_ne!(long, odd);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("naïve".to_owned(), 3), "naï");
        assert_eq!(cut("naïve".to_owned(), 5), "naïve");
    }

    #[test]
    fn options_do_not_show_the_key() {
        let shown = format!("{:?}", options("http://h.org", "small"));
        assert!(!shown.contains("hush") && shown.contains("small"), "{shown}");
    }
}
