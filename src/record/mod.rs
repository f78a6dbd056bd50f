//! What lies in the store: keys, rows, and their encoding. Pure.
//! In: ids and values. Out: bytes, as `src/ARCHITECTURE.md` lists them.
//! Invariant: a row that this version wrote, this version and later ones read.

pub mod document_keys;
mod documents;
pub mod keys;
mod rows;
mod spaces;
mod work;

pub use documents::{
    ChunkRow, ChunkVectorsRow, CollectionRow, DocumentHeader, DocumentRow, PendingDocument,
    UploadName, UploadRow, VECTORS_A_ROW,
};
pub use rows::{
    Answer, ApiKeyRow, CHANGES_KEPT, ChangeRow, DerivedRow, Head, IngestOutcome, Ingested,
    RepeatRow, RowError, Scopes, SessionKind, TenantRow, UserHead, Verb, decode, encode,
};
pub use spaces::{Slot, SpacesRow};
pub use work::{
    ErasedRow, JobKind, JobRow, JobSet, JobState, PendingRow, PendingSession, SummaryMethod,
    SummaryRow, VectorRow,
};

#[cfg(test)]
mod tests;
