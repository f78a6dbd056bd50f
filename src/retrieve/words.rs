//! Text to words, the same for index and query: NFKC, case folding, Unicode segmentation,
//! identifiers whole and in parts, numbers joined, neighbouring characters of scripts without
//! spaces.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};
use unicode_segmentation::UnicodeSegmentation;

use crate::retrieve::{
    fold::fold,
    identifiers::{Chain, each_part, is_identifier},
    numbers::Digits,
    query::cut,
    script::Script,
    spaceless::{Run, katakana_pairs},
};

/// Only this many bytes of a word count: no word of a language is longer, and hashing stays cheap.
const WORD_BYTES_MAX: usize = 64;

/// One word as the text has it, folded but not stemmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// The folded word, or neighbouring characters.
    pub(super) text: &'a str,
    /// Whether it is no word of a language: such are neither stemmed nor looked up.
    pub(super) raw: bool,
    /// Whether a pair is empty of content, where that was asked for.
    pub(super) idle: bool,
    /// Whether its characters were or will be given in another word too: a part of an identifier,
    /// or the whole of one that has several words.
    pub(super) again: bool,
}

impl<'a> Word<'a> {
    /// What stands for the whole of several words.
    pub(super) fn whole(text: &'a str) -> Self {
        Self { text, raw: true, idle: false, again: true }
    }
}

/// What the words are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Side {
    /// To be found: single characters of scripts without spaces are given beside the pairs.
    #[default]
    Index,
    /// To find: pairs are marked that are empty of content. Those are the ones inside a phrase of
    /// acknowledgement, and those of hiragana only.
    Query,
}

/// Calls `sink` with each word of `text`, in order; what stands for several words comes after them.
pub(super) fn each_word(text: &str, side: Side, sink: &mut dyn FnMut(Word<'_>)) {
    let text = normalised(text);
    let mut run = Run::new(side);
    let mut chain = Chain::new(&text);
    let mut digits = Digits::new(&text);
    let mut folded = String::new();
    for (start, word) in text.unicode_word_indices() {
        let first = word.chars().next().unwrap_or(' ');
        let spaceless = if first.is_ascii() { None } else { Run::script(first) };
        digits.next(start, word, sink);
        if let Some(script) = spaceless {
            chain.end(sink);
            run.push(start, word, script, sink);
            continue;
        }
        run.flush(sink);
        chain.next(start, word, sink);
        each_piece(cut(word, WORD_BYTES_MAX), &mut folded, sink);
        if !first.is_ascii() && Script::of(first) == Some(Script::Kana) {
            katakana_pairs(word, sink);
        }
    }
    run.flush(sink);
    chain.end(sink);
    digits.end(sink);
}

fn normalised(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfkc().collect())
    }
}

/// Gives a word that is parted by spaces: cut at apostrophes; an identifier whole and in parts.
fn each_piece(word: &str, folded: &mut String, sink: &mut dyn FnMut(Word<'_>)) {
    for piece in word.split(['\'', '\u{2019}']).filter(|piece| !piece.is_empty()) {
        let mut give = |text: &str, again: bool| {
            fold(text, folded);
            if !folded.is_empty() {
                sink(Word { text: folded, raw: false, idle: false, again });
            }
        };
        give(piece, false);
        if is_identifier(piece) {
            each_part(piece, &mut |part| give(part, true));
        }
    }
}
