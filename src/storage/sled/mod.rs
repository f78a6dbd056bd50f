//! sled as the engine of a store on disk, with what it lacks: values stay small, a group is synced
//! by an fdatasync of our own and hidden until then, each row carries a checksum.

mod engine;
mod error;
mod nudge;
mod rows;
mod undo;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use super::Erases;
use super::disk::{DiskStore, EngineError, Kind, caught};
use engine::SledEngine;
use error::SledError;

/// A store in a folder of the file system, kept by sled.
pub type SledStore = DiskStore<Sled>;

/// The engine sled.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sled;

/// The bytes of a segment of sled's log. sled moves what is larger than a quarter of it to files
/// of its own, which it never syncs. The largest of its nodes must stay below: 257 keys of 1 KiB,
/// or some 20 rows of [`rows::PART_BYTES`] with their keys.
const SEGMENT_BYTES: usize = 2 << 20;

/// How much memory sled's cache may take.
const CACHE_BYTES: u64 = 128 << 20;

/// What is kept free for opening an empty folder: some segments.
const RESERVE_BYTES: u64 = 16 << 20;

/// How often, and how long apart, a folder is tried that sled's own threads still hold: they let
/// go of it when they have done what was left, some milliseconds after the engine was closed.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

impl Kind for Sled {
    const NAME: &'static str = "sled";

    const SYNCED_BY_OPENING: bool = true;

    /// It never says when it has written over what was replaced.
    const ERASES: Erases = Erases::ByCopy;

    type Engine = SledEngine;

    fn open(&self, path: &Path) -> Result<SledEngine, EngineError> {
        caught(|| {
            remove_unfinished(path).map_err(EngineError::new)?;
            let database = open_database(path).map_err(|error| error.told(path))?;
            SledEngine::open(path, database)
        })
    }

    /// Opening writes where each page lies, some 250 bytes for a page of 16 KB at the most, and the
    /// rest of a segment.
    fn reserve_bytes(path: &Path) -> u64 {
        let data_bytes = fs::metadata(path.join("db")).map_or(0, |data| data.len());
        RESERVE_BYTES + data_bytes / 64
    }

    /// Its snapshot and its segments carry checksums that it compares.
    fn damaged_list(_path: &Path) -> io::Result<Option<PathBuf>> {
        Ok(None)
    }

    /// sled zeroes what it takes for torn in its one file of data; that has no end to copy.
    fn journals(_path: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }

    fn damaged(_journals: &[PathBuf]) -> io::Result<Option<&PathBuf>> {
        Ok(None)
    }
}

/// Removes what a process was ended in the middle of writing and sled would refuse the folder for:
/// snapshots, of which it would take one for the latest, and its settings from a first start that
/// did not come to its file of data.
fn remove_unfinished(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let settings = path.join("conf");
    if settings.exists() && !path.join("db").exists() {
        fs::remove_file(settings)?;
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "generating") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn open_database(path: &Path) -> Result<::sled::Db, SledError> {
    let mut tries = 0;
    loop {
        // A configuration carries the failure of the engine that was opened with it.
        let config = ::sled::Config::new().path(path).flush_every_ms(None);
        let config = config.segment_size(SEGMENT_BYTES).cache_capacity(CACHE_BYTES);
        match config.open() {
            Err(::sled::Error::Io(error)) if is_held(&error) && tries < LOCK_TRIES => {
                tries += 1;
                sleep(LOCK_PAUSE);
            }
            opened => return opened.map_err(SledError::Sled),
        }
    }
}

/// sled gives no kind to the error of a lock that another holds.
fn is_held(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

/// Opens sled's file of data to sync it, and syncs what opening made: sled itself asks Linux only
/// to begin writing, which a loss of power does not survive.
fn open_data(path: &Path) -> io::Result<File> {
    File::open(path.join("conf"))?.sync_all()?;
    let data = File::open(path.join("db"))?;
    data.sync_all()?;
    File::open(path)?.sync_all()?;
    Ok(data)
}
