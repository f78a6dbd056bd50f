//! Documents against their collections, their contents and what waits for vectors.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::{Check, Report, hex, value};
use crate::record::{
    ChunkRow, ChunkVectorsRow, CollectionRow, DocumentRow, PendingDocument, UploadName, UploadRow,
    document_keys as keys,
};
use crate::storage::{Batch, Row};
use crate::types::{Generation, Incarnation, TenantId};

/// What the rows of documents say, as they come.
#[derive(Default)]
pub(super) struct Shelves {
    /// Collections that live.
    lives: BTreeSet<Incarnation>,
    /// Collections and contents that are about to be removed.
    forgotten: BTreeSet<[u8; 16]>,
    /// Contents that a document or an upload stands for, with its collection, its id and, of a
    /// document, how many chunks it has.
    owned: BTreeMap<Generation, (Incarnation, String, Option<u32>)>,
    /// Contents that have rows, with how many of them are chunks.
    contents: BTreeMap<Generation, u32>,
}

impl Shelves {
    /// Takes a row. `None`: it is no row of documents that this version writes.
    pub(super) fn row(&mut self, row: &Row) -> Option<Check> {
        let key = &row.key;
        match key.first()? {
            b'C' => {
                keys::collection_named_by(key)?;
                self.lives.insert(value::<CollectionRow>(row)?.incarnation);
            }
            b'c' => self.in_collection(row)?,
            b'g' => self.of_content(row)?,
            b'q' => {
                keys::pending_named_by(key)?;
                value::<PendingDocument>(row)?;
            }
            b'l' => {
                value::<UploadName>(row)?;
            }
            b'f' => {
                self.forgotten.insert(keys::forgotten_named_by(key)?);
            }
            b'F' => {
                value::<TenantId>(row)?;
                self.forgotten.insert(keys::forgotten_named_by(key)?);
            }
            _ => return None,
        }
        Some(Check::Documents)
    }

    fn in_collection(&mut self, row: &Row) -> Option<()> {
        let life = Incarnation(row.key.get(1..17)?.try_into().ok()?);
        let name = keys::document_named_by(&row.key)?.to_string();
        let (generation, chunks) = match row.key.get(17)? {
            b'd' => {
                let document = value::<DocumentRow>(row)?;
                (document.generation, Some(document.chunks))
            }
            b'o' => (value::<UploadRow>(row)?.generation, None),
            _ => return None,
        };
        self.owned.insert(generation, (life, name, chunks));
        Some(())
    }

    fn of_content(&mut self, row: &Row) -> Option<()> {
        let generation = Generation(row.key.get(1..17)?.try_into().ok()?);
        let chunks = self.contents.entry(generation).or_default();
        match row.key.get(17)? {
            b'k' => {
                value::<ChunkRow>(row)?;
                *chunks += 1;
            }
            b'v' | b'y' => {
                value::<ChunkVectorsRow>(row)?;
            }
            b'p' => {
                keys::offset_of(&row.key)?;
            }
            _ => return None,
        }
        Some(())
    }

    /// Holds documents and contents against each other; gives what mends them.
    pub(super) fn fit(&self, report: &mut Report) -> Batch {
        let mut batch = Batch::new();
        for (generation, (life, name, chunks)) in &self.owned {
            let subject = format!("{}/{name}", hex(*life));
            if !self.lives.contains(life) && !self.forgotten.contains(&life.0) {
                let what = "belongs to no collection, and nothing is about to remove it";
                report.bad(Check::Documents, subject, what);
                continue;
            }
            let found = self.contents.get(generation).copied().unwrap_or_default();
            if let Some(chunks) = chunks.filter(|chunks| *chunks != found) {
                let what = format!("has {found} chunks of {chunks}: ingest it again");
                report.bad(Check::Documents, subject, &what);
            }
        }
        for generation in self.contents.keys() {
            let about_to_go = self.forgotten.contains(&generation.0);
            if about_to_go || self.owned.contains_key(generation) {
                continue;
            }
            let what = "its rows belong to no document, and nothing is about to remove them";
            report.mendable(Check::Documents, hex(Incarnation(generation.0)), what);
            batch = batch.put(keys::forgotten(*generation), Vec::new());
        }
        batch
    }
}
