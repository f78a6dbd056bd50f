//! The low-water mark of free space: commits are refused before the disk is full, so that what
//! frees space, and the engine's own work, still find some.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::storage::StoreError;

/// Watches the free space of the disk that a folder lies on.
#[derive(Debug)]
pub(super) struct Space {
    folder: PathBuf,
    free_bytes_min: u64,
    low: Option<StoreError>,
}

#[derive(Debug, thiserror::Error)]
#[error("{free} bytes are free, and below {free_bytes_min} nothing is written")]
pub(super) struct Low {
    pub(super) free: u64,
    pub(super) free_bytes_min: u64,
}

impl Space {
    /// Watches for less than `free_bytes_min` free bytes; 0: does not watch.
    pub(super) fn new(folder: PathBuf, free_bytes_min: u64) -> Self {
        Self { folder, free_bytes_min, low: None }
    }

    /// Why nothing may be written now that can wait. It asks the file system, which takes a
    /// microsecond, so that a burst of large commits does not run past the mark.
    pub(super) fn low(&mut self) -> Option<StoreError> {
        if self.free_bytes_min > 0 {
            self.look();
        }
        self.low.clone()
    }

    fn look(&mut self) {
        let free_bytes_min = self.free_bytes_min;
        let low = match free_bytes(&self.folder) {
            Ok(free) if free < free_bytes_min => Some(Low { free, free_bytes_min }),
            Ok(_) => None,
            Err(error) => {
                tracing::warn!("cannot tell how much space is free: {error}");
                None
            }
        };
        match (&low, &self.low) {
            (Some(low), None) => tracing::error!("writes are refused: {low}"),
            (None, Some(_)) => tracing::info!("there is space again: writes go on"),
            _ => {}
        }
        self.low = low.map(|low| StoreError::Full { source: Arc::new(low) });
    }
}

/// How many bytes a process without privileges may still write on the disk of `folder`.
pub(super) fn free_bytes(folder: &std::path::Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
