//! Every limit that the service has, for the table of the docs.

use super::connections::PREFACE_MAX;
use super::server::{
    CONNECTION_AGE_MAX, CONNECTION_GRACE, CONNECTION_WINDOW_BYTES, HEADER_BYTES_MAX,
    KEEPALIVE_EVERY, KEEPALIVE_TIMEOUT, RESETS_MAX, STREAM_WINDOW_BYTES, STREAMS_MAX,
};
use crate::api::{LimitRow, STALLED, bytes, number, request_limits};
use crate::embed::{BACKGROUND_MAX, QUERIES_MAX};
use crate::memory::{
    BACKLOG_SESSIONS_MAX, COLLECTIONS_MAX, KEYS_MAX, POLICIES_MAX, REPEATS_KEPT_MS, RERANKED_MAX,
    UPLOADS_KEPT_MS,
};
use crate::rerank::WAITING_MAX;
use crate::sessions::SESSION_TURNS_MAX;
use crate::storage::{
    BATCH_BYTES_MAX, KEY_BYTES_MAX,
    fjall::{COMMITS_WAITING_MAX, WAITING_BYTES_MAX},
};

/// The limits, by the headings of the docs.
pub fn limits() -> Vec<(&'static str, Vec<LimitRow>)> {
    vec![
        ("A request", request_limits()),
        ("What is kept", kept()),
        ("A connection", connection()),
        ("The node", node()),
        ("Queues and caches", queues()),
    ]
}

fn kept() -> Vec<LimitRow> {
    vec![
        row(
            "turns of a session, superseded ones included",
            number(SESSION_TURNS_MAX),
            "`SESSION_FULL`",
        ),
        row("sessions of a tenant", "`limits.tenant_sessions`", "`TOO_MANY_SESSIONS`"),
        row(
            "API keys of a tenant, revoked ones included",
            number(KEYS_MAX as u64),
            "`TOO_MANY_KEYS`",
        ),
        row("collections of a tenant", number(COLLECTIONS_MAX as u64), "`TOO_MANY_COLLECTIONS`"),
        row(
            "how long an upload may rest",
            format!("{} hours", UPLOADS_KEPT_MS / 3_600_000),
            "`UPLOAD_NOT_FOUND`: it is given up",
        ),
        row("one commit", bytes(BATCH_BYTES_MAX as u64), "`WRITE_TOO_LARGE`"),
        row("a key of the store", bytes(KEY_BYTES_MAX as u64), "cannot be reached: ids are short"),
        row(
            "how long a repeat is known",
            format!("{} hours", REPEATS_KEPT_MS / 3_600_000),
            "the same `request_id` is a new request",
        ),
    ]
}

fn connection() -> Vec<LimitRow> {
    let ended = "the connection is ended";
    vec![
        row("connections at a time", "`limits.connections`", "a connection more is closed at once"),
        row("the time to say that it speaks HTTP", format!("{} s", PREFACE_MAX.as_secs()), ended),
        row(
            "calls at a time",
            number(STREAMS_MAX.into()),
            "clients wait; a stream more is refused",
        ),
        row(
            "bytes of a call that wait to be read",
            bytes(STREAM_WINDOW_BYTES.into()),
            "clients wait",
        ),
        row(
            "bytes of all calls that wait to be read",
            bytes(CONNECTION_WINDOW_BYTES.into()),
            "clients wait; when the frames are so small that what they take beside their bytes \
             is half of this, the connection is ended (`too_many_data_frames`): send fewer streams \
             of tiny documents at a time",
        ),
        row(
            "the headers of a call",
            bytes(HEADER_BYTES_MAX.into()),
            "refused by the transport, without a reason",
        ),
        row("calls given up before they were accepted", number(RESETS_MAX as u64), ended),
        row(
            "silence before it is asked whether it lives",
            format!("{} s", KEEPALIVE_EVERY.as_secs()),
            "it is asked",
        ),
        row("silence after that", format!("{} s", KEEPALIVE_TIMEOUT.as_secs()), ended),
        row(
            "its age",
            format!("{} minutes", CONNECTION_AGE_MAX.as_secs() / 60),
            "no new calls on it: clients connect again",
        ),
        row(
            "what calls on it have from then on",
            format!("{} s", CONNECTION_GRACE.as_secs()),
            ended,
        ),
    ]
}

fn node() -> Vec<LimitRow> {
    let overloaded = "`OVERLOADED`";
    vec![
        row(
            "calls of a tenant",
            "`limits.tenant_calls_per_second`, `limits.tenant_calls_burst`",
            "`RATE_LIMITED`",
        ),
        row(
            "reads at a time",
            "`limits.reads_min` to `limits.reads_max`, by how long they take",
            "they wait",
        ),
        row(
            "writes at a time",
            "`limits.writes_min` to `limits.writes_max`, by how long they take",
            "they wait",
        ),
        row(
            "a tenant's share of both, while others call",
            "`limits.tenant_share_percent`",
            "they wait",
        ),
        row("imports, lists and copies of both", "half", "they wait"),
        row("reads, and writes, that wait", "`limits.waiting`", overloaded),
        row("how long they wait", "`limits.wait_ms`, `limits.wait_ms_overloaded`", overloaded),
        row("requests over 64 KiB under way", "`limits.request_bytes`", overloaded),
        row("answers that are not read yet", "`limits.answer_bytes`", overloaded),
        row(
            "an answer of which nothing is read, when others need the room",
            format!("{} s", STALLED.as_secs()),
            "it is broken off",
        ),
        row("how long background work gives way", "1 s", "it goes on"),
    ]
}

fn queues() -> Vec<LimitRow> {
    vec![
        row("commits that wait for the disk", number(COMMITS_WAITING_MAX as u64), "`OVERLOADED`"),
        row("their bytes", bytes(WAITING_BYTES_MAX as u64), "`OVERLOADED`"),
        row(
            "questions that wait for their vectors",
            number(QUERIES_MAX as u64),
            "answered by words alone, `degraded`",
        ),
        row(
            "texts of turns that wait in the embedder",
            number(BACKGROUND_MAX as u64),
            "they wait in the store",
        ),
        row(
            "sessions with such turns that are known in memory",
            number(BACKLOG_SESSIONS_MAX as u64),
            "the others are read when these are done",
        ),
        row(
            "texts that wait for the reranker",
            number(WAITING_MAX as u64),
            "their answer keeps its order, `degraded`",
        ),
        row("scores of the reranker that are kept", number(RERANKED_MAX), "least recently used go"),
        row("copies of sessions in memory", "`cache.partitions_bytes`", "least recently used go"),
        row(
            "vectors of what was embedded, in memory",
            "`embedding.cache.memory_bytes`",
            "least recently used go",
        ),
        row("the same in files", "`embedding.cache.disk_bytes`", "the oldest go"),
        row(
            "characters of a text that a server embeds",
            "`embedding.http.text_chars`",
            "what follows does not count",
        ),
        row("policies in memory", number(POLICIES_MAX), "least recently used go"),
    ]
}

fn row(what: &'static str, most: impl Into<String>, else_what: &'static str) -> LimitRow {
    LimitRow { what, most: most.into(), else_what }
}
