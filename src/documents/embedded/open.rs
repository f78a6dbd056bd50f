//! The collections of a question, held still while it is answered.

use std::cell::RefCell;
use std::sync::{Arc, RwLockReadGuard};

use crate::documents::{
    DocumentFilter, Place,
    best::ChunkKey,
    embedded::{
        files::Committed,
        fresh::Fresh,
        shelf::{Books, Shelf},
    },
};
use crate::types::{Generation, Incarnation};

/// Collections that nobody changes meanwhile, and the files as they were then.
pub(super) struct Open<'a> {
    pub(super) places: Vec<&'a Place>,
    pub(super) books: Vec<RwLockReadGuard<'a, Books>>,
    pub(super) committed: Arc<Committed>,
    filter: &'a DocumentFilter,
    /// What is known of each slot of each collection: 0 nothing, 1 it passes, 2 it does not. Empty
    /// when all pass.
    passing: Vec<RefCell<Vec<u8>>>,
}

impl<'a> Open<'a> {
    /// Opens shelves, which are in the order of their collections, so that no two questions wait
    /// for each other.
    pub(super) fn new(
        shelves: &'a [Arc<Shelf>],
        filter: &'a DocumentFilter,
        committed: impl FnOnce() -> Arc<Committed>,
    ) -> Self {
        let books: Vec<_> = shelves.iter().map(|shelf| shelf.read()).collect();
        let all = *filter == DocumentFilter::default();
        let slots = |books: &RwLockReadGuard<'_, Books>| vec![0; books.slots()];
        Self {
            places: shelves.iter().map(|shelf| &shelf.place).collect(),
            passing: match all {
                true => Vec::new(),
                false => books.iter().map(slots).map(RefCell::new).collect(),
            },
            books,
            // Only now: what leaves a shelf is in the files by then.
            committed: committed(),
            filter,
        }
    }

    /// Whether all documents pass the filter.
    pub(super) fn all_pass(&self) -> bool {
        self.passing.is_empty()
    }

    /// Whether a document passes the filter.
    pub(super) fn passes(&self, shelf: usize, slot: u32) -> bool {
        let Some(known) = self.passing.get(shelf) else { return true };
        let mut known = known.borrow_mut();
        let verdict = &mut known[slot as usize];
        if *verdict == 0 {
            let book = self.books[shelf].book(slot);
            let passes = book.is_some_and(|book| self.filter.passes(&book.entry));
            *verdict = if passes { 1 } else { 2 };
        }
        *verdict == 1
    }

    /// The documents that are not in the files yet.
    pub(super) fn fresh(&self, shelf: usize) -> impl Iterator<Item = (u32, &Fresh)> {
        let books = &self.books[shelf];
        books.fresh.values().filter_map(|fresh| {
            let slot = books.slot(fresh.generation)?;
            let waits = books.book(slot)?.batch > self.committed.through;
            waits.then_some((slot, fresh.as_ref()))
        })
    }

    /// The content, if it is not in the files yet.
    pub(super) fn fresh_of(&self, shelf: usize, generation: Generation) -> Option<&Fresh> {
        let books = &self.books[shelf];
        let book = books.book(books.slot(generation)?)?;
        let fresh = books.fresh.get(&generation)?;
        (book.batch > self.committed.through).then_some(fresh.as_ref())
    }

    /// The contents that the files still have although they are gone.
    pub(super) fn masked(&self, shelf: usize) -> impl Iterator<Item = Generation> {
        let through = self.committed.through;
        let still = move |(generation, batch): &(Generation, u64)| {
            (*batch > through).then_some(*generation)
        };
        self.books[shelf].masked.iter().filter_map(still)
    }

    /// How many chunks and words the collections have.
    pub(super) fn totals(&self) -> (u64, u64) {
        let sum = |(chunks, words), books: &RwLockReadGuard<'_, Books>| {
            (chunks + books.chunks, words + books.words)
        };
        self.books.iter().fold((0, 0), sum)
    }

    /// Which of the shelves a collection is.
    pub(super) fn shelf_of(&self, collection: Incarnation) -> Option<usize> {
        self.places.iter().position(|place| place.collection == collection)
    }

    /// The key of a chunk of a document that is there.
    pub(super) fn key(&self, shelf: usize, slot: u32, ordinal: u32) -> ChunkKey {
        let book = self.books[shelf].book(slot).expect("the slot was found just now");
        ChunkKey {
            document: book.entry.document.clone(),
            ordinal,
            collection: self.places[shelf].collection,
            generation: book.entry.generation,
        }
    }
}
