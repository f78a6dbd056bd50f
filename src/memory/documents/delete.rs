//! Documents and collections go: at once for every call, then row by row.

use crate::catalog::{
    Spot, plan_delete_collection, plan_delete_document, plan_forget_life, plan_give_up,
};
use crate::error::{Failure, Reason};
use crate::memory::{
    Answered, Memory,
    documents::{Known, place},
    rows::{repeat_of, revised, unreadable},
};
use crate::record::{UploadName, UploadRow, Verb, decode, document_keys as keys};
use crate::storage::{Batch, Read};
use crate::types::{
    CollectionId, DocumentId, Generation, Incarnation, RequestId, TenantId, Timestamp,
};

/// How many documents of a collection that is gone are forgotten in one commit.
const FORGET_ROWS_MAX: usize = 256;
/// How many contents, collections and uploads one round of the sweep looks at.
const SWEEP_ROWS_MAX: usize = 256;
/// How long an upload may rest before it is given up, in milliseconds: 72 hours.
pub const UPLOADS_KEPT_MS: i64 = 72 * 3_600 * 1_000;

fn missing(document: &DocumentId) -> Failure {
    Failure::new(Reason::DocumentNotFound, format!("no document `{document}`"))
}

impl Memory {
    /// Erases a document with all that was made from it, and what of an upload of it is there.
    ///
    /// # Errors
    /// `COLLECTION_NOT_FOUND`, `DOCUMENT_NOT_FOUND`, `REQUEST_ID_REUSED`, and what the store
    /// refuses.
    pub async fn delete_document(
        &self,
        spot: &Spot,
        request_id: Option<RequestId>,
    ) -> Result<Answered, Failure> {
        let asked = (spot.collection.as_str(), spot.document.as_str());
        let repeat = repeat_of(&spot.tenant, Verb::DeleteDocument, request_id, &asked);
        let _turn = self.document_lock(spot).await;
        let gone = std::sync::Mutex::new(None);
        let answered = self
            .commit(repeat.as_ref(), || async {
                let collection = self.collection(&spot.tenant, &spot.collection).await?;
                let life = collection.row.incarnation;
                let Known { upload, document, .. } = self.known(spot).await?;
                if document.is_none() && upload.is_none() {
                    return Err(missing(&spot.document));
                }
                let content = document.as_ref().map(|document| document.row.generation);
                let part = upload.as_ref().map(|upload| upload.row.generation);
                *gone.lock().expect("no holder panics") = Some((life, content, part));
                let (repeat, now) = (repeat.as_ref(), self.now());
                let (document, upload) = (document.as_ref(), upload.as_ref());
                Ok(plan_delete_document(spot, life, document, upload, repeat, now))
            })
            .await?;
        let gone = *gone.lock().expect("no holder panics");
        if let Some((life, content, part)) = gone.filter(|_| !answered.replayed) {
            if let (Some(index), Some(content)) = (&self.library.index, content) {
                self.noted(index.remove(&place(&spot.tenant, life), content).await);
            }
            for generation in content.into_iter().chain(part) {
                self.forget_content(generation).await?;
            }
        }
        Ok(answered)
    }

    /// Erases a collection with all its documents.
    ///
    /// # Errors
    /// `COLLECTION_NOT_FOUND`, `REQUEST_ID_REUSED`, and what the store refuses.
    pub async fn delete_collection(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        request_id: Option<RequestId>,
    ) -> Result<Answered, Failure> {
        let repeat = repeat_of(tenant, Verb::DeleteCollection, request_id, collection);
        let gone = std::sync::Mutex::new(None);
        let answered = self
            .commit(repeat.as_ref(), || async {
                let row = self.collection(tenant, collection).await?;
                *gone.lock().expect("no holder panics") = Some(row.row.incarnation);
                let of = (tenant, collection);
                Ok(plan_delete_collection(of, &row, repeat.as_ref(), self.now()))
            })
            .await?;
        let gone = *gone.lock().expect("no holder panics");
        if let Some(life) = gone.filter(|_| !answered.replayed)
            && let Some(index) = &self.library.index
        {
            self.noted(index.remove_collection(&place(tenant, life)).await);
        }
        Ok(answered)
    }

    /// Removes every row of a content that no document has any more.
    pub(super) async fn forget_content(&self, generation: Generation) -> Result<(), Failure> {
        self.remove_rows(keys::content(generation), keys::forgotten(generation)).await
    }

    async fn forget_life(&self, tenant: &TenantId, life: Incarnation) -> Result<(), Failure> {
        let start = keys::in_life(life);
        let end = crate::record::keys::after_prefix(&start);
        let mut from = start.clone();
        loop {
            let page = Read::range(from.clone(), end.clone()).limit(FORGET_ROWS_MAX);
            let rows = self.read(vec![page]).await?.remove(0);
            // What came behind is looked for once more before all is said to be gone.
            let next = rows.last().map_or(start.clone(), |last| last.key.to_vec());
            if rows.is_empty() && from != start {
                from = next;
                continue;
            }
            from = next;
            let step = plan_forget_life(tenant, life, &rows).map_err(unreadable)?;
            if self.commit_draft(step.draft).await?.is_none() || rows.is_empty() {
                return Ok(());
            }
            for generation in step.contents {
                self.forget_content(generation).await?;
            }
        }
    }

    /// One round: removes what deletions and replacements left, and uploads that nobody went on
    /// with. Gives how many rows it looked at; 0: there is nothing to do by now.
    ///
    /// # Errors
    /// What the store refuses.
    pub async fn sweep_documents(&self) -> Result<usize, Failure> {
        let reads = vec![
            Read::prefix(keys::all_forgotten_lives()).limit(SWEEP_ROWS_MAX),
            Read::prefix(keys::all_forgotten()).limit(SWEEP_ROWS_MAX),
        ];
        let rows = self.read(reads).await?;
        for row in &rows[0] {
            let Some(life) = keys::forgotten_named_by(&row.key) else { continue };
            let tenant: TenantId = decode(&row.value).map_err(unreadable)?;
            self.forget_life(&tenant, Incarnation(life)).await?;
        }
        for row in &rows[1] {
            let Some(generation) = keys::forgotten_named_by(&row.key) else { continue };
            self.forget_content(Generation(generation)).await?;
        }
        Ok(rows[0].len() + rows[1].len() + self.sweep_uploads().await?)
    }

    async fn sweep_uploads(&self) -> Result<usize, Failure> {
        let now = self.now();
        let old = Timestamp(now.0.saturating_sub(UPLOADS_KEPT_MS));
        let (from, to) = keys::uploads_before(old);
        let rows = self.read(vec![Read::range(from, to).limit(SWEEP_ROWS_MAX)]).await?.remove(0);
        for row in &rows {
            let name: UploadName = decode(&row.value).map_err(unreadable)?;
            let key = keys::upload(name.collection, &name.document);
            let found = self.read(vec![Read::get(key)]).await?.remove(0);
            let upload = revised::<UploadRow>(&found)?;
            let named = |upload: &UploadRow| {
                keys::upload_by_age(upload.begun_at, upload.generation) == row.key
            };
            match upload.filter(|upload| named(&upload.row)) {
                Some(upload) if upload.row.at < old => {
                    self.commit_draft(plan_give_up(&name, &upload, now)).await?;
                }
                // It goes on: looked at again when it is as old as this again.
                Some(upload) => {
                    let again = keys::upload_by_age(upload.row.at, upload.row.generation);
                    let batch = Batch::new().delete(row.key.clone()).put(again, row.value.clone());
                    self.commit_plain(batch).await?;
                }
                None => {
                    self.commit_plain(Batch::new().delete(row.key.clone())).await?;
                }
            }
        }
        Ok(rows.len())
    }
}
