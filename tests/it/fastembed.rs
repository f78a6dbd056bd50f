//! Models from outside, run by ONNX Runtime. `models/onnx/check` gets a runtime and a real model
//! and runs these; without them most are passed over, and say so.
//!
//! KEEPSAKE_TEST_ONNXRUNTIME: the library. KEEPSAKE_TEST_FASTEMBED_MODEL: the folder that
//! `models/onnx/make.py` makes.

#![cfg(feature = "fastembed")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Instant;

use keepsake::embed::builtin::MiniLm;
use keepsake::embed::fastembed::{FastEmbed, FastEmbedOptions, FastEmbedPooling};
use keepsake::embed::{EmbedError, Embedder, Urgency};
use keepsake::onnx::Place;
use keepsake::rerank::fastembed::{FastRerank, FastRerankOptions};
use keepsake::rerank::{RerankError, Reranker};

use crate::embed_contract::{Sameness, check_as, cosine, golden, one};
use crate::rerank_contract;

const LIBRARY: &str = "KEEPSAKE_TEST_ONNXRUNTIME";
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny");
const TINY_RERANKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-reranker");

/// A path that a variable names; where it is not set, that is said aloud.
fn told(variable: &str) -> Option<PathBuf> {
    static SAID: Once = Once::new();
    let path = std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    if path.is_none() {
        SAID.call_once(|| {
            // Past what the harness captures.
            let said = format!(
                "\nNO MODEL WAS RUN BY ONNX RUNTIME: {variable} is not set (models/onnx/check)\n"
            );
            std::io::stderr().write_all(said.as_bytes()).unwrap();
        });
    }
    path
}

/// A model of a folder, with a library. Nothing is fetched.
fn options(model: &Path, library: PathBuf) -> FastEmbedOptions {
    let place = Place { library: Some(library), offline: true, ..Place::new(PathBuf::new()) };
    FastEmbedOptions::new(&model.display().to_string(), place)
}

/// The tiny model, where there is a runtime.
fn tiny() -> Option<FastEmbedOptions> {
    Some(options(Path::new(TINY), told(LIBRARY)?))
}

/// The real model, where there is one.
fn real() -> Option<FastEmbedOptions> {
    let library = told(LIBRARY)?;
    Some(options(&told("KEEPSAKE_TEST_FASTEMBED_MODEL")?, library))
}

#[track_caller]
fn refused(options: &FastEmbedOptions) -> String {
    match FastEmbed::start(options) {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_model_gives_the_vectors_of_the_reference() {
    let Some(options) = real() else { return };
    let began = Instant::now();
    let embedder = FastEmbed::start(&FastEmbedOptions { threads: 2, ..options }).unwrap();
    println!("{} loaded in {:?}", embedder.key(), began.elapsed());
    let golden = golden();
    let texts: Vec<String> = golden.iter().map(|golden| golden.text.clone()).collect();
    let mut worst = [1.0f32; 2];
    for (worst, urgency) in worst.iter_mut().zip([Urgency::Query, Urgency::Background]) {
        let vectors = embedder.embed(urgency, texts.clone()).await.unwrap();
        for (golden, vector) in golden.iter().zip(&vectors) {
            let found = cosine(&golden.vector, vector);
            assert!(found >= 0.999, "{urgency:?}, {} tokens: {found}", golden.tokens);
            *worst = worst.min(found);
        }
    }
    println!("cosine to the reference, the worst of {}: {worst:?}", golden.len());
    assert!(golden.iter().any(|golden| golden.tokens == 512), "none is cut at the model's limit");
    assert!(golden.iter().any(|golden| golden.tokens > 128), "none passes the tokenizer's limit");
    // The model that is built in is the same one, with products of bytes.
    let builtin = MiniLm::start(1).unwrap();
    for text in &texts[..3] {
        let found = cosine(&one(&embedder, text).await, &one(&builtin, text).await);
        assert!(found > 0.975, "{text}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_model_keeps_the_contract() {
    let Some(options) = real() else { return };
    check_as(Arc::new(FastEmbed::start(&options).unwrap()), Sameness::Near).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tiny_model_keeps_the_contract() {
    let Some(options) = tiny() else { return };
    let embedder = FastEmbed::start(&options).unwrap();
    assert_eq!(embedder.dimensions(), 8);
    check_as(Arc::new(embedder), Sameness::Near).await;
}

#[tokio::test]
async fn a_number_that_is_none_is_refused_and_harms_no_other_text() {
    let Some(options) = tiny() else { return };
    let embedder = FastEmbed::start(&options).unwrap();
    for urgency in [Urgency::Query, Urgency::Background] {
        let texts = ["a key", "a strange key"].map(str::to_owned).to_vec();
        let made = embedder.embed(urgency, texts).await;
        assert!(matches!(made, Err(EmbedError::Failed { .. })), "{made:?}");
        let strange = embedder.embed(urgency, vec!["strange".to_owned()]);
        let key = embedder.embed(urgency, vec!["a key".to_owned()]);
        let (strange, key) = tokio::join!(strange, key);
        assert!(strange.is_err() && key.is_ok());
    }
}

#[tokio::test]
async fn texts_count_up_to_the_limit_of_the_model_and_not_up_to_that_of_the_tokenizer() {
    let Some(options) = tiny() else { return };
    let embedder = FastEmbed::start(&options).unwrap();
    // 16 places, two of them for marks.
    let text = |words: usize, last: &str| format!("{}{last}", "key ".repeat(words));
    let same = async |a: String, b: String| one(&embedder, &a).await == one(&embedder, &b).await;
    assert!(same(text(14, "pot"), text(14, "train")).await);
    assert!(!same(text(13, "pot"), text(13, "train")).await);
    let short = FastEmbed::start(&FastEmbedOptions { tokens_max: Some(4), ..options }).unwrap();
    assert_eq!(one(&short, "key pot cat").await, one(&short, "key pot blue").await);
    assert_ne!(short.key(), embedder.key(), "it gives other vectors");
}

#[tokio::test]
async fn what_stands_before_questions_and_passages_is_part_of_the_text_and_of_the_key() {
    let Some(options) = tiny() else { return };
    let plain = FastEmbed::start(&options).unwrap();
    let with = FastEmbedOptions {
        query_prefix: Some("query: ".to_owned()),
        passage_prefix: Some("passage: ".to_owned()),
        languages: Some(vec!["*".to_owned()]),
        ..options
    };
    let prefixed = FastEmbed::start(&with).unwrap();
    let key = || vec!["key".to_owned()];
    let query = prefixed.embed(Urgency::Query, key()).await.unwrap().remove(0);
    assert_eq!(query, one(&plain, "query: key").await);
    let passage = prefixed.embed(Urgency::Background, key()).await.unwrap().remove(0);
    assert!(cosine(&passage, &one(&plain, "passage: key").await) > 1.0 - 1e-5);
    assert!(cosine(&passage, &query) < 0.999);
    assert_ne!(plain.key(), prefixed.key());
    assert!(prefixed.covers("de") && !plain.covers("de") && plain.covers("en"));
    assert!(prefixed.tells_questions_apart() && !plain.tells_questions_apart());
    check_as(Arc::new(prefixed), Sameness::Near).await;
}

#[tokio::test]
async fn the_first_token_or_the_mean_of_all() {
    let Some(options) = tiny() else { return };
    let first = FastEmbedOptions { pooling: Some(FastEmbedPooling::Cls), ..options };
    let embedder = FastEmbed::start(&first).unwrap();
    assert_eq!(one(&embedder, "key").await, one(&embedder, "train friday").await);
}

/// What a process has loaded stays, so this is tried where no other test loads a library.
#[test]
fn a_library_that_is_none_is_named_and_nothing_panics() {
    if std::env::var_os(LIBRARY).is_some_and(|path| !path.is_empty()) {
        return;
    }
    let nowhere = options(Path::new(TINY), PathBuf::from("/nowhere/libonnxruntime.so"));
    let why = refused(&nowhere);
    assert!(why.contains("no ONNX Runtime at `/nowhere/libonnxruntime.so`"), "{why}");
    assert!(why.contains("`onnx.library`") && why.contains("models/onnx/runtime"), "{why}");
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libonnxruntime.so");
    std::fs::write(&text, "no library").unwrap();
    let why = refused(&options(Path::new(TINY), text.clone()));
    assert!(why.contains(&format!("cannot use ONNX Runtime at `{}`", text.display())), "{why}");
}

#[test]
fn a_folder_that_lacks_files_and_a_model_that_is_none_are_named() {
    let Some(tiny) = tiny() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let mine = FastEmbedOptions { model: path.clone(), ..tiny };
    let tokenizer = ["tokenizer.json", "config.json", "tokenizer_config.json"];
    for file in tokenizer {
        std::fs::copy(Path::new(TINY).join(file), folder.path().join(file)).unwrap();
    }
    let why = refused(&mine);
    assert!(why.contains(&format!("`{path}` lacks model.onnx, special_tokens_map.json")), "{why}");
    std::fs::write(folder.path().join("special_tokens_map.json"), "{}").unwrap();
    std::fs::write(folder.path().join("model.onnx"), "no model").unwrap();
    let why = refused(&mine);
    assert!(why.starts_with("cannot load the model"), "{why}");
    std::fs::copy(Path::new(TINY).join("model.onnx"), folder.path().join("model.onnx")).unwrap();
    assert!(FastEmbed::start(&mine).is_ok());
    std::fs::write(folder.path().join("tokenizer.json"), "no tokenizer").unwrap();
    let why = refused(&mine);
    assert!(why.contains("tokenizer.json"), "{why}");
}

/// The tiny reranker, where there is a runtime: `key` is worth 4 to it, `pot` 2, `train` -1.
fn reranker() -> Option<FastRerank> {
    let place = options(Path::new(TINY), told(LIBRARY)?).place;
    let model = TINY_RERANKER.to_owned();
    let options = FastRerankOptions { model, place, tokens_max: None, threads: 1 };
    Some(FastRerank::start(&options).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tiny_reranker_keeps_the_contract() {
    let Some(reranker) = reranker() else { return };
    rerank_contract::check(Arc::new(reranker)).await;
}

#[tokio::test]
async fn a_reranker_scores_question_and_text_together_up_to_what_it_takes() {
    let Some(reranker) = reranker() else { return };
    let texts = ["the pot", "the key", "a train", ""].map(str::to_owned);
    let found = rerank_contract::scores(&reranker, "the cat", &texts).await;
    assert_eq!(found, [2.0, 4.0, -1.0, 0.0]);
    let found = rerank_contract::scores(&reranker, "the key", &texts).await;
    assert_eq!(found, [6.0, 8.0, 3.0, 4.0]);
    // 16 places, three of them for marks.
    let long = ["key ".repeat(100)];
    assert_eq!(rerank_contract::scores(&reranker, "cat", &long).await, [48.0]);
}

#[tokio::test]
async fn a_score_that_is_no_number_fails_and_those_before_it_hold() {
    let Some(reranker) = reranker() else { return };
    let texts = ["the pot", "strange", "the key"].map(str::to_owned);
    let mut scores = Vec::new();
    let failed = reranker.score("the cat", &texts, &mut scores).await;
    assert!(matches!(failed, Err(RerankError::Failed { .. })), "{failed:?}");
    assert_eq!(scores, [2.0]);
    assert_eq!(rerank_contract::scores(&reranker, "the cat", &texts[2..]).await, [4.0]);
}

#[test]
fn a_model_that_is_no_reranker_is_refused_at_the_start() {
    let Some(tiny) = tiny() else { return };
    let FastEmbedOptions { model, place, .. } = tiny;
    let started =
        FastRerank::start(&FastRerankOptions { model, place, tokens_max: None, threads: 1 });
    let Err(error) = started else { panic!("it started") };
    assert!(error.to_string().contains("logits"), "{error}");
}
