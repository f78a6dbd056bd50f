//! Chunks and the embedder that does not serve.

use crate::catalog::{Spot, plan_vectors};
use crate::error::Failure;
use crate::memory::{
    Memory, Space,
    documents::{embedding::Lacking, place},
    rows::{revised, unreadable},
};
use crate::record::{
    CollectionRow, DocumentRow, Slot, decode, document_keys as keys, keys::after_prefix,
};
use crate::storage::Read;
use crate::types::{CollectionId, DocumentId, Incarnation, TenantId};

/// A document in its place, in the order in which all are gone through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::memory) struct Shelved {
    pub(in crate::memory) tenant: TenantId,
    pub(in crate::memory) collection: CollectionId,
    pub(in crate::memory) life: Incarnation,
    pub(in crate::memory) document: DocumentId,
}

impl Memory {
    /// The document after another one; the first one of all without that.
    pub(in crate::memory) async fn document_after(
        &self,
        last: Option<&Shelved>,
    ) -> Result<Option<Shelved>, Failure> {
        let end = after_prefix(&keys::all_collections());
        let mut from = keys::all_collections();
        let mut within = None;
        if let Some(last) = last {
            from = keys::collection(&last.tenant, &last.collection);
            within = Some(last);
        }
        loop {
            let page = Read::range(from.clone(), end.clone()).limit(1);
            let rows = self.read(vec![page]).await?.remove(0);
            let Some(row) = rows.first() else { return Ok(None) };
            if let Some((tenant, collection)) = keys::collection_named_by(&row.key) {
                let life = decode::<CollectionRow>(&row.value).map_err(unreadable)?.incarnation;
                // A collection that began anew meanwhile is gone through from its first document.
                let last = within.take().filter(|last| last.life == life);
                let mut start = keys::documents(life);
                if let Some(last) = last {
                    start = keys::document(life, &last.document);
                    start.push(0);
                }
                let next = Read::range(start, after_prefix(&keys::documents(life))).limit(1);
                let found = self.read(vec![next]).await?.remove(0);
                let found = found.first().and_then(|row| keys::document_named_by(&row.key));
                if let Some(document) = found {
                    return Ok(Some(Shelved { tenant, collection, life, document }));
                }
            }
            within = None;
            from = row.key.to_vec();
            from.push(0);
        }
    }

    /// How many chunks all documents have.
    pub(in crate::memory) async fn count_chunks(&self) -> Result<u64, Failure> {
        let (mut chunks, mut lives) = (0, Vec::new());
        self.pages(keys::all_collections(), |rows| {
            for row in rows {
                lives.push(decode::<CollectionRow>(&row.value).map_err(unreadable)?.incarnation);
            }
            Ok(())
        })
        .await?;
        for life in lives {
            self.pages(keys::documents(life), |rows| {
                for row in rows {
                    let row: DocumentRow = decode(&row.value).map_err(unreadable)?;
                    chunks += u64::from(row.chunks);
                }
                Ok(())
            })
            .await?;
        }
        Ok(chunks)
    }

    /// Gives the chunks of a document their vectors, where they lack them. Gives how many chunks it
    /// has.
    pub(in crate::memory) async fn fill_document(
        &self,
        space: &Space,
        shelved: &Shelved,
    ) -> Result<u64, Failure> {
        let spot = Spot {
            tenant: shelved.tenant.clone(),
            collection: shelved.collection.clone(),
            document: shelved.document.clone(),
        };
        let mut next = 0;
        loop {
            let key = keys::document(shelved.life, &shelved.document);
            let found = self.read(vec![Read::get(key)]).await?;
            let Some(document) = revised::<DocumentRow>(&found[0])? else { return Ok(0) };
            let Lacking { first, count, .. } = self.lacking(&document.row, space, next).await?;
            if count == 0 {
                return Ok(u64::from(document.row.chunks));
            }
            let of = (&shelved.tenant, &document.row);
            let row = self.chunk_vectors(space, of, (first, count)).await?;
            let vectors = Some((space.slot, first, &row));
            let mut draft = plan_vectors(&spot, shelved.life, &document, vectors, false);
            self.spaces.expected(&mut draft);
            if !self.commit_or_refresh(draft).await? {
                // It changed meanwhile, or another embedder serves: who did that noted it.
                return Ok(u64::from(document.row.chunks));
            }
            let place = place(&shelved.tenant, shelved.life);
            let generation = document.row.generation;
            let _held = self.spaces.hold().await;
            let is_beside = self.spaces.beside().is_some_and(|now| now.slot == space.slot);
            if let (Some(index), true) = (&self.library.index, is_beside) {
                let told = index.set_vectors_beside(&place, generation, first, &row.vectors);
                self.noted(told.await);
            }
            next = first + count;
        }
    }

    /// The keys of the vectors of a document in a slot: from, to; `None`: there is no document.
    pub(in crate::memory) async fn vectors_of_document(
        &self,
        slot: Slot,
        shelved: &Shelved,
    ) -> Result<Option<(Vec<u8>, Vec<u8>)>, Failure> {
        let key = keys::document(shelved.life, &shelved.document);
        let found = self.read(vec![Read::get(key)]).await?;
        let document = revised::<DocumentRow>(&found[0])?;
        Ok(document.map(|document| {
            let prefix = keys::vectors(slot, document.row.generation);
            let end = after_prefix(&prefix);
            (prefix, end)
        }))
    }

    /// Has the index answer by the vectors of a slot.
    pub(in crate::memory) fn index_serves(&self, slot: Slot) {
        if let Some(index) = &self.library.index {
            index.serve(slot as usize);
            if index.is_behind() {
                self.library.lagging.notify_one();
            }
        }
    }
}
