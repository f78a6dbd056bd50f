//! What the reranker says of what was found first, as far as it comes in time. Without a reranker
//! nothing of this happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::memory::{
    Degraded, DocumentSearch, Filter, FoundChunk, FoundDocuments, Memory, Target,
    heavy::nearby,
    query::{Corpus, time_left},
    search::{Asked, Meaning, Ranked, Wanted, rank_corpus},
};
use crate::rerank::Reranker;
use crate::retrieve::{Hit, SignalValue, reranked};
use crate::telemetry::reranked as note_reranked;
use crate::types::{Policy, Seq, TenantId, Timestamp};

/// The most candidates: a model of the usual size reads some 50 a second.
pub const CANDIDATES_MAX: usize = 200;
/// How long the scores are waited for when the caller sets no deadline.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// How long when others wait for the place of the call.
const WAIT_HURRIED_MAX: Duration = Duration::from_millis(50);
/// How many scores are kept: some thousand questions' worth, below 10 MB. An answer that is worked
/// out in many calls asks the same each time.
pub const RERANKED_MAX: u64 = 100_000;
/// The name of the signal. It decides the order and has no part in the score, so its weight is 0.
const SIGNAL: &str = "reranker";

/// A score is kept under a keyed hash of what it is of.
type Digest = [u8; 16];

/// The reranker of a node, and what it said lately.
pub(super) struct Judge {
    reranker: Arc<dyn Reranker>,
    /// How many of what is found first are read at the most.
    candidates: usize,
    kept: Cache<Digest, f32>,
    key: [u8; 32],
}

impl Judge {
    pub(super) fn new(
        reranker: Arc<dyn Reranker>,
        candidates: usize,
        server_secret: &[u8; 32],
    ) -> Self {
        Self {
            reranker,
            candidates: candidates.clamp(1, CANDIDATES_MAX),
            kept: Cache::new(RERANKED_MAX),
            key: blake3::derive_key("keepsake 1 digests of reranked texts", server_secret),
        }
    }

    /// Names what a score depends on. The tenant is part of it: how fast an answer comes tells
    /// nobody what others say.
    fn digest(&self, tenant: &TenantId, question: &str, text: &str) -> Digest {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        let bytes = (question.len() as u64).to_be_bytes();
        // Neither of the first two can hold a NUL.
        for part in [tenant.as_str(), "\0", self.reranker.key(), "\0"] {
            hasher.update(part.as_bytes());
        }
        hasher.update(&bytes).update(question.as_bytes()).update(text.as_bytes());
        *hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes")
    }

    /// A score for each text, as far as it is kept or comes in time.
    async fn scores(
        &self,
        tenant: &TenantId,
        question: &str,
        texts: Vec<String>,
        wait: Duration,
    ) -> Vec<Option<f32>> {
        let digest = |text: &String| self.digest(tenant, question, text);
        let digests: Vec<Digest> = texts.iter().map(digest).collect();
        let mut scores: Vec<Option<f32>> =
            digests.iter().map(|digest| self.kept.get(digest)).collect();
        let missing: Vec<usize> = (0..texts.len()).filter(|at| scores[*at].is_none()).collect();
        if missing.is_empty() {
            return scores;
        }
        let wanted: Vec<String> = missing.iter().map(|at| texts[*at].clone()).collect();
        let began = tokio::time::Instant::now();
        let mut made = Vec::with_capacity(wanted.len());
        let scoring = self.reranker.score(question, &wanted, &mut made);
        match tokio::time::timeout(wait, scoring).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("texts are not reranked: {error}"),
            Err(_) => tracing::debug!("not all texts are reranked in time"),
        }
        note_reranked(began.elapsed(), made.len());
        for (at, score) in missing.iter().zip(made) {
            self.kept.insert(digests[*at], score);
            scores[*at] = Some(score);
        }
        scores
    }
}

/// What is asked of turns.
pub(super) struct TurnsAsked<'a> {
    /// The query, when it is not the last user turn.
    pub given: Option<&'a str>,
    pub filter: &'a Filter,
    pub policy: &'a Policy,
    pub as_of: Timestamp,
    pub meaning: &'a Meaning,
    pub target: &'a Target,
}

/// What the reranker said of turns.
#[derive(Default)]
pub(super) struct Judged {
    /// The key of the reranker; `None`: there is none, or it was not asked.
    by: Option<Arc<str>>,
    scores: BTreeMap<(usize, Seq), f32>,
    /// How many turns it was to read at the most.
    candidates: usize,
    is_cut: bool,
}

impl Judged {
    /// How many hits must be ranked so that all it may have read are among them.
    pub(super) fn hits_max(&self, wanted: usize) -> usize {
        wanted.max(self.candidates)
    }

    /// Puts hits in its order, and leaves as many as are wanted.
    pub(super) fn reorder(&self, ranked: &mut Ranked, hits_max: usize, explain: bool) {
        let hits = &mut ranked.hits;
        let score = |at: &Hit| self.scores.get(&(at.source, at.seq)).copied();
        let scores: Vec<Option<f32>> = hits.iter().map(score).collect();
        if scores.iter().any(Option::is_some) {
            if explain {
                let signals = hits.iter_mut().map(|hit| &mut hit.signals);
                explained(signals, &scores);
            }
            *hits = reranked(std::mem::take(hits), &scores, |hit| &mut hit.score);
            ranked.reranker.clone_from(&self.by);
        }
        hits.truncate(hits_max);
        ranked.degraded.extend(self.is_cut.then_some(Degraded::Rerank));
    }
}

/// Adds what the reranker said to the signals.
fn explained<'a>(signals: impl Iterator<Item = &'a mut Vec<SignalValue>>, scores: &[Option<f32>]) {
    for (signals, score) in signals.zip(scores) {
        let Some(raw) = score.map(f64::from) else { continue };
        signals.push(SignalValue { name: SIGNAL, raw, standardised: raw, weight: 0.0 });
    }
}

/// How long scores are waited for, by the time that the caller leaves.
fn wait_for_scores(hurried: bool, left: Option<Duration>) -> Duration {
    let most = if hurried { WAIT_HURRIED_MAX } else { WAIT_MAX };
    left.map_or(most, |left| left.min(most))
}

impl Memory {
    /// The same with a reranker, which reads at most so many of what is found first; without this,
    /// what is found stays in its order. `server_secret` keys the hashes of what it has read.
    #[must_use]
    pub fn with_reranker(
        mut self,
        reranker: Arc<dyn Reranker>,
        candidates: usize,
        server_secret: &[u8; 32],
    ) -> Self {
        self.judge = Some(Judge::new(reranker, candidates, server_secret));
        self
    }

    /// What the reranker says of the turns that are found first. They are ranked for it, and again
    /// for the answer: what changes meanwhile is as it is then.
    pub(super) async fn judge_turns(
        &self,
        tenant: &TenantId,
        corpus: &Corpus,
        asked: &TurnsAsked<'_>,
    ) -> Judged {
        let Some(judge) = self.judge.as_ref().filter(|_| !corpus.timed_out) else {
            return Judged::default();
        };
        let candidates = judge.candidates;
        let (question, found) = self.candidates(corpus, asked, candidates).await;
        if found.len() < 2 {
            return Judged::default();
        }
        let (places, texts): (Vec<(usize, Seq)>, Vec<String>) = found.into_iter().unzip();
        let wait = wait_for_scores(asked.target.hurried, time_left(asked.target.deadline));
        let scores = judge.scores(tenant, &question, texts, wait).await;
        let is_cut = scores.iter().any(Option::is_none);
        let known = places.into_iter().zip(scores);
        let scores = known.filter_map(|(place, score)| Some((place, score?))).collect();
        Judged { by: Some(judge.reranker.key().into()), scores, candidates, is_cut }
    }

    /// What is asked, and the texts of the turns that are found first: of a long turn its best
    /// passage.
    async fn candidates(
        &self,
        corpus: &Corpus,
        asked: &TurnsAsked<'_>,
        most: usize,
    ) -> (String, Vec<((usize, Seq), String)>) {
        let is_light = corpus.is_light(asked.given.map_or(0, str::len), None);
        let (corpus, given) = (corpus.clone(), asked.given.map(str::to_owned));
        let (filter, policy) = (asked.filter.clone(), asked.policy.clone());
        let (as_of, meaning, weights) = (asked.as_of, asked.meaning.clone(), self.weights);
        let found = nearby(self.pool.as_ref(), is_light, move || {
            let copies = corpus.read();
            let turns = corpus.own.map(|own| copies[own].turns()).unwrap_or_default();
            let asked = Asked::of(turns, given.as_deref());
            let wanted = Wanted {
                filter: &filter,
                hits_max: most,
                as_of,
                policy: &policy,
                meaning: &meaning,
                judged: &Judged::default(),
                explain: false,
                weights: &weights,
            };
            let ranked = rank_corpus(&corpus, &copies, &asked, &wanted);
            let text = |hit: &Hit| {
                let text = copies[hit.source].turn(hit.seq)?.searchable_text();
                let passage = hit.passage.clone().and_then(|range| text.get(range));
                let text = passage.map_or_else(|| text.clone(), str::to_owned);
                Some(((hit.source, hit.seq), text))
            };
            let found = ranked.hits.iter().filter_map(text).collect();
            (asked.into_text(), found)
        });
        found.await.expect("ranking does not panic")
    }

    /// How many chunks the reranker is to read of what is found first.
    pub(super) fn chunks_to_judge(&self) -> usize {
        self.judge.as_ref().map_or(0, |judge| judge.candidates)
    }

    /// Puts chunks in the order of the reranker, as far as it reads them in time, and leaves as
    /// many as are asked for. The time that it has counts from when the question `came`.
    pub(super) async fn judge_chunks(
        &self,
        tenant: &TenantId,
        asked: &DocumentSearch<'_>,
        came: tokio::time::Instant,
        found: &mut FoundDocuments,
    ) {
        let Some(judge) = self.judge.as_ref().filter(|_| found.chunks.len() > 1) else { return };
        let text = |chunk: &FoundChunk| match chunk.heading.is_empty() {
            true => chunk.text.clone(),
            false => format!("{}\n{}", chunk.heading.join(" > "), chunk.text),
        };
        let texts: Vec<String> = found.chunks.iter().take(judge.candidates).map(text).collect();
        let left = asked.wait.1.map(|wait| wait.saturating_sub(came.elapsed()));
        let wait = wait_for_scores(asked.hurried, left);
        let mut scores = judge.scores(tenant, asked.query, texts, wait).await;
        let is_cut = scores.iter().any(Option::is_none);
        if scores.iter().any(Option::is_some) {
            scores.resize(found.chunks.len(), None);
            explained(found.chunks.iter_mut().map(|chunk| &mut chunk.signals), &scores);
            let chunks = std::mem::take(&mut found.chunks);
            found.chunks = reranked(chunks, &scores, |chunk| &mut chunk.score);
            found.reranker = Some(judge.reranker.key().into());
        }
        found.chunks.truncate(asked.most);
        found.degraded.extend(is_cut.then_some(Degraded::Rerank));
    }
}
