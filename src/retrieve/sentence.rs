//! What the words of one sentence say, for those who choose sentences.

use crate::retrieve::{
    Language, Stem,
    rules::{Rules, WordKind, rules},
    words::{Side, each_word},
};

/// What the words of a sentence say. Where a language has no table of rule words, no word is a
/// stop word and no flag is set but the one for numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SentenceWords {
    /// The distinct stems of its informative words (neither stop words nor acknowledgements), by
    /// rising hash.
    pub stems: Vec<u64>,
    /// All its words, in order, case-folded. A script without spaces gives pairs of characters.
    pub words: Vec<String>,
    /// How many words are mere acknowledgement: greetings, thanks, praise.
    pub idle: usize,
    /// Whether it says I, my or their like.
    pub first_person: bool,
    /// Whether it says you, your or their like.
    pub second_person: bool,
    /// Whether it begins with a question word.
    pub opens_with_question: bool,
    /// Whether a word places it in time.
    pub time: bool,
    /// Whether it holds a number.
    pub number: bool,
}

/// Reads sentences by the rules and stems of one language.
pub struct SentenceReader {
    rules: Option<&'static Rules>,
    english: Option<&'static Rules>,
    stem: Stem,
}

impl SentenceReader {
    /// A reader for `language`.
    pub fn new(language: Language) -> Self {
        // Acknowledgements in English are at home in all languages.
        let english = rules(Language::English);
        Self { rules: rules(language), english, stem: Stem::new(language) }
    }

    /// Reads one sentence, in time linear in its length.
    pub fn read(&self, text: &str) -> SentenceWords {
        let mut read = SentenceWords::default();
        each_word(text, Side::Query, &mut |word| {
            if word.again {
                return;
            }
            let kind = match self.rules {
                Some(rules) if !word.raw => rules.kind(word.text),
                _ => WordKind::default(),
            };
            let idle_at = |rules: Option<&Rules>| {
                rules.is_some_and(|r| r.kind(word.text).is(WordKind::ACKNOWLEDGEMENT))
            };
            let stop = kind.is(WordKind::STOP);
            let idle = word.idle || (!stop && (idle_at(self.rules) || idle_at(self.english)));
            read.first_person |= kind.is(WordKind::FIRST_PERSON);
            read.second_person |= kind.is(WordKind::SECOND_PERSON);
            read.opens_with_question |= read.words.is_empty() && kind.is(WordKind::QUESTION);
            read.time |= kind.is(WordKind::TIME);
            read.number |= word.text.bytes().any(|b| b.is_ascii_digit());
            read.idle += usize::from(idle);
            if !stop && !idle {
                self.stem.each_hash(word, &mut |hash| read.stems.push(hash));
            }
            read.words.push(word.text.to_owned());
        });
        read.stems.sort_unstable();
        read.stems.dedup();
        read
    }
}
