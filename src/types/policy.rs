//! What a tenant may tune at run time.

use serde::{Deserialize, Serialize};

use crate::types::CollectionId;

/// How the space that remains after the fixed parts is shared between the sections, in percent.
/// The fixed parts are the instructions and the current exchange. What a section does not use
/// flows toward the end of the layout (summary, recent turns, documents, retrieved turns), never
/// back. The share of documents stands apart, in [`DocumentPolicy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// For the rolling summary.
    pub summary_percent: u8,
    /// For the recent turns: their high mark. The low mark is half of it.
    pub recent_percent: u8,
    /// For what retrieval found in the past; and in documents, while those have no share of their
    /// own.
    pub retrieved_percent: u8,
}

impl Shares {
    /// What a new tenant gets.
    pub const DEFAULT: Self =
        Self { summary_percent: 10, recent_percent: 50, retrieved_percent: 40 };

    /// Whether the shares, and that of the documents if they have one, add up to at most 100.
    pub fn fit(&self, documents_percent: Option<u8>) -> bool {
        let sum = u32::from(self.summary_percent)
            + u32::from(self.recent_percent)
            + u32::from(self.retrieved_percent)
            + documents_percent.map_or(0, u32::from);
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

/// By what the past of a tenant is searched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetrievalMode {
    /// By words and by meaning.
    #[default]
    Hybrid,
    /// By words alone.
    Words,
    /// By meaning alone.
    Vectors,
}

/// When summaries are made. `None` stands for what new tenants get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryPolicy {
    /// How many tokens of turns a session keeps unsummarized at the most.
    pub tail_high_tokens: Option<u32>,
    /// How many of them are left when the oldest were summarized.
    pub tail_low_tokens: Option<u32>,
    /// After how many minutes without a new turn the rest is summarized too.
    pub idle_minutes: Option<u32>,
    /// Whether no summaries are made.
    pub off: bool,
}

impl SummaryPolicy {
    /// After how many minutes a session counts as idle, for a new tenant: people come back to a
    /// conversation within a working day.
    pub const IDLE_MINUTES: u32 = 360;

    /// How long a session must rest to count as idle, in milliseconds.
    pub fn idle_ms(&self) -> i64 {
        i64::from(self.idle_minutes.unwrap_or(Self::IDLE_MINUTES)) * 60_000
    }
}

/// How documents take part in contexts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentPolicy {
    /// Their share of the space, in percent; `None`: half of what retrieved turns have, which give
    /// it up when documents are found.
    pub share_percent: Option<u8>,
    /// The collections of a request that names none.
    pub default_collections: Vec<CollectionId>,
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
    /// By what the past is searched.
    pub retrieval_mode: RetrievalMode,
    /// When summaries are made.
    pub summaries: SummaryPolicy,
    /// How documents take part.
    pub documents: DocumentPolicy,
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
            retrieval_mode: RetrievalMode::default(),
            summaries: SummaryPolicy::default(),
            documents: DocumentPolicy::default(),
        }
    }
}
