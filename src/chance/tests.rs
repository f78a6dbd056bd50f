use std::collections::HashSet;

use super::{Chance, SeededChance, SystemChance, incarnation};
use crate::types::Timestamp;

#[test]
fn the_same_seed_gives_the_same_draws_and_another_seed_others() {
    let draws = |seed| {
        let chance = SeededChance::new(seed);
        (chance.bytes16(), chance.secret32(), chance.bytes16())
    };
    assert_eq!(draws(7), draws(7));
    assert_ne!(draws(7), draws(8));
}

#[test]
fn no_draw_comes_twice() {
    let (system, seeded) = (SystemChance, SeededChance::new(1));
    let draws: HashSet<_> = (0..1000).flat_map(|_| [system.bytes16(), seeded.bytes16()]).collect();
    assert_eq!(draws.len(), 2000);
    let secrets: HashSet<_> =
        (0..1000).flat_map(|_| [system.secret32(), seeded.secret32()]).collect();
    assert_eq!(secrets.len(), 2000);
}

#[test]
fn incarnations_are_ordered_by_time_and_differ_within_a_millisecond() {
    let chance = SeededChance::new(3);
    let at = |ms| incarnation(Timestamp(ms), &chance);
    let first = at(1_700_000_000_000);
    assert_ne!(first, at(1_700_000_000_000));
    assert!(first < at(1_700_000_000_001));
    assert_eq!(first.0[..6], [0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00]);
}

#[test]
fn a_time_before_1970_counts_as_1970() {
    let chance = SeededChance::new(3);
    assert_eq!(incarnation(Timestamp(-5), &chance).0[..6], [0; 6]);
}
