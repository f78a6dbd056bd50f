//! Packs what is remembered into a token budget and renders it as messages. Pure.
//! In: living turns and summaries with their counts, ranked hits and passages, a query, a budget, a
//! format. Out: messages ready to send and the account of them: what is shown where, at what cost,
//! what is not.
//! Invariant: `used_tokens` covers all that is returned and is at most the budget less the reserve;
//! what is shown (in words or in the span of a summary) and the ranges not shown are all living
//! turns given, none twice; up to the last breakpoint the bytes depend on session, summaries, time
//! zone, shares, model and budget only; same input, same bytes.

mod account;
mod anthropic;
mod block;
mod breakpoints;
mod build;
mod excerpts;
mod fixed;
mod groups;
mod input;
mod layout;
mod measure;
mod message;
mod openai;
mod passages;
mod quote;
mod recap;
mod select;
mod share;
mod window;

pub use account::{
    Breakpoint, BuildError, Citation, Context, CountMethod, DROPPED_MAX, DropReason, Dropped, Item,
    Section, SectionKind, Trust, TurnRange,
};
pub use build::build;
pub use input::{
    DocumentView, Format, Hit, Input, Instructions, Passage, Source, SummaryView, TurnView,
    count_lines,
};
pub use measure::{Cost, TurnCounts, measure};
pub use message::{Message, MessageRole};

/// The version of the layout: which texts stand around contents, and what is counted for a turn.
/// Stored counts of another version are made again. A golden test binds it to the code.
pub const LAYOUT_VERSION: u16 = 1;

#[cfg(test)]
mod tests;
