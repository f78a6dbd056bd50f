//! What models from outside need to run in this process: ONNX Runtime, and their files.
//! In: names, folders and settings. Out: the library, loaded once a process, and the files of a
//! model.
//! Invariant: nothing is loaded or fetched before it is asked for, and no hub is waited for longer
//! than it may be silent.

mod files;
mod hub;
mod runtime;
mod zoo;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use files::Files;
pub use runtime::environment;
pub use zoo::{Entry, Model};

/// How long the hub may be silent, unless another time is told.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Where the library and the models are.
#[derive(Debug, Clone)]
pub struct Place {
    /// ONNX Runtime, or the folder it lies in; `None`: where it usually lies.
    pub library: Option<PathBuf>,
    /// The folder of fetched models, laid out as the hub's own tools do.
    pub models: PathBuf,
    /// Whether what the folder lacks is refused in place of fetched.
    pub offline: bool,
    /// The address of the hub; `None`: the usual one.
    pub hub: Option<String>,
    /// How long the hub may be silent.
    pub silence_max: Duration,
}

impl Place {
    /// The usual library and the usual hub, with a folder of models.
    pub fn new(models: PathBuf) -> Self {
        Self { library: None, models, offline: false, hub: None, silence_max: SILENCE_MAX }
    }
}

/// Why a model from outside cannot run.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OnnxError {
    /// ONNX Runtime is not where it is looked for.
    #[error(
        "there is no ONNX Runtime {looked}: set `onnx.library` to its file \
         (`models/onnx/runtime` of the source gets it; docs/embedding.md)"
    )]
    NoLibrary {
        /// Where it was looked for.
        looked: String,
    },
    /// It is there, and cannot be loaded.
    #[error("cannot use ONNX Runtime at `{}` (1.24 or later is needed): {why}", path.display())]
    Library {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        why: String,
    },
    /// There is no model of that name.
    #[error("{0}")]
    Unknown(String),
    /// Files of a model are missing, and nothing is fetched.
    #[error("`{}` lacks {} {why}", place.display(), files.join(", "))]
    Lacks {
        /// The folder.
        place: PathBuf,
        /// Their names.
        files: Vec<String>,
        /// Why nothing is done about it.
        why: String,
    },
    /// The hub did not give a file.
    #[error(
        "cannot fetch `{repository}` to `{}`: {why}; is the hub reachable? The files can be put \
         there by hand, too", place.display()
    )]
    Fetch {
        /// The repository of the model.
        repository: String,
        /// The folder of fetched models.
        place: PathBuf,
        /// What happened.
        why: String,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
}
