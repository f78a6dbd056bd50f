//! What the rooms note, in handles that are looked up once: a note is an atomic addition.

use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::names;

/// A cache in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// Copies of sessions.
    Partitions,
    /// Vectors of texts.
    Vectors,
    /// The same in files.
    VectorsDisk,
    /// Policies of tenants.
    Policies,
    /// Models of policies.
    Models,
}

impl Cache {
    /// Every cache.
    pub const ALL: [Self; 5] =
        [Self::Partitions, Self::Vectors, Self::VectorsDisk, Self::Policies, Self::Models];

    fn label(self) -> &'static str {
        match self {
            Self::Partitions => "partitions",
            Self::Vectors => "vectors",
            Self::VectorsDisk => "vectors_disk",
            Self::Policies => "policies",
            Self::Models => "models",
        }
    }
}

/// How an attempt at a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOutcome {
    /// It is done for now.
    Done,
    /// It is tried again later.
    Failed,
    /// It is given up.
    Dead,
}

/// The handles. The first note of the process looks them up, so that whoever collects metrics must
/// be there before.
static METERS: LazyLock<Meters> = LazyLock::new(Meters::new);

struct Meters {
    used_tokens: Histogram,
    saved_tokens: Counter,
    rerank_seconds: Histogram,
    rerank_texts: Counter,
    group_commits: Histogram,
    group_bytes: Histogram,
    sync_seconds: Histogram,
    queue_commits: Gauge,
    embedded: Counter,
    jobs: [Counter; 3],
    summaries: Counter,
    /// Hits and misses of each cache.
    caches: [[Counter; 2]; 5],
    panics: Counter,
    exports: [Counter; 2],
}

impl Meters {
    fn new() -> Self {
        let job = |outcome: &'static str| counter!(names::JOBS, "outcome" => outcome);
        let export = |outcome: &'static str| counter!(names::TRACE_EXPORTS, "outcome" => outcome);
        let asked = |cache: Cache| {
            ["hit", "miss"].map(|outcome| {
                let labels = [("cache", cache.label()), ("outcome", outcome)];
                counter!(names::CACHE_REQUESTS, &labels)
            })
        };
        Self {
            used_tokens: histogram!(names::CONTEXT_USED_TOKENS),
            saved_tokens: counter!(names::CONTEXT_SAVED_TOKENS),
            rerank_seconds: histogram!(names::RERANK_SECONDS),
            rerank_texts: counter!(names::RERANK_TEXTS),
            group_commits: histogram!(names::STORE_GROUP_COMMITS),
            group_bytes: histogram!(names::STORE_GROUP_BYTES),
            sync_seconds: histogram!(names::STORE_SYNC_SECONDS),
            queue_commits: gauge!(names::STORE_QUEUE_COMMITS),
            embedded: counter!(names::EMBEDDING_TURNS),
            jobs: [job("done"), job("failed"), job("dead")],
            summaries: counter!(names::SUMMARIES),
            caches: Cache::ALL.map(asked),
            panics: counter!(names::PANICS),
            exports: [export("ok"), export("failed")],
        }
    }
}

/// Notes a context: the tokens it used, and those that the whole history would have taken.
pub fn context_built(used_tokens: u32, full_history_tokens: u64) {
    METERS.used_tokens.record(f64::from(used_tokens));
    METERS.saved_tokens.increment(full_history_tokens.saturating_sub(used_tokens.into()));
}

/// Notes an answer that lacks something; `reason` is one of few words of the contract.
pub fn degraded(reason: &'static str) {
    counter!(names::DEGRADED, "reason" => reason).increment(1);
}

/// Notes how long the reranker was waited for, and how many texts it scored.
pub fn reranked(took: Duration, texts: usize) {
    METERS.rerank_seconds.record(took);
    METERS.rerank_texts.increment(texts as u64);
}

/// Notes a group of commits that was written and synced.
pub fn group_synced(commits: usize, bytes: usize, took: Duration, waiting: usize) {
    METERS.group_commits.record(commits as f64);
    METERS.group_bytes.record(bytes as f64);
    METERS.sync_seconds.record(took);
    METERS.queue_commits.set(waiting as f64);
}

/// Notes turns that got their vectors.
pub fn embedded(turns: usize) {
    METERS.embedded.increment(turns as u64);
}

/// Notes how far embedding lags behind the appends.
pub fn embedding_lag(sessions: usize, oldest_ms: i64) {
    gauge!(names::EMBEDDING_SESSIONS_PENDING).set(sessions as f64);
    gauge!(names::EMBEDDING_OLDEST_PENDING_SECONDS).set(oldest_ms.max(0) as f64 / 1_000.0);
}

/// Notes how many turns and chunks the embedder that does not serve was not brought to yet.
pub fn embedding_beside(pending: u64) {
    gauge!(names::EMBEDDING_BESIDE_PENDING).set(pending as f64);
}

/// Notes how far jobs lag behind their time.
pub fn jobs_lag(due: usize, oldest_ms: i64) {
    gauge!(names::JOBS_DUE).set(due as f64);
    gauge!(names::JOBS_OLDEST_DUE_SECONDS).set(oldest_ms.max(0) as f64 / 1_000.0);
}

/// Notes that there are so many connections more, or less.
pub fn connections(more: f64) {
    gauge!(names::CONNECTIONS).increment(more);
}

/// Notes that so many connections were closed at once.
pub fn connections_refused(count: u64) {
    counter!(names::CONNECTIONS_REFUSED).increment(count);
}

/// Notes how full a lane of admission is: calls that may be worked on, that are, and that wait.
pub fn admission_lane(lane: &'static str, limit: usize, in_flight: usize, waiting: usize) {
    gauge!(names::ADMISSION_LIMIT, "lane" => lane).set(limit as f64);
    gauge!(names::ADMISSION_IN_FLIGHT, "lane" => lane).set(in_flight as f64);
    gauge!(names::ADMISSION_WAITING, "lane" => lane).set(waiting as f64);
}

/// Notes how many calls admission has refused for a cause since the start.
pub fn admission_refused(cause: &'static str, calls: u64) {
    counter!(names::ADMISSION_REFUSED, "cause" => cause).absolute(calls);
}

/// Notes how many bytes of memory `requests` or `answers` take.
pub fn admission_bytes(of: &'static str, bytes: u64) {
    gauge!(names::ADMISSION_BYTES, "of" => of).set(bytes as f64);
}

/// Notes how the server of documents fares: what the breaker does (0 to 2), what is owed to it, and
/// how many calls it did not answer since the start.
pub fn documents_server(breaker: u8, owed: u64, failures: u64) {
    gauge!(names::DOCUMENTS_BREAKER).set(f64::from(breaker));
    gauge!(names::DOCUMENTS_OWED).set(owed as f64);
    counter!(names::DOCUMENTS_FAILURES).absolute(failures);
}

/// Notes the end of an attempt at a job.
pub fn job_ended(outcome: JobOutcome) {
    METERS.jobs[outcome as usize].increment(1);
}

/// Notes a summary that was made.
pub fn summarized() {
    METERS.summaries.increment(1);
}

/// Notes a look-up in a cache.
pub fn cache_asked(cache: Cache, hit: bool) {
    METERS.caches[cache as usize][usize::from(!hit)].increment(1);
}

/// Notes how large a cache is; `bytes` where it is bounded by them.
pub fn cache_size(cache: Cache, entries: u64, bytes: Option<u64>) {
    gauge!(names::CACHE_ENTRIES, "cache" => cache.label()).set(entries as f64);
    if let Some(bytes) = bytes {
        gauge!(names::CACHE_BYTES, "cache" => cache.label()).set(bytes as f64);
    }
}

/// Notes whether the health service says SERVING.
pub fn serving(serving: bool) {
    gauge!(names::SERVING).set(f64::from(u8::from(serving)));
}

/// Notes what runs.
pub fn build_info(engine: &'static str, embedding: &'static str) {
    let version = env!("CARGO_PKG_VERSION");
    let labels = [("version", version), ("engine", engine), ("embedding", embedding)];
    gauge!(names::BUILD_INFO, &labels).set(1.0);
}

/// Notes how many tasks have not ended.
pub fn tasks(alive: usize) {
    gauge!(names::RUNTIME_TASKS).set(alive as f64);
}

/// Notes how many lines of the log were dropped since the start.
pub(super) fn log_lines_dropped(lines: usize) {
    counter!(names::LOG_LINES_DROPPED).absolute(lines as u64);
}

/// Notes a panic.
pub(super) fn panicked() {
    METERS.panics.increment(1);
}

/// Notes a batch of spans that was sent, or could not be.
pub(super) fn exported(sent: bool) {
    METERS.exports[usize::from(!sent)].increment(1);
}

/// The names of the codes of gRPC, by number.
pub const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What is counted of the calls of one method.
pub struct MethodMeter {
    method: &'static str,
    seconds: Histogram,
    in_flight: Gauge,
    /// By the number of the code: most never occur.
    ended: [OnceLock<Counter>; CODES.len()],
}

impl MethodMeter {
    /// Of a method by its name. There must be few: each name is a label.
    pub fn new(method: &'static str) -> Self {
        Self {
            method,
            seconds: histogram!(names::REQUEST_SECONDS, "method" => method),
            in_flight: gauge!(names::REQUESTS_IN_FLIGHT, "method" => method),
            ended: [const { OnceLock::new() }; CODES.len()],
        }
    }

    /// The name of the method.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Notes that a call began.
    pub fn begun(&self) {
        self.in_flight.increment(1.0);
    }

    /// Notes that a call ended with a code, by its number, and a reason if it was refused.
    pub fn ended(&self, code: usize, reason: Option<&'static str>, took: Duration) {
        let code = code.min(CODES.len() - 1);
        let name = CODES[code];
        let counter = self.ended[code]
            .get_or_init(|| counter!(names::REQUESTS, "method" => self.method, "code" => name));
        counter.increment(1);
        self.seconds.record(took);
        self.in_flight.decrement(1.0);
        if let Some(reason) = reason {
            counter!(names::ERRORS, "reason" => reason).increment(1);
        }
    }
}
