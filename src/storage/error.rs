//! How a store fails, and what its caller can do about it.

use std::sync::Arc;

use bytes::Bytes;

use super::{BATCH_BYTES_MAX, KEY_BYTES_MAX};

/// What a caller can do about a failure of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// Send less: the same batch fails again.
    Invalid,
    /// Try again later: more commits wait than may.
    Overloaded,
    /// Make room on the disk, then try again: nothing was written, and reads go on.
    Full,
    /// Nothing: the store was closed, since the process is ending.
    Closed,
    /// End the process: only a restart finds out what is on disk.
    Fault,
}

/// A store that could not do what it was asked. It is cheap to clone: one failure of a group is
/// told to each of its commits.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A key is empty or too long.
    #[error("a key has {bytes} bytes, and 1 to {KEY_BYTES_MAX} are allowed")]
    KeyLength {
        /// Its length.
        bytes: usize,
    },
    /// A batch is too large.
    #[error("a batch has {bytes} bytes, and {BATCH_BYTES_MAX} are allowed")]
    BatchTooLarge {
        /// The bytes of its keys and values.
        bytes: usize,
    },
    /// More commits wait than may.
    #[error("{commits} commits of {bytes} bytes wait for the disk already")]
    Overloaded {
        /// How many wait.
        commits: usize,
        /// The bytes of their keys and values.
        bytes: usize,
    },
    /// There is no space on the disk; nothing of the batch was written.
    #[error("the disk is full")]
    Full {
        /// What the engine said.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The engine failed; after a failed write the store answers nothing else any more.
    #[error("cannot {attempt}")]
    Fault {
        /// What was tried.
        attempt: &'static str,
        /// What the engine said.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Says what a caller can do about it.
    pub fn kind(&self) -> StoreErrorKind {
        match self {
            Self::KeyLength { .. } | Self::BatchTooLarge { .. } => StoreErrorKind::Invalid,
            Self::Overloaded { .. } => StoreErrorKind::Overloaded,
            Self::Full { .. } => StoreErrorKind::Full,
            Self::Closed => StoreErrorKind::Closed,
            Self::Fault { .. } => StoreErrorKind::Fault,
        }
    }
}

/// A commit that did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// A precondition does not hold: read again, plan again.
    #[error("the key `{}` is not as the commit expects it", key.escape_ascii())]
    Conflict {
        /// The key of the first precondition that does not hold.
        key: Bytes,
    },
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}
