//! Hits are taken by what a token of them is expected to bring.

use super::*;

/// A long turn, the best hit, two short ones, and the question.
fn long_and_short() -> String {
    let (one, two) =
        ("one by the garden fence and the old gate", "two behind the shed and the pond");
    format!("u {}\n a {one}\n u {two}\n a Go on.\n u Why?", "roses ".repeat(60))
}

#[track_caller]
fn check(budget: u32, length_price: f64, expected: &str) {
    let asked =
        Asked { shares: NO_RECENT, hits: &[1, 2, 3], budget, length_price, ..Asked::default() };
    check_shown(&long_and_short(), asked, expected);
}

#[test]
fn where_length_costs_nothing_the_best_hit_takes_the_space() {
    check(142, 0.0, " | 1 | 5 | 2-4");
}

#[test]
fn where_length_costs_short_hits_come_before_a_long_one_that_is_little_better() {
    check(142, 2.0, " | 1… 2 3 | 5 | 4-4");
}

#[test]
fn a_hit_that_is_far_better_is_worth_its_length() {
    check(142, 0.5, " | 1 | 5 | 2-4");
}

#[test]
fn where_there_is_space_for_all_length_changes_nothing() {
    let shown = |length_price| {
        let hits = [3, 1, 2];
        let asked = Asked { shares: NO_RECENT, hits: &hits, length_price, ..Asked::default() };
        ask(&talk(&long_and_short()), &asked).unwrap()
    };
    assert_eq!(shown(0.0).messages, shown(2.0).messages);
}
