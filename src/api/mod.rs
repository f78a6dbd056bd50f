//! The gRPC edge: who calls, what they ask in types that cannot be wrong, the verb, the answer.
//! In: messages of `proto/`. Out: the same, or a status with `google.rpc` details.
//! Invariant: the tenant of a call is that of its credential; no request names it.

mod admit;
mod call;
mod correct;
mod deadline;
mod documents;
mod limits;
mod memory_service;
mod observe;
mod page;
mod parse;
mod parse_context;
mod parse_policy;
mod parse_turn;
mod render;
mod render_context;
mod replay;
mod status;
mod tenant_service;

pub use admit::{
    ARRIVAL_MAX, Admission, AdmissionLayer, AdmitSettings, BULK_BYTES, Lane, METHODS, Method,
    STALLED, STREAMS_MAX,
};
pub use call::Calls;
pub use correct::corrected;
pub use deadline::DeadlineLayer;
pub use documents::{COLLECTIONS_PAGE_MAX, DocumentApi, IDLE_MAX, PART_BYTES_MAX, TITLE_BYTES_MAX};
pub use limits::{LimitRow, bytes, number, request_limits};
pub use memory_service::MemoryApi;
pub use observe::ObserveLayer;
pub use page::PageTokens;
pub use replay::move_mark;
pub use tenant_service::TenantApi;

/// The largest request, in bytes: an append of a thousand turns of 16 KiB.
pub const REQUEST_BYTES_MAX: usize = 16 << 20;
/// The largest message of a stream of documents, in bytes: a part, or a header with all its labels.
pub const MESSAGE_BYTES_MAX: usize = PART_BYTES_MAX + (64 << 10);
/// The largest answer, in bytes: a context of a million tokens, in two forms.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests;
