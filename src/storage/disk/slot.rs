//! Where the readers find the engine, and the writer replaces it.

use std::sync::{PoisonError, RwLock};

use super::engine::Engine;
use super::engine_fault;
use crate::storage::{Read, Row, StoreError};

/// The engine, or why there is none.
pub(super) struct Slot<E> {
    engine: RwLock<Result<E, StoreError>>,
}

impl<E: Engine> Slot<E> {
    /// A slot with an engine in it.
    pub(super) fn new(engine: E) -> Self {
        Self { engine: RwLock::new(Ok(engine)) }
    }

    /// Reads, or gives `None` where that would wait for the engine to be replaced.
    pub(super) fn try_read(&self, reads: &[Read]) -> Option<Result<Vec<Vec<Row>>, StoreError>> {
        let slot = self.engine.try_read().ok()?;
        Some(read_from(&slot, reads))
    }

    /// Reads; blocks while the engine is replaced.
    pub(super) fn read(&self, reads: &[Read]) -> Result<Vec<Vec<Row>>, StoreError> {
        read_from(&self.engine.read().unwrap_or_else(PoisonError::into_inner), reads)
    }

    /// Waits until all who read now have ended. Those who come meanwhile wait too.
    pub(super) fn wait_for_readers(&self) {
        drop(self.engine.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Lets the writer, and who erases, use the engine, or gives why there is none.
    pub(super) fn with<T>(&self, used: impl FnOnce(&E) -> T) -> Result<T, StoreError> {
        match &*self.engine.read().unwrap_or_else(PoisonError::into_inner) {
            Ok(engine) => Ok(used(engine)),
            Err(error) => Err(error.clone()),
        }
    }

    /// Takes the engine out, waits for its readers, closes it, and leaves `meanwhile` for the time
    /// until there is what `next` gives, or for good where that is an error.
    pub(super) fn replace(
        &self,
        meanwhile: StoreError,
        next: impl FnOnce() -> Result<E, StoreError>,
    ) -> Result<(), StoreError> {
        let mut slot = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        *slot = Err(meanwhile);
        match next() {
            Ok(engine) => {
                *slot = Ok(engine);
                Ok(())
            }
            Err(error) => {
                *slot = Err(error.clone());
                Err(error)
            }
        }
    }
}

fn read_from<E: Engine>(
    slot: &Result<E, StoreError>,
    reads: &[Read],
) -> Result<Vec<Vec<Row>>, StoreError> {
    match slot {
        Ok(engine) => {
            engine.read(reads).map_err(|error| engine_fault("read from the store", error))
        }
        Err(error) => Err(error.clone()),
    }
}
