//! How many calls the server takes at a time, and what memory they may have.

use crate::config::{Reader, number};

/// The least memory for requests under way, and for answers that are not read: one of the largest
/// must fit into the half that a tenant may have.
const REQUEST_BYTES_MIN: u64 = 32 << 20;
const ANSWER_BYTES_MIN: u64 = 128 << 20;

/// The settings `limits.…`; what they do stands in the table of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; 0: half of the files that the process may have open.
    pub connections: usize,
    /// Calls a second of one tenant; 0: any number.
    pub tenant_calls_per_second: u32,
    /// How many of these calls may come at once.
    pub tenant_calls_burst: u32,
    /// The most sessions of a tenant.
    pub tenant_sessions: u64,
    /// The share of the places that one tenant may have while others call, in percent.
    pub tenant_share_percent: u32,
    /// The fewest reads at a time that the limit goes down to; 0: two for every core.
    pub reads_min: usize,
    /// The most reads at a time.
    pub reads_max: usize,
    /// The fewest writes at a time that the limit goes down to.
    pub writes_min: usize,
    /// The most writes at a time.
    pub writes_max: usize,
    /// How many calls of a lane wait at most.
    pub waiting: usize,
    /// How long a call may wait, in milliseconds.
    pub wait_ms: u64,
    /// How long it may wait while the queue does not run empty, in milliseconds.
    pub wait_ms_overloaded: u64,
    /// Memory for requests that are under way, in bytes.
    pub request_bytes: u64,
    /// Memory for answers that are not read yet, in bytes.
    pub answer_bytes: u64,
}

impl Limits {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        Self {
            connections: read.limit("connections", places),
            tenant_calls_per_second: read.limit("tenant_calls_per_second", count),
            tenant_calls_burst: read.limit("tenant_calls_burst", count),
            tenant_sessions: read.limit("tenant_sessions", sessions),
            tenant_share_percent: read.limit("tenant_share_percent", percent),
            reads_min: read.limit("reads_min", places),
            reads_max: read.limit("reads_max", places),
            writes_min: read.limit("writes_min", places),
            writes_max: read.limit("writes_max", places),
            waiting: read.limit("waiting", places),
            wait_ms: read.limit("wait_ms", wait),
            wait_ms_overloaded: read.limit("wait_ms_overloaded", wait),
            request_bytes: read.limit("request_bytes", request_bytes),
            answer_bytes: read.limit("answer_bytes", answer_bytes),
        }
    }
}

impl Reader<'_> {
    fn limit<T: Default>(&mut self, name: &str, parse: fn(&str) -> Result<T, String>) -> T {
        self.value(&format!("limits.{name}"), parse).unwrap_or_default()
    }
}

fn within<T: TryFrom<u64>>(text: &str, from: u64, to: u64) -> Result<T, String> {
    let value = number(text)?;
    let value = Some(value).filter(|value| (from..=to).contains(value));
    let value = value.and_then(|value| T::try_from(value).ok());
    value.ok_or_else(|| format!("must be {from} to {to}"))
}

fn count(text: &str) -> Result<u32, String> {
    within(text, 0, 1_000_000_000)
}

fn sessions(text: &str) -> Result<u64, String> {
    within(text, 1, 1_000_000_000)
}

fn percent(text: &str) -> Result<u32, String> {
    within(text, 1, 100)
}

fn places(text: &str) -> Result<usize, String> {
    within(text, 0, 100_000)
}

fn wait(text: &str) -> Result<u64, String> {
    within(text, 0, 60_000)
}

fn request_bytes(text: &str) -> Result<u64, String> {
    within(text, REQUEST_BYTES_MIN, 1 << 40)
}

fn answer_bytes(text: &str) -> Result<u64, String> {
    within(text, ANSWER_BYTES_MIN, 1 << 40)
}
