//! What is noted of a server that embeds, and of what embedding spends.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::names;

/// How a request to a server that embeds ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbedOutcome {
    /// With vectors.
    Ok,
    /// It was told to come later.
    Limited,
    /// It was not answered: no connection, no answer in time, or a fault of the server.
    Failed,
    /// It was answered by no.
    Refused,
    /// It was answered by what is no answer.
    Invalid,
    /// Nobody waited for it any more.
    GivenUp,
}

impl EmbedOutcome {
    const ALL: [Self; 6] =
        [Self::Ok, Self::Limited, Self::Failed, Self::Refused, Self::Invalid, Self::GivenUp];

    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Invalid => "invalid",
            Self::GivenUp => "given_up",
        }
    }
}

/// What is counted of one embedder. There must be few: the name of each model is a label.
pub struct EmbedderMeter {
    requests: [Counter; 6],
    seconds: Histogram,
    texts: Counter,
    retries: Counter,
    breaker: Gauge,
    tokens: Counter,
}

impl EmbedderMeter {
    /// Of an embedder by the name of its model, as the settings have it.
    pub fn new(model: &str) -> Self {
        let request = |outcome: EmbedOutcome| {
            let label = outcome.label();
            counter!(names::EMBEDDER_REQUESTS, "outcome" => label)
        };
        Self {
            requests: EmbedOutcome::ALL.map(request),
            seconds: histogram!(names::EMBEDDER_SECONDS),
            texts: counter!(names::EMBEDDER_TEXTS),
            retries: counter!(names::EMBEDDER_RETRIES),
            breaker: gauge!(names::EMBEDDER_BREAKER),
            tokens: counter!(names::EMBEDDER_TOKENS, "model" => model.to_owned()),
        }
    }

    /// Notes a request that ended, and how long it took.
    pub fn ended(&self, outcome: EmbedOutcome, took: Duration) {
        self.requests[outcome as usize].increment(1);
        self.seconds.record(took);
    }

    /// Notes texts that got their vectors, and the tokens that the server counted for them.
    pub fn embedded(&self, texts: usize, tokens: u64) {
        self.texts.increment(texts as u64);
        self.tokens.increment(tokens);
    }

    /// Notes that a request is made again.
    pub fn retried(&self) {
        self.retries.increment(1);
    }

    /// Notes what the breaker does: 0 to 2.
    pub fn breaker(&self, state: u8) {
        self.breaker.set(f64::from(state));
    }
}
