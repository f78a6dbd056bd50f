//! The one table of weights of retrieval.

/// What each signal counts in the fused score. Standardised signals count by standard deviations
/// over the partition; flags are 0 or 1. All are round numbers set by hand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// BM25 of the turn (of its best passage).
    pub turn: f64,
    /// BM25 of the turn with its direct neighbours.
    pub window: f64,
    /// BM25 of the turn with three neighbours on either side.
    pub vicinity: f64,
    /// BM25 of the whole session.
    pub session: f64,
    /// Cosine of the query and the whole turn.
    pub cosine_turn: f64,
    /// Cosine of the query and the sentence or passage of the turn that is most like it.
    pub cosine_piece: f64,
    /// The mean of `cosine_piece` over the turn and three neighbours on either side.
    pub cosine_vicinity: f64,
    /// What a term counts that is the name of a speaker, beside 1: the flag says it better.
    pub name_term: f64,
    /// What a term counts that is a mere acknowledgement, beside 1.
    pub idle_term: f64,
    /// The signals that differ in chats of persons.
    pub person_to_person: ChatWeights,
    /// The signals that differ in chats of a user with an assistant.
    pub user_assistant: ChatWeights,
}

/// What the signals count that differ by the kind of chat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChatWeights {
    /// BM25 of the turn before: it says what a short answer is about.
    pub before: f64,
    /// BM25 of the turn after: an assistant takes up what the user said.
    pub after: f64,
    /// Flag: the question names the turn's speaker.
    pub speaker_named: f64,
    /// Flag: the turn says I or my.
    pub first_person: f64,
    /// Flag: the turn before ends in a question.
    pub after_question: f64,
    /// Flag: the turn is itself a question.
    pub is_question: f64,
    /// Flag: the question asks for a time, and the turn has a word of time.
    pub time_word: f64,
    /// Flag: the question names a date, and the turn is of it.
    pub date: f64,
    /// Flag: the turn is the user's; where the question asks what the assistant said, the
    /// assistant's.
    pub asked_side: f64,
}

impl Weights {
    /// The weights that the service uses.
    pub const DEFAULT: Self = Self {
        turn: 0.5,
        window: 0.5,
        vicinity: 0.5,
        session: 0.4,
        cosine_turn: 0.3,
        cosine_piece: 0.5,
        cosine_vicinity: 0.3,
        name_term: 0.5,
        idle_term: 0.5,
        person_to_person: ChatWeights {
            before: 0.3,
            after: 0.0,
            speaker_named: 3.0,
            first_person: 0.4,
            after_question: 0.5,
            is_question: -1.0,
            time_word: 0.5,
            date: 1.0,
            asked_side: 0.0,
        },
        user_assistant: ChatWeights {
            before: 0.0,
            after: 0.3,
            speaker_named: 0.0,
            first_person: 0.4,
            after_question: 0.0,
            is_question: 0.0,
            time_word: 0.3,
            date: 0.5,
            asked_side: 3.0,
        },
    };
}
