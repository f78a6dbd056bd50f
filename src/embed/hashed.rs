//! An embedder that knows words only: for tests and benchmarks that want a fast one that always
//! says the same.

use async_trait::async_trait;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::embed::{EmbedError, Embedder, Urgency, unit};

/// Texts that share words are near each other; other texts are not.
#[derive(Debug, Clone, Copy)]
pub struct Hashed {
    key: &'static str,
    dimensions: usize,
}

impl Default for Hashed {
    fn default() -> Self {
        Self::new()
    }
}

impl Hashed {
    /// The embedder with short vectors, of 64 numbers.
    pub fn new() -> Self {
        Self { key: "hashed-words-64", dimensions: 64 }
    }

    /// The embedder with vectors as long as those of the built-in model, of 384 numbers: they take
    /// as much room and are compared in as much time.
    pub fn long() -> Self {
        Self { key: "hashed-words-384", dimensions: 384 }
    }

    /// The vector of a text: each word adds 1 or takes 1 at two places that its hash says.
    pub fn vector(self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; self.dimensions];
        for word in text.unicode_words() {
            let hash = blake3::hash(word.to_lowercase().as_bytes());
            let bytes = hash.as_bytes();
            for half in [&bytes[..2], &bytes[2..4]] {
                let sign = if half[1] & 1 == 0 { 1.0 } else { -1.0 };
                let place = usize::from(half[1] >> 1) << 8 | usize::from(half[0]);
                vector[place % self.dimensions] += sign;
            }
        }
        unit(vector)
    }
}

#[async_trait]
impl Embedder for Hashed {
    fn key(&self) -> &str {
        self.key
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn covers(&self, _: &str) -> bool {
        true
    }

    async fn embed(&self, _: Urgency, texts: Vec<String>) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}
