//! How calls are admitted, by the settings.

use std::time::Duration;

use crate::admission::{GateBounds, LimitBounds};
use crate::api::AdmitSettings;
use crate::config::Limits;

/// Reads for every core that run at a time at least: one computes, the others wait for a vector, a
/// row or the socket.
const READS_PER_CORE: usize = 2;
/// Where the limits begin, as long as nothing is known: a few times their floor.
const INITIAL_OVER_MIN: usize = 2;
/// By what factor calls may take longer than unloaded before their limit goes down. Reads are as
/// long as their work; a write waits for up to two syncs and the work of those who share them.
const READS_TOLERANCE: f64 = 1.5;
const WRITES_TOLERANCE: f64 = 4.0;

/// The settings as admission takes them.
pub(super) fn settings(limits: &Limits) -> AdmitSettings {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let reads_min = match limits.reads_min {
        0 => cores * READS_PER_CORE,
        min => min,
    };
    let gate = |min: usize, max: usize, tolerance: f64| GateBounds {
        limit: LimitBounds { min, max, initial: min * INITIAL_OVER_MIN, tolerance },
        waiting_max: limits.waiting,
        wait_max: Duration::from_millis(limits.wait_ms),
        wait_overloaded_max: Duration::from_millis(limits.wait_ms_overloaded),
        tenant_share_percent: limits.tenant_share_percent,
    };
    AdmitSettings {
        tenant_calls_per_second: limits.tenant_calls_per_second,
        tenant_calls_burst: limits.tenant_calls_burst,
        reads: gate(reads_min, limits.reads_max, READS_TOLERANCE),
        writes: gate(limits.writes_min, limits.writes_max, WRITES_TOLERANCE),
        request_bytes_max: limits.request_bytes,
        answer_bytes_max: limits.answer_bytes,
    }
}
