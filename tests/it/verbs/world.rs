//! The verbs over the memory engine, with a clock that is moved by hand and a store that can fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use keepsake::chance::SystemChance;
use keepsake::clock::ManualClock;
use keepsake::context::Format;
use keepsake::documents::{DocumentFilter, MemIndex};
use keepsake::embed::{Embedder, Hashed};
use keepsake::error::Failure;
use keepsake::memory::{
    Answered, BuildRequest, Built, Filter, Memory, NewTenant, Partitions, PolicyChange, Scope,
    Spaces, StoreRecord, SummaryChange, Target,
};
use keepsake::rerank::Reranker;
use keepsake::sessions::{Append, NewTurn};
use keepsake::storage::{Batch, CommitError, MemStore, Read, Revision, Row, Store, StoreError};
use keepsake::types::{
    Part, Policy, RequestId, Role, SessionId, Status, SummaryPolicy, TenantId, Timestamp, UserId,
};

/// A store that stops after some commits, and never answers reads of one key.
pub struct Fragile {
    inner: Box<dyn Store>,
    commits_left: AtomicI64,
    /// How many commits are answered before one is kept without an answer.
    answers_left: AtomicI64,
    commits: AtomicI64,
    silent: AtomicBool,
    stalled: std::sync::Mutex<Option<Vec<u8>>>,
    held: std::sync::Mutex<Option<Vec<u8>>>,
    released: tokio::sync::Notify,
    failure: std::sync::Mutex<StoreError>,
}

impl Fragile {
    pub fn over(inner: impl Store + 'static) -> Self {
        Self {
            inner: Box::new(inner),
            commits_left: AtomicI64::new(i64::MAX),
            answers_left: AtomicI64::new(i64::MAX),
            commits: AtomicI64::new(0),
            silent: AtomicBool::new(false),
            stalled: std::sync::Mutex::new(None),
            held: std::sync::Mutex::new(None),
            released: tokio::sync::Notify::new(),
            failure: std::sync::Mutex::new(StoreError::Closed),
        }
    }

    /// How a commit fails from now on that does not succeed.
    pub fn fail_with(&self, failure: StoreError) {
        *self.failure.lock().unwrap() = failure;
    }

    /// From now on `commits` commits succeed, and none after them.
    pub fn break_after(&self, commits: i64) {
        self.commits_left.store(commits, Ordering::SeqCst);
    }

    /// From now on commits are kept, and their answers never come.
    pub fn silence(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// From now on `commits` commits succeed; the next one is kept, but its answer is lost, and
    /// none succeeds after it.
    pub fn lose_after(&self, commits: i64) {
        self.answers_left.store(commits, Ordering::SeqCst);
    }

    /// The store works again.
    pub fn mend(&self) {
        self.break_after(i64::MAX);
        self.lose_after(i64::MAX);
        self.silent.store(false, Ordering::SeqCst);
    }

    /// How many commits were kept.
    pub fn commits(&self) -> i64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// Puts a row behind the back of the verbs.
    pub async fn put(&self, key: Vec<u8>, value: Vec<u8>) {
        self.inner.commit(Batch::new().put(key, value)).await.unwrap();
    }

    /// Takes a row away behind the back of the verbs.
    pub async fn remove(&self, key: Vec<u8>) {
        self.inner.commit(Batch::new().delete(key)).await.unwrap();
    }

    /// Reads of this key wait for ever.
    pub fn stall(&self, key: Vec<u8>) {
        *self.stalled.lock().unwrap() = Some(key);
    }

    /// The next read of keys below this prefix waits until it is released.
    pub fn hold(&self, prefix: Vec<u8>) {
        *self.held.lock().unwrap() = Some(prefix);
    }

    /// What was held goes on.
    pub fn release(&self) {
        self.released.notify_one();
    }

    /// Whether reads are those that are to be held; the first ones are.
    fn is_held(&self, reads: &[Read]) -> bool {
        let mut held = self.held.lock().unwrap();
        let below = |read: &Read| match (read, &*held) {
            (Read::Get(key) | Read::Range { from: key, .. }, Some(prefix)) => {
                key.starts_with(prefix)
            }
            _ => false,
        };
        let is_held = reads.iter().any(below);
        if is_held {
            *held = None;
        }
        is_held
    }

    /// Every row whose key begins with `prefix`.
    pub async fn rows(&self, prefix: &[u8]) -> Vec<Row> {
        self.inner.read(vec![Read::prefix(prefix.to_vec())]).await.unwrap().remove(0)
    }

    /// How many rows hold `bytes` in their key or value.
    pub async fn rows_with(&self, bytes: &str) -> usize {
        let holds = |text: &Bytes| text.windows(bytes.len()).any(|part| part == bytes.as_bytes());
        let rows = self.rows(b"").await;
        rows.iter().filter(|row| holds(&row.key) || holds(&row.value)).count()
    }
}

#[async_trait]
impl Store for Fragile {
    async fn read(&self, reads: Vec<Read>) -> Result<Vec<Vec<Row>>, StoreError> {
        let stalled = self.stalled.lock().unwrap().clone();
        let waits = |read: &Read| match (read, &stalled) {
            (Read::Get(key), Some(stalled)) => key == stalled,
            _ => false,
        };
        if reads.iter().any(waits) {
            std::future::pending::<()>().await;
        }
        if self.is_held(&reads) {
            self.released.notified().await;
        }
        self.inner.read(reads).await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        let failed = || Err(CommitError::Store(self.failure.lock().unwrap().clone()));
        let answers = self.answers_left.fetch_sub(1, Ordering::SeqCst);
        if self.commits_left.fetch_sub(1, Ordering::SeqCst) <= 0 || answers < 0 {
            return failed();
        }
        let committed = self.inner.commit(batch).await;
        self.commits.fetch_add(1, Ordering::SeqCst);
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if answers == 0 { failed() } else { committed }
    }

    async fn faulted(&self) -> StoreError {
        self.inner.faulted().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

/// One tenant's verbs.
pub struct World {
    pub store: Arc<Fragile>,
    pub clock: Arc<ManualClock>,
    pub memory: Memory,
    pub tenant: TenantId,
    pub policy: Policy,
    embedder: Option<Arc<dyn Embedder>>,
}

/// Monday, 1 January 2024, 00:00 UTC.
pub const START: Timestamp = Timestamp(1_704_067_200_000);
pub const HOUR_MS: i64 = 3_600_000;

fn memory(
    store: Arc<Fragile>,
    clock: Arc<ManualClock>,
    embedder: Option<Arc<dyn Embedder>>,
) -> Memory {
    let partitions = Partitions::new(1 << 26);
    let memory = Memory::new(store, clock, Arc::new(SystemChance), partitions, &[7; 32]);
    match embedder {
        Some(embedder) => memory.with_embedder(embedder),
        None => memory,
    }
}

impl World {
    pub async fn new() -> Self {
        Self::over(MemStore::new()).await
    }

    /// With an embedder that knows words only.
    pub async fn embedding() -> Self {
        Self::with_embedder(Arc::new(Hashed::new())).await
    }

    pub async fn with_embedder(embedder: Arc<dyn Embedder>) -> Self {
        Self::made(MemStore::new(), Some(embedder)).await
    }

    pub async fn over(store: impl Store + 'static) -> Self {
        Self::made(store, None).await
    }

    async fn made(store: impl Store + 'static, embedder: Option<Arc<dyn Embedder>>) -> Self {
        let (store, clock) = (Arc::new(Fragile::over(store)), Arc::new(ManualClock::new(START)));
        let memory = memory(store.clone(), clock.clone(), embedder.clone());
        let (tenant, policy) = (TenantId::parse("t").unwrap(), Policy::initial());
        let new = NewTenant { tenant: tenant.clone(), policy: policy.clone() };
        memory.create_tenant(&new, None).await.unwrap();
        Self { store, clock, memory, tenant, policy, embedder }
    }

    /// The same store and clock after a restart.
    pub fn restarted(&self) -> Self {
        self.restart(self.embedder.clone())
    }

    /// The same store and clock after a restart with another embedder.
    pub fn restarted_with(&self, embedder: Arc<dyn Embedder>) -> Self {
        self.restart(Some(embedder))
    }

    /// The same store and clock after a restart without an embedder.
    pub fn restarted_without(&self) -> Self {
        self.restart(None)
    }

    /// The same store and clock after a restart with two embedders.
    pub async fn restarted_between(
        &self,
        model: Arc<dyn Embedder>,
        next: Arc<dyn Embedder>,
    ) -> Self {
        self.store.mend();
        let spaces = Spaces::open(self.store.as_ref(), Some(model), Some(next)).await.unwrap();
        self.restart_in(Arc::new(spaces))
    }

    /// The same store and clock after a restart with one embedder, as a server starts.
    pub async fn restarted_alone(&self, model: Arc<dyn Embedder>) -> Self {
        self.store.mend();
        let spaces = Spaces::open(self.store.as_ref(), Some(model), None).await.unwrap();
        self.restart_in(Arc::new(spaces))
    }

    /// With an index of documents in memory, brought to where the record is.
    fn restart_in(&self, spaces: Arc<Spaces>) -> Self {
        let world = self.restart(None);
        let record = StoreRecord::serving(self.store.clone(), spaces.clone());
        let index = Arc::new(MemIndex::new(Arc::new(record)));
        let memory = world.memory.with_spaces(spaces).with_documents(index);
        Self { memory, ..world }
    }

    fn restart(&self, embedder: Option<Arc<dyn Embedder>>) -> Self {
        self.store.mend();
        Self {
            store: self.store.clone(),
            clock: self.clock.clone(),
            memory: memory(self.store.clone(), self.clock.clone(), embedder.clone()),
            tenant: self.tenant.clone(),
            policy: self.policy.clone(),
            embedder,
        }
    }

    /// The same with an index of documents in memory, brought to where the record is.
    pub async fn with_index(mut self) -> Self {
        let embedder = self.embedder.as_ref().map(|embedder| embedder.key().to_owned());
        let record = StoreRecord::new(self.store.clone(), embedder);
        self.memory = self.memory.with_documents(Arc::new(MemIndex::new(Arc::new(record))));
        self.memory.reconcile_documents().await.unwrap();
        self
    }

    /// The same with a reranker, which reads at most so many of what is found first.
    pub fn with_reranker(mut self, reranker: Arc<dyn Reranker>, candidates: usize) -> Self {
        self.memory = self.memory.with_reranker(reranker, candidates, &[7; 32]);
        self
    }

    /// Makes the world's summary policy the tenant's.
    pub async fn keep_policy(&mut self) {
        let SummaryPolicy { tail_high_tokens, tail_low_tokens, idle_minutes, off } =
            self.policy.summaries;
        let summaries = SummaryChange {
            tail_high_tokens: tail_high_tokens.or(Some(0)),
            tail_low_tokens: tail_low_tokens.or(Some(0)),
            idle_minutes: idle_minutes.or(Some(0)),
            off: Some(off),
        };
        let change = PolicyChange { summaries, ..PolicyChange::default() };
        let (tenant, _) = self.memory.update_tenant(&self.tenant, &change, None).await.unwrap();
        self.policy = (*tenant.policy).clone();
    }

    pub async fn append(&self, request: &Append) -> Answered {
        self.append_as(request, None).await.unwrap()
    }

    pub async fn append_as(
        &self,
        request: &Append,
        id: Option<RequestId>,
    ) -> Result<Answered, Failure> {
        self.memory.append(&self.tenant, &self.policy, request, id).await
    }

    pub async fn build(&self, target: Target, query: &str) -> Built {
        self.try_build(target, query, None).await.unwrap()
    }

    pub async fn try_build(
        &self,
        target: Target,
        query: &str,
        budget_tokens: Option<u32>,
    ) -> Result<Built, Failure> {
        let request = BuildRequest {
            target,
            query: query.to_owned(),
            model: String::new(),
            budget_tokens,
            reserve_tokens: 0,
            instructions: String::new(),
            filter: Filter::default(),
            as_of: Some(START),
            time_zone: jiff::tz::TimeZone::UTC,
            shares: None,
            documents_percent: None,
            format: Format::Neutral,
            explain: false,
            collections: Vec::new(),
            document_filter: DocumentFilter::default(),
        };
        self.memory.build_context(&self.tenant, &self.policy, request).await
    }
}

pub fn session(name: &str) -> SessionId {
    SessionId::parse(name).unwrap()
}

pub fn request_id(n: u128) -> RequestId {
    RequestId(uuid::Uuid::from_u128(n))
}

pub fn said(role: Role, words: &str) -> NewTurn {
    NewTurn {
        role,
        name: String::new(),
        parts: vec![Part::Text(words.to_owned())],
        created_at: None,
        external_id: String::new(),
        metadata: Default::default(),
        status: Status::Complete,
    }
}

/// Turns of a user's session, the user first, in turn with the assistant.
pub fn append(name: &str, user: &str, words: &[&str]) -> Append {
    let roles = [Role::User, Role::Assistant].into_iter().cycle();
    Append {
        session: session(name),
        user: UserId::parse(user).ok(),
        turns: roles.zip(words).map(|(role, words)| said(role, words)).collect(),
        expected_version: None,
        replace_from: None,
    }
}

pub fn of_session(name: &str) -> Target {
    Target {
        session: Some(session(name)),
        user: None,
        scope: Scope::Session,
        deadline: None,
        hurried: false,
    }
}

pub fn of_user(name: &str, own: Option<&str>, deadline: Option<Instant>) -> Target {
    let user = Some(UserId::parse(name).unwrap());
    Target { session: own.map(session), user, scope: Scope::User, deadline, hurried: false }
}
