//! All that an embedded index holds, and what changes it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::documents::{
    DocumentRecord, Entry, IndexError, Place,
    embedded::{
        EmbeddedFigures, EmbeddedOptions,
        centres::{Centres, SAMPLE_ROWS},
        files::{Committed, Files},
        fresh::Fresh,
        load::Loaded,
        meaning::Reach,
        segment::Content,
        shelf::{Books, Shelf},
    },
};
use crate::pool::Pool;
use crate::types::Generation;

/// So many chunks wait at the most before they are written down: they are searched in a fraction
/// of a millisecond, and writing them takes as long as writing one.
const WAITING_CHUNKS_MAX: u64 = 4_096;

/// The same in bytes of memory.
const WAITING_BYTES_MAX: u64 = 32 << 20;

/// When the files cannot be written, documents are taken in until so many times of that wait.
const WAITING_TIMES_MAX: u64 = 4;

/// So many rows at a time are put in order, so that questions and writes come between.
const MOVED_ROWS: usize = 512;

/// Old files are kept while a question reads them; compaction waits for it this long.
const READERS_MS_MAX: u32 = 2_000;

/// An index.
pub(super) struct State {
    options: EmbeddedOptions,
    pub(super) record: Arc<dyn DocumentRecord>,
    pub(super) pool: Arc<dyn Pool>,
    pub(super) shelves: RwLock<FxHashMap<Place, Arc<Shelf>>>,
    pub(super) lagging: AtomicBool,
    /// Held by the one who compares with the record.
    pub(super) reconciling: tokio::sync::Mutex<()>,
    pub(super) loaded: Mutex<Loaded>,
    committed: RwLock<Arc<Committed>>,
    /// Held by the one who writes them. Locked before `waiting`, and shelves before that.
    files: Mutex<Files>,
    waiting: Mutex<Waiting>,
}

/// What is not in the files yet.
struct Waiting {
    /// The number of the batch that it will be.
    batch: u64,
    changes: Vec<Change>,
    chunks: u64,
    bytes: u64,
}

enum Change {
    Come(Arc<Shelf>, Arc<Fresh>),
    /// The shelf that it was on, if it was on any.
    Gone(Option<Arc<Shelf>>, Generation),
}

impl State {
    pub(super) fn open(
        options: EmbeddedOptions,
        record: Arc<dyn DocumentRecord>,
        pool: Arc<dyn Pool>,
    ) -> Result<(Self, Option<String>), IndexError> {
        let opened = Files::open(options.folder.as_deref());
        let (files, why) = opened.map_err(|error| IndexError::Broken { why: error.to_string() })?;
        let committed = files.read().map_err(unavailable)?;
        let waiting = Waiting { batch: 1, changes: Vec::new(), chunks: 0, bytes: 0 };
        let state = Self {
            options,
            record,
            pool,
            shelves: RwLock::default(),
            lagging: AtomicBool::new(true),
            reconciling: tokio::sync::Mutex::default(),
            loaded: Mutex::default(),
            committed: RwLock::new(Arc::new(committed)),
            files: Mutex::new(files),
            waiting: Mutex::new(waiting),
        };
        Ok((state, why))
    }

    pub(super) fn reach(&self) -> Reach {
        Reach { exact_max: self.options.exact_chunks_max }
    }

    pub(super) fn vectors_bytes_max(&self) -> usize {
        self.options.vectors_bytes_max
    }

    /// The files as they are now.
    pub(super) fn committed(&self) -> Arc<Committed> {
        Arc::clone(&self.committed.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn shelf_if_any(&self, place: &Place) -> Option<Arc<Shelf>> {
        self.shelves.read().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    /// The shelf of a collection, a new one if there is none.
    pub(super) fn shelf(&self, place: &Place) -> Arc<Shelf> {
        if let Some(shelf) = self.shelf_if_any(place) {
            return shelf;
        }
        let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Shelf::new(place.clone()));
        Arc::clone(shelves.entry(place.clone()).or_insert_with(new))
    }

    /// Gives a document whose content is here its labels; false: the content is not here.
    pub(super) fn relabel(&self, place: &Place, entry: &Entry) -> bool {
        let Some(shelf) = self.shelf_if_any(place) else { return false };
        let mut books = shelf.write();
        let here = books.content_of(&entry.document) == Some((entry.generation, entry.chunks));
        if here {
            books.touch(entry);
            books.relabel(entry.clone());
        }
        here
    }

    /// Takes a document in, in place of what was known of it.
    pub(super) fn add(&self, place: &Place, entry: Entry, fresh: Arc<Fresh>) {
        self.add_where(place, entry, fresh, |books, entry| {
            books.touch(entry);
            true
        });
    }

    /// The same for a document of the record, unless a call said something newer of it.
    pub(super) fn add_untouched(&self, place: &Place, entry: Entry, fresh: Arc<Fresh>) {
        self.add_where(place, entry, fresh, |books, entry| !books.was_touched(entry));
    }

    fn add_where(
        &self,
        place: &Place,
        mut entry: Entry,
        fresh: Arc<Fresh>,
        wanted: impl Fn(&mut Books, &Entry) -> bool,
    ) {
        let content = fresh.content();
        entry.chunks = content.chunks;
        loop {
            let shelf = self.shelf(place);
            let mut books = shelf.write();
            if books.gone {
                continue;
            }
            if !wanted(&mut books, &entry) {
                return;
            }
            let mut waiting = self.waiting();
            let before = books.content_of(&entry.document).map(|(generation, _)| generation);
            for generation in before.into_iter().chain([entry.generation]) {
                if books.take(generation, waiting.batch) {
                    waiting.changes.push(Change::Gone(Some(Arc::clone(&shelf)), generation));
                }
            }
            books.add(entry, content, waiting.batch);
            books.fresh.insert(fresh.generation, Arc::clone(&fresh));
            waiting.chunks += fresh.chunks.len() as u64;
            waiting.bytes += fresh.bytes() as u64;
            waiting.changes.push(Change::Come(Arc::clone(&shelf), fresh));
            return;
        }
    }

    pub(super) fn remove(&self, place: &Place, generation: Generation) {
        if let Some(shelf) = self.shelf_if_any(place) {
            let mut books = shelf.write();
            books.touch_generation(generation);
            let mut waiting = self.waiting();
            if books.take(generation, waiting.batch) {
                waiting.changes.push(Change::Gone(Some(Arc::clone(&shelf)), generation));
            }
        }
    }

    /// Empties a shelf. It goes itself when the files are rid of what was on it.
    pub(super) fn remove_collection(&self, place: &Place) {
        let Some(shelf) = self.shelf_if_any(place) else { return };
        let mut books = shelf.write();
        let generations: Vec<Generation> = books.entries().map(|entry| entry.generation).collect();
        let mut waiting = self.waiting();
        for generation in generations {
            books.touch_generation(generation);
            books.take(generation, waiting.batch);
            waiting.changes.push(Change::Gone(Some(Arc::clone(&shelf)), generation));
        }
        (books.rows, books.loaded) = (None, false);
        drop((waiting, books));
        self.forget_loaded(place);
    }

    /// Brings a shelf to what the record says of its collection, as far as nobody touched it since
    /// `watch`. What must be taken in anew is given back.
    pub(super) fn correct(
        &self,
        shelf: &Arc<Shelf>,
        entries: Vec<Entry>,
        contents: &FxHashMap<Generation, Content>,
    ) -> Vec<Entry> {
        let mut books = shelf.write();
        let Some(touched) = books.end_watch().filter(|_| !books.gone) else { return Vec::new() };
        let mut waiting = self.waiting();
        let batch = waiting.batch;
        let wanted: FxHashSet<Generation> = entries.iter().map(|entry| entry.generation).collect();
        let old = |entry: &&Entry| {
            !wanted.contains(&entry.generation) && !touched.documents.contains(&entry.document)
        };
        let old: Vec<Generation> =
            books.entries().filter(old).map(|entry| entry.generation).collect();
        for generation in old {
            books.take(generation, batch);
            waiting.changes.push(Change::Gone(Some(Arc::clone(shelf)), generation));
        }
        let mut missing = Vec::new();
        for entry in entries {
            if touched.has(&entry) {
                continue;
            }
            let generation = entry.generation;
            if books.content_of(&entry.document) == Some((generation, entry.chunks)) {
                books.relabel(entry);
                continue;
            }
            let masked = books.masked.iter().any(|(known, _)| *known == generation);
            let known = contents.get(&generation).filter(|_| !masked);
            match known.cloned().unwrap_or_default() {
                content if content.chunks == entry.chunks => books.add(entry, content, 0),
                content => {
                    if content.chunks > 0 {
                        // A part of it is no use.
                        books.masked.push((generation, batch));
                        waiting.changes.push(Change::Gone(Some(Arc::clone(shelf)), generation));
                    }
                    missing.push(entry);
                }
            }
        }
        // Until these are taken in, calls may know better of them.
        books.watch();
        missing
    }

    /// Has the files forget contents that nobody has.
    pub(super) fn forget_strays(&self) {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let by_collection: FxHashMap<_, _> =
            shelves.values().map(|shelf| (shelf.place.collection, shelf)).collect();
        for segment in &self.committed().segments {
            for run in segment.living() {
                let generation = run.generation;
                let Some(shelf) = by_collection.get(&run.collection) else {
                    self.waiting().changes.push(Change::Gone(None, generation));
                    continue;
                };
                if shelf.read().slot(generation).is_none() {
                    let mut books = shelf.write();
                    let mut waiting = self.waiting();
                    books.masked.push((generation, waiting.batch));
                    let change = Change::Gone(Some(Arc::clone(shelf)), generation);
                    waiting.changes.push(change);
                }
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn anything_waits(&self) -> bool {
        !self.waiting().changes.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        let waiting = self.waiting();
        waiting.chunks > WAITING_CHUNKS_MAX || waiting.bytes > WAITING_BYTES_MAX
    }

    /// Whether so much waits that no more is taken in.
    pub(super) fn refuses(&self) -> bool {
        self.waiting().bytes > WAITING_BYTES_MAX * WAITING_TIMES_MAX
    }

    pub(super) fn commit_if_full(&self) -> Result<(), IndexError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        // Another call may have written it down meanwhile.
        if self.is_full() { self.commit_to(&mut files) } else { Ok(()) }
    }

    /// Writes down what waits.
    pub(super) fn commit(&self) -> Result<(), IndexError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        self.commit_to(&mut files)
    }

    fn commit_to(&self, files: &mut Files) -> Result<(), IndexError> {
        let (batch, changes) = self.waiting().take();
        if changes.is_empty() {
            return Ok(());
        }
        let mut last: FxHashMap<Generation, usize> = FxHashMap::default();
        for (at, change) in changes.iter().enumerate() {
            last.insert(change.generation(), at);
        }
        let (mut gone, mut come) = (FxHashSet::default(), Vec::new());
        for (at, change) in changes.iter().enumerate() {
            match change {
                Change::Gone(_, generation) => drop(gone.insert(*generation)),
                // What went again need not come.
                Change::Come(_, fresh) if last[&fresh.generation] == at => {
                    come.push(Arc::clone(fresh));
                }
                Change::Come(..) => {}
            }
        }
        match files.commit(batch, &gone, &come, &self.committed()) {
            Ok(committed) => self.install(committed),
            Err(error) => {
                self.waiting().put_back(changes);
                return Err(unavailable(error));
            }
        }
        let mut settled: FxHashSet<*const Shelf> = FxHashSet::default();
        for shelf in changes.iter().filter_map(Change::shelf) {
            if settled.insert(Arc::as_ptr(shelf)) {
                let mut books = shelf.write();
                books.settle(batch);
                let empty = books.is_empty();
                drop(books);
                if empty {
                    self.forget_empty(shelf);
                }
            }
        }
        Ok(())
    }

    /// Takes a shelf away, if it is empty still.
    fn forget_empty(&self, shelf: &Shelf) {
        let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
        let mut books = shelf.write();
        if books.is_empty() {
            books.gone = true;
            shelves.remove(&shelf.place);
        }
    }

    fn install(&self, committed: Committed) {
        *self.committed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(committed);
    }

    /// Writes down what waits and leaves nothing in the files that is deleted.
    pub(super) fn compact(&self) -> Result<(), IndexError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        self.commit_to(&mut files)?;
        let known = self.committed();
        self.install(files.merge(&known).map_err(unavailable)?);
        for _ in 0..READERS_MS_MAX {
            if Arc::strong_count(&known) == 1 {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(known);
        files.sweep().map_err(unavailable)
    }

    /// Begins to put the vectors of a collection in order, where that is due.
    pub(super) fn order_if_wanted(&self, shelf: &Arc<Shelf>) {
        let most = self.options.exact_chunks_max;
        let wanted =
            |shelf: &Shelf| shelf.read().rows.as_ref().is_some_and(|rows| rows.wants_order(most));
        if wanted(shelf) && !shelf.ordering.swap(true, Ordering::AcqRel) {
            let shelf = Arc::clone(shelf);
            self.pool.begin(Box::new(move || {
                order(&shelf);
                shelf.ordering.store(false, Ordering::Release);
            }));
        }
    }

    pub(super) fn figures(&self) -> EmbeddedFigures {
        let committed = self.committed();
        let bytes: usize = committed.segments.iter().map(|segment| segment.bytes()).sum();
        let vectors_bytes = self.vectors_bytes() as u64;
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let ordering = shelves.values().filter(|shelf| shelf.ordering.load(Ordering::Acquire));
        let ordering = ordering.count() as u64;
        drop(shelves);
        let waiting = self.waiting();
        EmbeddedFigures {
            waiting_chunks: waiting.chunks,
            waiting_bytes: waiting.bytes,
            vectors_bytes,
            ordering,
            segments: committed.segments.len() as u64,
            segments_bytes: bytes as u64,
        }
    }
}

/// Finds centres for the vectors of a collection and brings each to its list.
fn order(shelf: &Shelf) {
    let sampled = shelf.read().rows.as_ref().map(|rows| {
        let centres = Centres::right_for(rows.count());
        (rows.sample(centres * SAMPLE_ROWS), rows.dimensions(), centres)
    });
    let Some(((numbers, scales), size, centres)) = sampled else { return };
    let centres = Centres::of(&numbers, &scales, size, centres, scales.len() as u64);
    match &mut shelf.write().rows {
        Some(rows) if rows.dimensions() == size => rows.set_centres(centres),
        _ => return,
    }
    loop {
        let moves = shelf.read().rows.as_ref().map(|rows| rows.to_move(MOVED_ROWS));
        let Some(moves) = moves.filter(|moves| !moves.is_empty()) else { return };
        if let Some(rows) = &mut shelf.write().rows {
            rows.move_rows(&moves);
        }
    }
}

impl Waiting {
    fn take(&mut self) -> (u64, Vec<Change>) {
        let batch = self.batch;
        self.batch += 1;
        (self.chunks, self.bytes) = (0, 0);
        (batch, std::mem::take(&mut self.changes))
    }

    /// Takes back what could not be written, before what came meanwhile.
    fn put_back(&mut self, mut changes: Vec<Change>) {
        for change in &changes {
            if let Change::Come(_, fresh) = change {
                self.chunks += fresh.chunks.len() as u64;
                self.bytes += fresh.bytes() as u64;
            }
        }
        changes.append(&mut self.changes);
        self.changes = changes;
    }
}

impl Change {
    fn generation(&self) -> Generation {
        match self {
            Self::Come(_, fresh) => fresh.generation,
            Self::Gone(_, generation) => *generation,
        }
    }

    fn shelf(&self) -> Option<&Arc<Shelf>> {
        match self {
            Self::Come(shelf, _) => Some(shelf),
            Self::Gone(shelf, _) => shelf.as_ref(),
        }
    }
}

fn unavailable(error: tantivy::TantivyError) -> IndexError {
    IndexError::Unavailable { why: error.to_string() }
}
