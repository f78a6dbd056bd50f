//! The one table of weights of retrieval.

/// Turns of so many words on average, stop words not counted, are short; of so many they are long.
/// Messengers have some 13, assistants who explain some 80.
const WORDS_SHORT: f64 = 20.0;
const WORDS_LONG: f64 = 60.0;

/// What each signal counts in the fused score. Standardised signals count by standard deviations
/// over the partition; flags are 0 or 1. All are round numbers set by hand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// BM25 of the whole session.
    pub session: f64,
    /// Cosine of the query and the whole turn.
    pub cosine_turn: f64,
    /// Cosine of the query and the sentence or passage of the turn that is most like it.
    pub cosine_piece: f64,
    /// The mean of `cosine_piece` over the turn and three neighbours on either side.
    pub cosine_vicinity: f64,
    /// What a term counts that is a mere acknowledgement, beside 1.
    pub idle_term: f64,
    /// What e times the tokens cost a turn that is considered for a context, in deviations of the
    /// score.
    pub length: f64,
    /// The words near a turn, where turns are short: what is said is spread over several.
    pub short_turns: NearWeights,
    /// The same where turns are long, and say by themselves what they are about.
    pub long_turns: NearWeights,
    /// The signals that differ in chats of persons.
    pub person_to_person: ChatWeights,
    /// The signals that differ in chats of a user with an assistant.
    pub user_assistant: ChatWeights,
}

/// What the words of a turn and of those near it count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearWeights {
    /// BM25 of the turn (of its best passage).
    pub turn: f64,
    /// BM25 of the turn with its direct neighbours.
    pub window: f64,
    /// BM25 of the turn with three neighbours on either side.
    pub vicinity: f64,
}

/// What the signals count that differ by the kind of chat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChatWeights {
    /// Flag: the question names the turn's speaker.
    pub speaker_named: f64,
    /// Flag: the turn says I or my.
    pub first_person: f64,
    /// Flag: the turn before ends in a question.
    pub after_question: f64,
    /// Flag: the turn is itself a question.
    pub is_question: f64,
    /// Flag: the question names a date or a time by its distance from now, and the turn is of it.
    pub date: f64,
    /// Flag: the turn is the user's; where the question asks what the assistant said, the
    /// assistant's.
    pub asked_side: f64,
}

impl Weights {
    /// The weights that the service uses.
    pub const DEFAULT: Self = Self {
        session: 0.4,
        cosine_turn: 0.3,
        cosine_piece: 0.5,
        cosine_vicinity: 0.3,
        idle_term: 0.5,
        length: 0.3,
        short_turns: NearWeights { turn: 0.2, window: 0.5, vicinity: 0.5 },
        long_turns: NearWeights { turn: 0.5, window: 0.0, vicinity: 0.0 },
        person_to_person: ChatWeights {
            speaker_named: 3.0,
            first_person: 0.4,
            after_question: 0.5,
            is_question: -1.0,
            date: 1.0,
            asked_side: 0.0,
        },
        user_assistant: ChatWeights {
            speaker_named: 0.0,
            first_person: 0.4,
            after_question: 0.0,
            is_question: 0.0,
            date: 0.5,
            asked_side: 3.0,
        },
    };

    /// The weights of what is near a turn in a partition whose turns have so many words on average,
    /// stop words not counted: between those of short and of long turns.
    pub fn near(&self, words_a_turn: f64) -> NearWeights {
        let long = ((words_a_turn - WORDS_SHORT) / (WORDS_LONG - WORDS_SHORT)).clamp(0.0, 1.0);
        let between = |short: f64, of_long: f64| short + (of_long - short) * long;
        let (short, of_long) = (self.short_turns, self.long_turns);
        NearWeights {
            turn: between(short.turn, of_long.turn),
            window: between(short.window, of_long.window),
            vicinity: between(short.vicinity, of_long.vicinity),
        }
    }

    /// The same with one weight changed, by its name. Before one that differs by the length of
    /// turns `short.` or `long.` may stand, before one that differs by the kind of chat `persons.`
    /// or `assistant.`; without it, it is changed for both. None when there is no such weight.
    #[must_use]
    pub fn with(mut self, name: &str, value: f64) -> Option<Self> {
        let (of, name) = name.split_once('.').unwrap_or(("", name));
        let near = [("short", &mut self.short_turns), ("long", &mut self.long_turns)];
        let near = near.into_iter().map(|(of, weights)| (of, weights.named(name)));
        let chats =
            [("persons", &mut self.person_to_person), ("assistant", &mut self.user_assistant)];
        let chats = chats.into_iter().map(|(of, weights)| (of, weights.named(name)));
        let mut known = false;
        for (which, weight) in near.chain(chats) {
            if let Some(weight) = weight.filter(|_| of.is_empty() || of == which) {
                (*weight, known) = (value, true);
            }
        }
        if let Some(weight) = self.named(name).filter(|_| of.is_empty()) {
            (*weight, known) = (value, true);
        }
        known.then_some(self)
    }

    fn named(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "session" => &mut self.session,
            "cosine_turn" => &mut self.cosine_turn,
            "cosine_piece" => &mut self.cosine_piece,
            "cosine_vicinity" => &mut self.cosine_vicinity,
            "idle_term" => &mut self.idle_term,
            "length" => &mut self.length,
            _ => return None,
        })
    }
}

impl NearWeights {
    fn named(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "turn" => &mut self.turn,
            "window" => &mut self.window,
            "vicinity" => &mut self.vicinity,
            _ => return None,
        })
    }
}

impl ChatWeights {
    fn named(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "speaker_named" => &mut self.speaker_named,
            "first_person" => &mut self.first_person,
            "after_question" => &mut self.after_question,
            "is_question" => &mut self.is_question,
            "date" => &mut self.date,
            "asked_side" => &mut self.asked_side,
            _ => return None,
        })
    }
}
