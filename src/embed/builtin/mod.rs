//! all-MiniLM-L6-v2 in the process: the model file lies in the program.
//!
//! Paper: Wang et al., "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of
//! Pre-Trained Transformers", 2020; sentence-transformers/all-MiniLM-L6-v2, Apache-2.0.

mod model;
mod wordpiece;

use std::sync::Arc;

use async_trait::async_trait;

use crate::embed::{
    EmbedError, Embedder, Urgency, refuse_strange,
    threads::{Batch, Threads},
};

use model::Model;
pub use wordpiece::{TOKENS_MAX, WordPiece};

const MODEL: &[u8] = include_bytes!("../../../models/minilm/model.onnx");
/// The vocabulary, one token a line.
pub(super) const VOCABULARY: &str = include_str!("../../../models/minilm/vocab.txt");

/// How many numbers a vector has.
const DIMENSIONS: usize = 384;

/// The built-in embedder. It has threads of its own for turns, and one for questions, so that no
/// question waits behind turns; they end with it.
pub struct MiniLm {
    key: String,
    threads: Threads,
}

impl MiniLm {
    /// Loads the model and starts `threads` threads for turns (at least one) and one for questions.
    /// It takes some 100 ms.
    ///
    /// # Errors
    /// [`EmbedError::Model`].
    pub fn start(threads: usize) -> Result<Self, EmbedError> {
        let model = Model::load(MODEL)?;
        let words = Arc::new(WordPiece::new(VOCABULARY));
        let threads = Threads::start(threads.max(1), Batch::ONE, |_| {
            let (model, words) = (model.copy(), words.clone());
            let embed = move |text: &String| model.mean(&words.ids(text)).and_then(refuse_strange);
            move |texts: &[String]| texts.iter().map(&embed).collect()
        })?;
        Ok(Self { key: key(), threads })
    }
}

/// Names the bytes of model and vocabulary, and how many tokens of a text count.
fn key() -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(MODEL).update(VOCABULARY.as_bytes());
    format!("minilm-l6-v2-{TOKENS_MAX}-{}", &hasher.finalize().to_hex()[..16])
}

#[async_trait]
impl Embedder for MiniLm {
    fn key(&self) -> &str {
        &self.key
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    /// The model was trained on English.
    fn covers(&self, language: &str) -> bool {
        language == "en"
    }

    async fn embed(
        &self,
        urgency: Urgency,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.threads.embed(urgency, texts).await
    }
}
