//! What a context is built from.

use std::ops::Range;

use jiff::tz::TimeZone;

use crate::context::{TurnCounts, recap::line_text};
use crate::summarize::Summary;
use crate::tokens::{Model, Tokenizer};
use crate::types::{Seq, Shares, Timestamp, Turn};

/// The form of the messages of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Messages made of parts.
    Neutral,
    /// The `messages` array of an OpenAI Chat Completions request.
    OpenAiChat,
    /// An object with `system` and `messages` of an Anthropic Messages request.
    AnthropicMessages,
}

/// Instructions with their count, so that pinned ones are counted once and not at each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instructions<'a> {
    /// The text; white space only counts as none.
    pub text: &'a str,
    /// Its tokens by the tokenizer of the model.
    pub tokens: u32,
}

/// A living turn with what was counted for it by the tokenizer of the model.
#[derive(Debug, Clone, Copy)]
pub struct TurnView<'a> {
    /// The turn.
    pub turn: &'a Turn,
    /// What [`crate::context::measure`] gave for it.
    pub counts: &'a TurnCounts,
}

/// A session in scope.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its living turns, by ascending seq.
    pub turns: &'a [TurnView<'a>],
}

/// A turn that retrieval found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The index of its session among the sources.
    pub source: usize,
    /// The turn. A seq that is no living turn of the source is passed over.
    pub seq: Seq,
    /// The score of retrieval, for the account.
    pub score: f64,
    /// The bytes of `searchable_text` to show when the whole turn would take too much of the space;
    /// none: the whole turn or nothing. Borders inside a character move inward.
    pub passage: Option<Range<usize>>,
}

/// A summary of a session in scope, with what its lines cost.
#[derive(Debug, Clone, Copy)]
pub struct SummaryView<'a> {
    /// The index of its session among the sources.
    pub source: usize,
    /// The summary, of whatever level.
    pub summary: &'a Summary,
    /// What [`count_lines`] gave for it by the tokenizer of the model. A summary with another
    /// number of counts than lines is passed over.
    pub line_tokens: &'a [u32],
}

/// What each line of a summary costs in a context, at 1 µs a token: what a derived row may hold for
/// (key of the tokenizer, [`crate::summarize::SUMMARIZER_VERSION`],
/// [`crate::context::LAYOUT_VERSION`]).
pub fn count_lines(summary: &Summary, tokenizer: &Tokenizer) -> Vec<u32> {
    summary.lines.iter().map(|line| tokenizer.count(&line_text(line).text)).collect()
}

/// A document that passages are from: what its heading line names, whatever characters are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentView<'a> {
    /// The collection that it is in.
    pub collection: &'a str,
    /// Its id.
    pub document: &'a str,
    /// Its title; may be empty.
    pub title: &'a str,
}

/// A chunk of a document that retrieval found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Passage<'a> {
    /// The index of its document among the documents. A passage of none of them is passed over.
    pub document: usize,
    /// Its number in the document, from 0.
    pub chunk: u32,
    /// Its first byte in the document's text.
    pub start: u64,
    /// The byte after its last one.
    pub end: u64,
    /// The headings that it stands under, the outermost first.
    pub heading: &'a [String],
    /// Its words: exactly that range of the document's text. A passage whose range has another
    /// length is passed over.
    pub text: &'a str,
    /// About how many tokens it has, by any tokenizer; 0: unknown. What is far too large by it is
    /// not counted, and what is left out is named with it; nothing that is shown depends on it.
    pub tokens: u32,
    /// The score of retrieval, for the account.
    pub score: f64,
}

/// All that a context is built from.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// Whose tokenizer counts, and whose framing stands around contents.
    pub model: &'a Model,
    /// The form of the messages.
    pub format: Format,
    /// The most tokens of the context with the reserve.
    pub budget_tokens: u32,
    /// Tokens of the budget to leave unused.
    pub reserve_tokens: u32,
    /// The request's own instructions; they stand first.
    pub instructions: Option<Instructions<'a>>,
    /// The instructions pinned on the session.
    pub pinned: Option<Instructions<'a>>,
    /// How the space after the instructions is shared.
    pub shares: Shares,
    /// The sessions in scope, in the order in which their turns of one day are shown.
    pub sources: &'a [Source<'a>],
    /// Which source is the session whose recent turns are shown; none: no session.
    pub session: Option<usize>,
    /// The summaries of all levels of the sessions in scope, in any order.
    pub summaries: &'a [SummaryView<'a>],
    /// What retrieval found, best first.
    pub hits: &'a [Hit],
    /// By how much the score of a hit must be above that of another to be worth e times the tokens,
    /// at least 0; 0: hits are taken by score alone.
    pub length_price: f64,
    /// The most turns taken from `hits`.
    pub retrieved_turns_max: u32,
    /// The documents that the passages are from.
    pub documents: &'a [DocumentView<'a>],
    /// What retrieval found in documents, best first.
    pub passages: &'a [Passage<'a>],
    /// The most chunks taken from `passages`.
    pub passages_max: u32,
    /// The share of the documents, in percent; none: half of what `shares` has for retrieved turns,
    /// which give it up when there are passages.
    pub documents_percent: Option<u8>,
    /// What the user asks now, not appended; none, or white space only: the last user turn asks.
    pub query: Option<&'a str>,
    /// The reference for the line that says what day it is.
    pub as_of: Timestamp,
    /// The user's time zone, for that line and for the days of what is quoted.
    pub time_zone: &'a TimeZone,
}

impl<'a> Instructions<'a> {
    /// Counts `text`, at 1 µs a token.
    pub fn new(text: &'a str, tokenizer: &Tokenizer) -> Self {
        Self { text, tokens: tokenizer.count(text) }
    }
}

impl<'a> Input<'a> {
    /// The turns of the session whose recent turns are shown.
    pub(super) fn session_turns(&self) -> &'a [TurnView<'a>] {
        self.session.and_then(|at| self.sources.get(at)).map_or(&[], |source| source.turns)
    }

    /// What all that is returned may cost.
    pub(super) fn available(&self) -> u64 {
        u64::from(self.budget_tokens.saturating_sub(self.reserve_tokens))
    }
}
