//! OpenAI's published encodings, counted exactly and without a quadratic case.

use tiktoken_rs::CoreBPE;

/// A published encoding. Special tokens are never recognised: all text is plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `o200k_base`, and `o200k_harmony`.
    O200k,
    /// `cl100k_base`.
    Cl100k,
    /// `p50k_base`, and `p50k_edit`.
    P50k,
    /// `r50k_base`, which is also `gpt2`.
    R50k,
}

/// The longest run of white space that the reference's regular expression gets to see, in
/// characters. It keeps one state a character while it looks for the run's end and gives up (by a
/// panic) at a million; runs in real text are far below this.
const WHITE_RUN_MAX: usize = 1_000;

/// Characters that people draw long rules and indents with. The vocabularies hold tokens of up to
/// 100 of them in nearly every length, among which backtracking takes up to 1.4 µs a byte to
/// choose, and merging 0.3 µs (measured on 100 KB of each; all other characters stay below that).
const RULES: &[u8] = b"-=*/#\t";

/// From how many bytes on a piece of [`RULES`] is counted by merging: up to some 120 backtracking
/// finds one token for the whole, or nearly so, and is twenty times as fast.
const RULED_BYTES_MIN: usize = 160;

impl Encoding {
    /// The name with the version of its count.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::O200k => "o200k_base.1",
            Self::Cl100k => "cl100k_base.1",
            Self::P50k => "p50k_base.1",
            Self::R50k => "r50k_base.1",
        }
    }

    /// Counts the tokens of `text`. Time is linear in its length, times its logarithm for the two
    /// older encodings.
    pub(super) fn count(self, text: &str) -> usize {
        match self {
            Self::O200k => count_by_pieces(bpe_openai::o200k_base(), text),
            Self::Cl100k => count_by_pieces(bpe_openai::cl100k_base(), text),
            Self::P50k => count_by_runs(tiktoken_rs::p50k_base_singleton(), text),
            Self::R50k => count_by_runs(tiktoken_rs::r50k_base_singleton(), text),
        }
    }

    /// Whether a line break before a character neither white space nor `/` always ends a token.
    /// The two older encodings cut white space before such a character in another way than at the
    /// end of a text.
    pub(super) fn lines_add_up(self) -> bool {
        matches!(self, Self::O200k | Self::Cl100k)
    }
}

/// Counts piece by piece: by backtracking, which is the fastest on nearly all text, and by merging
/// pairs in the order of their ranks where backtracking is slow. Both give the same tokens.
fn count_by_pieces(tokenizer: &bpe_openai::Tokenizer, text: &str) -> usize {
    let count = |piece: &str| {
        let bytes = piece.as_bytes();
        let ruled = bytes.len() >= RULED_BYTES_MIN && RULES.contains(&bytes[bytes.len() / 2]);
        if ruled {
            tokenizer.bpe.encode_via_bitfield(bytes).len()
        } else {
            tokenizer.bpe.count(bytes)
        }
    };
    tokenizer.split(text).map(count).sum()
}

/// Counts by the reference, around runs of white space longer than [`WHITE_RUN_MAX`], which are
/// counted apart. The sum is the count of the whole: in these encodings no token spans a change
/// from another character to white space, and a run before another character is one piece without
/// its last character.
fn count_by_runs(reference: &CoreBPE, text: &str) -> usize {
    let mut tokens = 0;
    let mut rest = text;
    while let Some(run) = long_white_run(rest) {
        let whole = &rest[run.start..run.end];
        let at_end = run.end == rest.len();
        let last = whole.chars().next_back().map_or(0, char::len_utf8);
        let piece = if at_end { whole } else { &whole[..whole.len() - last] };
        tokens += reference.encode_ordinary(&rest[..run.start]).len();
        tokens += reference.encode_ordinary(piece).len();
        rest = &rest[run.start + piece.len()..];
        if at_end {
            return tokens;
        }
    }
    tokens + reference.encode_ordinary(rest).len()
}

/// The bytes of the first run of white space longer than [`WHITE_RUN_MAX`] characters.
fn long_white_run(text: &str) -> Option<std::ops::Range<usize>> {
    if text.len() <= WHITE_RUN_MAX {
        return None;
    }
    let mut start = 0;
    let mut characters = 0;
    for (at, character) in text.char_indices() {
        if character.is_whitespace() {
            if characters == 0 {
                start = at;
            }
            characters += 1;
        } else if characters > WHITE_RUN_MAX {
            return Some(start..at);
        } else {
            characters = 0;
        }
    }
    (characters > WHITE_RUN_MAX).then_some(start..text.len())
}
