//! Random calls to an engine and to the model beside it: both must say the same.

use std::collections::BTreeMap;

use keepsake::documents::{Candidate, Candidates, DocumentFilter, Place};
use keepsake::types::Timestamp;

use super::rig::{Engine, Rig, entry, generation, place, same};

const WORDS: usize = 60;
const DIMENSIONS: usize = 16;

/// The random life of two tenants with two collections each.
struct Life {
    chance: fastrand::Rng,
    next: u64,
    /// Which contents are there.
    there: BTreeMap<(Place, String), (u64, usize)>,
}

impl Life {
    fn place(&mut self) -> Place {
        let tenant = if self.chance.bool() { "acme" } else { "rival" };
        // No two tenants have a collection of one incarnation.
        let first = if tenant == "acme" { 1 } else { 3 };
        place(tenant, first + self.chance.u8(..2))
    }

    fn text(&mut self, words_max: usize) -> String {
        let words = self.chance.usize(1..=words_max);
        let word = |chance: &mut fastrand::Rng| {
            // Few words are frequent, many are rare.
            let rank = (chance.f64() * chance.f64() * WORDS as f64) as usize;
            format!("w{rank}ord")
        };
        (0..words).map(|_| word(&mut self.chance)).collect::<Vec<_>>().join(" ")
    }

    fn vector(&mut self) -> Vec<f32> {
        (0..DIMENSIONS).map(|_| self.chance.f32() - 0.5).collect()
    }

    fn filter(&mut self) -> DocumentFilter {
        let mut filter = DocumentFilter::default();
        match self.chance.u8(..5) {
            0 => filter.any_of = vec![("kind".to_owned(), vec!["k1".to_owned()])],
            1 => filter.created_after = Some(Timestamp(1_000 * self.next as i64 / 2)),
            2 => filter.ranges = vec![("n".to_owned(), Some(3.0), Some(7.0))],
            _ => {}
        }
        filter
    }

    /// One call to both.
    async fn step(&mut self, engine: &Rig, model: &Rig) {
        let place = self.place();
        match self.chance.u8(..20) {
            0..8 => {
                let document = format!("d{}", self.chance.u8(..12));
                let texts: Vec<String> =
                    (0..self.chance.usize(1..4)).map(|_| self.text(40)).collect();
                self.next += 1;
                let mut new = entry(&document, self.next, texts.len());
                new.metadata.insert("kind".to_owned(), format!("k{}", self.chance.u8(..3)));
                new.metadata.insert("n".to_owned(), self.chance.u8(..10).to_string());
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                for rig in [engine, model] {
                    rig.put(&place, new.clone(), &texts).await;
                }
                self.there.insert((place, document), (self.next, texts.len()));
            }
            8..13 => {
                let Some((place, number, chunks)) = self.any() else { return };
                let first = self.chance.usize(..chunks);
                let vectors: Vec<Vec<f32>> = (first..chunks).map(|_| self.vector()).collect();
                for rig in [engine, model] {
                    rig.set_vectors(&place, number, first as u32, &vectors).await;
                }
            }
            13..16 => {
                let Some((place, number, _)) = self.any() else { return };
                self.there.retain(|_, (known, _)| *known != number);
                for rig in [engine, model] {
                    rig.remove(&place, number).await;
                }
            }
            16 if self.chance.u8(..6) == 0 => {
                self.there.retain(|(known, _), _| *known != place);
                for rig in [engine, model] {
                    rig.record.remove_collection(&place);
                    rig.index.remove_collection(&place).await.unwrap();
                }
            }
            17 if self.chance.u8(..4) == 0 => engine.index.compact().await.unwrap(),
            18 if self.chance.u8(..4) == 0 => engine.index.reconcile().await.unwrap(),
            _ => engine.tend().await,
        }
    }

    fn any(&mut self) -> Option<(Place, u64, usize)> {
        let at = self.chance.usize(..self.there.len().max(1));
        let ((place, _), (number, chunks)) = self.there.iter().nth(at)?;
        Some((place.clone(), *number, *chunks))
    }

    /// One question to both.
    async fn compare(&mut self, engine: &Rig, model: &Rig, when: &str) {
        let place = self.place();
        let text = self.text(8);
        let vector = self.vector();
        let filter = self.filter();
        let (words, vector) = match self.chance.u8(..3) {
            0 => (Some(text.as_str()), None),
            1 => (None, Some(vector.as_slice())),
            _ => (Some(text.as_str()), Some(vector.as_slice())),
        };
        let one = engine.search(&place, words, vector, &filter, 1_000).await;
        let other = model.search(&place, words, vector, &filter, 1_000).await;
        same(&one, &other, when);
        // With fewer places the best are the same, whatever the order of their sums.
        let few = engine.search(&place, words, vector, &filter, 5).await;
        let top = model.search(&place, words, vector, &filter, 5).await;
        if !engine.engine.is_qdrant() {
            return same(&few, &top, when);
        }
        // Which of equal ones it gives is the server's choice, so their scores are compared.
        if words.is_none() || vector.is_none() {
            assert_eq!(few.found.len(), top.found.len(), "{when}");
            for (one, other) in scores(&few).into_iter().zip(scores(&top)) {
                assert!((one - other).abs() <= 1e-4 * one.abs().max(1e-2), "{when}");
            }
        }
    }
}

/// The scores of an answer by one signal, the best first.
fn scores(answer: &Candidates) -> Vec<f32> {
    let score = |found: &Candidate| found.words.or(found.vector);
    let mut scores: Vec<f32> = answer.found.iter().filter_map(score).collect();
    scores.sort_by(|one, other| other.total_cmp(one));
    scores
}

async fn check(engine: Engine, seed: u64, steps: usize) {
    let rig = Rig::sized(engine, DIMENSIONS).await;
    let model = Rig::new(engine.model()).await;
    let chance = fastrand::Rng::with_seed(seed);
    let mut life = Life { chance, next: 0, there: BTreeMap::new() };
    for step in 0..steps {
        life.step(&rig, &model).await;
        let when = format!("{engine:?}, seed {seed}, step {step}");
        life.compare(&rig, &model, &when).await;
    }
    let rig = rig.start_again().await;
    for question in 0..20 {
        let when = format!("{engine:?}, seed {seed}, started again, question {question}");
        life.compare(&rig, &model, &when).await;
    }
    assert!(life.there.len() > 3, "{:?}", generation(life.next));
}

#[tokio::test]
async fn with_files_in_memory_every_answer_is_the_models() {
    for seed in 0..20 {
        check(Engine::Ram, seed, 150).await;
    }
}

#[tokio::test]
async fn on_a_server_every_answer_is_the_models() {
    for seed in 200..204 {
        check(Engine::Qdrant, seed, 100).await;
    }
    if crate::qdrant::real_qdrant().is_some() {
        for seed in 300..303 {
            check(Engine::RealQdrant, seed, 120).await;
        }
    }
}

#[tokio::test]
async fn with_files_on_disk_every_answer_is_the_models() {
    for seed in 100..104 {
        check(Engine::Disk, seed, 120).await;
    }
}
