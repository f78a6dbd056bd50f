//! What retrieval has besides: `retrieval.…`.

use crate::config::Reader;

/// The most candidates; the reranker has the same limit.
const CANDIDATES_MAX: usize = 200;
/// What stands before the name of a model of fastembed's.
const FASTEMBED: &str = "fastembed:";

/// What reads again what was found first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RerankerModel {
    /// Nothing.
    #[default]
    None,
    /// A cross-encoder of fastembed's zoo by its name or its repository, or one in a folder.
    FastEmbed(String),
}

/// The settings `retrieval.…`; what they do stands in the table of settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retrieval {
    /// What reads again what was found first.
    pub reranker: RerankerModel,
    /// How much of it, in turns or chunks.
    pub reranker_candidates: usize,
}

impl Retrieval {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        Self {
            reranker: read.value("retrieval.reranker", model).unwrap_or_default(),
            reranker_candidates: read
                .value("retrieval.reranker_candidates", candidates)
                .unwrap_or_default(),
        }
    }
}

fn model(text: &str) -> Result<RerankerModel, String> {
    match text.strip_prefix(FASTEMBED) {
        Some(name) if !name.is_empty() => Ok(RerankerModel::FastEmbed(name.to_owned())),
        None if text == "none" => Ok(RerankerModel::None),
        _ => Err("must be `fastembed:NAME` or `none`".into()),
    }
}

fn candidates(text: &str) -> Result<usize, String> {
    let candidates = text.parse().ok().filter(|most| (2..=CANDIDATES_MAX).contains(most));
    candidates.ok_or_else(|| format!("must be 2 to {CANDIDATES_MAX}"))
}
