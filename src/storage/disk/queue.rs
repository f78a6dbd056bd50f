//! The commits that wait for the writer, and how many may.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::storage::{BATCH_BYTES_MAX, Batch, CommitError, Revision, StoreError};

/// The most commits that may wait: at a sync in 30 ms, the slowest of a hundred, and groups of a
/// thousand, the last one waits for less than a second.
pub const COMMITS_WAITING_MAX: usize = 4096;

/// The most bytes that may wait: four of the largest batches, which a small machine can hold.
pub const WAITING_BYTES_MAX: usize = 4 * BATCH_BYTES_MAX;

/// A commit that waits, and where its answer goes.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) batch: Batch,
    pub(super) answer: oneshot::Sender<Result<Revision, CommitError>>,
}

/// What callers fill and the writer empties.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    ended: Option<StoreError>,
}

impl Queue {
    /// Lets a commit wait, unless too many do or the queue has ended.
    pub(super) fn push(&self, waiting: Waiting) -> Result<(), StoreError> {
        let size = waiting.batch.size_bytes();
        let mut state = self.lock();
        if let Some(ended) = &state.ended {
            return Err(ended.clone());
        }
        let (commits, bytes) = (state.waiting.len(), state.bytes);
        if commits >= COMMITS_WAITING_MAX || bytes + size > WAITING_BYTES_MAX {
            return Err(StoreError::Overloaded { commits, bytes });
        }
        state.bytes += size;
        state.waiting.push_back(waiting);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes the first commits, up to `bytes_max` bytes but always one, as soon as there is one;
    /// nothing once the queue has ended and is empty.
    pub(super) fn take(&self, bytes_max: usize) -> Vec<Waiting> {
        let idle = |state: &mut State| state.waiting.is_empty() && state.ended.is_none();
        let waited = self.changed.wait_while(self.lock(), idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(next) = state.waiting.front() {
            let size = next.batch.size_bytes();
            if !taken.is_empty() && bytes + size > bytes_max {
                break;
            }
            bytes += size;
            taken.extend(state.waiting.pop_front());
        }
        state.bytes -= bytes;
        taken
    }

    /// Takes no more commits, and answers later ones with `error`; only the first end counts,
    /// except that a fault overrules a close. Those that wait already stay.
    pub(super) fn end(&self, error: StoreError) {
        let mut state = self.lock();
        if !matches!(state.ended, Some(StoreError::Fault { .. })) {
            state.ended = Some(error);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// How many commits wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic halfway: it moves values and adds numbers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
