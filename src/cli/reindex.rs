//! `keepsake reindex`: the index of documents, made anew from the record.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::app::{Counts, ReindexError, Reindexed, reindex};
use crate::cli::{EXIT_INTERNAL, EXIT_OK, Error, Output, output::note, serve::layers_below_flags};
use crate::config::Settings;
use crate::error::chain;

/// How often a line says how far it is, where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Makes the index of documents anew while no server runs on the data folder: when its files are
/// damaged, or to have it whole before the first question. A server does the same by itself, at a
/// start without `index/`, and says INDEX_LAG until it is done. Exit codes: 0 the index has all
/// that the record has; 1 it lacks something; 2 the folder cannot be used so.
#[derive(Debug, Args)]
pub struct ReindexArgs {
    /// The data folder [default: that of the settings].
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
    /// The TOML file of settings that `serve` is run with.
    #[arg(long, value_name = "FILE", env = "KEEPSAKE_CONFIG")]
    config: Option<PathBuf>,
}

/// Makes it, tells what came of it, and gives the exit code.
pub(super) async fn run(args: &ReindexArgs, output: Output) -> Result<u8, Error> {
    let settings = settings(args)?;
    let progress = Progress::new();
    let began = Instant::now();
    let made = reindex(&settings, |done, all| progress.told(done, all)).await;
    progress.bar.finish_and_clear();
    let made = made.map_err(explained)?;
    let seconds = began.elapsed().as_secs_f64();
    if output.is_json() {
        output.json(&json!({
            "collections": made.collections,
            "record": { "documents": made.record.documents, "chunks": made.record.chunks },
            "taken": { "documents": made.taken.documents, "chunks": made.taken.chunks },
            "chunksSearched": made.searched,
            "broken": made.broken.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "isWhole": made.is_whole(),
            "seconds": seconds,
        }))?;
    } else {
        output.text(&text(&made, seconds))?;
    }
    Ok(if made.is_whole() { EXIT_OK } else { EXIT_INTERNAL })
}

fn settings(args: &ReindexArgs) -> Result<Settings, Error> {
    let layers = layers_below_flags(args.config.as_deref())
        .map_err(|error| Error::Usage(format!("the file cannot be read: {error}")))?;
    let layers = layers.with_flag("data", args.data.clone());
    Settings::resolve(&layers).map_err(|mistakes| {
        let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        Error::Usage(mistakes.join("\n"))
    })
}

fn text(made: &Reindexed, seconds: f64) -> String {
    let Reindexed { collections, record, taken, searched, broken } = made;
    let mut text = format!(
        "the record has {} documents with {} chunks in {collections} collections\n\
         the index took {} documents with {} chunks, and searches {searched} chunks\n",
        record.documents, record.chunks, taken.documents, taken.chunks
    );
    if made.is_whole() {
        let rate = taken.documents as f64 / seconds.max(0.001);
        text.push_str(&format!("whole, in {seconds:.1} s, {rate:.0} documents/s\n"));
    } else {
        text.push_str("it lacks something: `keepsake doctor` says what is wrong with the record\n");
    }
    for document in broken {
        text.push_str(&format!("  the record does not have `{document}` whole\n"));
    }
    text
}

/// A bar on a terminal, else a line now and then.
struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    last_line: Cell<Instant>,
}

impl Progress {
    fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target = match is_terminal {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let style = ProgressStyle::with_template(
            "{wide_bar} {pos}/{len} documents, {msg} chunks, {per_sec}, {eta} left",
        );
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style);
        Self { bar, is_terminal, last_line: Cell::new(Instant::now()) }
    }

    fn told(&self, done: Counts, all: Counts) {
        self.bar.set_length(all.documents);
        self.bar.set_message(done.chunks.to_string());
        self.bar.set_position(done.documents);
        let is_last = done.documents == all.documents;
        if self.is_terminal || (!is_last && self.last_line.get().elapsed() < LINE_EVERY) {
            return;
        }
        self.last_line.set(Instant::now());
        note(&format!(
            "{}/{} documents, {} chunks, {:.0} documents/s, {} left",
            done.documents,
            all.documents,
            done.chunks,
            done.documents as f64 / self.bar.elapsed().as_secs_f64().max(0.001),
            HumanDuration(self.bar.eta()),
        ));
    }
}

/// The failure with its whole chain of reasons.
fn explained(error: ReindexError) -> Error {
    let text = chain(&error);
    if error.is_usage() { Error::Usage(text) } else { Error::Internal(text) }
}
