//! What a summary is made of, as it is stored.

use serde::{Deserialize, Serialize};

use crate::summarize::Span;
use crate::types::{Seq, Timestamp};

/// How much of its source a summary of turns may be, in percent of the tokens. Readers were served
/// by 10; the promise is 15.
pub const SUMMARY_PERCENT: u64 = 10;

/// What a summary may cost, in tokens, however much it covers: so the frontier grows with the
/// number of levels, which is the logarithm of the history. Sixteen lines or so: as much as one
/// reads at a glance.
pub const SUMMARY_TOKENS_MAX: u64 = 400;

/// One sentence that somebody said, understandable alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The turn that said it.
    pub seq: Seq,
    /// When it was said.
    pub created_at: Timestamp,
    /// Who said it.
    pub speaker: String,
    /// The sentence on one line, never blank. Where it answers a question and says little without
    /// it, the question stands before it in brackets.
    pub text: String,
    /// Its place among the lines of its summary by worth; 0: the most worth keeping.
    pub rank: u16,
    /// Whether it replaces what was said before in the span.
    pub changed: bool,
}

/// A summary: the content of its row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// What it covers.
    pub span: Span,
    /// How many living turns it was made from.
    pub turns: u64,
    /// Its lines in the order in which they were said; none when nothing was worth a line.
    pub lines: Vec<Line>,
    /// Tokens of the words it was made from.
    pub source_tokens: u64,
    /// The [`crate::summarize::SUMMARIZER_VERSION`] that made it.
    pub version: u16,
}

impl Line {
    /// The line as a reader sees it: `Speaker: sentence`, and a mark where it replaces an older
    /// statement. Without a line break.
    pub fn render(&self) -> String {
        let mark = if self.changed { " (changed)" } else { "" };
        format!("{}: {}{mark}", self.speaker, self.text)
    }
}
