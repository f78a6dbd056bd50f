//! The signals beside BM25, and how signals are standardised and summed. Each is a pure function.

use crate::retrieve::{
    ChatWeights, NearWeights, Weights,
    dates::day_of,
    index::{SessionIndex, TurnEntry},
    query::Asked,
    terms::{ENDS_IN_QUESTION, FIRST_PERSON, IS_QUESTION},
};
use crate::types::Role;

/// Partitions of fewer turns than this use raw scores: a deviation over so few says nothing.
pub(super) const STANDARDISED_TURNS_MIN: usize = 20;

/// What cosines count beside raw scores: they vary by a few tenths at the most.
pub(super) const RAW_COSINE_SHARE: f64 = 3.0;

/// What flags count beside raw scores, which lie below 1 where rare words are few.
pub(super) const RAW_FLAG_SHARE: f64 = 0.1;

/// How many signals there are.
pub(super) const SIGNALS: usize = 13;

/// The names of the signals, in the order of their values.
pub(super) const NAMES: [&str; SIGNALS] = [
    "turn",
    "window",
    "vicinity",
    "session",
    "cosine_turn",
    "cosine_piece",
    "cosine_vicinity",
    "speaker_named",
    "first_person",
    "after_question",
    "is_question",
    "date",
    "asked_side",
];

/// The places of these signals.
pub(super) const TURN: usize = 0;
pub(super) const WINDOW: usize = 1;
pub(super) const VICINITY: usize = 2;
pub(super) const SESSION: usize = 3;
pub(super) const COSINE_PIECE: usize = 5;

/// The signals before this one are lexical; those from it on compare vectors.
pub(super) const COSINES_START: usize = 4;

/// The signals before this one are standardised; those from it on are flags.
pub(super) const FLAGS_START: usize = 7;

/// What kind of chat a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatKind {
    /// Persons talk with each other.
    PersonToPerson,
    /// A user talks with a model.
    UserAssistant,
}

impl ChatKind {
    /// The kind by the partition's assistant turns: persons have names. More than half decide.
    pub(super) fn of<'a>(turns: impl Iterator<Item = &'a TurnEntry>) -> Self {
        let (mut named, mut all) = (0usize, 0usize);
        for turn in turns.filter(|turn| turn.role == Role::Assistant) {
            all += 1;
            named += usize::from(turn.speaker != u16::MAX);
        }
        if named * 2 > all { Self::PersonToPerson } else { Self::UserAssistant }
    }

    /// The flags' weights for this kind.
    pub(super) fn weights(self, weights: &Weights) -> ChatWeights {
        match self {
            Self::PersonToPerson => weights.person_to_person,
            Self::UserAssistant => weights.user_assistant,
        }
    }
}

/// The weights in the order of [`NAMES`].
pub(super) fn in_order(weights: &Weights, near: NearWeights, chat: ChatWeights) -> [f64; SIGNALS] {
    [
        near.turn,
        near.window,
        near.vicinity,
        weights.session,
        weights.cosine_turn,
        weights.cosine_piece,
        weights.cosine_vicinity,
        chat.speaker_named,
        chat.first_person,
        chat.after_question,
        chat.is_question,
        chat.date,
        chat.asked_side,
    ]
}

/// The flags of a turn for a question, a bit each, in the order of [`NAMES`] from [`FLAGS_START`].
#[derive(Clone, Copy)]
pub(super) struct Flags(u8);

impl Flags {
    /// How many there are.
    const COUNT: usize = SIGNALS - FLAGS_START;

    /// Those of a turn; `named` are the speakers of its session that the question names.
    pub(super) fn of(asked: &Asked, index: &SessionIndex, turn: usize, named: &[bool]) -> Self {
        let entry = &index.turns[turn];
        let before = turn.checked_sub(1).map(|before| &index.turns[before]);
        let wanted = if asked.said_by_assistant { Role::Assistant } else { Role::User };
        let flags: [bool; Self::COUNT] = [
            named.get(usize::from(entry.speaker)).copied().unwrap_or(false),
            entry.marks & FIRST_PERSON != 0,
            before.is_some_and(|before| before.marks & ENDS_IN_QUESTION != 0),
            entry.marks & IS_QUESTION != 0,
            on_asked_date(asked, entry),
            entry.role == wanted,
        ];
        Self(flags.iter().rev().fold(0, |bits, flag| bits << 1 | u8::from(*flag)))
    }

    /// All that there can be, in the order of their places.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..1 << Self::COUNT).map(Self)
    }

    /// Its place among all.
    pub(super) fn place(self) -> usize {
        usize::from(self.0)
    }

    /// Each as a number: 1 where it is set, else 0.
    pub(super) fn values(self) -> impl Iterator<Item = f64> {
        (0..Self::COUNT).map(move |place| f64::from(self.0 >> place & 1))
    }
}

fn on_asked_date(asked: &Asked, entry: &TurnEntry) -> bool {
    if asked.dates.is_empty() && asked.spans.is_empty() {
        return false;
    }
    let named = |day| {
        let by_name = asked.dates.iter().any(|date| date.matches(day));
        by_name || asked.spans.iter().any(|span| span.contains(&day))
    };
    day_of(entry.created_at).is_some_and(named)
}

/// Which speakers of a session the query names, by any word of their name.
pub(super) fn named_speakers(index: &SessionIndex, query_words: &[String]) -> Vec<bool> {
    let names = |word: &String| word.chars().count() > 1 && query_words.contains(word);
    index.speakers.iter().map(|speaker| speaker.words.iter().any(names)).collect()
}

/// A signal of all turns, with what makes its values comparable with other signals'. A turn whose
/// value is not known (NaN) counts 0, as one at the mean.
pub(super) struct Standardised {
    values: Vec<f32>,
    scale: Option<Scale>,
}

/// The mean of a signal and one over its deviation, of its values or their square roots.
struct Scale {
    roots: bool,
    mean: f64,
    per_deviation: f64,
}

impl Standardised {
    /// Values that count as they are.
    pub(super) fn raw(values: Vec<f32>) -> Self {
        Self { values, scale: None }
    }

    /// Values that count by their square roots, less the mean, over the deviation. The root keeps
    /// one rare word from outweighing all else. Without variance all count 0.
    pub(super) fn new(values: Vec<f32>) -> Self {
        let count = values.len().max(1) as f64;
        let mean = sum(&values, |value| f64::from(value.sqrt())) / count;
        let squares = sum(&values, f64::from) / count;
        let deviation = (squares - mean * mean).max(0.0).sqrt();
        let per_deviation = if deviation > 1e-6 { 1.0 / deviation } else { 0.0 };
        Self { values, scale: Some(Scale { roots: true, mean, per_deviation }) }
    }

    /// Cosines, which count by their distance to the mean of those that are known, over the
    /// deviation, or times `share` in a partition that is too small for deviations.
    pub(super) fn cosines(values: Vec<f32>, share: Option<f64>) -> Self {
        let zero = |value: f32| if value.is_nan() { 0.0 } else { f64::from(value) };
        let count = sum(&values, |value| f64::from(u8::from(!value.is_nan()))).max(1.0);
        let mean = sum(&values, zero) / count;
        let square = |value: f32| if value.is_nan() { 0.0 } else { (zero(value) - mean).powi(2) };
        let variance = sum(&values, square) / count;
        let deviation = variance.sqrt();
        let standard = if deviation > 1e-6 { 1.0 / deviation } else { 0.0 };
        let per_deviation = share.unwrap_or(standard);
        Self { values, scale: Some(Scale { roots: false, mean, per_deviation }) }
    }

    /// The signal's own value of a turn.
    pub(super) fn raw_of(&self, turn: usize) -> f64 {
        let value = self.values[turn];
        if value.is_nan() { 0.0 } else { f64::from(value) }
    }

    /// Whether the value of a turn is known and at least `least`.
    pub(super) fn reaches(&self, turn: usize, least: f32) -> bool {
        self.values[turn] >= least
    }

    /// The value of a turn as it counts.
    pub(super) fn value_of(&self, turn: usize) -> f64 {
        self.weighed(self.values[turn])
    }

    /// Adds to the score of each turn its value as it counts, times `weight`.
    pub(super) fn add(&self, weight: f64, scores: &mut [f64]) {
        let values = self.values.iter().copied();
        let turns = scores.iter_mut().zip(values);
        // The same as the weighed value of each, but what is asked of the signal is asked once.
        match &self.scale {
            None => turns.for_each(|(score, value)| *score += weight * f64::from(value)),
            Some(scale) if scale.roots => {
                turns.for_each(|(score, value)| *score += weight * scale.of(value.sqrt()));
            }
            Some(scale) => turns.for_each(|(score, value)| {
                *score += weight * if value.is_nan() { 0.0 } else { scale.of(value) };
            }),
        }
    }

    fn weighed(&self, value: f32) -> f64 {
        match &self.scale {
            None => value.into(),
            Some(_) if value.is_nan() => 0.0,
            Some(scale) => scale.of(if scale.roots { value.sqrt() } else { value }),
        }
    }
}

impl Scale {
    fn of(&self, value: f32) -> f64 {
        (f64::from(value) - self.mean) * self.per_deviation
    }
}

/// The sum over all values, in four rows side by side: each addition waits for the one before.
fn sum(values: &[f32], of: impl Fn(f32) -> f64) -> f64 {
    let mut sums = [0.0; 4];
    let fours = values.chunks_exact(4);
    let rest: f64 = fours.remainder().iter().map(|value| of(*value)).sum();
    for four in fours {
        for (sum, value) in sums.iter_mut().zip(four) {
            *sum += of(*value);
        }
    }
    sums.iter().sum::<f64>() + rest
}
