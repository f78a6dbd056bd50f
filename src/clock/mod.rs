//! The time of day, as a port: the system's, or one that a test moves by hand.
//! In: nothing. Out: timestamps in milliseconds.
//! Invariant: within one process no clock gives an earlier time than it gave before.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::types::Timestamp;

#[cfg(test)]
mod tests;

/// What gives the time of day.
pub trait Clock: Send + Sync {
    /// Gives the time now, in milliseconds; never earlier than a time given before.
    fn now(&self) -> Timestamp;

    /// Gives a time that is later than every time given before and not later than any from now on:
    /// what happens next to what is over happens after it, even within one millisecond.
    fn now_after(&self) -> Timestamp;
}

/// The clock of the machine. When that is set back, this one stands still until it is caught up.
#[derive(Debug)]
pub struct SystemClock {
    latest_ms: AtomicI64,
}

impl SystemClock {
    /// A clock that has not been read yet.
    pub fn new() -> Self {
        Self { latest_ms: AtomicI64::new(i64::MIN) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now_ms = unix_ms(SystemTime::now());
        let before_ms = self.latest_ms.fetch_max(now_ms, Ordering::Relaxed);
        Timestamp(now_ms.max(before_ms))
    }

    fn now_after(&self) -> Timestamp {
        self.now();
        Timestamp(self.latest_ms.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

fn unix_ms(time: SystemTime) -> i64 {
    let ms = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_millis()),
        Err(before) => i128::try_from(before.duration().as_millis()).map(|ms| -ms),
    };
    let ms = ms.expect("a system time is less than 2^64 seconds from 1970");
    i64::try_from(ms).expect("a machine's clock stands within 292 million years of 1970")
}

/// A clock that moves only when told to; what asks for a later time tells it to.
#[derive(Debug)]
pub struct ManualClock {
    now_ms: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { now_ms: AtomicI64::new(now.0) }
    }

    /// Moves the clock by `ms` milliseconds; a negative number leaves it where it is.
    pub fn advance(&self, ms: i64) {
        self.now_ms.fetch_add(ms.max(0), Ordering::Relaxed);
    }

    /// Sets the clock back by `ms` milliseconds, as somebody may do with that of a machine.
    pub fn set_back(&self, ms: i64) {
        self.now_ms.fetch_sub(ms.max(0), Ordering::Relaxed);
    }

    /// Moves the clock to `time`, unless it is there or later already.
    pub fn advance_to(&self, time: Timestamp) {
        self.now_ms.fetch_max(time.0, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now_ms.load(Ordering::Relaxed))
    }

    fn now_after(&self) -> Timestamp {
        Timestamp(self.now_ms.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
