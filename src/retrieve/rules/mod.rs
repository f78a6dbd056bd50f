//! Rule words: one table per language, and what a word is by it.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use crate::retrieve::Language;

mod latin;
mod others;
mod relative;

pub(super) use relative::{Relative, relative};

/// The rule words of one language, each row parted by spaces.
pub(super) struct Table {
    /// Words that carry no content: neither indexed nor asked for.
    pub(super) stop: &'static str,
    /// Words that open a question; they are stop words too.
    pub(super) question: &'static str,
    /// I, my and their like.
    pub(super) first_person: &'static str,
    /// You, your and their like.
    pub(super) second_person: &'static str,
    /// Verbs that ask for what somebody said.
    pub(super) said: &'static str,
    /// Words that place something in time.
    pub(super) time: &'static str,
    /// Words of turns without content; indexed, but no evidence that something is asked for.
    pub(super) acknowledgement: &'static str,
    /// The twelve months in order, or empty.
    pub(super) months: &'static str,
    /// I and my, in this order, or empty: what stands for a speaker's name in a question that is
    /// turned to the first person.
    pub(super) speaker: &'static str,
    /// Pairs of a word and what stands for it beside a name that was turned: she, I.
    pub(super) turned: &'static str,
    /// Verbs that stand before the subject of a question and nowhere in its answer.
    pub(super) auxiliary: &'static str,
}

impl Table {
    /// A table without words.
    const EMPTY: Self = Self {
        stop: "",
        question: "",
        first_person: "",
        second_person: "",
        said: "",
        time: "",
        acknowledgement: "",
        months: "",
        speaker: "",
        turned: "",
        auxiliary: "",
    };
}

/// What a word is by its language's table: a set of the constants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct WordKind(u16);

impl WordKind {
    pub(super) const STOP: Self = Self(1);
    pub(super) const QUESTION: Self = Self(2);
    pub(super) const FIRST_PERSON: Self = Self(8);
    pub(super) const SECOND_PERSON: Self = Self(16);
    pub(super) const SAID: Self = Self(32);
    pub(super) const TIME: Self = Self(64);
    pub(super) const ACKNOWLEDGEMENT: Self = Self(128);
    pub(super) const AUXILIARY: Self = Self(256);

    /// Whether the word is of kind `other`.
    pub(super) fn is(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A language's table, ready to be asked.
pub(super) struct Rules {
    kinds: FxHashMap<&'static str, WordKind>,
    phrases: Vec<&'static str>,
    months: FxHashMap<&'static str, u8>,
    speaker: Option<(&'static str, &'static str)>,
    turned: Vec<(&'static str, &'static str)>,
}

impl Rules {
    /// What `word` (case-folded) is; nothing when the table does not know it.
    pub(super) fn kind(&self, word: &str) -> WordKind {
        self.kinds.get(word).copied().unwrap_or_default()
    }

    /// The phrases of acknowledgement, longest first, of a script without spaces; else empty.
    pub(super) fn phrases(&self) -> &[&'static str] {
        &self.phrases
    }

    /// The month that `word` names, 1 to 12.
    pub(super) fn month(&self, word: &str) -> Option<u8> {
        self.months.get(word).copied()
    }

    /// I and my; none when the language does not turn questions to the first person.
    pub(super) fn speaker(&self) -> Option<(&'static str, &'static str)> {
        self.speaker
    }

    /// What stands for a pronoun beside a name that was turned to the first person.
    pub(super) fn turned(&self, word: &str) -> Option<&'static str> {
        self.turned.iter().find(|(known, _)| *known == word).map(|(_, turned)| *turned)
    }

    fn of(table: &Table, spaceless: bool) -> Self {
        let mut kinds: FxHashMap<&'static str, WordKind> = FxHashMap::default();
        let rows = [
            (table.stop, WordKind::STOP),
            (table.question, WordKind(WordKind::QUESTION.0 | WordKind::STOP.0)),
            (table.first_person, WordKind::FIRST_PERSON),
            (table.second_person, WordKind::SECOND_PERSON),
            (table.said, WordKind::SAID),
            (table.time, WordKind::TIME),
            (table.acknowledgement, WordKind::ACKNOWLEDGEMENT),
            (table.auxiliary, WordKind::AUXILIARY),
        ];
        for (row, kind) in rows {
            for word in row.split_whitespace() {
                kinds.entry(word).or_default().0 |= kind.0;
            }
        }
        let mut phrases = Vec::new();
        if spaceless {
            phrases.extend(table.acknowledgement.split_whitespace());
            phrases.extend(table.question.split_whitespace());
            phrases.sort_by_key(|phrase| (std::cmp::Reverse(phrase.len()), *phrase));
        }
        let months = table.months.split_whitespace().zip(1..).collect();
        let speaker = table.speaker.split_once(' ');
        let words: Vec<&str> = table.turned.split_whitespace().collect();
        let turned = words.as_chunks().0.iter().map(|[word, turned]| (*word, *turned)).collect();
        Self { kinds, phrases, months, speaker, turned }
    }
}

/// Whether `word` (case-folded) is empty of content in any language that has a table.
pub(super) fn is_idle_anywhere(word: &str) -> bool {
    RULES.iter().any(|(_, rules)| {
        let kind = rules.kind(word);
        kind.is(WordKind::ACKNOWLEDGEMENT) || kind.is(WordKind::STOP)
    })
}

/// The language that at least two of the words (case-folded) are stop words of, more than of any
/// other and more than twice as many as of English; none when there is no such language. So a
/// question of four words, too short for statistics of letters, shows its language.
pub(super) fn by_rule_words(words: &[String]) -> Option<Language> {
    let count = |rules: &Rules| words.iter().filter(|w| rules.kind(w).is(WordKind::STOP)).count();
    let counts: Vec<usize> = RULES.iter().map(|(_, rules)| count(rules)).collect();
    let most = counts.iter().copied().max().filter(|most| *most >= 2)?;
    let mut with_most = RULES.iter().zip(&counts).filter(|(_, count)| **count == most);
    let (language, _) = with_most.next()?.0;
    let english = rules(Language::English).map_or(0, count);
    let clear = *language == Language::English || most > 2 * english;
    (with_most.next().is_none() && clear).then_some(*language)
}

/// The rules of `language`, or none when it has no table: then it gets no flags.
pub(super) fn rules(language: Language) -> Option<&'static Rules> {
    RULES.iter().find(|(known, _)| *known == language).map(|(_, rules)| rules)
}

static RULES: LazyLock<Vec<(Language, Rules)>> = LazyLock::new(|| {
    [
        (Language::English, &latin::ENGLISH),
        (Language::German, &latin::GERMAN),
        (Language::French, &latin::FRENCH),
        (Language::Spanish, &latin::SPANISH),
        (Language::Italian, &latin::ITALIAN),
        (Language::Portuguese, &latin::PORTUGUESE),
        (Language::Dutch, &latin::DUTCH),
        (Language::Turkish, &latin::TURKISH),
        (Language::Russian, &others::RUSSIAN),
        (Language::Arabic, &others::ARABIC),
        (Language::Japanese, &others::JAPANESE),
        (Language::Chinese, &others::CHINESE),
        (Language::Korean, &others::KOREAN),
        (Language::Thai, &others::THAI),
    ]
    .into_iter()
    .map(|(language, table)| (language, Rules::of(table, language.is_spaceless())))
    .collect()
});
