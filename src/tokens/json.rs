//! Tokenizer files of the Hugging Face form, as tenants send them for open models.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokenizers::{ModelWrapper, Tokenizer};

use crate::tokens::growth::{GROWTH_MAX, growth};

/// The largest tokenizer file, in bytes: 12 MiB hold those of Llama 3, Mistral and Qwen; a request
/// is at most 16 MiB, so that the largest in use (Gemma 3, 31.8 MiB) cannot be sent.
pub const JSON_BYTES_MAX: usize = 12 << 20;

/// The longest reason of a failed parse that is kept, in characters.
const REASON_CHARACTERS_MAX: usize = 200;

/// Texts that every tokenizer must be able to count before it is accepted: words, a line break,
/// and characters that small vocabularies do not hold.
const PROBES: [&str; 3] = ["A word, and 12 more.", "one\ntwo", "né 漢字 🙂 <|endoftext|>"];

/// Why a tokenizer file was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenizerError {
    /// The file is too large to be parsed for a request.
    #[error("the tokenizer file has `{bytes}` bytes, more than `{JSON_BYTES_MAX}`")]
    TooLarge {
        /// The size of the file, in bytes.
        bytes: usize,
    },
    /// Its normalizer may make a text so much longer that counting it takes the memory of the node.
    #[error(
        "the tokenizer file's normalizer may make a text more than `{GROWTH_MAX}` times longer"
    )]
    Grows,
    /// The file is not a `tokenizer.json`.
    #[error("cannot parse the tokenizer file: {reason}")]
    Invalid {
        /// What the parser said, at most 200 characters of it.
        reason: String,
    },
    /// The file describes a tokenizer that fails on ordinary text, or finds nothing in it.
    #[error("the tokenizer file cannot count the text `{probe}`: {reason}")]
    CannotCount {
        /// The text that it was tried on.
        probe: &'static str,
        /// What went wrong, at most 200 characters of it.
        reason: String,
    },
}

/// A parsed tokenizer file.
pub(super) struct JsonTokenizer(Tokenizer);

/// The identity of a tokenizer file: the start of its hash and the version of the count.
pub(super) fn key(hash: &blake3::Hash) -> String {
    format!("json:{}.1", &hash.to_hex()[..16])
}

impl JsonTokenizer {
    /// Parses a file and tries it out. What makes a count depend on anything but the text
    /// (truncation, padding, dropout, special tokens) is switched off.
    pub(super) fn parse(text: &str) -> Result<Self, TokenizerError> {
        if text.len() > JSON_BYTES_MAX {
            return Err(TokenizerError::TooLarge { bytes: text.len() });
        }
        if growth(text) > GROWTH_MAX {
            return Err(TokenizerError::Grows);
        }
        let tokenizer = guarded(|| load(text))
            .map_err(|reason| TokenizerError::Invalid { reason })
            .map(Self)?;
        for probe in PROBES {
            let outcome = match tokenizer.try_count(probe) {
                Ok(0) => Err("it finds no token".to_owned()),
                other => other,
            };
            outcome.map_err(|reason| TokenizerError::CannotCount { probe, reason })?;
        }
        Ok(tokenizer)
    }

    /// Counts the tokens of `text`, 0 for the empty text. Where the tokenizer fails, the answer is
    /// the number of bytes: no usual vocabulary takes more than a token a byte.
    pub(super) fn count(&self, text: &str) -> usize {
        if text.is_empty() {
            return 0;
        }
        self.try_count(text).unwrap_or(text.len())
    }

    fn try_count(&self, text: &str) -> Result<usize, String> {
        guarded(|| self.0.encode_fast(text, false).map(|encoding| encoding.get_ids().len()))
    }
}

fn load(text: &str) -> tokenizers::Result<Tokenizer> {
    let mut tokenizer: Tokenizer = text.parse()?;
    tokenizer.with_truncation(None)?;
    tokenizer.with_padding(None);
    tokenizer.set_encode_special_tokens(true);
    let certain = match tokenizer.get_model() {
        ModelWrapper::BPE(model) if model.dropout.is_some() => {
            let mut model = model.clone();
            model.dropout = None;
            Some(model)
        }
        _ => None,
    };
    if let Some(model) = certain {
        tokenizer.with_model(model);
    }
    Ok(tokenizer)
}

/// Runs what a file that nobody has checked can make fail, in whatever way. The library panics on
/// some files and some texts; nothing of its state outlives the call but caches, so that going on
/// afterwards is safe.
fn guarded<T>(run: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    let outcome = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the tokenizer library panicked".to_owned(),
    };
    Err(outcome.chars().take(REASON_CHARACTERS_MAX).collect())
}
