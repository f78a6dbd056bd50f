//! What every reranker holds to. That of fastembed's is held to it in `fastembed.rs`.

use std::sync::Arc;
use std::time::Duration;

use keepsake::rerank::{Reranker, Scripted};

const QUESTION: &str = "Where is the key?";

fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        "   ",
        "The key is under the blue pot.",
        "The train leaves on Friday.",
        "naïve café, déjà vu: 3.14 & snake_case",
        "ключ под синим горшком",
        "猫がソファで眠っている 🐈",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("key pot ".repeat(20_000));
    texts
}

pub async fn scores(reranker: &dyn Reranker, question: &str, texts: &[String]) -> Vec<f32> {
    let mut scores = Vec::new();
    reranker.score(question, texts, &mut scores).await.unwrap();
    scores
}

/// The contract.
pub async fn check(reranker: Arc<dyn Reranker>) {
    let key = reranker.key().to_owned();
    assert!(key.is_ascii() && (1..=64).contains(&key.len()), "{key}");
    let texts = texts();
    let first = scores(reranker.as_ref(), QUESTION, &texts).await;
    assert_eq!(first.len(), texts.len());
    assert!(first.iter().all(|score| score.is_finite()), "{first:?}");
    assert!(first[2] > first[3], "what has to do with the question is better: {first:?}");
    assert!(scores(reranker.as_ref(), QUESTION, &[]).await.is_empty());
    // Scores are added to what is there.
    let mut added = vec![7.0];
    reranker.score(QUESTION, &texts[2..3], &mut added).await.unwrap();
    assert_eq!(added, [7.0, first[2]]);
    // In another order, one by one, and by many callers at once: the same bytes.
    let mut turned = texts.clone();
    turned.reverse();
    let mut again = scores(reranker.as_ref(), QUESTION, &turned).await;
    again.reverse();
    assert_eq!(again, first);
    let calls = (0..24).map(|n| {
        let (reranker, text) = (reranker.clone(), texts[n % texts.len()].clone());
        tokio::spawn(async move { scores(reranker.as_ref(), QUESTION, &[text]).await })
    });
    for (n, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(call.await.unwrap(), [first[n % texts.len()]], "{n}");
    }
    // A caller that goes away keeps what it has, and harms nobody.
    let mut some = Vec::new();
    let scoring = reranker.score(QUESTION, &texts, &mut some);
    let _ = tokio::time::timeout(Duration::ZERO, scoring).await;
    assert_eq!(some, first[..some.len()]);
    assert_eq!(scores(reranker.as_ref(), QUESTION, &texts).await, first);
}

#[tokio::test]
async fn the_reranker_of_tests_keeps_the_contract() {
    check(Scripted::new()).await;
}

#[tokio::test(start_paused = true)]
async fn what_came_before_a_failure_or_a_deadline_holds() {
    let reranker = Scripted::new();
    let all = scores(reranker.as_ref(), QUESTION, &texts()).await;
    reranker.fail_after(3);
    let mut some = Vec::new();
    assert!(reranker.score(QUESTION, &texts(), &mut some).await.is_err());
    assert_eq!(some, all[..3]);
    reranker.hang_after(2);
    let (texts, mut some) = (texts(), Vec::new());
    let scoring = reranker.score(QUESTION, &texts, &mut some);
    assert!(tokio::time::timeout(Duration::from_secs(1), scoring).await.is_err());
    assert_eq!(some, all[..2]);
}
