//! What BuildContext and Search have in common: which sessions, which turns, before when.

use std::collections::BTreeSet;
use std::sync::RwLockReadGuard;
use std::time::{Duration, Instant};

use crate::error::{Failure, Reason};
use crate::memory::{Memory, partition::Partition, partitions::Shared};
use crate::tokens::Tokenizer;
use crate::types::{Change, Metadata, Role, SessionId, TenantId, Timestamp, Turn, UserId};

/// Where retrieval looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The named session.
    Session,
    /// All sessions of the user.
    User,
}

/// Whose past is asked for: a session, a user, or both.
#[derive(Debug, Clone)]
pub struct Target {
    /// The session, which may not exist.
    pub session: Option<SessionId>,
    /// The user, which may not exist.
    pub user: Option<UserId>,
    /// Where retrieval looks.
    pub scope: Scope,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// Whether others wait for its place: what it may lack is not waited for long.
    pub hurried: bool,
}

/// Which turns retrieval may return; the default lets all pass.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only these roles; empty: all.
    pub roles: Vec<Role>,
    /// Only turns with these labels.
    pub metadata: Metadata,
    /// Only turns created then or later.
    pub created_after: Option<Timestamp>,
    /// Only turns created before.
    pub created_before: Option<Timestamp>,
}

impl Filter {
    /// Whether a turn passes.
    pub fn passes(&self, turn: &Turn) -> bool {
        let has = |(key, value): (&String, &String)| turn.metadata.get(key) == Some(value);
        (self.roles.is_empty() || self.roles.contains(&turn.role))
            && self.metadata.iter().all(has)
            && self.created_after.is_none_or(|after| turn.created_at >= after)
            && self.created_before.is_none_or(|before| turn.created_at < before)
    }
}

/// What an answer lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Degraded {
    /// Retrieval did not finish inside the deadline.
    Retrieval,
    /// The question could not be embedded in time.
    Vector,
    /// Some turns have no vectors yet.
    VectorsPending,
    /// The embedder does not cover the language of the question.
    Language,
    /// The documents could not be searched in time.
    Documents,
    /// The index of documents is behind the record.
    IndexLag,
    /// The reranker did not read all that was found first.
    Rerank,
}

impl Degraded {
    /// The word of the contract for it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Retrieval => "RETRIEVAL",
            Self::Vector => "VECTOR",
            Self::VectorsPending => "VECTORS_PENDING",
            Self::Language => "LANGUAGE",
            Self::Documents => "DOCUMENTS",
            Self::IndexLag => "INDEX_LAG",
            Self::Rerank => "RERANK",
        }
    }
}

/// The sessions of a request, as copies in memory.
#[derive(Clone)]
pub(super) struct Corpus {
    /// The copies in the order of their ids; the named session among them if it exists.
    pub copies: Vec<(SessionId, Shared)>,
    /// The place of the named session among the copies.
    pub own: Option<usize>,
    /// The user's change; 0 in scope SESSION.
    pub user_change: Change,
    /// Whether the other sessions could not be had in time.
    pub timed_out: bool,
}

/// Turns, their text and that of a request up to which a corpus [`Corpus::is_light`].
const LIGHT_TURNS: usize = 1_000;
const LIGHT_BYTES: usize = 256 << 10;
const LIGHT_TEXT_BYTES: usize = 4 << 10;

impl Corpus {
    /// All copies, locked for reading in the order of their ids, so that no two readers wait for
    /// each other's writers.
    pub fn read(&self) -> Vec<RwLockReadGuard<'_, Partition>> {
        let copies = self.copies.iter();
        copies.map(|(_, copy)| copy.read().expect("no writer panics")).collect()
    }

    /// Whether ranking these turns, or building a context of them, takes well below a millisecond:
    /// less than it costs to hand it to another thread and back while others call too. `text_bytes`
    /// is what the request brings along, `counts_for` the tokenizer when tokens are counted.
    pub fn is_light(&self, text_bytes: usize, counts_for: Option<&Tokenizer>) -> bool {
        let copies = self.read();
        let is_counted = |copy: &Partition| counts_for.is_none_or(|by| copy.is_counted(by));
        text_bytes <= LIGHT_TEXT_BYTES
            && copies.iter().map(|copy| copy.turns().len()).sum::<usize>() <= LIGHT_TURNS
            && copies.iter().map(|copy| copy.text_bytes()).sum::<usize>() <= LIGHT_BYTES
            && copies.iter().all(|copy| is_counted(copy))
    }
}

/// How long before the deadline the answer is begun with what is there: a quarter of the time, at
/// least 2 ms and at most 50 ms.
fn margin(left: Duration) -> Duration {
    (left / 4).clamp(Duration::from_millis(2), Duration::from_millis(50))
}

impl Memory {
    /// The sessions that a request is about. The named session is always waited for; the user's
    /// others only as long as the deadline leaves time for an answer.
    pub(super) async fn corpus(
        &self,
        tenant: &TenantId,
        target: &Target,
        language: &str,
    ) -> Result<Corpus, Failure> {
        let mut corpus =
            Corpus { copies: Vec::new(), own: None, user_change: Change(0), timed_out: false };
        let own = match &target.session {
            Some(session) => self.partition(tenant, session, language).await?,
            None => None,
        };
        let user = match (&own, &target.user) {
            (Some((head, _)), Some(user)) if head.user.as_ref() != Some(user) => {
                let message = "the session belongs to another user";
                return Err(Failure::new(Reason::UserMismatch, message).at("user_id"));
            }
            (Some((head, _)), _) => head.user.clone(),
            (None, user) => user.clone(),
        };
        if let (Some(user), Scope::User) = (&user, target.scope) {
            let others = self.user_partitions(tenant, user, language);
            match within(target.deadline, others).await {
                Some(others) => (corpus.user_change, corpus.copies) = others?,
                None => corpus.timed_out = true,
            }
        }
        if let (Some((_, copy)), Some(session)) = (own, &target.session) {
            let place = corpus.copies.binary_search_by(|(id, _)| id.cmp(session));
            match place {
                Ok(place) => corpus.own = Some(place),
                Err(place) => {
                    corpus.copies.insert(place, (session.clone(), copy));
                    corpus.own = Some(place);
                }
            }
        }
        debug_assert_eq!(
            corpus.copies.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len(),
            corpus.copies.len(),
            "no session stands twice"
        );
        Ok(corpus)
    }
}

/// The time that the timers of the runtime go by, which the simulation moves.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How long an answer may still be prepared.
pub(super) fn time_left(deadline: Option<Instant>) -> Option<Duration> {
    let left = deadline?.saturating_duration_since(now());
    Some(left.saturating_sub(margin(left)))
}

/// What a future gives, if it does so while there is time to answer.
async fn within<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    let Some(left) = time_left(deadline) else { return Some(future.await) };
    tokio::time::timeout(left, future).await.ok()
}
