//! Terms on their way through a segment, and the window of chunks that they have come to.

use tantivy::postings::SegmentPostings;
use tantivy::{DocId, DocSet, TERMINATED};

/// A term on its way.
pub(super) struct Cursor {
    pub(super) postings: SegmentPostings,
    /// More than this it gives no chunk.
    pub(super) worth: f64,
}

impl Cursor {
    /// Moves to `doc`, or the first chunk after it; never back.
    pub(super) fn seek(&mut self, doc: DocId) {
        if self.postings.doc() < doc {
            self.postings.seek(doc);
        }
    }
}

/// The terms of a question in one segment.
pub(super) struct Cursors {
    /// By rising worth.
    pub(super) by_worth: Vec<Cursor>,
    /// What all terms up to each are worth together.
    pub(super) together: Vec<f64>,
}

impl Cursors {
    /// Those of a segment, each at its first chunk.
    pub(super) fn new(cursors: impl Iterator<Item = Cursor>) -> Self {
        let mut by_worth: Vec<Cursor> = cursors.collect();
        by_worth.sort_by(|one, other| one.worth.total_cmp(&other.worth));
        let mut sum = 0.0;
        let add = |cursor: &Cursor| {
            sum += cursor.worth;
            sum
        };
        let together = by_worth.iter().map(add).collect();
        Self { by_worth, together }
    }

    /// How many of the first terms together are worth less than `least`.
    pub(super) fn waiting(&self, least: f32) -> usize {
        self.together.partition_point(|worth| *worth < f64::from(least))
    }

    /// The first chunk that a term from `waiting` on stands at; none: there is no further one.
    pub(super) fn next(&self, waiting: usize) -> Option<DocId> {
        let docs = self.by_worth[waiting..].iter().map(|cursor| cursor.postings.doc());
        docs.min().filter(|doc| *doc != TERMINATED)
    }

    /// Moves the terms from `waiting` on to `doc`, or the first chunk after it.
    pub(super) fn seek(&mut self, waiting: usize, doc: DocId) {
        self.by_worth[waiting..].iter_mut().for_each(|cursor| cursor.seek(doc));
    }
}

/// The scores of the chunks of a window, as far as they have any.
pub(super) struct Window {
    start: DocId,
    scores: Vec<f64>,
    /// A bit for each chunk: whether it has a score.
    scored: Vec<u64>,
}

impl Window {
    /// How many chunks it has: their scores stay in the nearest memory of a core.
    pub(super) const CHUNKS: u32 = 2_048;

    /// A window without scores.
    pub(super) fn new() -> Self {
        let chunks = Self::CHUNKS as usize;
        Self { start: 0, scores: vec![0.0; chunks], scored: vec![0; chunks / 64] }
    }

    /// Moves it, once it is drained.
    pub(super) fn begin(&mut self, start: DocId) {
        self.start = start;
    }

    /// Adds to the score of a chunk that is in it.
    pub(super) fn add(&mut self, doc: DocId, score: f64) {
        let at = (doc - self.start) as usize;
        self.scores[at] += score;
        self.scored[at / 64] |= 1 << (at % 64);
    }

    /// Takes out the chunks that have scores, in order.
    pub(super) fn drain(&mut self, mut each: impl FnMut(DocId, f64)) {
        for (word, scored) in self.scored.iter_mut().enumerate() {
            let mut bits = std::mem::take(scored);
            while bits != 0 {
                let at = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                each(self.start + at as u32, std::mem::take(&mut self.scores[at]));
            }
        }
    }
}
