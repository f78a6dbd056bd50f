//! What an engine brings to a store on disk; everything else is the store's.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::storage::{Erased, Erases, Read, Revision, Row};

/// How many of the last groups leave a row: more than one journal of 64 MiB can hold, so that the
/// loss of the end of a journal is seen even when a later journal is whole.
pub const RING_GROUPS: u64 = 1 << 16;

/// A kind of engine: how it is opened, and what is known of its files.
pub trait Kind: Clone + Default + Send + Sync + 'static {
    /// What the settings call it; also the name of the folder of its own files.
    const NAME: &'static str;

    /// Whether what an engine has once it is open is durable: opening syncs its files.
    const SYNCED_BY_OPENING: bool;

    /// How its files come to hold nothing of what was removed: when asked, or in a copy only.
    const ERASES: Erases;

    /// It, open.
    type Engine: Engine;

    /// Opens the engine on its files in `path`, or makes them.
    ///
    /// # Errors
    /// [`EngineError`], also for damages at which the engine panics.
    fn open(&self, path: &Path) -> Result<Self::Engine, EngineError>;

    /// How many bytes opening may need that are kept for it, so that a full disk does not keep a
    /// sound folder shut; 0 when it needs none.
    fn reserve_bytes(path: &Path) -> u64;

    /// Gives a file in `path` that says where rows lie, and whose damage the engine would not find.
    ///
    /// # Errors
    /// When one cannot be read.
    fn damaged_list(path: &Path) -> io::Result<Option<PathBuf>>;

    /// The files in `path` that opening may cut, oldest first: they are copied before. None when
    /// there is no such folder.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    fn journals(path: &Path) -> io::Result<Vec<PathBuf>>;

    /// Gives the first of `journals` whose damage the engine would not find.
    ///
    /// # Errors
    /// When a journal cannot be read.
    fn damaged(journals: &[PathBuf]) -> io::Result<Option<&PathBuf>>;
}

/// An engine that is open: one ordered map, written by one thread, read by many.
pub trait Engine: Send + Sync {
    /// Tells how far the engine has come, from the rows of the groups.
    ///
    /// # Errors
    /// When they cannot be read.
    fn recovered(&self) -> Result<Recovered, EngineError>;

    /// Writes a group, all of it or nothing, and syncs it; no reader sees any of it before.
    ///
    /// # Errors
    /// After any error it is open whether the group is kept, and the engine is used no more.
    fn write(&self, writes: Writes, position: Position) -> Result<(), EngineError>;

    /// Gives the commit that last put `key`. Only the writer asks, between its groups.
    ///
    /// # Errors
    /// When it cannot be read.
    fn revision(&self, key: &[u8]) -> Result<Option<Revision>, EngineError>;

    /// Answers all reads at one snapshot, which holds whole groups only.
    ///
    /// # Errors
    /// When a row cannot be read.
    fn read(&self, reads: &[Read]) -> Result<Vec<Vec<Row>>, EngineError>;

    /// Gives what rids the files of all that was removed or replaced, when the engine can. It is
    /// asked for when nobody reads what is older.
    fn eraser(&self) -> Option<Eraser> {
        None
    }
}

/// What rids an engine's files of what was removed, while the engine goes on.
pub struct Eraser {
    /// How much space it may take meanwhile, in bytes.
    pub space_bytes: u64,
    /// Does it, and blocks. It ends soon after the engine is dropped, which waits for that.
    pub run: Box<dyn FnOnce() -> Result<Erased, EngineError> + Send>,
}

/// How far a store has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// The number of the last group: from 1, without gaps.
    pub group: u64,
    /// The revision of the last commit in it.
    pub revision: Revision,
}

impl Position {
    /// Where in the ring its group leaves a row.
    pub fn place(&self) -> [u8; 2] {
        let place = (self.group % RING_GROUPS).to_be_bytes();
        [place[6], place[7]]
    }

    /// The row that its group leaves there.
    pub fn encode(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.group.to_be_bytes());
        bytes[8..].copy_from_slice(&self.revision.0.to_be_bytes());
        bytes
    }

    /// Reads such a row; `None` when it is none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (group, revision) = bytes.split_first_chunk::<8>()?;
        let revision = <[u8; 8]>::try_from(revision).ok()?;
        let (group, revision) = (u64::from_be_bytes(*group), u64::from_be_bytes(revision));
        Some(Self { group, revision: Revision(revision) })
    }
}

/// What one group writes: each key once, with its commit and value, or `None` where it goes.
pub type Writes = BTreeMap<Bytes, Option<(Revision, Bytes)>>;

/// What the rows of the groups tell.
#[derive(Debug, PartialEq, Eq)]
pub enum Recovered {
    /// All of the last groups are there.
    Whole(Position),
    /// This group is missing, and later ones are there.
    Hole {
        /// The first one that is missing.
        missing: u64,
        /// The last one that is there.
        last: u64,
    },
    /// A row is not as any version writes it.
    Unreadable,
}

impl Recovered {
    /// Finds the first group missing in a ring of `size` groups, each in the place of the one
    /// before.
    pub fn of_ring(mut ring: Vec<Position>, size: u64) -> Self {
        ring.sort_by_key(|position| position.group);
        let last = ring.last().copied().unwrap_or_default();
        let first = last.group.saturating_sub(size) + 1;
        let odd = (first..=last.group).zip(&ring).find(|(group, row)| row.group != *group);
        match odd {
            // An older group in its place: the one that should have replaced it is missing.
            Some((group, row)) if row.group < group => {
                Self::Hole { missing: row.group + size, last: last.group }
            }
            Some((group, _)) => Self::Hole { missing: group, last: last.group },
            None => Self::Whole(last),
        }
    }
}

/// Whether an engine failed for want of space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// It did.
    Yes,
    /// It does not say: the disk must be tried.
    Perhaps,
    /// It did not.
    No,
}

/// An engine that could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the engine failed")]
pub struct EngineError {
    /// Whether it was for want of space.
    pub full: Full,
    /// What the engine said.
    pub source: Arc<dyn Error + Send + Sync>,
}

impl EngineError {
    /// An error of the engine: want of space where the file system said so.
    pub fn new(source: impl Error + Send + Sync + 'static) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&source);
        let mut full = Full::No;
        while let Some(error) = cause {
            if error.downcast_ref::<io::Error>().is_some_and(is_full) {
                full = Full::Yes;
            }
            cause = error.source();
        }
        Self { full, source: Arc::new(source) }
    }

    /// An error of the engine that does not tell whether there was space.
    pub fn perhaps_full(source: impl Error + Send + Sync + 'static) -> Self {
        Self { full: Full::Perhaps, source: Arc::new(source) }
    }

    /// An error that has no other source than these words.
    pub fn text(text: &'static str) -> Self {
        Self::new(io::Error::other(text))
    }
}

/// Runs a part of an engine that panics at some damages of its files: that is one more error.
pub fn caught<T>(part: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    // After a panic the engine is closed, or was never there: nothing half done is seen.
    catch_unwind(AssertUnwindSafe(part))
        .unwrap_or_else(|_| Err(EngineError::text("it panicked, see the output above")))
}

/// Says whether an error means that there is no space for more.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
