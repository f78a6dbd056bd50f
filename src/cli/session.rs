//! `keepsake session`: sessions and their turns.

pub(super) mod append;
mod summaries;

use clap::{Args, Subcommand};

use crate::cli::{
    Client, Error, Output, render,
    search::speaker,
    wire::{parse_duration, parse_label, readable, show_time},
};
use crate::proto::v1;

pub use append::AppendArgs;

/// The largest page that a server gives.
const PAGE_MAX: usize = 1_000;

/// The commands on sessions.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List sessions in the order of their ids.
    List(ListArgs),
    /// Show one session: its counts, times and instructions.
    Show {
        /// The session.
        id: String,
    },
    /// List the turns of a session.
    Turns(TurnsArgs),
    /// List the summaries of a session.
    Summaries {
        /// The session.
        id: String,
        /// How many at most.
        #[arg(long, default_value_t = 100, value_name = "N", value_parser = parse_limit)]
        limit: usize,
    },
    /// Append turns: from flags, from a file, or from stdin.
    Append(AppendArgs),
    /// Set the instructions that stand first in each context of a session.
    Pin {
        /// The session.
        id: String,
        /// The instructions; empty: none.
        text: String,
    },
    /// Set labels, or the time to live, of a session.
    Set(SetArgs),
    /// Copy the beginning of a session into a new one.
    Fork {
        /// The session to copy from.
        id: String,
        /// The id of the new session.
        new_id: String,
        /// The last turn to copy; 0: all.
        #[arg(long, default_value_t = 0, value_name = "SEQ")]
        at: u64,
    },
    /// Erase a session, or some of its turns.
    Delete {
        /// The session.
        id: String,
        /// Erase only these turns.
        #[arg(long, value_delimiter = ',', value_name = "SEQ,…")]
        seqs: Vec<u64>,
    },
}

/// Flags of `keepsake session list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only this user's sessions.
    #[arg(long, default_value = "", hide_default_value = true)]
    user: String,
    /// How many at most.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = parse_limit)]
    limit: usize,
}

/// Flags of `keepsake session turns`.
#[derive(Debug, Args)]
pub struct TurnsArgs {
    /// The session.
    id: String,
    /// How many at most.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = parse_limit)]
    limit: usize,
    /// The last turn first.
    #[arg(long)]
    newest_first: bool,
    /// Also those that later turns replaced.
    #[arg(long)]
    include_superseded: bool,
}

/// Flags of `keepsake session set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The session.
    id: String,
    /// Labels, in place of all the old ones; may be given often.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// How long it lives after its last change, as in 90s, 15m, 12h, 30d.
    #[arg(long, value_parser = parse_duration)]
    ttl: Option<prost_types::Duration>,
}

/// Runs a command on sessions.
pub(super) async fn run(
    command: SessionCommand,
    client: Client,
    output: Output,
) -> Result<(), Error> {
    match command {
        SessionCommand::List(args) => list(args, client, output).await,
        SessionCommand::Show { id } => show(id, client, output).await,
        SessionCommand::Turns(args) => turns(args, client, output).await,
        SessionCommand::Summaries { id, limit } => summaries::run(id, limit, client, output).await,
        SessionCommand::Append(args) => append::run(args, client, output).await,
        SessionCommand::Pin { id, text } => {
            let update = v1::UpdateSessionRequest {
                session_id: id,
                update_mask: mask(&["pinned_instructions"]),
                pinned_instructions: text,
                ..Default::default()
            };
            set(update, client, output).await
        }
        SessionCommand::Set(args) => {
            let mut paths = Vec::new();
            if !args.labels.is_empty() {
                paths.push("metadata");
            }
            if args.ttl.is_some() {
                paths.push("ttl");
            }
            if paths.is_empty() {
                return Err(Error::Usage("nothing to set: give --label or --ttl".to_owned()));
            }
            let update = v1::UpdateSessionRequest {
                session_id: args.id,
                update_mask: mask(&paths),
                metadata: args.labels.into_iter().collect(),
                ttl: args.ttl,
                ..Default::default()
            };
            set(update, client, output).await
        }
        SessionCommand::Fork { id, new_id, at } => fork(id, new_id, at, client, output).await,
        SessionCommand::Delete { id, seqs } if seqs.is_empty() => {
            delete_session(id, client, output).await
        }
        SessionCommand::Delete { id, seqs } => delete_turns(id, seqs, client, output).await,
    }
}

fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() })
}

/// Reads how many entries are wanted: at least one.
pub(super) fn parse_limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(limit) => Ok(limit),
        Err(error) => Err(error.to_string()),
    }
}

/// The size of the next page when `missing` entries are wanted.
pub(super) fn page_size(missing: usize) -> u32 {
    u32::try_from(missing.min(PAGE_MAX)).unwrap_or(100)
}

async fn list(args: ListArgs, mut client: Client, output: Output) -> Result<(), Error> {
    let mut all = v1::ListSessionsResponse::default();
    while all.sessions.len() < args.limit {
        let request = v1::ListSessionsRequest {
            user_id: args.user.clone(),
            page_size: page_size(args.limit - all.sessions.len()),
            page_token: all.next_page_token,
        };
        let page = client.memory.list_sessions(request).await?.into_inner();
        all.sessions.extend(page.sessions);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    output.answer("keepsake.v1.ListSessionsResponse", &all, |paint| {
        let mut text = String::new();
        for session in &all.sessions {
            text.push_str(&format!(
                "{}  {}  {} turns  {}\n",
                paint.bold(&session.session_id),
                if session.user_id.is_empty() { "-" } else { &session.user_id },
                session.turn_count,
                paint.dim(&show_time(session.update_time.as_ref())),
            ));
        }
        if all.sessions.is_empty() {
            text.push_str("no sessions\n");
        } else if !all.next_page_token.is_empty() {
            text.push_str(&paint.dim("there are more: raise --limit\n"));
        }
        text
    })
}

async fn show(id: String, mut client: Client, output: Output) -> Result<(), Error> {
    let request = v1::GetSessionRequest { session_id: id };
    let answer = client.memory.get_session(request).await?.into_inner();
    output.answer("keepsake.v1.GetSessionResponse", &answer, |paint| {
        let session = answer.session.clone().unwrap_or_default();
        let ttl = session.ttl.map_or_else(|| "none".to_owned(), |ttl| format!("{} s", ttl.seconds));
        let kind = match session.kind() {
            v1::SessionKind::Unspecified => "seen from its turns".to_owned(),
            kind => render::in_words(kind.as_str_name(), "SESSION_KIND_"),
        };
        let mut rows = vec![
            ("user", session.user_id.clone()),
            ("turns", format!("{} living, last seq {}", session.turn_count, session.last_seq)),
            ("version", format!("{}, change {}", session.version, session.change)),
            ("kind", kind),
            ("created", show_time(session.create_time.as_ref())),
            ("updated", show_time(session.update_time.as_ref())),
            ("time to live", ttl),
            ("ends", show_time(session.expire_time.as_ref())),
        ];
        if !session.forked_from_session_id.is_empty() {
            let from = format!("{}#{}", session.forked_from_session_id, session.forked_at_seq);
            rows.push(("forked from", from));
        }
        for (key, value) in &session.metadata {
            rows.push(("label", format!("{key}={value}")));
        }
        rows.extend(pending(answer.pending.as_ref()));
        rows.push(("instructions", session.pinned_instructions.clone()));
        let mut text = format!("{}\n", paint.bold(&session.session_id));
        for (name, value) in rows {
            let value = if value.is_empty() { "-" } else { &value };
            text.push_str(&format!("  {} {value}\n", paint.dim(&format!("{name:<13}"))));
        }
        text
    })
}

/// What waits behind a session.
fn pending(work: Option<&v1::PendingWork>) -> Option<(&'static str, String)> {
    let work = work?;
    let waits = match work.vectors_pending {
        0 => "no turn waits".to_owned(),
        turns => {
            let since = show_time(work.oldest_pending_time.as_ref());
            format!("{turns} turns wait, the oldest since {since}")
        }
    };
    Some(("vectors", waits))
}

async fn turns(args: TurnsArgs, mut client: Client, output: Output) -> Result<(), Error> {
    let mut all = v1::ListTurnsResponse::default();
    while all.turns.len() < args.limit {
        let request = v1::ListTurnsRequest {
            session_id: args.id.clone(),
            page_size: page_size(args.limit - all.turns.len()),
            page_token: all.next_page_token,
            include_superseded: args.include_superseded,
            newest_first: args.newest_first,
        };
        let page = client.memory.list_turns(request).await?.into_inner();
        all.turns.extend(page.turns);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    output.answer("keepsake.v1.ListTurnsResponse", &all, |paint| {
        let mut text = String::new();
        for turn in &all.turns {
            let time = show_time(turn.created_at.as_ref());
            let mark = if turn.superseded { " (superseded)" } else { "" };
            text.push_str(&format!(
                "{:>5}  {}  {}{mark}: {}\n",
                turn.seq,
                paint.dim(&time),
                paint.bold(&speaker(turn)),
                readable(&turn.parts)
            ));
        }
        if !all.next_page_token.is_empty() {
            text.push_str(&paint.dim("there are more: raise --limit\n"));
        }
        text
    })
}

async fn set(
    request: v1::UpdateSessionRequest,
    mut client: Client,
    output: Output,
) -> Result<(), Error> {
    let answer = client.memory.update_session(request).await?.into_inner();
    output.answer("keepsake.v1.UpdateSessionResponse", &answer, |_| {
        format!("{}: changed, change {}", answer.session_id, answer.change)
    })
}

async fn fork(
    id: String,
    new_id: String,
    at_seq: u64,
    mut client: Client,
    output: Output,
) -> Result<(), Error> {
    let request = v1::ForkSessionRequest {
        session_id: id,
        at_seq,
        new_session_id: new_id,
        request_id: String::new(),
    };
    let answer = client.memory.fork_session(request).await?.into_inner();
    output.answer("keepsake.v1.ForkSessionResponse", &answer, |_| {
        format!(
            "{}: {} turns copied, last seq {}",
            answer.session_id, answer.turns_copied, answer.last_seq
        )
    })
}

async fn delete_session(id: String, mut client: Client, output: Output) -> Result<(), Error> {
    let request = v1::DeleteSessionRequest { session_id: id, request_id: String::new() };
    let answer = client.memory.delete_session(request).await?.into_inner();
    output.answer("keepsake.v1.DeleteSessionResponse", &answer, |_| {
        format!("{}: erased, {} turns", answer.session_id, answer.turns_erased)
    })
}

async fn delete_turns(
    id: String,
    seqs: Vec<u64>,
    mut client: Client,
    output: Output,
) -> Result<(), Error> {
    let request = v1::DeleteTurnsRequest { session_id: id, seqs, ..Default::default() };
    let answer = client.memory.delete_turns(request).await?.into_inner();
    output.answer("keepsake.v1.DeleteTurnsResponse", &answer, |_| {
        let seqs: Vec<String> = answer.seqs_erased.iter().map(u64::to_string).collect();
        let seqs = if seqs.is_empty() { "none".to_owned() } else { seqs.join(", ") };
        format!("{}: erased {seqs}; version {}", answer.session_id, answer.version)
    })
}
