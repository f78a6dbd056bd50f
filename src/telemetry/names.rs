//! The name of every metric, with its labels, its unit and what it means.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// It only grows, until the process ends.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts values by the first of these limits that they do not exceed.
    Histogram(&'static [f64]),
}

/// A metric that is exported.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels, in alphabetical order. None of them can take more values than the code names.
    pub labels: &'static [&'static str],
    /// What it counts or is measured in.
    pub unit: &'static str,
    /// What it means, a sentence.
    pub meaning: &'static str,
}

/// Of a call: from what an append in memory takes to what a caller waits for at the most. A goal of
/// 5 ms stands on a limit.
const CALL_SECONDS: &[f64] =
    &[0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Of a sync: flash takes some tenths of a millisecond, a disk that is in trouble a second.
const SYNC_SECONDS: &[f64] =
    &[0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];
const COMMITS: &[f64] =
    &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 4_096.0];
/// Powers of four from a kilobyte to the largest group.
const BYTES: &[f64] =
    &[1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];
/// Doubles from what fits into the smallest model to what fits into the largest.
const TOKENS: &[f64] = &[
    256.0,
    512.0,
    1_024.0,
    2_048.0,
    4_096.0,
    8_192.0,
    16_384.0,
    32_768.0,
    65_536.0,
    131_072.0,
    1_048_576.0,
];

macro_rules! table {
    ($(
        $name:ident = $text:literal, $kind:expr, $labels:expr, $unit:literal, $meaning:literal;
    )*) => {
        $(#[doc = $meaning] pub const $name: &str = $text;)*

        /// Every metric that is exported, in the order of `docs/metrics.md`.
        pub const METRICS: &[Metric] = &[$(
            Metric { name: $name, kind: $kind, labels: &$labels, unit: $unit, meaning: $meaning },
        )*];
    };
}

table! {
    REQUESTS = "keepsake_requests_total", Kind::Counter, ["code", "method"], "calls",
        "Calls that ended, by the gRPC code of their answer.";
    REQUEST_SECONDS = "keepsake_request_seconds", Kind::Histogram(CALL_SECONDS), ["method"],
        "seconds", "How long calls took, from their headers to the last byte of the answer.";
    REQUESTS_IN_FLIGHT = "keepsake_requests_in_flight", Kind::Gauge, ["method"], "calls",
        "Calls that have begun and not ended.";
    ERRORS = "keepsake_errors_total", Kind::Counter, ["reason"], "refusals",
        "Refusals by the stable reason of the table of errors.";
    CONNECTIONS = "keepsake_connections", Kind::Gauge, [], "connections",
        "Connections of callers that are open.";
    CONNECTIONS_REFUSED = "keepsake_connections_refused_total", Kind::Counter, [], "connections",
        "Connections that were closed at once, since there were `limits.connections` of them.";
    ADMISSION_LIMIT = "keepsake_admission_limit", Kind::Gauge, ["lane"], "calls",
        "How many calls may be worked on at a time now: `reads` or `writes`.";
    ADMISSION_IN_FLIGHT = "keepsake_admission_in_flight", Kind::Gauge, ["lane"], "calls",
        "Calls that are worked on.";
    ADMISSION_WAITING = "keepsake_admission_waiting", Kind::Gauge, ["lane"], "calls",
        "Calls that wait to be worked on.";
    ADMISSION_REFUSED = "keepsake_admission_refused_total", Kind::Counter, ["cause"], "calls",
        "Calls that were refused before any work, by what there was too much of.";
    ADMISSION_BYTES = "keepsake_admission_bytes", Kind::Gauge, ["of"], "bytes",
        "Memory for `requests` that arrive or wait, and for `answers` that are not read yet.";
    CONTEXT_USED_TOKENS = "keepsake_context_used_tokens", Kind::Histogram(TOKENS), [], "tokens",
        "Tokens that a context used.";
    CONTEXT_SAVED_TOKENS = "keepsake_context_saved_tokens_total", Kind::Counter, [], "tokens",
        "Tokens that whole histories would have taken beyond what their contexts used.";
    DEGRADED = "keepsake_degraded_total", Kind::Counter, ["reason"], "answers",
        "Contexts and searches that lacked something, by what they lacked.";
    RERANK_SECONDS = "keepsake_rerank_seconds", Kind::Histogram(CALL_SECONDS), [], "seconds",
        "How long the reranker was waited for, by contexts and searches that asked it.";
    RERANK_TEXTS = "keepsake_rerank_texts_total", Kind::Counter, [], "texts",
        "Turns and chunks that the reranker scored.";
    STORE_GROUP_COMMITS = "keepsake_store_group_commits", Kind::Histogram(COMMITS), [], "commits",
        "Commits that were written and synced together.";
    STORE_GROUP_BYTES = "keepsake_store_group_bytes", Kind::Histogram(BYTES), [], "bytes",
        "Bytes of commits that were written and synced together.";
    STORE_SYNC_SECONDS = "keepsake_store_sync_seconds", Kind::Histogram(SYNC_SECONDS), [],
        "seconds", "How long it took to write a group and to sync it.";
    STORE_QUEUE_COMMITS = "keepsake_store_queue_commits", Kind::Gauge, [], "commits",
        "Commits that waited when the last group was synced.";
    EMBEDDING_SESSIONS_PENDING = "keepsake_embedding_sessions_pending", Kind::Gauge, [],
        "sessions", "Sessions that have turns which wait for their vectors, 10,000 at the most.";
    EMBEDDING_OLDEST_PENDING_SECONDS = "keepsake_embedding_oldest_pending_seconds", Kind::Gauge,
        [], "seconds", "Age of the turn that has waited longest for its vectors; 0: none waits.";
    EMBEDDING_BESIDE_PENDING = "keepsake_embedding_beside_pending", Kind::Gauge, [], "texts",
        "Turns and chunks the model beside was not brought to yet; 0: it is ready, or none is.";
    EMBEDDING_TURNS = "keepsake_embedding_turns_total", Kind::Counter, [], "turns",
        "Turns that got their vectors.";
    DOCUMENTS = "keepsake_documents_total", Kind::Counter, ["outcome"], "documents",
        "Documents that became whole: `created`, `replaced`, `unchanged`.";
    DOCUMENTS_BYTES = "keepsake_documents_bytes_total", Kind::Counter, [], "bytes",
        "Bytes of documents that came to disk.";
    DOCUMENTS_CHUNKS = "keepsake_documents_chunks_total", Kind::Counter, [], "chunks",
        "Chunks of documents that were created or replaced.";
    DOCUMENTS_ANSWERS = "keepsake_documents_answers_total", Kind::Counter, ["answer"], "answers",
        "Answers on streams of documents: `started`, `progress`, `done`, `failed`.";
    DOCUMENTS_REFUSED = "keepsake_documents_refused_total", Kind::Counter, ["reason"], "documents",
        "Documents that were refused, by the stable reason of the table of errors.";
    DOCUMENTS_STREAMS = "keepsake_documents_streams", Kind::Gauge, [], "streams",
        "Streams of documents that are open.";
    DOCUMENTS_SEARCH_SECONDS = "keepsake_documents_search_seconds", Kind::Histogram(CALL_SECONDS),
        [], "seconds",
        "How long the index of documents took for a question, without the vector of the question.";
    INDEX_TAIL_CHUNKS = "keepsake_index_tail_chunks", Kind::Gauge, [], "chunks",
        "Chunks that are searched in memory and are not in the files of the index yet.";
    INDEX_TAIL_BYTES = "keepsake_index_tail_bytes", Kind::Gauge, [], "bytes",
        "Memory that these chunks take.";
    INDEX_SEGMENTS = "keepsake_index_segments", Kind::Gauge, [], "segments",
        "Segments of the files of the index.";
    INDEX_VECTORS_BYTES = "keepsake_index_vectors_bytes", Kind::Gauge, [], "bytes",
        "Memory that vectors of chunks take.";
    INDEX_ORDERING = "keepsake_index_ordering", Kind::Gauge, [], "collections",
        "Collections whose vectors are being put in order; all of them are looked at till then.";
    INDEX_LAG_SECONDS = "keepsake_index_lag_seconds", Kind::Gauge, [], "seconds",
        "For how long the index of documents has been behind the record; 0: it is not.";
    EMBEDDING_DOCUMENTS_PENDING = "keepsake_embedding_documents_pending", Kind::Gauge, [],
        "documents",
        "Documents with chunks that wait for their vectors, 1,000 at the most.";
    EMBEDDING_CHUNKS_PENDING = "keepsake_embedding_chunks_pending", Kind::Gauge, [], "chunks",
        "Chunks of these documents that wait for their vectors.";
    EMBEDDING_OLDEST_CHUNK_SECONDS = "keepsake_embedding_oldest_chunk_seconds", Kind::Gauge, [],
        "seconds",
        "Age of the one of these documents that has waited longest; 0: none waits.";
    EMBEDDING_CHUNKS = "keepsake_embedding_chunks_total", Kind::Counter, [], "chunks",
        "Chunks that got their vectors.";
    ERASURES = "keepsake_erasures_total", Kind::Counter, ["outcome"], "attempts",
        "Attempts to rid files of what was deleted: `done`, `held`, `failed`.";
    ERASURE_OLDEST_SECONDS = "keepsake_erasure_oldest_seconds", Kind::Gauge, [], "seconds",
        "Age of the oldest deletion that files may still hold something of; 0: there is none.";
    JOBS_DUE = "keepsake_jobs_due", Kind::Gauge, [], "jobs",
        "Jobs (summaries) whose time has come, 1,000 at the most.";
    JOBS_OLDEST_DUE_SECONDS = "keepsake_jobs_oldest_due_seconds", Kind::Gauge, [], "seconds",
        "For how long the job that has been due longest is due; 0: none is.";
    JOBS = "keepsake_jobs_total", Kind::Counter, ["outcome"], "jobs",
        "Attempts at jobs: `done`, `failed` (tried again later), `dead` (given up).";
    SUMMARIES = "keepsake_summaries_total", Kind::Counter, [], "summaries",
        "Summaries that were made.";
    CACHE_REQUESTS = "keepsake_cache_requests_total", Kind::Counter, ["cache", "outcome"],
        "look-ups", "Look-ups in a cache: `hit` or `miss`.";
    CACHE_ENTRIES = "keepsake_cache_entries", Kind::Gauge, ["cache"], "entries",
        "Entries of a cache.";
    CACHE_BYTES = "keepsake_cache_bytes", Kind::Gauge, ["cache"], "bytes",
        "Bytes of a cache that is bounded by bytes.";
    DOCUMENTS_BREAKER = "keepsake_documents_breaker", Kind::Gauge, [], "0 to 2",
        "Whether calls to the server of documents are made: 0 yes, 1 one tries, 2 none.";
    DOCUMENTS_OWED = "keepsake_documents_owed", Kind::Gauge, [], "documents",
        "Documents and collections that their server has to be told of; everything counts as one.";
    DOCUMENTS_FAILURES = "keepsake_documents_failures_total", Kind::Counter, [], "calls",
        "Calls that the server of documents did not answer.";
    EMBEDDER_REQUESTS = "keepsake_embedder_requests_total", Kind::Counter, ["outcome"], "requests",
        "Requests to the server that embeds: `ok`, `limited`, `failed`, `refused`, `invalid`, \
         `given_up`.";
    EMBEDDER_SECONDS = "keepsake_embedder_request_seconds", Kind::Histogram(CALL_SECONDS), [],
        "seconds", "How long these requests took.";
    EMBEDDER_TEXTS = "keepsake_embedder_texts_total", Kind::Counter, [], "texts",
        "Texts that got their vectors from the server that embeds.";
    EMBEDDER_TOKENS = "keepsake_embedder_tokens_total", Kind::Counter, ["model"], "tokens",
        "Tokens that the server that embeds counted for these texts.";
    EMBEDDER_RETRIES = "keepsake_embedder_retries_total", Kind::Counter, [], "requests",
        "Requests to the server that embeds that were made again.";
    EMBEDDER_BREAKER = "keepsake_embedder_breaker", Kind::Gauge, [], "0 to 2",
        "Whether requests to the server that embeds are made: 0 yes, 1 one tries, 2 none.";
    SERVING = "keepsake_serving", Kind::Gauge, [], "0 or 1",
        "Whether the health service says SERVING.";
    BUILD_INFO = "keepsake_build_info", Kind::Gauge, ["embedding", "engine", "version"], "1",
        "What runs: always 1, the labels say it.";
    RUNTIME_TASKS = "keepsake_runtime_tasks", Kind::Gauge, [], "tasks",
        "Tasks of the asynchronous runtime that have not ended.";
    PANICS = "keepsake_panics_total", Kind::Counter, [], "panics",
        "Faults of the program that ended a call or a task.";
    LOG_LINES_DROPPED = "keepsake_log_lines_dropped_total", Kind::Counter, [], "lines",
        "Lines of the log that were dropped because stderr took none.";
    TRACE_EXPORTS = "keepsake_trace_exports_total", Kind::Counter, ["outcome"], "batches",
        "Batches of spans sent to the collector: `ok` or `failed`.";
    PROCESS_CPU = "process_cpu_seconds_total", Kind::Counter, [], "seconds",
        "Time that the process has computed, all cores together.";
    PROCESS_MEMORY = "process_resident_memory_bytes", Kind::Gauge, [], "bytes",
        "Memory that the process holds.";
    PROCESS_VIRTUAL = "process_virtual_memory_bytes", Kind::Gauge, [], "bytes",
        "Addresses that the process has mapped.";
    PROCESS_VIRTUAL_MAX = "process_virtual_memory_max_bytes", Kind::Gauge, [], "bytes",
        "Addresses that the process may map; 0: no limit.";
    PROCESS_FDS = "process_open_fds", Kind::Gauge, [], "descriptors",
        "Files and connections that are open.";
    PROCESS_FDS_MAX = "process_max_fds", Kind::Gauge, [], "descriptors",
        "Files and connections that may be open.";
    PROCESS_THREADS = "process_threads", Kind::Gauge, [], "threads",
        "Threads of the process.";
    PROCESS_START = "process_start_time_seconds", Kind::Gauge, [], "seconds",
        "When the process started, since 1970.";
}

/// Says what each metric means to whoever collects them.
pub fn describe() {
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.meaning),
            Kind::Gauge => describe_gauge!(metric.name, metric.meaning),
            Kind::Histogram(_) => describe_histogram!(metric.name, metric.meaning),
        }
    }
}
