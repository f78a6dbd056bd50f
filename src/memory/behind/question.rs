//! Vectors of questions: from a cache, or embedded while the caller waits, within limits.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::embed::{Embedder, Urgency};
use crate::memory::{Degraded, Memory, Target, query::time_left};
use crate::retrieve::Embeddable;
use crate::telemetry::{self, cache_asked};
use crate::types::TenantId;

/// How much memory vectors of questions may take, in bytes: some 10,000 of them.
pub const BYTES_MAX: u64 = 32 << 20;
/// What an entry takes beside its text and its numbers, in bytes.
const ENTRY_BYTES: usize = 128;
/// How long a question waits for its vector when the caller sets no deadline: a hundred times what
/// one takes.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// How long when others wait for its place: twice what one takes. When more is asked than can be
/// embedded, most answers go by words then, in place of most calls being refused.
const WAIT_HURRIED_MAX: Duration = Duration::from_millis(6);

/// How long the question of a request waits for its vector.
pub(in crate::memory) fn wait_of(target: &Target) -> Duration {
    let most = if target.hurried { WAIT_HURRIED_MAX } else { WAIT_MAX };
    time_left(target.deadline).map_or(most, |left| left.min(most))
}

/// Whose question, embedded by which, and its text.
type Question = (TenantId, Arc<str>, String);

/// Vectors of questions that were asked before. The tenant is part of the key: how fast an answer
/// comes tells nobody what others ask.
pub struct Questions {
    known: Cache<Question, Arc<[f32]>>,
}

impl Questions {
    /// None yet.
    pub fn new() -> Self {
        let bytes = |(_, _, text): &Question, vector: &Arc<[f32]>| {
            u32::try_from(text.len() + size_of_val::<[f32]>(vector) + ENTRY_BYTES)
                .unwrap_or(u32::MAX)
        };
        Self { known: Cache::builder().max_capacity(BYTES_MAX).weigher(bytes).build() }
    }

    /// How many there are, and how many bytes they take.
    pub(in crate::memory) fn size(&self) -> (u64, u64) {
        self.known.run_pending_tasks();
        (self.known.entry_count(), self.known.weighted_size())
    }
}

impl Default for Questions {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// The unit vector of a question, by an embedder.
    ///
    /// # Errors
    /// [`Degraded::Language`] when the embedder does not cover its language, [`Degraded::Vector`]
    /// when it cannot be had within `wait`.
    pub(in crate::memory) async fn question_vector(
        &self,
        embedder: &Arc<dyn Embedder>,
        tenant: &TenantId,
        asked: Embeddable,
        wait: Duration,
    ) -> Result<Arc<[f32]>, Degraded> {
        if !asked.language.is_empty() && !embedder.covers(asked.language) {
            return Err(Degraded::Language);
        }
        let key = (tenant.clone(), Arc::from(embedder.key()), asked.text);
        let known = self.questions.known.get(&key);
        cache_asked(telemetry::Cache::Questions, known.is_some());
        if let Some(known) = known {
            return Ok(known);
        }
        let embedding = embedder.embed(Urgency::Query, vec![key.2.clone()]);
        match tokio::time::timeout(wait, embedding).await {
            Ok(Ok(vectors)) => {
                let vector: Arc<[f32]> = vectors.into_iter().next().ok_or(Degraded::Vector)?.into();
                self.questions.known.insert(key, vector.clone());
                Ok(vector)
            }
            Ok(Err(error)) => {
                tracing::debug!("a question is not embedded: {error}");
                Err(Degraded::Vector)
            }
            Err(_) => Err(Degraded::Vector),
        }
    }
}
