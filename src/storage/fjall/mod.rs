//! fjall as the engine of a store on disk, with what it does not check of its files.

mod engine;
mod erase;
mod journal;
mod unfinished;
mod versions;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use crate::storage::{
    Erases,
    disk::{DiskStore, EngineError, Kind, caught},
};
use engine::FjallEngine;

// The parts that the store has with every engine, where callers of this one look for them.
pub use super::disk::{
    COMMITS_WAITING_MAX, FORMAT_VERSION, FULL_PAUSE, GROUP_BYTES_MAX, OpenError, WAITING_BYTES_MAX,
};

/// A store in a folder of the file system, kept by fjall.
pub type FjallStore = DiskStore<Fjall>;

/// The engine fjall.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fjall;

impl Kind for Fjall {
    const NAME: &'static str = "fjall";

    const SYNCED_BY_OPENING: bool = false;

    const ERASES: Erases = Erases::WhenAsked;

    type Engine = FjallEngine;

    fn open(&self, path: &Path) -> Result<FjallEngine, EngineError> {
        caught(|| {
            unfinished::remove(path).map_err(EngineError::new)?;
            FjallEngine::open(path).map_err(engine::failed)
        })
    }

    fn reserve_bytes(_path: &Path) -> u64 {
        0
    }

    fn damaged_list(path: &Path) -> io::Result<Option<PathBuf>> {
        versions::first_damaged(path)
    }

    fn journals(path: &Path) -> io::Result<Vec<PathBuf>> {
        journal::list(path)
    }

    fn damaged(journals: &[PathBuf]) -> io::Result<Option<&PathBuf>> {
        journal::first_out_of_order(journals)
    }
}
