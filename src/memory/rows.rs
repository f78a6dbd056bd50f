//! Reading rows, and the loop around every commit.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Failure, Reason};
use crate::memory::Memory;
use crate::record::{Answer, Head, RepeatRow, UserHead, Verb, decode, keys};
use crate::sessions::{AppendPlan, Repeat, Revised};
use crate::storage::{CommitError, Read, Row, StoreError, StoreErrorKind};
use crate::types::{RequestId, SessionId, TenantId, Timestamp, UserId};

/// How often a commit is planned again after a conflict: each conflict means that another commit
/// of the same rows succeeded, so only a crowd of writers of one user gets this far.
const ATTEMPTS_MAX: usize = 256;

/// An answer, and whether it is a repeat.
#[derive(Debug)]
pub struct Answered {
    /// What the answer is made of.
    pub answer: Answer,
    /// Whether the effect happened in an earlier call.
    pub replayed: bool,
}

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// What is on it, in order.
    pub items: Vec<T>,
    /// The id after which the next page begins.
    pub last: Option<String>,
    /// Whether there is a next page.
    pub more: bool,
}

impl<T> Page<T> {
    /// Where the next page begins, if there is one.
    pub fn next(&self) -> Option<&str> {
        self.last.as_deref().filter(|_| self.more)
    }
}

/// A row that this program does not read.
pub(super) fn unreadable(error: crate::record::RowError) -> Failure {
    Failure::new(Reason::RowUnreadable, "a row of the store cannot be read").because(error)
}

/// A failure of the store, as the caller sees it.
pub(super) fn store_failure(error: StoreError) -> Failure {
    match error.kind() {
        StoreErrorKind::Overloaded => {
            Failure::new(Reason::Overloaded, "too many writes wait for the disk")
                .retry_after(Duration::from_millis(100))
                .over("writes")
        }
        StoreErrorKind::Full => Failure::new(Reason::DiskFull, "the disk of the node is full")
            .retry_after(Duration::from_secs(10))
            .over("disk"),
        StoreErrorKind::Invalid => {
            Failure::new(Reason::WriteTooLarge, "the write is larger than one commit may be")
        }
        StoreErrorKind::Closed => Failure::new(Reason::ShuttingDown, "the server is stopping")
            .retry_after(Duration::from_secs(1)),
        StoreErrorKind::Fault => Failure::new(Reason::StoreFault, "the store failed"),
    }
    .because(error)
}

/// The repeat of a tenant's request about itself, when the caller gave an id for it.
pub(super) fn repeat_of(
    tenant: &TenantId,
    verb: Verb,
    request_id: Option<RequestId>,
    request: &impl Serialize,
) -> Option<Repeat> {
    repeat_about(tenant, verb, request_id.map(|id| (tenant, id)), request)
}

/// The repeat of a request about a tenant, with who asks; its hash is equal for equal requests,
/// with maps in order.
pub(super) fn repeat_about(
    about: &TenantId,
    verb: Verb,
    asked: Option<(&TenantId, RequestId)>,
    request: &impl Serialize,
) -> Option<Repeat> {
    let (tenant, id) = asked?;
    let bytes = postcard::to_stdvec(&(about, request)).expect("requests can be written");
    let hash = *blake3::hash(&bytes).as_bytes();
    Some(Repeat { tenant: tenant.clone(), verb, request: id, hash })
}

pub(super) fn revised<T: DeserializeOwned>(rows: &[Row]) -> Result<Option<Revised<T>>, Failure> {
    let Some(found) = rows.first() else { return Ok(None) };
    let row = decode(&found.value).map_err(unreadable)?;
    Ok(Some(Revised { row, revision: found.revision }))
}

impl Memory {
    /// The time that everything here goes by.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) async fn read(&self, reads: Vec<Read>) -> Result<Vec<Vec<Row>>, Failure> {
        self.store.read(reads).await.map_err(store_failure)
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        key: Vec<u8>,
    ) -> Result<Option<Revised<T>>, Failure> {
        let rows = self.read(vec![Read::get(key)]).await?;
        revised(&rows[0])
    }

    /// The head of a session that exists and has not ended.
    pub(super) async fn head(
        &self,
        tenant: &TenantId,
        session: &SessionId,
    ) -> Result<Option<Revised<Head>>, Failure> {
        let head = self.get::<Head>(keys::head(tenant, session)).await?;
        Ok(head.filter(|head| !head.row.has_ended(self.clock.now())))
    }

    /// The head of a session, which must exist.
    pub(super) async fn existing(
        &self,
        tenant: &TenantId,
        session: &SessionId,
    ) -> Result<Revised<Head>, Failure> {
        let missing = || Failure::new(Reason::SessionNotFound, format!("no session `{session}`"));
        self.head(tenant, session).await?.ok_or_else(missing)
    }

    pub(super) async fn user_head(
        &self,
        tenant: &TenantId,
        user: Option<&UserId>,
    ) -> Result<Option<Revised<UserHead>>, Failure> {
        match user {
            Some(user) => self.get(keys::user(tenant, user)).await,
            None => Ok(None),
        }
    }

    /// The answer of an earlier call with the same id, if there was one.
    pub(super) async fn replayed(
        &self,
        repeat: Option<&Repeat>,
    ) -> Result<Option<Answered>, Failure> {
        let Some(repeat) = repeat else { return Ok(None) };
        let key = keys::repeat(&repeat.tenant, repeat.verb as u8, repeat.request);
        let Some(found) = self.get::<RepeatRow>(key).await? else { return Ok(None) };
        if found.row.request_hash != repeat.hash {
            let message = "the request id came before with another request";
            return Err(Failure::new(Reason::RequestIdReused, message).at("request_id"));
        }
        Ok(Some(Answered { answer: found.row.answer, replayed: true }))
    }

    /// Plans and commits until a commit holds. A plan that fails because an equal request came
    /// first is answered as its repeat.
    pub(super) async fn commit<F, P>(
        &self,
        repeat: Option<&Repeat>,
        plan: P,
    ) -> Result<Answered, Failure>
    where
        P: Fn() -> F,
        F: Future<Output = Result<AppendPlan, Failure>>,
    {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(answered) = self.replayed(repeat).await? {
                return Ok(answered);
            }
            let _planned = self.erasure.plan(self.clock.as_ref());
            let AppendPlan { draft, answer } = match plan().await {
                Ok(planned) => planned,
                Err(failure) => {
                    return self.replayed(repeat).await?.ok_or(failure);
                }
            };
            let erases = draft.erases();
            match self.store.commit(draft.into_batch()).await {
                Ok(_) => {
                    self.erasure.note(erases, self.now());
                    return Ok(Answered { answer, replayed: false });
                }
                Err(CommitError::Conflict { .. }) => tokio::task::yield_now().await,
                Err(CommitError::Store(error)) => return Err(store_failure(error)),
            }
        }
        Err(Failure::new(Reason::Contention, "too many writers of the same session or user")
            .retry_after(Duration::from_millis(50)))
    }
}
