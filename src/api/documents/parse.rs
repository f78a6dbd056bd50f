//! Headers of documents from the wire.

use crate::api::parse::Faults;
use crate::catalog::{DOCUMENT_BYTES_MAX, Spot};
use crate::error::Failure;
use crate::proto::v1 as pb;
use crate::record::DocumentHeader;
use crate::types::{Chunking, Generation, MediaType, RequestId, TenantId};

/// The largest part of a document, in bytes.
pub const PART_BYTES_MAX: usize = 1 << 20;
/// The longest title, in bytes.
pub const TITLE_BYTES_MAX: usize = 1 << 10;

/// A header, checked.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) spot: Spot,
    pub(super) header: DocumentHeader,
    pub(super) resumed: Option<Generation>,
    pub(super) request_id: Option<RequestId>,
}

/// Which document a request names.
pub(super) fn spot(
    faults: &mut Faults,
    tenant: &TenantId,
    collection: &str,
    document: &str,
) -> Option<Spot> {
    let collection = faults.collection("collection", collection);
    let document = faults.document("document_id", document);
    let (collection, document) = collection.zip(document)?;
    Some(Spot { tenant: tenant.clone(), collection, document })
}

/// The header of a document.
///
/// # Errors
/// `INVALID_REQUEST` with every faulty field.
pub(super) fn header(tenant: &TenantId, header: pb::DocumentHeader) -> Result<Parsed, Failure> {
    let mut faults = Faults::default();
    let spot = spot(&mut faults, tenant, &header.collection, &header.document_id);
    faults.text("title", &header.title, TITLE_BYTES_MAX);
    let media = match header.media_type.as_str() {
        "" => MediaType::Plain,
        name => MediaType::parse(name).unwrap_or_else(|_| {
            let known = MediaType::ALL.map(MediaType::text).join(", ");
            faults.add("media_type", format!("must be one of {known}"));
            MediaType::Plain
        }),
    };
    let metadata = faults.metadata("metadata", &header.metadata);
    let request_id = faults.request_id(&header.request_id);
    let chunking = chunking(&mut faults, header.chunking.as_ref());
    let created_at = faults.time("created_at", header.created_at.as_ref());
    if header.bytes > DOCUMENT_BYTES_MAX {
        faults.add("bytes", format!("must be at most {DOCUMENT_BYTES_MAX}"));
    }
    let resumed = upload_id(&mut faults, &header.upload_id);
    let title = header.title;
    let bytes = header.bytes;
    faults.check(spot.map(|spot| Parsed {
        spot,
        header: DocumentHeader { title, media, metadata, chunking, created_at, bytes },
        resumed,
        request_id,
    }))
}

fn chunking(faults: &mut Faults, chunking: Option<&pb::Chunking>) -> Chunking {
    let Some(chunking) = chunking else { return Chunking::DEFAULT };
    let tokens_max = match chunking.tokens_max {
        0 => Chunking::DEFAULT.tokens_max,
        most => u16::try_from(most).unwrap_or(u16::MAX),
    };
    let (least, most) = (Chunking::TOKENS_MIN, Chunking::TOKENS_MAX);
    if !(least..=most).contains(&tokens_max) {
        faults.add("chunking.tokens_max", format!("must be {least} to {most}"));
    }
    let overlap_tokens = match chunking.overlap_tokens {
        None => tokens_max / 10,
        Some(overlap) => u16::try_from(overlap).unwrap_or(u16::MAX),
    };
    if overlap_tokens > tokens_max / 2 {
        faults.add("chunking.overlap_tokens", "must be at most half of `tokens_max`");
    }
    Chunking { tokens_max, overlap_tokens }
}

fn upload_id(faults: &mut Faults, text: &str) -> Option<Generation> {
    if text.is_empty() {
        return None;
    }
    // A UUID without its hyphens is what a generation looks like.
    let parsed = uuid::Uuid::try_parse(text).ok().filter(|_| text.len() == 32);
    if parsed.is_none() {
        faults.add("upload_id", "must be an `upload_id` of GetIngestStatus, or empty");
    }
    parsed.map(|id| Generation(id.into_bytes()))
}
