//! fjall itself: how rows and groups are kept in it, and how they are read.

use std::path::{Path, PathBuf};

use ::fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};
use bytes::Bytes;

use crate::storage::{
    Order, Read, Revision, Row,
    disk::{Engine, EngineError, Eraser, Position, RING_GROUPS, Recovered, Writes},
    fjall::erase::{self, Erasing},
};

/// The first byte of the keys of rows; the rest is the caller's key.
const ROW: u8 = b'r';

/// The first byte of the keys of groups; the rest is the group's place in the ring.
const GROUP: u8 = b'g';

/// An open database of fjall.
pub struct FjallEngine {
    path: PathBuf,
    database: Database,
    rows: Keyspace,
    /// Dropped last: it waits for who erases, who holds `rows` too.
    erasing: Erasing,
}

impl FjallEngine {
    /// Opens the database in `path`, or makes it.
    pub(super) fn open(path: &Path) -> ::fjall::Result<Self> {
        let database = Database::builder(path).open()?;
        let rows = database.keyspace("record", KeyspaceCreateOptions::default)?;
        Ok(Self { path: path.to_owned(), database, rows, erasing: Erasing::default() })
    }

    fn ring(&self) -> ::fjall::Result<Vec<Option<Position>>> {
        let groups = self.database.snapshot().prefix(&self.rows, [GROUP]);
        groups.map(|guard| Ok(Position::decode(&guard.into_inner()?.1))).collect()
    }

    fn commit(&self, writes: Writes, position: Position) -> ::fjall::Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (key, write) in writes {
            match write {
                Some((revision, value)) => {
                    batch.insert(&self.rows, row_key(&key), encode_row(revision, &value));
                }
                None => batch.remove(&self.rows, row_key(&key)),
            }
        }
        let [high, low] = position.place();
        batch.insert(&self.rows, [GROUP, high, low], position.encode());
        batch.commit()
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

impl Engine for FjallEngine {
    fn recovered(&self) -> Result<Recovered, EngineError> {
        let ring: Option<Vec<Position>> = self.ring().map_err(failed)?.into_iter().collect();
        Ok(ring.map_or(Recovered::Unreadable, |ring| Recovered::of_ring(ring, RING_GROUPS)))
    }

    /// fjall appends a batch to the journal, syncs that, and only then shows it.
    fn write(&self, writes: Writes, position: Position) -> Result<(), EngineError> {
        self.commit(writes, position).map_err(failed)
    }

    fn revision(&self, key: &[u8]) -> Result<Option<Revision>, EngineError> {
        let value = self.rows.get(row_key(key)).map_err(failed)?;
        Ok(value.map(|value| decode_row(&value).0))
    }

    fn read(&self, reads: &[Read]) -> Result<Vec<Vec<Row>>, EngineError> {
        let snapshot = self.database.snapshot();
        let answers = reads.iter().map(|read| self.rows(&snapshot, read));
        answers.collect::<::fjall::Result<_>>().map_err(failed)
    }

    fn eraser(&self) -> Option<Eraser> {
        Some(erase::eraser(&self.path, &self.rows, &self.erasing))
    }
}

impl Drop for FjallEngine {
    fn drop(&mut self) {
        // Before the database is closed, which ends what it is compacting.
        self.erasing.end();
    }
}

/// An error of fjall. Once its background work failed it answers that it is poisoned, and not
/// whether that was for want of space.
pub(super) fn failed(error: ::fjall::Error) -> EngineError {
    match error {
        ::fjall::Error::Poisoned => EngineError::perhaps_full(error),
        error => EngineError::new(error),
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
