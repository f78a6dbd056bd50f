//! Counts tokens for models, and knows what a provider adds around contents. Pure.
//! In: a text, or the name of a model with the tenant's policy. Out: a count; a model's tokenizer,
//! its framing and its smallest prefix worth caching.
//! Invariant: a count marked `Exact` is what the provider's published tokenizer gives; every other
//! count is a stated upper bound and says `Estimated`. Counting never fails and never panics.

mod bound;
mod encoding;
mod families;
mod framing;
mod growth;
mod json;
mod models;
mod tokenizer;

pub use framing::Framing;
pub use json::{JSON_BYTES_MAX, TokenizerError};
pub use models::{Model, ModelError, Models};
pub use tokenizer::{Exactness, Tokenizer};

#[cfg(test)]
mod tests;
