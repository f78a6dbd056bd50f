//! The turns of one session in memory: postings, lengths and marks, searched exactly.

use crate::retrieve::{
    Language, TurnVectors,
    postings::Postings,
    query::surface_words,
    terms::{HAS_TEXT, TurnTerms},
    vectors::PieceVectors,
};
use crate::types::{Role, Seq, Timestamp};

/// One turn as the index takes it in.
#[derive(Debug, Clone, Copy)]
pub struct Indexed<'a> {
    /// Its place; above that of every turn pushed before.
    pub seq: Seq,
    /// Who it is from.
    pub role: Role,
    /// The speaker's name, or empty.
    pub speaker: &'a str,
    /// When it was said.
    pub created_at: Timestamp,
    /// Its derived terms.
    pub terms: &'a TurnTerms,
}

/// The index of one session's living turns, in order of their places. It only grows: after a turn
/// was deleted or superseded it is built anew from the rows that remain.
#[derive(Debug, Clone, Default)]
pub struct SessionIndex {
    pub(super) turns: Vec<TurnEntry>,
    pub(super) passages: Vec<PassageEntry>,
    pub(super) speakers: Vec<Speaker>,
    pub(super) vectors: PieceVectors,
    pub(super) postings: Postings,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct TurnEntry {
    pub(super) seq: Seq,
    pub(super) created_at: Timestamp,
    /// The end of its passages in the index; they begin where those of the turn before end.
    pub(super) passages_end: u32,
    /// The place of its first vector.
    vectors_start: u32,
    /// How many vectors it has; 0: they are not there yet.
    vectors: u16,
    /// Its place in `speakers`, or `u16::MAX`.
    pub(super) speaker: u16,
    pub(super) role: Role,
    pub(super) language: Language,
    pub(super) marks: u8,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct PassageEntry {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) words: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Speaker {
    name: String,
    /// The words of the name, folded.
    pub(super) words: Vec<String>,
}

impl SessionIndex {
    /// Builds the index of `turns`, which come by rising place.
    pub fn build<'a>(turns: impl IntoIterator<Item = Indexed<'a>>) -> Self {
        let mut index = Self::default();
        for turn in turns {
            index.push(turn);
        }
        index
    }

    /// Adds a turn at the end. A turn whose place is not above the last one's is not added.
    pub fn push(&mut self, turn: Indexed<'_>) {
        if self.turns.last().is_some_and(|last| last.seq >= turn.seq) {
            debug_assert!(false, "turns are pushed by rising place");
            return;
        }
        for passage in &turn.terms.passages {
            let place = narrow(self.passages.len());
            for &(hash, count) in &passage.terms {
                self.postings.add(hash, place, count);
            }
            let (start, end, words) = (passage.start, passage.end, passage.words);
            self.passages.push(PassageEntry { start, end, words });
        }
        let entry = TurnEntry {
            seq: turn.seq,
            created_at: turn.created_at,
            passages_end: narrow(self.passages.len()),
            vectors_start: 0,
            vectors: 0,
            speaker: self.speaker_place(turn.speaker),
            role: turn.role,
            language: turn.terms.language,
            marks: turn.terms.marks,
        };
        self.turns.push(entry);
    }

    /// Gives the turn at `seq` its vectors, or others in place of those that it had. They may come
    /// in any order. Returns whether they were taken: not when there is no such turn, no vector, or
    /// when they are of another size than those of the other turns.
    pub fn set_vectors(&mut self, seq: Seq, vectors: &TurnVectors) -> bool {
        let Ok(place) = self.turns.binary_search_by_key(&seq, |turn| turn.seq) else {
            return false;
        };
        let turn = &mut self.turns[place];
        let same = usize::from(turn.vectors) == vectors.len();
        if same && self.vectors.replace(turn.vectors_start as usize, vectors) {
            return true;
        }
        let Some(start) = self.vectors.add(vectors) else { return false };
        turn.vectors_start = narrow(start);
        turn.vectors = u16::try_from(vectors.len()).unwrap_or(u16::MAX);
        true
    }

    /// Whether the turn at `seq` is there and has its vectors.
    pub fn has_vectors(&self, seq: Seq) -> bool {
        let place = self.turns.binary_search_by_key(&seq, |turn| turn.seq);
        place.is_ok_and(|place| self.turns[place].vectors > 0)
    }

    /// How many of the turns below `horizon` (all when there is none) have their vectors.
    pub fn vectors_known(&self, horizon: Option<Seq>) -> usize {
        let turns = &self.turns[..self.turns_below(horizon)];
        turns.iter().filter(|turn| turn.vectors > 0).count()
    }

    /// How many of the turns below `horizon` (all when there is none) have something to embed.
    pub fn wanting(&self, horizon: Option<Seq>) -> usize {
        let turns = &self.turns[..self.turns_below(horizon)];
        turns.iter().filter(|turn| turn.marks & HAS_TEXT != 0).count()
    }

    /// How many turns it holds.
    pub fn len(&self) -> usize {
        self.turns.len()
    }

    /// Whether it holds no turn.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// The memory it takes, in bytes, within some tens of percent: for the accounts of caches.
    pub fn bytes(&self) -> usize {
        let names: usize = self.speakers.iter().map(|speaker| 96 + 2 * speaker.name.len()).sum();
        size_of::<Self>()
            + self.turns.capacity() * size_of::<TurnEntry>()
            + self.passages.capacity() * size_of::<PassageEntry>()
            + self.postings.bytes()
            + self.vectors.bytes()
            + names
    }

    /// How many of the first turns lie below `horizon`; all when there is none.
    pub(super) fn turns_below(&self, horizon: Option<Seq>) -> usize {
        let Some(horizon) = horizon else { return self.turns.len() };
        self.turns.partition_point(|turn| turn.seq < horizon)
    }

    /// The places of the passages of turn `turn`.
    pub(super) fn passages_of(&self, turn: usize) -> std::ops::Range<usize> {
        let start = turn.checked_sub(1).map_or(0, |before| self.turns[before].passages_end);
        start as usize..self.turns[turn].passages_end as usize
    }

    /// The places of the vectors of turn `turn`; none when they are not there yet.
    pub(super) fn vectors_of(&self, turn: usize) -> std::ops::Range<usize> {
        let turn = &self.turns[turn];
        let start = turn.vectors_start as usize;
        start..start + usize::from(turn.vectors)
    }

    fn speaker_place(&mut self, name: &str) -> u16 {
        if name.is_empty() {
            return u16::MAX;
        }
        let known = self.speakers.iter().position(|speaker| speaker.name == name);
        let place = known.unwrap_or_else(|| {
            let words = surface_words(name);
            self.speakers.push(Speaker { name: name.to_owned(), words });
            self.speakers.len() - 1
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }
}

/// A session has far fewer than four thousand million passages or postings.
fn narrow(place: usize) -> u32 {
    u32::try_from(place).expect("a session's index has fewer than 2^32 entries")
}
