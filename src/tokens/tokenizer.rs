//! What counts: one face for published encodings, stated bounds and tokenizer files.

use std::fmt;
use std::sync::Arc;

use crate::tokens::{
    TokenizerError,
    bound::{self, Bound},
    encoding::Encoding,
    json::{self, JsonTokenizer},
};

/// Whether a count is a fact or a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exactness {
    /// The count is what the provider's published rule gives.
    Exact,
    /// The count is an upper bound that this project states; no provider documents it.
    Estimated,
}

impl Exactness {
    /// The weaker of the two: a sum is exact only when both its parts are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }
}

/// Counts the tokens of a text. A clone is cheap and counts the same.
#[derive(Clone)]
pub struct Tokenizer {
    key: Arc<str>,
    counter: Counter,
}

#[derive(Clone)]
enum Counter {
    Encoding(Encoding),
    Bound(&'static Bound),
    Json(Arc<JsonTokenizer>),
}

/// The names that [`Tokenizer::builtin`] knows, each with what counts for it. Names that count
/// alike share a counter, and with it a key, so that one stored count serves them all: `harmony`
/// and `edit` differ from their base in special tokens only, which are never counted as such.
const BUILTIN: [(&str, Counter); 9] = [
    ("o200k_base", Counter::Encoding(Encoding::O200k)),
    ("o200k_harmony", Counter::Encoding(Encoding::O200k)),
    ("cl100k_base", Counter::Encoding(Encoding::Cl100k)),
    ("p50k_base", Counter::Encoding(Encoding::P50k)),
    ("p50k_edit", Counter::Encoding(Encoding::P50k)),
    ("r50k_base", Counter::Encoding(Encoding::R50k)),
    ("claude", Counter::Bound(&bound::CLAUDE)),
    ("claude_legacy", Counter::Bound(&bound::CLAUDE_LEGACY)),
    ("gemini", Counter::Bound(&bound::GEMINI)),
];

impl Tokenizer {
    /// Finds the built-in tokenizer of that name: `o200k_base`, `o200k_harmony`, `cl100k_base`,
    /// `p50k_base`, `p50k_edit`, `r50k_base` (exact), `claude`, `claude_legacy`, `gemini` (stated
    /// upper bounds). Nothing for any other name, the empty one included.
    pub fn builtin(name: &str) -> Option<Self> {
        let (_, counter) = BUILTIN.iter().find(|(known, _)| *known == name)?;
        let key = match counter {
            Counter::Encoding(encoding) => encoding.key(),
            Counter::Bound(bound) => bound.key,
            Counter::Json(_) => unreachable!("no tokenizer file is built in"),
        };
        Some(Self { key: key.into(), counter: counter.clone() })
    }

    /// Lists the names that [`Tokenizer::builtin`] knows, in the order of its table.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILTIN.iter().map(|(name, _)| *name)
    }

    /// Reads a whole `tokenizer.json` of the Hugging Face form. Its truncation, padding and
    /// dropout are switched off, and no special tokens are added to what is counted.
    ///
    /// # Errors
    /// [`TokenizerError`] when the text is larger than [`crate::tokens::JSON_BYTES_MAX`], is not
    /// such a file, or describes a tokenizer that cannot count ordinary text.
    pub fn from_json(text: &str) -> Result<Self, TokenizerError> {
        Self::from_hashed_json(text, &blake3::hash(text.as_bytes()))
    }

    /// The same as [`Tokenizer::from_json`], for a text whose hash is already known.
    pub(super) fn from_hashed_json(
        text: &str,
        hash: &blake3::Hash,
    ) -> Result<Self, TokenizerError> {
        let counter = Counter::Json(Arc::new(JsonTokenizer::parse(text)?));
        Ok(Self { key: json::key(hash).into(), counter })
    }

    /// What makes this tokenizer count as it does, for stored counts: a name with the version of
    /// its count, or the hash of the tokenizer file with it. Equal keys give equal counts.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Counts the tokens of `text`; 0 for the empty text, `u32::MAX` at most. Text that looks like
    /// a special token, for example `<|endoftext|>`, is counted as the plain text that it is. A
    /// tokenizer file that fails on a text is answered for by the text's length in bytes.
    ///
    /// Counts of the parts of a text add up only where [`Tokenizer::lines_add_up`] says so: cut
    /// anywhere else, the parts may count more than the whole, and in rare cases a little less.
    pub fn count(&self, text: &str) -> u32 {
        let tokens = match &self.counter {
            Counter::Encoding(encoding) => encoding.count(text),
            Counter::Bound(bound) => bound.count(text),
            Counter::Json(tokenizer) => tokenizer.count(text),
        };
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }

    /// Whether counts of lines add up: `count(a + "\n" + b) = count(a + "\n") + count(b)` for any
    /// `a`, and any `b` that begins with a character neither white space nor `/`.
    pub fn lines_add_up(&self) -> bool {
        match &self.counter {
            Counter::Encoding(encoding) => encoding.lines_add_up(),
            Counter::Bound(_) => true,
            Counter::Json(_) => false,
        }
    }

    /// Whether [`Tokenizer::count`] is a fact or a stated upper bound.
    pub fn exactness(&self) -> Exactness {
        match &self.counter {
            Counter::Encoding(_) | Counter::Json(_) => Exactness::Exact,
            Counter::Bound(_) => Exactness::Estimated,
        }
    }

    /// A number of the provider's own tokens as this tokenizer would count them at most: itself
    /// where the count is exact, larger where it is a bound.
    pub(super) fn scaled(&self, provider_tokens: u32) -> u32 {
        match &self.counter {
            Counter::Encoding(_) | Counter::Json(_) => provider_tokens,
            Counter::Bound(bound) => {
                let tokens = bound.scaled(provider_tokens as usize);
                u32::try_from(tokens).unwrap_or(u32::MAX)
            }
        }
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tokenizer").field(&self.key).finish()
    }
}

impl PartialEq for Tokenizer {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Tokenizer {}
