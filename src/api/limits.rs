//! Every limit of a request, for the table of the docs.

use crate::api::{
    ANSWER_BYTES_MAX, ARRIVAL_MAX, BULK_BYTES, COLLECTIONS_PAGE_MAX, IDLE_MAX, PART_BYTES_MAX,
    REQUEST_BYTES_MAX, STREAMS_MAX, TITLE_BYTES_MAX,
    call::CREDENTIAL_BYTES_MAX,
    memory_service::SEQS_MAX,
    page::TOKEN_BYTES_MAX,
    parse::{
        INSTRUCTIONS_BYTES_MAX, LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_MAX,
        NAME_BYTES_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, QUERY_BYTES_MAX, TEXT_BYTES_MAX,
        TTL_SECONDS_MAX, TTL_SECONDS_MIN,
    },
    parse_context::{
        BUDGET_TOKENS_MAX, BUDGET_TOKENS_MIN, COLLECTIONS_MAX, FILTER_DOCUMENTS_MAX,
        FILTER_LABELS_MAX, FILTER_VALUES_MAX, TOP_K_MAX,
    },
    parse_policy::{DEFAULT_COLLECTIONS_MAX, MODELS_MAX, RETRIEVED_TURNS_MAX},
    parse_turn::{CAPTION_BYTES, ID_BYTES, PARTS_MAX, TURN_BYTES_MAX, TURNS_MAX, URI_BYTES},
};
use crate::catalog::{DOCUMENT_BYTES_MAX, PARTS_MAX as PARTS_OF_DOCUMENT_MAX};
use crate::memory::{PAGE_BYTES_MAX, PASSAGES_MAX};
use crate::types::ID_BYTES_MAX;

/// A limit, as the docs tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRow {
    /// What is limited.
    pub what: &'static str,
    /// How much there may be.
    pub most: String,
    /// What becomes of more.
    pub else_what: &'static str,
}

/// A number with commas.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(",")
}

/// A number of bytes in the largest unit that divides it.
pub fn bytes(n: u64) -> String {
    match n.trailing_zeros() {
        20.. if n > 0 => format!("{} MiB", number(n >> 20)),
        10.. if n > 0 => format!("{} KiB", number(n >> 10)),
        _ => format!("{n} bytes"),
    }
}

/// What one request may hold.
pub fn request_limits() -> Vec<LimitRow> {
    let invalid = "`INVALID_REQUEST`";
    let passed_over = "the account names the rest: `OVER_LIMIT`";
    vec![
        row("a request", bytes(REQUEST_BYTES_MAX as u64), "`MESSAGE_TOO_LARGE`, before it is read"),
        row("a request that is compressed (gzip), inflated", "the same", "`MESSAGE_TOO_LARGE`"),
        row("nesting of a message", "100 levels", "`MESSAGE_MALFORMED`"),
        row("the time a request takes to arrive", secs(ARRIVAL_MAX), "`DEADLINE_EXCEEDED`"),
        row("an answer", bytes(ANSWER_BYTES_MAX as u64), "`ANSWER_TOO_LARGE`"),
        row(
            "an id of a tenant, user, session: `[A-Za-z0-9][A-Za-z0-9._~-]*`",
            bytes(ID_BYTES_MAX as u64),
            invalid,
        ),
        row("an external id, an id of a tool call", bytes(ID_BYTES as u64), invalid),
        row("a name of a speaker, tool, model, key", bytes(NAME_BYTES_MAX as u64), invalid),
        row("turns of an append, at least 1", number(TURNS_MAX as u64), invalid),
        row("parts of a turn or a tool result", number(PARTS_MAX as u64), invalid),
        row("a text, tool argument, opaque JSON", bytes(TEXT_BYTES_MAX as u64), invalid),
        row("a turn, all parts together", bytes(TURN_BYTES_MAX as u64), invalid),
        row("a URI of media", bytes(URI_BYTES as u64), invalid),
        row("a caption of media", bytes(CAPTION_BYTES as u64), invalid),
        row("labels of a turn, session, filter", number(LABELS_MAX as u64), invalid),
        row("the key of a label", bytes(LABEL_KEY_BYTES_MAX as u64), invalid),
        row("the value of a label", bytes(LABEL_VALUE_BYTES_MAX as u64), invalid),
        row("instructions, pinned or sent", bytes(INSTRUCTIONS_BYTES_MAX as u64), invalid),
        row("a query", bytes(QUERY_BYTES_MAX as u64), invalid),
        row(
            "a budget, in tokens",
            format!("{BUDGET_TOKENS_MIN} to {}", number(BUDGET_TOKENS_MAX.into())),
            invalid,
        ),
        row("hits of a search (`top_k`)", number(TOP_K_MAX.into()), invalid),
        row("retrieved turns of a context", number(RETRIEVED_TURNS_MAX.into()), invalid),
        row("chunks of documents in a context", number(PASSAGES_MAX.into()), passed_over),
        row("default collections of a policy", number(DEFAULT_COLLECTIONS_MAX as u64), invalid),
        row("seqs of a DeleteTurns", number(SEQS_MAX as u64), invalid),
        row(
            "entries of a page",
            format!("{}; {PAGE_SIZE_DEFAULT} unless asked", number(PAGE_SIZE_MAX.into())),
            invalid,
        ),
        row("a page of turns or sessions", bytes(PAGE_BYTES_MAX as u64), "the page ends there"),
        row("a page token", bytes(TOKEN_BYTES_MAX as u64), "`PAGE_TOKEN_INVALID`"),
        row("a credential", bytes(CREDENTIAL_BYTES_MAX as u64), "`KEY_MISSING`"),
        row("a time to live", ttl(), invalid),
        row("models of a policy", number(MODELS_MAX as u64), invalid),
        row("collections of a request", number(COLLECTIONS_MAX as u64), invalid),
        row(
            "documents, labels, values of a label of a `document_filter`",
            format!("{FILTER_DOCUMENTS_MAX}, {FILTER_LABELS_MAX}, {FILTER_VALUES_MAX}"),
            invalid,
        ),
        row("a document", bytes(DOCUMENT_BYTES_MAX), "`DOCUMENT_TOO_LARGE`; the stream goes on"),
        row("parts of a document", number(PARTS_OF_DOCUMENT_MAX.into()), "`DOCUMENT_TOO_LARGE`"),
        row("a part of a document", bytes(PART_BYTES_MAX as u64), "`MESSAGE_TOO_LARGE`"),
        row("a title of a document", bytes(TITLE_BYTES_MAX as u64), "`INVALID_REQUEST`; as before"),
        row("silence on a stream of documents", secs(IDLE_MAX), "`DEADLINE_EXCEEDED`"),
        row("streams of documents of a node", number(STREAMS_MAX as u64), "`OVERLOADED`"),
        row("streams of a tenant", "`limits.tenant_share_percent` of those", "`OVERLOADED`"),
        row("collections of a page", number(COLLECTIONS_PAGE_MAX.into()), invalid),
        row(
            "a request that counts as interactive",
            bytes(BULK_BYTES as u64),
            "it counts as an import: it waits longer, behind others",
        ),
    ]
}

fn secs(time: std::time::Duration) -> String {
    format!("{} s", time.as_secs())
}

fn ttl() -> String {
    let years = TTL_SECONDS_MAX / (366 * 24 * 3_600);
    format!("{} minute to {years} years", TTL_SECONDS_MIN / 60)
}

fn row(what: &'static str, most: impl Into<String>, else_what: &'static str) -> LimitRow {
    LimitRow { what, most: most.into(), else_what }
}
