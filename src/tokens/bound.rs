//! Upper bounds for models without a public tokenizer. They are statements, not documented facts.

use crate::tokens::encoding::Encoding;

/// An upper bound: a published encoding's count times a ratio, line by line.
#[derive(Debug)]
pub(super) struct Bound {
    /// The name with the version of the bound.
    pub(super) key: &'static str,
    encoding: Encoding,
    numerator: usize,
    denominator: usize,
}

/// For any Claude model, the newest included. Claude Opus 4.7 brought a tokenizer that takes up to
/// 1.35 times the tokens of the one before by Anthropic's own word, up to 1.47 times by public
/// measurements with its `count_tokens` endpoint (April 2026: technical English 2.5 characters a
/// token, where `cl100k_base` has about 4).
pub(super) const CLAUDE: Bound =
    Bound { key: "claude.1", encoding: Encoding::Cl100k, numerator: 2, denominator: 1 };

/// For Claude models up to 4.6, with the tokenizer of Claude 3 (technical English 3.6 characters a
/// token by the same measurements).
pub(super) const CLAUDE_LEGACY: Bound =
    Bound { key: "claude_legacy.1", encoding: Encoding::Cl100k, numerator: 3, denominator: 2 };

/// For Gemini models, whose vocabulary is about as large as that of `o200k_base`.
pub(super) const GEMINI: Bound =
    Bound { key: "gemini.1", encoding: Encoding::O200k, numerator: 13, denominator: 10 };

/// How far a bound may lie above the number of bytes of a line: room for a mark at its start and
/// one at its end. No byte-level vocabulary needs more than one token a byte.
const OVER_BYTES_MAX: usize = 2;

impl Bound {
    /// Bounds the tokens of `text`, 0 for the empty text: the sum over its lines, so that lines
    /// add up by definition. A line ends with a line break before a character that is neither
    /// white space nor `/`.
    pub(super) fn count(&self, text: &str) -> usize {
        let mut tokens = 0;
        let mut start = 0;
        for (at, _) in text.match_indices('\n') {
            let next = text[at + 1..].chars().next();
            if next.is_some_and(|next| !next.is_whitespace() && next != '/') {
                tokens += self.count_line(&text[start..=at]);
                start = at + 1;
            }
        }
        tokens + self.count_line(&text[start..])
    }

    /// A number of tokens of the bound's encoding times its ratio, rounded up.
    pub(super) fn scaled(&self, tokens: usize) -> usize {
        tokens.saturating_mul(self.numerator).div_ceil(self.denominator)
    }

    fn count_line(&self, line: &str) -> usize {
        if line.is_empty() {
            return 0;
        }
        self.scaled(self.encoding.count(line)).min(line.len() + OVER_BYTES_MAX)
    }
}
