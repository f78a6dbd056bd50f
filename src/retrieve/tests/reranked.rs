//! What a reranker's scores do to an order.

use crate::retrieve::reranked;

/// Items by a letter and their rank, scores by item (`-`: none), and what comes out.
#[track_caller]
fn check(items: &str, scores: &str, expected: &str) {
    let item = |text: &str| {
        let (name, rank) = text.split_once(':').unwrap();
        (name.to_owned(), rank.parse::<f64>().unwrap())
    };
    let items: Vec<(String, f64)> = items.split(' ').map(item).collect();
    let scores: Vec<Option<f32>> = scores.split(' ').map(|score| score.parse().ok()).collect();
    let out = reranked(items, &scores, |item| &mut item.1);
    let out: Vec<String> = out.iter().map(|(name, rank)| format!("{name}:{rank}")).collect();
    assert_eq!(out.join(" "), expected);
}

#[test]
fn the_best_score_comes_first_and_takes_the_rank_of_the_place() {
    check("a:9 b:5 c:1", "0.1 0.5 0.9", "c:9 b:5 a:1");
    check("a:9 b:5 c:1", "-3 -1 -2", "b:9 c:5 a:1");
}

#[test]
fn equal_scores_keep_their_order() {
    check("a:9 b:5 c:1", "2 2 2", "a:9 b:5 c:1");
    check("a:9 b:5 c:1", "0 -0.0 1", "c:9 a:5 b:1");
}

#[test]
fn what_has_no_score_stays_where_it_is() {
    check("a:9 b:5 c:3 d:1", "1 2 - -", "b:9 a:5 c:3 d:1");
    check("a:9 b:5 c:3 d:1", "1 - 2 -", "c:9 b:5 a:3 d:1");
    check("a:9 b:5", "- -", "a:9 b:5");
}
