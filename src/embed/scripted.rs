//! An embedder that does as a test tells it: works, fails, fails on some texts, or hangs.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::embed::{EmbedError, Embedder, Hashed, Urgency};

/// What it does from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mood {
    Works,
    Fails,
    FailsOn(String),
    Hangs,
}

/// Vectors of [`Hashed`] under another key, as long as it is told to work.
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

    /// Every call fails from now on.
    pub fn fail(&self) {
        self.mood.send_replace(Mood::Fails);
    }

    /// Calls with a text that holds `word` fail from now on.
    pub fn fail_on(&self, word: &str) {
        self.mood.send_replace(Mood::FailsOn(word.to_owned()));
    }

    /// Calls are not answered from now on, until it is mended.
    pub fn hang(&self) {
        self.mood.send_replace(Mood::Hangs);
    }

    /// Every text that it embedded, in order.
    pub fn texts(&self) -> Vec<String> {
        self.texts.lock().expect("no holder panics").clone()
    }
}

#[async_trait]
impl Embedder for Scripted {
    fn key(&self) -> &str {
        "scripted-words-64"
    }

    fn dimensions(&self) -> usize {
        Hashed::new().dimensions()
    }

    fn covers(&self, _: &str) -> bool {
        true
    }

    async fn embed(
        &self,
        urgency: Urgency,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut mood = self.mood.subscribe();
        let now = mood.wait_for(|mood| *mood != Mood::Hangs).await;
        let now = now.map_err(|_| EmbedError::Stopped)?.clone();
        let fails = match &now {
            Mood::Fails => true,
            Mood::FailsOn(word) => texts.iter().any(|text| text.contains(word)),
            Mood::Works | Mood::Hangs => false,
        };
        if fails {
            return Err(EmbedError::Failed { why: "as it was told".to_owned() });
        }
        self.texts.lock().expect("no holder panics").extend(texts.iter().cloned());
        Hashed::new().embed(urgency, texts).await
    }
}
