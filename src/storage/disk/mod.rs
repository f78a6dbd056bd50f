//! The store on disk: an engine, with what engines lack around it.
//! In: a data folder; the calls of the port. Out: commits that were synced before anyone saw them.
//! Invariant: a folder that lost an acknowledged commit is refused by name, never opened silently.
//!
//! `FOLDER/FORMAT` holds the version of the layout, `LOCK` keeps a second process out, `MARK` the
//! number of the last synced group, and a folder with the name of the engine its own files.

mod copy;
mod engine;
mod erase;
mod folder;
mod mark;
mod open_error;
mod queue;
mod slot;
mod space;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{oneshot, watch};

use crate::storage::{Batch, CommitError, Erased, Erases, Read, Revision, Row, Store, StoreError};
use queue::{Queue, Waiting};
use slot::Slot;

pub use copy::{Copied, CopyError, copy, engine_of};
pub use engine::{
    Engine, EngineError, Eraser, Full, Kind, Position, RING_GROUPS, Recovered, Writes, caught,
    is_full,
};
pub use folder::FORMAT_VERSION;
pub use open_error::OpenError;
pub use queue::{COMMITS_WAITING_MAX, WAITING_BYTES_MAX};
pub use writer::{FULL_PAUSE, GROUP_BYTES_MAX};

/// The most gets that a read answers on the caller's thread: a get takes microseconds, less than
/// the way to another thread and back, and so many stay far below what would hold up a runtime.
const GETS_INLINE_MAX: usize = 32;

/// How a store on disk is run; by default it watches and tells nothing.
#[derive(Clone, Default)]
pub struct DiskOptions {
    /// Below how many free bytes on the disk commits are refused, except vital ones; 0: none are.
    pub free_bytes_min: u64,
    /// Is told of each group that was written, by the thread that writes: it must be quick.
    pub on_group: Option<OnGroup>,
}

/// What is told of groups.
pub type OnGroup = Arc<dyn Fn(&GroupWritten) + Send + Sync>;

/// A group of commits that is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupWritten {
    /// How many commits it holds.
    pub commits: usize,
    /// The bytes of the keys and values that it wrote.
    pub bytes: usize,
    /// How long the engine took to write and sync it.
    pub took: Duration,
    /// How many commits waited for the next group then.
    pub waiting: usize,
}

/// A store in a folder of the file system, of which one process at a time can hold one.
///
/// Dropping it closes it, and blocks until what was taken is durable.
pub struct DiskStore<K: Kind> {
    shared: Arc<Shared<K::Engine>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared<E> {
    folder: PathBuf,
    free_bytes_min: u64,
    queue: Queue,
    engine: Slot<E>,
    fault: watch::Sender<Option<StoreError>>,
}

impl<K: Kind> std::fmt::Debug for DiskStore<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DiskStore({})", K::NAME)
    }
}

impl<K: Kind> DiskStore<K> {
    /// Opens the store in `folder`, and sets it up when there is nothing yet. It blocks, usually
    /// for less than a second.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the folder; nothing was written then, except that a
    /// damaged journal may have been cut, of which a copy was set aside first.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        Self::open_with(folder, K::default(), DiskOptions::default())
    }

    /// Opens the store in `folder` as [`DiskStore::open`] does, with an engine of `kind`.
    ///
    /// # Errors
    /// As those of [`DiskStore::open`].
    pub fn open_with(folder: &Path, kind: K, options: DiskOptions) -> Result<Self, OpenError> {
        let path = folder.to_owned();
        let (folder, opened) = folder::open(folder, &kind)?;
        let shared = Arc::new(Shared {
            folder: path,
            free_bytes_min: options.free_bytes_min,
            queue: Queue::default(),
            engine: Slot::new(opened.engine),
            fault: watch::Sender::new(None),
        });
        let begin = (opened.mark, opened.position);
        let writer = writer::start(Arc::clone(&shared), (kind, options), folder, begin)?;
        Ok(Self { shared, writer: Mutex::new(Some(writer)) })
    }

    fn shut(shared: &Shared<K::Engine>, writer: Option<JoinHandle<()>>) -> Result<(), StoreError> {
        shared.queue.end(StoreError::Closed);
        if let Some(writer) = writer {
            // The writer catches its own panics and tells them as a fault.
            writer.join().ok();
        }
        match &*shared.fault.borrow() {
            Some(fault) => Err(fault.clone()),
            None => Ok(()),
        }
    }
}

impl<K: Kind> Drop for DiskStore<K> {
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // Whoever wants to know how it went calls `close`.
        Self::shut(&self.shared, writer).ok();
    }
}

#[async_trait]
impl<K: Kind> Store for DiskStore<K> {
    async fn read(&self, reads: Vec<Read>) -> Result<Vec<Vec<Row>>, StoreError> {
        let gets_only = reads.iter().all(|read| matches!(read, Read::Get(_)));
        if gets_only
            && reads.len() <= GETS_INLINE_MAX
            && let Some(answer) = self.shared.engine.try_read(&reads)
        {
            return answer;
        }
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || shared.engine.read(&reads));
        task.await.map_err(|source| fault("read from the store", source))?
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        batch.check_size()?;
        let (answer, answered) = oneshot::channel();
        self.shared.queue.push(Waiting { batch, answer })?;
        match answered.await {
            Ok(answer) => answer,
            Err(source) => Err(fault("learn what became of a commit", source).into()),
        }
    }

    fn erases(&self) -> Erases {
        K::ERASES
    }

    async fn erase(&self) -> Result<Erased, StoreError> {
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || erase::erase(&shared));
        task.await.map_err(|source| fault("erase from the files", source))?
    }

    async fn faulted(&self) -> StoreError {
        let mut fault = self.shared.fault.subscribe();
        match fault.wait_for(Option::is_some).await.map(|fault| fault.clone()) {
            Ok(Some(fault)) => fault,
            // The sender lives as long as `self`, and the condition asks for `Some`.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || Self::shut(&shared, writer));
        task.await.map_err(|source| fault("close the store", source))?
    }
}

fn fault<E>(attempt: &'static str, source: E) -> StoreError
where
    E: std::error::Error + Send + Sync + 'static,
{
    StoreError::Fault { attempt, source: Arc::new(source) }
}

fn engine_fault(attempt: &'static str, error: EngineError) -> StoreError {
    StoreError::Fault { attempt, source: error.source }
}
