//! Another embedder than before: all chunks wait for vectors again.

use std::ops::Bound;

use crate::catalog::plan_pending;
use crate::error::Failure;
use crate::memory::{Memory, rows::unreadable};
use crate::record::{
    CollectionRow, DocumentRow, decode, document_keys as keys, encode,
    keys::{after_prefix, documents_embedder},
};
use crate::sessions::Revised;
use crate::storage::{Batch, Read, Row};
use crate::types::{Incarnation, TenantId};

/// How many collections, or documents, are read at a time.
const PAGE_ROWS: usize = 256;

impl Memory {
    /// Queues every document for vectors when another embedder made them until now, or none did:
    /// of another one they are not comparable. Chunks that have the right ones are passed over when
    /// their turn comes. It can be stopped and begun anew. Gives how many documents it queued.
    ///
    /// # Errors
    /// What the store refuses.
    pub async fn requeue_documents(&self) -> Result<u64, Failure> {
        let space = self.spaces.serving();
        let wanted = space.as_ref().map_or("", |space| space.embedder.key());
        let known = self.get::<String>(documents_embedder()).await?;
        if known.is_some_and(|known| known.row == wanted) {
            return Ok(0);
        }
        let mut queued = 0;
        if !wanted.is_empty() {
            let mut after = Bound::Included(keys::all_collections());
            loop {
                let rows = self.page_from(after, keys::all_collections()).await?;
                for row in &rows {
                    let Some((tenant, _)) = keys::collection_named_by(&row.key) else { continue };
                    let life = decode::<CollectionRow>(&row.value).map_err(unreadable)?.incarnation;
                    queued += self.requeue_collection(&tenant, life).await?;
                }
                match rows.last() {
                    Some(last) => after = Bound::Excluded(last.key.to_vec()),
                    None => break,
                }
            }
        }
        // Documents that come meanwhile are queued as they come.
        let batch = Batch::new().put(documents_embedder(), encode(&wanted.to_owned()));
        self.commit_plain(batch).await?;
        self.library.waiting.notify_one();
        Ok(queued)
    }

    async fn requeue_collection(
        &self,
        tenant: &TenantId,
        life: Incarnation,
    ) -> Result<u64, Failure> {
        let (mut queued, mut after) = (0, Bound::Included(keys::documents(life)));
        loop {
            let rows = self.page_from(after, keys::documents(life)).await?;
            for row in &rows {
                let Some(document) = keys::document_named_by(&row.key) else { continue };
                let found = Revised {
                    row: decode::<DocumentRow>(&row.value).map_err(unreadable)?,
                    revision: row.revision,
                };
                let draft = plan_pending(tenant, life, &document, &found, self.now());
                // One that changed meanwhile was queued by who changed it.
                queued += u64::from(self.commit_draft(draft).await?.is_some());
            }
            match rows.last() {
                Some(last) => after = Bound::Excluded(last.key.to_vec()),
                None => return Ok(queued),
            }
        }
    }

    /// The next rows of a prefix.
    async fn page_from(&self, after: Bound<Vec<u8>>, prefix: Vec<u8>) -> Result<Vec<Row>, Failure> {
        let from = match after {
            Bound::Included(key) => key,
            Bound::Excluded(mut key) => {
                key.push(0);
                key
            }
            Bound::Unbounded => prefix.clone(),
        };
        let page = Read::range(from, after_prefix(&prefix)).limit(PAGE_ROWS);
        Ok(self.read(vec![page]).await?.remove(0))
    }
}
