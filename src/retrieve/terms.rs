//! What a turn's derived row holds: its terms by passage, and its marks.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::retrieve::{
    Language, Stem,
    passages::passages,
    rules::{Rules, WordKind, rules},
    words::{Side, Word, each_word},
};
use crate::types::Turn;

/// The version of analysis: rows that another one made are derived again from the turn.
pub const ANALYSIS_VERSION: u16 = 4;

/// A turn says I, my or their like.
pub(super) const FIRST_PERSON: u8 = 1;
/// A turn's last sentence is a question.
pub(super) const ENDS_IN_QUESTION: u8 = 2;
/// A turn is a question and little else.
pub(super) const IS_QUESTION: u8 = 4;
/// A turn has a number.
pub(super) const NUMBER: u8 = 16;
/// A turn has a text, so that there is something to embed.
pub(super) const HAS_TEXT: u8 = 32;
/// A turn's language was given, not detected.
const GIVEN: u8 = 64;
/// A turn does not show its language: it is too short, or could be several.
const UNSURE: u8 = 128;

/// The terms of one turn, as they are stored beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnTerms {
    /// The language that stemmed it.
    pub(super) language: Language,
    /// A set of the constants of this file.
    pub(super) marks: u8,
    /// At least one, in order of the text.
    pub(super) passages: Vec<PassageTerms>,
}

/// The terms of one passage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PassageTerms {
    /// Where it starts in the searchable text, in bytes.
    pub(super) start: u32,
    /// Where it ends.
    pub(super) end: u32,
    /// How many words it has but stop words, repeats counted.
    pub(super) words: u32,
    /// Each distinct term's hash with its count, by rising hash.
    pub(super) terms: Vec<(u64, u16)>,
}

impl TurnTerms {
    /// The language that the turn showed or was given; none: it does not show any.
    pub(super) fn sure(&self) -> Option<Language> {
        (self.marks & UNSURE == 0).then_some(self.language)
    }

    /// Whether [`analyse`] with this language makes these terms.
    pub fn is_by(&self, language: &str) -> bool {
        let given = (self.marks & GIVEN != 0).then_some(self.language);
        given == Language::parse(language)
    }
}

/// Derives the terms of a turn from its searchable text.
///
/// `language` is an ISO 639-1 code that the caller knows to be right, or empty: then the text's own
/// language is detected, and an unsure text is taken for English: [`crate::retrieve::Spoken`] knows
/// better. Time and space are linear in the text.
pub fn analyse(turn: &Turn, language: &str) -> TurnTerms {
    analyse_text(&turn.searchable_text(), Language::parse(language))
}

/// [`analyse`] over a bare text.
pub(super) fn analyse_text(text: &str, language: Option<Language>) -> TurnTerms {
    if let Some(given) = language {
        return terms_by(text, given, GIVEN);
    }
    match Language::detect(text) {
        Some(detected) => terms_by(text, detected, 0),
        None => unsure_terms(text, Language::default()),
    }
}

/// The terms of a text that does not show its language, by that of what stands around it.
pub(super) fn unsure_terms(text: &str, language: Language) -> TurnTerms {
    terms_by(text, language, UNSURE)
}

fn terms_by(text: &str, language: Language, mark: u8) -> TurnTerms {
    let rules = rules(language);
    let stem = Stem::new(language);
    let mut marks = mark | question_marks(text);
    if !text.trim().is_empty() {
        marks |= HAS_TEXT;
    }
    let passages = passages(text)
        .into_iter()
        .map(|range| passage_terms(text, range, rules, &stem, &mut marks))
        .collect();
    TurnTerms { language, marks, passages }
}

pub(super) fn passage_terms(
    text: &str,
    range: Range<usize>,
    rules: Option<&Rules>,
    stem: &Stem,
    marks: &mut u8,
) -> PassageTerms {
    let mut hashes = Vec::new();
    let mut words = 0u32;
    each_word(&text[range.clone()], Side::Index, &mut |word| {
        let kind = match rules {
            Some(rules) if !word.raw => rules.kind(word.text),
            _ => WordKind::default(),
        };
        *marks |= word_marks(word, kind);
        if !kind.is(WordKind::STOP) {
            words = words.saturating_add(1);
            stem.each_hash(word, &mut |hash| hashes.push(hash));
        }
    });
    hashes.sort_unstable();
    let terms = hashes
        .chunk_by(|a, b| a == b)
        .map(|same| (same[0], u16::try_from(same.len()).unwrap_or(u16::MAX)))
        .collect();
    PassageTerms { start: offset(range.start), end: offset(range.end), words, terms }
}

/// Turns are a few megabytes at most; a longer one keeps what fits.
fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn word_marks(word: Word<'_>, kind: WordKind) -> u8 {
    let mut marks = 0;
    if kind.is(WordKind::FIRST_PERSON) {
        marks |= FIRST_PERSON;
    }
    let digits = word.text.bytes().any(|b| b.is_ascii_digit());
    if digits {
        marks |= NUMBER;
    }
    marks
}

/// Whether the text ends in a question, and whether it is little else: at least one sentence
/// in two asks.
fn question_marks(text: &str) -> u8 {
    let (mut asked, mut told, mut last_asks, mut open) = (0u32, 0u32, false, false);
    for c in text.chars() {
        match c {
            '?' | '？' | '؟' if open || last_asks => {
                asked += u32::from(open);
                (last_asks, open) = (true, false);
            }
            '.' | '!' | '\n' | '。' | '！' if open => {
                told += 1;
                (last_asks, open) = (false, false);
            }
            _ if c.is_alphanumeric() => open = true,
            _ => {}
        }
    }
    told += u32::from(open);
    let ends = last_asks && !open;
    let mut marks = 0;
    if ends {
        marks |= ENDS_IN_QUESTION;
    }
    if asked > 0 && told <= asked {
        marks |= IS_QUESTION;
    }
    marks
}
