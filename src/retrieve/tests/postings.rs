use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::retrieve::postings::Postings;

proptest! {
    #[test]
    fn every_posting_comes_back_latest_first(terms in prop::collection::vec(0u64..7, 0..3000)) {
        let (mut postings, mut all) = (Postings::default(), BTreeMap::<u64, Vec<_>>::new());
        for (passage, term) in (0u32..).zip(terms) {
            // The lower a term's number, the rarer it is.
            let hash = term * term % 7;
            postings.add(hash, passage, 1 + (passage % 5) as u16);
            all.entry(hash).or_default().insert(0, (passage as usize, 1 + (passage % 5) as u16));
        }
        for hash in 0..8 {
            let mut found = Vec::new();
            postings.each(hash, |passage, count| found.push((passage, count)));
            prop_assert_eq!(found, all.remove(&hash).unwrap_or_default());
        }
    }
}

#[test]
fn a_long_list_is_read_over_all_its_blocks() {
    let mut postings = Postings::default();
    for passage in 0..100_000 {
        postings.add(1, passage, 1);
    }
    let mut found = Vec::new();
    postings.each(1, |passage, _| found.push(passage));
    assert!(found.into_iter().eq((0..100_000).rev()));
    assert!(postings.bytes() < 1_700_000, "{}", postings.bytes());
}
