//! sled itself: how groups are written so that they are durable before they are seen, and how
//! several ranges are read at one snapshot.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::super::disk::{Engine, EngineError, Position, RING_GROUPS, Recovered, Writes, caught};
use super::super::{Order, Read, Revision, Row};
use super::error::SledError;
use super::nudge::Nudge;
use super::rows::{self, Record, Valued};
use super::undo::{Before, Reader, Undo};

#[cfg(test)]
mod tests;

/// What lies under a key: a row, or something that is none, which counts only where no group in
/// progress explains it.
type Found = Result<Valued, SledError>;

/// An open database of sled.
pub struct SledEngine {
    path: PathBuf,
    /// There until it is dropped.
    database: Option<::sled::Db>,
    rows: ::sled::Tree,
    /// sled's file of data, opened once more: an error of writing it back is told to each opening.
    data: File,
    undo: Undo,
    nudge: Nudge,
}

impl SledEngine {
    pub(super) fn open(path: &Path, database: ::sled::Db) -> Result<Self, EngineError> {
        let rows = database.open_tree("record").map_err(|error| told(error, path))?;
        let again = rows.clone();
        // What it finds is found by the flush that it wakes, too.
        let nudge = Nudge::new(move || drop(again.flush()));
        nudge.during(|| database.flush()).map_err(|error| told(error, path))?;
        let data = super::open_data(path).map_err(EngineError::new)?;
        let (path, database) = (path.to_owned(), Some(database));
        Ok(Self { path, database, rows, data, undo: Undo::default(), nudge })
    }

    fn told(&self, error: impl Into<SledError>) -> EngineError {
        told(error, &self.path)
    }

    /// Reads a row as sled has it now; `None` when there is none.
    fn found(&self, key: &[u8]) -> ::sled::Result<Option<Found>> {
        let record = self.rows.get(rows::row_key(key))?;
        record.map(|record| self.whole(key, &record)).transpose()
    }

    /// Puts a row together from its record and what lies under the keys of its further parts.
    fn whole(&self, key: &[u8], record: &[u8]) -> ::sled::Result<Found> {
        let damaged = || SledError::Row { key: key.to_vec() };
        let Some(record) = Record::read(record) else { return Ok(Err(damaged())) };
        let mut further = Vec::new();
        for number in 1..=record.further_parts() {
            let Some(part) = self.rows.get(rows::part_key(key, number))? else {
                return Ok(Err(damaged()));
            };
            further.push(part);
        }
        Ok(record.value(key, &further).ok_or_else(damaged))
    }

    /// The row of a key, for the writer, which has no group in progress.
    fn current(&self, key: &[u8]) -> Result<Option<Valued>, EngineError> {
        let found = self.found(key).map_err(|error| self.told(error))?;
        found.transpose().map_err(|error| self.told(error))
    }

    /// Applies a group to sled, which shows it at once.
    fn apply(&self, writes: Writes, before: &Before, position: Position) -> ::sled::Result<()> {
        let mut batch = ::sled::Batch::default();
        for (key, write) in writes {
            let parts = before.get(&key).and_then(Option::as_ref);
            let parts_before = parts.map_or(0, |(_, value)| rows::further_parts(value.len()));
            let mut parts_now = 0;
            match write {
                Some((revision, value)) => {
                    let (record, further) = rows::encode(&key, revision, &value);
                    parts_now = further.len();
                    batch.insert(rows::row_key(&key), record);
                    for (number, part) in (1..).zip(further) {
                        batch.insert(rows::part_key(&key, number), part);
                    }
                }
                None => batch.remove(rows::row_key(&key)),
            }
            for number in parts_now + 1..=parts_before {
                batch.remove(rows::part_key(&key, number));
            }
        }
        batch.insert(rows::group_key(&position), rows::encode_group(&position));
        self.nudge.during(|| {
            self.rows.apply_batch(batch)?;
            self.rows.flush().map(drop)
        })
    }

    fn rows(&self, reader: &Reader<'_>, read: &Read) -> Result<Vec<Row>, EngineError> {
        let (from, to, limit, order) = match read {
            Read::Get(key) => {
                let found = self.found(key);
                let hidden = reader.hidden();
                let valued = match hidden.iter().find_map(|before| before.get(key)) {
                    Some(before) => before.clone(),
                    None => {
                        let found = found.map_err(|error| self.told(error))?;
                        found.transpose().map_err(|error| self.told(error))?
                    }
                };
                return Ok(valued.map(|valued| row(key.clone(), valued)).into_iter().collect());
            }
            Read::Range { from, to, limit, order } => (from, to, *limit, *order),
        };
        if to.as_ref().is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let mut left = Stretch { from: from.clone(), to: to.clone(), order };
        let mut rows = Vec::new();
        while rows.len() < limit {
            let stretch = self.stretch(&left, limit - rows.len());
            let (found, ended) = stretch.map_err(|error| self.told(error))?;
            let covered = if ended { left.clone() } else { left.cut(&found) };
            let seen = covered.seen(found, &reader.hidden());
            let seen = seen.map_err(|error| self.told(error))?;
            rows.extend(seen.into_iter().take(limit - rows.len()));
            if ended {
                break;
            }
        }
        Ok(rows)
    }

    /// Reads up to `limit` rows of a stretch as sled has them now, and says whether it ended.
    fn stretch(
        &self,
        stretch: &Stretch,
        limit: usize,
    ) -> ::sled::Result<(Vec<(Bytes, Found)>, bool)> {
        let to = stretch.to.as_ref().map_or_else(rows::rows_end, |to| rows::row_key(to));
        let range = self.rows.range(rows::row_key(&stretch.from)..to);
        let records: Box<dyn Iterator<Item = _>> = match stretch.order {
            Order::Ascending => Box::new(range),
            Order::Descending => Box::new(range.rev()),
        };
        let mut found = Vec::new();
        for record in records.take(limit) {
            let (key, record) = record?;
            let key = rows::key_of(&key);
            let whole = self.whole(&key, &record)?;
            found.push((key, whole));
        }
        let ended = found.len() < limit;
        Ok((found, ended))
    }
}

impl Drop for SledEngine {
    fn drop(&mut self) {
        let database = self.database.take();
        // Where its disk fails sled may panic once more; what counts was told when it was written.
        caught(|| {
            drop(database);
            Ok(())
        })
        .ok();
    }
}

impl Engine for SledEngine {
    fn recovered(&self) -> Result<Recovered, EngineError> {
        let mut ring = Vec::new();
        for record in self.rows.scan_prefix(rows::groups()) {
            let (key, record) = record.map_err(|error| self.told(error))?;
            match rows::decode_group(&key, &record) {
                Some(position) => ring.push(position),
                None => return Ok(Recovered::Unreadable),
            }
        }
        Ok(Recovered::of_ring(ring, RING_GROUPS))
    }

    /// sled appends a batch to its log and shows it; its flush waits for the log to be written, and
    /// an fdatasync of the same file makes it durable.
    fn write(&self, writes: Writes, position: Position) -> Result<(), EngineError> {
        let before = writes.keys().map(|key| Ok((key.clone(), self.current(key)?)));
        let before: Before = before.collect::<Result<_, EngineError>>()?;
        self.undo.hide(position.group, before.clone());
        self.apply(writes, &before, position).map_err(|error| self.told(error))?;
        self.data.sync_data().map_err(|error| self.told(::sled::Error::Io(error)))?;
        self.undo.publish(position.group);
        Ok(())
    }

    fn revision(&self, key: &[u8]) -> Result<Option<Revision>, EngineError> {
        Ok(self.current(key)?.map(|(revision, _)| revision))
    }

    /// sled panics at some damages of its files; that is one more error here.
    fn read(&self, reads: &[Read]) -> Result<Vec<Vec<Row>>, EngineError> {
        let reader = self.undo.reader();
        caught(|| reads.iter().map(|read| self.rows(&reader, read)).collect())
    }
}

/// A range of keys, or what is left of one.
#[derive(Debug, Clone)]
struct Stretch {
    from: Bytes,
    to: Option<Bytes>,
    order: Order,
}

impl Stretch {
    /// Cuts off the part that `found` covers: up to its last row, in the order of the stretch.
    fn cut(&mut self, found: &[(Bytes, Found)]) -> Self {
        let mut covered = self.clone();
        let Some((last, _)) = found.last() else { return covered };
        match self.order {
            Order::Ascending => {
                let after: Bytes = [&last[..], &[0]].concat().into();
                covered.to = Some(after.clone());
                self.from = after;
            }
            Order::Descending => {
                covered.from = last.clone();
                self.to = Some(last.clone());
            }
        }
        covered
    }

    /// What a reader sees of the stretch, of which `found` are all rows in order as sled has them,
    /// and `hidden` what the groups replaced that it must not see.
    fn seen(
        &self,
        found: Vec<(Bytes, Found)>,
        hidden: &[Arc<Before>],
    ) -> Result<Vec<Row>, SledError> {
        let sound = |(key, found): (Bytes, Found)| Ok(row(key, found?));
        if hidden.is_empty() {
            return found.into_iter().map(sound).collect();
        }
        let mut rows: BTreeMap<Bytes, Found> = found.into_iter().collect();
        let end = self.to.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        // Of several values that a key had before, the oldest one is what the reader sees.
        for before in hidden.iter().rev() {
            for (key, valued) in before.range::<Bytes, _>((Bound::Included(&self.from), end)) {
                match valued {
                    Some(valued) => rows.insert(key.clone(), Ok(valued.clone())),
                    None => rows.remove(key),
                };
            }
        }
        match self.order {
            Order::Ascending => rows.into_iter().map(sound).collect(),
            Order::Descending => rows.into_iter().rev().map(sound).collect(),
        }
    }
}

fn row(key: Bytes, (revision, value): Valued) -> Row {
    Row { key, revision, value }
}

fn told(error: impl Into<SledError>, path: &Path) -> EngineError {
    error.into().told(path)
}
