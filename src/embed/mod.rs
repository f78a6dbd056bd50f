//! What turns text into vectors, as a port: a model in the process, one on a server, or one for
//! tests.
//! In: texts. Out: one vector of length 1 for each, in their order, or why there is none.
//! Invariant: the same text has the same vector every time, whoever asks and however many do; of a
//! model that takes texts together, but for rounding.

pub mod builtin;
pub mod cache;
#[cfg(feature = "fastembed")]
pub mod fastembed;
mod hashed;
pub mod http;
mod kept;
mod scripted;
mod spent;
pub mod table;
mod threads;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

pub use hashed::Hashed;
pub use kept::Kept;
pub use scripted::Scripted;
pub use spent::metered;
pub use threads::{BACKGROUND_MAX, QUERIES_MAX};

#[cfg(test)]
mod tests;

/// Whether somebody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// A question: a caller waits for the answer.
    Query,
    /// Turns: nobody waits.
    Background,
}

/// Why texts have no vectors.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EmbedError {
    /// Too many texts wait already.
    #[error("too many texts wait to be embedded")]
    Busy,
    /// The model failed on one of the texts; it may succeed on others.
    #[error("a text cannot be embedded: {why}")]
    Failed {
        /// What the model said, without the text.
        why: String,
    },
    /// It embeds no text now; it may later.
    #[error("no text is embedded now: {why}")]
    Unavailable {
        /// What is known, without any text.
        why: String,
    },
    /// The embedder has ended.
    #[error("the embedder has ended")]
    Stopped,
    /// The model cannot be loaded.
    #[error("cannot load the model: {why}")]
    Model {
        /// What is wrong with it.
        why: String,
    },
    /// The folder of kept vectors cannot be used.
    #[error("cannot use `{}`", path.display())]
    Kept {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: Arc<std::io::Error>,
    },
}

/// A model that turns text into vectors. Each passes `tests/it/embed_contract.rs`.
#[async_trait]
pub trait Embedder: Send + Sync + 'static {
    /// Names model, weights and settings: vectors of two keys are not comparable. ASCII, 1 to 64
    /// bytes.
    fn key(&self) -> &str;

    /// How many numbers a vector has.
    fn dimensions(&self) -> usize;

    /// Whether it understands a language, by its ISO 639-1 code (`en`).
    fn covers(&self, language: &str) -> bool;

    /// Whether a text has another vector as a question ([`Urgency::Query`]) than as what is
    /// searched.
    fn tells_questions_apart(&self) -> bool {
        false
    }

    /// Gives one vector of length 1 a text, in their order. A text without anything to embed, the
    /// empty one included, has a vector of length 1 too. A long text counts up to a limit of the
    /// model. A future that is dropped stops the work that has not begun.
    ///
    /// # Errors
    /// [`EmbedError`]: all texts or none.
    async fn embed(
        &self,
        urgency: Urgency,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// A vector of length 1, unless one of its numbers is none.
fn refuse_strange(vector: Vec<f32>) -> Result<Vec<f32>, EmbedError> {
    match vector.iter().all(|x| x.is_finite()) {
        true => Ok(unit(vector)),
        false => Err(EmbedError::Failed { why: "the model gave what is no number".to_owned() }),
    }
}

/// Brings a vector to length 1. One without direction, or with a number that is none, becomes the
/// first unit vector.
fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if length.is_finite() && length > 1e-12 {
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    } else {
        vector.fill(0.0);
        vector[0] = 1.0;
    }
    vector
}
