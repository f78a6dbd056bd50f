//! The words of the project as types: ids, units, turns, policies. Pure.
//! In: text and numbers from the edge. Out: values that cannot be wrong.
//! Invariant: a value of a type with private fields has passed its `parse`.

mod document;
mod ids;
mod policy;
mod turn;
mod units;

pub use document::{ChunkSpan, Chunking, Generation, MediaType};
pub use ids::{
    CollectionId, DocumentId, ID_BYTES_MAX, Incarnation, InvalidId, KeyId, Metadata, RequestId,
    SessionId, TenantId, UserId,
};
pub use policy::{
    DocumentPolicy, ModelPolicy, Policy, RetrievalMode, RetrievalPolicy, Shares, SummaryPolicy,
};
pub use turn::{Group, Media, Part, Role, Status, Turn};
pub use units::{Change, Seq, Timestamp, Version};

#[cfg(test)]
mod tests;
