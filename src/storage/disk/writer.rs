//! The one thread that writes: it merges what waits into groups, and answers after their sync.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::engine::{Engine, EngineError, Full, Kind, Position, Recovered, Writes};
use super::folder::Folder;
use super::mark::Mark;
use super::queue::Waiting;
use super::space::Space;
use super::{DiskOptions, GroupWritten, OpenError, Shared, engine_fault, fault};
use crate::storage::{Batch, CommitError, Revision, StoreError};

/// How long commits are refused after the disk was full, before one is tried again: reads wait
/// while the engine is opened again, which takes a tenth of a second.
pub const FULL_PAUSE: Duration = Duration::from_secs(1);

/// The most bytes of a group, unless its only commit is larger: a sync of so many takes tens of
/// milliseconds, and waiting for the next group costs no more.
pub const GROUP_BYTES_MAX: usize = 16 << 20;

struct Writer<K: Kind> {
    shared: Arc<Shared<K::Engine>>,
    kind: K,
    folder: Folder,
    mark: Mark,
    position: Position,
    full: Option<(Instant, StoreError)>,
    /// Whether space is set aside for opening the engine; without it nothing is written.
    reserved: bool,
    space: Space,
    options: DiskOptions,
}

/// Starts the thread; it ends when the queue has ended and is empty, or at a fault.
pub(super) fn start<K: Kind>(
    shared: Arc<Shared<K::Engine>>,
    (kind, options): (K, DiskOptions),
    folder: Folder,
    (mark, position): (Mark, Position),
) -> Result<JoinHandle<()>, OpenError> {
    let path = folder.engine_path().to_owned();
    let space = Space::new(path.clone(), options.free_bytes_min);
    let run = move || {
        let mut writer = Writer {
            shared,
            kind,
            folder,
            mark,
            position,
            full: None,
            reserved: false,
            space,
            options,
        };
        // A panic in the engine must not leave callers waiting, nor the process going on.
        let ran = catch_unwind(AssertUnwindSafe(|| writer.run()));
        let ended = ran.unwrap_or_else(|_| Err(writer_panicked()));
        writer.end(ended);
    };
    let thread = std::thread::Builder::new().name("keepsake-store".to_owned());
    thread.spawn(run).map_err(OpenError::file("start the writer for", &path))
}

fn writer_panicked() -> StoreError {
    fault("write to the store", io::Error::other("the writer panicked"))
}

impl<K: Kind> Writer<K> {
    fn run(&mut self) -> Result<(), StoreError> {
        loop {
            let taken = self.shared.queue.take(GROUP_BYTES_MAX);
            if taken.is_empty() {
                return Ok(());
            }
            self.write_group(taken)?;
        }
    }

    /// Ends the store: for a fault, answers what waits with it and makes it known.
    fn end(self, ended: Result<(), StoreError>) {
        let last = match ended {
            Ok(()) => StoreError::Closed,
            Err(fault) => fault,
        };
        if matches!(last, StoreError::Fault { .. }) {
            self.shared.fault.send_replace(Some(last.clone()));
            self.shared.queue.end(last.clone());
            loop {
                let waiting = self.shared.queue.take(usize::MAX);
                if waiting.is_empty() {
                    break;
                }
                for Waiting { answer, .. } in waiting {
                    answer.send(Err(last.clone().into())).ok();
                }
            }
        }
        let gone: Result<(), _> = self.shared.engine.replace(last.clone(), || Err(last));
        debug_assert!(gone.is_err(), "there is no next engine");
    }

    /// Writes what `taken` says as one group and answers each commit; gives a fault only.
    ///
    /// Answers wait for the sync even where a precondition failed: what made it fail may be of
    /// the same group, and not there if the group fails.
    fn write_group(&mut self, taken: Vec<Waiting>) -> Result<(), StoreError> {
        if let Err(error) = self.ready() {
            return refuse(taken.into_iter().map(|waiting| waiting.answer), error);
        }
        let taken = self.refuse_for_space(taken);
        let mut group = Group { last: self.position.revision, ..Group::default() };
        let planned = self.shared.engine.with(|engine| {
            let plan = |waiting: Waiting| Ok((group.add(engine, &waiting.batch)?, waiting.answer));
            taken.into_iter().map(plan).collect::<Result<Vec<_>, EngineError>>()
        })?;
        let answers = planned.map_err(|error| engine_fault("check a commit", error))?;
        if !group.writes.is_empty() {
            let next = Position { group: self.position.group + 1, revision: group.last };
            let (commits, bytes) = (answers.len(), size_bytes(&group.writes));
            let began = Instant::now();
            if let Err(error) = self.write(group.writes, next) {
                return refuse(answers.into_iter().map(|(_, to)| to), error);
            }
            if let Some(told) = &self.options.on_group {
                let (took, waiting) = (began.elapsed(), self.shared.queue.waiting());
                told(&GroupWritten { commits, bytes, took, waiting });
            }
        }
        for (answer, to) in answers {
            // A caller that no longer listens has its commit all the same.
            to.send(answer).ok();
        }
        Ok(())
    }

    /// Refuses the commits that can wait while the disk is nearly full, and gives the others.
    fn refuse_for_space(&mut self, taken: Vec<Waiting>) -> Vec<Waiting> {
        let Some(low) = self.space.low() else { return taken };
        let (go_on, wait): (Vec<_>, Vec<_>) = taken
            .into_iter()
            .partition(|waiting| waiting.batch.is_vital() || waiting.batch.is_check());
        for Waiting { answer, .. } in wait {
            answer.send(Err(low.clone().into())).ok();
        }
        go_on
    }

    fn write(&mut self, writes: Writes, next: Position) -> Result<(), StoreError> {
        let written = self.shared.engine.with(|engine| engine.write(writes, next))?;
        match written {
            Ok(()) => self.written(next),
            Err(error) if self.is_full(&error) => {
                let full = StoreError::Full { source: error.source };
                if self.reopen(&full, Some(next))? == next {
                    return self.written(next);
                }
                self.full = Some((Instant::now() + FULL_PAUSE, full.clone()));
                Err(full)
            }
            Err(error) => Err(engine_fault("write to the store", error)),
        }
    }

    /// A group is durable.
    fn written(&mut self, position: Position) -> Result<(), StoreError> {
        self.position = position;
        self.mark.write(position.group).map_err(|source| fault("write the mark", source))
    }

    /// Says whether the engine failed for want of space. It does not say so itself when it was
    /// its background work that failed.
    fn is_full(&self, error: &EngineError) -> bool {
        match error.full {
            Full::Yes => true,
            Full::Perhaps => self.folder.disk_is_full(),
            Full::No => false,
        }
    }

    /// Makes sure that there is an engine, and space to open it again; after the disk was full
    /// there may be none.
    fn ready(&mut self) -> Result<(), StoreError> {
        match &self.full {
            Some((until, full)) if Instant::now() < *until => return Err(full.clone()),
            _ => self.full = None,
        }
        match self.shared.engine.with(|_| ()) {
            Err(full @ StoreError::Full { .. }) => {
                self.full = Some((Instant::now() + FULL_PAUSE, full.clone()));
                self.reopen(&full, None)?;
                self.full = None;
            }
            engine => engine?,
        }
        if !self.reserved {
            let bytes = K::reserve_bytes(self.folder.engine_path());
            if let Err(source) = self.folder.reserve(bytes) {
                let full = StoreError::Full { source: Arc::new(source) };
                self.full = Some((Instant::now() + FULL_PAUSE, full.clone()));
                return Err(full);
            }
            self.reserved = true;
        }
        Ok(())
    }

    /// Closes the engine, which does nothing more once the disk was full, and opens it again. It
    /// must come back as it was before the group that failed: a part of that group which is in
    /// the journal may never have been synced, so that nothing can be said of it. Where opening
    /// syncs, the whole group may also be there, `failed`, as long as nobody was told that it is
    /// not: with the reserve there is space for what the engine still held when it was closed.
    fn reopen(
        &mut self,
        full: &StoreError,
        failed: Option<Position>,
    ) -> Result<Position, StoreError> {
        let before = self.position;
        self.reserved = false;
        self.folder.free_reserve();
        let refused = |error: EngineError| {
            if self.is_full(&error) {
                return StoreError::Full { source: error.source };
            }
            engine_fault("open the store again after the disk was full", error)
        };
        let mut found = before;
        self.shared.engine.replace(full.clone(), || {
            let engine = self.kind.open(self.folder.engine_path()).map_err(refused)?;
            let recovered = engine.recovered().map_err(refused)?;
            let is_failed = |position| K::SYNCED_BY_OPENING && failed == Some(position);
            match recovered {
                Recovered::Whole(position) if position == before || is_failed(position) => {
                    found = position;
                    Ok(engine)
                }
                _ => {
                    let source = io::Error::other("another last group than was acknowledged");
                    Err(fault("open the store again after the disk was full", source))
                }
            }
        })?;
        Ok(found)
    }
}

/// A group in the making: what it writes, which the commits after see in it already.
#[derive(Default)]
struct Group {
    writes: Writes,
    last: Revision,
    checked: HashMap<Bytes, Option<Revision>>,
}

impl Group {
    fn add(
        &mut self,
        engine: &impl Engine,
        batch: &Batch,
    ) -> Result<Result<Revision, CommitError>, EngineError> {
        for precondition in batch.preconditions() {
            let key = precondition.key();
            if !precondition.holds(self.revision(engine, key)?) {
                return Ok(Err(CommitError::Conflict { key: key.clone() }));
            }
        }
        if !batch.is_check() {
            self.last.0 += 1;
        }
        for (key, value) in batch.writes() {
            let write = value.map(|value| (self.last, value.clone()));
            self.writes.insert(key.clone(), write);
        }
        Ok(Ok(self.last))
    }

    fn revision(
        &mut self,
        engine: &impl Engine,
        key: &Bytes,
    ) -> Result<Option<Revision>, EngineError> {
        if let Some(write) = self.writes.get(key) {
            return Ok(write.as_ref().map(|(revision, _)| *revision));
        }
        if let Some(revision) = self.checked.get(key) {
            return Ok(*revision);
        }
        let revision = engine.revision(key)?;
        self.checked.insert(key.clone(), revision);
        Ok(revision)
    }
}

fn size_bytes(writes: &Writes) -> usize {
    let value = |write: &Option<(Revision, Bytes)>| write.as_ref().map_or(0, |(_, v)| v.len());
    writes.iter().map(|(key, write)| key.len() + value(write)).sum()
}

/// Answers with `error`, which ends the writer where it is a fault.
fn refuse(
    answers: impl Iterator<Item = oneshot::Sender<Result<Revision, CommitError>>>,
    error: StoreError,
) -> Result<(), StoreError> {
    for to in answers {
        to.send(Err(error.clone().into())).ok();
    }
    match error {
        StoreError::Full { .. } => Ok(()),
        fault => Err(fault),
    }
}
