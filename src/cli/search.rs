//! `keepsake search`: ranks past turns.

use clap::Args;

use crate::cli::{
    Client, Error, Output,
    context::ScopeArg,
    ingest::label,
    output::Paint,
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
    #[arg(long, required_unless_present_any = ["user", "collection"])]
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
    /// A collection of documents to search; may be given more than once.
    #[arg(long, value_name = "NAME")]
    collection: Vec<String>,
    /// Only documents whose label has this value; may be given more than once.
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
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
        collections: args.collection,
        document_filter: (!args.label.is_empty()).then(|| labelled(args.label)),
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
        for (index, hit) in answer.documents.iter().enumerate() {
            text.push_str(&document_line(index, hit, paint));
            text.push_str(&render::signals(&hit.signals, "              "));
        }
        if answer.hits.is_empty() && answer.documents.is_empty() {
            text.push_str("nothing found\n");
        }
        text.push_str(&paint.dim(&render::decision_line(answer.decision, &answer.degraded)));
        text
    })
}

/// One chunk of a document on a line.
fn document_line(index: usize, hit: &v1::DocumentHit, paint: Paint) -> String {
    let citation = hit.citation.clone().unwrap_or_default();
    let place = format!("{}/{}", citation.collection, citation.document_id);
    format!(
        "{:>3}  {:>7.3}  {}  {}  {}\n",
        index + 1,
        hit.score,
        paint.bold(&place),
        paint.dim(&format!("bytes {} to {}", citation.start, citation.end)),
        render::one_line(&hit.text, 160),
    )
}

fn labelled(labels: Vec<(String, String)>) -> v1::DocumentFilter {
    let label = |(key, value)| v1::LabelFilter { key, any_of: vec![value], ..Default::default() };
    v1::DocumentFilter { labels: labels.into_iter().map(label).collect(), ..Default::default() }
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
