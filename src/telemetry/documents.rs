//! What is noted of documents, their index, and erasure from files.

use std::sync::LazyLock;
use std::time::Duration;

use metrics::{Counter, Histogram, counter, gauge, histogram};

use super::names;

/// The handles, looked up by the first note.
static METERS: LazyLock<Meters> = LazyLock::new(Meters::new);

/// What becomes of documents, of streams, and of attempts to erase, by their labels.
const OUTCOMES: [&str; 3] = ["created", "replaced", "unchanged"];
const ANSWERS: [&str; 4] = ["started", "progress", "done", "failed"];
const ENDS: [&str; 3] = ["done", "held", "failed"];

struct Meters {
    bytes: Counter,
    chunks: Counter,
    embedded: Counter,
    search_seconds: Histogram,
}

impl Meters {
    fn new() -> Self {
        for outcome in OUTCOMES {
            counter!(names::DOCUMENTS, "outcome" => outcome).increment(0);
        }
        for answer in ANSWERS {
            counter!(names::DOCUMENTS_ANSWERS, "answer" => answer).increment(0);
        }
        for outcome in ENDS {
            counter!(names::ERASURES, "outcome" => outcome).increment(0);
        }
        gauge!(names::DOCUMENTS_STREAMS).increment(0.0);
        Self {
            bytes: counter!(names::DOCUMENTS_BYTES),
            chunks: counter!(names::DOCUMENTS_CHUNKS),
            embedded: counter!(names::EMBEDDING_CHUNKS),
            search_seconds: histogram!(names::DOCUMENTS_SEARCH_SECONDS),
        }
    }
}

/// A stream of documents that is open; it is counted until this is dropped.
#[derive(Debug)]
pub struct OpenStream(());

impl OpenStream {
    /// Counts one more.
    pub fn new() -> Self {
        gauge!(names::DOCUMENTS_STREAMS).increment(1.0);
        Self(())
    }
}

impl Default for OpenStream {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        gauge!(names::DOCUMENTS_STREAMS).decrement(1.0);
    }
}

/// Notes an answer on a stream: `started`, `progress`, `done`, `failed`.
pub fn document_answered(answer: &'static str) {
    counter!(names::DOCUMENTS_ANSWERS, "answer" => answer).increment(1);
}

/// Notes a document that was refused for a stable reason.
pub fn document_refused(reason: &'static str) {
    counter!(names::DOCUMENTS_REFUSED, "reason" => reason).increment(1);
}

/// Notes bytes of documents that came to disk.
pub fn document_bytes(bytes: usize) {
    METERS.bytes.increment(bytes as u64);
}

/// Notes a document that became whole, with how many new chunks it has.
pub fn document_whole(outcome: &'static str, chunks: u32) {
    counter!(names::DOCUMENTS, "outcome" => outcome).increment(1);
    METERS.chunks.increment(chunks.into());
}

/// Notes how long the index took for a question.
pub fn documents_searched(took: Duration) {
    METERS.search_seconds.record(took);
}

/// Notes chunks that got their vectors.
pub fn chunks_embedded(chunks: usize) {
    METERS.embedded.increment(chunks as u64);
}

/// Notes what an index holds beside its files, in how many segments they are, and in how many
/// collections vectors are being put in order.
pub fn index_holds(tail: (u64, u64), segments: u64, vectors_bytes: u64, ordering: u64) {
    // From the first time on that gauges are set, all are exported.
    LazyLock::force(&METERS);
    let (chunks, bytes) = tail;
    gauge!(names::INDEX_TAIL_CHUNKS).set(chunks as f64);
    gauge!(names::INDEX_TAIL_BYTES).set(bytes as f64);
    gauge!(names::INDEX_SEGMENTS).set(segments as f64);
    gauge!(names::INDEX_VECTORS_BYTES).set(vectors_bytes as f64);
    gauge!(names::INDEX_ORDERING).set(ordering as f64);
}

/// Notes for how long the index has been behind the record.
pub fn index_lag(lag_ms: i64) {
    gauge!(names::INDEX_LAG_SECONDS).set(seconds(lag_ms));
}

/// Notes how far embedding of chunks lags behind the documents.
pub fn chunks_lag(documents: usize, chunks: u64, oldest_ms: i64) {
    gauge!(names::EMBEDDING_DOCUMENTS_PENDING).set(documents as f64);
    gauge!(names::EMBEDDING_CHUNKS_PENDING).set(chunks as f64);
    gauge!(names::EMBEDDING_OLDEST_CHUNK_SECONDS).set(seconds(oldest_ms));
}

/// Notes how an attempt to rid files of what was deleted ended: `done`, `held`, `failed`.
pub fn erasure_ended(outcome: &'static str) {
    counter!(names::ERASURES, "outcome" => outcome).increment(1);
}

/// Notes the age of the oldest deletion that files may hold something of.
pub fn erasure_lag(oldest_ms: i64) {
    gauge!(names::ERASURE_OLDEST_SECONDS).set(seconds(oldest_ms));
}

fn seconds(ms: i64) -> f64 {
    ms.max(0) as f64 / 1_000.0
}
