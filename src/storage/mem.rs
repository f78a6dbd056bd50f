//! The model of a store: a map in memory. It keeps nothing beyond the process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Batch, CommitError, Order, Read, Revision, Row, Store, StoreError};

/// A store in memory, with the visible behaviour of the real ones; for tests and simulation.
#[derive(Debug, Default)]
pub struct MemStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Bytes, (Revision, Bytes)>,
    last: Revision,
    closed: bool,
}

impl MemStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        // A panic under the lock cannot leave half a commit: all that can panic comes before.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed { Err(StoreError::Closed) } else { Ok(state) }
    }
}

#[async_trait]
impl Store for MemStore {
    async fn read(&self, reads: Vec<Read>) -> Result<Vec<Vec<Row>>, StoreError> {
        let state = self.open()?;
        Ok(reads.iter().map(|read| state.rows(read)).collect())
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        batch.check_size()?;
        Ok(self.open()?.apply(&batch)?)
    }

    async fn faulted(&self) -> StoreError {
        std::future::pending().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        Ok(())
    }
}

impl State {
    fn rows(&self, read: &Read) -> Vec<Row> {
        let row = |(key, (revision, value)): (&Bytes, &(Revision, Bytes))| Row {
            key: key.clone(),
            revision: *revision,
            value: value.clone(),
        };
        match read {
            Read::Get(key) => self.rows.get_key_value(key).map(row).into_iter().collect(),
            Read::Range { from, to: Some(to), .. } if to <= from => Vec::new(),
            Read::Range { from, to, limit, order } => {
                let end = to.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
                let range = self.rows.range::<Bytes, _>((Bound::Included(from), end));
                match order {
                    Order::Ascending => range.take(*limit).map(row).collect(),
                    Order::Descending => range.rev().take(*limit).map(row).collect(),
                }
            }
        }
    }

    fn apply(&mut self, batch: &Batch) -> Result<Revision, CommitError> {
        for precondition in batch.preconditions() {
            let key = precondition.key();
            if !precondition.holds(self.rows.get(key).map(|(revision, _)| *revision)) {
                return Err(CommitError::Conflict { key: key.clone() });
            }
        }
        if batch.is_check() {
            return Ok(self.last);
        }
        self.last.0 += 1;
        for (key, value) in batch.writes() {
            match value {
                Some(value) => self.rows.insert(key.clone(), (self.last, value.clone())),
                None => self.rows.remove(key),
            };
        }
        Ok(self.last)
    }
}
