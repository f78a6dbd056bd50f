//! `keepsake demo`: plays a conversation to a server of its own and shows three contexts.

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;

use crate::cli::{
    Client, Error, Output, import,
    local::{LocalServer, Wishes},
    render,
    wire::parse_time,
};
use crate::proto::{json_of, v1};

/// The conversation: JSON Lines of turns, written for this.
const CONVERSATION: &str = include_str!("demo.jsonl");

/// The session that the conversation becomes.
const SESSION: &str = "demo";

/// The user whose session it is.
const USER: &str = "nora";

/// When the questions are asked: the evening of the last day.
const AS_OF: &str = "2025-03-12T18:00:00Z";

/// What is asked, and with how many tokens to answer from.
const QUESTIONS: [(&str, u32); 3] = [
    ("What time does our ferry leave, and what is the booking reference?", 1_000),
    ("What did we find out about Jonas's allergy?", 700),
    ("How much of the 2,400 euros is left now that the kayaks are paid?", 1_500),
];

/// Flags of `keepsake demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The model whose tokenizer counts.
    #[arg(long, default_value = "gpt-4o")]
    model: String,
    /// The budget of each context, in tokens [default: 1000, 700 and 1500].
    #[arg(long, value_name = "TOKENS")]
    budget: Option<u32>,
}

/// Plays the conversation, asks, and writes what came back.
pub(super) async fn run(args: &DemoArgs, output: Output) -> Result<(), Error> {
    let (server, client) = LocalServer::start(Wishes::default()).await?;
    let done = play(args, output, &server, client).await;
    server.stop().await?;
    done
}

async fn play(
    args: &DemoArgs,
    output: Output,
    server: &LocalServer,
    mut client: Client,
) -> Result<(), Error> {
    let turns = append(&client).await?;
    server.embedded().await;
    if !output.is_json() {
        output.text(&format!("{turns} turns of eight days went in.\n"))?;
    }
    let mut answers = Vec::new();
    for (question, budget) in QUESTIONS {
        let request = v1::BuildContextRequest {
            session_id: SESSION.to_owned(),
            query: question.to_owned(),
            model: args.model.clone(),
            budget_tokens: args.budget.unwrap_or(budget),
            as_of: Some(parse_time(AS_OF).map_err(Error::Internal)?),
            ..Default::default()
        };
        let context = client.memory.build_context(request).await?.into_inner();
        if output.is_json() {
            answers.push(json_of("keepsake.v1.BuildContextResponse", &context));
            continue;
        }
        let paint = output.paint();
        output.text(&format!(
            "{}\n\n{}\n{}\n",
            paint.bold(&format!("━━ {question}")),
            render::messages(&context, paint),
            render::account(&context, paint)
        ))?;
    }
    if output.is_json() { output.json(&json!({ "contexts": answers })) } else { Ok(()) }
}

/// Appends the conversation and gives the number of its turns.
async fn append(client: &Client) -> Result<usize, Error> {
    let mut parsed = import::parse(CONVERSATION, SESSION);
    for session in &mut parsed.sessions {
        USER.clone_into(&mut session.user_id);
    }
    let sent = import::send(client, parsed.sessions, &ProgressBar::hidden()).await;
    match sent.failed.first() {
        Some((_, why)) => Err(Error::Internal(why.clone())),
        None => Ok(sent.new),
    }
}
