//! Which language a text is in.

use whatlang::{Detector, Info};

use crate::retrieve::{
    Language,
    query::{cut, surface_words},
    rules::by_rule_words,
    script::{Letters, Script},
};

/// Detection reads at most this many bytes of a text: what follows seldom changes the verdict.
const DETECTED_BYTES_MAX: usize = 400;

/// Texts with fewer letters than this are not trusted to show their language by their letters.
const DETECTED_LETTERS_MIN: usize = 24;

impl Language {
    /// The language of `text`, by its script, by a confident guess over its first 400 bytes, or by
    /// its little words; none when the text is short or could be several.
    pub fn detect(text: &str) -> Option<Self> {
        let head = cut(text, DETECTED_BYTES_MAX);
        if is_plain_english(head) {
            return Some(Self::English);
        }
        let letters = Letters::count(head);
        let by_letters = letters.language();
        if letters.all() < DETECTED_LETTERS_MIN {
            return by_letters.or_else(|| by_rule_words(&surface_words(head)));
        }
        // Scripts of several languages: statistics say which, and the script when they do not.
        match letters.most()? {
            Script::Latin if by_letters.is_none() => Self::by_statistics(head, Script::Latin)
                .or_else(|| by_rule_words(&surface_words(head))),
            script @ (Script::Devanagari | Script::Hebrew) => {
                Self::by_statistics(head, script).or(by_letters)
            }
            _ => by_letters,
        }
    }

    /// The language whose script a fifth of the letters are in, where the script says enough.
    pub(super) fn by_script(text: &str) -> Option<Self> {
        if text.is_ascii() { None } else { Letters::count(text).language() }
    }

    fn by_statistics(text: &str, script: Script) -> Option<Self> {
        let detector = Detector::with_allowlist(Self::detectable(script));
        let info = detector.detect(text).filter(Info::is_reliable)?;
        Self::detected_as(info.lang())
    }
}

/// Whether an ASCII text has so many of the commonest English words, one of them of no other
/// language, that detection, which costs a hundred times as much, would say the same.
fn is_plain_english(text: &str) -> bool {
    const ENGLISH: [&str; 9] = ["the", "and", "you", "it", "that", "with", "have", "this", "what"];
    const SHARED: [&str; 8] = ["of", "to", "is", "i", "for", "my", "was", "are"];
    if !text.is_ascii() {
        return false;
    }
    let (mut words, mut english, mut shared) = (0, 0, 0);
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let is = |known: &&str| word.eq_ignore_ascii_case(known);
        words += 1;
        english += usize::from(ENGLISH.iter().any(is));
        shared += usize::from(SHARED.iter().any(is));
    }
    let common = english + shared;
    english > 0 && common >= 2 && common * 8 >= words
}
