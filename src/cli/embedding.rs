//! `keepsake embedding`: the embedding model of a running server, and the one that is to follow.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tonic::Status;

use crate::cli::{Client, Error, Output, output::note};
use crate::proto::v1;

/// How often the server is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Changes the embedding model of a running server. Set `embedding.next` and start the server: what
/// is stored gets vectors of both models then, and the old one serves until `switch`.
#[derive(Debug, Subcommand)]
pub enum EmbeddingCommand {
    /// Show which model serves, and how far the other one is.
    Show {
        /// Wait until the other one is ready.
        #[arg(long)]
        wait: bool,
    },
    /// Have the other model serve; a second switch goes back.
    Switch {
        /// The key of the model that is to serve, as `show` gives it; without it, the other one.
        to: Option<String>,
        /// Switch also when it is not ready: answers lack meaning until it is.
        #[arg(long)]
        force: bool,
    },
}

/// Runs it.
pub(super) async fn run(
    command: EmbeddingCommand,
    mut client: Client,
    output: Output,
) -> Result<(), Error> {
    let embedding = match command {
        EmbeddingCommand::Show { wait: false } => look(&mut client).await?,
        EmbeddingCommand::Show { wait: true } => wait(&mut client).await?,
        EmbeddingCommand::Switch { to, force } => {
            let to = match to {
                Some(to) => to,
                None => other(look(&mut client).await?)?,
            };
            let request = v1::SwitchEmbeddingRequest { to, force };
            let answer = client.tenants.switch_embedding(request).await?.into_inner();
            answer.embedding.unwrap_or_default()
        }
    };
    output.answer("keepsake.v1.Embedding", &embedding, |_| show(&embedding))
}

async fn look(client: &mut Client) -> Result<v1::Embedding, Error> {
    let answer = client.tenants.get_embedding(v1::GetEmbeddingRequest {}).await?.into_inner();
    Ok(answer.embedding.unwrap_or_default())
}

fn other(embedding: v1::Embedding) -> Result<String, Error> {
    if embedding.beside.is_empty() {
        let text = "the server has one model: set `embedding.next` and start it anew";
        return Err(Status::failed_precondition(text).into());
    }
    Ok(embedding.beside)
}

async fn wait(client: &mut Client) -> Result<v1::Embedding, Error> {
    let progress = progress();
    loop {
        let now = look(client).await?;
        if now.ready || now.beside.is_empty() {
            progress.finish_and_clear();
            return Ok(now);
        }
        let done = now.turns_done + now.chunks_done;
        progress.set_length(u64::try_from(now.turns + now.chunks).unwrap_or_default());
        progress.set_position(u64::try_from(done).unwrap_or_default());
        progress.set_message(now.held_by);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn progress() -> ProgressBar {
    let terminal = std::io::stderr().is_terminal();
    if !terminal {
        note("waiting until the other model has vectors of all that is stored");
    }
    let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let template = "{bar:30} {pos}/{len} turns and chunks, {per_sec}, {eta} left {msg}";
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(None, target).with_style(style)
}

fn show(embedding: &v1::Embedding) -> String {
    let mut text = match embedding.serving.as_str() {
        "" => "serving  none: words alone\n".to_owned(),
        serving => format!("serving  {serving}\n"),
    };
    if !embedding.beside.is_empty() {
        let state = if embedding.ready { "ready" } else { "not ready" };
        let _ = writeln!(
            text,
            "beside   {}: {state}, {} of {} turns, {} of {} chunks",
            embedding.beside,
            embedding.turns_done,
            embedding.turns,
            embedding.chunks_done,
            embedding.chunks
        );
    }
    if !embedding.held_by.is_empty() {
        let _ = writeln!(text, "held by  {}", embedding.held_by);
    }
    if embedding.clearing {
        text.push_str("vectors of a model that the settings name no more are being removed\n");
    }
    text
}
