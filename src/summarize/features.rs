//! What a sentence is worth to somebody who reads nothing else.

use std::borrow::Cow;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::retrieve::{Language, SentenceReader, SentenceWords};
use crate::summarize::{
    cues::{Cues, cues, has},
    sentences::Kind,
};

/// Sentences with fewer informative stems say nothing by themselves.
const STEMS_MIN: usize = 2;

/// Sentences longer than this are not lines but paragraphs, in bytes.
const TEXT_BYTES_MAX: usize = 600;

/// More speakers than this are a crowd, whose names are facts again.
const SPEAKERS_MAX: usize = 16;

/// How a sentence takes part in the talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// A person's.
    Person,
    /// A model's.
    Model,
}

/// A sentence with all that is known about it.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) words: SentenceWords,
    pub(super) language: Language,
    /// Capitalised words that do not open the sentence, and numbers, each as a hash.
    pub(super) names: FxHashSet<u64>,
    pub(super) numbers: FxHashSet<u64>,
    pub(super) asks: bool,
    /// Whether nothing but yes, no, thanks and the names of speakers is in it.
    pub(super) bare: bool,
}

/// How well a sentence stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does.
    Alone,
    /// It points at what was said right before.
    Points,
    /// It stands alone, but its object was named before.
    Leans,
    /// It answers a question.
    Answers,
}

/// Readers by language, made when they are first needed.
pub(super) struct Readers {
    readers: FxHashMap<Language, SentenceReader>,
    /// The words of the speakers' names, in lower case: to be spoken to is no fact.
    speakers: Vec<String>,
}

impl Readers {
    /// Readers for a talk of these speakers; only the first [`SPEAKERS_MAX`] are known by name.
    pub(super) fn new<'a>(speakers: impl Iterator<Item = &'a str>) -> Self {
        let mut known: Vec<String> = Vec::new();
        for word in speakers.flat_map(str::split_whitespace) {
            let word = word.to_lowercase();
            if known.len() < SPEAKERS_MAX && !known.contains(&word) {
                known.push(word);
            }
        }
        Self { readers: FxHashMap::default(), speakers: known }
    }

    pub(super) fn read(&mut self, text: &str, language: Language) -> Read {
        let reader = self.readers.entry(language).or_insert_with(|| SentenceReader::new(language));
        let words = reader.read(text);
        let (names, numbers) = specifics(text, &self.speakers);
        let trimmed = text.trim_end_matches(|c: char| !c.is_alphanumeric() && !is_question(c));
        let asks =
            trimmed.ends_with(is_question) || words.opens_with_question && !text.ends_with('!');
        let spoken_to = words.words.iter().filter(|word| is_speaker(&self.speakers, word)).count();
        let bare = words.stems.len() <= spoken_to;
        Read { words, language, names, numbers, asks, bare }
    }
}

/// Whether `word` (case-folded) is a word of a speaker's name, or a short form of one.
fn is_speaker(speakers: &[String], word: &str) -> bool {
    speakers.iter().any(|known| known == word || word.len() >= 3 && known.starts_with(word))
}

fn is_question(c: char) -> bool {
    matches!(c, '?' | '？' | '؟')
}

/// Names (capitalised words that do not open the sentence) and numbers.
fn specifics(text: &str, speakers: &[String]) -> (FxHashSet<u64>, FxHashSet<u64>) {
    let (mut names, mut numbers) = (FxHashSet::default(), FxHashSet::default());
    for (at, word) in text.split_whitespace().enumerate() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word);
        let Some(first) = word.chars().next() else { continue };
        if word.chars().any(|c| c.is_ascii_digit()) {
            numbers.insert(hash(word));
        } else if at > 0 && first.is_uppercase() && word.chars().count() > 1 && !contracted(word) {
            let name = word.to_lowercase();
            if !is_speaker(speakers, &name) {
                names.insert(hash(&name));
            }
        }
    }
    (names, numbers)
}

/// `I'm`, `I'd` and their like are no names.
fn contracted(word: &str) -> bool {
    word.starts_with("I'") || word.starts_with("I’")
}

fn hash(word: &str) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = rustc_hash::FxHasher::default();
    word.hash(&mut hasher);
    hasher.finish()
}

/// How well a sentence stands alone, by the word that opens it.
pub(super) fn standing(read: &Read) -> Standing {
    let cues = cues(read.language);
    let Some(first) = read.words.words.first() else { return Standing::Points };
    let length = read.words.words.len();
    let short = length <= 4 && !read.words.first_person && !read.asks;
    let is_fragment = length <= 7 && !read.asks && has(cues.fragments, first);
    if has(cues.answers, first) || short || is_fragment {
        Standing::Answers
    } else if has(cues.pointers, first) {
        Standing::Points
    } else if leans(read, cues) {
        Standing::Leans
    } else {
        Standing::Alone
    }
}

/// Whether one of the words after the first is an object that points back.
fn leans(read: &Read, cues: &Cues) -> bool {
    let words = &read.words.words;
    words.iter().take(4).skip(1).any(|word| has(cues.objects, word))
}

/// The sentence without a judgement at its end: `I ran a race, which was fun!` says
/// `I ran a race.`
pub(super) fn without_tail(text: &str, language: Language) -> Cow<'_, str> {
    let marks = cues(language).tails.split('|').filter(|mark| !mark.is_empty());
    let Some(at) = marks.filter_map(|mark| text.rfind(mark)).max() else {
        return Cow::Borrowed(text);
    };
    let (head, tail) = text.split_at(at);
    let (names, numbers) = specifics(tail, &[]);
    let short = tail.split_whitespace().count() <= 6 && head.split_whitespace().count() >= 5;
    if !short || !names.is_empty() || !numbers.is_empty() || tail.ends_with('?') {
        return Cow::Borrowed(text);
    }
    let head = head.trim_end_matches(|c: char| !c.is_alphanumeric() && !")]\"'”’".contains(c));
    Cow::Owned(format!("{head}."))
}

/// The sentence without the openers that carry no content: `Oh wow, thanks! I …` says `I …`.
pub(super) fn without_fillers(text: &str, language: Language) -> &str {
    let row = cues(language).fillers;
    let mut rest = text.trim();
    while let Some((opener, after)) = opener(rest) {
        let words: Vec<String> = opener.split_whitespace().map(str::to_lowercase).collect();
        let opens = words.first().is_some_and(|first| has(row, first));
        let filler = words.len() <= 3 && (opens || has(row, &words.join("_")));
        if !filler {
            break;
        }
        rest = after;
    }
    rest
}

/// What stands before the first comma or dash, and what comes after.
fn opener(text: &str) -> Option<(&str, &str)> {
    let at = text.char_indices().take(40).find(|(_, c)| ",!-–—".contains(*c))?.0;
    let after =
        text[at..].trim_start_matches(|c: char| !c.is_alphanumeric() && !"\"'“(".contains(c));
    let enough = after.split_whitespace().nth(2).is_some();
    let spaced = text[at..].chars().nth(1).is_some_and(char::is_whitespace);
    (enough && spaced).then_some((&text[..at], after))
}

/// What a sentence is worth by itself; 0 or less: no line.
pub(super) fn worth(read: &Read, text: &str, kind: Kind, voice: Voice) -> f64 {
    let words = &read.words;
    let total = words.words.len().max(1);
    if words.stems.len() < STEMS_MIN || text.len() > TEXT_BYTES_MAX || text.ends_with(':') {
        return 0.0;
    }
    if kind == Kind::Caption {
        return if voice == Voice::Person { 0.9 } else { 0.0 };
    }
    let cues = cues(read.language);
    let idle = words.idle as f64 / total as f64;
    let facts = words.words.iter().filter(|word| has(cues.facts, word)).count();
    let flag = |is: bool, worth: f64| if is { worth } else { 0.0 };
    let felt = words.words.iter().filter(|word| has(cues.feelings, word)).count();
    let mut worth = 0.3 + 0.15 * (words.stems.len().min(12) as f64);
    worth += 0.4 * read.names.len().min(3) as f64 + 0.4 * read.numbers.len().min(3) as f64;
    worth -= 0.35 * felt.min(4) as f64;
    worth += flag(words.time, 0.7) + 0.25 * facts.min(3) as f64;
    worth -= 1.2 * idle;
    worth -= flag(text.ends_with('!'), 0.2);
    match voice {
        Voice::Person => {
            worth += flag(words.first_person, 0.7);
            worth -= flag(reacts(read, cues), 1.1);
            worth -= flag(words.second_person, 0.3);
            worth -= flag(words.second_person && !words.first_person, 0.3);
            worth -= flag(read.asks, 1.2);
            worth -= flag(kind == Kind::Item, 0.5);
        }
        Voice::Model => {
            let telling = !read.names.is_empty() || !read.numbers.is_empty();
            let boilerplate = words.first_person
                || words.second_person
                || read.asks
                || kind == Kind::Item
                || !telling
                || reacts(read, cues);
            worth = if boilerplate { 0.0 } else { worth * 0.35 };
        }
    }
    worth
}

/// Whether it is praise, advice or encouragement.
fn reacts(read: &Read, cues: &Cues) -> bool {
    let words = &read.words;
    let opens = words.words.first().is_some_and(|first| has(cues.reactions, first));
    opens && (!words.first_person || words.words.len() < 6)
}

/// Whether it says that something is no longer as it was.
pub(super) fn says_change(read: &Read) -> bool {
    let row = cues(read.language).changes;
    read.words.words.iter().any(|word| has(row, word))
}
