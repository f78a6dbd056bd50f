//! What providers add around contents.

use crate::tokens::Exactness;

/// The tokens that a provider adds around contents when it renders messages for the model. The
/// count of a request is the tokens of its contents plus these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// For each message, the word of its role included.
    pub per_message: u32,
    /// For a message with a name, beside the tokens of the name.
    pub per_name: u32,
    /// For each part of a message whose content is a list of parts. Documented by no provider:
    /// where it is used, the count is `Estimated`.
    pub per_part: u32,
    /// For each tool call, beside the tokens of its id, name and arguments. Documented by no
    /// provider: where it is used, the count is `Estimated`.
    pub per_tool_call: u32,
    /// For each tool result, beside the tokens of its call's id and its contents. Documented by no
    /// provider: where it is used, the count is `Estimated`.
    pub per_tool_result: u32,
    /// Once for a request: what primes the model to answer.
    pub priming: u32,
    /// Whether `per_message`, `per_name` and `priming` are what the provider documents.
    pub exactness: Exactness,
}

impl Framing {
    /// OpenAI's rule for GPT-3.5, GPT-4 and GPT-4o, from its cookbook ("How to count tokens with
    /// tiktoken"): 3 tokens a message and the role's word (one token each), 1 for a name, 3 that
    /// prime the answer. Parts and tools are stated upper bounds.
    pub const OPENAI: Self = Self {
        per_message: 4,
        per_name: 1,
        per_part: 4,
        per_tool_call: 16,
        per_tool_result: 12,
        priming: 3,
        exactness: Exactness::Exact,
    };

    /// The same figures as a stated upper bound, for OpenAI's models that the cookbook does not
    /// name (GPT-4.1, GPT-5, the o series).
    pub const OPENAI_ASSUMED: Self = Self { exactness: Exactness::Estimated, ..Self::OPENAI };

    /// An upper bound for the published "harmony" rendering of gpt-oss: three marks, a role and a
    /// channel with its mark a message. The system message that servers put before the
    /// conversation is not part of it.
    pub const HARMONY: Self =
        Self { per_message: 6, priming: 4, exactness: Exactness::Estimated, ..Self::OPENAI };

    /// A stated upper bound for all others: chat templates of open models take 3 to 7 tokens a
    /// message, a beginning mark and a primed answer.
    pub const ASSUMED: Self = Self {
        per_message: 8,
        per_name: 4,
        per_part: 4,
        per_tool_call: 24,
        per_tool_result: 16,
        priming: 16,
        exactness: Exactness::Estimated,
    };
}
