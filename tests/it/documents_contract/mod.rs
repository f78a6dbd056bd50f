//! What every index of documents does: the model, the embedded one on disk and in memory, and the
//! one on a Qdrant server: of tests, and the real one that `KEEPSAKE_TEST_QDRANT_URL` names.

mod model;
mod nearness;
pub mod rig;
mod starts;

use std::collections::BTreeMap;

use keepsake::documents::{Candidates, DocumentFilter, Entry, Place};
use keepsake::types::{DocumentId, Timestamp};

use rig::{Engine, Rig, engines, entry, name, place};

fn home() -> Place {
    place("acme", 1)
}

#[tokio::test]
async fn what_is_put_is_found_by_the_next_question() {
    for engine in engines() {
        let rig = Rig::new(engine).await;
        rig.put(&home(), entry("rules", 1, 2), &["the cat sleeps", "dogs bark"]).await;
        assert_eq!(rig.words(&home(), "sleeping cats").await, ["rules/0"], "{engine:?}");
        rig.tend().await;
        assert_eq!(rig.words(&home(), "a barking dog").await, ["rules/1"], "{engine:?}");
    }
}

#[tokio::test]
async fn a_document_replaces_itself_at_once_in_memory_and_in_files() {
    for engine in engines() {
        let rig = Rig::new(engine).await;
        rig.put(&home(), entry("rules", 1, 1), &["the old cat"]).await;
        for (number, tended) in [(2, false), (3, true), (4, false)] {
            if tended {
                rig.tend().await;
            }
            let text = format!("the cat number{number}");
            rig.put(&home(), entry("rules", number, 1), &[&text]).await;
            let found = rig.search(&home(), Some("cat"), None, &all(), 10).await;
            let found: Vec<_> = found.found.iter().map(|found| found.generation).collect();
            assert_eq!(found, [rig::generation(number)], "{engine:?}");
            assert_eq!(rig.words(&home(), "old").await, [""; 0], "{engine:?}");
        }
    }
}

#[tokio::test]
async fn what_is_removed_is_not_found_whether_in_memory_or_in_files() {
    for engine in engines() {
        let rig = Rig::new(engine).await;
        rig.put(&home(), entry("one", 1, 1), &["a cat"]).await;
        rig.tend().await;
        rig.put(&home(), entry("two", 2, 1), &["a cat"]).await;
        rig.put(&home(), entry("three", 3, 1), &["a cat"]).await;
        rig.remove(&home(), 1).await;
        assert_eq!(rig.words(&home(), "cat").await, ["three/0", "two/0"], "{engine:?}");
        rig.remove(&home(), 2).await;
        rig.remove(&home(), 77).await;
        rig.tend().await;
        assert_eq!(rig.words(&home(), "cat").await, ["three/0"], "{engine:?}");
        rig.index.compact().await.unwrap();
        assert_eq!(rig.words(&home(), "cat").await, ["three/0"], "{engine:?}");
    }
}

#[tokio::test]
async fn a_collection_goes_with_all_its_documents_and_no_other_does() {
    for engine in engines() {
        let rig = Rig::new(engine).await;
        rig.put(&home(), entry("one", 1, 1), &["a cat"]).await;
        rig.put(&place("acme", 2), entry("one", 2, 1), &["a cat"]).await;
        rig.tend().await;
        rig.put(&home(), entry("two", 3, 1), &["a cat"]).await;
        rig.record.remove_collection(&home());
        rig.index.remove_collection(&home()).await.unwrap();
        assert_eq!(rig.words(&home(), "cat").await, [""; 0], "{engine:?}");
        rig.tend().await;
        assert_eq!(rig.words(&home(), "cat").await, [""; 0], "{engine:?}");
        assert_eq!(rig.words(&place("acme", 2), "cat").await, ["one/0"], "{engine:?}");
    }
}

#[tokio::test]
async fn another_tenant_and_another_collection_are_invisible() {
    for engine in engines() {
        let rig = Rig::new(engine).await;
        rig.put(&home(), entry("one", 1, 1), &["a cat"]).await;
        rig.set_vectors(&home(), 1, 0, &[vec![1.0, 0.0]]).await;
        let (text, vector) = (Some("cat"), Some([1.0, 0.0].as_slice()));
        // The same id of a collection, said by another tenant.
        for other in [place("rival", 1), place("acme", 9)] {
            let found = rig.search(&other, text, vector, &all(), 10).await;
            assert_eq!(found, Candidates::default(), "{engine:?}");
        }
    }
}

#[tokio::test]
async fn a_question_goes_over_several_collections_as_over_one() {
    for engine in engines() {
        let mut answers = Vec::new();
        for engine in [engine, engine.model()] {
            let rig = Rig::new(engine).await;
            rig.put(&home(), entry("one", 1, 1), &["a black cat"]).await;
            rig.tend().await;
            rig.put(&place("acme", 2), entry("two", 2, 2), &["a cat", "a white horse"]).await;
            let tenant = home().tenant;
            let collections = [home().collection, place("acme", 2).collection];
            let question = keepsake::documents::Question {
                tenant: &tenant,
                collections: &collections,
                words: Some("black or white cat"),
                language: "en",
                vector: None,
                filter: &all(),
                most: 10,
            };
            answers.push(rig.index.search(&question).await.unwrap());
        }
        assert_eq!(answers[0].found.len(), 3);
        rig::same(&answers[0], &answers[1], &format!("{engine:?}"));
    }
}

#[tokio::test]
async fn vectors_count_from_when_they_are_set_and_only_for_what_is_there() {
    for engine in engines() {
        let rig = Rig::new(engine).await;
        let near = [1.0f32, 0.0];
        let by_vector = async |rig: &Rig| {
            let found = rig.search(&home(), None, Some(&near), &all(), 10).await;
            let names: Vec<_> = found.found.iter().map(name).collect();
            (names, found.chunks_embedded)
        };
        assert_eq!(by_vector(&rig).await, (vec![], 0), "{engine:?}");
        // Nothing is there that could have them.
        let early = keepsake::retrieve::TurnVectors::quantise(&[vec![1.0, 0.0]]);
        rig.index.set_vectors(&home(), rig::generation(1), 0, &early).await.unwrap();
        rig.put(&home(), entry("one", 1, 2), &["a cat", "a dog"]).await;
        assert_eq!(by_vector(&rig).await, (vec![], 0), "{engine:?}");
        rig.set_vectors(&home(), 1, 1, &[vec![0.6, 0.8]]).await;
        assert_eq!(by_vector(&rig).await, (vec!["one/1".to_owned()], 1), "{engine:?}");
        rig.tend().await;
        // The last chunk again and one that is none.
        rig.set_vectors(&home(), 1, 1, &[vec![1.0, 0.0], vec![1.0, 0.0]]).await;
        let found = rig.search(&home(), Some("dog"), Some(&near), &all(), 10).await;
        assert_eq!(found.found.len(), 1, "{engine:?}");
        assert!(found.found[0].vector.unwrap() > 0.999, "{engine:?}");
        rig.put(&home(), entry("one", 2, 2), &["a cat", "a dog"]).await;
        rig.index.set_vectors(&home(), rig::generation(1), 0, &early).await.unwrap();
        assert_eq!(by_vector(&rig).await, (vec![], 0), "{engine:?}");
    }
}

#[tokio::test]
async fn each_list_gives_what_the_other_knows_of_its_chunks() {
    for engine in engines() {
        let rig = Rig::new(engine).await;
        rig.put(&home(), entry("one", 1, 3), &["a cat", "a dog", "cats and cats"]).await;
        rig.set_vectors(&home(), 1, 0, &[vec![1.0, 0.0], vec![0.9, 0.1]]).await;
        for tended in [false, true] {
            if tended {
                rig.tend().await;
            }
            let vector = Some([1.0, 0.0].as_slice());
            let found = rig.search(&home(), Some("cat"), vector, &all(), 2).await.found;
            let known = |at: usize| (found[at].words.unwrap() > 0.0, found[at].vector.is_some());
            assert_eq!(found.len(), 3, "{engine:?}");
            assert_eq!(known(0), (true, true), "{engine:?}");
            assert_eq!((found[1].words, found[1].vector.is_some()), (Some(0.0), true));
            assert_eq!(known(2), (true, false), "{engine:?}");
        }
    }
}

#[tokio::test]
async fn filters_mean_in_every_engine_what_they_say() {
    let entries: Vec<_> = (1..=9u64)
        .map(|number| {
            let mut entry = entry(&format!("d{number}"), number, 1);
            entry.metadata = BTreeMap::from([
                ("kind".to_owned(), ["faq", "law", "note"][number as usize % 3].to_owned()),
                ("year".to_owned(), format!("{}", 2_015 + number)),
            ]);
            entry
        })
        .collect();
    let labels = |key: &str, values: &[&str]| {
        (key.to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
    };
    let year = |from, to| ("year".to_owned(), from, to);
    let filters = [
        DocumentFilter { any_of: vec![labels("kind", &["faq", "law"])], ..all() },
        DocumentFilter { any_of: vec![labels("none", &["faq"])], ..all() },
        DocumentFilter { ranges: vec![year(Some(2_018.0), Some(2_020.0))], ..all() },
        DocumentFilter { ranges: vec![year(None, Some(2_017.5))], ..all() },
        DocumentFilter { ranges: vec![("kind".to_owned(), None, None)], ..all() },
        DocumentFilter { created_after: Some(Timestamp(3_000)), ..all() },
        DocumentFilter { created_before: Some(Timestamp(3_000)), ..all() },
        DocumentFilter { documents: vec![DocumentId::parse("d4").unwrap()], ..all() },
        DocumentFilter {
            any_of: vec![labels("kind", &["note"])],
            ranges: vec![year(Some(2_018.0), None)],
            ..all()
        },
    ];
    for engine in engines() {
        let rig = Rig::new(engine).await;
        for (at, entry) in entries.iter().enumerate() {
            rig.put(&home(), entry.clone(), &["a cat"]).await;
            let vector = vec![1.0, at as f32 / 10.0];
            rig.set_vectors(&home(), at as u64 + 1, 0, &[vector]).await;
            if at == 4 {
                rig.tend().await;
            }
        }
        check_filters(&rig, &entries, &filters).await;
        // Other labels of the same content, and another document in the place of one: what was
        // found of them before must not be believed.
        let mut entries = entries.clone();
        for entry in &mut entries[2..5] {
            entry.metadata.insert("kind".to_owned(), "note".to_owned());
            entry.metadata.insert("year".to_owned(), "2019".to_owned());
            rig.put(&home(), entry.clone(), &["a cat"]).await;
        }
        rig.remove(&home(), 7).await;
        entries.remove(6);
        for number in 10..=12 {
            let mut new = entry(&format!("e{number}"), number, 1);
            new.metadata = BTreeMap::from([("kind".to_owned(), "law".to_owned())]);
            rig.put(&home(), new.clone(), &["a cat"]).await;
            rig.set_vectors(&home(), number, 0, &[vec![1.0, 2.0]]).await;
            entries.push(new);
        }
        check_filters(&rig, &entries, &filters).await;
    }
}

/// Each filter finds the documents that pass it, by words and by meaning.
async fn check_filters(rig: &Rig, entries: &[Entry], filters: &[DocumentFilter]) {
    for filter in filters {
        let passing = entries.iter().filter(|entry| filter.passes(entry));
        let wanted: Vec<_> = passing.map(|entry| format!("{}/0", entry.document)).collect();
        for (words, vector) in [(Some("cat"), None), (None, Some([1.0, 0.0].as_slice()))] {
            let found = rig.search(&home(), words, vector, filter, 100).await;
            let found: Vec<_> = found.found.iter().map(name).collect();
            assert_eq!(found, wanted, "{filter:?}");
        }
    }
}

#[tokio::test]
async fn no_score_depends_on_another_tenant_or_on_what_is_gone() {
    for engine in engines() {
        let rig = Rig::new(engine).await;
        for number in 1..=20 {
            let text = format!("a cat and word{number} and word{}", number % 4);
            rig.put(&home(), entry(&format!("d{number}"), number, 1), &[&text]).await;
        }
        rig.tend().await;
        let before = rig.search(&home(), Some("cat word1 word3"), None, &all(), 100).await;
        let many = match engine {
            Engine::Disk => 10_000,
            Engine::RealQdrant => 2_000,
            _ => 500,
        };
        // A server may sum in another order: up to the last bits of scores.
        let unmoved = |now: &Candidates, when: &str| match engine.is_qdrant() {
            true => rig::same(&before, now, when),
            false => assert_eq!(before, *now, "{when}"),
        };
        for number in 1_000..1_000 + many {
            let text = "cat word1 word1 and a much longer text than those of the others";
            let id = format!("d{number}");
            rig.put(&place("rival", 2), entry(&id, number, 1), &[text]).await;
        }
        rig.tend().await;
        let beside = rig.search(&home(), Some("cat word1 word3"), None, &all(), 100).await;
        unmoved(&beside, &format!("{engine:?}"));
        // Of my own documents those count that are there, in each state of the files.
        for number in 100..140 {
            rig.put(&home(), entry(&format!("x{number}"), number, 1), &["cat word1 cat"]).await;
        }
        rig.tend().await;
        for number in 100..140 {
            rig.remove(&home(), number).await;
        }
        for step in 0..3 {
            let after = rig.search(&home(), Some("cat word1 word3"), None, &all(), 100).await;
            unmoved(&after, &format!("{engine:?} step {step}"));
            match step {
                0 => rig.tend().await,
                _ => rig.index.compact().await.unwrap(),
            }
        }
    }
}

fn all() -> DocumentFilter {
    DocumentFilter::default()
}
