//! What is said in the sessions of a benchmark: real conversations of a folder, or made ones.
//! Invariant: the same seed and the same folder give every session the same turns.

use std::path::Path;

use fastrand::Rng;

use crate::cli::{
    Error,
    eval::questions::{Question, read_rows},
    import::{self, ImportSession, read_unpacked},
    wire::{parse_time, sent_text, text_part},
};
use crate::proto::v1::{self, Role};

/// Turns that are made when no folder is given: more than most sessions hold.
const MADE_TURNS: usize = 20_000;
/// Questions that are made.
const MADE_QUESTIONS: usize = 500;
/// Words that are made; talk of some length uses a few thousand.
const MADE_WORDS: usize = 4_000;
/// When every session begins: its turns are a minute apart.
const BEGIN: &str = "2025-01-06T08:00:00Z";

/// The words of any talk; about every second word is one of them.
const SMALL: [&str; 24] = [
    "the", "a", "I", "you", "it", "to", "and", "of", "in", "for", "on", "with", "my", "we", "that",
    "is", "was", "at", "this", "not", "have", "be", "but", "are",
];
const SYLLABLES: [&str; 24] = [
    "ba", "ner", "to", "li", "sam", "ko", "ren", "du", "mar", "vi", "pel", "gor", "tan", "si",
    "hul", "fe", "dra", "mon", "ki", "zel", "wa", "bor", "ny", "cu",
];

/// One turn that can be said.
#[derive(Debug, Clone)]
struct Said {
    role: i32,
    name: String,
    text: String,
}

/// A pool of turns and questions, from which every session takes its own.
#[derive(Debug)]
pub struct Talk {
    turns: Vec<Said>,
    questions: Vec<String>,
    begin: prost_types::Timestamp,
    /// Where it comes from, for the report.
    pub source: String,
}

impl Talk {
    /// The conversations of a set, one after the other.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::Usage`] for a file without turns or questions.
    pub fn read(folder: &Path, set: &str) -> Result<Self, Error> {
        let file = |kind: &str| {
            let packed = folder.join(format!("{set}.{kind}.jsonl.gz"));
            let plain = folder.join(format!("{set}.{kind}.jsonl"));
            if !packed.exists() && plain.exists() { plain } else { packed }
        };
        let path = file("turns");
        let sessions = import::parse(&read_unpacked(&path)?, set).sessions;
        let turns: Vec<Said> = sessions.iter().flat_map(said).collect();
        let questions: Vec<Question> = read_rows(&file("queries"))?;
        let questions: Vec<String> = questions.into_iter().map(|asked| asked.text).collect();
        if turns.is_empty() || questions.is_empty() {
            return Err(Error::Usage(format!("`{}` has no turns or no questions", path.display())));
        }
        let source = format!("the set `{set}`: {} turns", turns.len());
        Ok(Self { turns, questions, begin: begin()?, source })
    }

    /// Conversations that the seed makes: every second word is one of any talk, the others follow
    /// Zipf's law.
    ///
    /// # Errors
    /// None that can be met: the time of the first turn is a constant.
    pub fn made(seed: u64) -> Result<Self, Error> {
        let mut rng = Rng::with_seed(seed);
        let words = words(&mut rng, MADE_WORDS);
        let turn = |rng: &mut Rng, place: usize| Said {
            role: if place.is_multiple_of(2) { Role::User } else { Role::Assistant }.into(),
            name: String::new(),
            text: sentence(rng, &words, 8, 40),
        };
        let turns = (0..MADE_TURNS).map(|place| turn(&mut rng, place)).collect();
        let question = |rng: &mut Rng| format!("When did I say {}?", sentence(rng, &words, 3, 8));
        let questions = (0..MADE_QUESTIONS).map(|_| question(&mut rng)).collect();
        let source = format!("made by the seed {seed}: {MADE_TURNS} turns");
        Ok(Self { turns, questions, begin: begin()?, source })
    }

    /// The turn of a session at a place, from 0. Sessions begin at different places of the pool,
    /// which begins again at its end.
    pub fn turn(&self, session: u64, place: u64) -> v1::NewTurn {
        let pool = self.turns.len() as u64;
        let at = (session.wrapping_mul(7_919) % pool + place % pool) % pool;
        let said = &self.turns[usize::try_from(at).expect("it is below the pool's length")];
        let seconds = self.begin.seconds + i64::try_from(place).unwrap_or_default() * 60;
        v1::NewTurn {
            role: said.role,
            name: said.name.clone(),
            parts: vec![text_part(said.text.clone())],
            created_at: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            ..Default::default()
        }
    }

    /// The turns that a session is filled with.
    pub fn session(&self, number: u64, turns: u64) -> ImportSession {
        ImportSession {
            session_id: session_id(number),
            turns: (0..turns).map(|place| self.turn(number, place)).collect(),
            ..ImportSession::default()
        }
    }

    /// One of the questions, in words that were not asked before: else its vector would be known.
    pub fn question(&self, rng: &mut Rng) -> String {
        let question = &self.questions[rng.usize(..self.questions.len())];
        format!("{question} {}", rng.u32(..))
    }
}

/// The id of a session by its number.
pub fn session_id(number: u64) -> String {
    format!("bench-{number}")
}

fn begin() -> Result<prost_types::Timestamp, Error> {
    parse_time(BEGIN).map_err(Error::Internal)
}

fn said(session: &ImportSession) -> impl Iterator<Item = Said> {
    let turns = session.turns.iter().map(|turn| Said {
        role: turn.role,
        name: turn.name.clone(),
        text: sent_text(&turn.parts),
    });
    turns.filter(|said| !said.text.trim().is_empty())
}

/// Words that are made; some may be the same.
pub fn words(rng: &mut Rng, count: usize) -> Vec<String> {
    (0..count).map(|_| word(rng)).collect()
}

fn word(rng: &mut Rng) -> String {
    (0..rng.usize(2..5)).map(|_| SYLLABLES[rng.usize(..SYLLABLES.len())]).collect()
}

/// A number below `end`, small ones the likelier: near to Zipf's law.
fn skewed(rng: &mut Rng, end: usize) -> usize {
    let most = rng.usize(..end) + 1;
    rng.usize(..most)
}

/// A sentence of so many words: every second one is one of any talk, the others follow Zipf's law.
pub fn sentence(rng: &mut Rng, words: &[String], shortest: usize, longest: usize) -> String {
    let length = rng.usize(shortest..=longest);
    let word = |rng: &mut Rng| match rng.bool() {
        true => SMALL[skewed(rng, SMALL.len())].to_owned(),
        false => words[skewed(rng, words.len())].clone(),
    };
    let words: Vec<String> = (0..length).map(|_| word(rng)).collect();
    words.join(" ") + "."
}
