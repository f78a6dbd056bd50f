//! The collections of a question, held still while it is answered.

use std::cell::OnceCell;
use std::sync::{Arc, RwLockReadGuard};

use crate::documents::{
    DocumentFilter, Place,
    best::ChunkKey,
    embedded::{
        files::Committed,
        fresh::Fresh,
        shelf::{Books, Shelf},
        verdicts::Verdicts,
    },
};
use crate::types::{Generation, Incarnation};

/// Collections that nobody changes meanwhile, and the files as they were then.
pub(super) struct Open<'a> {
    pub(super) places: Vec<&'a Place>,
    pub(super) books: Vec<RwLockReadGuard<'a, Books>>,
    pub(super) committed: Arc<Committed>,
    filter: &'a DocumentFilter,
    /// What is known of the slots of each collection. Empty when all pass.
    verdicts: Vec<Arc<Verdicts>>,
    /// All that pass in each collection, once somebody asked.
    passing: Vec<OnceCell<Passing>>,
}

/// The documents of a collection that pass the filter.
#[derive(Default)]
pub(super) struct Passing {
    /// Their slots, rising.
    pub(super) slots: Vec<u32>,
    /// How many chunks they have.
    pub(super) chunks: u64,
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
        // Nothing in the slots changes as long as the books are open.
        let verdicts =
            |books: &RwLockReadGuard<'_, Books>| books.filters.verdicts(filter, books.slots());
        Self {
            places: shelves.iter().map(|shelf| &shelf.place).collect(),
            verdicts: if all { Vec::new() } else { books.iter().map(verdicts).collect() },
            passing: books.iter().map(|_| OnceCell::new()).collect(),
            books,
            // Only now: what leaves a shelf is in the files by then.
            committed: committed(),
            filter,
        }
    }

    /// Whether all documents pass the filter.
    pub(super) fn all_pass(&self) -> bool {
        self.verdicts.is_empty()
    }

    /// Whether a document passes the filter.
    pub(super) fn passes(&self, shelf: usize, slot: u32) -> bool {
        let Some(verdicts) = self.verdicts.get(shelf) else { return true };
        verdicts.passes(slot, || {
            let book = self.books[shelf].book(slot);
            book.is_some_and(|book| self.filter.passes(&book.entry))
        })
    }

    /// All documents of a collection that pass the filter.
    pub(super) fn passing(&self, shelf: usize) -> &Passing {
        self.passing[shelf].get_or_init(|| {
            let books = &self.books[shelf];
            let slots = 0..u32::try_from(books.slots()).unwrap_or(u32::MAX);
            let mut passing = Passing::default();
            for slot in slots.filter(|slot| self.passes(shelf, *slot)) {
                if let Some(book) = books.book(slot) {
                    passing.slots.push(slot);
                    passing.chunks += u64::from(book.entry.chunks);
                }
            }
            passing
        })
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
