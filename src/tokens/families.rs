//! The one table of model names: tokenizer, framing and smallest cacheable prefix.
//!
//! Sources: OpenAI's `tiktoken` (`model.py`) for the encodings, its prompt caching guide for the
//! 1,024 tokens; Anthropic's prompt caching page and its pages on what is new in a model for
//! Claude's minima (for Sonnet 4.6 the page says 1,024, users measured 2,048: the larger stands
//! here); Google's context caching page for Gemini's (it has named 1,024 to 4,096 for the models
//! of one generation; the largest stands here). Where nothing is published, the largest minimum of
//! the provider stands: a breakpoint too few costs less than one that the provider ignores.

use crate::tokens::Framing;

/// A family of models. `name` is matched exactly, or as a prefix where it ends in `*`: what
/// follows must then be nothing or begin with a character that is no letter, digit or dot, so that
/// `o1*` is not `o11` and `gpt-4*` not `gpt-4.7`; a prefix that itself ends in such a character or
/// in a dot takes any rest. The longest match wins.
pub(super) struct Family {
    name: &'static str,
    /// The name of the built-in tokenizer.
    pub(super) tokenizer: &'static str,
    /// What the provider adds around contents.
    pub(super) framing: Framing,
    /// The smallest prefix that the provider caches, in its own tokens.
    pub(super) cacheable_tokens_min: u32,
}

const fn openai(name: &'static str, tokenizer: &'static str) -> Family {
    Family { name, tokenizer, framing: Framing::OPENAI, cacheable_tokens_min: 1_024 }
}

const fn openai_assumed(name: &'static str) -> Family {
    Family { framing: Framing::OPENAI_ASSUMED, ..openai(name, "o200k_base") }
}

const fn other(name: &'static str, tokenizer: &'static str, cacheable: u32) -> Family {
    Family { name, tokenizer, framing: Framing::ASSUMED, cacheable_tokens_min: cacheable }
}

const fn claude(name: &'static str, cacheable: u32) -> Family {
    other(name, "claude_legacy", cacheable)
}

const FAMILIES: &[Family] = &[
    openai("gpt-4o*", "o200k_base"),
    openai("chatgpt-4o*", "o200k_base"),
    openai("gpt-4*", "cl100k_base"),
    openai("gpt-3.5*", "cl100k_base"),
    openai("gpt-35-turbo*", "cl100k_base"),
    openai_assumed("gpt-5*"),
    openai_assumed("gpt-5.*"),
    openai_assumed("gpt-4.1*"),
    openai_assumed("gpt-4.5*"),
    openai_assumed("o1*"),
    openai_assumed("o3*"),
    openai_assumed("o4*"),
    openai_assumed("codex-mini*"),
    Family { framing: Framing::HARMONY, ..openai("gpt-oss*", "o200k_harmony") },
    other("text-davinci-003", "p50k_base", 1_024),
    other("text-davinci-002", "p50k_base", 1_024),
    other("code-davinci-002", "p50k_base", 1_024),
    other("text-davinci-edit-001", "p50k_edit", 1_024),
    other("code-davinci-edit-001", "p50k_edit", 1_024),
    other("davinci-002", "cl100k_base", 1_024),
    other("babbage-002", "cl100k_base", 1_024),
    other("text-davinci-001", "r50k_base", 1_024),
    other("davinci", "r50k_base", 1_024),
    other("gpt2", "r50k_base", 1_024),
    openai("o200k_base", "o200k_base"),
    openai("cl100k_base", "cl100k_base"),
    Family { framing: Framing::HARMONY, ..openai("o200k_harmony", "o200k_harmony") },
    other("p50k_base", "p50k_base", 1_024),
    other("p50k_edit", "p50k_edit", 1_024),
    other("r50k_base", "r50k_base", 1_024),
    other("claude", "claude", 4_096),
    other("claude_legacy", "claude_legacy", 4_096),
    other("claude-*", "claude", 4_096),
    other("claude-opus-4-7*", "claude", 2_048),
    other("claude-opus-4-8*", "claude", 1_024),
    claude("claude-opus-4-6*", 4_096),
    claude("claude-opus-4-5*", 4_096),
    claude("claude-opus-4-1*", 1_024),
    claude("claude-opus-4-0*", 1_024),
    claude("claude-opus-4-20250514*", 1_024),
    claude("claude-opus-4", 1_024),
    claude("claude-sonnet-4-6*", 2_048),
    claude("claude-sonnet-4-5*", 1_024),
    claude("claude-sonnet-4-0*", 1_024),
    claude("claude-sonnet-4-20250514*", 1_024),
    claude("claude-sonnet-4", 1_024),
    claude("claude-haiku-4-5*", 4_096),
    claude("claude-3-7*", 1_024),
    claude("claude-3-5*", 1_024),
    claude("claude-3-5-haiku*", 2_048),
    claude("claude-3-opus*", 1_024),
    claude("claude-3-sonnet*", 1_024),
    claude("claude-3-haiku*", 2_048),
    claude("claude-2*", 4_096),
    claude("claude-instant*", 4_096),
    other("gemini", "gemini", 4_096),
    other("gemini-*", "gemini", 4_096),
    other("gemini-2.5-flash*", "gemini", 2_048),
];

/// What may stand before a model's name: the provider, as routers and clouds write it.
const PROVIDERS: [&str; 13] = [
    "openrouter/",
    "bedrock/",
    "vertex_ai/",
    "azure/",
    "us.",
    "eu.",
    "apac.",
    "global.",
    "openai/",
    "anthropic/",
    "anthropic.",
    "google/",
    "models/",
];

/// The family of a model's name, also with a provider before it (`openai/gpt-4o`,
/// `us.anthropic.claude-…`) or as a fine-tune (`ft:gpt-4o:…`). Nothing for a name that no row of
/// the table covers.
pub(super) fn find(model: &str) -> Option<&'static Family> {
    let mut name = model;
    for provider in PROVIDERS {
        name = name.strip_prefix(provider).unwrap_or(name);
    }
    if let Some(tuned) = name.strip_prefix("ft:") {
        name = tuned.split(':').next().unwrap_or(tuned);
    }
    if name.starts_with("claude") {
        return longest(&name.replace(['.', '@'], "-"));
    }
    longest(name)
}

fn longest(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().filter(|family| covers(family.name, name)).max_by_key(|f| f.name.len())
}

fn covers(pattern: &str, name: &str) -> bool {
    let Some(prefix) = pattern.strip_suffix('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(prefix) else { return false };
    let open = |character: char| !character.is_alphanumeric() && character != '.';
    prefix.ends_with(['-', '.']) || rest.is_empty() || rest.starts_with(open)
}
