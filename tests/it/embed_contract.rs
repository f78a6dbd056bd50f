//! What every embedder holds to, and what only those that are built in can be asked. The others of
//! the contract: `fastembed.rs`, `embed_http`.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use keepsake::embed::builtin::{MiniLm, TOKENS_MAX};
use keepsake::embed::table::StaticTable;
use keepsake::embed::{EmbedError, Embedder, Hashed, Kept, Scripted, Urgency};

/// An embedder whose questions have other vectors than the same texts as what is searched.
#[derive(Default)]
pub struct Apart {
    /// What it embedded, and as what.
    pub texts: Mutex<Vec<(Urgency, String)>>,
}

#[async_trait]
impl Embedder for Apart {
    fn key(&self) -> &str {
        "apart-words-64"
    }

    fn dimensions(&self) -> usize {
        Hashed::new().dimensions()
    }

    fn covers(&self, _: &str) -> bool {
        true
    }

    fn tells_questions_apart(&self) -> bool {
        true
    }

    async fn embed(
        &self,
        urgency: Urgency,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.texts.lock().unwrap().extend(texts.iter().map(|text| (urgency, text.clone())));
        let said = |text: String| match urgency {
            Urgency::Query if !text.trim().is_empty() => format!("query: {text}"),
            _ => text,
        };
        Hashed::new().embed(urgency, texts.into_iter().map(said).collect()).await
    }
}

pub async fn one(embedder: &dyn Embedder, text: &str) -> Vec<f32> {
    let vectors = embedder.embed(Urgency::Query, vec![text.to_owned()]).await.unwrap();
    assert_eq!(vectors.len(), 1);
    vectors.into_iter().next().unwrap()
}

pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
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

/// How near two vectors of one text must be.
#[derive(Debug, Clone, Copy)]
pub enum Sameness {
    /// The same bytes.
    Exact,
    /// But for rounding: what a text goes through the model with changes the order of sums.
    #[cfg_attr(not(feature = "fastembed"), expect(dead_code, reason = "no other model batches"))]
    Near,
}

impl Sameness {
    fn of(self, a: &[f32], b: &[f32]) -> bool {
        match self {
            Self::Exact => a == b,
            Self::Near => a.len() == b.len() && cosine(a, b) > 1.0 - 1e-5,
        }
    }
}

/// The contract, to the byte.
pub async fn check(embedder: Arc<dyn Embedder>) {
    check_as(embedder, Sameness::Exact).await;
}

/// The contract.
pub async fn check_as(embedder: Arc<dyn Embedder>, sameness: Sameness) {
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
    assert!(sameness.of(&first[0], &first[1]), "white space is as nothing");
    assert!(embedder.embed(Urgency::Query, Vec::new()).await.unwrap().is_empty());
    // Questions have the same vectors, unless it tells them apart.
    let asked = match embedder.tells_questions_apart() {
        true => embedder.embed(Urgency::Query, texts.clone()).await.unwrap(),
        false => first.clone(),
    };
    // In another order, one by one, as questions, and by many callers at once: the same vectors.
    let mut turned = texts.clone();
    turned.reverse();
    let mut again = embedder.embed(Urgency::Query, turned).await.unwrap();
    again.reverse();
    for (at, (again, asked)) in again.iter().zip(&asked).enumerate() {
        assert!(sameness.of(again, asked), "{at}: {}", cosine(again, asked));
    }
    let calls = (0..24).map(|n| {
        let (embedder, text) = (embedder.clone(), texts[n % texts.len()].clone());
        let urgency = if n % 2 == 0 { Urgency::Query } else { Urgency::Background };
        tokio::spawn(async move { embedder.embed(urgency, vec![text]).await })
    });
    for (n, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        let made = &call.await.unwrap().unwrap()[0];
        let known = if n % 2 == 0 { &asked } else { &first };
        assert!(sameness.of(made, &known[n % texts.len()]), "{n}");
    }
    // A caller that goes away harms nobody.
    let dropped = embedder.embed(Urgency::Background, texts.clone());
    drop(dropped);
    let polled = tokio::time::timeout(
        std::time::Duration::from_millis(1),
        embedder.embed(Urgency::Background, texts.clone()),
    );
    let _ = polled.await;
    assert!(sameness.of(&one(embedder.as_ref(), &texts[3]).await, &asked[3]));
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
async fn the_static_embedder_keeps_the_contract() {
    check(Arc::new(StaticTable::start(2).unwrap())).await;
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
    // The similarities that the published model gives, as far as products of bytes tell them.
    let pairs = [
        ("That is a happy person", "That is a happy dog", 0.6946),
        ("That is a happy person", "That is a very happy person", 0.9429),
        ("That is a happy person", "Today is a sunny day", 0.2569),
    ];
    for (a, b, expected) in pairs {
        let found = cosine(&one(&embedder, a).await, &one(&embedder, b).await);
        assert!((found - expected).abs() < 0.03, "{a} / {b}: {found}, not {expected}");
    }
    assert!(embedder.covers("en") && !embedder.covers("de"));
    // And the vectors of a reference in f64, of texts that are not cut.
    for golden in golden().iter().filter(|golden| golden.tokens <= TOKENS_MAX) {
        let found = cosine(&one(&embedder, &golden.text).await, &golden.vector);
        assert!(found > 0.975, "{}: {found}", golden.text);
    }
}

/// A text with its vector, as the model gives it that is computed with f64 throughout.
#[derive(serde::Deserialize)]
pub struct Golden {
    pub text: String,
    pub tokens: usize,
    pub vector: Vec<f32>,
}

/// Texts with the vectors of all-MiniLM-L6-v2.
pub fn golden() -> Vec<Golden> {
    let lines = include_str!("../models/minilm.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn questions_that_are_told_apart_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Kept::open(Apart::default(), folder.path()).unwrap();
    check(Arc::new(open())).await;
    let kept = open();
    let texts = || vec!["the key is under the pot".to_owned()];
    let asked = kept.embed(Urgency::Query, texts()).await.unwrap();
    let searched = kept.embed(Urgency::Background, texts()).await.unwrap();
    assert!(cosine(&asked[0], &searched[0]) < 0.99);
    for (urgency, kept) in [(Urgency::Query, asked), (Urgency::Background, searched)] {
        assert_eq!(Apart::default().embed(urgency, texts()).await.unwrap(), kept);
    }
}

#[tokio::test]
async fn the_key_names_the_bytes_of_the_model() {
    let embedder = MiniLm::start(1).unwrap();
    assert_eq!(embedder.key(), "minilm-l6-v2-256-56f8d9728767f6a8");
    let embedder = StaticTable::start(1).unwrap();
    assert_eq!(embedder.key(), "static-minilm-512-ddfdee0a043dcba9");
}

#[tokio::test]
async fn the_static_embedder_knows_what_words_mean() {
    let embedder = StaticTable::start(1).unwrap();
    let near = async |a: &str, b: &str| cosine(&one(&embedder, a).await, &one(&embedder, b).await);
    let question = "Which pets does Ann have?";
    let (dog, train) = ("I bought food for my dog.", "The train leaves at seven.");
    assert!(near(question, dog).await > near(question, train).await + 0.1);
    // Words that are everywhere say little.
    assert!(near("the dog and the cat", "dog cat").await > 0.9);
    // What says nothing is like no other, and like itself.
    for nothing in ["", "\u{1f44d}"] {
        assert!(near(nothing, dog).await.abs() < 1e-6, "{nothing:?}");
    }
    assert!(embedder.covers("en") && !embedder.covers("de"));
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
