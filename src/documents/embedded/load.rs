//! Which collections have their vectors in memory: those that were asked about lately.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use futures::future::join_all;
use rustc_hash::FxHashMap;

use crate::documents::{
    IndexError, Place,
    embedded::{rows::Rows, shelf::Shelf, state::State},
};
use crate::types::Generation;

/// The vectors of so many contents are read at a time.
const READ_AT_A_TIME: usize = 64;

/// The collections with vectors in memory.
#[derive(Default)]
pub(super) struct Loaded {
    /// Advances with every question.
    now: u64,
    /// When each was asked about last.
    asked: FxHashMap<Place, u64>,
}

/// A question that needs the vectors of these collections, so that they stay.
pub(super) struct Asking(Vec<Arc<Shelf>>);

impl Asking {
    pub(super) fn of(shelves: &[Arc<Shelf>]) -> Self {
        for shelf in shelves {
            shelf.asking.fetch_add(1, Ordering::AcqRel);
        }
        Self(shelves.to_vec())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        for shelf in &self.0 {
            shelf.asking.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl State {
    /// Reads the vectors of collections that have none in memory. Of several questions one reads,
    /// the others wait for it.
    pub(super) async fn load(&self, shelves: &[Arc<Shelf>]) -> Result<(), IndexError> {
        let mut any = false;
        for shelf in shelves {
            self.note_asked(&shelf.place);
            if shelf.read().loaded {
                continue;
            }
            let _only_one = shelf.loading.lock().await;
            if !shelf.read().loaded {
                self.load_one(shelf).await?;
                any = true;
            }
        }
        if any {
            self.shed();
        }
        Ok(())
    }

    /// A question that goes before the end leaves what was read; the next one goes through all
    /// again.
    async fn load_one(&self, shelf: &Arc<Shelf>) -> Result<(), IndexError> {
        let (generations, found): (Vec<Generation>, u64) = {
            let mut books = shelf.write();
            books.rows.get_or_insert_with(Rows::default);
            let entries = books.entries().filter(|entry| entry.chunks > 0);
            (entries.map(|entry| entry.generation).collect(), books.found)
        };
        for some in generations.chunks(READ_AT_A_TIME) {
            let read = join_all(some.iter().map(|generation| self.record.vectors(*generation)));
            for (generation, batches) in some.iter().zip(read.await) {
                let batches = batches?;
                let mut books = shelf.write();
                for (first, vectors) in &batches {
                    books.fill_vectors(*generation, *first, vectors);
                }
            }
        }
        {
            let mut books = shelf.write();
            books.loaded = books.found == found;
        }
        self.order_if_wanted(shelf);
        Ok(())
    }

    /// Gives up the vectors that were not asked about for longest, where all take too much. Those
    /// of questions that are being answered stay.
    pub(super) fn shed(&self) {
        let mut bytes = self.vectors_bytes();
        while bytes > self.vectors_bytes_max() {
            let idle = |place: &Place| {
                let shelf = self.shelf_if_any(place);
                shelf.is_none_or(|shelf| shelf.asking.load(Ordering::Acquire) == 0)
            };
            let mut loaded = self.loaded();
            let asked = loaded.asked.iter().filter(|(place, _)| idle(place));
            let Some(oldest) = asked.min_by_key(|(_, at)| **at).map(|(place, _)| place.clone())
            else {
                return;
            };
            loaded.asked.remove(&oldest);
            drop(loaded);
            if let Some(shelf) = self.shelf_if_any(&oldest) {
                let mut books = shelf.write();
                bytes -= books.rows.take().map_or(0, |rows| rows.bytes());
                books.loaded = false;
            }
        }
    }

    /// Gives up the vectors of all collections: the record has others now. No question is being
    /// answered.
    pub(super) fn forget_vectors(&self) {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        for shelf in shelves.values() {
            let mut books = shelf.write();
            books.rows = None;
            books.loaded = false;
        }
        self.loaded().asked.clear();
    }

    pub(super) fn vectors_bytes(&self) -> usize {
        let places: Vec<Place> = self.loaded().asked.keys().cloned().collect();
        let shelves = places.iter().filter_map(|place| self.shelf_if_any(place));
        shelves.map(|shelf| shelf.read().rows.as_ref().map_or(0, Rows::bytes)).sum()
    }

    pub(super) fn forget_loaded(&self, place: &Place) {
        self.loaded().asked.remove(place);
    }

    fn note_asked(&self, place: &Place) {
        let mut loaded = self.loaded();
        loaded.now += 1;
        let now = loaded.now;
        loaded.asked.insert(place.clone(), now);
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
