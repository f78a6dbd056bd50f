//! `keepsake session append`: turns from flags, or as JSON Lines from a file or stdin.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::cli::{
    Client, Error, Output,
    connect::read_text,
    import::turn_of_json,
    wire::{from_json, parse_label, parse_time, text_part},
};
use crate::proto::v1;

/// The most bytes that are read from stdin: more than one append may hold.
const STDIN_BYTES_MAX: u64 = 64 << 20;

/// Who a turn is from.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RoleArg {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// Flags of `keepsake session append`.
#[derive(Debug, Args)]
pub struct AppendArgs {
    /// The session; it is created when it is not there.
    id: String,
    /// The user of a session that this creates.
    #[arg(long, default_value = "", hide_default_value = true)]
    user: String,
    /// Who the turn of --text is from.
    #[arg(long, value_enum, requires = "text")]
    role: Option<RoleArg>,
    /// The text of one turn. Without it, turns are read as JSON Lines: each line the protobuf JSON
    /// of a NewTurn, or an object with role and text (or content).
    #[arg(long, requires = "role", conflicts_with = "file")]
    text: Option<String>,
    /// The speaker's name.
    #[arg(long, default_value = "", hide_default_value = true, requires = "text")]
    name: String,
    /// When it was said [default: now, by the server's clock].
    #[arg(long, value_name = "TIME", value_parser = parse_time, requires = "text")]
    created_at: Option<prost_types::Timestamp>,
    /// The client's own id of the turn.
    #[arg(long, default_value = "", hide_default_value = true, requires = "text")]
    external_id: String,
    /// A label of the turn; may be given often.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label, requires = "text")]
    labels: Vec<(String, String)>,
    /// Read JSON Lines from this file; `-`: stdin.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Supersede all turns from this one on, in the same commit.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "SEQ")]
    replace_from_seq: u64,
    /// The version that the session must have.
    #[arg(long, value_name = "VERSION")]
    expected_version: Option<u64>,
    /// A UUID that makes the call safe to repeat.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "UUID")]
    request_id: String,
}

/// Appends and writes what became of each turn.
pub(super) async fn run(args: AppendArgs, mut client: Client, output: Output) -> Result<(), Error> {
    let turns = read_turns(&args)?;
    let request = v1::AppendTurnsRequest {
        session_id: args.id,
        user_id: args.user,
        turns,
        request_id: args.request_id,
        expected_version: args.expected_version,
        replace_from_seq: args.replace_from_seq,
    };
    let answer = client.memory.append_turns(request).await?.into_inner();
    output.answer("keepsake.v1.AppendTurnsResponse", &answer, |_| {
        let existed = answer.turns.iter().filter(|turn| turn.existed).count();
        let mut text = match answer.first_seq {
            0 => format!("{}: nothing new", answer.session_id),
            first => format!("{}: appended {first}–{}", answer.session_id, answer.last_seq),
        };
        if existed > 0 {
            text.push_str(&format!(", {existed} were there"));
        }
        if answer.turns_superseded > 0 {
            text.push_str(&format!(", {} superseded", answer.turns_superseded));
        }
        format!("{text}; version {}", answer.version)
    })
}

fn read_turns(args: &AppendArgs) -> Result<Vec<v1::NewTurn>, Error> {
    if let (Some(text), Some(role)) = (&args.text, args.role) {
        let role = match role {
            RoleArg::User => v1::Role::User,
            RoleArg::Assistant => v1::Role::Assistant,
        };
        return Ok(vec![v1::NewTurn {
            role: role as i32,
            name: args.name.clone(),
            parts: vec![text_part(text)],
            created_at: args.created_at,
            external_id: args.external_id.clone(),
            metadata: args.labels.iter().cloned().collect(),
            status: 0,
        }]);
    }
    match &args.file {
        Some(path) if path.as_os_str() != "-" => {
            parse_lines(&read_text(path)?, &path.display().to_string())
        }
        _ => {
            let mut text = String::new();
            let read = std::io::stdin().lock().take(STDIN_BYTES_MAX).read_to_string(&mut text);
            read.map_err(|e| Error::Usage(format!("cannot read stdin: {e}")))?;
            parse_lines(&text, "stdin")
        }
    }
}

/// Reads JSON Lines of turns; every bad line is named.
pub(in crate::cli) fn parse_lines(text: &str, source: &str) -> Result<Vec<v1::NewTurn>, Error> {
    let mut turns = Vec::new();
    let mut mistakes = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match parse_line(line) {
            Ok(turn) => turns.push(turn),
            Err(mistake) => mistakes.push(format!("{source}:{}: {mistake}", index + 1)),
        }
    }
    if turns.is_empty() && mistakes.is_empty() {
        mistakes.push(format!("{source}: no turns"));
    }
    if mistakes.is_empty() { Ok(turns) } else { Err(Error::Usage(mistakes.join("\n"))) }
}

fn parse_line(line: &str) -> Result<v1::NewTurn, String> {
    let value: Value = serde_json::from_str(line).map_err(|e| format!("no JSON: {e}"))?;
    if value.get("parts").is_some() {
        from_json("keepsake.v1.NewTurn", value)
    } else {
        turn_of_json(&value)
    }
}
