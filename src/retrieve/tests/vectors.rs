//! Vectors as bytes, their products, and their places in an index.

use super::session;
use crate::retrieve::{
    SessionIndex, TurnVectors,
    dot::{Way, dot, dots, dots_by},
    halves,
    vectors::{PieceVectors, QueryVector},
};
use crate::types::Seq;

/// Numbers without order: a linear congruence (Knuth, MMIX).
fn noise(seed: u64) -> impl Iterator<Item = u64> {
    let step = |last: &u64| {
        Some(last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    };
    std::iter::successors(Some(seed), step).skip(1).map(|number| number >> 33)
}

/// A vector of whole numbers from -127 to 127.
fn vector(seed: u64, size: usize) -> Vec<f32> {
    noise(seed).take(size).map(|number| (number % 255) as f32 - 127.0).collect()
}

/// Checks every way of this processor against the loop, on three rows of each.
#[track_caller]
#[expect(unsafe_code, reason = "each way is asked for by name")]
fn check_dots(query: &[i16], rows: &[i8]) {
    let size = query.len();
    let expected: Vec<i32> = rows.chunks_exact(size).map(|row| dot(query, row)).collect();
    for way in Way::possible() {
        let mut sums = Vec::new();
        // SAFETY: the way is a possible one.
        unsafe { dots_by(way, query, rows, &mut sums) };
        assert_eq!(sums, expected, "{way:?} at {size}");
    }
    let mut sums = vec![7];
    dots(query, rows, &mut sums);
    assert_eq!(sums, expected);
}

#[test]
fn every_way_gives_the_exact_sums_of_the_loop() {
    assert!(Way::possible().any(|way| way == Way::Plain));
    for size in 1..=1_000 {
        let mut numbers = noise(size as u64).map(|number| (number % 255) as i16 - 127);
        let query: Vec<i16> = numbers.by_ref().take(size).collect();
        let rows: Vec<i8> = numbers.take(3 * size).map(|number| number as i8).collect();
        check_dots(&query, &rows);
    }
}

#[test]
fn extreme_numbers_do_not_overflow() {
    for (q, r) in [(127, 127), (-127, 127), (127, -127), (-127, -127), (-128, -128)] {
        for size in [1, 31, 32, 33, 384, 65_535] {
            check_dots(&vec![q; size], &vec![r as i8; 2 * size]);
        }
    }
    dots(&[], &[], &mut Vec::new());
}

/// Checks every way of this processor against plain sums, on three rows of half-bytes.
#[track_caller]
fn check_halves(query: &[i16], rows: &[i8]) {
    let size = query.len();
    let mut packed = Vec::new();
    rows.chunks_exact(size).for_each(|row| halves::pack(row, &mut packed));
    assert_eq!(packed.len(), rows.len() / size * halves::bytes_of(size));
    let expected: Vec<i32> = rows.chunks_exact(size).map(|row| dot(query, row)).collect();
    for way in Way::possible() {
        let mut sums = vec![7];
        halves::dots_by(way, query, &packed, &mut sums);
        assert_eq!(sums, expected, "{way:?} at {size}");
    }
}

#[test]
fn every_way_gives_the_exact_sums_of_half_bytes() {
    for size in 1..=700 {
        let mut numbers = noise(size as u64).map(|number| (number % 255) as i16 - 127);
        let query: Vec<i16> = numbers.by_ref().take(size).collect();
        let rows: Vec<i8> = numbers.take(3 * size).map(|number| (number % 8) as i8).collect();
        check_halves(&query, &rows);
    }
    for (q, r) in [(127, 7), (-127, 7), (127, -7), (-127, -7), (-128, 7), (-128, -7)] {
        for size in [1, 63, 64, 65, 384, 65_535] {
            check_halves(&vec![q; size], &vec![r; 2 * size]);
        }
    }
    halves::dots(&[], &[], &mut Vec::new());
}

#[test]
fn half_bytes_keep_the_order_and_the_sign_of_numbers() {
    let row: Vec<i8> = (-127..=127).collect();
    let narrow = halves::narrowed(&row);
    assert!(narrow.is_sorted() && narrow.first() == Some(&-7) && narrow.last() == Some(&7));
    assert!(row.iter().zip(&narrow).all(|(n, h)| i32::from(*n) * i32::from(*h) >= 0));
    assert_eq!(halves::narrowed(&[0, 0]), [0, 0]);
    assert_eq!(halves::narrowed(&[1, -127]), [0, -7]);
}

#[test]
fn a_few_numbers_among_zeros_keep_their_direction() {
    let mut row = vec![0; 384];
    (row[3], row[9]) = (127, 54);
    let narrow = halves::narrowed(&row);
    assert_eq!((narrow[3], narrow[9]), (7, 3));
}

#[test]
fn cosines_of_a_sessions_vectors_are_near_the_true_ones() {
    for seed in 0..50 {
        let (a, b) = (vector(seed, 384), vector(seed + 100, 384));
        let b: Vec<f32> = a.iter().zip(&b).map(|(a, b)| 0.01 * (a + b / 3.0)).collect();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let cosine = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
        let found = cosines(&a, &[b])[0];
        assert!((found - cosine).abs() < 0.03, "{found} {cosine}");
    }
}

fn cosines(query: &[f32], vectors: &[Vec<f32>]) -> Vec<f32> {
    let mut row = PieceVectors::default();
    row.add(&TurnVectors::quantise(vectors)).expect("they are the first");
    row.cosines(&QueryVector::of(query).expect("it has a direction"))
}

#[test]
fn length_counts_nothing_and_a_vector_without_direction_is_like_none() {
    let same = vec![vec![3.0, 4.0], vec![0.3, 0.4], vec![-3.0, -4.0], vec![0.0, 0.0]];
    let found = cosines(&[6.0, 8.0], &same);
    for (found, expected) in found.iter().zip([1.0, 1.0, -1.0, 0.0]) {
        assert!((found - expected).abs() < 0.01, "{found} {expected}");
    }
    assert_eq!((found[0], found[3]), (found[1], 0.0));
    let broken = vec![vec![1.0, 0.0], vec![f32::NAN, 1.0], vec![f32::INFINITY, 1.0], vec![1.0]];
    assert_eq!(cosines(&[1.0, 0.0], &broken)[1..], [0.0, 0.0, 0.0]);
    assert!(QueryVector::of(&[0.0, 0.0]).is_none());
    assert!(QueryVector::of(&[]).is_none());
}

#[test]
fn vectors_come_back_from_their_rows() {
    let vectors = TurnVectors::quantise(&[vector(1, 384), vector(2, 384)]);
    assert_eq!((vectors.len(), vectors.dimensions(), vectors.is_empty()), (2, 384, false));
    let bytes = postcard::to_stdvec(&vectors).expect("they are serialisable");
    assert!(bytes.len() < 2 * (384 + 4) + 8, "{}", bytes.len());
    assert_eq!(postcard::from_bytes::<TurnVectors>(&bytes).expect("they come back"), vectors);
    assert!(TurnVectors::quantise(&[]).is_empty());
}

#[test]
fn turns_get_their_vectors_late_and_in_any_order() {
    let mut index = session("U: one\nA: two\nU: three");
    let of = |seed| TurnVectors::quantise(&[vector(seed, 16), vector(seed + 1, 16)]);
    let known = |index: &SessionIndex| {
        (1..=4).map(|seq| u8::from(index.has_vectors(Seq(seq)))).collect::<Vec<_>>()
    };
    assert_eq!((index.wanting(None), index.vectors_known(None)), (3, 0));
    assert!(index.set_vectors(Seq(3), &of(3)));
    assert!(index.set_vectors(Seq(1), &of(1)));
    assert_eq!(known(&index), [1, 0, 1, 0]);
    assert_eq!((index.vectors_known(Some(Seq(3))), index.vectors_known(None)), (1, 2));
    assert!(!index.set_vectors(Seq(4), &of(4)), "there is no such turn");
    assert!(!index.set_vectors(Seq(2), &TurnVectors::quantise(&[])), "there is no vector");
    assert!(!index.set_vectors(Seq(2), &TurnVectors::quantise(&[vector(1, 8)])), "another size");
    assert_eq!(known(&index), [1, 0, 1, 0]);
}

#[test]
fn new_vectors_take_the_place_of_old_ones() {
    let mut index = session("U: one\nA: two");
    let one = |seed| TurnVectors::quantise(&[vector(seed, 16)]);
    let query = QueryVector::of(&vector(5, 16)).expect("it has a direction");
    let first = |index: &SessionIndex| index.vectors.cosines(&query)[index.vectors_of(0)].to_vec();
    index.set_vectors(Seq(1), &one(1));
    index.set_vectors(Seq(2), &one(2));
    let bytes = index.bytes();
    assert!(index.set_vectors(Seq(1), &one(5)));
    assert!((first(&index)[0] - 1.0).abs() < 0.02);
    assert_eq!(index.bytes(), bytes, "as many vectors take no more room");
    assert!(index.set_vectors(Seq(1), &TurnVectors::quantise(&[vector(5, 16), vector(6, 16)])));
    assert_eq!(first(&index).len(), 2);
}

#[test]
fn turns_without_text_want_no_vectors() {
    let mut index = session("U: one");
    let terms = crate::retrieve::terms::analyse_text(" \n ", None);
    index.push(crate::retrieve::Indexed {
        seq: Seq(9),
        role: crate::types::Role::Tool,
        speaker: "",
        created_at: crate::types::Timestamp(0),
        terms: &terms,
    });
    assert_eq!(index.wanting(None), 1);
}

#[test]
fn a_vector_of_384_numbers_takes_less_than_240_bytes() {
    let lines = "U: a walk\n".repeat(1_000);
    let mut index = session(&lines);
    let without = index.bytes();
    for seq in 1..=1_000 {
        index.set_vectors(Seq(seq), &TurnVectors::quantise(&[vector(seq, 384)]));
    }
    let each = (index.bytes() - without) / 1_000;
    assert!((196..240).contains(&each), "{each}");
}
