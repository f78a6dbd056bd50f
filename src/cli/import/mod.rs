//! `keepsake import`: conversations of other programs, appended once however often they
//! are imported.
//! In: files. Out: sessions over gRPC, a summary, every mistake with its place.
//! Invariant: a turn keeps its own id (`external_id`), so that a second import changes nothing; a
//! session of which something cannot be read is held back as a whole and said.

mod chatgpt;
mod chats;
mod detect;
pub(super) mod ids;
mod lines;
mod messages;
mod parsed;
pub(super) mod send;

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::{
    ClientArgs, Error, Output, connect_to,
    error::{EXIT_OK, EXIT_USAGE, exit_code_of},
    output::note,
};
use crate::proto::v1;
use crate::types::{SessionId, UserId};

pub use detect::{parse, read_unpacked};
pub use ids::user_id;
pub use parsed::{ImportSession, Parsed};
pub use send::{Sent, send};

/// The most bytes of a label's value.
const LABEL_BYTES_MAX: usize = 1 << 10;

/// Mistakes of one file that are written; all are counted.
const MISTAKES_SHOWN_MAX: usize = 20;

/// Flags of `keepsake import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Files: JSON Lines of turns, ChatGPT's conversations.json, or Chat Completions messages;
    /// plain or gzip. Their form is seen from their content.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The user of all sessions [default: as the file says].
    #[arg(long)]
    user: Option<String>,
    /// The id of the session; for a file that holds one.
    #[arg(long)]
    session: Option<String>,
    /// Read and check the files and send nothing.
    #[arg(long)]
    dry_run: bool,
    /// Import also what is left of sessions of which something cannot be read. What is missing
    /// cannot come at its place later.
    #[arg(long)]
    skip_bad: bool,
}

/// The external id of the n-th message of a session whose messages have no ids.
fn position_id(position: usize) -> String {
    format!("m-{position:04}")
}

/// Why a line is no JSON, without the line number of its own text, which would mislead.
fn json_reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    format!("no JSON: {reason} (column {})", error.column())
}

/// Reads one turn from `{role, text | content, name, created_at, turn, …}`.
///
/// # Errors
/// A sentence for people; instructions are refused here, they are no turn.
pub(super) fn turn_of_json(value: &Value) -> Result<v1::NewTurn, String> {
    match messages::read(value)? {
        messages::Message::Turn(mut turn) => {
            let id = value.get("turn").or_else(|| value.get("external_id"));
            turn.external_id = id.and_then(Value::as_str).map(ids::external_id).unwrap_or_default();
            Ok(*turn)
        }
        messages::Message::Instructions(_) => {
            Err("instructions are no turn: use `keepsake session pin`".to_owned())
        }
        messages::Message::Empty => Err("a turn without content".to_owned()),
    }
}

/// What all files held.
#[derive(Default)]
struct Read {
    sessions: Vec<ImportSession>,
    mistakes: usize,
    skipped: usize,
    held_back: Vec<String>,
}

/// Imports files and gives the exit code: 2 when something could not be read, else the code of the
/// first session that could not be appended.
pub(super) async fn run(
    args: &ImportArgs,
    client: &ClientArgs,
    output: Output,
) -> Result<u8, Error> {
    check_ids(args)?;
    let mut read = read_files(args)?;
    let turns: usize = read.sessions.iter().map(|session| session.turns.len()).sum();
    let sessions = std::mem::take(&mut read.sessions);
    let sent = if args.dry_run {
        Sent { sessions: sessions.len(), ..Sent::default() }
    } else if sessions.is_empty() {
        Sent::default()
    } else {
        let client = connect_to(client).await?;
        let progress = progress_bar(turns);
        let sent = send(&client, sessions, &progress).await;
        progress.finish_and_clear();
        sent
    };
    for (session, why) in &sent.failed {
        note(&format!("{session}: not imported whole: {why}"));
    }
    summary(args, &read, &sent, turns, output)?;
    Ok(match &sent.first_error {
        _ if read.mistakes > 0 => EXIT_USAGE,
        Some(status) => exit_code_of(status),
        None => EXIT_OK,
    })
}

fn check_ids(args: &ImportArgs) -> Result<(), Error> {
    if let Some(Err(error)) = args.user.as_deref().map(UserId::parse) {
        return Err(Error::Usage(format!("--user {error}")));
    }
    if let Some(Err(error)) = args.session.as_deref().map(SessionId::parse) {
        return Err(Error::Usage(format!("--session {error}")));
    }
    Ok(())
}

fn read_files(args: &ImportArgs) -> Result<Read, Error> {
    let mut read = Read::default();
    for path in &args.files {
        let mut parsed = detect::read(path)?;
        let name = path.display().to_string();
        report(&name, &parsed);
        read.mistakes += parsed.mistakes.len();
        read.skipped += parsed.skipped;
        if !args.skip_bad {
            let damaged = std::mem::take(&mut parsed.damaged);
            parsed.sessions.retain(|session| !damaged.contains(&session.session_id));
            for session in &damaged {
                note(&format!("{name}: the session {session} is held back: it is not whole"));
            }
            read.held_back.extend(damaged);
        }
        read.sessions.append(&mut parsed.sessions);
    }
    for session in &mut read.sessions {
        if let Some(user) = &args.user {
            session.user_id.clone_from(user);
        }
    }
    match (&args.session, read.sessions.as_mut_slice()) {
        (Some(id), [session]) => session.session_id.clone_from(id),
        (Some(_), sessions) if sessions.len() > 1 => {
            let count = sessions.len();
            return Err(Error::Usage(format!("--session names one session, there are {count}")));
        }
        _ => {}
    }
    Ok(read)
}

fn report(name: &str, parsed: &Parsed) {
    for mistake in parsed.mistakes.iter().take(MISTAKES_SHOWN_MAX) {
        match mistake.line {
            0 => note(&format!("{name}: {}", mistake.message)),
            line => note(&format!("{name}:{line}: {}", mistake.message)),
        }
    }
    let more = parsed.mistakes.len().saturating_sub(MISTAKES_SHOWN_MAX);
    if more > 0 {
        note(&format!("{name}: and {more} more mistakes, {} in all", parsed.mistakes.len()));
    }
}

fn progress_bar(turns: usize) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} turns, {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(turns as u64), target).with_style(style)
}

fn summary(
    args: &ImportArgs,
    read: &Read,
    sent: &Sent,
    turns: usize,
    output: Output,
) -> Result<(), Error> {
    if output.is_json() {
        return output.json(&json!({
            "dryRun": args.dry_run,
            "sessions": sent.sessions,
            "sessionsHeldBack": read.held_back,
            "sessionsFailed": sent.failed.iter().map(|(id, _)| id).collect::<Vec<_>>(),
            "turns": turns,
            "turnsNew": sent.new,
            "turnsExisted": sent.existed,
            "skipped": read.skipped,
            "mistakes": read.mistakes,
        }));
    }
    let what = if args.dry_run {
        format!("{} sessions, {turns} turns would be sent", sent.sessions)
    } else {
        format!(
            "{} sessions, {turns} turns: {} new, {} were there",
            sent.sessions, sent.new, sent.existed
        )
    };
    output.text(&format!(
        "{what}; {} without content; {} sessions held back, {} failed; {} mistakes",
        read.skipped,
        read.held_back.len(),
        sent.failed.len(),
        read.mistakes
    ))
}
