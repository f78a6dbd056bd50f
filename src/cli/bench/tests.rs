//! What figures are made of: percentiles, slopes, the server's histograms.

use std::time::Duration;

use tonic::Status;

use super::metrics::Scrape;
use super::report::slope_a_minute;
use super::talk::Talk;
use super::tally::{Operation, Tally};

#[test]
fn a_tally_keeps_answers_and_refusals_apart() {
    let mut one = Tally::default();
    for ms in 1..=100 {
        one.note(Operation::Append, Duration::from_millis(ms), &Ok(()));
    }
    let refused: Result<(), Status> = Err(Status::resource_exhausted("enough"));
    one.note(Operation::Context, Duration::from_millis(3), &refused);
    let mut all = Tally::default();
    all.add(&one);
    all.add(&one);
    assert_eq!((all.done_count(), all.refused_count()), (200, 2));
    let times = &all.done[&Operation::Append];
    for (percent, ms) in [(50.0, 50.0), (99.0, 99.0), (100.0, 100.0)] {
        let found = times.percentile_ms(percent);
        assert!((found - ms).abs() <= ms / 500.0, "{percent}: {found}");
    }
    let why = (Operation::Context, "RESOURCE_EXHAUSTED".to_owned());
    assert_eq!(all.refused[&why].count(), 2);
}

#[test]
fn a_slope_is_that_of_the_line_through_the_points() {
    let points: Vec<(f64, f64)> = (0..10).map(|x| (f64::from(x), f64::from(x) * 2.0)).collect();
    assert!((slope_a_minute(&points) - 120.0).abs() < 1e-9);
    assert!(slope_a_minute(&[(0.0, 5.0)]).abs() < 1e-9);
}

#[test]
fn a_histogram_over_a_row_is_what_came_since_its_begin() {
    let before = Scrape::parse(concat!(
        "# TYPE keepsake_call_seconds histogram\n",
        "keepsake_call_seconds_bucket{method=\"BuildContext\",le=\"0.001\"} 10\n",
        "keepsake_call_seconds_bucket{method=\"BuildContext\",le=\"+Inf\"} 10\n",
        "keepsake_call_seconds_sum{method=\"BuildContext\"} 0.005\n",
        "keepsake_call_seconds_count{method=\"BuildContext\"} 10\n",
        "keepsake_idle_sum 1\nkeepsake_idle_count 1\n",
    ));
    let after = Scrape::parse(concat!(
        "keepsake_call_seconds_bucket{method=\"BuildContext\",le=\"0.001\"} 12\n",
        "keepsake_call_seconds_bucket{method=\"BuildContext\",le=\"0.01\"} 20\n",
        "keepsake_call_seconds_bucket{method=\"BuildContext\",le=\"+Inf\"} 20\n",
        "keepsake_call_seconds_sum{method=\"BuildContext\"} 0.055\n",
        "keepsake_call_seconds_count{method=\"BuildContext\"} 20\n",
        "keepsake_idle_sum 1\nkeepsake_idle_count 1\n",
        "keepsake_embedding_sessions_pending 3\n",
    ));
    let measured = after.since(&before);
    assert_eq!(measured.len(), 1, "{measured:?}");
    assert_eq!(measured[0].name, "keepsake_call_seconds{method=\"BuildContext\"}");
    assert!((measured[0].mean - 0.005).abs() < 1e-9);
    assert_eq!(measured[0].bounds, Some((0.01, 0.01)));
    assert_eq!((after.pending(), before.pending()), (Some(3.0), None));
}

#[test]
fn made_talk_is_the_same_for_the_same_seed_and_differs_between_sessions() {
    let (one, same, other) = (Talk::made(1), Talk::made(1), Talk::made(2));
    let (one, same, other) = (one.unwrap(), same.unwrap(), other.unwrap());
    assert_eq!(one.session(3, 5), same.session(3, 5));
    assert_ne!(one.session(3, 5).turns, other.session(3, 5).turns);
    assert_ne!(one.session(3, 5).turns, one.session(4, 5).turns);
    assert_eq!(one.session(3, 5).turns[4], one.turn(3, 4));
}
