//! Fetches the files of a model from the hub into a folder, and gives up on a hub that is silent.

use std::mem;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use hf_hub::Cache;
use hf_hub::api::{Progress, sync::ApiBuilder};

use crate::onnx::{OnnxError, Place};

/// How often progress is told to whoever waits; it counts as a sign of life.
const TOLD_EVERY: Duration = Duration::from_millis(250);
/// How often it is logged.
const LOGGED_EVERY: Duration = Duration::from_secs(5);

/// How often a file that broke off is gone on with.
const RETRIES_MAX: usize = 3;

/// What the thread that fetches says.
enum Said {
    Began { file: String, bytes: usize },
    Got { bytes: usize },
    Ended(Result<(), String>),
}

/// The paths of files in the folder, in their order; what is not there yet is fetched. The thread
/// that waits for a silent hub is left behind: nothing can wake it.
pub(super) fn fetch<'a>(
    repository: &str,
    names: impl Iterator<Item = &'a str>,
    place: &Place,
) -> Result<Vec<PathBuf>, OnnxError> {
    let names: Vec<&str> = names.collect();
    let kept = Cache::new(place.models.clone()).model(repository.to_owned());
    let missing = || {
        let missing = names.iter().filter(|name| kept.get(name).is_none());
        missing.map(|name| (*name).to_owned()).collect::<Vec<_>>()
    };
    let lacks = |files, why: String| OnnxError::Lacks { place: place.models.clone(), files, why };
    // Where the hub has a newer state than the folder, one file brings that, and the others lack.
    for _ in 0..2 {
        let wanted = missing();
        if wanted.is_empty() {
            break;
        }
        if place.offline {
            let why = format!("of `{repository}`, and `onnx.offline` says that nothing is fetched");
            return Err(lacks(wanted, why));
        }
        fetch_all(repository, wanted, place).map_err(|why| OnnxError::Fetch {
            repository: repository.to_owned(),
            place: place.models.clone(),
            why,
        })?;
    }
    let paths: Option<Vec<PathBuf>> = names.iter().map(|name| kept.get(name)).collect();
    paths.ok_or_else(|| lacks(missing(), format!("of `{repository}`, which was fetched")))
}

/// Has a thread fetch files, and waits for it as long as it shows signs of life.
fn fetch_all(repository: &str, files: Vec<String>, place: &Place) -> Result<(), String> {
    tracing::info!(repository, "fetching a model");
    let mut hub = ApiBuilder::from_cache(Cache::new(place.models.clone()))
        .with_progress(false)
        .with_retries(RETRIES_MAX);
    if let Some(address) = &place.hub {
        hub = hub.with_endpoint(address.trim_end_matches('/').to_owned());
    }
    let model = hub.build().map_err(|error| error.to_string())?.model(repository.to_owned());
    let (told, heard) = mpsc::channel();
    let fetching = move || {
        let ended = files.iter().try_for_each(|file| {
            let progress = Told { to: told.clone(), bytes: 0, since: Instant::now() };
            let fetched = model.download_with_progress(file, progress);
            fetched.map(drop).map_err(|error| format!("`{file}`: {error}"))
        });
        // Whoever waited may have given up.
        let _ = told.send(Said::Ended(ended));
    };
    let started = thread::Builder::new().name("fetch-model".to_owned()).spawn(fetching);
    started.map_err(|error| error.to_string())?;
    wait(&heard, place.silence_max)
}

fn wait(heard: &Receiver<Said>, silence_max: Duration) -> Result<(), String> {
    let (mut name, mut size, mut got) = (String::new(), 0, 0);
    let mut logged = Instant::now();
    loop {
        match heard.recv_timeout(silence_max) {
            // It is said twice of each file.
            Ok(Said::Began { file, .. }) if file == name => {}
            Ok(Said::Began { file, bytes }) => {
                (name, size, got) = (file, bytes, 0);
                tracing::info!(file = name, bytes = size, "fetching");
            }
            Ok(Said::Got { bytes }) => {
                got += bytes;
                if logged.elapsed() >= LOGGED_EVERY {
                    logged = Instant::now();
                    tracing::info!(file = name, bytes = got, of = size, "fetching");
                }
            }
            Ok(Said::Ended(ended)) => return ended,
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("the hub was silent for {} s", silence_max.as_secs_f64()));
            }
            Err(RecvTimeoutError::Disconnected) => return Err("fetching panicked".to_owned()),
        }
    }
}

/// Tells what came, not every few bytes.
struct Told {
    to: Sender<Said>,
    bytes: usize,
    since: Instant,
}

impl Told {
    fn tell(&mut self) {
        let _ = self.to.send(Said::Got { bytes: mem::take(&mut self.bytes) });
        self.since = Instant::now();
    }
}

impl Progress for Told {
    fn init(&mut self, size: usize, filename: &str) {
        let _ = self.to.send(Said::Began { file: filename.to_owned(), bytes: size });
    }

    fn update(&mut self, size: usize) {
        self.bytes += size;
        if self.since.elapsed() >= TOLD_EVERY {
            self.tell();
        }
    }

    fn finish(&mut self) {
        self.tell();
    }
}

#[cfg(test)]
mod tests;
