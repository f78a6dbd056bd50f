//! A run's service: one process after another over the same store, each until it dies.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use keepsake::chance::SeededChance;
use keepsake::error::Failure;
use keepsake::memory::{Memory, Partitions, Worked};
use keepsake::storage::Store;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::dice::Dice;
use super::disk::{Disk, Kept, Rates};
use super::model::Model;
use super::ports::{FaultyEmbedder, JumpingClock, LatePool};

/// What a seed makes likely.
#[derive(Debug, Clone, Copy)]
pub struct Mood {
    pub rates: Rates,
    pub embedding_fails: u64,
    pub deaths: u64,
    pub cuts: u64,
    pub jumps: u64,
    /// Whether a process may come up with another model than the one before.
    pub models: bool,
}

impl Mood {
    pub fn of(dice: &Dice) -> Self {
        let some = |most: u64| if dice.per_mille(600) { dice.below(most + 1) } else { 0 };
        Self {
            rates: Rates {
                refused: some(60),
                failed: some(25),
                unreadable: some(20),
                late: some(900),
                late_us: *dice.one_of(&[300, 3_000, 30_000, 300_000]),
            },
            embedding_fails: some(400),
            deaths: some(500),
            cuts: some(300),
            jumps: some(300),
            models: dice.per_mille(400),
        }
    }
}

/// One life of the process.
pub struct Process {
    pub memory: Arc<Memory>,
    /// The number of the model that it embeds by.
    pub model: u64,
    disk: Arc<Disk>,
    is_gone: AtomicBool,
    goes: Notify,
    tasks: Vec<AbortHandle>,
}

pub struct World {
    pub dice: Arc<Dice>,
    pub mood: Mood,
    pub clock: Arc<JumpingClock>,
    pub model: Arc<Mutex<Model>>,
    pub kept: Arc<Kept>,
    pub faulty: Arc<AtomicBool>,
    /// The secret of each tenant's key, and the version that its policy has at the least.
    pub keys: Mutex<BTreeMap<u8, (String, u64)>>,
    /// The prefixes of contexts by what they may depend on.
    pub prefixes: Mutex<BTreeMap<String, String>>,
    // No `watch` channel: those wake in an order that no seed decides.
    process: Mutex<Option<Arc<Process>>>,
    up: Notify,
    count: AtomicU64,
    chance: Arc<SeededChance>,
}

/// Runs a part of the run; when it panics, the model is told.
pub async fn guarded(model: Arc<Mutex<Model>>, part: impl Future<Output = ()>) {
    if let Err(panic) = AssertUnwindSafe(part).catch_unwind().await {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let text = text.unwrap_or_default();
        let mut model = model.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        model.wrong(format!("a panic: {text}"));
    }
}

impl World {
    pub fn new(seed: u64) -> Arc<Self> {
        let dice = Arc::new(Dice::new(seed, "world"));
        let mood = Mood::of(&dice);
        let clock = Arc::new(JumpingClock::new());
        let model = Arc::new(Mutex::new(Model::new(clock.clone())));
        let kept = Arc::new(Kept::new(model.clone()));
        Arc::new(Self {
            dice,
            mood,
            clock,
            model,
            kept,
            faulty: Arc::new(AtomicBool::new(false)),
            keys: Mutex::default(),
            prefixes: Mutex::default(),
            process: Mutex::default(),
            up: Notify::new(),
            count: AtomicU64::new(0),
            chance: Arc::new(SeededChance::new(seed)),
        })
    }

    /// A number that was not given before, from 1.
    pub fn number(&self) -> u64 {
        self.count.fetch_add(1, Relaxed) + 1
    }

    /// The service over a store, with the chance, the clock and a model of the run.
    pub fn memory(&self, store: Arc<dyn Store>, model: u64) -> Memory {
        let embedder = FaultyEmbedder {
            key: format!("model-{model}"),
            dice: self.dice.clone(),
            faulty: self.faulty.clone(),
            failures_per_mille: self.mood.embedding_fails,
        };
        let partitions = Partitions::new(1 << 26);
        Memory::new(store, self.clock.clone(), self.chance.clone(), partitions, &[7; 32])
            .with_embedder(Arc::new(embedder))
            .with_pool(Arc::new(LatePool { dice: self.dice.clone() }))
    }

    /// Starts a process; when that fails, another one.
    pub async fn start(self: &Arc<Self>) {
        loop {
            self.clock.forget();
            let (kept, faulty) = (self.kept.clone(), self.faulty.clone());
            let disk = Arc::new(Disk::open(kept, self.mood.rates, faulty, self.dice.clone()));
            let model = self.dice.below(if self.mood.models { 2 } else { 1 });
            let memory = Arc::new(self.memory(disk.clone(), model));
            if begun(&memory).await.is_err() {
                disk.kill();
                sleep(Duration::from_millis(200)).await;
                continue;
            }
            let (is_gone, goes) = (AtomicBool::new(false), Notify::new());
            let tasks = self.background(&memory);
            let process = Arc::new(Process { memory, model, disk, is_gone, goes, tasks });
            *self.process.lock().unwrap() = Some(process);
            self.up.notify_waiters();
            return;
        }
    }

    fn background(self: &Arc<Self>, memory: &Arc<Memory>) -> Vec<AbortHandle> {
        let mut tasks = Vec::new();
        for _ in 0..2 {
            tasks.push(guarded(self.model.clone(), embed(memory.clone())).boxed());
        }
        tasks.push(guarded(self.model.clone(), work(memory.clone())).boxed());
        tasks.push(guarded(self.model.clone(), sweep(memory.clone())).boxed());
        tasks.into_iter().map(|task| tokio::spawn(task).abort_handle()).collect()
    }

    /// The process that runs, once one does.
    pub async fn process(&self) -> Arc<Process> {
        loop {
            let up = self.up.notified();
            let running = self.process.lock().unwrap().clone();
            match running {
                Some(process) => return process,
                None => up.await,
            }
        }
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&self) {
        let Some(process) = self.process.lock().unwrap().take() else { return };
        process.disk.kill();
        process.tasks.iter().for_each(AbortHandle::abort);
        process.is_gone.store(true, Relaxed);
        process.goes.notify_waiters();
    }

    /// Lets processes die and clocks jump, until it is dropped.
    pub async fn fate(self: Arc<Self>) {
        loop {
            let process = self.process().await;
            let pause = Duration::from_millis(self.dice.between(200, 8_000));
            let failed = tokio::select! {
                biased;
                _ = process.disk.faulted() => true,
                () = sleep(pause) => false,
            };
            let faulty = self.faulty.load(Relaxed);
            if faulty && self.dice.per_mille(self.mood.jumps) {
                let far = [50, 5_000, 120_000, 3_600_000, 8 * 3_600_000, 80 * 3_600_000];
                let far = *self.dice.one_of(&far[..4 + self.dice.below(3) as usize]);
                self.clock.jump(i64::try_from(self.dice.below(far)).unwrap());
            }
            if failed || (faulty && self.dice.per_mille(self.mood.deaths)) {
                self.kill();
                sleep(Duration::from_millis(self.dice.below(2_000))).await;
                if faulty && self.dice.per_mille(100) {
                    self.clock.jump(-i64::try_from(self.dice.below(600_000)).unwrap());
                }
                self.start().await;
            }
        }
    }
}

impl Process {
    /// The store of this life.
    pub fn store(&self) -> Arc<dyn Store> {
        self.disk.clone()
    }

    /// Waits until the process has died.
    pub async fn gone(&self) {
        let goes = self.goes.notified();
        if !self.is_gone.load(Relaxed) {
            goes.await;
        }
    }
}

async fn begun(memory: &Memory) -> Result<(), Failure> {
    memory.resume_purges().await?;
    memory.resume_embedding().await
}

const RETRY: Duration = Duration::from_millis(500);

async fn embed(memory: Arc<Memory>) {
    loop {
        match memory.embed_some().await {
            Ok(true) => {}
            Ok(false) => memory.more_to_embed().await,
            Err(_) => sleep(RETRY).await,
        }
    }
}

async fn work(memory: Arc<Memory>) {
    loop {
        match memory.work_some().await {
            Ok(Worked::Some) => {}
            Ok(Worked::Idle(due)) => {
                let most = Duration::from_secs(20);
                let wait = due.map_or(most, |due| {
                    let ms = due.0.saturating_sub(memory.now().0).clamp(1_000, 20_000);
                    Duration::from_millis(ms.unsigned_abs())
                });
                sleep(wait).await;
            }
            Err(_) => sleep(RETRY).await,
        }
    }
}

async fn sweep(memory: Arc<Memory>) {
    loop {
        sleep(Duration::from_secs(30)).await;
        while let Ok(1..) = memory.sweep().await {}
    }
}
