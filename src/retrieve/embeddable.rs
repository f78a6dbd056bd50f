//! What of a question is embedded: the question as the one who could answer it would say it.

use unicode_segmentation::UnicodeSegmentation;

use crate::retrieve::{
    Query, Source,
    lexical::Partition,
    query::{Asked, QUERY_WORDS_MAX, head, is_thin, language_of, sentences},
    rank::languages,
    rules::{Rules, WordKind, rules},
};

/// A user turn before of so many bytes at the most helps a question that says too little: of a
/// longer one the vector would be that of the turn, whatever was asked.
const PREVIOUS_BYTES_MAX: usize = 160;

/// What to embed for a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embeddable {
    /// The text, not empty.
    pub text: String,
    /// Its language (ISO 639-1), or empty when it is not known.
    pub language: &'static str,
}

/// What to embed for a question to these sources; none when nothing is asked for, so that the past
/// is not searched, or when there is no past.
///
/// A question that names a speaker of the sources is turned to the first person: "When did Ann go
/// there?" is answered by somebody who says "I went there". Of a long text its questions are
/// embedded; one with fewer than two informative words brings the user turn before with it.
pub fn to_embed(query: &Query<'_>, sources: &[Source<'_>]) -> Option<Embeddable> {
    let partition = Partition::of(sources);
    if partition.turns == 0 {
        return None;
    }
    let languages = languages(&partition);
    let asked = Asked::read(query, &languages);
    asked.informative().next()?;
    let whole = head(query.text);
    let language = language_of(whole, query.language, &languages);
    let mut text = String::new();
    let previous = query.previous_user_text.filter(|_| is_thin(&asked));
    if let Some(previous) = previous.filter(|text| text.trim().len() <= PREVIOUS_BYTES_MAX) {
        text.push_str(previous.trim());
        text.push(' ');
    }
    let names = names(&partition);
    let rules = rules(language);
    for sentence in kept(whole, asked.words > QUERY_WORDS_MAX) {
        match rules.and_then(|rules| first_person(sentence, rules, &names)) {
            Some(turned) => text.push_str(&turned),
            None => text.push_str(sentence),
        }
    }
    Some(Embeddable { text: text.trim().to_owned(), language: language.code() })
}

/// What to embed for a question to documents: the question as it is, of a long one its questions;
/// none when nothing is asked. `hint` is a language that is known to be right (ISO 639-1), or
/// empty.
pub fn plain_question(text: &str, hint: &str) -> Option<Embeddable> {
    let whole = head(text);
    let words = whole.unicode_words().count();
    let language = language_of(whole, hint, &[]);
    let text: String = kept(whole, words > QUERY_WORDS_MAX).concat();
    let text = text.trim();
    (!text.is_empty()).then(|| Embeddable { text: text.to_owned(), language: language.code() })
}

/// The sentences of a text that are embedded: of a long one those that ask, if there are any.
fn kept(text: &str, long: bool) -> Vec<&str> {
    let all = sentences(text);
    let asking = all.iter().any(|(_, asks)| *asks);
    let kept = all.into_iter().filter(|(_, asks)| *asks || !(long && asking));
    kept.map(|(sentence, _)| sentence).collect()
}

/// The words of the names of the partition's speakers, folded.
fn names<'a>(partition: &Partition<'a>) -> Vec<&'a String> {
    let speakers = partition.parts.iter().flat_map(|part| &part.index.speakers);
    let mut names: Vec<&String> = speakers.flat_map(|speaker| &speaker.words).collect();
    names.retain(|name| name.chars().count() > 1);
    names.sort_unstable();
    names.dedup();
    names
}

/// A question that names a speaker, as the speaker would say it; none when `sentence` is no
/// question or names nobody.
fn first_person(sentence: &str, rules: &Rules, names: &[&String]) -> Option<String> {
    let (subject, possessive) = rules.speaker()?;
    let words: Vec<Word<'_>> =
        sentence.split_word_bounds().map(|word| Word::read(word, rules, names)).collect();
    let opens = words.iter().find(|word| word.shape != Shape::Mark);
    let asks = sentence.trim_end().ends_with(['?', '？', '؟'])
        || opens.is_some_and(|word| word.shape == Shape::Asking);
    if !asks || !words.iter().any(|word| word.shape == Shape::Name) {
        return None;
    }
    let mut turned = String::new();
    let mut seen = false;
    for (at, word) in words.iter().enumerate() {
        match word.shape {
            Shape::Name => {
                seen = true;
                // The words of one name are one speaker, told by the last.
                let next = words[at + 1..].iter().find(|next| !next.text.trim().is_empty());
                if next.is_none_or(|next| next.shape != Shape::Name) {
                    turned.push_str(if word.possessive { possessive } else { subject });
                }
            }
            Shape::Asking if !seen => {}
            Shape::Asking | Shape::Word => {
                turned.push_str(rules.turned(&word.folded).unwrap_or(word.text));
            }
            Shape::Mark if !word.text.trim().is_empty() => turned.push_str(word.text),
            Shape::Mark if turned.is_empty() || turned.ends_with(' ') => {}
            Shape::Mark => turned.push(' '),
        }
    }
    Some(turned)
}

/// What a piece of a sentence is for its turning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Of a speaker's name.
    Name,
    /// A question word, or a verb that stands before the subject of a question.
    Asking,
    /// Any other word.
    Word,
    /// White space and punctuation.
    Mark,
}

/// A piece of a sentence: a word, a mark, white space.
struct Word<'a> {
    text: &'a str,
    /// Up to its apostrophe, folded.
    folded: String,
    /// Whether it ends as "Ann's" does.
    possessive: bool,
    shape: Shape,
}

impl<'a> Word<'a> {
    fn read(text: &'a str, rules: &Rules, names: &[&String]) -> Self {
        let (stem, end) = text.split_once(['\'', '\u{2019}']).unwrap_or((text, ""));
        let folded = stem.to_lowercase();
        let kind = rules.kind(&folded);
        // Will and May are names only where they are written as such.
        let common = kind.is(WordKind::STOP) && folded == stem;
        let shape = match () {
            () if !text.contains(char::is_alphanumeric) => Shape::Mark,
            () if !common && names.binary_search(&&folded).is_ok() => Shape::Name,
            () if kind.is(WordKind::QUESTION) || kind.is(WordKind::AUXILIARY) => Shape::Asking,
            () => Shape::Word,
        };
        Self { text, folded, possessive: end == "s", shape }
    }
}
