//! What is known of a collection in memory: its living documents, those that are not in the files
//! yet, and its vectors once somebody asked for them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::documents::{
    Entry, Place, digest,
    embedded::{fresh::Fresh, rows::Rows, segment::Content, verdicts::Filters},
};
use crate::retrieve::{Language, TurnVectors};
use crate::types::{DocumentId, Generation};

/// A collection.
pub(super) struct Shelf {
    pub(super) place: Place,
    books: RwLock<Books>,
    /// Held by the one question that reads the vectors.
    pub(super) loading: tokio::sync::Mutex<()>,
    /// Whether its vectors are being put in order.
    pub(super) ordering: AtomicBool,
    /// How many questions are being answered that need the vectors.
    pub(super) asking: AtomicU64,
}

/// What lies on a shelf.
#[derive(Default)]
pub(super) struct Books {
    /// The collection is gone: whoever still holds the shelf takes another one.
    pub(super) gone: bool,
    /// Slots that are empty are used again.
    slots: Vec<Option<Book>>,
    free: Vec<u32>,
    by_document: FxHashMap<DocumentId, u32>,
    by_generation: FxHashMap<Generation, u32>,
    /// Which slots pass which filter.
    pub(super) filters: Filters,
    /// Documents that are in a batch which may not be in the files yet.
    pub(super) fresh: FxHashMap<Generation, Arc<Fresh>>,
    /// Contents that went with a batch; until then the files still have them.
    pub(super) masked: Vec<(Generation, u64)>,
    /// How many chunks the documents have.
    pub(super) chunks: u64,
    /// How many words they have.
    pub(super) words: u64,
    languages: BTreeMap<Language, u64>,
    /// The digest of the contents.
    pub(super) digest: u64,
    /// None until somebody asks by meaning; filled while they are read.
    pub(super) rows: Option<Rows>,
    /// Whether all vectors were read that there were.
    pub(super) loaded: bool,
    /// How often documents were found in the record that nobody had put: what was read of vectors
    /// before lacks theirs.
    pub(super) found: u64,
    /// What was touched while the record is read.
    touched: Option<Touched>,
}

/// A document.
pub(super) struct Book {
    pub(super) entry: Entry,
    content: Content,
    /// The batch that brings it to the files; 0: it was there before.
    pub(super) batch: u64,
}

/// What calls said of a collection while the record was read: about it they know better.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) documents: FxHashSet<DocumentId>,
    generations: FxHashSet<Generation>,
}

impl Touched {
    /// Whether a document was put, or this content removed.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        self.documents.contains(&entry.document) || self.generations.contains(&entry.generation)
    }
}

impl Shelf {
    /// An empty shelf.
    pub(super) fn new(place: Place) -> Self {
        let (books, loading) = (RwLock::default(), tokio::sync::Mutex::default());
        Self { place, books, loading, ordering: AtomicBool::new(false), asking: AtomicU64::new(0) }
    }

    /// To look.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Books> {
        self.books.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To change.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Books> {
        self.books.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// The book in a slot; the slot is one that was given for a book which is still there.
    pub(super) fn book(&self, slot: u32) -> Option<&Book> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The slot of a content.
    pub(super) fn slot(&self, generation: Generation) -> Option<u32> {
        self.by_generation.get(&generation).copied()
    }

    /// The document's content, and how many chunks that has.
    pub(super) fn content_of(&self, document: &DocumentId) -> Option<(Generation, u32)> {
        let entry = &self.book(*self.by_document.get(document)?)?.entry;
        Some((entry.generation, entry.chunks))
    }

    /// All documents.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().flatten().map(|book| &book.entry)
    }

    /// The languages of the chunks with how many are of each.
    pub(super) fn languages(&self) -> &BTreeMap<Language, u64> {
        &self.languages
    }

    /// Gives a document that is here other labels.
    pub(super) fn relabel(&mut self, entry: Entry) {
        if let Some(slot) = self.slot(entry.generation)
            && let Some(book) = &mut self.slots[slot as usize]
        {
            book.entry = entry;
            self.filters.forget(slot);
        }
    }

    /// Takes a document in, which no other has the id or the content of.
    pub(super) fn add(&mut self, entry: Entry, content: Content, batch: u64) {
        self.chunks += u64::from(content.chunks);
        self.words += content.words;
        for (language, count) in &content.languages {
            *self.languages.entry(*language).or_default() += count;
        }
        self.digest = self.digest.wrapping_add(digest::of_content(entry.generation));
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("a collection has fewer documents")
        });
        self.by_document.insert(entry.document.clone(), slot);
        self.by_generation.insert(entry.generation, slot);
        self.slots[slot as usize] = Some(Book { entry, content, batch });
        self.filters.forget(slot);
    }

    /// Takes a content off; with the next batch it goes from the files. False: it was not here.
    pub(super) fn take(&mut self, generation: Generation, batch: u64) -> bool {
        let Some(slot) = self.by_generation.remove(&generation) else { return false };
        let Some(book) = self.slots[slot as usize].take() else { return false };
        self.free.push(slot);
        self.by_document.remove(&book.entry.document);
        self.chunks -= u64::from(book.content.chunks);
        self.words -= book.content.words;
        for (language, count) in &book.content.languages {
            if let Some(all) = self.languages.get_mut(language) {
                *all -= count;
            }
        }
        self.languages.retain(|_, count| *count > 0);
        self.digest = self.digest.wrapping_sub(digest::of_content(generation));
        self.fresh.remove(&generation);
        self.masked.push((generation, batch));
        if let Some(rows) = &mut self.rows {
            rows.remove(slot, generation);
        }
        true
    }

    /// Gives chunks their vectors, as far as anybody wants to know yet.
    pub(super) fn set_vectors(&mut self, generation: Generation, first: u32, more: &TurnVectors) {
        let Some(slot) = self.slot(generation) else { return };
        let chunks = self.book(slot).map_or(0, |book| book.entry.chunks);
        if let Some(rows) = &mut self.rows {
            rows.set(slot, generation, chunks, first, more);
        }
    }

    /// Takes in vectors that were read, where none came meanwhile.
    pub(super) fn fill_vectors(&mut self, generation: Generation, first: u32, read: &TurnVectors) {
        let Some(slot) = self.slot(generation) else { return };
        let chunks = self.book(slot).map_or(0, |book| book.entry.chunks);
        if let Some(rows) = &mut self.rows {
            rows.fill(slot, generation, chunks, first, read);
        }
    }

    /// Has the vectors read again: some documents here were not put, but found in the record.
    pub(super) fn read_again(&mut self) {
        self.found += 1;
        self.loaded = false;
    }

    /// From now on, notes what is touched.
    pub(super) fn watch(&mut self) {
        self.touched = Some(Touched::default());
    }

    /// What was touched since.
    pub(super) fn end_watch(&mut self) -> Option<Touched> {
        self.touched.take()
    }

    /// Whether anything was said of a document since then, or of its content.
    pub(super) fn was_touched(&self, entry: &Entry) -> bool {
        self.touched.as_ref().is_none_or(|touched| touched.has(entry))
    }

    /// Notes that a document is put.
    pub(super) fn touch(&mut self, entry: &Entry) {
        if let Some(touched) = &mut self.touched {
            touched.documents.insert(entry.document.clone());
        }
    }

    /// Notes that a content is removed.
    pub(super) fn touch_generation(&mut self, generation: Generation) {
        let slot = self.slot(generation);
        let document =
            slot.and_then(|slot| self.book(slot)).map(|book| book.entry.document.clone());
        if let Some(touched) = &mut self.touched {
            touched.documents.extend(document);
            touched.generations.insert(generation);
        }
    }

    /// Whether nothing is on the shelf, nor in the files of what was.
    pub(super) fn is_empty(&self) -> bool {
        self.by_generation.is_empty() && self.masked.is_empty() && self.touched.is_none()
    }

    /// Forgets of which contents the files are rid, and which they have, with batch `through`.
    pub(super) fn settle(&mut self, through: u64) {
        self.masked.retain(|(_, batch)| *batch > through);
        let waits = |generation: &Generation| {
            let slot = self.by_generation.get(generation);
            let book = slot.and_then(|slot| self.slots[*slot as usize].as_ref());
            book.is_some_and(|book| book.batch > through)
        };
        let gone: Vec<Generation> =
            self.fresh.keys().filter(|generation| !waits(generation)).copied().collect();
        for generation in gone {
            self.fresh.remove(&generation);
        }
    }
}
