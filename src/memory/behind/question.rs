//! Vectors of questions: from a cache, or embedded while the caller waits, within limits.

use std::sync::Arc;
use std::time::Duration;

use crate::embed::{Embedder, Urgency};
use crate::memory::{Degraded, Memory, Target, query::time_left};
use crate::retrieve::Embeddable;
use crate::types::TenantId;

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
        let embedding = self.embed_for(embedder, tenant, Urgency::Query, vec![asked.text]);
        match tokio::time::timeout(wait, embedding).await {
            Ok(Ok(vectors)) => vectors.into_iter().next().map(Arc::from).ok_or(Degraded::Vector),
            Ok(Err(error)) => {
                tracing::debug!("a question is not embedded: {error}");
                Err(Degraded::Vector)
            }
            Err(_) => Err(Degraded::Vector),
        }
    }
}
