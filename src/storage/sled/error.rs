//! How sled fails.

use std::path::Path;
use std::sync::Arc;

use super::super::disk::{EngineError, Full, is_full};

/// What sled, or a row in it, does not allow.
#[derive(Debug, thiserror::Error)]
pub(super) enum SledError {
    /// sled itself failed.
    #[error(transparent)]
    Sled(#[from] ::sled::Error),
    /// What lies under a key is not what was written there.
    #[error("the row `{}` is damaged", key.escape_ascii())]
    Row {
        /// The key of the row, or of the record of a group.
        key: Vec<u8>,
    },
}

#[derive(Debug, thiserror::Error)]
#[error("sled cannot use `{path}`")]
struct Told {
    path: String,
    source: SledError,
}

impl SledError {
    /// The error of the engine in the folder `path`, which names the file.
    pub(super) fn told(self, path: &Path) -> EngineError {
        // sled does not give the error of the file system as the source of its own.
        let full = match &self {
            Self::Sled(::sled::Error::Io(error)) if is_full(error) => Full::Yes,
            Self::Sled(_) | Self::Row { .. } => Full::No,
        };
        let path = path.join("db").display().to_string();
        EngineError { full, source: Arc::new(Told { path, source: self }) }
    }
}
