//! An embedder that knows words only: for tests that want a fast one that always says the same.

use async_trait::async_trait;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::embed::{EmbedError, Embedder, Urgency, unit};

/// How many numbers a vector has.
const DIMENSIONS: usize = 64;

/// Texts that share words are near each other; other texts are not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hashed;

impl Hashed {
    /// The embedder; it holds nothing.
    pub fn new() -> Self {
        Self
    }

    /// The vector of a text: each word adds 1 or takes 1 at two places that its hash says.
    pub fn vector(text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; DIMENSIONS];
        for word in text.unicode_words() {
            let hash = blake3::hash(word.to_lowercase().as_bytes());
            let bytes = hash.as_bytes();
            for half in [&bytes[..2], &bytes[2..4]] {
                let sign = if half[1] & 1 == 0 { 1.0 } else { -1.0 };
                vector[usize::from(half[0]) % DIMENSIONS] += sign;
            }
        }
        unit(vector)
    }
}

#[async_trait]
impl Embedder for Hashed {
    fn key(&self) -> &str {
        "hashed-words-64"
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn covers(&self, _: &str) -> bool {
        true
    }

    async fn embed(&self, _: Urgency, texts: Vec<String>) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts.iter().map(|text| Self::vector(text)).collect())
    }
}
