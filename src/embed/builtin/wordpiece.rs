//! The tokenizer of BERT models without case: Devlin et al., "BERT", 2018, and the reference
//! implementation's rules for cleaning, splitting and WordPiece.

use rustc_hash::FxHashMap;
use unicode_categories::UnicodeCategories as _;
use unicode_normalization::UnicodeNormalization as _;

/// How many tokens of a text count, the first and the last mark included: what the model was
/// trained with.
pub const TOKENS_MAX: usize = 256;

/// A word of more characters is one unknown token, as in the reference.
const WORD_CHARS_MAX: usize = 100;

/// Cuts text into the tokens of a vocabulary.
#[derive(Debug)]
pub struct WordPiece {
    ids: FxHashMap<&'static str, i32>,
    longest: usize,
    unknown: i32,
    first: i32,
    last: i32,
}

impl WordPiece {
    /// A tokenizer over a vocabulary: one token a line, its id the number of the line from 0.
    ///
    /// # Panics
    /// When the vocabulary lacks `[UNK]`, `[CLS]` or `[SEP]`.
    pub fn new(vocabulary: &'static str) -> Self {
        let ids: FxHashMap<&str, i32> = vocabulary.lines().zip(0..).collect();
        let id = |token: &str| *ids.get(token).expect("a vocabulary has its special tokens");
        let (unknown, first, last) = (id("[UNK]"), id("[CLS]"), id("[SEP]"));
        let longest = ids.keys().map(|token| token.len()).max().unwrap_or(0);
        Self { ids, longest, unknown, first, last }
    }

    /// The ids of a text's tokens between the first and the last mark: 2 to [`TOKENS_MAX`].
    pub fn ids(&self, text: &str) -> Vec<i32> {
        self.ids_within(text, TOKENS_MAX)
    }

    /// The ids of a text's tokens between the first and the last mark: 2 to `most`, at least 2.
    pub fn ids_within(&self, text: &str, most: usize) -> Vec<i32> {
        let mut ids = vec![self.first];
        let mut word = String::new();
        for c in cleaned(text) {
            if ids.len() >= most {
                break;
            }
            if c == ' ' {
                self.push_word(&mut word, &mut ids, most);
            } else if stands_alone(c) {
                self.push_word(&mut word, &mut ids, most);
                word.push(c);
                self.push_word(&mut word, &mut ids, most);
            } else {
                word.push(c);
            }
        }
        self.push_word(&mut word, &mut ids, most);
        ids.truncate(most - 1);
        ids.push(self.last);
        ids
    }

    /// Cuts a word into the longest tokens from its start on; all of it is unknown when that fails.
    fn push_word(&self, word: &mut String, ids: &mut Vec<i32>, most: usize) {
        if word.is_empty() || ids.len() >= most {
            return word.clear();
        }
        let before = ids.len();
        let mut rest = 0;
        let long = word.chars().nth(WORD_CHARS_MAX).is_some();
        let mut piece = String::new();
        while !long && rest < word.len() {
            piece.clear();
            if rest > 0 {
                piece.push_str("##");
            }
            let prefix = piece.len();
            piece.push_str(&word[rest..]);
            while piece.len() > self.longest || !self.ids.contains_key(piece.as_str()) {
                if piece.pop().is_none() || piece.len() <= prefix {
                    break;
                }
            }
            if piece.len() <= prefix {
                break;
            }
            ids.push(self.ids[piece.as_str()]);
            rest += piece.len() - prefix;
        }
        if rest < word.len() {
            ids.truncate(before);
            ids.push(self.unknown);
        }
        word.clear();
    }
}

/// The characters of a text: white space as blanks, controls left out, lower case, no accents.
fn cleaned(text: &str) -> impl Iterator<Item = char> {
    let kept = text.chars().filter_map(|c| match c {
        '\t' | '\n' | '\r' => Some(' '),
        '\0' | '\u{fffd}' => None,
        c if c.is_other() => None,
        c if c.is_whitespace() => Some(' '),
        c => Some(c),
    });
    kept.nfd().filter(|c| !c.is_mark_nonspacing()).flat_map(char::to_lowercase)
}

/// Whether a character is a token of its own: punctuation and CJK ideographs.
fn stands_alone(c: char) -> bool {
    c.is_ascii_punctuation() || c.is_punctuation() || is_ideograph(c)
}

/// The blocks that the reference counts as Chinese characters.
fn is_ideograph(c: char) -> bool {
    matches!(
        u32::from(c),
        0x4E00..=0x9FFF
            | 0x3400..=0x4DBF
            | 0x20000..=0x2A6DF
            | 0x2A700..=0x2B73F
            | 0x2B740..=0x2B81F
            | 0x2B920..=0x2CEAF
            | 0xF900..=0xFAFF
            | 0x2F800..=0x2FA1F
    )
}
