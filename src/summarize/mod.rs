//! Rolling summaries: when one is due, over which turns, and what it says. Pure.
//! In: the sizes of living turns and the spans there are; the turns of a span, or the summaries
//! below it. Out: the next step; a summary made of sentences that were said in the span.
//! Invariant: the frontier never covers a turn twice, and a summary holds words of its span only.

mod cues;
mod extract;
mod features;
mod plan;
mod select;
mod sentences;
mod size;
mod span;
mod summary;

pub use extract::{condense, summarize};
pub use plan::{Marks, Step, TurnSize, next};
pub use size::tokens_of;
pub use span::{Span, frontier, voided};
pub use summary::{Line, SUMMARY_PERCENT, SUMMARY_TOKENS_MAX, Summary};

/// The version of what a summary says: one that another version made is made again.
pub const SUMMARIZER_VERSION: u16 = 1;

#[cfg(test)]
mod tests;
