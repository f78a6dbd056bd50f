//! Starts: the record is the truth, whatever the files hold.

use std::fs;
use std::path::Path;

use keepsake::documents::{DocumentFilter, DocumentIndex, Place};

use super::rig::{Engine, Rig, entry, generation, place, same};

fn home() -> Place {
    place("acme", 1)
}

/// A rig on disk with documents in the files and in memory, and the model beside it.
async fn filled() -> (Rig, Rig) {
    let rig = Rig::new(Engine::Disk).await;
    let model = Rig::new(Engine::Mem).await;
    for number in 1..=30u64 {
        let texts = [format!("cat number{number}"), format!("a dog of {}", number % 5)];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for rig in [&rig, &model] {
            rig.put(&home(), entry(&format!("d{number}"), number, 2), &texts).await;
            rig.set_vectors(&home(), number, 0, &[vec![1.0, number as f32]]).await;
        }
        if number % 12 == 0 {
            rig.tend().await;
        }
    }
    (rig, model)
}

#[track_caller]
fn check(one: &keepsake::documents::Candidates, other: &keepsake::documents::Candidates) {
    assert!(!one.lagging);
    same(one, other, "after the start");
}

async fn compare(rig: &Rig, model: &Rig) {
    let vector = Some([0.6, 0.8].as_slice());
    for text in ["cat number7", "dog", "number30 3"] {
        let filter = DocumentFilter::default();
        let one = rig.search(&home(), Some(text), vector, &filter, 100).await;
        let other = model.search(&home(), Some(text), vector, &filter, 100).await;
        check(&one, &other);
    }
}

#[tokio::test]
async fn what_was_not_written_when_the_process_ended_is_taken_from_the_record() {
    let (rig, model) = filled().await;
    assert!(rig.embedded.as_ref().unwrap().figures().waiting_chunks > 0);
    let rig = rig.start_again().await;
    compare(&rig, &model).await;
    let rig = rig.start_again().await;
    compare(&rig, &model).await;
}

#[tokio::test]
async fn before_it_was_compared_with_the_record_an_index_says_that_it_lags() {
    let (mut rig, model) = filled().await;
    rig.stop();
    rig.start();
    let filter = DocumentFilter::default();
    let found = rig.search(&home(), Some("cat"), None, &filter, 10).await;
    assert!(found.lagging && found.found.is_empty());
    // What comes meanwhile is found, and stays.
    for rig in [&rig, &model] {
        rig.put(&home(), entry("d1", 100, 1), &["cat number100"]).await;
    }
    assert_eq!(rig.words(&home(), "number100").await, ["d1/0"]);
    rig.index.reconcile().await.unwrap();
    compare(&rig, &model).await;
}

#[tokio::test]
async fn a_question_by_meaning_before_the_comparison_costs_no_vector_later() {
    let (mut rig, model) = filled().await;
    for (number, lost) in [(100, false), (101, true)] {
        rig.stop();
        if lost {
            fs::remove_dir_all(rig.folder.path()).unwrap();
        }
        rig.start();
        let (filter, vector) = (DocumentFilter::default(), [0.6, 0.8]);
        for rig in [&rig, &model] {
            rig.put(&home(), entry("early", number, 1), &["an early cat"]).await;
            rig.set_vectors(&home(), number, 0, &[vec![0.0, 1.0]]).await;
        }
        let found = rig.search(&home(), None, Some(&vector), &filter, 100).await;
        assert!(found.lagging && found.found.len() == 1);
        rig.index.reconcile().await.unwrap();
        compare(&rig, &model).await;
    }
}

#[tokio::test]
async fn a_record_that_changed_while_the_index_was_closed_is_followed() {
    let (mut rig, model) = filled().await;
    rig.tend().await;
    rig.stop();
    for both in [&rig, &model] {
        both.put(&home(), entry("d3", 103, 1), &["cat of the night"]).await;
        both.remove(&home(), 5).await;
        both.put(&home(), entry("new", 104, 2), &["cat and mouse", "dog"]).await;
        both.put(&place("rival", 2), entry("d1", 105, 1), &["cat"]).await;
    }
    rig.start();
    rig.index.reconcile().await.unwrap();
    compare(&rig, &model).await;
    assert_eq!(rig.words(&home(), "number5").await, [""; 0]);
    rig.index.compact().await.unwrap();
    compare(&rig, &model).await;
    assert!(!holds(rig.folder.path(), &generation(5).0[4..]));
}

#[tokio::test]
async fn a_folder_that_is_lost_damaged_or_of_another_version_is_made_anew() {
    let damage: [fn(&Path); 5] = [
        |folder| fs::remove_dir_all(folder.join("words")).unwrap(),
        |folder| fs::remove_file(folder.join("VERSION")).unwrap(),
        |folder| fs::write(folder.join("VERSION"), "keepsake documents 0").unwrap(),
        |folder| fs::write(folder.join("words/meta.json"), "{").unwrap(),
        |folder| {
            for file in fs::read_dir(folder.join("words")).unwrap() {
                let file = file.unwrap().path();
                if file.extension().is_some_and(|end| end == "fast") {
                    fs::remove_file(file).unwrap();
                }
            }
        },
    ];
    for damage in damage {
        let (mut rig, model) = filled().await;
        rig.tend().await;
        rig.stop();
        damage(rig.folder.path());
        let rig = rig.start_again().await;
        compare(&rig, &model).await;
    }
}

#[tokio::test]
async fn a_bit_that_flipped_in_any_file_gives_no_other_answer_and_keeps_no_start_up() {
    let (mut rig, model) = filled().await;
    rig.index.compact().await.unwrap();
    rig.stop();
    let words = rig.folder.path().join("words");
    let names: Vec<_> =
        fs::read_dir(&words).unwrap().map(|file| file.unwrap().file_name()).collect();
    let sound: Vec<_> = names.iter().map(|name| fs::read(words.join(name)).unwrap()).collect();
    assert!(names.len() >= 6, "{names:?}");
    for (name, bytes) in names.iter().zip(&sound) {
        for place in [0, bytes.len() / 3, bytes.len() / 2, bytes.len().saturating_sub(9)] {
            fs::remove_dir_all(&words).unwrap();
            fs::create_dir(&words).unwrap();
            for (name, bytes) in names.iter().zip(&sound) {
                fs::write(words.join(name), bytes).unwrap();
            }
            let mut flipped = bytes.clone();
            let Some(byte) = flipped.get_mut(place) else { continue };
            *byte ^= 1 << (place % 8);
            fs::write(words.join(name), flipped).unwrap();
            rig.start();
            rig.index.reconcile().await.unwrap();
            compare(&rig, &model).await;
            rig.stop();
        }
    }
}

#[tokio::test]
async fn files_of_somebody_else_are_kept() {
    let mut rig = Rig::new(Engine::Disk).await;
    rig.stop();
    let words = rig.folder.path().join("words");
    fs::remove_dir_all(&words).unwrap();
    fs::remove_file(rig.folder.path().join("VERSION")).unwrap();
    fs::create_dir(&words).unwrap();
    fs::write(words.join("letter.txt"), "mine").unwrap();
    let rig = rig.start_again().await;
    rig.put(&home(), entry("d1", 1, 1), &["a cat"]).await;
    assert_eq!(rig.words(&home(), "cat").await, ["d1/0"]);
    assert!(holds(rig.folder.path(), b"mine"));
}

#[tokio::test]
async fn after_compaction_no_file_holds_what_was_removed() {
    let (rig, _) = filled().await;
    let canary = 0x51_7ca1_1ab1_u64;
    let text = "zirconquokka cat";
    rig.put(&home(), entry("secret", canary, 1), &[text]).await;
    rig.tend().await;
    // The beginning is left out where the one before it has the same.
    let id = &generation(canary).0[4..];
    assert!(holds(rig.folder.path(), id), "the search finds what is there");
    assert!(!holds(rig.folder.path(), b"zirconquokka"), "no text is ever there");
    rig.remove(&home(), canary).await;
    rig.index.compact().await.unwrap();
    assert!(!holds(rig.folder.path(), id));
    let index: &dyn DocumentIndex = rig.index.as_ref();
    index.compact().await.unwrap();
    assert_eq!(rig.words(&home(), "zirconquokka").await, [""; 0]);
}

/// Whether a file below a folder holds these bytes.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => holds(&path, bytes),
            false => {
                let content = fs::read(&path).unwrap();
                content.windows(bytes.len()).any(|window| window == bytes)
            }
        }
    })
}
