//! When summaries are due and what they cover, in small numbers.

use std::collections::BTreeSet;

use crate::summarize::{Marks, Span, Step, TurnSize, frontier, next, voided};
use crate::types::{Group, Role, Seq};

const MARKS: Marks = Marks {
    tail_high_tokens: 30,
    tail_low_tokens: 10,
    level_spans_max: 3,
    fan_in: 2,
    idle_tokens_min: 5,
};

/// Turns from `u5 a7 - c3 r9`: a user's of 5 tokens, an assistant's of 7, an erased one, one with
/// calls, one with results.
fn talk(text: &str) -> Vec<TurnSize> {
    let mut turns = Vec::new();
    for (seq, word) in (1..).zip(text.split_whitespace()) {
        let (kind, tokens) = word.split_at(1);
        let (role, group) = match kind {
            "u" => (Role::User, Group::None),
            "a" => (Role::Assistant, Group::None),
            "c" => (Role::Assistant, Group::Calls),
            "r" => (Role::Tool, Group::Results),
            _ => continue,
        };
        turns.push(TurnSize { seq: Seq(seq), tokens: tokens.parse().unwrap(), role, group });
    }
    turns
}

/// Spans from `0:1-4`: level 0, turns 1 to 4.
fn spans(text: &str) -> Vec<Span> {
    let span = |word: &str| {
        let (level, range) = word.split_once(':').unwrap();
        let (first, last) = range.split_once('-').unwrap();
        let seq = |text: &str| Seq(text.parse().unwrap());
        Span { level: level.parse().unwrap(), first_seq: seq(first), last_seq: seq(last) }
    };
    text.split_whitespace().map(span).collect()
}

fn written(span: &Span) -> String {
    format!("{}:{}-{}", span.level, span.first_seq.0, span.last_seq.0)
}

/// All steps that are due, one after the other.
#[track_caller]
fn check_steps(turns: &str, existing: &str, idle: bool, expected: &str) {
    let turns = talk(turns);
    let mut known = spans(existing);
    let mut steps = Vec::new();
    while let Some(step) = next(&turns, &known, &MARKS, idle) {
        known.push(step.span());
        steps.push(written(&step.span()));
        assert!(steps.len() < 100, "it does not end");
    }
    assert_eq!(steps.join(" "), expected);
}

#[test]
fn nothing_is_due_until_the_tail_passes_its_high_mark() {
    check_steps("", "", false, "");
    check_steps("u10 a10 u10", "", false, "");
    check_steps("u10 a10 u10 a1", "", false, "0:1-2");
}

#[test]
fn the_last_exchange_stays_whole() {
    check_steps("u50 a50", "", false, "");
    check_steps("u50 a50 u1", "", false, "0:1-1 0:2-2");
    check_steps("u5 a50 a50", "", false, "");
}

#[test]
fn a_summary_ends_before_a_users_turn_where_one_is_near() {
    check_steps("u20 a2 a2 u9 a9 u1", "", false, "0:1-3");
    check_steps("u20 a9 a9 u9 a9 u1", "", false, "0:1-1 0:2-4");
}

#[test]
fn groups_of_calls_and_results_are_never_cut() {
    check_steps("u5 c5 r20 r20 r5 u9 a9", "", false, "0:1-5");
    check_steps("u5 a2 c5 r9 c1 r9 a9 u9 a9", "", false, "0:1-4");
}

#[test]
fn an_idle_session_is_covered_to_its_end() {
    check_steps("u5 a5", "", true, "0:1-2");
    check_steps("u2 a2", "", true, "");
    check_steps("u20 a5 u20 a9 u3", "", true, "0:1-2 0:3-3 0:4-5");
    check_steps("u20 a5 u20 a9 u3", "0:1-2 0:3-4", true, "");
}

#[test]
fn what_void_summaries_left_is_covered_again_first() {
    check_steps("u20 a5 u20 a5 u20 a5 u1", "0:1-2 0:5-6", false, "0:3-4");
    check_steps("u20 a5 u20 - u20 a5 u1", "0:1-2 0:5-6", false, "0:3-3");
    check_steps("u20 a5 - - u20 a5 u1", "0:1-2 0:5-6", false, "");
}

#[test]
fn a_level_with_too_many_spans_is_covered_by_the_next() {
    let long = "u20 a5 u20 a5 u20 a5 u20 a5 u20 a5 u20 a5";
    check_steps(long, "", false, "0:1-2 0:3-4 0:5-6 0:7-8 0:9-10 1:1-4");
    check_steps("", "0:1-1 0:2-2 0:3-3", false, "");
    check_steps("", "0:1-1 0:2-2 1:1-2 0:3-3 0:4-4 0:5-5 0:6-6", false, "1:3-4");
}

#[test]
fn spans_before_a_higher_one_are_covered_without_waiting() {
    check_steps("", "0:1-1 0:2-2 1:3-4 0:5-5", false, "1:1-2");
    check_steps("", "0:1-1 1:2-3 2:4-9", false, "1:1-1 2:1-3");
}

#[track_caller]
fn check_frontier(text: &str, expected: &str) {
    let spans = spans(text);
    let found: Vec<String> = frontier(&spans).iter().map(|at| written(&spans[*at])).collect();
    assert_eq!(found.join(" "), expected);
}

#[test]
fn the_frontier_is_what_no_higher_span_covers() {
    check_frontier("", "");
    check_frontier("0:3-4 0:1-2", "0:1-2 0:3-4");
    check_frontier("0:1-2 0:3-4 1:1-4 0:5-6", "1:1-4 0:5-6");
    check_frontier("0:1-2 2:1-8 1:5-8 0:9-9 1:9-9 0:7-8", "2:1-8 1:9-9");
}

#[track_caller]
fn check_voided(erased: &[u64], superseded_from: Option<u64>, expected: &str) {
    let spans = spans("0:1-2 0:3-6 1:1-6 0:8-9");
    let erased: BTreeSet<Seq> = erased.iter().copied().map(Seq).collect();
    let found = voided(&spans, &erased, superseded_from.map(Seq));
    let found: Vec<String> = found.iter().map(|at| written(&spans[*at])).collect();
    assert_eq!(found.join(" "), expected);
}

#[test]
fn an_erased_or_superseded_turn_voids_all_levels_over_it() {
    check_voided(&[], None, "");
    check_voided(&[7, 10], None, "");
    check_voided(&[2], None, "0:1-2 1:1-6");
    check_voided(&[], Some(5), "0:3-6 1:1-6 0:8-9");
    check_voided(&[1], Some(9), "0:1-2 1:1-6 0:8-9");
}

#[test]
fn a_step_names_its_span() {
    let children = spans("0:1-2 0:3-9");
    let merge = Step::Merge { level: 1, children };
    assert_eq!(written(&merge.span()), "1:1-9");
}
