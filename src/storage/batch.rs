//! What one commit writes, and what must hold for it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Revision, StoreError};

/// The longest key, in bytes: the record's longest holds three ids of 128 bytes and a number, and
/// every engine keeps keys of this length inline.
pub const KEY_BYTES_MAX: usize = 1024;

/// The most bytes of keys and values in one batch: four times the largest request, since a turn
/// brings derived rows; small enough that a group of them fits an engine's write buffer.
pub const BATCH_BYTES_MAX: usize = 64 << 20;

/// What must hold of a key, at its place in the order of commits, for a batch to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// The key has no value.
    Absent(Bytes),
    /// The key was last put by the commit of this revision.
    Revision(Bytes, Revision),
}

impl Precondition {
    /// The key that it speaks of.
    pub fn key(&self) -> &Bytes {
        match self {
            Self::Absent(key) | Self::Revision(key, _) => key,
        }
    }

    /// Says whether it holds for a key that has this revision now; `None` is a key without value.
    pub fn holds(&self, current: Option<Revision>) -> bool {
        match self {
            Self::Absent(_) => current.is_none(),
            Self::Revision(_, expected) => current == Some(*expected),
        }
    }
}

/// Writes that happen together or not at all. Of two writes of one key the later one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    preconditions: Vec<Precondition>,
    writes: BTreeMap<Bytes, Option<Bytes>>,
    vital: bool,
}

impl Batch {
    /// A batch that checks nothing and writes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Demands that `key` has no value.
    #[must_use]
    pub fn absent(mut self, key: impl Into<Bytes>) -> Self {
        self.preconditions.push(Precondition::Absent(key.into()));
        self
    }

    /// Demands that `key` was last put by the commit `revision`.
    #[must_use]
    pub fn revision(mut self, key: impl Into<Bytes>, revision: Revision) -> Self {
        self.preconditions.push(Precondition::Revision(key.into(), revision));
        self
    }

    /// Adds a precondition made elsewhere.
    #[must_use]
    pub fn when(mut self, precondition: Precondition) -> Self {
        self.preconditions.push(precondition);
        self
    }

    /// Gives `key` a value, which may be empty, whatever it had before.
    #[must_use]
    pub fn put(mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.writes.insert(key.into(), Some(value.into()));
        self
    }

    /// Takes the value of `key` away; without effect on a key that has none.
    #[must_use]
    pub fn delete(mut self, key: impl Into<Bytes>) -> Self {
        self.writes.insert(key.into(), None);
        self
    }

    /// Has the batch written also while the disk is nearly full: it frees space, or takes away a
    /// right that must not stand any longer.
    #[must_use]
    pub fn vital(mut self) -> Self {
        self.vital = true;
        self
    }

    /// Says whether it is written also while the disk is nearly full.
    pub fn is_vital(&self) -> bool {
        self.vital
    }

    /// What must hold, in the order in which it is checked.
    pub fn preconditions(&self) -> &[Precondition] {
        &self.preconditions
    }

    /// The keys written, ascending, each with its value, or with `None` where it is deleted.
    pub fn writes(&self) -> impl ExactSizeIterator<Item = (&Bytes, Option<&Bytes>)> {
        self.writes.iter().map(|(key, value)| (key, value.as_ref()))
    }

    /// Says whether it changes nothing; it may still check something.
    pub fn is_check(&self) -> bool {
        self.writes.is_empty()
    }

    /// The bytes of all its keys and values.
    pub fn size_bytes(&self) -> usize {
        let checked: usize = self.preconditions.iter().map(|p| p.key().len()).sum();
        let written =
            |(key, value): (&Bytes, Option<&Bytes>)| key.len() + value.map_or(0, Bytes::len);
        checked + self.writes().map(written).sum::<usize>()
    }

    /// Checks the lengths of its keys and its size, as every engine does first.
    pub(super) fn check_size(&self) -> Result<(), StoreError> {
        let keys = self.preconditions.iter().map(Precondition::key).chain(self.writes.keys());
        for key in keys {
            if key.is_empty() || key.len() > KEY_BYTES_MAX {
                return Err(StoreError::KeyLength { bytes: key.len() });
            }
        }
        match self.size_bytes() {
            bytes if bytes > BATCH_BYTES_MAX => Err(StoreError::BatchTooLarge { bytes }),
            _ => Ok(()),
        }
    }
}
