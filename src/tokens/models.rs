//! Models by name: the tenant's own, the built-in families, the tenant's fallback.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::tokens::{Exactness, Framing, Tokenizer, TokenizerError, families};
use crate::types::{ModelPolicy, Policy};

/// How many parsed tokenizer files are kept. One takes about ten times its file, 20 to 300 MB; a
/// tenant uses one or two.
const PARSED_MAX: usize = 16;

/// The smallest prefix worth caching for a model whose provider is not known: the smallest that
/// any provider of such models is known to ask for.
const CACHEABLE_TOKENS_MIN: u32 = 1_024;

/// A model as a context needs to know it. A clone is cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The name that the request used.
    pub name: String,
    /// What counts its tokens.
    pub tokenizer: Tokenizer,
    /// What its provider adds around contents.
    pub framing: Framing,
    /// The smallest prefix that its provider caches, in tokens as `tokenizer` counts them: where
    /// that count is an upper bound, the provider's number is raised by the bound's ratio.
    pub cacheable_prefix_tokens_min: u32,
}

impl Model {
    /// Whether the count of messages of plain text, with the framing of each, is a fact or a
    /// stated upper bound.
    pub fn exactness(&self) -> Exactness {
        self.tokenizer.exactness().and(self.framing.exactness)
    }

    fn new(name: &str, tokenizer: Tokenizer, framing: Framing, cacheable_tokens: u32) -> Self {
        let cacheable_prefix_tokens_min = tokenizer.scaled(cacheable_tokens);
        Self { name: name.to_owned(), tokenizer, framing, cacheable_prefix_tokens_min }
    }
}

/// Why no model could be made of a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// Neither the tenant's models nor the built-in families know the name, and the policy names
    /// no fallback.
    #[error("the model `{model}` is unknown and the policy names no tokenizer to fall back to")]
    Unknown {
        /// The name that the request used.
        model: String,
    },
    /// The policy names a built-in tokenizer that does not exist.
    #[error("the policy counts the model `{model}` by `{tokenizer}`, which is no tokenizer")]
    UnknownTokenizer {
        /// The name that the request used.
        model: String,
        /// The name that the policy gives for its tokenizer.
        tokenizer: String,
    },
    /// The tokenizer file of the tenant's model cannot be used.
    #[error("cannot count for the model `{model}`")]
    Tokenizer {
        /// The name that the request used.
        model: String,
        /// What is wrong with the file.
        source: TokenizerError,
    },
}

type Parsed = Arc<OnceLock<Result<Tokenizer, TokenizerError>>>;

/// Finds models, and keeps the tokenizer files that it has parsed, the latest used first. A file
/// is parsed once by whoever comes first; others that need it wait. A refusal is kept as well.
#[derive(Debug, Default)]
pub struct Models {
    parsed: Mutex<VecDeque<(blake3::Hash, Parsed)>>,
}

impl Models {
    /// Makes a registry that has parsed nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Finds the model called `name`: among the tenant's own, by the exact name; among the
    /// built-in families, by name or prefix, also with a provider before it (`openai/…`) or as a
    /// fine-tune (`ft:…`); else as a model that the policy's fallback counts for.
    ///
    /// A tenant's model that is counted by one of OpenAI's chat encodings gets OpenAI's framing:
    /// by naming it the tenant says that the model is OpenAI's. A fallback is always `Estimated`.
    /// For a tenant's tokenizer file the time is that of hashing it, some 0.2 ms a MB, and of
    /// parsing it once; whoever asks often keeps the model.
    ///
    /// # Errors
    /// [`ModelError::Unknown`] for a name that nothing covers, the empty one included; the others
    /// for a policy whose tokenizer does not exist or cannot be used.
    pub fn resolve(&self, policy: &Policy, name: &str) -> Result<Model, ModelError> {
        if let Some(own) = policy.models.iter().find(|own| own.name == name) {
            return self.own(own);
        }
        if let Some(family) = families::find(name) {
            let tokenizer = builtin(name, family.tokenizer)?;
            return Ok(Model::new(name, tokenizer, family.framing, family.cacheable_tokens_min));
        }
        if policy.tokenizer_fallback.is_empty() || name.is_empty() {
            return Err(ModelError::Unknown { model: name.to_owned() });
        }
        let tokenizer = builtin(name, &policy.tokenizer_fallback)?;
        Ok(Model::new(name, tokenizer, Framing::ASSUMED, CACHEABLE_TOKENS_MIN))
    }

    fn own(&self, own: &ModelPolicy) -> Result<Model, ModelError> {
        if !own.tokenizer_json.is_empty() {
            let tokenizer = self
                .parse(&own.tokenizer_json)
                .map_err(|source| ModelError::Tokenizer { model: own.name.clone(), source })?;
            return Ok(Model::new(&own.name, tokenizer, Framing::ASSUMED, CACHEABLE_TOKENS_MIN));
        }
        let tokenizer = builtin(&own.name, &own.tokenizer)?;
        let family = families::find(&own.tokenizer);
        let framing = family.map_or(Framing::ASSUMED, |family| family.framing);
        let cacheable = family.map_or(CACHEABLE_TOKENS_MIN, |family| family.cacheable_tokens_min);
        Ok(Model::new(&own.name, tokenizer, framing, cacheable))
    }

    fn parse(&self, json: &str) -> Result<Tokenizer, TokenizerError> {
        let hash = blake3::hash(json.as_bytes());
        self.slot(hash).get_or_init(|| Tokenizer::from_hashed_json(json, &hash)).clone()
    }

    /// The place of a file among the parsed ones, moved to the front; the last one goes.
    fn slot(&self, hash: blake3::Hash) -> Parsed {
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = parsed.iter().position(|(other, _)| *other == hash);
        let slot = match known.and_then(|at| parsed.remove(at)) {
            Some((_, slot)) => slot,
            None => Parsed::default(),
        };
        parsed.push_front((hash, Arc::clone(&slot)));
        parsed.truncate(PARSED_MAX);
        slot
    }

    #[cfg(test)]
    pub(super) fn parsed_len(&self) -> usize {
        self.parsed.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn builtin(model: &str, tokenizer: &str) -> Result<Tokenizer, ModelError> {
    Tokenizer::builtin(tokenizer).ok_or_else(|| ModelError::UnknownTokenizer {
        model: model.to_owned(),
        tokenizer: tokenizer.to_owned(),
    })
}
