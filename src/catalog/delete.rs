//! Documents and collections go.

use crate::catalog::{Spot, upload::forget_upload};
use crate::record::{
    Answer, CollectionRow, DocumentRow, RowError, UploadRow, decode, document_keys as keys,
};
use crate::sessions::{AppendPlan, Draft, Repeat, Revised};
use crate::storage::Row;
use crate::types::{CollectionId, Generation, Incarnation, TenantId, Timestamp};

/// Erases a document, or an upload of it that is under way, or both.
pub fn plan_delete_document(
    spot: &Spot,
    life: Incarnation,
    document: Option<&Revised<DocumentRow>>,
    upload: Option<&Revised<UploadRow>>,
    repeat: Option<&Repeat>,
    now: Timestamp,
) -> AppendPlan {
    let mut draft = Draft::new(spot.tenant.clone());
    let key = keys::document(life, &spot.document);
    draft.expect(key.clone(), document.map(|document| document.revision));
    if let Some(document) = document {
        draft.remove(key);
        draft.put_name(keys::forgotten(document.row.generation));
        draft.remove(keys::pending(&spot.tenant, document.row.generation));
    }
    if let Some(upload) = upload {
        let key = keys::upload(life, &spot.document);
        draft.expect(key.clone(), Some(upload.revision));
        draft.remove(key);
        forget_upload(&mut draft, &upload.row);
    }
    let chunks = document.map_or(0, |document| document.row.chunks);
    let answer = Answer::DocumentDeleted { chunks, at: now };
    draft.remember(repeat, &answer, now);
    draft.erase(now);
    draft.vital();
    AppendPlan { draft, answer }
}

/// Erases a collection: nothing in it can be found or written from then on, and its rows go after.
pub fn plan_delete_collection(
    (tenant, collection): (&TenantId, &CollectionId),
    row: &Revised<CollectionRow>,
    repeat: Option<&Repeat>,
    now: Timestamp,
) -> AppendPlan {
    let mut draft = Draft::new(tenant.clone());
    let key = keys::collection(tenant, collection);
    draft.expect(key.clone(), Some(row.revision));
    draft.remove(key);
    draft.put(keys::forgotten_life(row.row.incarnation), tenant);
    let answer = Answer::CollectionDeleted { at: now };
    draft.remember(repeat, &answer, now);
    draft.erase(now);
    draft.vital();
    AppendPlan { draft, answer }
}

/// A step of the removal of a collection's rows.
#[derive(Debug)]
pub struct ForgottenLife {
    /// The commit.
    pub draft: Draft,
    /// The contents that are to be removed now.
    pub contents: Vec<Generation>,
}

/// Removes rows of a collection that is gone, `rows` being some of them; without any, the removal
/// ends.
///
/// # Errors
/// [`RowError`] when one cannot be read.
pub fn plan_forget_life(
    tenant: &TenantId,
    life: Incarnation,
    rows: &[Row],
) -> Result<ForgottenLife, RowError> {
    let mut draft = Draft::new(tenant.clone());
    let mut contents = Vec::with_capacity(rows.len());
    let (documents, uploads) = (keys::documents(life), keys::uploads(life));
    for row in rows {
        if row.key.starts_with(&documents) {
            contents.push(decode::<DocumentRow>(&row.value)?.generation);
        } else if row.key.starts_with(&uploads) {
            let upload = decode::<UploadRow>(&row.value)?;
            forget_upload(&mut draft, &upload);
            contents.push(upload.generation);
        }
        draft.remove(row.key.to_vec());
    }
    for generation in &contents {
        draft.put_name(keys::forgotten(*generation));
        draft.remove(keys::pending(tenant, *generation));
    }
    if rows.is_empty() {
        draft.remove(keys::forgotten_life(life));
    }
    draft.vital();
    Ok(ForgottenLife { draft, contents })
}
