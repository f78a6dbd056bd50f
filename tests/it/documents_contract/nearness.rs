//! Large collections by meaning: the nearest lists find what looking at everything finds.

use std::collections::{BTreeMap, BTreeSet};

use keepsake::documents::{DocumentFilter, Place};

use super::rig::{Engine, Rig, entry, name, place};

const DIMENSIONS: usize = 64;
const DOCUMENTS: u64 = 3_000;
const QUESTIONS: usize = 40;

fn home() -> Place {
    place("acme", 1)
}

/// Points around some middles, as texts on some subjects are.
fn point(chance: &mut fastrand::Rng, middles: &[Vec<f32>]) -> Vec<f32> {
    let middle = &middles[chance.usize(..middles.len())];
    // The sum of three is round enough.
    let mut noise = || (0..3).map(|_| chance.f32() - 0.5).sum::<f32>() * 0.5;
    middle.iter().map(|number| number + noise()).collect()
}

async fn filled(engine: Engine, documents: u64) -> (Rig, Vec<Vec<f32>>) {
    let rig = Rig::with(engine, 500).await;
    let mut chance = fastrand::Rng::with_seed(7);
    let middles: Vec<Vec<f32>> =
        (0..40).map(|_| (0..DIMENSIONS).map(|_| chance.f32() - 0.5).collect()).collect();
    for number in 1..=documents {
        let mut new = entry(&format!("d{number}"), number, 1);
        new.metadata = BTreeMap::from([
            ("half".to_owned(), (number % 2).to_string()),
            ("rare".to_owned(), (number % 30).to_string()),
        ]);
        rig.put(&home(), new, &["a cat"]).await;
        if number == documents / 4 {
            // Asked about from early on: what comes later goes to its list at once.
            rig.search(&home(), None, Some(&middles[0]), &DocumentFilter::default(), 10).await;
        }
        let vector = point(&mut chance, &middles);
        rig.set_vectors(&home(), number, 0, &[vector]).await;
    }
    (rig, middles)
}

async fn recall(rig: &Rig, model: &Rig, middles: &[Vec<f32>], filter: &DocumentFilter) -> f64 {
    let mut chance = fastrand::Rng::with_seed(9);
    let (mut found, mut wanted) = (0, 0);
    for _ in 0..QUESTIONS {
        let query = point(&mut chance, middles);
        let mut names = Vec::new();
        for rig in [rig, model] {
            let answer = rig.search(&home(), None, Some(&query), filter, 10).await;
            names.push(answer.found.iter().map(name).collect::<BTreeSet<_>>());
        }
        found += names[0].intersection(&names[1]).count();
        wanted += names[1].len();
    }
    found as f64 / wanted as f64
}

#[tokio::test]
async fn nearest_lists_find_what_a_look_at_everything_finds() {
    let (rig, middles) = filled(Engine::Ram, DOCUMENTS).await;
    let (model, _) = filled(Engine::Mem, DOCUMENTS).await;
    for number in (1..DOCUMENTS).step_by(7) {
        rig.remove(&home(), number).await;
        model.remove(&home(), number).await;
    }
    let label = |key: &str| DocumentFilter {
        any_of: vec![(key.to_owned(), vec!["1".to_owned()])],
        ..DocumentFilter::default()
    };
    for filter in [DocumentFilter::default(), label("half"), label("rare")] {
        let recall = recall(&rig, &model, &middles, &filter).await;
        assert!(recall >= 0.95, "{recall} {filter:?}");
    }
    // All that are there are still known, and no other.
    let all = DocumentFilter::default();
    let one = rig.search(&home(), Some("cat"), Some(&middles[0]), &all, 1).await;
    let other = model.search(&home(), Some("cat"), Some(&middles[0]), &all, 1).await;
    assert_eq!((one.chunks_embedded, one.digest), (other.chunks_embedded, other.digest));
}

#[tokio::test]
async fn a_new_vector_is_found_by_the_next_question_in_a_large_collection_too() {
    let (rig, middles) = filled(Engine::Ram, 1_200).await;
    let mut chance = fastrand::Rng::with_seed(11);
    for number in 5_000..5_050 {
        let vector = point(&mut chance, &middles);
        rig.put(&home(), entry(&format!("d{number}"), number, 1), &["a dog"]).await;
        rig.set_vectors(&home(), number, 0, std::slice::from_ref(&vector)).await;
        let found = rig.search(&home(), None, Some(&vector), &DocumentFilter::default(), 1).await;
        assert_eq!(found.found.iter().map(name).collect::<Vec<_>>(), [format!("d{number}/0")]);
        rig.remove(&home(), number).await;
        let found = rig.search(&home(), None, Some(&vector), &DocumentFilter::default(), 1).await;
        assert_ne!(found.found.iter().map(name).collect::<Vec<_>>(), [format!("d{number}/0")]);
    }
}
