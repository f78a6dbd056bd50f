//! The numbers that operators watch: every name of a metric stands in this file.
//! In: what the service counts. Out: gauges for whoever collects them; nobody does by default.
//! Invariant: no name or label holds content or an id of a tenant.

use metrics::{Unit, describe_gauge, gauge};

/// How many sessions have turns that wait for their vectors.
pub const EMBEDDING_SESSIONS_PENDING: &str = "keepsake_embedding_sessions_pending";

/// For how long the turn that has waited longest for its vectors waits, in seconds; 0: none waits.
pub const EMBEDDING_OLDEST_PENDING_SECONDS: &str = "keepsake_embedding_oldest_pending_seconds";

/// Says what each metric means.
pub fn describe() {
    describe_gauge!(
        EMBEDDING_SESSIONS_PENDING,
        Unit::Count,
        "Sessions that have turns which wait for their vectors."
    );
    describe_gauge!(
        EMBEDDING_OLDEST_PENDING_SECONDS,
        Unit::Seconds,
        "Age of the turn that has waited longest for its vectors."
    );
}

/// Notes how far embedding lags behind the appends.
pub fn embedding_lag(sessions: usize, oldest_ms: i64) {
    gauge!(EMBEDDING_SESSIONS_PENDING).set(sessions as f64);
    gauge!(EMBEDDING_OLDEST_PENDING_SECONDS).set(oldest_ms.max(0) as f64 / 1_000.0);
}
