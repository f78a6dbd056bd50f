//! What a tenant may tune at run time.

use serde::{Deserialize, Serialize};

/// How the space that remains after the fixed parts is shared between the sections, in percent.
/// The fixed parts are the instructions and the current exchange. What a section does not use
/// flows toward the end of the layout (summary, recent turns, retrieved turns), never back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// For the rolling summary.
    pub summary_percent: u8,
    /// For the recent turns: their high mark. The low mark is half of it.
    pub recent_percent: u8,
    /// For what retrieval found.
    pub retrieved_percent: u8,
}

impl Shares {
    /// What a new tenant gets.
    pub const DEFAULT: Self =
        Self { summary_percent: 10, recent_percent: 50, retrieved_percent: 40 };

    /// Whether the shares add up to at most 100.
    pub fn fit(&self) -> bool {
        let sum = u32::from(self.summary_percent)
            + u32::from(self.recent_percent)
            + u32::from(self.retrieved_percent);
        sum <= 100
    }
}

/// One model of a tenant's and the tokenizer that counts for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPolicy {
    /// The name that requests use, matched exactly.
    pub name: String,
    /// A built-in tokenizer (`o200k_base`, `cl100k_base`, …, `claude`, `gemini`), or empty when
    /// `tokenizer_json` is set.
    pub tokenizer: String,
    /// A whole `tokenizer.json` of the Hugging Face form, or empty.
    pub tokenizer_json: String,
}

/// How retrieval behaves for a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetrievalPolicy {
    /// The most turns a context may take from retrieval, 0 to 1,000; 0 switches retrieval off.
    pub retrieved_turns_max: u32,
    /// The language of the tenant's text (ISO 639-1), or empty: detected turn by turn.
    pub language: String,
}

/// A tenant's policy: in force for the next request after the commit that changed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Advances by one with each change, from 1.
    pub version: u64,
    /// The budget of a request that names none, in tokens.
    pub budget_tokens_default: u32,
    /// The largest budget that a request may name, in tokens.
    pub budget_tokens_max: u32,
    /// The shares of a request that names none.
    pub shares: Shares,
    /// How retrieval behaves.
    pub retrieval: RetrievalPolicy,
    /// The model of a request that names none.
    pub model_default: String,
    /// The tenant's own models, looked up before the built-in names.
    pub models: Vec<ModelPolicy>,
    /// The built-in tokenizer that counts for a model nobody knows, or empty: such a model is an
    /// error.
    pub tokenizer_fallback: String,
}

impl Policy {
    /// The policy of a new tenant.
    pub fn initial() -> Self {
        Self {
            version: 1,
            budget_tokens_default: 4_000,
            budget_tokens_max: 1_000_000,
            shares: Shares::DEFAULT,
            retrieval: RetrievalPolicy { retrieved_turns_max: 200, language: String::new() },
            model_default: "gpt-4o".to_owned(),
            models: Vec::new(),
            tokenizer_fallback: String::new(),
        }
    }
}
