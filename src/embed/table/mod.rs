//! A table of vectors, one for each token, distilled from all-MiniLM-L6-v2: a text is the sum of
//! its tokens. It is made by `models/static/make.py`, lies in the program, and needs no model.
//!
//! Paper: Arora et al., "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", 2017;
//! Tulkens and van Dongen, "Model2Vec", 2024.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;

use crate::embed::{
    EmbedError, Embedder, Urgency,
    builtin::{VOCABULARY, WordPiece},
    threads::{Batch, Threads},
    unit,
};

const TABLE: &[u8] = include_bytes!("../../../models/static/table.bin");

/// How many numbers a vector has. The first is 0 for each token: what is left for a text that says
/// nothing, which is like no other then.
const DIMENSIONS: usize = 256;
/// How many tokens of a text count, its marks included: some pages.
const TOKENS_MAX: usize = 512;
/// A question of more bytes goes to the threads: cutting it takes too long for the caller's own.
const QUESTION_BYTES_MAX: usize = 4_096;

/// The rows as they lie in the file: integers, and what to multiply each row with.
struct Table {
    words: WordPiece,
    rows: &'static [[u8; DIMENSIONS]],
    scales: &'static [[u8; 4]],
}

impl Table {
    /// Takes the file apart: for each token its numbers, then for each token its scale.
    ///
    /// # Panics
    /// When the file does not fit the vocabulary: both are part of the program.
    fn new() -> Self {
        let tokens = VOCABULARY.lines().count();
        let (rows, scales) = TABLE.split_at(tokens * DIMENSIONS);
        assert_eq!(scales.len(), tokens * 4, "the table is one of the vocabulary");
        let rows = rows.as_chunks::<DIMENSIONS>().0;
        Self { words: WordPiece::new(VOCABULARY), rows, scales: scales.as_chunks::<4>().0 }
    }

    /// The vector of a text, of length 1.
    fn vector(&self, text: &str) -> Vec<f32> {
        let mut sum = vec![0.0; DIMENSIONS];
        for id in self.words.ids_within(text, TOKENS_MAX) {
            let at = usize::try_from(id).expect("ids are places in the vocabulary");
            let scale = f32::from_le_bytes(self.scales[at]);
            for (sum, number) in sum.iter_mut().zip(&self.rows[at]) {
                *sum += scale * f32::from(number.cast_signed());
            }
        }
        unit(sum)
    }
}

/// Names the bytes of table and vocabulary, and how many tokens of a text count.
static KEY: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = blake3::Hasher::new();
    hasher.update(TABLE).update(VOCABULARY.as_bytes());
    format!("static-minilm-{TOKENS_MAX}-{}", &hasher.finalize().to_hex()[..16])
});

/// The static embedder. A question is embedded where it is asked; turns on threads of their own,
/// which end with it.
pub struct StaticTable {
    table: Arc<Table>,
    threads: Threads,
}

impl StaticTable {
    /// Starts `threads` threads for turns (at least one) and one for long questions.
    ///
    /// # Errors
    /// [`EmbedError::Model`]: a thread cannot be started.
    pub fn start(threads: usize) -> Result<Self, EmbedError> {
        let table = Arc::new(Table::new());
        let threads = Threads::start(threads.max(1), Batch::ONE, |_| {
            let table = table.clone();
            move |texts: &[String]| Ok(texts.iter().map(|text| table.vector(text)).collect())
        })?;
        Ok(Self { table, threads })
    }
}

#[async_trait]
impl Embedder for StaticTable {
    fn key(&self) -> &str {
        &KEY
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    /// The model that it was distilled from was trained on English.
    fn covers(&self, language: &str) -> bool {
        language == "en"
    }

    async fn embed(
        &self,
        urgency: Urgency,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        match (urgency, texts.as_slice()) {
            (Urgency::Query, [text]) if text.len() <= QUESTION_BYTES_MAX => {
                Ok(vec![self.table.vector(text)])
            }
            _ => self.threads.embed(urgency, texts).await,
        }
    }
}
