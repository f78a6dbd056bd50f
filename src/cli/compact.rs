//! `keepsake compact`: a server rids its files of what was deleted.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use prost_types::Timestamp;
use tonic::Status;

use crate::cli::{Client, Error, Output, output::note, wire::show_time};
use crate::proto::v1;

/// How often the server is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Has the server write its files anew, without what was deleted, and waits for it. Deletions are
/// done with their answers; this is for the files, which get rid of them later by themselves.
#[derive(Debug, Args)]
pub struct CompactArgs {
    /// Do not wait until it is done.
    #[arg(long)]
    no_wait: bool,
}

/// Asks for it, and waits.
pub(super) async fn run(
    args: &CompactArgs,
    mut client: Client,
    output: Output,
) -> Result<(), Error> {
    let asked = client.tenants.erase_files(v1::EraseFilesRequest {}).await?.into_inner();
    match asked.files() {
        v1::FileErasure::ByNode if !args.no_wait => {}
        v1::FileErasure::ByStoreCopy => {
            let text = "the engine of the server never rids its files of what was deleted: stop \
                        it, make a copy with `keepsake store copy`, use that, and remove this one";
            return Err(Status::failed_precondition(text).into());
        }
        _ => {
            let text = |_| "asked\n".to_owned();
            return output.answer("keepsake.v1.EraseFilesResponse", &asked, text);
        }
    }
    let progress = progress();
    let done = wait(&mut client, asked.request_time.unwrap_or_default(), &progress).await;
    progress.finish_and_clear();
    let done = done?;
    output.answer("keepsake.v1.GetErasureResponse", &done, |_| {
        let before = show_time(done.erased_before.as_ref());
        format!("no file holds anything of what was deleted before {before}\n")
    })
}

async fn wait(
    client: &mut Client,
    asked: Timestamp,
    progress: &ProgressBar,
) -> Result<v1::GetErasureResponse, Error> {
    let moment = |time: &Timestamp| (time.seconds, time.nanos);
    loop {
        let state = client.tenants.get_erasure(v1::GetErasureRequest {}).await?.into_inner();
        if state.erased_before.as_ref().is_some_and(|time| moment(time) >= moment(&asked)) {
            return Ok(state);
        }
        if !state.held_by.is_empty() && !state.running {
            let text = format!("the files still hold what was deleted: {}", state.held_by);
            return Err(Status::failed_precondition(text).into());
        }
        progress.tick();
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn progress() -> ProgressBar {
    let terminal = std::io::stderr().is_terminal();
    if !terminal {
        note("the server writes its files anew");
    }
    let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style =
        ProgressStyle::with_template("{spinner} the server writes its files anew {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::with_draw_target(None, target).with_style(style)
}
