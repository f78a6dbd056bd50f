//! The best chunks of a search, and the candidates that two lists of them make. Pure.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::documents::Candidate;
use crate::types::{DocumentId, Generation, Incarnation};

/// Where a chunk stands, in the order in which candidates are given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ChunkKey {
    pub(super) document: DocumentId,
    pub(super) ordinal: u32,
    pub(super) collection: Incarnation,
    pub(super) generation: Generation,
}

/// The chunks with the highest scores; of equal ones those that stand before the others.
#[derive(Debug)]
pub(super) struct Best<K> {
    most: usize,
    /// Sorted only when it is cut; up to twice `most`.
    kept: Vec<(f32, K)>,
    /// What a score must reach to be kept.
    least: f32,
}

impl<K: Ord> Best<K> {
    /// Keeps at most `most`.
    pub(super) fn new(most: usize) -> Self {
        let room = most.saturating_mul(2).min(4_096);
        Self { most, kept: Vec::with_capacity(room), least: f32::NEG_INFINITY }
    }

    /// What a score must reach to be kept.
    pub(super) fn least(&self) -> f32 {
        self.least
    }

    /// Takes a chunk in, if it is good enough; its key is made only then.
    pub(super) fn offer(&mut self, score: f32, key: impl FnOnce() -> K) {
        if score >= self.least && self.most > 0 {
            self.kept.push((score, key()));
            if self.kept.len() >= self.most * 2 {
                self.cut();
            }
        }
    }

    /// What was kept, the best first.
    pub(super) fn sorted(mut self) -> Vec<(f32, K)> {
        self.kept.sort_unstable_by(order);
        self.kept.truncate(self.most);
        self.kept
    }

    fn cut(&mut self) {
        self.kept.select_nth_unstable_by(self.most - 1, order);
        self.kept.truncate(self.most);
        let least = self.kept.iter().map(|(score, _)| *score).fold(f32::INFINITY, f32::min);
        self.least = least;
    }
}

/// The higher score first, then the earlier chunk.
fn order<K: Ord>(one: &(f32, K), other: &(f32, K)) -> Ordering {
    other.0.total_cmp(&one.0).then_with(|| one.1.cmp(&other.1))
}

/// The candidates of two lists, in their order. What one of them does not know of a chunk is asked
/// of `words` and `vector`.
pub(super) fn unite(
    by_words: Vec<(f32, ChunkKey)>,
    by_vector: Vec<(f32, ChunkKey)>,
    words: impl Fn(&ChunkKey) -> Option<f32>,
    vector: impl Fn(&ChunkKey) -> Option<f32>,
) -> Vec<Candidate> {
    let mut found: BTreeMap<ChunkKey, [Option<f32>; 2]> = BTreeMap::new();
    for (score, key) in by_words {
        found.entry(key).or_default()[0] = Some(score);
    }
    for (score, key) in by_vector {
        found.entry(key).or_default()[1] = Some(score);
    }
    let candidate = |(key, known): (ChunkKey, [Option<f32>; 2])| Candidate {
        words: known[0].or_else(|| words(&key)),
        vector: known[1].or_else(|| vector(&key)),
        collection: key.collection,
        document: key.document,
        generation: key.generation,
        ordinal: key.ordinal,
    };
    found.into_iter().map(candidate).collect()
}
