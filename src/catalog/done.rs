//! A document is whole: its chunks, and the commit that makes it the one that is found.

use crate::catalog::{Spot, upload::forget_upload};
use crate::record::{
    Answer, ChunkRow, ChunkVectorsRow, CollectionRow, DocumentRow, IngestOutcome, Ingested,
    PendingDocument, Slot, UploadRow, document_keys as keys,
};
use crate::sessions::{AppendPlan, Draft, Repeat, Revised};
use crate::types::{DocumentId, Incarnation, TenantId, Timestamp};

/// Writes chunks of a content, and vectors of those that are known, while its upload is there.
pub fn plan_chunks(
    spot: &Spot,
    life: Incarnation,
    upload: &Revised<UploadRow>,
    chunks: &[(u32, ChunkRow)],
    vectors: &[(Slot, u32, ChunkVectorsRow)],
) -> Draft {
    let mut draft = Draft::new(spot.tenant.clone());
    draft.expect(keys::upload(life, &spot.document), Some(upload.revision));
    let generation = upload.row.generation;
    for (ordinal, row) in chunks {
        draft.put(keys::chunk(generation, *ordinal), row);
    }
    for (slot, first, row) in vectors {
        draft.put(keys::chunk_vectors(*slot, generation, *first), row);
    }
    draft
}

/// What was found of a document that is whole.
#[derive(Debug)]
pub struct Whole<'a> {
    /// Its collection.
    pub collection: &'a Revised<CollectionRow>,
    /// Its upload.
    pub upload: &'a Revised<UploadRow>,
    /// The document that it replaces, if there is one.
    pub before: Option<&'a Revised<DocumentRow>>,
    /// Where its parts begin.
    pub parts: &'a [u64],
    /// How many of its chunks have vectors already.
    pub chunks_embedded: u32,
    /// Whether the others wait for theirs.
    pub embeds: bool,
}

/// Makes a content the one that is found. Its parts are not kept when its text is the same bytes.
pub fn plan_done(
    spot: &Spot,
    row: &DocumentRow,
    whole: &Whole<'_>,
    repeat: Option<&Repeat>,
    now: Timestamp,
) -> AppendPlan {
    let life = whole.collection.row.incarnation;
    let mut draft = Draft::new(spot.tenant.clone());
    let key = keys::collection(&spot.tenant, &spot.collection);
    draft.expect(key, Some(whole.collection.revision));
    let key = keys::upload(life, &spot.document);
    draft.expect(key.clone(), Some(whole.upload.revision));
    draft.remove(key);
    draft.remove(keys::upload_by_age(whole.upload.row.begun_at, row.generation));
    let key = keys::document(life, &spot.document);
    draft.expect(key.clone(), whole.before.map(|before| before.revision));
    draft.put(key, row);
    if let Some(before) = whole.before {
        draft.erase(now);
        draft.put_name(keys::forgotten(before.row.generation));
        draft.remove(keys::pending(&spot.tenant, before.row.generation));
    }
    if row.verbatim {
        whole.parts.iter().for_each(|at| draft.remove(keys::part(row.generation, *at)));
    }
    if whole.embeds && whole.chunks_embedded < row.chunks {
        let document = spot.document.clone();
        let pending = PendingDocument { collection: life, document, since: now };
        draft.put(keys::pending(&spot.tenant, row.generation), &pending);
    }
    let outcome = match whole.before {
        Some(_) => IngestOutcome::Replaced,
        None => IngestOutcome::Created,
    };
    let answer = Answer::Ingested(Ingested {
        outcome,
        bytes: row.bytes,
        text_bytes: row.text_bytes,
        bytes_covered: row.bytes_covered,
        chunks: row.chunks,
        tokens: row.tokens,
        chunks_embedded: whole.chunks_embedded,
    });
    draft.remember(repeat, &answer, now);
    AppendPlan { draft, answer }
}

/// Gives an upload up whose content is there already. `chunks_embedded` is how many chunks of that
/// have their vectors.
pub fn plan_unchanged(
    spot: &Spot,
    life: Incarnation,
    upload: &Revised<UploadRow>,
    (document, chunks_embedded): (&Revised<DocumentRow>, u32),
    repeat: Option<&Repeat>,
    now: Timestamp,
) -> AppendPlan {
    let mut draft = Draft::new(spot.tenant.clone());
    draft.expect(keys::document(life, &spot.document), Some(document.revision));
    let key = keys::upload(life, &spot.document);
    draft.expect(key.clone(), Some(upload.revision));
    draft.remove(key);
    forget_upload(&mut draft, &upload.row);
    let DocumentRow { bytes, text_bytes, bytes_covered, chunks, tokens, .. } = document.row;
    let answer = Answer::Ingested(Ingested {
        outcome: IngestOutcome::Unchanged,
        bytes,
        text_bytes,
        bytes_covered,
        chunks,
        tokens,
        chunks_embedded,
    });
    draft.remember(repeat, &answer, now);
    AppendPlan { draft, answer }
}

/// Keeps vectors of chunks of a document that is as it was read; with the last of them it waits no
/// more.
pub fn plan_vectors(
    spot: &Spot,
    life: Incarnation,
    document: &Revised<DocumentRow>,
    vectors: Option<(Slot, u32, &ChunkVectorsRow)>,
    is_last: bool,
) -> Draft {
    let mut draft = Draft::new(spot.tenant.clone());
    draft.expect(keys::document(life, &spot.document), Some(document.revision));
    if let Some((slot, first, row)) = vectors {
        draft.put(keys::chunk_vectors(slot, document.row.generation, first), row);
    }
    if is_last {
        draft.remove(keys::pending(&spot.tenant, document.row.generation));
    }
    draft
}

/// Has the chunks of a document that is as it was read wait for vectors.
pub fn plan_pending(
    tenant: &TenantId,
    life: Incarnation,
    document: &DocumentId,
    found: &Revised<DocumentRow>,
    now: Timestamp,
) -> Draft {
    let mut draft = Draft::new(tenant.clone());
    draft.expect(keys::document(life, document), Some(found.revision));
    let pending = PendingDocument { collection: life, document: document.clone(), since: now };
    draft.put(keys::pending(tenant, found.row.generation), &pending);
    draft
}
