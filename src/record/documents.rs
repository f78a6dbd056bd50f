//! The rows of documents.

use serde::{Deserialize, Serialize};

use crate::retrieve::TurnVectors;
use crate::types::{
    ChunkSpan, Chunking, DocumentId, Generation, Incarnation, MediaType, Metadata, TenantId,
    Timestamp,
};

/// How many chunks have their vectors in one row, at the most.
pub const VECTORS_A_ROW: u32 = 32;

/// A collection. It does not change while it lives, so that documents of it are written side by
/// side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionRow {
    /// This life of the collection.
    pub incarnation: Incarnation,
    /// When its first document came.
    pub created_at: Timestamp,
}

/// What the sender of a document says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentHeader {
    /// Its title.
    pub title: String,
    /// How its bytes are read.
    pub media: MediaType,
    /// Its labels.
    pub metadata: Metadata,
    /// How it is cut.
    pub chunking: Chunking,
    /// When its content was made; `None`: when it came.
    pub created_at: Option<Timestamp>,
    /// How many bytes it has; 0: not said.
    pub bytes: u64,
}

impl DocumentHeader {
    /// Whether another header says the same of a document; how many bytes it said beforehand counts
    /// nothing.
    pub fn is_same(&self, other: &Self) -> bool {
        Self { bytes: 0, ..self.clone() } == Self { bytes: 0, ..other.clone() }
    }
}

/// A document whose parts are coming.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRow {
    /// The content that its parts belong to.
    pub generation: Generation,
    /// What its sender says of it.
    pub header: DocumentHeader,
    /// How many bytes of it are on disk, from the first.
    pub bytes_durable: u64,
    /// In how many parts.
    pub parts: u32,
    /// When it began.
    pub begun_at: Timestamp,
    /// When the last of its parts came.
    pub at: Timestamp,
}

/// Names an upload by its age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadName {
    /// Whose.
    pub tenant: TenantId,
    /// This life of its collection.
    pub collection: Incarnation,
    /// Which document.
    pub document: DocumentId,
}

/// A document that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentRow {
    /// Its content.
    pub generation: Generation,
    /// What its sender says of it.
    pub header: DocumentHeader,
    /// How many bytes it has.
    pub bytes: u64,
    /// The BLAKE3 hash of its bytes.
    pub content_hash: [u8; 32],
    /// How many bytes its text has.
    pub text_bytes: u64,
    /// How many of those bytes are part of a chunk.
    pub bytes_covered: u64,
    /// Whether the text is, byte for byte, what was sent; then the parts are not kept.
    pub verbatim: bool,
    /// How many chunks it has.
    pub chunks: u32,
    /// Their tokens.
    pub tokens: u64,
    /// When this content came.
    pub ingested_at: Timestamp,
    /// The language that its tenant's policy named then (ISO 639-1), or empty.
    pub language: String,
}

impl DocumentRow {
    /// When its content was made.
    pub fn created_at(&self) -> Timestamp {
        self.header.created_at.unwrap_or(self.ingested_at)
    }
}

/// A chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRow {
    /// Where it stands.
    pub span: ChunkSpan,
    /// The text from its start to the start of the next chunk, or the end: what all chunks hold
    /// of it, one after the other, is the text of the document.
    pub text: String,
}

/// The vectors of some chunks, from the ordinal in the key on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChunkVectorsRow {
    /// The key of the embedder: vectors of another one are not comparable.
    pub embedder: String,
    /// One vector a chunk.
    pub vectors: TurnVectors,
}

/// A content with chunks that wait for their vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingDocument {
    /// Its collection.
    pub collection: Incarnation,
    /// Its document.
    pub document: DocumentId,
    /// Since when it waits.
    pub since: Timestamp,
}
