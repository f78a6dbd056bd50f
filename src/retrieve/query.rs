//! What a query asks for: its terms, and what its rule words say.

use std::ops::RangeInclusive;

use jiff::civil::Date;
use rustc_hash::FxHashMap;

use crate::retrieve::{
    ChatKind, Language, Stem,
    dates::{AskedDate, asked_dates, day_of},
    rules::{Rules, WordKind, by_rule_words, relative, rules},
    spans::asked_spans,
    words::{Side, each_word},
};
use crate::types::Timestamp;

/// A query has at most this many terms; of a longer text the questions and rarest terms are kept.
pub(super) const QUERY_TERMS_MAX: usize = 32;

/// A query of more words than this is reduced to its questions and rarest terms: some 64
/// tokens.
pub(super) const QUERY_WORDS_MAX: usize = 48;

/// A query of fewer informative words borrows those of the user turn before.
const INFORMATIVE_WORDS_MIN: usize = 2;

/// A verb of saying this many words after "you" is the assistant's saying.
const SAID_REACH: usize = 4;

/// Text beyond this many bytes of a query is not read: it holds far more words than are kept.
const QUERY_BYTES_MAX: usize = 64 * 1024;

/// Each word is tried by the stems of so many languages of the partition, the commonest, and by
/// those of the query's own where they are not among them.
const LANGUAGES_MAX: usize = 4;

/// So many bytes of a query show its language by their words.
const TOLD_BYTES_MAX: usize = 400;

/// What is asked of the past.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<'a> {
    /// The question, or the text of the last user turn.
    pub text: &'a str,
    /// The user turn before it, which helps out when `text` alone says too little.
    pub previous_user_text: Option<&'a str>,
    /// The language of `text` (ISO 639-1), or empty: detected, else the partition's.
    pub language: &'a str,
    /// The reference for relative dates; it hides nothing.
    pub as_of: Timestamp,
    /// What kind of conversation was declared; none: seen from the turns.
    pub kind: Option<ChatKind>,
}

/// A word of the query as the turns of the partition may have it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AskedTerm {
    /// Its stem in each language of the partition, none twice.
    pub(super) hashes: Vec<u64>,
    /// The word itself, folded.
    pub(super) word: String,
    /// 1, or less for words that stand for the query's own.
    pub(super) weight: f64,
    /// Whether the word is content, and no mere acknowledgement.
    pub(super) informative: bool,
    /// Whether it stands in a sentence that asks.
    pub(super) asked: bool,
}

/// A query, read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) terms: Vec<AskedTerm>,
    /// How many words it had, stop words included.
    pub(super) words: usize,
    /// Whether it asks for what the assistant said.
    pub(super) said_by_assistant: bool,
    pub(super) dates: Vec<AskedDate>,
    /// The days that it names by their distance from now.
    pub(super) spans: Vec<RangeInclusive<Date>>,
}

impl Asked {
    /// Reads `query` for a partition whose turns were stemmed by `languages`, given with the number
    /// of their turns, the commonest first.
    pub(super) fn read(query: &Query<'_>, languages: &[(Language, usize)]) -> Self {
        let text = head(query.text);
        let language = language_of(text, query.language, languages);
        let reader = Reader::new(language, languages);
        let words = surface_words(text);
        let dates = |rules| asked_dates(&words, rules);
        let spans = |(relative, today)| asked_spans(&words, relative, today);
        let mut asked = Self {
            terms: Vec::new(),
            words: 0,
            said_by_assistant: false,
            dates: reader.rules.map_or_else(Vec::new, dates),
            spans: relative(language).zip(day_of(query.as_of)).map_or_else(Vec::new, spans),
        };
        let mut addressed = 0usize;
        for (sentence, asks) in sentences(text) {
            reader.each(sentence, &mut |kind, term| {
                asked.words += 1;
                addressed = match () {
                    () if kind.is(WordKind::SECOND_PERSON) => SAID_REACH,
                    () if kind.is(WordKind::FIRST_PERSON) => 0,
                    () => addressed.saturating_sub(1),
                };
                asked.said_by_assistant |= addressed > 0 && kind.is(WordKind::SAID);
                asked.terms.extend(term.map(|term| AskedTerm { asked: asks, ..term }));
            });
        }
        asked.terms = distinct(asked.terms);
        if let Some(previous) = query.previous_user_text
            && is_thin(&asked)
        {
            asked.add_previous(head(previous), &reader);
        }
        asked
    }

    /// The terms that are content.
    pub(super) fn informative(&self) -> impl Iterator<Item = &AskedTerm> {
        self.terms.iter().filter(|term| term.informative)
    }

    /// Adds the words of the user turn before, all together at half the weight of the query's own,
    /// so that a long turn does not drown what was asked; they are no evidence by themselves.
    fn add_previous(&mut self, text: &str, reader: &Reader) {
        let mut terms = Vec::new();
        reader.each(text, &mut |_, term| terms.extend(term));
        let borrowed = distinct(terms.into_iter().filter(|term| term.informative).collect());
        let own: f64 = self.informative().map(|term| term.weight).sum();
        let weight = own / 2.0 / borrowed.len().max(1) as f64;
        let borrowed = borrowed.into_iter();
        let borrowed = borrowed.map(|term| AskedTerm { weight, informative: false, ..term });
        self.terms.extend(borrowed);
        self.terms = distinct(std::mem::take(&mut self.terms));
    }
}

/// Whether a query says so little that it borrows from the user turn before.
pub(super) fn is_thin(asked: &Asked) -> bool {
    asked.informative().count() < INFORMATIVE_WORDS_MIN
}

/// The language of a query: what the caller says; what its script says; what its little words say;
/// the partition's, where nine turns of ten are of one; what the text looks like; the partition's
/// commonest.
pub(super) fn language_of(text: &str, hint: &str, languages: &[(Language, usize)]) -> Language {
    let turns: usize = languages.iter().map(|(_, count)| count).sum();
    let common = languages.first().copied();
    Language::parse(hint)
        .or_else(|| Language::by_script(text))
        .or_else(|| by_rule_words(&surface_words(cut(text, TOLD_BYTES_MAX))))
        .or(common.filter(|(_, count)| count * 10 >= turns * 9).map(|(language, _)| language))
        .or_else(|| Language::detect(text))
        .or(common.map(|(language, _)| language))
        .unwrap_or_default()
}

/// Reads words by the rules of the query's language and the stems of the partition's.
pub(super) struct Reader {
    rules: Option<&'static Rules>,
    /// The rules by which a word may be empty: the query's, the partition's, and English, whose
    /// acknowledgements are at home in all languages.
    idle: Vec<&'static Rules>,
    stems: Vec<Stem>,
}

impl Reader {
    pub(super) fn new(language: Language, languages: &[(Language, usize)]) -> Self {
        let others = languages.iter().map(|(other, _)| *other).enumerate();
        let others = others.filter(|(at, other)| *at < LANGUAGES_MAX || *other == language);
        let others: Vec<Language> = others.map(|(_, other)| other).collect();
        let stems = others.iter().map(|language| Stem::new(*language)).collect();
        let idle = others.into_iter().chain([language, Language::English]);
        let idle = idle.filter_map(rules).collect();
        Self { rules: rules(language), idle, stems }
    }

    /// Gives each word of `text`: what it is, and its term unless it is a stop word.
    pub(super) fn each(&self, text: &str, each: &mut dyn FnMut(WordKind, Option<AskedTerm>)) {
        each_word(text, Side::Query, &mut |word| {
            let kind = match self.rules {
                Some(rules) if !word.raw => rules.kind(word.text),
                _ => WordKind::default(),
            };
            let term = (!kind.is(WordKind::STOP)).then(|| {
                let mut hashes = Vec::with_capacity(self.stems.len());
                for stem in &self.stems {
                    stem.each_hash(word, &mut |hash| hashes.push(hash));
                }
                hashes.sort_unstable();
                hashes.dedup();
                let idle = self.idle.iter().any(|rules| {
                    let kind = rules.kind(word.text);
                    kind.is(WordKind::ACKNOWLEDGEMENT) || kind.is(WordKind::STOP)
                });
                AskedTerm {
                    hashes,
                    word: word.text.to_owned(),
                    weight: 1.0,
                    informative: !word.idle && !idle,
                    asked: false,
                }
            });
            each(kind, term);
        });
    }
}

/// The words of `text`, folded, in order, each once: no stems, no parts of identifiers.
pub(super) fn surface_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    each_word(text, Side::Index, &mut |word| {
        if !word.again {
            words.push(word.text.to_owned());
        }
    });
    words
}

/// What of a query's text is read.
pub(super) fn head(text: &str) -> &str {
    cut(text, QUERY_BYTES_MAX)
}

/// The first characters of `text` that have at most `bytes_max` bytes.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The sentences of a text, each with whether it ends in a question mark.
pub(super) fn sentences(text: &str) -> Vec<(&str, bool)> {
    let enders = ['.', '!', '?', '\n', '。', '！', '？', '؟'];
    text.split_inclusive(enders)
        .map(|sentence| (sentence, sentence.ends_with(['?', '？', '؟'])))
        .collect()
}

/// Each term once, in order of first mention; its weight is the largest it had.
fn distinct(terms: Vec<AskedTerm>) -> Vec<AskedTerm> {
    let mut places: FxHashMap<Vec<u64>, usize> = FxHashMap::default();
    let mut kept: Vec<AskedTerm> = Vec::new();
    for term in terms {
        if let Some(&place) = places.get(&term.hashes) {
            let known = &mut kept[place];
            known.weight = known.weight.max(term.weight);
            known.informative |= term.informative;
            known.asked |= term.asked;
        } else {
            places.insert(term.hashes.clone(), kept.len());
            kept.push(term);
        }
    }
    kept
}
