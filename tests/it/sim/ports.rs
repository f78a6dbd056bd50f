//! The other ports of a run: a clock that jumps, a pool that is late, an embedder that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use keepsake::clock::Clock;
use keepsake::embed::{EmbedError, Embedder, Hashed, Urgency};
use keepsake::pool::{Pool, Work};
use keepsake::types::Timestamp;
use tokio::time::{Instant, sleep};

use super::dice::Dice;
use super::model::START;

/// The time of the runtime, with jumps. In the life of one process it never goes back.
pub struct JumpingClock {
    begun: Instant,
    jumped_ms: AtomicI64,
    latest_ms: AtomicI64,
    ever_ms: AtomicI64,
}

impl JumpingClock {
    pub fn new() -> Self {
        Self {
            begun: Instant::now(),
            jumped_ms: AtomicI64::new(0),
            latest_ms: AtomicI64::new(i64::MIN),
            ever_ms: AtomicI64::new(i64::MIN),
        }
    }

    /// Sets the clock of the machine forward, or back: then it stands still meanwhile.
    pub fn jump(&self, ms: i64) {
        self.jumped_ms.fetch_add(ms, Relaxed);
    }

    /// The latest time that any process saw.
    pub fn ever(&self) -> Timestamp {
        Timestamp(self.ever_ms.load(Relaxed))
    }

    /// A process that starts knows nothing of the time that an earlier one saw.
    pub fn forget(&self) {
        self.latest_ms.store(i64::MIN, Relaxed);
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.begun.elapsed().as_millis()).unwrap();
        let now = START.0 + passed + self.jumped_ms.load(Relaxed);
        let now = self.latest_ms.fetch_max(now, Relaxed).max(now);
        self.ever_ms.fetch_max(now, Relaxed);
        Timestamp(now)
    }

    fn now_after(&self) -> Timestamp {
        let after = self.now().0 + 1;
        self.latest_ms.fetch_max(after, Relaxed);
        self.ever_ms.fetch_max(after, Relaxed);
        Timestamp(after)
    }
}

/// Does half of the work at once and half of it later, as threads do.
pub struct LatePool {
    pub dice: Arc<Dice>,
}

impl Pool for LatePool {
    fn begin(&self, work: Work) {
        if self.dice.per_mille(500) {
            return work();
        }
        let late = Duration::from_micros(self.dice.below(6_000));
        tokio::spawn(async move {
            sleep(late).await;
            work();
        });
    }
}

/// The embedder of the tests under a name of its own, which is late and fails while it may.
pub struct FaultyEmbedder {
    pub key: String,
    pub dice: Arc<Dice>,
    pub faulty: Arc<AtomicBool>,
    pub failures_per_mille: u64,
}

#[async_trait]
impl Embedder for FaultyEmbedder {
    fn key(&self) -> &str {
        &self.key
    }

    fn dimensions(&self) -> usize {
        Hashed::new().dimensions()
    }

    fn covers(&self, language: &str) -> bool {
        Hashed::new().covers(language)
    }

    async fn embed(
        &self,
        urgency: Urgency,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        if self.dice.per_mille(700) {
            sleep(Duration::from_micros(self.dice.below(40_000))).await;
        }
        if self.faulty.load(Relaxed) && self.dice.per_mille(self.failures_per_mille) {
            return match self.dice.below(3) {
                // A turn that a sound model fails on stays without vectors, and that is no fault.
                0 if urgency == Urgency::Query => {
                    Err(EmbedError::Failed { why: "a fault of the run".to_owned() })
                }
                0 | 1 => Err(EmbedError::Busy),
                _ => {
                    // Longer than any question waits.
                    sleep(Duration::from_secs(5)).await;
                    Err(EmbedError::Stopped)
                }
            };
        }
        Hashed::new().embed(urgency, texts).await
    }
}
