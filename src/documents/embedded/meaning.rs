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

/// Of the vectors that pass the filter so many hundredths are looked at, in the lists nearest to
/// the question. On 4,574 vectors of texts recall@10 is then 0.966 (with 6: 0.949, with 10: 0.976);
/// it grows with the collection (`benches/documents.rs`).
const NEAR_PERCENT: usize = 8;

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
                false => self.passing(shelf),
            };
            if !ordered {
                rows.scan(self.query, &mut |owners, cosines| {
                    self.look(shelf, owners, cosines, best)
                });
            } else if !self.open.all_pass() && passing <= reach.exact_max / 2 {
                self.search_passing(shelf, rows, best);
            } else {
                let enough = (passing * NEAR_PERCENT / 100).max(most * NEAR_ROWS_PER_CHUNK);
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
        for (slot, chunks) in self.passing_books(shelf) {
            for ordinal in 0..chunks {
                let owner = Owner { slot, ordinal };
                if let Some(cosine) = rows.cosine(owner, self.query, &mut room) {
                    best.offer(cosine, || self.open.key(shelf, slot, ordinal));
                }
            }
        }
    }

    /// How many chunks pass the filter.
    fn passing(&self, shelf: usize) -> usize {
        self.passing_books(shelf).map(|(_, chunks)| chunks as usize).sum()
    }

    fn passing_books(&self, shelf: usize) -> impl Iterator<Item = (u32, u32)> {
        let books = &self.open.books[shelf];
        let slots = 0..u32::try_from(books.slots()).unwrap_or(u32::MAX);
        slots.filter(move |slot| self.open.passes(shelf, *slot)).filter_map(|slot| {
            let book = books.book(slot)?;
            Some((slot, book.entry.chunks))
        })
    }
}
