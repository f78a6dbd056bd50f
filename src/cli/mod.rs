//! The command line: clients of the gRPC contract, import, evaluation, a demonstration.
//! In: flags, environment, files. Out: text for people or one JSON object on stdout, failures on
//! stderr, an exit code. The commands that need a server of their own start one on a temporary
//! folder.
//! Invariant: stdout holds the answer only; the exit code depends on the failure's kind only.

mod args;
mod bench;
mod compact;
mod connect;
mod context;
mod demo;
mod doctor;
mod documents;
mod embedding;
mod error;
mod eval;
mod health;
mod import;
mod ingest;
mod jobs;
mod key;
mod local;
mod output;
mod read_pdf;
mod reindex;
mod render;
mod search;
mod serve;
mod session;
mod store;
mod tenant;
mod wire;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use args::{Cli, ClientArgs, Command};
pub use bench::BenchArgs;
pub use compact::CompactArgs;
pub use connect::{Client, DEFAULT_ADDRESS, Settings};
pub use context::ContextArgs;
pub use demo::DemoArgs;
pub use doctor::DoctorArgs;
pub use documents::DocumentsCommand;
pub use embedding::EmbeddingCommand;
pub use error::{
    EXIT_CONFLICT, EXIT_DEADLINE, EXIT_DENIED, EXIT_EXHAUSTED, EXIT_INTERNAL, EXIT_NOT_FOUND,
    EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE, Error,
};
pub use eval::EvalArgs;
pub use import::{ImportArgs, parse as parse_import};
pub use ingest::IngestArgs;
pub use jobs::JobsArgs;
pub use key::KeyCommand;
pub use output::{Form, Output};
pub use read_pdf::ReadPdfArgs;
pub use reindex::ReindexArgs;
pub use search::SearchArgs;
pub use serve::{ServeArgs, serve};
pub use session::SessionCommand;
pub use store::StoreCommand;
pub use tenant::TenantCommand;

/// Runs the command of this process's arguments to its end and gives its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Serve(args) = &cli.command {
        return serve(args);
    }
    if let Command::ReadPdf(args) = &cli.command {
        return read_pdf::run(args);
    }
    let output = Output::new(Form::of_stdout(cli.client.json));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(cli, output)),
        Err(error) => Err(Error::Internal(format!("cannot start: {error}"))),
    };
    ExitCode::from(done.unwrap_or_else(|error| fail(&error, output)))
}

/// Writes a failure to stderr, unless it is only that nobody reads the output.
fn fail(error: &Error, output: Output) -> u8 {
    match error {
        Error::ClosedPipe => {}
        error if output.is_json() => output::note(&error.to_json().to_string()),
        error => output::note(&error.to_text()),
    }
    error.exit_code()
}

/// Runs a command of a client to its end and gives its exit code; `serve` is none.
///
/// # Errors
/// Whatever kept the command from doing what it was asked; the exit code is in it.
pub async fn run(cli: Cli, output: Output) -> Result<u8, Error> {
    let client = cli.client;
    match cli.command {
        Command::Serve(_) | Command::ReadPdf(_) => {
            return Err(Error::Internal("it runs on its own".to_owned()));
        }
        Command::Demo(args) => demo::run(&args, output).await?,
        Command::Eval(args) => eval::run(&args, output).await?,
        Command::Bench(args) => bench::run(&args, &client, output).await?,
        Command::Import(args) => return import::run(&args, &client, output).await,
        Command::Ingest(args) => return ingest::run(&args, &client, output).await,
        Command::Documents(command) => {
            documents::run(command, connect_to(&client).await?, output).await?;
        }
        Command::Session(command) => {
            session::run(command, connect_to(&client).await?, output).await?;
        }
        Command::Context(args) => {
            context::run(args.request(), connect_to(&client).await?, output).await?;
        }
        Command::Search(args) => search::run(args, connect_to(&client).await?, output).await?,
        Command::Tenant(command) => {
            tenant::run(command, connect_to(&client).await?, output).await?;
        }
        Command::Key(command) => key::run(command, connect_to(&client).await?, output).await?,
        Command::Jobs(args) => jobs::run(args, connect_to(&client).await?, output).await?,
        Command::Compact(args) => {
            compact::run(&args, connect_to(&client).await?, output).await?;
        }
        Command::Embedding(command) => {
            embedding::run(command, connect_to(&client).await?, output).await?;
        }
        Command::Store(command) => {
            let copied = tokio::task::spawn_blocking(move || store::run(&command, output));
            copied.await.map_err(|error| Error::Internal(error.to_string()))??;
        }
        Command::Reindex(args) => return reindex::run(&args, output).await,
        Command::Doctor(args) => return doctor::run(&args, output).await,
        Command::Health => health::run(&Settings::resolve(&client)?, output).await?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "keepsake", &mut script);
            output.text(&String::from_utf8_lossy(&script))?;
        }
    }
    Ok(EXIT_OK)
}

async fn connect_to(args: &ClientArgs) -> Result<Client, Error> {
    Client::connect(&Settings::resolve(args)?).await
}

#[cfg(test)]
mod tests;
