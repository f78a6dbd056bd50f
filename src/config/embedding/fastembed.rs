//! How a model of fastembed's is run: `embedding.fastembed.…`.

use crate::config::Reader;

/// Texts are cut into pieces far below; memory grows by the square of this.
const TOKENS_MAX: usize = 8_192;
/// The longest that is put before a text.
const PREFIX_BYTES_MAX: usize = 512;

/// How the vectors of tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolingSetting {
    /// Their mean.
    Mean,
    /// The first one.
    Cls,
}

/// The settings `embedding.fastembed.…`; what they do stands in the table of settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FastEmbedSettings {
    /// How vectors are pooled; `None`: as the zoo says.
    pub pooling: Option<PoolingSetting>,
    /// How many tokens of a text count; `None`: as many as the model takes, 512 at most.
    pub tokens_max: Option<usize>,
    /// What is put before questions; `None`: as the model's authors say.
    pub query_prefix: Option<String>,
    /// What is put before turns and chunks; `None`: as the model's authors say.
    pub passage_prefix: Option<String>,
    /// The languages that it knows, `*` for all; `None`: as its authors say.
    pub languages: Option<Vec<String>>,
}

impl FastEmbedSettings {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        Self {
            pooling: read.value("embedding.fastembed.pooling", pooling),
            tokens_max: read.value("embedding.fastembed.max_tokens", tokens).flatten(),
            query_prefix: read.value("embedding.fastembed.query_prefix", prefix),
            passage_prefix: read.value("embedding.fastembed.passage_prefix", prefix),
            languages: read.value("embedding.fastembed.languages", languages),
        }
    }
}

fn pooling(text: &str) -> Result<PoolingSetting, String> {
    match text {
        "mean" => Ok(PoolingSetting::Mean),
        "cls" => Ok(PoolingSetting::Cls),
        _ => Err("must be `mean` or `cls`".into()),
    }
}

fn tokens(text: &str) -> Result<Option<usize>, String> {
    let tokens = text.parse().ok().filter(|tokens| *tokens <= TOKENS_MAX && *tokens != 1);
    let tokens = tokens.ok_or_else(|| format!("must be 0, or 2 to {TOKENS_MAX}"))?;
    Ok((tokens > 0).then_some(tokens))
}

fn prefix(text: &str) -> Result<String, String> {
    match text.len() <= PREFIX_BYTES_MAX {
        true => Ok(text.to_owned()),
        false => Err(format!("must be {PREFIX_BYTES_MAX} bytes at most")),
    }
}

fn languages(text: &str) -> Result<Vec<String>, String> {
    let codes: Vec<String> = text.split(',').map(|code| code.trim().to_owned()).collect();
    let is_code =
        |code: &str| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_lowercase());
    match codes.iter().all(|code| code == "*" || is_code(code)) {
        true => Ok(codes),
        false => Err("must be codes of two letters with commas between (`en,de`), or `*`".into()),
    }
}
