//! A machine under too much load, in simulated time.

use std::time::Duration;

use super::machine::{Machine, STEP};
use super::{ask, bounds, ms};
use crate::admission::Class;

const WORK: Duration = Duration::from_millis(1);

/// Calls of 1 ms on two cores for ten seconds, at so many percent of what the cores can do, from
/// so many tenants.
fn under(percent: usize, tenants: &[&'static str]) -> Machine {
    let mut machine = Machine::new(bounds(), 2.0);
    let (mut due, mut calls) = (0.0, 0);
    for _ in 0..100_000 {
        due += STEP.as_secs_f64() * 2_000.0 * percent as f64 / 100.0;
        while due >= 1.0 {
            due -= 1.0;
            // The work of calls differs, and is 1 ms on average.
            let work = WORK.mul_f64([0.4, 0.7, 1.0, 1.9][calls % 4]);
            machine.arrive(ask(tenants[calls % tenants.len()], Class::Interactive), work);
            calls += 1;
        }
        machine.step();
    }
    machine.drain();
    machine
}

#[test]
fn below_saturation_nobody_is_refused() {
    let machine = under(70, &["ann", "bob"]);
    assert!(machine.outcomes["ann"].refused.is_empty());
    assert!(machine.outcomes["bob"].refused.is_empty());
}

#[test]
fn at_three_times_saturation_the_work_goes_on_and_refusals_are_quick() {
    let calm = under(70, &["ann", "bob"]).outcomes["ann"].quantile(990);
    let machine = under(300, &["ann", "bob"]);
    let done: usize = machine.outcomes.values().map(|outcome| outcome.took.len()).sum();
    assert!(done >= 18_000, "{done} of the 20,000 that fit were done");
    for outcome in machine.outcomes.values() {
        let mut refused = outcome.refused.clone();
        refused.sort();
        assert!(refused[refused.len() * 99 / 100] <= ms(5), "{:?}", refused.last());
        assert_eq!(outcome.came, outcome.took.len() + outcome.refused.len());
    }
    let slow = machine.outcomes["ann"].quantile(990);
    assert!(slow <= ms(30), "p99 {slow:?}, {calm:?} at 70 %");
    assert!(machine.busiest <= 32, "{} at once", machine.busiest);
}

#[test]
fn a_tenant_that_floods_does_not_slow_another_one() {
    let alone = {
        let mut machine = Machine::new(bounds(), 2.0);
        for step in 0..100_000 {
            if step % 50 == 0 {
                machine.arrive(ask("ann", Class::Interactive), WORK);
            }
            machine.step();
        }
        machine.outcomes.remove("ann").unwrap()
    };
    let mut machine = Machine::new(bounds(), 2.0);
    for step in 0..100_000 {
        // Ann calls 200 times a second; Bob 6,000 times, three times what the machine can do.
        if step % 50 == 0 {
            machine.arrive(ask("ann", Class::Interactive), WORK);
        }
        machine.arrive(ask("bob", Class::Interactive), WORK.mul_f64(0.6));
        machine.step();
    }
    machine.drain();
    let ann = &machine.outcomes["ann"];
    assert_eq!((ann.refused.len(), ann.took.len()), (0, ann.came));
    let (before, after) = (alone.quantile(990), ann.quantile(990));
    // Bob has half of at least eight places: the cores are shared with four of his calls or so.
    assert!(after <= before * 8, "{before:?} alone, {after:?} beside a flood");
    assert!(machine.outcomes["bob"].took.len() > 20_000, "Bob has what is left");
}
