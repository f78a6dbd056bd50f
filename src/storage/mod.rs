//! The store: one ordered map of byte strings, and the promise that what it acknowledged is kept.
//! In: batches of writes with what must still hold for them; reads. Out: revisions; rows.
//! Invariant: nothing is visible before it is durable, and all of a batch is there or none of it.

mod batch;
pub mod disk;
mod erased;
mod error;
pub mod fjall;
mod mem;
mod read;
pub mod sled;

use async_trait::async_trait;
use bytes::Bytes;

pub use batch::{BATCH_BYTES_MAX, Batch, KEY_BYTES_MAX, Precondition};
pub use erased::{Erased, Erases};
pub use error::{CommitError, StoreError, StoreErrorKind};
pub use mem::MemStore;
pub use read::{Order, Read};

#[cfg(test)]
mod tests;

/// The number of a commit in its store: from 1, each commit that writes has a greater one than all
/// before it, also after a restart; numbers may be left out. 0 stands for a store never written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// A key with its value, and the commit that last wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The whole key, as it was put.
    pub key: Bytes,
    /// The commit that last put this key; what [`Precondition::Revision`] compares.
    pub revision: Revision,
    /// The value; may be empty.
    pub value: Bytes,
}

/// An ordered map of byte strings, in which a commit is atomic, durable and conditional.
///
/// Every engine passes the same contract, `tests/it/store_contract.rs`.
#[async_trait]
pub trait Store: Send + Sync {
    /// Answers several gets and ranges at one snapshot, one list of rows for each, in their order.
    ///
    /// A snapshot holds whole commits only, and every commit acknowledged before the call. An
    /// empty `reads` gives an empty answer.
    ///
    /// # Errors
    /// [`StoreErrorKind::Fault`] when the engine cannot read, [`StoreErrorKind::Closed`] after
    /// [`Store::close`].
    async fn read(&self, reads: Vec<Read>) -> Result<Vec<Vec<Row>>, StoreError>;

    /// Writes all of `batch`, or nothing when a precondition does not hold, and returns once it is
    /// durable; the revision is that of each row put.
    ///
    /// Commits take effect one after another; the preconditions see all before. A batch without
    /// writes checks its preconditions and gives the last revision of the store. A caller that
    /// drops the future withdraws nothing: the commit may still happen.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] names the first key whose precondition does not hold.
    /// [`CommitError::Store`] otherwise; after [`StoreErrorKind::Fault`] alone it is open whether
    /// the batch is kept, after every other kind nothing of it is.
    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError>;

    /// Tells how files come to hold nothing of rows that were removed or replaced.
    fn erases(&self) -> Erases {
        Erases::AtOnce
    }

    /// Has the files hold nothing of what commits acknowledged before this call removed or
    /// replaced, where [`Erases::WhenAsked`] says that this can be asked for. It may take as long
    /// as copying the store does, and as much space; reads and commits go on meanwhile.
    ///
    /// # Errors
    /// [`StoreErrorKind::Full`] when there is too little space for it, [`StoreErrorKind::Fault`]
    /// when the engine fails: the next call begins anew. [`StoreErrorKind::Closed`].
    async fn erase(&self) -> Result<Erased, StoreError> {
        Ok(Erased::Done)
    }

    /// Waits until the store can do no more: gives its error when the engine has failed for good.
    ///
    /// The process should end then, since only a restart finds out what is on disk. It never
    /// returns for a store that is sound or closed.
    async fn faulted(&self) -> StoreError;

    /// Takes no more commits, waits until those taken are durable, and gives the engine up.
    ///
    /// Later calls of `read` and `commit` answer [`StoreErrorKind::Closed`]; a second close does
    /// nothing.
    ///
    /// # Errors
    /// [`StoreErrorKind::Fault`] when the engine fails, or had failed before.
    async fn close(&self) -> Result<(), StoreError>;
}
