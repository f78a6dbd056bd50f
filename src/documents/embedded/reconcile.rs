//! Brings the index to where the record is: after a start, and when somebody asks for it.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use futures::future::join_all;
use rustc_hash::FxHashMap;

use crate::documents::{
    Entry, IndexError, Place,
    embedded::{EmbeddedIndex, segment::Content, shelf::Shelf, state::State},
};
use crate::types::Generation;

/// So many collections are read at a time.
const READ_AT_A_TIME: usize = 64;

/// Compares what is known with the record, collection by collection. A content counts as known
/// when the files have as many chunks of it as it has; what is missing is analysed again.
pub(super) async fn reconcile(index: &EmbeddedIndex) -> Result<(), IndexError> {
    let state = &index.state;
    let _only_one = state.reconciling.lock().await;
    state.lagging.store(true, Ordering::Release);
    let here = Arc::clone(state);
    let contents = index.hand_over(move || here.contents()).await??;
    let mut places: BTreeSet<Place> = state.places().into_iter().collect();
    places.extend(state.record.collections().await?);
    let places: Vec<Place> = places.into_iter().collect();
    for some in places.chunks(READ_AT_A_TIME) {
        let shelves: Vec<Arc<Shelf>> = some.iter().map(|place| state.shelf(place)).collect();
        shelves.iter().for_each(|shelf| shelf.write().watch());
        let read = join_all(some.iter().map(|place| state.record.documents(place))).await;
        for (shelf, entries) in shelves.iter().zip(read) {
            let missing = state.correct(shelf, entries?, &contents);
            take_in(index, &shelf.place, missing).await?;
        }
    }
    state.forget_strays();
    state.lagging.store(false, Ordering::Release);
    // What was masked is looked up by every question until it is gone from the files.
    index.tend().await
}

/// Takes documents in by their texts, unless they are gone meanwhile.
async fn take_in(
    index: &EmbeddedIndex,
    place: &Place,
    missing: Vec<Entry>,
) -> Result<(), IndexError> {
    for entry in missing {
        if let Some(texts) = index.state.record.texts(place, &entry).await? {
            let fresh = index.analyse(place, &entry, texts).await?;
            index.state.add_untouched(place, entry, fresh);
            index.write_if_full().await?;
        }
    }
    let shelf = index.state.shelf(place);
    let mut books = shelf.write();
    books.end_watch();
    books.read_again();
    Ok(())
}

impl State {
    /// What the files have of each content.
    fn contents(&self) -> Result<FxHashMap<Generation, Content>, IndexError> {
        let mut contents = FxHashMap::default();
        for segment in &self.committed().segments {
            let known = segment.contents();
            let known = known.map_err(|error| IndexError::Broken { why: error.to_string() })?;
            contents.extend(known);
        }
        Ok(contents)
    }

    fn places(&self) -> Vec<Place> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        shelves.keys().cloned().collect()
    }
}
