//! A document begins, and its parts come.

use bytes::Bytes;

use crate::record::{CollectionRow, DocumentHeader, UploadName, UploadRow, document_keys as keys};
use crate::sessions::{Draft, Revised};
use crate::types::{CollectionId, DocumentId, Generation, Incarnation, TenantId, Timestamp};

/// The largest document, in bytes.
pub const DOCUMENT_BYTES_MAX: u64 = 64 << 20;
/// The most parts that a document may come in: parts of 4 KiB for the largest. What arrives
/// together counts as one part.
pub const PARTS_MAX: u32 = 16 << 10;

/// Which document is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spot {
    /// Whose.
    pub tenant: TenantId,
    /// In which collection.
    pub collection: CollectionId,
    /// Which of it.
    pub document: DocumentId,
}

/// Begins a document: an upload of it that was under way is given up, and its parts are forgotten.
/// `fresh` is for a collection that is not there yet, and for the content. Gives the commit, the
/// life of the collection, and the upload.
pub fn plan_start(
    spot: &Spot,
    collection: Option<&Revised<CollectionRow>>,
    upload: Option<&Revised<UploadRow>>,
    header: &DocumentHeader,
    fresh: (Incarnation, Generation),
    now: Timestamp,
) -> (Draft, Incarnation, UploadRow) {
    let mut draft = Draft::new(spot.tenant.clone());
    let key = keys::collection(&spot.tenant, &spot.collection);
    draft.expect(key.clone(), collection.map(|row| row.revision));
    let life = match collection {
        Some(collection) => collection.row.incarnation,
        None => {
            draft.put(key, &CollectionRow { incarnation: fresh.0, created_at: now });
            fresh.0
        }
    };
    let key = keys::upload(life, &spot.document);
    draft.expect(key.clone(), upload.map(|row| row.revision));
    if let Some(upload) = upload {
        draft.erase(now);
        forget_upload(&mut draft, &upload.row);
    }
    let (generation, header) = (fresh.1, header.clone());
    let row = UploadRow { generation, header, bytes_durable: 0, parts: 0, begun_at: now, at: now };
    draft.put(key, &row);
    let name = UploadName {
        tenant: spot.tenant.clone(),
        collection: life,
        document: spot.document.clone(),
    };
    draft.put(keys::upload_by_age(now, generation), &name);
    (draft, life, row)
}

/// Why a part is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartRefused {
    /// It does not begin where the one before ended.
    OutOfOrder {
        /// Where it must begin.
        expected: u64,
    },
    /// The document would be larger than one may be, or than its header says.
    TooLarge,
    /// It has come in as many parts as it may.
    TooMany,
}

/// Keeps a part. Gives the commit and the upload after it.
///
/// # Errors
/// [`PartRefused`].
pub fn plan_part(
    spot: &Spot,
    life: Incarnation,
    upload: &Revised<UploadRow>,
    (offset, part): (u64, Bytes),
    now: Timestamp,
) -> Result<(Draft, UploadRow), PartRefused> {
    let row = &upload.row;
    let end = offset.saturating_add(part.len() as u64);
    let told = if row.header.bytes == 0 { DOCUMENT_BYTES_MAX } else { row.header.bytes };
    if offset != row.bytes_durable {
        return Err(PartRefused::OutOfOrder { expected: row.bytes_durable });
    }
    if end > told.min(DOCUMENT_BYTES_MAX) {
        return Err(PartRefused::TooLarge);
    }
    if row.parts >= PARTS_MAX {
        return Err(PartRefused::TooMany);
    }
    let mut draft = Draft::new(spot.tenant.clone());
    let key = keys::upload(life, &spot.document);
    draft.expect(key.clone(), Some(upload.revision));
    draft.put_raw(keys::part(row.generation, offset), part.to_vec());
    let after = UploadRow { bytes_durable: end, parts: row.parts + 1, at: now, ..row.clone() };
    draft.put(key, &after);
    Ok((draft, after))
}

/// Has the parts of an upload removed; its own row is the caller's.
pub(super) fn forget_upload(draft: &mut Draft, upload: &UploadRow) {
    draft.put_name(keys::forgotten(upload.generation));
    draft.remove(keys::upload_by_age(upload.begun_at, upload.generation));
}

/// Gives an upload up that nobody went on with.
pub fn plan_give_up(name: &UploadName, upload: &Revised<UploadRow>, now: Timestamp) -> Draft {
    let mut draft = Draft::new(name.tenant.clone());
    draft.erase(now);
    let key = keys::upload(name.collection, &name.document);
    draft.expect(key.clone(), Some(upload.revision));
    draft.remove(key);
    forget_upload(&mut draft, &upload.row);
    draft.vital();
    draft
}
