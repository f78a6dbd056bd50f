//! What fusion promises, and the lists of the best.

use crate::documents::{
    Candidate, FusionWeights,
    best::{Best, ChunkKey, unite},
    fuse,
};
use crate::retrieve::Mode;
use crate::types::{DocumentId, Generation, Incarnation};

fn key(document: u32) -> ChunkKey {
    ChunkKey {
        document: DocumentId::parse(&format!("d{document}")).unwrap(),
        ordinal: 0,
        collection: Incarnation([1; 16]),
        generation: Generation([2; 16]),
    }
}

/// Reads candidates, `words:vector` each, `-` where one is not known.
fn candidates(text: &str) -> Vec<Candidate> {
    let candidate = |(at, pair): (u32, &str)| {
        let (words, vector) = pair.split_once(':').unwrap();
        let ChunkKey { document, ordinal, collection, generation } = key(at);
        let (words, vector) = (words.parse().ok(), vector.parse().ok());
        Candidate { collection, document, generation, ordinal, words, vector }
    };
    (0..).zip(text.split_whitespace()).map(candidate).collect()
}

#[track_caller]
fn check(text: &str, mode: Mode, expected: &str) {
    let fused = fuse(&candidates(text), mode, FusionWeights::DEFAULT);
    let order: Vec<String> = fused.iter().map(|fused| fused.index.to_string()).collect();
    assert_eq!(order.join(" "), expected);
    for fused in &fused {
        let signals = fused.signals.iter();
        let sum: f64 = signals.map(|signal| signal.standardised * signal.weight).sum();
        assert!((sum - fused.score).abs() < 1e-12 && fused.score.is_finite());
    }
}

#[test]
fn words_and_meaning_are_weighed_together() {
    check("9:0.1 5:0.9 0:0.2", Mode::Hybrid, "1 0 2");
}

#[test]
fn words_alone_and_meaning_alone_go_by_one_signal() {
    check("9:0.1 5:0.9 0:0.2", Mode::Words, "0 1 2");
    check("9:0.1 5:0.9 0:0.2", Mode::Vectors, "1 2 0");
}

#[test]
fn without_any_vector_all_goes_by_words_in_every_mode() {
    for mode in [Mode::Words, Mode::Vectors, Mode::Hybrid] {
        check("1:- 3:- 2:-", mode, "1 2 0");
    }
    check("-:0.1 -:0.3", Mode::Hybrid, "1 0");
}

#[test]
fn a_chunk_without_a_vector_is_as_like_as_its_words_let_expect() {
    // Nothing speaks for it or against it.
    check("1:0.5 1:- 1:0.2", Mode::Hybrid, "0 1 2");
    // Those with more of the words are more like: so is it.
    check("4:0.5 5:- 2:0.3 1:0.2", Mode::Hybrid, "1 0 2 3");
    // The one that has the rare word is not behind those that only sound alike.
    let alike = "0:0.40 0:0.38 0:0.36 0:0.34 0:0.32 0:0.30 0:0.28 0:0.26 1:0.24";
    check(&format!("9:- {alike}"), Mode::Hybrid, "0 1 2 3 4 5 6 7 8 9");
    // Words that speak against meaning do not make it unlike.
    check("9:- 3:0.1 0:0.4 1:0.3", Mode::Hybrid, "0 2 3 1");
}

#[test]
fn equal_candidates_keep_their_order_and_none_have_none() {
    check("1:0.5 1:0.5 1:0.5", Mode::Hybrid, "0 1 2");
    check("", Mode::Hybrid, "");
}

#[test]
fn the_best_are_the_highest_and_of_equal_ones_the_first() {
    let mut best = Best::new(3);
    for (at, score) in [2.0, 5.0, 1.0, 5.0, 4.0, 5.0, 5.0, 0.0].into_iter().enumerate() {
        best.offer(score, || key(u32::try_from(at).unwrap()));
    }
    let sorted = best.sorted();
    let names: Vec<&str> = sorted.iter().map(|(_, key)| key.document.as_str()).collect();
    assert_eq!(names, ["d1", "d3", "d5"]);
    let mut none = Best::new(0);
    none.offer(1.0, || key(1));
    assert!(none.sorted().is_empty());
}

#[test]
fn two_lists_are_one_that_knows_all_of_each_chunk() {
    let by_words = vec![(3.0, key(2)), (2.0, key(1))];
    let by_vector = vec![(0.9, key(3)), (0.8, key(2))];
    let found = unite(by_words, by_vector, |_| Some(0.0), |_| None);
    let known: Vec<_> = found.iter().map(|found| (found.words, found.vector)).collect();
    let wanted = [(Some(2.0), None), (Some(3.0), Some(0.8)), (Some(0.0), Some(0.9))];
    assert_eq!(known, wanted);
}
