use std::time::Duration;

use expect_test::expect;

use crate::cli::{
    eval::ask::{Answer, Context, Shown, Turns, shown},
    eval::gains::{Gains, ndcg},
    eval::questions::Question,
    eval::table::{Table, percentile_ms},
    import,
    wire::text_part,
};
use crate::proto::v1;

pub(super) fn question(json: &str) -> Question {
    serde_json::from_str(json).unwrap()
}

pub(super) fn ids(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A context of 512 tokens that takes so many and shows these turns.
fn context(tokens: u32, turns: &str) -> Context {
    let shown = Shown { turns: ids(turns), ..Shown::default() };
    Context { budget: 512, tokens, full_history_tokens: 0, shown }
}

fn answer<const N: usize>(ranked: &str, contexts: [Context; N]) -> Answer {
    Answer { ranked: ids(ranked), contexts: contexts.into() }
}

#[test]
fn recall_is_the_share_of_the_evidence() {
    let mut table = Table::new(&[512]);
    let asked = question(
        r#"{"query":"1","conversation":"c","text":"?","category":"2-time","evidence":["a","b"]}"#,
    );
    table.add(&asked, &answer("x y z w a b", [context(513, "a b")]));
    let apart = question(
        r#"{"query":"2","conversation":"c","text":"?","category":"5-none","evidence":["a"]}"#,
    );
    table.add(&apart, &answer("x", [context(500, "x")]));
    expect![[r#"
        category                        n    r@5   r@10   r@20  ev@512
        2-time                          1   50.0  100.0  100.0   100.0
        5-none                          1    0.0    0.0    0.0     0.0
        all                             1   50.0  100.0  100.0   100.0
        contexts over budget: 1 of 2
    "#]]
    .assert_eq(&table.to_text());
}

#[test]
fn questions_without_evidence_are_asked_and_not_measured() {
    let mut table = Table::new(&[512]);
    let asked = question(r#"{"query":"1","conversation":"c","text":"?","as_of":null}"#);
    table.add(&asked, &answer("a", [context(100, "a")]));
    assert!(table.to_text().contains("nothing to measure"), "{}", table.to_text());
}

#[test]
fn ndcg_is_the_gain_against_that_of_the_best_order() {
    let relevant = [("a".to_owned(), 2.0), ("b".to_owned(), 1.0)].into();
    let best = 2.0 + 1.0 / 3f64.log2();
    assert_eq!(ndcg(&relevant, &ids("a b")), 1.0);
    assert!((ndcg(&relevant, &ids("b a")) - (1.0 + 2.0 / 3f64.log2()) / best).abs() < 1e-12);
    assert!((ndcg(&relevant, &ids("x y a")) - 1.0 / best).abs() < 1e-12);
    assert_eq!(ndcg(&relevant, &ids("1 2 3 4 5 6 7 8 9 10 a b")), 0.0);
}

#[test]
fn a_ranking_of_documents_counts_where_something_is_relevant() {
    let mut gains = Gains::default();
    assert!(gains.to_text().contains("nothing to measure"), "{}", gains.to_text());
    let asked = |json: &str| serde_json::from_str(json).unwrap();
    gains.ranked(&asked(r#"{"query":"1","text":"?"}"#), &ids("a"));
    let both = asked(r#"{"query":"2","text":"?","relevant":{"a":1.0,"b":1.0}}"#);
    gains.ranked(&both, &ids("a 1 2 3 4 5 6 7 8 9 10 b"));
    expect![[r"
        nDCG@10   r@10   r@20   r@50
           61.3   50.0  100.0  100.0
    "]]
    .assert_eq(&gains.to_text());
}

#[test]
fn percentiles_are_times_that_occurred() {
    let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
    assert_eq!([50, 95, 99].map(|p| percentile_ms(&times, p)), [50.0, 95.0, 99.0]);
    assert_eq!([50, 99].map(|p| percentile_ms(&times[..1], p)), [1.0, 1.0]);
    assert_eq!(percentile_ms(&[], 50), 0.0);
}

/// What a context of `message` shows of the turns `A` ("one two") and `B` ("three four"), when its
/// account names both.
#[track_caller]
fn check(message: &str, partial: bool, whole: &str, in_part: &str) {
    let lines = r#"{"conversation":"c","session":"s","turn":"A","role":"user","text":"one two"}
        {"conversation":"c","session":"s","turn":"B","role":"user","text":"three\nfour"}"#;
    let sessions = import::parse(lines, "x").sessions;
    let turns = Turns::new(&sessions, &[("c.s".to_owned(), vec![1, 2])]);
    let item = |seq, partial| v1::Item {
        session_id: "c.s".to_owned(),
        first_seq: seq,
        last_seq: seq,
        partial,
        ..Default::default()
    };
    let context = v1::BuildContextResponse {
        messages: vec![v1::Message { parts: vec![text_part(message)], ..Default::default() }],
        sections: vec![v1::Section {
            items: vec![item(1, partial), item(2, false)],
            ..Default::default()
        }],
        ..Default::default()
    };
    let shown = shown(&context, &turns);
    assert_eq!((shown.turns, shown.partial), (ids(whole), ids(in_part)));
}

#[test]
fn a_turn_counts_only_when_its_whole_text_stands_there() {
    check("User: one two\nUser: three\nfour", false, "A B", "");
    check("User: one two\nUser: three four", false, "A", "B");
    check("User: one two\nUser: three\nfour", true, "B", "A");
    check("nothing", false, "", "A B");
}
