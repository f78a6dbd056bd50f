//! Documents and what became of them, to the wire.

use crate::api::render::time;
use crate::catalog::Spot;
use crate::error::{Failure, Kind, Reason};
use crate::memory::{CollectionFigures, DocumentFigures, Finished, Started};
use crate::proto::{v1 as pb, v1::ingest_documents_response::Message};
use crate::record::{Answer, IngestOutcome};
use crate::types::CollectionId;

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A document.
pub(super) fn document(collection: &CollectionId, found: DocumentFigures) -> pb::Document {
    let DocumentFigures { document, row, chunks_embedded } = found;
    let created_at = row.created_at();
    pb::Document {
        collection: collection.to_string(),
        document_id: document.to_string(),
        title: row.header.title,
        media_type: row.header.media.text().to_owned(),
        metadata: row.header.metadata,
        chunking: Some(pb::Chunking {
            tokens_max: row.header.chunking.tokens_max.into(),
            overlap_tokens: Some(row.header.chunking.overlap_tokens.into()),
        }),
        bytes: row.bytes,
        text_bytes: row.text_bytes,
        verbatim: row.verbatim,
        chunks: row.chunks,
        tokens: row.tokens,
        chunks_embedded,
        created_at: Some(time(created_at)),
        ingest_time: Some(time(row.ingested_at)),
        content_hash: hex(&row.content_hash),
    }
}

/// A collection.
pub(super) fn collection(found: CollectionFigures) -> pb::Collection {
    pb::Collection {
        collection: found.collection.to_string(),
        documents: found.documents,
        chunks: found.chunks,
        chunks_embedded: found.chunks_embedded,
        bytes: found.bytes,
        create_time: Some(time(found.row.created_at)),
    }
}

fn response(message: Message) -> pb::IngestDocumentsResponse {
    pb::IngestDocumentsResponse { message: Some(message) }
}

/// A document was accepted.
pub(super) fn started(spot: &Spot, started: &Started) -> pb::IngestDocumentsResponse {
    response(Message::Started(pb::IngestStarted {
        collection: spot.collection.to_string(),
        document_id: spot.document.to_string(),
        upload_id: hex(&started.generation.0),
        bytes_durable: started.bytes_durable,
    }))
}

/// Parts are on disk.
pub(super) fn progress(spot: &Spot, bytes_durable: u64) -> pb::IngestDocumentsResponse {
    let document_id = spot.document.to_string();
    response(Message::Progress(pb::IngestProgress { document_id, bytes_durable }))
}

/// A document is whole; `None` when the answer is of another verb.
pub(super) fn done(spot: &Spot, finished: &Finished) -> Option<pb::IngestDocumentsResponse> {
    let Answer::Ingested(ingested) = finished.answered.answer else { return None };
    let outcome = match ingested.outcome {
        IngestOutcome::Created => pb::IngestOutcome::Created,
        IngestOutcome::Replaced => pb::IngestOutcome::Replaced,
        IngestOutcome::Unchanged => pb::IngestOutcome::Unchanged,
    };
    Some(response(Message::Done(pb::IngestDone {
        collection: spot.collection.to_string(),
        document_id: spot.document.to_string(),
        outcome: outcome.into(),
        bytes_in: ingested.bytes,
        text_bytes: ingested.text_bytes,
        bytes_covered: ingested.bytes_covered,
        chunks: ingested.chunks,
        tokens: ingested.tokens,
        chunks_embedded: ingested.chunks_embedded,
        chunks_queued: ingested.chunks - ingested.chunks_embedded.min(ingested.chunks),
        replayed: finished.answered.replayed,
        words_indexed: finished.words_indexed,
    })))
}

/// A document was refused.
pub(super) fn failed(
    (collection, document): (&str, &str),
    failure: &Failure,
) -> pb::IngestDocumentsResponse {
    // Of two streams that replace each other one must be chosen by whoever sends them.
    let retryable = failure.reason() != Reason::UploadReplaced
        && (matches!(failure.reason().kind(), Kind::Conflict | Kind::Unavailable | Kind::Deadline)
            || failure.retry_hint().is_some());
    response(Message::Failed(pb::IngestFailed {
        collection: collection.chars().take(128).collect(),
        document_id: document.chars().take(128).collect(),
        reason: failure.reason().text().to_owned(),
        message: failure.to_string(),
        retryable,
    }))
}
