//! `keepsake search`: ranks past turns.

use clap::Args;

use crate::cli::{
    Client, Error, Output,
    context::ScopeArg,
    render,
    wire::{parse_time, readable, show_time},
};
use crate::proto::v1;

/// Flags of `keepsake search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What to find.
    query: String,
    /// The session to search.
    #[arg(long, required_unless_present = "user")]
    session: Option<String>,
    /// The user whose sessions to search.
    #[arg(long)]
    user: Option<String>,
    /// How many hits.
    #[arg(long, default_value_t = 10, value_name = "N")]
    top: u32,
    /// Where to look [default: session when one is named, else user].
    #[arg(long, value_enum)]
    scope: Option<ScopeArg>,
    /// The reference for relative dates [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    as_of: Option<prost_types::Timestamp>,
    /// The user's time zone, by its IANA name.
    #[arg(long, value_name = "ZONE", default_value = "")]
    time_zone: String,
    /// Give every signal of each score.
    #[arg(long)]
    explain: bool,
}

/// Searches and writes the hits, best first.
pub(super) async fn run(args: SearchArgs, client: Client, output: Output) -> Result<(), Error> {
    let request = v1::SearchRequest {
        session_id: args.session.unwrap_or_default(),
        user_id: args.user.unwrap_or_default(),
        query: args.query,
        top_k: args.top,
        scope: args.scope.map_or(0, |scope| scope.wire() as i32),
        as_of: args.as_of,
        time_zone: args.time_zone,
        explain: args.explain,
        ..Default::default()
    };
    let mut memory = client.memory;
    let answer = memory.search(request).await?.into_inner();
    output.answer("keepsake.v1.SearchResponse", &answer, |paint| {
        let mut text = String::new();
        for (index, hit) in answer.hits.iter().enumerate() {
            let Some(turn) = &hit.turn else { continue };
            let place = format!("{}#{}", hit.session_id, turn.seq);
            text.push_str(&format!(
                "{:>3}  {:>7.3}  {}  {}  {}\n",
                index + 1,
                hit.score,
                paint.bold(&place),
                paint.dim(&show_time(turn.created_at.as_ref())),
                render::one_line(&format!("{}: {}", speaker(turn), readable(&turn.parts)), 160),
            ));
            text.push_str(&render::signals(&hit.signals, "              "));
        }
        if answer.hits.is_empty() {
            text.push_str("nothing found\n");
        }
        text.push_str(&paint.dim(&render::decision_line(answer.decision, &answer.degraded)));
        text
    })
}

/// Who a turn is from, as a person reads it.
pub(super) fn speaker(turn: &v1::Turn) -> String {
    if !turn.name.is_empty() {
        return turn.name.clone();
    }
    match turn.role() {
        v1::Role::User => "User",
        v1::Role::Assistant => "Assistant",
        v1::Role::Tool => "Tool",
        v1::Role::System => "System",
        v1::Role::Unspecified => "?",
    }
    .to_owned()
}
