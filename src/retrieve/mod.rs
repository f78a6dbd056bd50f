//! Finds what was said before that matters now: retrieval over conversations. Pure.
//! In: the derived terms of turns, in sessions, and a query. Out: turns, best first, and why; or
//! that nothing is asked for.
//! Invariant: turns at or above a session's horizon change nothing in the result.

mod dates;
mod index;
mod language;
mod lexical;
mod passages;
mod query;
mod rank;
mod rules;
mod signals;
mod stem;
mod terms;
mod weights;
mod words;

pub use index::{Indexed, SessionIndex};
pub use language::Language;
pub use query::Query;
pub use rank::{Decision, Hit, NoSignal, Ranking, Request, SignalValue, Source, rank};
pub use signals::ChatKind;
pub use terms::{ANALYSIS_VERSION, TurnTerms, analyse};
pub use weights::{ChatWeights, Weights};

use stem::Stem;

/// The version of signals, weights and the decision whether to retrieve: with another one, equal
/// questions may have other answers.
pub const RETRIEVAL_VERSION: u16 = 1;

#[cfg(test)]
mod tests;
