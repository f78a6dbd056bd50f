//! Why a data folder cannot be opened.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::FORMAT_VERSION;

/// A data folder that cannot be opened; the message is for the operator and names the way out.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system refused something.
    #[error("cannot {attempt} `{}`", path.display())]
    File {
        /// What was tried.
        attempt: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Another process, or another store of this one, holds the folder.
    #[error("the data folder `{}` is in use by another process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder was written by a later version of the program.
    #[error(
        "the data folder `{}` has format {found}, and this version knows formats up to \
         {FORMAT_VERSION}: use the later version that wrote it", path.display()
    )]
    FormatNewer {
        /// The folder.
        path: PathBuf,
        /// The version in `FORMAT`.
        found: u32,
    },
    /// There is data, and no `FORMAT` that says of which version.
    #[error("the data folder `{}` holds data but no file `FORMAT`", path.display())]
    FormatMissing {
        /// The folder.
        path: PathBuf,
    },
    /// The folder belongs to another engine.
    #[error(
        "the data folder `{}` holds the record of the engine `{found}`, not of `{asked}`: set \
         `storage.engine = \"{found}\"`, or copy it with `keepsake store copy`", path.display()
    )]
    OtherEngine {
        /// The folder.
        path: PathBuf,
        /// The engine whose files are there.
        found: &'static str,
        /// The engine that was to open it.
        asked: &'static str,
    },
    /// `FORMAT` does not say `keepsake` and a known version.
    #[error("the file `{}` does not name a format of this program", path.display())]
    FormatUnreadable {
        /// The file.
        path: PathBuf,
    },
    /// Neither half of `MARK` is whole.
    #[error(
        "the file `{}` is damaged: nothing tells whether commits are missing; remove it to go on \
         with what is there", path.display()
    )]
    MarkDamaged {
        /// The file.
        path: PathBuf,
    },
    /// The engine could not open its files.
    #[error("cannot open the engine's files in `{}`{}", path.display(), kept(aside.as_deref()))]
    Engine {
        /// The folder of the engine.
        path: PathBuf,
        /// Where a copy of the journals lies, as they were before.
        aside: Option<PathBuf>,
        /// What the engine said.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A journal is damaged in a way that would bring old values back.
    #[error(
        "the journal `{}` is damaged: its batches are out of order{}; restore a backup",
        path.display(), kept(aside.as_deref())
    )]
    JournalDamaged {
        /// The journal.
        path: PathBuf,
        /// Where a copy of the journals lies.
        aside: Option<PathBuf>,
    },
    /// A file of the engine that says where rows lie is not as it was written.
    #[error(
        "the file `{}` is damaged: its checksum does not match; restore a backup", path.display()
    )]
    ListDamaged {
        /// The file, or the one that lies beside it with its checksum.
        path: PathBuf,
    },
    /// A row that only this engine writes cannot be read.
    #[error("the engine's files in `{}` hold an unknown row", path.display())]
    RowUnreadable {
        /// The folder of the engine.
        path: PathBuf,
    },
    /// The engine recovered less than was acknowledged.
    #[error(
        "the data folder `{}` has lost acknowledged commits: group {missing} of {last} is \
         missing{}; restore a backup, or remove the file `MARK` to go on with what is there",
        path.display(), kept(aside.as_deref())
    )]
    GroupsLost {
        /// The folder.
        path: PathBuf,
        /// The first group of commits that is missing.
        missing: u64,
        /// The last group of commits known to have been synced.
        last: u64,
        /// Where a copy of the journals lies, as they were before.
        aside: Option<PathBuf>,
    },
}

impl OpenError {
    pub(super) fn file(
        attempt: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { attempt, path, source }
    }
}

fn kept(aside: Option<&Path>) -> String {
    match aside {
        Some(aside) => format!(" (its journals were set aside in `{}` first)", aside.display()),
        None => String::new(),
    }
}
