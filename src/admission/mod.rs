//! Who may work now, who waits, who is refused. Pure.
//! In: calls that come and go, with their tenant, class and time. Out: who is let in, and for who
//! is not: after how long a retry makes sense.
//! Invariants: no more calls are in than the limit; none waits longer than its patience; of those
//! who wait, tenants are let in in turn; background work is never starved for ever.
//!
//! Two lanes have a [`Gate`] each, since different things are scarce: reads need the cores, so few
//! at a time are as fast as many; writes wait for the disk together, so that many share a sync.

mod background;
mod bytes;
mod figures;
mod gate;
mod limit;
mod queue;

use std::time::Duration;

pub use background::{BACKGROUND_FLOOR, may_run};
pub use bytes::{Account, Taken};
pub use figures::{Figures, LaneFigures, Refused};
pub use gate::{Arrival, Ask, Gate, Granted, Load};
pub use limit::{KINDS_MAX, Limit, LimitBounds};
pub use queue::Ticket;

/// How urgent a call is. Interactive ones go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Somebody waits for the answer of a conversation.
    Interactive,
    /// Much at a time: imports, lists, copies.
    Ingest,
}

/// How a gate behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GateBounds {
    /// Between what the number of calls that are in adapts.
    pub limit: LimitBounds,
    /// The most calls that wait.
    pub waiting_max: usize,
    /// How long a call may wait while the queue runs empty now and then.
    pub wait_max: Duration,
    /// How long it may wait while the queue has not been empty for `wait_max`.
    pub wait_overloaded_max: Duration,
    /// How much of the places one tenant may have while others are there, in percent.
    pub tenant_share_percent: u32,
}

#[cfg(test)]
mod tests;
