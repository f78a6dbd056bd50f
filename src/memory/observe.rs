//! Gauges that nobody sets by doing something: lags, and the sizes of the caches.

use crate::error::Failure;
use crate::memory::Memory;
use crate::record::keys;
use crate::storage::Read;
use crate::telemetry::{
    Cache, cache_size, embedding_beside, embedding_lag, erasure_lag, index_lag, jobs_lag,
};

/// How many jobs that are due are counted: more are an hour of work.
const DUE_MAX: usize = 1_000;

impl Memory {
    /// Sets the gauges to what is now.
    ///
    /// # Errors
    /// What the store refuses; the other gauges are set all the same.
    pub async fn observe(&self) -> Result<(), Failure> {
        let (sessions, oldest) = self.embedding_lag();
        let now = self.now();
        embedding_lag(sessions, oldest.map_or(0, |oldest| now.0.saturating_sub(oldest.0)));
        embedding_beside(self.preparing().pending());
        let (entries, bytes) = self.partitions.size();
        cache_size(Cache::Partitions, entries, Some(bytes));
        self.observe_vectors();
        self.policies.run_pending_tasks();
        cache_size(Cache::Policies, self.policies.entry_count(), None);
        self.models_known.run_pending_tasks();
        cache_size(Cache::Models, self.models_known.entry_count(), None);
        index_lag(self.documents_lag_ms(now));
        let oldest = self.files_state().oldest;
        erasure_lag(oldest.map_or(0, |oldest| now.0.saturating_sub(oldest.0)));
        self.observe_chunks(now).await?;
        let (from, to) = keys::jobs_until(now);
        let due = self.read(vec![Read::range(from, to).limit(DUE_MAX)]).await?.remove(0);
        let first = due.first().and_then(|row| keys::job_named_by(&row.key));
        jobs_lag(due.len(), first.map_or(0, |(due_at, ..)| now.0.saturating_sub(due_at.0)));
        Ok(())
    }
}
