//! Ridding fjall's files of what was removed: its journals are rotated, its memtable written down,
//! and all tables rewritten without what is older than the latest value of a key.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use ::fjall::{AbstractTree as _, Keyspace};

use super::{engine::failed, journal};
use crate::storage::{
    Erased,
    disk::{EngineError, Eraser},
};

/// The key that fills a journal; rows and groups have other first bytes.
const FILLER: [u8; 1] = [b'f'];

/// fjall begins a new journal when it writes a memtable down and the journal is larger than 64 MB:
/// so many blocks of a MiB make it so.
const FILLER_BLOCKS: u64 = 64;
const FILLER_BLOCK_BYTES: usize = 1 << 20;

/// How often the memtable is written down for the old journals to go: commits that came while one
/// was written down need the next one.
const ROTATIONS_MAX: usize = 16;

/// How long to wait between two looks at what fjall does behind.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How often is looked whether old files are gone, before whoever reads them is named: 30 seconds.
const LOOKS_MAX: usize = 6_000;

/// Who erases, seen from the engine.
#[derive(Debug, Default)]
pub(super) struct Erasing {
    ends: Arc<AtomicBool>,
}

impl Erasing {
    /// Has who erases come to an end.
    pub(super) fn end(&self) {
        self.ends.store(true, Ordering::Release);
    }
}

impl Drop for Erasing {
    /// Waits for who erases: only then are the files nobody's.
    fn drop(&mut self) {
        while Arc::strong_count(&self.ends) > 1 {
            sleep(LOOK_EVERY);
        }
    }
}

/// What erases from the files in `path`. Meanwhile the tables are there twice, and a journal and a
/// table of fillers.
pub(super) fn eraser(path: &Path, rows: &Keyspace, erasing: &Erasing) -> Eraser {
    let space_bytes = rows.disk_space() + 3 * FILLER_BLOCKS * FILLER_BLOCK_BYTES as u64;
    let (path, rows, ends) = (path.to_owned(), rows.clone(), Arc::clone(&erasing.ends));
    let run = move || {
        let files = Files { path, rows, ends };
        files.erase()
    };
    Eraser { space_bytes, run: Box::new(run) }
}

struct Files {
    path: PathBuf,
    // Dropped before `ends`, which the engine waits for.
    rows: Keyspace,
    ends: Arc<AtomicBool>,
}

/// Why it went no further.
enum Stop {
    Failed(EngineError),
    Held(String),
}

impl From<::fjall::Error> for Stop {
    fn from(error: ::fjall::Error) -> Self {
        Self::Failed(failed(error))
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(EngineError::new(error))
    }
}

impl Files {
    fn erase(&self) -> Result<Erased, EngineError> {
        match self.rotate().and_then(|()| self.rewrite()) {
            Ok(()) => Ok(Erased::Done),
            Err(Stop::Held(by)) => Ok(Erased::Held { by }),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    fn go_on(&self) -> Result<(), Stop> {
        match self.ends.load(Ordering::Acquire) {
            true => Err(Stop::Held("the store is being closed".to_owned())),
            false => Ok(()),
        }
    }

    /// Writes down what is in memory, and has the journals go that are there now.
    fn rotate(&self) -> Result<(), Stop> {
        let old = journal::list(&self.path)?;
        // Something that does not become smaller.
        let mut noise = blake3::Hasher::new().finalize_xof();
        for _ in 0..FILLER_BLOCKS {
            self.go_on()?;
            let mut block = vec![0; FILLER_BLOCK_BYTES];
            noise.fill(&mut block);
            self.rows.insert(FILLER, block)?;
        }
        for _ in 0..ROTATIONS_MAX {
            self.write_down()?;
            let Some(left) = old.iter().find(|path| path.exists()) else { return Ok(()) };
            tracing::debug!(journal = %left.display(), "a journal is still needed");
        }
        Err(Stop::Held("a journal that is still needed".to_owned()))
    }

    /// Writes the memtable down. It also has fjall see which old values nobody may read any more,
    /// and remove files that it kept for who read them.
    fn write_down(&self) -> Result<(), Stop> {
        // An empty one is not written down.
        self.rows.insert(FILLER, [])?;
        self.rows.rotate_memtable()?;
        while self.rows.tree.sealed_memtable_count() > 0 {
            self.go_on()?;
            // Where its threads have failed, nobody writes it down: the next write says so.
            self.rows.insert(FILLER, [])?;
            sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Rewrites all tables; those that are there now must be gone then, and no others be left over.
    fn rewrite(&self) -> Result<(), Stop> {
        self.rows.remove(FILLER)?;
        self.write_down()?;
        let old = self.tables()?;
        self.rows.major_compact()?;
        for look in 1..=LOOKS_MAX {
            self.go_on()?;
            let found = self.tables()?;
            let is_old = |path: &PathBuf| old.contains(path);
            if found.len() == self.rows.table_count() && !found.iter().any(is_old) {
                return Ok(());
            }
            if look % 20 == 0 {
                self.write_down()?;
            }
            sleep(LOOK_EVERY);
        }
        Err(Stop::Held("somebody who reads old tables".to_owned()))
    }

    /// The files of the tables.
    fn tables(&self) -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(self.rows.path().join("tables"))?;
        entries.map(|entry| Ok(entry?.path())).collect()
    }
}
