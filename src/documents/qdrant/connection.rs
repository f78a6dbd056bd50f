//! Calls to the server: each with a time-out, behind a breaker, tried again where that is safe.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use qdrant_client::{
    Qdrant, QdrantError,
    qdrant::{
        CountPoints, GetPoints, PointsUpdateOperation, QueryBatchPoints, QueryPoints,
        RetrievedPoint, ScoredPoint, ScrollPoints, UpdateBatchPoints, UpdateStatus, WriteOrdering,
        WriteOrderingType,
    },
};
use tonic::{Code, Status};

use crate::breaker::{Breaker, BreakerState};
use crate::documents::IndexError;

/// How long a write may take, and a page of a list: replicas and the disk take part in it.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// How long it may take to say which version it is.
const VERSION_MAX: Duration = Duration::from_secs(5);
/// How long it may take to connect.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long to wait before a call is made again that may be.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];
/// The longest that is waited because the server asks for it.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(2);
/// The first characters of what a server says that go into an error.
const SAID_CHARS_MAX: usize = 200;

/// Why a call came to nothing.
#[derive(Debug)]
pub(super) enum Refused {
    /// It was not answered, or not made since others were not: it may be later.
    Unavailable(String),
    /// The collection is not there.
    NoCollection,
    /// A point is not there.
    NoPoint,
    /// It was answered by no, and will be again.
    Broken(String),
    /// The record cannot be read.
    Record(IndexError),
}

impl From<Refused> for IndexError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unavailable(why) => Self::Unavailable { why },
            Refused::NoCollection => Self::Unavailable { why: "its collection is gone".into() },
            Refused::NoPoint => Self::Unavailable { why: "some of its points are gone".into() },
            Refused::Broken(why) => Self::Broken { why },
            Refused::Record(error) => error,
        }
    }
}

/// A server.
pub(super) struct Connection {
    client: Qdrant,
    breaker: Mutex<Breaker>,
    /// How long a question may take.
    search_max: Duration,
    failures: AtomicU64,
}

/// A call under way; one that is dropped without its end was given up.
struct Under<'a> {
    connection: &'a Connection,
    begun: Instant,
    limit: Duration,
    ended: bool,
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // Who made it waited for a good part of what it may take: that says as much as the end.
        match self.begun.elapsed() * 2 >= self.limit {
            true => self.connection.failed(),
            false => self.connection.breaker().given_up(),
        }
    }
}

impl Connection {
    /// Makes calls to the server at `url`; nothing is sent yet.
    ///
    /// # Errors
    /// [`IndexError::Broken`] for a URL that is none.
    pub(super) fn new(
        url: &str,
        api_key: Option<&str>,
        search_max: Duration,
    ) -> Result<Self, IndexError> {
        let mut config = Qdrant::from_url(url)
            .timeout(WRITE_MAX)
            .connect_timeout(CONNECT_MAX)
            .keep_alive_while_idle()
            .skip_compatibility_check();
        if let Some(key) = api_key {
            config = config.api_key(key);
        }
        let client = config.build();
        let client = client.map_err(|error| IndexError::Broken { why: error.to_string() })?;
        let breaker = Mutex::new(Breaker::new());
        Ok(Self { client, breaker, search_max, failures: AtomicU64::new(0) })
    }

    /// What the breaker does.
    pub(super) fn state(&self) -> BreakerState {
        self.breaker().state()
    }

    /// How many calls were not answered.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
        self.breaker().failed(Instant::now());
    }

    /// Makes a call once.
    async fn once<T, F: Future<Output = Result<T, QdrantError>>>(
        &self,
        limit: Duration,
        call: impl FnOnce() -> F,
    ) -> Result<T, (Refused, Option<Duration>)> {
        if !self.breaker().admits(Instant::now()) {
            let why = "it did not answer lately and is left alone for a while";
            return Err((Refused::Unavailable(why.into()), None));
        }
        let mut under = Under { connection: self, begun: Instant::now(), limit, ended: false };
        let answered = tokio::time::timeout(limit, call()).await;
        under.ended = true;
        let (refused, wait) = match answered {
            Ok(Ok(answer)) => {
                self.breaker().succeeded();
                return Ok(answer);
            }
            Ok(Err(error)) => refused(error),
            Err(_) => (Refused::Unavailable(format!("no answer within {limit:?}")), None),
        };
        match &refused {
            Refused::Unavailable(_) => self.failed(),
            _ => self.breaker().succeeded(),
        }
        Err((refused, wait))
    }

    /// Makes a call, again when it is not answered: one that may be made twice.
    async fn again<T, F: Future<Output = Result<T, QdrantError>>>(
        &self,
        call: impl Fn() -> F,
    ) -> Result<T, Refused> {
        for pause in AGAIN_AFTER {
            match self.once(WRITE_MAX, &call).await {
                Err((Refused::Unavailable(_), wait)) => {
                    tokio::time::sleep(wait.unwrap_or(pause).min(ASKED_WAIT_MAX)).await;
                }
                ended => return ended.map_err(|(refused, _)| refused),
            }
        }
        self.once(WRITE_MAX, &call).await.map_err(|(refused, _)| refused)
    }

    /// The version of the server.
    pub(super) async fn version(&self) -> Result<String, Refused> {
        let call = || self.client.health_check();
        let answer = self.once(VERSION_MAX, call).await.map_err(|(refused, _)| refused)?;
        Ok(answer.version)
    }

    /// A call about collections.
    pub(super) async fn about<T, F: Future<Output = Result<T, QdrantError>>>(
        &self,
        call: impl Fn(Qdrant) -> F,
    ) -> Result<T, Refused> {
        self.again(|| call(self.client.clone())).await
    }

    /// Has changes made, in their order; they are searched when this returns. When it fails, the
    /// first of them may have been made.
    pub(super) async fn update(
        &self,
        collection: &str,
        operations: Vec<PointsUpdateOperation>,
    ) -> Result<(), Refused> {
        let request = UpdateBatchPoints {
            collection_name: collection.to_owned(),
            wait: Some(true),
            operations,
            // One process writes: what it has said is in order, whichever node takes it.
            ordering: Some(WriteOrdering { r#type: WriteOrderingType::Medium.into() }),
            timeout: Some(WRITE_MAX.as_secs()),
        };
        let answer = self.again(|| self.client.update_points_batch(request.clone())).await?;
        let done = answer.result.iter().all(|result| result.status() == UpdateStatus::Completed);
        match done {
            true => Ok(()),
            false => Err(Refused::Unavailable("a change was taken and not made in time".into())),
        }
    }

    /// Asks questions, all at one time; the answer has one list for each.
    pub(super) async fn query(
        &self,
        collection: &str,
        query_points: Vec<QueryPoints>,
    ) -> Result<Vec<Vec<ScoredPoint>>, Refused> {
        let asked = query_points.len();
        let request = QueryBatchPoints {
            collection_name: collection.to_owned(),
            query_points,
            read_consistency: None,
            timeout: Some(self.search_max.as_secs().max(1)),
        };
        let call = || self.client.query_batch(request);
        let answer = self.once(self.search_max, call).await.map_err(|(refused, _)| refused)?;
        if answer.result.len() != asked {
            return Err(Refused::Broken("it answers another number of questions".into()));
        }
        Ok(answer.result.into_iter().map(|batch| batch.result).collect())
    }

    /// A page of points, and where the next one begins.
    pub(super) async fn scroll(
        &self,
        request: ScrollPoints,
    ) -> Result<(Vec<RetrievedPoint>, Option<qdrant_client::qdrant::PointId>), Refused> {
        let answer = self.again(|| self.client.scroll(request.clone())).await?;
        Ok((answer.result, answer.next_page_offset))
    }

    /// How many points there are.
    pub(super) async fn count(&self, request: CountPoints) -> Result<u64, Refused> {
        let answer = self.again(|| self.client.count(request.clone())).await?;
        Ok(answer.result.map_or(0, |result| result.count))
    }

    /// Points by their ids; those that are not there are left out.
    pub(super) async fn get(&self, request: GetPoints) -> Result<Vec<RetrievedPoint>, Refused> {
        Ok(self.again(|| self.client.get_points(request.clone())).await?.result)
    }
}

/// What an error says, and how long the server asks to wait.
fn refused(error: QdrantError) -> (Refused, Option<Duration>) {
    match error {
        QdrantError::ResponseError { status } => (by_status(&status), None),
        QdrantError::ResourceExhaustedError { status, retry_after_seconds } => {
            (by_status(&status), Some(Duration::from_secs(retry_after_seconds)))
        }
        QdrantError::Io(error) => (Refused::Unavailable(error.to_string()), None),
        error => (Refused::Broken(error.to_string()), None),
    }
}

fn by_status(status: &Status) -> Refused {
    let text: String = status.message().chars().take(SAID_CHARS_MAX).collect();
    match status.code() {
        Code::NotFound if text.contains("No point with id") => Refused::NoPoint,
        Code::NotFound => Refused::NoCollection,
        Code::InvalidArgument
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => Refused::Broken(format!("{:?}: {text}", status.code())),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Refused::Unavailable(format!("{:?}: {text}", status.code())),
    }
}
