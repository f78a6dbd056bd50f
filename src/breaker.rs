//! Whether a server that failed is asked again.
//! In: how calls ended, and when. Out: whether another one may be made.
//! Invariant: while a server does not answer, one call at a time finds out whether it does again.

use std::time::{Duration, Instant};

/// So many calls in a row fail before no more are made for a while: one may be chance.
const FAILURES_MAX: u32 = 3;
/// How long no call is made then: the first time, and at the most.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What a breaker does with calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BreakerState {
    /// It lets them through.
    #[default]
    Closed,
    /// It lets none through.
    Open,
    /// It let one through, whose end decides.
    Trying,
}

impl BreakerState {
    /// As metrics show it: 0 closed, 1 trying, 2 open.
    pub fn number(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::Trying => 1,
            Self::Open => 2,
        }
    }
}

/// Stops calls to a server that does not answer, and finds out when it does again.
#[derive(Debug)]
pub struct Breaker {
    state: BreakerState,
    /// Calls that failed one after the other.
    failures: u32,
    /// Until when none is made, while it is open.
    until: Option<Instant>,
    pause: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new()
    }
}

impl Breaker {
    /// One that lets calls through.
    pub fn new() -> Self {
        Self { state: BreakerState::Closed, failures: 0, until: None, pause: PAUSE_FIRST }
    }

    /// What it does now.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Whether a call may be made. After a pause one may, and the others wait for its end.
    pub fn admits(&mut self, now: Instant) -> bool {
        match self.state {
            BreakerState::Closed => true,
            BreakerState::Trying => false,
            BreakerState::Open if self.until.is_some_and(|until| now < until) => false,
            BreakerState::Open => {
                self.state = BreakerState::Trying;
                true
            }
        }
    }

    /// A call was answered.
    pub fn succeeded(&mut self) {
        *self = Self::new();
    }

    /// A call failed.
    pub fn failed(&mut self, now: Instant) {
        self.failures += 1;
        match self.state {
            BreakerState::Trying => {
                self.pause = (self.pause * 2).min(PAUSE_MAX);
                self.open(now);
            }
            BreakerState::Closed if self.failures >= FAILURES_MAX => self.open(now),
            // A call that began before it opened says nothing new.
            BreakerState::Closed | BreakerState::Open => {}
        }
    }

    /// A call was given up by who made it: nobody knows how it would have ended.
    pub fn given_up(&mut self) {
        if self.state == BreakerState::Trying {
            // The next call may try at once.
            (self.state, self.until) = (BreakerState::Open, None);
        }
    }

    fn open(&mut self, now: Instant) {
        (self.state, self.until) = (BreakerState::Open, Some(now + self.pause));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Breaker, BreakerState, PAUSE_FIRST, PAUSE_MAX};

    /// Plays calls: `+` one that is answered, `-` one that fails, `?` one that is given up, `.` one
    /// that is not let through, `>` time goes by. Gives how it ends.
    #[track_caller]
    fn check(calls: &str, ends: BreakerState) {
        let (mut breaker, mut now) = (Breaker::new(), Instant::now());
        for (at, call) in calls.chars().enumerate() {
            if call == '>' {
                now += PAUSE_FIRST;
                continue;
            }
            assert_eq!(breaker.admits(now), call != '.', "call {at} of {calls}");
            match call {
                '+' => breaker.succeeded(),
                '-' => breaker.failed(now),
                '?' => breaker.given_up(),
                _ => {}
            }
        }
        assert_eq!(breaker.state(), ends, "{calls}");
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        check("--+--+--", BreakerState::Closed);
        check("---...", BreakerState::Open);
    }

    #[test]
    fn after_a_pause_one_call_decides() {
        check("---.>+++", BreakerState::Closed);
        check("---.>-.>.>-", BreakerState::Open);
        // The pause is as at first after it was closed.
        check("---.>-.>.>+---.>+", BreakerState::Closed);
    }

    #[test]
    fn a_trial_that_is_given_up_is_made_again_by_the_next_call() {
        check("---.>?+", BreakerState::Closed);
        check("??---", BreakerState::Open);
    }

    #[test]
    fn while_one_tries_no_other_does() {
        let (mut breaker, now) = (Breaker::new(), Instant::now());
        (0..3).for_each(|_| breaker.failed(now));
        let later = now + PAUSE_FIRST;
        assert!(breaker.admits(later) && !breaker.admits(later));
        assert_eq!(breaker.state(), BreakerState::Trying);
    }

    #[test]
    fn the_pause_has_an_end() {
        let (mut breaker, mut now) = (Breaker::new(), Instant::now());
        (0..3).for_each(|_| breaker.failed(now));
        for _ in 0..40 {
            now += PAUSE_MAX;
            assert!(breaker.admits(now));
            breaker.failed(now);
            assert!(!breaker.admits(now + PAUSE_FIRST - Duration::from_millis(1)));
        }
    }
}
