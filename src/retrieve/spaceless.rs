//! Scripts whose words are not parted by spaces, or carry endings that no stemmer knows: their
//! neighbouring characters in place of words.

use std::ops::Range;

use crate::retrieve::{
    Language,
    fold::digit,
    rules::rules,
    script::Script,
    words::{Side, Word},
};

/// Neighbouring characters of scripts without spaces.
///
/// Han, kana and hangul are cut into characters; the scripts of South-East Asia into letters with
/// the marks that stand over and under them.
pub(super) struct Run {
    text: String,
    /// Where each character begins, and its script.
    units: Vec<(usize, Script)>,
    end: usize,
    side: Side,
}

impl Run {
    pub(super) fn new(side: Side) -> Self {
        Self { text: String::new(), units: Vec::new(), end: 0, side }
    }

    /// The script of a word that begins with `c`, if it is one without spaces. Katakana is not: its
    /// words are names and loans, which segmentation finds.
    pub(super) fn script(c: char) -> Option<Script> {
        let katakana = matches!(c, '\u{30a0}'..='\u{30ff}');
        let script = Script::of(c).filter(|script| script.is_spaceless() && !katakana)?;
        let has_digits = !matches!(script, Script::Han | Script::Kana | Script::Hangul);
        (!has_digits || digit(c).is_none()).then_some(script)
    }

    /// Takes a word at `start`; gives the run before it, unless it goes on.
    pub(super) fn push(
        &mut self,
        start: usize,
        word: &str,
        script: Script,
        sink: &mut dyn FnMut(Word<'_>),
    ) {
        if self.end != start {
            self.flush(sink);
        }
        self.end = start + word.len();
        let at = self.text.len();
        match script {
            Script::Thai | Script::Lao | Script::Burmese | Script::Khmer => {
                self.units.push((at, script));
            }
            _ => self.units.extend(word.char_indices().map(|(offset, _)| (at + offset, script))),
        }
        self.text.push_str(word);
    }

    /// Gives the pairs of the run and empties it. No pair spans two scripts; a character alone in
    /// its script is given alone. To be found, characters that may be a word are given alone too.
    pub(super) fn flush(&mut self, sink: &mut dyn FnMut(Word<'_>)) {
        if self.text.is_empty() {
            return;
        }
        let idle_bytes = if self.side == Side::Query { self.idle_bytes() } else { Vec::new() };
        let mut first = 0;
        for same in self.units.chunk_by(|a, b| a.1 == b.1) {
            let script = same[0].1;
            let after = self.units.get(first + same.len()).map_or(self.text.len(), |unit| unit.0);
            let borders: Vec<usize> = same.iter().map(|unit| unit.0).chain([after]).collect();
            let reach = borders.len().min(3);
            for pair in borders.windows(reach) {
                let range = pair[0]..pair[reach - 1];
                let idle = self.side == Side::Query
                    && (script == Script::Kana || is_idle(&idle_bytes, range.clone()));
                sink(Word { text: &self.text[range], raw: true, idle, again: false });
            }
            if self.side == Side::Index && same.len() > 1 {
                self.give_single(script, &borders, sink);
            }
            first += same.len();
        }
        self.text.clear();
        self.units.clear();
    }

    /// Gives the characters between borders that may be a word by themselves: each of Han, of
    /// hangul the first, which endings follow; letters with marks of the other scripts.
    fn give_single(&self, script: Script, borders: &[usize], sink: &mut dyn FnMut(Word<'_>)) {
        let singles = match script {
            Script::Kana => 0,
            Script::Hangul => 1,
            _ => borders.len() - 1,
        };
        for border in borders.windows(2).take(singles) {
            let text = &self.text[border[0]..border[1]];
            if matches!(script, Script::Han | Script::Hangul) || text.chars().nth(1).is_some() {
                sink(Word::whole(text));
            }
        }
    }

    /// Which bytes lie inside a phrase of acknowledgement.
    fn idle_bytes(&self) -> Vec<bool> {
        let mut idle = vec![false; self.text.len()];
        let has = |script| self.units.iter().any(|unit| unit.1 == script);
        let languages = [
            (Language::Japanese, has(Script::Kana) || has(Script::Han)),
            (Language::Chinese, has(Script::Han) && !has(Script::Kana)),
            (Language::Korean, has(Script::Hangul)),
            (Language::Thai, has(Script::Thai)),
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

fn is_idle(idle: &[bool], range: Range<usize>) -> bool {
    idle.get(range).is_some_and(|idle| idle.iter().all(|idle| *idle))
}

/// Gives the pairs of a word of katakana that has more than two characters, beside the word: so
/// that a part of a compound finds it.
pub(super) fn katakana_pairs(word: &str, sink: &mut dyn FnMut(Word<'_>)) {
    let borders: Vec<usize> = word.char_indices().map(|(at, _)| at).chain([word.len()]).collect();
    if borders.len() > 3 {
        for pair in borders.windows(3) {
            sink(Word::whole(&word[pair[0]..pair[2]]));
        }
    }
}
