//! Text to words, the same for index and query: NFKC, case folding, Unicode segmentation, parts of
//! code identifiers, character pairs of scripts without spaces.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};
use unicode_segmentation::UnicodeSegmentation;

use crate::retrieve::{Language, rules::rules};

/// Only this many bytes of a word count: no word of a language is longer, and hashing stays cheap.
const WORD_BYTES_MAX: usize = 64;

/// One word as the text has it, folded but not stemmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// The folded word, or a pair of characters.
    pub(super) text: &'a str,
    /// Whether it is of a script without spaces: such words are neither stemmed nor looked up.
    pub(super) pair: bool,
    /// Whether a pair is empty of content, where that was asked for.
    pub(super) idle: bool,
    /// Whether a word that contains this one was or will be given too.
    pub(super) part: bool,
}

/// Whether pairs are marked that are empty of content. Only queries need it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Idle {
    /// No pair is.
    #[default]
    Unmarked,
    /// Those inside a phrase of acknowledgement, and those of hiragana only.
    Marked,
}

/// Calls `sink` with each word of `text`, in order.
pub(super) fn each_word(text: &str, idle: Idle, sink: &mut dyn FnMut(Word<'_>)) {
    let text = normalised(text);
    let mut run = Run { mark: idle, ..Run::default() };
    let mut folded = String::new();
    for (start, word) in text.unicode_word_indices() {
        let first = word.chars().next().unwrap_or(' ');
        if let Some(script) = spaceless(first) {
            if run.end != start {
                run.flush(sink);
            }
            run.end = start + word.len();
            run.scripts.extend(std::iter::repeat_n(script, word.len()));
            run.text.push_str(word);
        } else {
            run.flush(sink);
            each_part(cut(word), &mut folded, sink);
        }
    }
    run.flush(sink);
}

fn normalised(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfkc().collect())
    }
}

fn cut(word: &str) -> &str {
    let mut end = word.len().min(WORD_BYTES_MAX);
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    &word[..end]
}

/// Writes `word` case-folded to `folded`: lower case, and the letters that lower case leaves apart.
fn fold(word: &str, folded: &mut String) {
    folded.clear();
    for c in word.chars() {
        match c {
            'ß' | 'ẞ' => folded.push_str("ss"),
            'ς' => folded.push('σ'),
            ',' => {}
            _ if c.is_ascii() => folded.push(c.to_ascii_lowercase()),
            _ => folded.extend(c.to_lowercase()),
        }
    }
}

/// Gives a word that is parted by spaces: cut at apostrophes; an identifier whole and in parts.
fn each_part(word: &str, folded: &mut String, sink: &mut dyn FnMut(Word<'_>)) {
    for piece in word.split(['\'', '\u{2019}']).filter(|piece| !piece.is_empty()) {
        let mut give = |text: &str, part: bool| {
            fold(text, folded);
            if !folded.is_empty() {
                sink(Word { text: folded, pair: false, idle: false, part });
            }
        };
        give(piece, false);
        if is_identifier(piece) {
            identifier_parts(piece, &mut |part| give(part, true));
        }
    }
}

fn is_identifier(word: &str) -> bool {
    let mut lower = false;
    word.chars().any(|c| {
        let hump = lower && c.is_uppercase();
        lower = c.is_lowercase();
        hump || c == '_' || c == '.' || c == ':'
    }) && word.chars().any(char::is_alphabetic)
}

fn identifier_parts(word: &str, give: &mut dyn FnMut(&str)) {
    for piece in word.split(['_', '.', ':']) {
        let (mut start, mut lower) = (0, false);
        for (at, c) in piece.char_indices() {
            if lower && c.is_uppercase() {
                if at - start > 1 {
                    give(&piece[start..at]);
                }
                start = at;
            }
            lower = c.is_lowercase();
        }
        if piece.len() - start > 1 {
            give(&piece[start..]);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spaceless {
    Han,
    Hiragana,
    Hangul,
    Thai,
    Other,
}

fn spaceless(c: char) -> Option<Spaceless> {
    match c {
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '々' => {
            Some(Spaceless::Han)
        }
        '\u{20000}'..='\u{3ffff}' => Some(Spaceless::Han),
        '\u{3041}'..='\u{309f}' => Some(Spaceless::Hiragana),
        '\u{ac00}'..='\u{d7a3}' => Some(Spaceless::Hangul),
        '\u{0e00}'..='\u{0e7f}' => Some(Spaceless::Thai),
        '\u{0e80}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' => {
            Some(Spaceless::Other)
        }
        _ => None,
    }
}

/// Neighbouring characters of scripts without spaces.
#[derive(Default)]
struct Run {
    text: String,
    /// The script of each byte.
    scripts: Vec<Spaceless>,
    end: usize,
    mark: Idle,
}

impl Run {
    /// Gives the pairs of the run and empties it. No pair spans two scripts; a character alone in
    /// its script is given alone.
    fn flush(&mut self, sink: &mut dyn FnMut(Word<'_>)) {
        if self.text.is_empty() {
            return;
        }
        let marked = self.mark == Idle::Marked;
        let idle_bytes = if marked { self.idle_bytes() } else { Vec::new() };
        let mut start = 0;
        for same in self.scripts.chunk_by(|a, b| a == b) {
            let piece = &self.text[start..start + same.len()];
            let starts = piece.char_indices().map(|(at, _)| start + at);
            let borders: Vec<usize> = starts.chain([start + piece.len()]).collect();
            let reach = borders.len().min(3);
            for pair in borders.windows(reach) {
                let range = pair[0]..pair[reach - 1];
                let empty = |range| {
                    idle_bytes
                        .get::<std::ops::Range<usize>>(range)
                        .is_some_and(|idle| idle.iter().all(|idle| *idle))
                };
                let idle = marked && (same[0] == Spaceless::Hiragana || empty(range.clone()));
                sink(Word { text: &self.text[range], pair: true, idle, part: false });
            }
            start += same.len();
        }
        self.text.clear();
        self.scripts.clear();
    }

    /// Which bytes lie inside a phrase of acknowledgement.
    fn idle_bytes(&self) -> Vec<bool> {
        let mut idle = vec![false; self.text.len()];
        let has = |script| self.scripts.contains(&script);
        let languages = [
            (Language::Japanese, has(Spaceless::Hiragana) || has(Spaceless::Han)),
            (Language::Chinese, has(Spaceless::Han) && !has(Spaceless::Hiragana)),
            (Language::Korean, has(Spaceless::Hangul)),
            (Language::Thai, has(Spaceless::Thai)),
        ];
        let spoken = languages.into_iter().filter(|(_, spoken)| *spoken);
        for rules in spoken.filter_map(|(language, _)| rules(language)) {
            for phrase in rules.phrases() {
                for (at, _) in self.text.match_indices(phrase) {
                    idle[at..at + phrase.len()].fill(true);
                }
            }
        }
        idle
    }
}
