//! Summaries out of turns, and out of summaries.

use crate::retrieve::Language;
use crate::summarize::{
    Line, SUMMARIZER_VERSION, SUMMARY_PERCENT, Span, Summary,
    features::{Read, Readers, Standing, Voice, standing, without_fillers, without_tail, worth},
    select::{Candidate, select},
    sentences::{CAPTION, Kind, Sentence, sentences},
    summary::SUMMARY_TOKENS_MAX,
};
use crate::tokens::Tokenizer;
use crate::types::{Part, Role, Turn};

/// Sentences of a turn after this many are worth half: a text that long was pasted.
const PASTED_SENTENCES: usize = 24;

/// What a sentence is worth more in the turn that opens a span: it names the topic.
const TOPIC_WORTH: f64 = 0.3;

/// Two sentences make one line when they are together no longer than this, in bytes.
const JOINED_BYTES_MAX: usize = 320;

/// A question that is brought before its answer is at most this long, in bytes.
const QUESTION_BYTES_MAX: usize = 160;

/// Summarizes the living turns of a span, by ascending seq: whole sentences, at most
/// [`SUMMARY_PERCENT`] of the tokens of their words, headings of days included.
///
/// `language` is an ISO 639-1 code that the caller knows to be right, or empty: then each turn's
/// own language is detected. Time is linear in the text but for the sorting of its sentences.
pub fn summarize(span: Span, turns: &[&Turn], language: &str, tokenizer: &Tokenizer) -> Summary {
    let texts: Vec<String> = turns.iter().map(|turn| words(turn)).collect();
    let source_tokens = texts.iter().map(|text| u64::from(tokenizer.count(text))).sum();
    let mut reader = Reader::new(
        language,
        texts.iter().map(String::as_str),
        &mut turns.iter().map(|t| t.speaker()),
    );
    let mut asked = None;
    for (turn, text) in turns.iter().zip(&texts) {
        asked = reader.turn(turn, text, asked);
    }
    let lines = select(reader.candidates, budget(source_tokens), tokenizer);
    let turns = turns.len() as u64;
    Summary { span, turns, lines, source_tokens, version: SUMMARIZER_VERSION }
}

/// Summarizes what the summaries of the level below say, oldest first: their best lines, at most
/// what one summary may cost.
pub fn condense(
    span: Span,
    children: &[&Summary],
    language: &str,
    tokenizer: &Tokenizer,
) -> Summary {
    let lines = || children.iter().flat_map(|child| &child.lines);
    let source_tokens = children.iter().map(|child| child.source_tokens).sum();
    let mut reader = Reader::new(
        language,
        lines().map(|line| line.text.as_str()),
        &mut lines().map(|l| l.speaker.as_str()),
    );
    for line in lines() {
        reader.line(line);
    }
    let lines = select(reader.candidates, budget(source_tokens), tokenizer);
    let turns = children.iter().map(|child| child.turns).sum();
    Summary { span, turns, lines, source_tokens, version: SUMMARIZER_VERSION }
}

fn budget(source_tokens: u64) -> u64 {
    (source_tokens * SUMMARY_PERCENT / 100).min(SUMMARY_TOKENS_MAX)
}

/// The words of a turn that may be summarized: its text and captions. What tools say is not what
/// somebody said.
fn words(turn: &Turn) -> String {
    if turn.role == Role::Tool {
        return String::new();
    }
    let part = |part: &Part| match part {
        Part::Text(text) => Some(text.clone()),
        Part::Media(media) if !media.caption.trim().is_empty() => {
            Some(format!("{CAPTION}{}]", media.caption.trim().replace(['\n', ']'], " ")))
        }
        _ => None,
    };
    turn.parts.iter().filter_map(part).collect::<Vec<_>>().join("\n")
}

/// Reads turns or lines into candidates.
struct Reader {
    known: Option<Language>,
    common: Language,
    readers: Readers,
    candidates: Vec<Candidate>,
    /// How many sentences were read.
    sentences: usize,
}

/// A question that waits for its answer.
struct Asked {
    speaker: String,
    text: String,
}

/// A sentence of the turn that is read, as a line would show it.
struct Piece {
    text: String,
    kind: Kind,
    follows: bool,
    read: Read,
    standing: Standing,
    value: f64,
}

impl Reader {
    fn new<'a>(
        language: &str,
        texts: impl Iterator<Item = &'a str>,
        speakers: &mut dyn Iterator<Item = &'a str>,
    ) -> Self {
        let known = Language::parse(language);
        let mut found: Vec<(Language, usize)> = Vec::new();
        for language in texts.filter(|_| known.is_none()).filter_map(Language::detect) {
            match found.iter_mut().find(|(known, _)| *known == language) {
                Some((_, count)) => *count += 1,
                None => found.push((language, 1)),
            }
        }
        let common =
            found.iter().max_by_key(|(language, count)| (*count, std::cmp::Reverse(*language)));
        let common = common.map_or_else(Language::default, |(language, _)| *language);
        Self {
            known,
            common,
            readers: Readers::new(speakers),
            candidates: Vec::new(),
            sentences: 0,
        }
    }

    fn language(&self, text: &str) -> Language {
        self.known.or_else(|| Language::detect(text)).unwrap_or(self.common)
    }

    /// Reads a turn; `asked` is the question that the turn before it ended in. Gives the question
    /// that this one ends in.
    fn turn(&mut self, turn: &Turn, text: &str, asked: Option<Asked>) -> Option<Asked> {
        let voice = match turn.role {
            Role::Tool => return asked,
            Role::Assistant if turn.name.trim().is_empty() => Voice::Model,
            Role::User | Role::Assistant => Voice::Person,
        };
        let language = self.language(text);
        let pieces: Vec<Piece> = sentences(text)
            .iter()
            .enumerate()
            .map(|(at, sentence)| self.piece(sentence, language, voice, at))
            .collect();
        let speaker = speaker(turn);
        for at in 0..pieces.len() {
            let brings = |asked: &&Asked| asked.speaker != speaker && voice == Voice::Person;
            let own = asked.as_ref().filter(brings);
            if let Some((text, value, pair)) = stand_alone(&pieces, at, own) {
                let read = if text == pieces[at].text {
                    pieces[at].read.clone()
                } else {
                    self.readers.read(&text, language)
                };
                self.candidates.push(Candidate {
                    seq: turn.seq,
                    created_at: turn.created_at,
                    speaker: speaker.clone(),
                    text,
                    read,
                    value,
                    sentences: self.sentences + at - usize::from(pair)..self.sentences + at + 1,
                    changed: false,
                });
            }
        }
        self.sentences += pieces.len();
        let last = pieces.into_iter().rfind(|piece| piece.kind != Kind::Caption)?;
        let asks = last.read.asks && last.text.len() <= QUESTION_BYTES_MAX;
        asks.then_some(Asked { speaker, text: last.text })
    }

    fn piece(&mut self, sentence: &Sentence, language: Language, voice: Voice, at: usize) -> Piece {
        let text = capital(&without_tail(without_fillers(&sentence.text, language), language));
        let read = self.readers.read(&text, language);
        let mut value = worth(&read, &text, sentence.kind, voice);
        if at >= PASTED_SENTENCES {
            value *= 0.5;
        }
        if self.candidates.is_empty() && voice == Voice::Person {
            value += TOPIC_WORTH;
        }
        let standing = match sentence.kind {
            Kind::Caption => Standing::Alone,
            Kind::Prose | Kind::Item => standing(&read),
        };
        Piece { text, kind: sentence.kind, follows: sentence.follows, read, standing, value }
    }

    /// Reads a line of a summary: the better its rank, the more it is worth.
    fn line(&mut self, line: &Line) {
        let language = self.language(&line.text);
        let read = self.readers.read(&line.text, language);
        let own = worth(&read, &line.text, Kind::Prose, Voice::Person).max(0.0);
        let value = 1.0 + 2.0 / (1.0 + 0.25 * f64::from(line.rank)) + 0.3 * own;
        self.candidates.push(Candidate {
            seq: line.seq,
            created_at: line.created_at,
            speaker: line.speaker.clone(),
            text: line.text.clone(),
            read,
            value,
            sentences: self.sentences..self.sentences + 1,
            changed: line.changed,
        });
        self.sentences += 1;
    }
}

/// The sentence as it is understood alone, its worth, and whether it takes the one before it along:
/// with the sentence before it where it points at that, with the question where it answers one.
/// None where that cannot be.
fn stand_alone(pieces: &[Piece], at: usize, asked: Option<&Asked>) -> Option<(String, f64, bool)> {
    let piece = &pieces[at];
    let is_first = pieces[..at].iter().all(|before| before.read.words.stems.is_empty());
    match piece.standing {
        Standing::Alone => Some((piece.text.clone(), piece.value, false)),
        Standing::Leans => {
            joined(pieces, at).or_else(|| Some((piece.text.clone(), piece.value * 0.6, false)))
        }
        Standing::Points if piece.follows && at > 0 => joined(pieces, at),
        Standing::Points | Standing::Answers if is_first => {
            let asked = asked.filter(|_| !piece.read.bare)?;
            let text = format!("[{}: {}] {}", asked.speaker, asked.text, piece.text);
            Some((text, piece.value.max(0.8), false))
        }
        Standing::Points | Standing::Answers => None,
    }
}

/// A sentence with the one before it, where that stands alone.
fn joined(pieces: &[Piece], at: usize) -> Option<(String, f64, bool)> {
    let piece = &pieces[at];
    let before = at.checked_sub(1).map(|before| &pieces[before])?;
    let joins = piece.follows
        && piece.value > 0.0
        && before.standing == Standing::Alone
        && before.kind == Kind::Prose
        && !before.read.asks
        && before.text.len() + piece.text.len() <= JOINED_BYTES_MAX;
    let (most, least) = (before.value.max(piece.value), before.value.min(piece.value));
    let both = || (format!("{} {}", before.text, piece.text), most + 0.4 * least.max(0.0), true);
    joins.then(both)
}

/// The speaker on one line.
fn speaker(turn: &Turn) -> String {
    let name = turn.speaker();
    let name = name.split(|c: char| c.is_whitespace() || c.is_control());
    let name = name.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if name.is_empty() { format!("{:?}", turn.role) } else { name }
}

/// The text with its first letter as a capital.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if first.is_lowercase() => first.to_uppercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
