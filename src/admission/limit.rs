//! How many calls may be in at a time, adapted to how long they take.
//!
//! This is the gradient algorithm of Netflix's library `concurrency-limits` (its `GradientLimit`):
//! the limit is multiplied by how much shorter a call took when little was going on, plus room for
//! a short queue. Two things differ. Kinds of calls take very different times, so each has an
//! unloaded time of its own, and what is compared are sums over a window. And the unloaded times
//! are learned while no more calls are in than the floor of the limit, which is enough to keep the
//! machine busy: looking for them by a probe costs no throughput.

use std::time::Duration;

/// The most kinds of calls that are told apart.
pub const KINDS_MAX: usize = 32;

/// A window lasts at least this long, and has at least so many calls.
const WINDOW: Duration = Duration::from_millis(100);
const WINDOW_CALLS: u32 = 16;
/// When the unloaded times are older than this and the limit is reached, they are looked for.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// How far an unloaded time moves toward a newer one.
const LEARN: f64 = 0.3;
/// How far the limit moves toward what a window calls for.
const SMOOTH: f64 = 0.3;
/// The least that one window leaves of the limit, before smoothing.
const GRADIENT_MIN: f64 = 0.5;

/// Between what a limit adapts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimitBounds {
    /// The floor: enough to keep the machine busy; at least 1.
    pub min: usize,
    /// The ceiling.
    pub max: usize,
    /// Where it begins.
    pub initial: usize,
    /// By what factor calls may take longer than unloaded before the limit goes down.
    pub tolerance: f64,
}

/// An adaptive limit.
#[derive(Debug, Clone)]
pub struct Limit {
    bounds: LimitBounds,
    limit: f64,
    /// Seconds that a call of each kind takes when little is going on; 0: not known.
    unloaded: [f64; KINDS_MAX],
    learned_at: Duration,
    probing: bool,
    window: Window,
}

#[derive(Debug, Clone)]
struct Window {
    began: Duration,
    calls: u32,
    /// The most calls that were in at once.
    busiest: usize,
    seconds: [f64; KINDS_MAX],
    counts: [u32; KINDS_MAX],
}

impl Window {
    fn at(began: Duration) -> Self {
        Self { began, calls: 0, busiest: 0, seconds: [0.0; KINDS_MAX], counts: [0; KINDS_MAX] }
    }
}

impl Limit {
    /// A limit at its initial value. Bounds that contradict each other give way to the floor.
    pub fn new(bounds: LimitBounds) -> Self {
        let min = bounds.min.max(1);
        let max = bounds.max.max(min);
        let bounds = LimitBounds { min, max, ..bounds };
        Self {
            bounds,
            limit: bounds.initial.clamp(min, max) as f64,
            unloaded: [0.0; KINDS_MAX],
            learned_at: Duration::ZERO,
            probing: false,
            window: Window::at(Duration::ZERO),
        }
    }

    /// How many calls may be in now.
    pub fn now(&self) -> usize {
        if self.probing { self.bounds.min } else { self.limit as usize }
    }

    /// The floor.
    pub fn min(&self) -> usize {
        self.bounds.min
    }

    /// Notes a call that ended: its kind (below [`KINDS_MAX`]; above it counts as the last), how
    /// long it was in, and how many were in with it.
    pub fn sample(&mut self, kind: usize, took: Duration, in_flight: usize, now: Duration) {
        let kind = kind.min(KINDS_MAX - 1);
        if self.window.calls == 0 {
            self.window.began = now.saturating_sub(took);
        }
        self.window.calls += 1;
        self.window.busiest = self.window.busiest.max(in_flight);
        self.window.seconds[kind] += took.as_secs_f64();
        self.window.counts[kind] += 1;
        if self.window.calls >= WINDOW_CALLS && now.saturating_sub(self.window.began) >= WINDOW {
            self.close(now);
        }
    }

    /// Ends a window: learns from it, or adapts to it.
    fn close(&mut self, now: Duration) {
        let window = std::mem::replace(&mut self.window, Window::at(now));
        let is_quiet = window.busiest <= self.bounds.min;
        if is_quiet {
            self.learn(&window);
            self.learned_at = now;
            self.probing = false;
        }
        let is_reached = window.busiest >= self.limit as usize / 2;
        if self.probing || !is_reached {
            // What was not used up says nothing about what would be too much.
            return;
        }
        let Some(stretch) = self.stretch(&window) else {
            // Nothing to compare with: growing would be blind.
            self.probing = true;
            return;
        };
        let gradient = (self.bounds.tolerance / stretch).clamp(GRADIENT_MIN, 1.0);
        let wanted = self.limit * gradient + self.limit.sqrt();
        let (min, max) = (self.bounds.min as f64, self.bounds.max as f64);
        self.limit = (self.limit + SMOOTH * (wanted - self.limit)).clamp(min, max);
        self.probing = !is_quiet && now.saturating_sub(self.learned_at) >= PROBE_EVERY;
    }

    fn learn(&mut self, window: &Window) {
        for (kind, known) in self.unloaded.iter_mut().enumerate() {
            if window.counts[kind] == 0 {
                continue;
            }
            let mean = window.seconds[kind] / f64::from(window.counts[kind]);
            *known = if *known == 0.0 { mean } else { *known + LEARN * (mean - *known) };
        }
    }

    /// How many times longer than unloaded the calls of a window took; `None` when most of them are
    /// of kinds that were never seen unloaded.
    fn stretch(&self, window: &Window) -> Option<f64> {
        let (mut took, mut unloaded, mut calls) = (0.0, 0.0, 0);
        for (kind, known) in self.unloaded.iter().enumerate().filter(|(_, known)| **known > 0.0) {
            took += window.seconds[kind];
            unloaded += known * f64::from(window.counts[kind]);
            calls += window.counts[kind];
        }
        let is_told = unloaded > 0.0 && calls >= window.calls / 2;
        is_told.then(|| (took / unloaded).max(1.0))
    }
}
