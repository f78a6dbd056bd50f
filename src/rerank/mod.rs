//! What reads a question and a text together and says how well the one answers the other, as a
//! port: a model in the process, or one for tests.
//! In: a question, and texts. Out: a score for each, in their order, as far as they could be had.
//! Invariant: the same question and text have the same score, whatever they are asked with.

#[cfg(feature = "fastembed")]
pub mod fastembed;
mod scripted;

use async_trait::async_trait;

pub use scripted::Scripted;

/// How many texts wait at the most: some questions' worth, a few megabytes.
pub const WAITING_MAX: usize = 512;

/// Why texts have no scores.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RerankError {
    /// Too many texts wait already.
    #[error("too many texts wait to be read by the reranker")]
    Busy,
    /// The model failed on a text.
    #[error("a text cannot be read by the reranker: {why}")]
    Failed {
        /// What the model said, without the text.
        why: String,
    },
    /// The model cannot be loaded.
    #[error("cannot load the reranker: {why}")]
    Model {
        /// What is wrong with it.
        why: String,
    },
}

/// A model that scores texts for a question. Each passes `tests/it/rerank_contract.rs`.
#[async_trait]
pub trait Reranker: Send + Sync + 'static {
    /// Names model, weights and settings: scores of two keys are not comparable. ASCII, 1 to 64
    /// bytes.
    fn key(&self) -> &str;

    /// Adds a score for each text to `scores`, in their order, as soon as it is there. Higher is
    /// better; scores are finite, and comparable for one question only. A long text counts up to a
    /// limit of the model. A future that is dropped stops what has not begun, and what was added
    /// holds.
    ///
    /// # Errors
    /// [`RerankError`]: the texts after those whose scores were added have none.
    async fn score(
        &self,
        question: &str,
        texts: &[String],
        scores: &mut Vec<f32>,
    ) -> Result<(), RerankError>;
}
