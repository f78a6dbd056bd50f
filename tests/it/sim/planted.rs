//! The tester is tested: each planted bug is found within some seeds.

use keepsake::planted::Bug;

use super::{first_failure, number};

/// Within how many seeds each bug must be found.
const WITHIN: u64 = 200;

#[test]
fn every_planted_bug_is_found() {
    let start = number("KEEPSAKE_SIM_START", 1);
    let mut missed = Vec::new();
    // One alone, where its name is given.
    let only = std::env::var("KEEPSAKE_SIM_BUG").unwrap_or_default();
    for bug in Bug::ALL.iter().filter(|bug| only.is_empty() || format!("{bug:?}") == only) {
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
