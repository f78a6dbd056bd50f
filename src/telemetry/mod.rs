//! What operators watch: metrics, the log, spans; every name of a metric stands in `names.rs`.
//! In: what the service does. Out: numbers for Prometheus, lines on stderr, spans for a collector;
//! without a listener, a filter or a collector for them they are dropped.
//! Invariant: no name, label, line or span holds content of turns or queries, a key, or the id of
//! a tenant or user; a tenant is shown as a keyed hash.

mod call;
mod documents;
mod embedder;
mod export;
mod log;
mod meters;
mod names;
mod parent;

pub use call::{
    CallNotes, RequestIds, TenantTag, TenantTags, note_reason, note_tenant, note_tokens,
};
pub use documents::{
    OpenStream, chunks_embedded, chunks_lag, document_answered, document_bytes, document_refused,
    document_whole, documents_searched, erasure_ended, erasure_lag, index_holds, index_lag,
};
pub use embedder::{EmbedOutcome, EmbedderMeter};
pub use export::{CallSpan, ExportError, ExportSettings, Spans, trace_of};
pub use log::{LogForm, LogGuard, observe_log, start_log};
pub use meters::{
    CODES, Cache, JobOutcome, MethodMeter, admission_bytes, admission_lane, admission_refused,
    build_info, cache_asked, cache_size, connections, connections_refused, context_built, degraded,
    documents_server, embedded, embedding_beside, embedding_lag, group_synced, job_ended, jobs_lag,
    reranked, serving, summarized, tasks,
};
pub use names::{Kind, METRICS, Metric, describe};
pub use parent::parent_of;

#[cfg(test)]
mod tests;
