//! The store of a run: a map that survives, and the store of one life of the process over it, whose
//! calls are late, refused, kept without an answer or lost with the process.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use keepsake::planted::{self, Bug};
use keepsake::storage::{Batch, CommitError, MemStore, Read, Revision, Row, Store, StoreError};
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::dice::Dice;
use super::model::Model;

tokio::task_local! {
    /// The call that a commit belongs to.
    pub static CALL: u64;
}

/// How often what happens, in a thousand calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    pub refused: u64,
    pub failed: u64,
    pub unreadable: u64,
    pub late: u64,
    /// How late a call is at the most, in microseconds.
    pub late_us: u64,
}

type Answer = Result<Revision, CommitError>;

struct Waiting {
    call: Option<u64>,
    batch: Batch,
    answer: oneshot::Sender<Answer>,
}

/// What is kept, with what all of it must be.
pub struct Kept {
    rows: Mutex<Arc<MemStore>>,
    model: Arc<Mutex<Model>>,
    /// All that was written, while a store is planted that forgets some of it.
    written: Mutex<Vec<Batch>>,
}

impl Kept {
    pub fn new(model: Arc<Mutex<Model>>) -> Self {
        Self { rows: Mutex::default(), model, written: Mutex::default() }
    }

    fn store(&self) -> Arc<MemStore> {
        self.rows.lock().unwrap().clone()
    }

    fn put(&self, batch: &Batch) -> Answer {
        self.store().commit(batch.clone()).now_or_never().expect("a map does not wait")
    }

    /// Writes a batch and tells the model; no part of the run comes between.
    fn write(&self, call: Option<u64>, batch: Batch) -> Answer {
        let written = self.put(&batch);
        if written.is_ok() {
            self.model.lock().unwrap().committed(call, &batch);
            if planted::has(Bug::SkipSync) {
                self.written.lock().unwrap().push(batch);
            }
        }
        written
    }

    /// A store that skips its sync loses the last that it acknowledged.
    fn lose(&self, batches: u64) {
        let mut written = self.written.lock().unwrap();
        let left = written.len().saturating_sub(usize::try_from(batches).unwrap());
        written.truncate(left);
        *self.rows.lock().unwrap() = Arc::new(MemStore::new());
        written.iter().for_each(|batch| drop(self.put(batch)));
    }

    /// Every row whose key begins with `prefix`.
    pub async fn rows(&self, prefix: &[u8]) -> Vec<Row> {
        self.store().read(vec![Read::prefix(prefix.to_vec())]).await.unwrap().remove(0)
    }
}

/// The store in one life of the process.
pub struct Disk {
    shared: Arc<Shared>,
    writer: AbortHandle,
}

struct Shared {
    kept: Arc<Kept>,
    rates: Rates,
    faulty: Arc<AtomicBool>,
    dice: Arc<Dice>,
    queue: Mutex<VecDeque<Waiting>>,
    more: Notify,
    broken: AtomicBool,
    breaks: Notify,
}

impl Disk {
    pub fn open(kept: Arc<Kept>, rates: Rates, faulty: Arc<AtomicBool>, dice: Arc<Dice>) -> Self {
        let shared = Arc::new(Shared {
            kept,
            rates,
            faulty,
            dice,
            queue: Mutex::default(),
            more: Notify::new(),
            broken: AtomicBool::new(false),
            breaks: Notify::new(),
        });
        let writer = tokio::spawn(write(shared.clone())).abort_handle();
        Self { shared, writer }
    }

    /// The process dies: of the commits that wait, some of the first are kept, the others lost.
    pub fn kill(&self) {
        self.writer.abort();
        self.shared.broken.store(true, Relaxed);
        let waiting = std::mem::take(&mut *self.shared.queue.lock().unwrap());
        let kept = self.shared.dice.below(waiting.len() as u64 + 1);
        for waiting in waiting.into_iter().take(usize::try_from(kept).unwrap()) {
            let _ = self.shared.kept.write(waiting.call, waiting.batch);
        }
        if planted::has(Bug::SkipSync) {
            self.shared.kept.lose(self.shared.dice.below(3));
        }
    }
}

fn fault() -> StoreError {
    StoreError::Fault { attempt: "keep to the run", source: Arc::new(std::fmt::Error) }
}

impl Shared {
    fn happens(&self, per_mille: u64) -> bool {
        self.faulty.load(Relaxed) && self.dice.per_mille(per_mille)
    }

    async fn be_late(&self) {
        if self.happens(self.rates.late) {
            // Now and then much later: others then pass by.
            let times = if self.dice.per_mille(60) { 20 } else { 1 };
            let late = self.dice.below(self.rates.late_us + 1) * times;
            sleep(Duration::from_micros(late)).await;
        } else if self.dice.per_mille(300) {
            tokio::task::yield_now().await;
        }
    }

    fn open(&self) -> Result<(), StoreError> {
        if self.broken.load(Relaxed) { Err(fault()) } else { Ok(()) }
    }
}

/// The writer: takes what waits as a group, writes it after a while, and answers, also late.
async fn write(shared: Arc<Shared>) {
    loop {
        shared.more.notified().await;
        loop {
            shared.be_late().await;
            // What waits stays in the queue until it is written: a death decides about it.
            let group = shared.queue.lock().unwrap().len();
            if group == 0 {
                break;
            }
            let failed = shared.happens(shared.rates.failed);
            for _ in 0..group {
                let Some(waiting) = shared.queue.lock().unwrap().pop_front() else { break };
                let Waiting { call, batch, answer } = waiting;
                if failed {
                    if shared.dice.per_mille(500) {
                        let _ = shared.kept.write(call, batch);
                    }
                    shared.broken.store(true, Relaxed);
                    let _ = answer.send(Err(fault().into()));
                    continue;
                }
                if planted::has(Bug::EarlyPublish) {
                    let published = shared.kept.put(&batch);
                    sleep(Duration::from_millis(1)).await;
                    if published.is_ok() {
                        shared.kept.model.lock().unwrap().committed(call, &batch);
                    }
                    let _ = answer.send(published);
                    continue;
                }
                let written = shared.kept.write(call, batch);
                if shared.happens(shared.rates.late) {
                    let late = Duration::from_micros(shared.dice.below(shared.rates.late_us + 1));
                    tokio::spawn(async move {
                        sleep(late).await;
                        let _ = answer.send(written);
                    });
                } else {
                    let _ = answer.send(written);
                }
            }
            if failed {
                shared.queue.lock().unwrap().clear();
                shared.breaks.notify_waiters();
                return;
            }
        }
    }
}

#[async_trait]
impl Store for Disk {
    async fn read(&self, reads: Vec<Read>) -> Result<Vec<Vec<Row>>, StoreError> {
        let shared = &self.shared;
        shared.open()?;
        shared.be_late().await;
        shared.open()?;
        if shared.happens(shared.rates.unreadable) {
            return Err(fault());
        }
        let rows = shared.kept.store().read(reads).await;
        shared.be_late().await;
        rows
    }

    async fn commit(&self, batch: Batch) -> Answer {
        let shared = &self.shared;
        shared.open()?;
        if shared.happens(shared.rates.refused) {
            let error = match shared.dice.per_mille(500) {
                true => StoreError::Overloaded { commits: 9, bytes: 9 },
                false => StoreError::Full { source: Arc::new(std::fmt::Error) },
            };
            return Err(error.into());
        }
        let (answer, answered) = oneshot::channel();
        let call = CALL.try_with(|call| *call).ok();
        shared.queue.lock().unwrap().push_back(Waiting { call, batch, answer });
        shared.more.notify_one();
        if planted::has(Bug::EarlyAnswer) {
            return Ok(Revision(0));
        }
        answered.await.unwrap_or_else(|_| Err(fault().into()))
    }

    async fn faulted(&self) -> StoreError {
        let breaks = self.shared.breaks.notified();
        if !self.shared.broken.load(Relaxed) {
            breaks.await;
        }
        fault()
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.kill();
        Ok(())
    }
}
