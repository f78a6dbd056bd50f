//! `keepsake bench`: sends calls as backends do, over real sockets, and says how long they took and
//! what they cost the server.
//! In: flags; real conversations, or made ones. Out: tables for people or one JSON object.
//! Invariant: every call that was sent is in a row once, answered or refused, unless it was sent
//! during the warm-up.

mod args;
mod cores;
mod load;
mod metrics;
mod report;
mod scenarios;
mod server;
mod shelves;
mod stage;
mod talk;
mod tally;
mod watch;

use crate::cli::{ClientArgs, Error, Output};

pub use args::BenchArgs;

use report::Report;
use scenarios::Bench;
use talk::Talk;

/// A setting of the server, where it is the command's own.
fn of_server(load: &args::LoadArgs, setting: String) -> String {
    if load.server.remote { "the other server's".to_owned() } else { setting.to_lowercase() }
}

fn cores(apart: bool) -> String {
    let whose = if apart { "half the server's, half the load's" } else { "shared by both" };
    whose.to_owned()
}

/// Runs a benchmark to its end and writes its report.
pub(super) async fn run(
    args: &BenchArgs,
    client: &ClientArgs,
    output: Output,
) -> Result<(), Error> {
    let load = args.scenario.load();
    if !(0.0..=1.0).contains(&load.append_share) {
        return Err(Error::Usage("--append-share is a share: 0 to 1".to_owned()));
    }
    let talk = match &load.data {
        Some(folder) => Talk::read(folder, &load.set)?,
        None => Talk::made(load.seed)?,
    };
    let head = vec![
        ("machine", watch::machine()),
        ("talk", talk.source.clone()),
        ("embedding", of_server(load, format!("{:?}", load.server.embedding))),
        ("engine", of_server(load, format!("{:?}", load.server.engine))),
        ("share of appends", load.append_share.to_string()),
        ("cores", cores(load.server.apart)),
        ("budget of contexts, tokens", load.budget.to_string()),
    ];
    let report = Report { head, ..Report::default() };
    let mut bench = Bench { client, args: load, talk: &talk, report };
    bench.run(&args.scenario).await?;
    if output.is_json() {
        return output.json(&bench.report.to_json());
    }
    output.text(&bench.report.to_text())
}

#[cfg(test)]
mod tests;
