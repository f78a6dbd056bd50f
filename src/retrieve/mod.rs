//! Finds what was said before that matters now: retrieval over conversations. Pure.
//! In: the derived terms and vectors of turns, in sessions, and a query with or without its vector.
//! Out: turns, best first, and why; or that nothing is asked for.
//! Invariant: turns at or above a session's horizon change nothing in the result.

mod cosine;
mod dates;
mod detect;
mod documents;
mod dot;
mod embeddable;
mod fold;
mod halves;
mod identifiers;
mod index;
mod language;
mod lexical;
mod numbers;
mod passages;
mod pieces;
mod postings;
mod query;
mod rank;
mod reranked;
mod rules;
mod score;
mod script;
mod sentence;
mod signals;
mod spaceless;
mod spans;
mod spoken;
mod stem;
mod terms;
mod vectors;
mod weights;
mod words;

pub use documents::{
    Bm25, ChunkTerms, LANGUAGES_MAX, QuestionTerm, asks, chunks_terms, counting_terms,
    question_terms,
};
pub use embeddable::{Embeddable, plain_question, to_embed};
pub use index::{Indexed, SessionIndex};
pub use language::Language;
pub use pieces::{PIECES_MAX, PIECES_VERSION, pieces};
pub use query::Query;
pub use rank::{Decision, Hit, Mode, NoSignal, Ranking, Request, SignalValue, Source, rank};
pub use reranked::reranked;
pub use sentence::{SentenceReader, SentenceWords};
pub use signals::ChatKind;
pub use spoken::Spoken;
pub use terms::{ANALYSIS_VERSION, TurnTerms, analyse};
pub use vectors::{QueryVector, TurnVectors};
pub use weights::{ChatWeights, NearWeights, Weights};

use stem::Stem;

/// The version of signals, weights and the decision whether to retrieve: with another one, equal
/// questions may have other answers.
pub const RETRIEVAL_VERSION: u16 = 3;

#[cfg(test)]
mod tests;
