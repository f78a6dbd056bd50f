//! Finds ONNX Runtime and loads it, once a process.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;

use crate::onnx::OnnxError;

/// What the library is called; versions stand behind it.
const LIBRARY: &str =
    if cfg!(target_os = "macos") { "libonnxruntime" } else { "libonnxruntime.so" };
/// The variable that names it for every program that uses it.
const VARIABLE: &str = "ORT_DYLIB_PATH";
/// Where it is put by people and by packages; the folder of the program comes first.
const FOLDERS: [&str; 6] = [
    "/usr/local/lib",
    "/usr/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/onnxruntime/lib",
    "/opt/homebrew/lib",
];

/// What was loaded stays: there may be one in a process.
static LOADED: Mutex<Option<Environment>> = Mutex::new(None);

/// ONNX Runtime, loaded from where it is said to lie, or else found. What a process has loaded
/// stays, wherever it is said to lie then.
///
/// # Errors
/// [`OnnxError::NoLibrary`], [`OnnxError::Library`].
pub fn environment(told: Option<&Path>) -> Result<Environment, OnnxError> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = loaded.as_ref() {
        return Ok(environment.clone());
    }
    let program = env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent).map(Path::to_owned);
    let folders: Vec<PathBuf> = beside.into_iter().chain(FOLDERS.map(PathBuf::from)).collect();
    let path = find(told, env::var_os(VARIABLE), &folders)?;
    let unusable = |why: String| OnnxError::Library { path: path.clone(), why };
    let runtime = ort::init_from(&path).map_err(|error| unusable(error.to_string()))?;
    let environment = runtime.with_telemetry(false).build();
    let environment = environment.map_err(|error| unusable(error.to_string()))?;
    tracing::info!(library = %path.display(), "ONNX Runtime is loaded");
    Ok(loaded.insert(environment).clone())
}

/// The library: where it is told, where the variable says, or else in one of the folders.
fn find(
    told: Option<&Path>,
    variable: Option<OsString>,
    folders: &[PathBuf],
) -> Result<PathBuf, OnnxError> {
    let none = |looked: String| OnnxError::NoLibrary { looked };
    if let Some(path) = told {
        return within(path)
            .ok_or_else(|| none(format!("at `{}` (`onnx.library`)", path.display())));
    }
    if let Some(path) = variable.filter(|path| !path.is_empty()).map(PathBuf::from) {
        return within(&path).ok_or_else(|| none(format!("at `{}` ({VARIABLE})", path.display())));
    }
    folders.iter().find_map(|folder| within(folder)).ok_or_else(|| {
        let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
        none(format!("in {}", folders.join(", ")))
    })
}

/// The library itself, when the path is that of a folder.
fn within(path: &Path) -> Option<PathBuf> {
    if path.is_file() {
        return path.canonicalize().ok();
    }
    let entries = fs::read_dir(path).ok()?.flatten().map(|entry| entry.path());
    let named = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(LIBRARY))
    };
    // The shortest name is the one without a version, which leads to the one in use.
    let library = entries.filter(named).min_by_key(|path| path.as_os_str().len())?;
    library.canonicalize().ok()
}

#[cfg(test)]
mod tests;
