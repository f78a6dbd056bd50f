//! A data folder copied to a new one, for another engine.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::config::Engine;
use crate::storage::{
    disk::{self, CopyError, OpenError, copy, engine_of},
    fjall::Fjall,
    sled::Sled,
};

/// What was copied.
pub type Copied = disk::Copied;

/// The files of a data folder beside the record that a server needs.
const SECRETS: [&str; 2] = ["server.key", "dev.key"];

/// A data folder that was not copied; there is nothing new then.
#[derive(Debug, thiserror::Error)]
pub enum CopyFolderError {
    /// There is something where the copy was to be.
    #[error("the folder `{}` is not empty: name one that is not there yet", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The engine keeps nothing in a folder.
    #[error("the engine `memory` keeps nothing in a folder: name `fjall` or `sled`")]
    InMemory,
    /// A file could not be copied, or the folder not made.
    #[error("cannot {attempt} `{}`", path.display())]
    File {
        /// What was tried.
        attempt: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The record could not be copied.
    #[error(transparent)]
    Record(#[from] CopyError),
}

impl CopyFolderError {
    /// Says whether another folder or engine must be named, or the server be stopped first.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::NotEmpty { .. } | Self::InMemory => true,
            Self::Record(CopyError::Engines { .. }) => true,
            Self::Record(CopyError::Open(OpenError::InUse { .. })) => true,
            Self::Record(_) | Self::File { .. } => false,
        }
    }
}

/// Copies the data folder `from` to `to`, kept by `engine`, with the files of secrets, and compares
/// the records. `told` hears how far it has come. It blocks; no server may run on `from`.
///
/// # Errors
/// [`CopyFolderError`]; `to` is there only when all went well.
pub fn copy_folder(
    from: &Path,
    to: &Path,
    engine: Engine,
    told: impl FnMut(&Copied),
) -> Result<Copied, CopyFolderError> {
    let file = |attempt, path: &Path| {
        let path = path.to_owned();
        move |source| CopyFolderError::File { attempt, path, source }
    };
    if fs::read_dir(to).is_ok_and(|mut found| found.next().is_some()) || to.is_file() {
        return Err(CopyFolderError::NotEmpty { path: to.to_owned() });
    }
    let found = engine_of(from)?;
    // It comes to its place when it is whole, so that nobody takes half a copy for a record.
    let beside = to.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(beside).map_err(file("make", beside))?;
    let new = tempfile::Builder::new().prefix(".keepsake-copy-").tempdir_in(beside);
    let new = new.map_err(file("make a folder in", beside))?;
    let copied = match (found, engine) {
        (_, Engine::Memory) => return Err(CopyFolderError::InMemory),
        ("fjall", Engine::Fjall) => copy::<Fjall, Fjall>(from, new.path(), told),
        ("fjall", Engine::Sled) => copy::<Fjall, Sled>(from, new.path(), told),
        (_, Engine::Fjall) => copy::<Sled, Fjall>(from, new.path(), told),
        (_, Engine::Sled) => copy::<Sled, Sled>(from, new.path(), told),
    }?;
    for name in SECRETS {
        let path = from.join(name);
        if path.exists() {
            let copied = new.path().join(name);
            // The mode, which keeps others out, is copied too.
            fs::copy(&path, &copied).map_err(file("copy", &path))?;
            let synced = File::open(&copied).and_then(|copied| copied.sync_all());
            synced.map_err(file("write", &copied))?;
        }
    }
    let sync = |path: &Path| File::open(path).and_then(|folder| folder.sync_all());
    sync(new.path()).map_err(file("write", new.path()))?;
    fs::rename(new.path(), to).map_err(file("make", to))?;
    sync(beside).map_err(file("write", beside))?;
    Ok(copied)
}
