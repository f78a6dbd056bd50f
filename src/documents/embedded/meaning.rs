//! Which chunks are most like a question: every vector is looked at while there are few, the
//! nearest lists else.

use crate::documents::{
    best::{Best, ChunkKey},
    embedded::{
        open::Open,
        rows::{Owner, Rows},
    },
};
use crate::retrieve::QueryVector;

/// How vectors are searched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// Collections of so many vectors are searched exactly, and so are the documents that pass a
    /// filter when they have at most half as many chunks, whose rows lie apart.
    pub(super) exact_max: usize,
}

/// Of the vectors of a collection so many times the root of their number are looked at, in the
/// lists nearest to the question; with a filter as large a share of those that pass. recall@10 is
/// then 0.97 on 6,000 to 107,000 vectors of real turns (`benches/documents.rs` has more of others).
const NEAR_ROWS_PER_ROOT: f64 = 16.0;

/// Lists are looked at until so many vectors were, for every chunk that is wanted.
const NEAR_ROWS_PER_CHUNK: usize = 20;

/// A question's vector against the vectors of the collections.
pub(super) struct Meaning<'a> {
    open: &'a Open<'a>,
    query: &'a QueryVector,
}

impl<'a> Meaning<'a> {
    /// Compares `query`.
    pub(super) fn new(open: &'a Open<'a>, query: &'a QueryVector) -> Self {
        Self { open, query }
    }

    /// The vectors of a collection, if they are of the question's size.
    pub(super) fn rows(&self, shelf: usize) -> Option<&Rows> {
        let rows = self.open.books[shelf].rows.as_ref()?;
        (rows.dimensions() == self.query.dimensions()).then_some(rows)
    }

    /// The cosine of a chunk, if it has a vector.
    pub(super) fn cosine_of(&self, key: &ChunkKey) -> Option<f32> {
        let shelf = self.open.shelf_of(key.collection)?;
        let slot = self.open.books[shelf].slot(key.generation)?;
        let mut room = (Vec::new(), Vec::new());
        self.rows(shelf)?.cosine(Owner { slot, ordinal: key.ordinal }, self.query, &mut room)
    }

    /// Offers the chunks that are most alike; `most` are wanted.
    pub(super) fn search(&self, most: usize, reach: Reach, best: &mut Best<ChunkKey>) {
        for shelf in 0..self.open.books.len() {
            let Some(rows) = self.rows(shelf) else { continue };
            let ordered = rows.is_ordered() && rows.count() > reach.exact_max;
            let passing = match self.open.all_pass() || !ordered {
                true => rows.count(),
                false => self.open.passing(shelf).chunks as usize,
            };
            if !ordered {
                rows.scan(self.query, &mut |owners, cosines| {
                    self.look(shelf, owners, cosines, best)
                });
            } else if !self.open.all_pass() && passing <= reach.exact_max / 2 {
                self.search_passing(shelf, rows, best);
            } else {
                let share = NEAR_ROWS_PER_ROOT / (rows.count() as f64).sqrt();
                let enough = (passing as f64 * share) as usize;
                let enough = enough.max(most * NEAR_ROWS_PER_CHUNK);
                rows.scan_near(self.query, enough, &mut |owners, cosines| {
                    self.look(shelf, owners, cosines, best)
                });
            }
        }
    }

    /// Offers rows; says how many of them pass the filter.
    fn look(
        &self,
        shelf: usize,
        owners: &[Owner],
        cosines: &[f32],
        best: &mut Best<ChunkKey>,
    ) -> usize {
        let all = self.open.all_pass();
        let mut passing = if all { owners.len() } else { 0 };
        for (owner, cosine) in owners.iter().zip(cosines) {
            if !all {
                if !self.open.passes(shelf, owner.slot) {
                    continue;
                }
                passing += 1;
            }
            if *cosine >= best.least() {
                best.offer(*cosine, || self.open.key(shelf, owner.slot, owner.ordinal));
            }
        }
        passing
    }

    /// Offers the chunks of the documents that pass, each by itself.
    fn search_passing(&self, shelf: usize, rows: &Rows, best: &mut Best<ChunkKey>) {
        let mut room = (Vec::new(), Vec::new());
        let books = &self.open.books[shelf];
        for slot in self.open.passing(shelf).slots.iter().copied() {
            for ordinal in 0..books.book(slot).map_or(0, |book| book.entry.chunks) {
                let owner = Owner { slot, ordinal };
                if let Some(cosine) = rows.cosine(owner, self.query, &mut room) {
                    best.offer(cosine, || self.open.key(shelf, slot, ordinal));
                }
            }
        }
    }
}
