//! `keepsake store`: the data folder of a server that does not run.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::app::{Copied, CopyFolderError, copy_folder};
use crate::cli::{Error, Output};
use crate::config::Engine;
use crate::error::chain;

/// The commands on data folders.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Copy a data folder to a new one, kept by the same or another engine, and compare the two.
    ///
    /// No server may run on the folder. Every row is copied with its revision, and the files
    /// `server.key` and `dev.key`; then the copy is opened anew and compared row by row. The new
    /// folder is there only when all went well.
    Copy {
        /// The data folder to copy.
        #[arg(long, value_name = "FOLDER")]
        from: PathBuf,
        /// The folder to make; it must not be there, or be empty.
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
        /// The engine of the copy.
        #[arg(long, value_enum)]
        engine: EngineArg,
    },
}

/// An engine that keeps a folder.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum EngineArg {
    /// The default.
    Fjall,
    /// The other one.
    Sled,
}

/// Runs a command on data folders.
///
/// # Errors
/// [`Error::Usage`] where a folder cannot be used as asked, [`Error::Internal`] for all else.
pub(super) fn run(command: &StoreCommand, output: Output) -> Result<(), Error> {
    let StoreCommand::Copy { from, to, engine } = command;
    let (engine, name) = match engine {
        EngineArg::Fjall => (Engine::Fjall, "fjall"),
        EngineArg::Sled => (Engine::Sled, "sled"),
    };
    let progress = progress();
    let told = |copied: &Copied| progress.set_position(copied.rows);
    let copied = copy_folder(from, to, engine, told);
    progress.finish_and_clear();
    let copied = copied.map_err(explained)?;
    let hash = copied.hash.to_hex();
    if output.is_json() {
        return output.json(&json!({
            "engine": name, "rows": copied.rows, "bytes": copied.bytes, "blake3": hash.as_str(),
        }));
    }
    output.text(&format!(
        "copied {} rows, {} bytes, to `{}` (engine `{name}`)\n\
         read back and equal, blake3 {hash}\n\
         to use it: data = \"{}\", storage.engine = \"{name}\"",
        copied.rows,
        copied.bytes,
        to.display(),
        to.display()
    ))
}

fn progress() -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{spinner} {pos} rows, {per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::with_draw_target(None, target).with_style(style)
}

/// The failure with its whole chain of reasons.
fn explained(error: CopyFolderError) -> Error {
    let text = chain(&error);
    if error.is_usage() { Error::Usage(text) } else { Error::Internal(text) }
}
