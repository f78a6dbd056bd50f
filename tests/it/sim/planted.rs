//! The tester is tested: each planted bug is found within some seeds.

use keepsake::planted::{Bug, plant};

use super::{first_failure, number};
use crate::verbs::{behind, copies};

/// Within how many seeds each bug must be found.
const WITHIN: u64 = 200;

#[test]
fn every_planted_bug_is_found() {
    let start = number("KEEPSAKE_SIM_START", 1);
    let mut missed = Vec::new();
    // These need many things at once: a test each makes sure of it.
    let named: [(Bug, fn()); 4] = [
        (
            Bug::ForgetCut,
            behind::turns_are_embedded_also_when_their_caller_has_gone_before_the_answer,
        ),
        (
            Bug::StaleUserCopy,
            copies::a_copy_that_a_slow_reader_puts_back_is_not_taken_for_a_new_one,
        ),
        (Bug::LateWork, copies::vectors_that_come_late_change_nothing_of_a_session_that_began_anew),
        (Bug::ForgetMissing, copies::turns_of_another_model_are_embedded_after_a_failure_too),
    ];
    // One alone, where its name is given.
    let only = std::env::var("KEEPSAKE_SIM_BUG").unwrap_or_default();
    for bug in Bug::ALL.iter().filter(|bug| only.is_empty() || format!("{bug:?}") == only) {
        if let Some((_, test)) = named.iter().find(|(named, _)| named == bug) {
            plant(Some(*bug));
            let failed = std::panic::catch_unwind(test).is_err();
            plant(None);
            println!("{bug:?}: by the test of it, {failed}");
            if failed {
                continue;
            }
        }
        match first_failure(start..start + WITHIN, Some(*bug)) {
            Some((seed, why)) => {
                let short: String = why.chars().take(160).collect();
                println!("{bug:?}: seed {seed}: {short}");
            }
            None => missed.push(*bug),
        }
    }
    assert!(missed.is_empty(), "not found within {WITHIN} seeds: {missed:?}");
}
