//! A reranker that does as a test tells it: works, fails, or hangs after some texts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::rerank::{RerankError, Reranker};

/// What it does from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Works,
    FailsAfter(usize),
    HangsAfter(usize),
}

/// It counts how many different words of the question stand in the text, for each ten words of the
/// text, as long as it is told to work.
#[derive(Debug)]
pub struct Scripted {
    mood: watch::Sender<Mood>,
    texts: Mutex<Vec<String>>,
}

impl Scripted {
    /// One that works.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { mood: watch::Sender::new(Mood::Works), texts: Mutex::new(Vec::new()) })
    }

    /// It works again; calls that hang are answered.
    pub fn mend(&self) {
        self.mood.send_replace(Mood::Works);
    }

    /// Each call fails after so many texts from now on.
    pub fn fail_after(&self, texts: usize) {
        self.mood.send_replace(Mood::FailsAfter(texts));
    }

    /// Each call hangs after so many texts from now on, until it is mended.
    pub fn hang_after(&self, texts: usize) {
        self.mood.send_replace(Mood::HangsAfter(texts));
    }

    /// Every text that it scored, in order.
    pub fn texts(&self) -> Vec<String> {
        self.texts.lock().expect("no holder panics").clone()
    }
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

#[async_trait]
impl Reranker for Scripted {
    fn key(&self) -> &str {
        "scripted-words"
    }

    async fn score(
        &self,
        question: &str,
        texts: &[String],
        scores: &mut Vec<f32>,
    ) -> Result<(), RerankError> {
        let asked: BTreeSet<String> = words(question).into_iter().collect();
        let mut mood = self.mood.subscribe();
        for (done, text) in texts.iter().enumerate() {
            let goes_on = |mood: &Mood| !matches!(mood, Mood::HangsAfter(most) if done >= *most);
            let now = mood.wait_for(goes_on).await.map(|mood| *mood);
            if matches!(now, Ok(Mood::FailsAfter(most)) if done >= most) || now.is_err() {
                return Err(RerankError::Failed { why: "as it was told".to_owned() });
            }
            let all = words(text);
            let known = all.iter().collect::<BTreeSet<_>>();
            let shared = asked.iter().filter(|word| known.contains(word)).count();
            self.texts.lock().expect("no holder panics").push(text.clone());
            scores.push(shared as f32 * 10.0 / (10 + all.len()) as f32);
        }
        Ok(())
    }
}
