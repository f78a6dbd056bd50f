//! The log: lines on stderr, written by a thread of their own.

use std::io::{IsTerminal as _, stderr};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use tracing::{Level, Metadata, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, ParseError, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::meters;

/// How many lines may wait for stderr: a second of a busy node, some megabytes. When whoever reads
/// it stands still, later ones are dropped and counted, and no call waits.
const LINES_MAX: usize = 16_384;

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogForm {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Writes the lines that wait when it is dropped.
#[must_use]
pub struct LogGuard {
    _writes: WorkerGuard,
}

static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Starts the log of the process, panics included.
///
/// # Errors
/// When the filter is none.
pub fn start_log(form: LogForm, filter: &str) -> Result<LogGuard, ParseError> {
    let filter = EnvFilter::try_new(filter)?;
    let lines = NonBlockingBuilder::default().buffered_lines_limit(LINES_MAX).lossy(true);
    let (to, writes) = lines.thread_name("keepsake-log").finish(stderr());
    // There is one log to a process; a second start changes nothing.
    let _ = DROPPED.set(to.error_counter());
    let allowed = filter.and(filter_fn(may_be_logged));
    tracing_subscriber::registry().with(lines_of(form, to).with_filter(allowed)).init();
    std::panic::set_hook(Box::new(note_panic));
    Ok(LogGuard { _writes: writes })
}

fn lines_of<S>(form: LogForm, to: NonBlocking) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(to);
    match form {
        LogForm::Text => Box::new(lines.with_ansi(stderr().is_terminal())),
        LogForm::Json => Box::new(lines.json().flatten_event(true).with_span_list(false)),
    }
}

/// What libraries log below `info` is about what passes through them: frames, headers, the keys of
/// rows. Today's versions leave the values out; nobody promises it of the next. So whatever the
/// filter says, nothing of theirs is logged below `info`.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let own = target
        .strip_prefix("keepsake")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    own || *metadata.level() <= Level::INFO
}

/// Tells the metrics how many lines were dropped.
pub fn observe_log() {
    if let Some(dropped) = DROPPED.get() {
        meters::log_lines_dropped(dropped.dropped_lines());
    } else {
        meters::log_lines_dropped(0);
    }
}

fn note_panic(panic: &PanicHookInfo<'_>) {
    meters::panicked();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = panic.payload_as_str().map(unquoted).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or_default();
    tracing::error!(place, thread, "a fault of the program: {message}");
}

/// The message of a panic up to its first quoted value, which may be content: that of a string that
/// is cut in a character, for one, shows the string.
pub(super) fn unquoted(message: &str) -> &str {
    message.split(['"', '\'', '`']).next().unwrap_or_default()
}
