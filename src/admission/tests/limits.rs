//! The adaptive limit, in closed loops.

use std::time::Duration;

use crate::admission::{Limit, LimitBounds};

/// Runs a loop of `clients` that call again as soon as they are answered, for so many seconds of
/// simulated time, where `latency` says in ms how long calls take when so many are in.
fn settle(bounds: LimitBounds, clients: usize, latency: impl Fn(usize) -> f64) -> Limit {
    let mut limit = Limit::new(bounds);
    run(&mut limit, Duration::ZERO, 60, clients, latency);
    limit
}

fn run(
    limit: &mut Limit,
    from: Duration,
    seconds: u64,
    clients: usize,
    latency: impl Fn(usize) -> f64,
) {
    let mut now = from;
    while now < from + Duration::from_secs(seconds) {
        let inside = limit.now().min(clients);
        let took = Duration::from_secs_f64(latency(inside) / 1_000.0);
        now += took;
        for _ in 0..inside {
            limit.sample(0, took, inside, now);
        }
    }
}

fn reads() -> LimitBounds {
    LimitBounds { min: 8, max: 256, initial: 16, tolerance: 1.5 }
}

/// Two cores that calls of 1 ms share.
fn cores(inside: usize) -> f64 {
    (inside as f64 / 2.0).max(1.0)
}

#[test]
fn calls_that_share_cores_are_kept_to_few() {
    let limit = settle(reads(), 1_000, cores);
    assert!((8..=24).contains(&limit.now()), "{}", limit.now());
}

#[test]
fn a_limit_that_began_much_too_high_comes_down() {
    let limit = settle(LimitBounds { initial: 256, ..reads() }, 1_000, cores);
    assert!((8..=24).contains(&limit.now()), "{}", limit.now());
}

#[test]
fn calls_that_wait_together_are_let_in_by_hundreds() {
    // A sync of 10 ms that all who wait share, and 0.05 ms of work for each.
    let writes = LimitBounds { min: 128, max: 1_024, initial: 256, tolerance: 4.0 };
    let limit = settle(writes, 1_000, |inside| 15.0 + inside as f64 * 0.05);
    assert!(limit.now() >= 900, "{}", limit.now());
}

#[test]
fn a_limit_that_nobody_reaches_stays() {
    let limit = settle(reads(), 4, cores);
    assert_eq!(limit.now(), 16);
}

#[test]
fn a_machine_that_becomes_slower_for_good_is_learned_anew() {
    let mut limit = settle(reads(), 1_000, |inside| 5.0 + cores(inside));
    let before = limit.now();
    // All calls take ten times as long: the same number of them is right.
    let slow = |inside: usize| 10.0 * (5.0 + cores(inside));
    run(&mut limit, Duration::from_secs(60), 10, 1_000, slow);
    run(&mut limit, Duration::from_secs(70), 300, 1_000, slow);
    let (low, high) = (before / 2, before * 2);
    assert!((low..=high).contains(&limit.now()), "{before} before, {} after", limit.now());
}

proptest::proptest! {
    #[test]
    fn a_limit_stays_within_its_bounds(
        calls in proptest::collection::vec((0_usize..40, 0_u64..100_000, 0_usize..2_000), 1..400),
    ) {
        let mut limit = Limit::new(reads());
        let mut now = Duration::ZERO;
        for (kind, micros, inside) in calls {
            let took = Duration::from_micros(micros);
            now += took / 4;
            limit.sample(kind, took, inside, now);
            proptest::prop_assert!((8..=256).contains(&limit.now()));
        }
    }
}
