//! Ridding the files of what was removed: what is the same with every engine.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::engine::{Engine, Full};
use super::space::{Low, free_bytes};
use super::{Shared, engine_fault, fault};
use crate::storage::{Erased, StoreError};

/// How the names begin of what an operator was left copies of journals in.
const ASIDE: &str = "set-aside-";

/// Has the engine rewrite its files, when nothing else holds what was removed.
pub(super) fn erase<E: Engine>(shared: &Shared<E>) -> Result<Erased, StoreError> {
    let held = aside(&shared.folder).map_err(|source| fault("list the data folder", source))?;
    if let Some(by) = held {
        return Ok(Erased::Held { by });
    }
    // Who began to read before, may see what is older, and the engine keeps that for them.
    shared.engine.wait_for_readers();
    let Some(eraser) = shared.engine.with(|engine| engine.eraser())? else {
        return Ok(Erased::ByCopy);
    };
    let free_bytes_min = shared.free_bytes_min.saturating_add(eraser.space_bytes);
    let free = free_bytes(&shared.folder);
    let free = free.map_err(|source| fault("tell how much space is free", source))?;
    if free < free_bytes_min {
        return Err(StoreError::Full { source: Arc::new(Low { free, free_bytes_min }) });
    }
    (eraser.run)().map_err(|error| match error.full {
        Full::Yes => StoreError::Full { source: error.source },
        // Whether it was for want of space, the writer finds out with its next group.
        Full::Perhaps | Full::No => engine_fault("erase from the files", error),
    })
}

/// The first copy of journals that a refused start left for an operator.
fn aside(folder: &Path) -> io::Result<Option<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.starts_with(ASIDE).then_some(name));
    }
    Ok(names.into_iter().min())
}
