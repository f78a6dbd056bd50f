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

/// The flags of a turn for a question, in the order of [`NAMES`] from [`FLAGS_START`].
pub(super) fn flags(
    asked: &Asked,
    index: &SessionIndex,
    turn: usize,
    named: &[bool],
) -> [f64; SIGNALS - FLAGS_START] {
    let entry = &index.turns[turn];
    let before = turn.checked_sub(1).map(|before| &index.turns[before]);
    let is = |flag: bool| f64::from(u8::from(flag));
    let wanted = if asked.said_by_assistant { Role::Assistant } else { Role::User };
    [
        is(named.get(usize::from(entry.speaker)).copied().unwrap_or(false)),
        is(entry.marks & FIRST_PERSON != 0),
        is(before.is_some_and(|before| before.marks & ENDS_IN_QUESTION != 0)),
        is(entry.marks & IS_QUESTION != 0),
        is(on_asked_date(asked, entry)),
        is(entry.role == wanted),
    ]
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
        let (mut sum, mut squares) = (0.0, 0.0);
        for value in values.iter().copied().map(f64::from) {
            sum += value.sqrt();
            squares += value;
        }
        let mean = sum / count;
        let deviation = (squares / count - mean * mean).max(0.0).sqrt();
        let per_deviation = if deviation > 1e-6 { 1.0 / deviation } else { 0.0 };
        Self { values, scale: Some(Scale { roots: true, mean, per_deviation }) }
    }

    /// Cosines, which count by their distance to the mean of those that are known, over the
    /// deviation, or times `share` in a partition that is too small for deviations.
    pub(super) fn cosines(values: Vec<f32>, share: Option<f64>) -> Self {
        let known = || values.iter().copied().filter(|value| !value.is_nan()).map(f64::from);
        let count = known().count().max(1) as f64;
        let mean = known().sum::<f64>() / count;
        let variance = known().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
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

    /// The values of all turns as they count, in order.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.values.iter().map(|value| self.weighed(*value))
    }

    fn weighed(&self, value: f32) -> f64 {
        let value = f64::from(value);
        match &self.scale {
            None => value,
            Some(_) if value.is_nan() => 0.0,
            Some(scale) => {
                let value = if scale.roots { value.sqrt() } else { value };
                (value - scale.mean) * scale.per_deviation
            }
        }
    }
}
