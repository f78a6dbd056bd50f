//! What every embedder holds to, and what only the built-in one can be asked.

use std::sync::Arc;

use keepsake::embed::builtin::MiniLm;
use keepsake::embed::{EmbedError, Embedder, Hashed, Kept, Scripted, Urgency};

async fn one(embedder: &dyn Embedder, text: &str) -> Vec<f32> {
    let vectors = embedder.embed(Urgency::Query, vec![text.to_owned()]).await.unwrap();
    assert_eq!(vectors.len(), 1);
    vectors.into_iter().next().unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Texts of every kind: empty, long, odd, many languages.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " \t\r\n",
        "a",
        "The cat sits outside.",
        "naïve café — déjà vu",
        "東京は日本の首都です",
        "مرحبا بالعالم",
        "👩‍👩‍👧 🇩🇪",
        "\u{0}\u{1}\u{7f}\u{200b}\u{feff}",
        "e\u{301}\u{327}\u{323}",
        "[CLS] [SEP] [PAD]",
        "\u{10ffff}\u{e000}",
        "fn main() { println!(\"{}\", 1 << 20); }",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("long ".repeat(200_000));
    texts.push("x".repeat(1 << 20));
    texts
}

/// The contract.
pub async fn check(embedder: Arc<dyn Embedder>) {
    let key = embedder.key().to_owned();
    assert!(key.is_ascii() && (1..=64).contains(&key.len()), "{key}");
    let texts = texts();
    let first = embedder.embed(Urgency::Background, texts.clone()).await.unwrap();
    assert_eq!(first.len(), texts.len());
    for (text, vector) in texts.iter().zip(&first) {
        let name: String = text.chars().take(20).collect();
        assert_eq!(vector.len(), embedder.dimensions(), "{name:?}");
        assert!(vector.iter().all(|x| x.is_finite()), "{name:?}");
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-5, "{name:?}");
    }
    assert_eq!(first[0], first[1], "white space is as nothing");
    assert!(embedder.embed(Urgency::Query, Vec::new()).await.unwrap().is_empty());
    // In another order, one by one, as questions, and by many callers at once: the same bytes.
    let mut turned = texts.clone();
    turned.reverse();
    let mut again = embedder.embed(Urgency::Query, turned).await.unwrap();
    again.reverse();
    assert!(again == first);
    let calls = (0..24).map(|n| {
        let (embedder, text) = (embedder.clone(), texts[n % texts.len()].clone());
        let urgency = if n % 2 == 0 { Urgency::Query } else { Urgency::Background };
        tokio::spawn(async move { embedder.embed(urgency, vec![text]).await })
    });
    for (n, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        assert!(call.await.unwrap().unwrap()[0] == first[n % texts.len()], "{n}");
    }
    // A caller that goes away harms nobody.
    let dropped = embedder.embed(Urgency::Background, texts.clone());
    drop(dropped);
    let polled = tokio::time::timeout(
        std::time::Duration::from_millis(1),
        embedder.embed(Urgency::Background, texts.clone()),
    );
    let _ = polled.await;
    assert!(one(embedder.as_ref(), &texts[3]).await == first[3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedder_of_words_keeps_the_contract() {
    check(Arc::new(Hashed::new())).await;
    check(Arc::new(Hashed::long())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scripted_embedder_keeps_the_contract() {
    check(Scripted::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_embedder_keeps_the_contract() {
    check(Arc::new(MiniLm::start(2).unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_vectors_keep_the_contract_and_need_no_model_the_second_time() {
    let folder = tempfile::tempdir().unwrap();
    check(Arc::new(Kept::open(Hashed::new(), folder.path()).unwrap())).await;
    let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let size = std::fs::metadata(&file).unwrap().len();
    // A record that was cut off is dropped, and the others are there.
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 5);
    std::fs::write(&file, bytes).unwrap();
    check(Arc::new(Kept::open(Hashed::new(), folder.path()).unwrap())).await;
    assert_eq!(std::fs::metadata(&file).unwrap().len(), size);
}

#[tokio::test]
async fn a_scripted_embedder_does_as_it_is_told() {
    let scripted = Scripted::new();
    scripted.fail_on("bad");
    let embed = |text: &str| scripted.embed(Urgency::Background, vec![text.to_owned()]);
    assert!(matches!(embed("a bad text").await, Err(EmbedError::Failed { .. })));
    assert!(embed("a good text").await.is_ok());
    assert_eq!(scripted.texts(), ["a good text"]);
}

#[tokio::test]
async fn the_built_in_model_is_the_one_of_its_card() {
    let embedder = MiniLm::start(1).unwrap();
    // The similarities that the published model gives, to the third digit for int8 weights.
    let pairs = [
        ("That is a happy person", "That is a happy dog", 0.6946),
        ("That is a happy person", "That is a very happy person", 0.9429),
        ("That is a happy person", "Today is a sunny day", 0.2569),
    ];
    for (a, b, expected) in pairs {
        let found = cosine(&one(&embedder, a).await, &one(&embedder, b).await);
        assert!((found - expected).abs() < 0.005, "{a} / {b}: {found}, not {expected}");
    }
    assert!(embedder.covers("en") && !embedder.covers("de"));
}

#[tokio::test]
async fn the_key_names_the_bytes_of_the_model() {
    let embedder = MiniLm::start(1).unwrap();
    assert_eq!(embedder.key(), "minilm-l6-v2-256-c2ae987f23216d0b");
}

#[tokio::test]
async fn too_many_texts_at_once_are_refused_and_nothing_is_lost() {
    let embedder = Arc::new(MiniLm::start(1).unwrap());
    let calls: Vec<_> = (0..200)
        .map(|n| {
            let embedder = embedder.clone();
            let text = format!("question number {n}, {}", "and so on ".repeat(60));
            tokio::spawn(async move { embedder.embed(Urgency::Query, vec![text]).await })
        })
        .collect();
    let mut busy = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(vectors) => assert_eq!(vectors.len(), 1),
            Err(EmbedError::Busy) => busy += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!((1..200).contains(&busy), "{busy} of 200 were refused");
}
