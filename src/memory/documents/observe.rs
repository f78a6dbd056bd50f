//! How far the index and the vectors of documents are behind, for gauges.

use std::sync::atomic::Ordering::Relaxed;

use crate::error::Failure;
use crate::memory::{
    Memory,
    rows::{revised, unreadable},
};
use crate::record::{DocumentRow, PendingDocument, decode, document_keys as keys};
use crate::storage::Read;
use crate::telemetry::chunks_lag;
use crate::types::Timestamp;

/// How many documents with chunks that wait are looked at: some milliseconds of reading.
const PENDING_MAX: usize = 1_000;

impl Memory {
    /// For how long the index has been behind the record, as far as this was called meanwhile; 0:
    /// it is not, or there is none.
    pub(in crate::memory) fn documents_lag_ms(&self, now: Timestamp) -> i64 {
        let library = &self.library;
        let mends = || library.mending.try_lock().is_err();
        let is_behind = library.index.is_some() && (library.behind.load(Relaxed) || mends());
        let mut since = library.behind_since.lock().expect("no holder panics");
        if !is_behind {
            *since = None;
            return 0;
        }
        now.0.saturating_sub(since.get_or_insert(now).0)
    }

    /// Sets the gauges of chunks that wait for their vectors.
    pub(in crate::memory) async fn observe_chunks(&self, now: Timestamp) -> Result<(), Failure> {
        let all = Read::prefix(keys::all_pending()).limit(PENDING_MAX);
        let rows = self.read(vec![all]).await?.remove(0);
        let (mut oldest, mut documents) = (None, Vec::with_capacity(rows.len()));
        for row in &rows {
            let pending: PendingDocument = decode(&row.value).map_err(unreadable)?;
            oldest = oldest.into_iter().chain([pending.since]).min();
            documents.push(Read::get(keys::document(pending.collection, &pending.document)));
        }
        let serving = self.spaces.serving();
        let embedder = serving.as_ref().map_or("", |space| space.embedder.key());
        let mut chunks = 0;
        for (found, row) in self.read(documents).await?.iter().zip(&rows) {
            let Some(document) = revised::<DocumentRow>(found)? else { continue };
            let named = keys::pending_named_by(&row.key).map(|(_, generation)| generation);
            if named == Some(document.row.generation) {
                let done = self.library.queue.cursor(document.row.generation, embedder);
                chunks += u64::from(document.row.chunks.saturating_sub(done));
            }
        }
        chunks_lag(rows.len(), chunks, oldest.map_or(0, |since| now.0.saturating_sub(since.0)));
        Ok(())
    }
}
