//! fjall itself: how rows and groups are kept in it, and how they are read.

use std::collections::BTreeMap;
use std::io;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use ::fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};
use bytes::Bytes;

use super::fault;
use crate::storage::{Order, Read, Revision, Row, StoreError};

/// The first byte of the keys of rows; the rest is the caller's key.
const ROW: u8 = b'r';

/// The first byte of the keys of groups; the rest is the group's place in the ring.
const GROUP: u8 = b'g';

/// How many of the last groups leave a row: more than one journal of 64 MiB can hold, so that the
/// loss of the end of a journal is seen even when a later journal is whole.
const RING_GROUPS: u64 = 1 << 16;

/// How far a store has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The number of the last group: from 1, without gaps.
    pub(super) group: u64,
    /// The revision of the last commit in it.
    pub(super) revision: Revision,
}

/// What one group writes: each key once, with its commit and value, or `None` where it goes.
pub(super) type Writes = BTreeMap<Bytes, Option<(Revision, Bytes)>>;

/// What the rows of the groups tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recovered {
    /// All of the last groups are there.
    Whole(Position),
    /// This group is missing, and later ones are there.
    Hole { missing: u64, last: u64 },
    /// A row is not as any version writes it.
    Unreadable,
}

/// An open database of fjall.
pub(super) struct Engine {
    database: Database,
    rows: Keyspace,
}

impl Engine {
    /// Opens the database in `path`, or makes it.
    ///
    /// fjall panics at some damages of its files; that is one more error here.
    pub(super) fn open(path: &Path) -> ::fjall::Result<Self> {
        catch_unwind(|| Self::open_sound(path))
            .unwrap_or_else(|_| Err(io::Error::other("it panicked, see the output above").into()))
    }

    fn open_sound(path: &Path) -> ::fjall::Result<Self> {
        let database = Database::builder(path).open()?;
        let rows = database.keyspace("record", KeyspaceCreateOptions::default)?;
        Ok(Self { database, rows })
    }

    /// Reads the rows of the groups.
    pub(super) fn recovered(&self) -> ::fjall::Result<Recovered> {
        let mut ring = Vec::new();
        for guard in self.database.snapshot().prefix(&self.rows, [GROUP]) {
            let (_, value) = guard.into_inner()?;
            let Some(position) = decode_position(&value) else {
                return Ok(Recovered::Unreadable);
            };
            ring.push(position);
        }
        Ok(check_ring(ring, RING_GROUPS))
    }

    /// Writes a group: fjall appends it to the journal, syncs that, and only then shows it.
    pub(super) fn write(&self, writes: Writes, position: Position) -> ::fjall::Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (key, write) in writes {
            match write {
                Some((revision, value)) => {
                    batch.insert(&self.rows, row_key(&key), encode_row(revision, &value));
                }
                None => batch.remove(&self.rows, row_key(&key)),
            }
        }
        let slot = (position.group % RING_GROUPS).to_be_bytes();
        let key = [GROUP, slot[6], slot[7]];
        batch.insert(&self.rows, key, encode_position(position));
        batch.commit()
    }

    /// Gives the commit that last put `key`. Only for the writer: another sees what is not synced.
    pub(super) fn revision(&self, key: &[u8]) -> ::fjall::Result<Option<Revision>> {
        let value = self.rows.get(row_key(key))?;
        Ok(value.map(|value| decode_row(&value).0))
    }

    fn read(&self, reads: &[Read]) -> ::fjall::Result<Vec<Vec<Row>>> {
        let snapshot = self.database.snapshot();
        reads.iter().map(|read| self.rows(&snapshot, read)).collect()
    }

    fn rows(&self, snapshot: &Snapshot, read: &Read) -> ::fjall::Result<Vec<Row>> {
        let (from, to, limit, order) = match read {
            Read::Get(key) => {
                let value = snapshot.get(&self.rows, row_key(key))?;
                return Ok(value.map(|value| row(key.clone(), &value)).into_iter().collect());
            }
            Read::Range { from, to, limit, order } => (from, to, *limit, order),
        };
        let to = to.as_ref().map_or_else(|| vec![ROW + 1], |to| row_key(to));
        let from = row_key(from);
        if to <= from {
            return Ok(Vec::new());
        }
        let range = snapshot.range(&self.rows, from..to);
        let read_row = |guard: ::fjall::Guard| {
            let (key, value) = guard.into_inner()?;
            Ok(row(Bytes::copy_from_slice(&key[1..]), &value))
        };
        match order {
            Order::Ascending => range.take(limit).map(read_row).collect(),
            Order::Descending => range.rev().take(limit).map(read_row).collect(),
        }
    }
}

/// Finds the first group missing in a ring of `size` groups, each in the place of the one before.
pub(super) fn check_ring(mut ring: Vec<Position>, size: u64) -> Recovered {
    ring.sort_by_key(|position| position.group);
    let last = ring.last().copied().unwrap_or_default();
    let first = last.group.saturating_sub(size) + 1;
    let odd = (first..=last.group).zip(&ring).find(|(group, row)| row.group != *group);
    match odd {
        // An older group in its place: the one that should have replaced it is missing.
        Some((group, row)) if row.group < group => {
            Recovered::Hole { missing: row.group + size, last: last.group }
        }
        Some((group, _)) => Recovered::Hole { missing: group, last: last.group },
        None => Recovered::Whole(last),
    }
}

fn row_key(key: &[u8]) -> Vec<u8> {
    let mut prefixed = Vec::with_capacity(1 + key.len());
    prefixed.push(ROW);
    prefixed.extend_from_slice(key);
    prefixed
}

fn row(key: Bytes, value: &[u8]) -> Row {
    let (revision, value) = decode_row(value);
    Row { key, revision, value: Bytes::copy_from_slice(value) }
}

fn encode_row(revision: Revision, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + value.len());
    bytes.extend_from_slice(&revision.0.to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

fn decode_row(bytes: &[u8]) -> (Revision, &[u8]) {
    // fjall checks each block and each batch of a journal by a checksum before it gives a value.
    let (revision, value) =
        bytes.split_first_chunk::<8>().expect("every row is written with its revision");
    (Revision(u64::from_be_bytes(*revision)), value)
}

fn encode_position(position: Position) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&position.group.to_be_bytes());
    bytes[8..].copy_from_slice(&position.revision.0.to_be_bytes());
    bytes
}

fn decode_position(bytes: &[u8]) -> Option<Position> {
    let (group, revision) = bytes.split_first_chunk::<8>()?;
    let revision = <[u8; 8]>::try_from(revision).ok()?;
    let (group, revision) = (u64::from_be_bytes(*group), u64::from_be_bytes(revision));
    Some(Position { group, revision: Revision(revision) })
}

/// Where the readers find the engine, and the writer replaces it.
pub(super) struct EngineSlot {
    engine: RwLock<Result<Engine, StoreError>>,
}

impl std::fmt::Debug for EngineSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EngineSlot")
    }
}

impl EngineSlot {
    /// A slot with an engine in it.
    pub(super) fn new(engine: Engine) -> Self {
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

    /// Lets the writer use the engine, or gives why there is none.
    pub(super) fn with<T>(&self, used: impl FnOnce(&Engine) -> T) -> Result<T, StoreError> {
        match &*self.engine.read().unwrap_or_else(PoisonError::into_inner) {
            Ok(engine) => Ok(used(engine)),
            Err(error) => Err(error.clone()),
        }
    }

    /// Takes the engine out, waits for its readers, closes it, and leaves `meanwhile` for the time
    /// until there is what `next` gives, or for good where that is an error.
    pub(super) fn replace<T>(
        &self,
        meanwhile: StoreError,
        next: impl FnOnce() -> Result<(Engine, T), StoreError>,
    ) -> Result<T, StoreError> {
        let mut slot = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        *slot = Err(meanwhile);
        match next() {
            Ok((engine, value)) => {
                *slot = Ok(engine);
                Ok(value)
            }
            Err(error) => {
                *slot = Err(error.clone());
                Err(error)
            }
        }
    }
}

fn read_from(
    slot: &Result<Engine, StoreError>,
    reads: &[Read],
) -> Result<Vec<Vec<Row>>, StoreError> {
    match slot {
        Ok(engine) => engine.read(reads).map_err(|source| fault("read from the store", source)),
        Err(error) => Err(error.clone()),
    }
}
