//! The parts of the embedded index that no question shows alone.

use std::collections::HashSet;

use tantivy::tokenizer::{TokenStream, Tokenizer};

use crate::documents::{
    DocumentFilter,
    embedded::{
        centres::Centres,
        rows::{Owner, Rows},
        tokens::{self, LETTERS, Terms},
        verdicts::Filters,
    },
};
use crate::retrieve::{QueryVector, TurnVectors};
use crate::types::{Generation, Incarnation, Timestamp};

#[test]
fn terms_are_as_many_letters_each_and_differ_by_every_bit() {
    let mut seen = HashSet::new();
    let write = |collection: [u8; 16], hash: u64| {
        let mut term = String::new();
        tokens::write(Incarnation(collection), hash, &mut term);
        assert_eq!(term.len(), LETTERS);
        term
    };
    seen.insert(write([0; 16], 0));
    for bit in 0..64 {
        assert!(seen.insert(write([0; 16], 1 << bit)));
    }
    for bit in 0..128 {
        let mut collection = [0; 16];
        collection[bit / 8] = 1 << (bit % 8);
        assert!(seen.insert(write(collection, 0)));
    }
}

#[test]
fn a_text_of_terms_is_cut_into_them() {
    let mut text = String::new();
    for hash in [7, u64::MAX, 7] {
        tokens::write(Incarnation([9; 16]), hash, &mut text);
    }
    let mut terms = Terms::default();
    let mut stream = terms.token_stream(&text);
    let mut found = Vec::new();
    while stream.advance() {
        found.push(stream.token().text.clone());
    }
    assert_eq!(found.len(), 3);
    assert_eq!(found[0], found[2]);
    assert_eq!(found.concat(), text);
}

/// Rows of one chunk each, as the scan shows them.
fn shown(rows: &Rows, query: &QueryVector) -> Vec<(u32, u32)> {
    let mut shown = Vec::new();
    rows.scan(query, &mut |owners, cosines| {
        assert_eq!(owners.len(), cosines.len());
        for (owner, cosine) in owners.iter().zip(cosines) {
            let mut room = (Vec::new(), Vec::new());
            assert_eq!(rows.cosine(*owner, query, &mut room), Some(*cosine));
            shown.push((owner.slot, owner.ordinal));
        }
        owners.len()
    });
    shown.sort_unstable();
    shown
}

#[test]
fn rows_are_where_they_are_looked_for_whatever_is_set_removed_and_put_in_order() {
    let mut chance = fastrand::Rng::with_seed(5);
    let mut rows = Rows::default();
    let mut there: HashSet<(u32, u32)> = HashSet::new();
    let generation = |slot: u32| Generation(u128::from(slot).to_be_bytes());
    let query = QueryVector::of(&[1.0, 2.0, 3.0, 4.0]).unwrap();
    for step in 0..2_000 {
        let slot = chance.u32(..50);
        match chance.u8(..10) {
            0..6 => {
                let first = chance.u32(..3);
                let vector = || (0..4).map(|_| chance.f32() - 0.5).collect();
                let vectors: Vec<Vec<f32>> = std::iter::repeat_with(vector).take(2).collect();
                rows.set(slot, generation(slot), 3, first, &TurnVectors::quantise(&vectors));
                there.extend((first..3).take(2).map(|ordinal| (slot, ordinal)));
            }
            6..9 => {
                rows.remove(slot, generation(slot));
                there.retain(|(known, _)| *known != slot);
            }
            _ if rows.count() > 0 => {
                let (numbers, scales) = rows.sample(20);
                rows.set_centres(Centres::of(&numbers, &scales, 4, 5, step));
                // Not always to the end.
                for _ in 0..chance.u8(..20) {
                    let moves = rows.to_move(8);
                    rows.move_rows(&moves);
                }
            }
            _ => {}
        }
        let mut wanted: Vec<(u32, u32)> = there.iter().copied().collect();
        wanted.sort_unstable();
        assert_eq!(shown(&rows, &query), wanted);
        assert_eq!(rows.count(), wanted.len());
    }
    for slot in 0..50 {
        rows.remove(slot, generation(slot));
    }
    assert_eq!((rows.count(), rows.digest()), (0, 0));
    assert_eq!(rows.cosine(Owner { slot: 1, ordinal: 0 }, &query, &mut Default::default()), None);
}

#[test]
fn verdicts_are_kept_for_the_latest_filters_until_something_else_comes_to_their_slot() {
    let mut filters = Filters::default();
    let filter = |number: i64| DocumentFilter {
        created_after: Some(Timestamp(number)),
        ..DocumentFilter::default()
    };
    let known = || -> bool { panic!("it was looked at before") };
    assert!(filters.verdicts(&filter(1), 2).passes(1, || true));
    assert!(filters.verdicts(&filter(1), 2).passes(1, known));
    assert!(!filters.verdicts(&filter(2), 2).passes(1, || false));
    // Further documents change nothing for those that were there.
    assert!(filters.verdicts(&filter(1), 100).passes(1, known));
    assert!(!filters.verdicts(&filter(1), 100).passes(99, || false));
    filters.forget(1);
    assert!(!filters.verdicts(&filter(1), 100).passes(1, || false));
    assert!(filters.verdicts(&filter(2), 100).passes(1, || true));
    for number in 3..50 {
        filters.verdicts(&filter(number), 100);
    }
    assert!(filters.verdicts(&filter(1), 100).passes(1, || true), "it was forgotten");
}
