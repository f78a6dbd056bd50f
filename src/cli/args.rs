//! The command line as clap reads it: the commands and the flags that all clients share.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::cli::{
    BenchArgs, CompactArgs, ContextArgs, DemoArgs, DoctorArgs, DocumentsCommand, EmbeddingCommand,
    EvalArgs, ImportArgs, IngestArgs, JobsArgs, KeyCommand, ReadPdfArgs, ReindexArgs, SearchArgs,
    ServeArgs, SessionCommand, StoreCommand, TenantCommand,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  internal failure, here or in the server
  2  bad flags, bad input, INVALID_ARGUMENT
  3  cannot connect, UNAVAILABLE
  4  UNAUTHENTICATED, PERMISSION_DENIED
  5  NOT_FOUND
  6  conflict: ABORTED, ALREADY_EXISTS, FAILED_PRECONDITION
  7  RESOURCE_EXHAUSTED
  8  DEADLINE_EXCEEDED";

/// A memory service for LLM backends: append turns, get back the context that matters.
#[derive(Debug, Parser)]
#[command(name = "keepsake", version, after_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How to reach a server and in which form to answer.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Flags of every command that talks to a server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Client")]
pub struct ClientArgs {
    /// Where the server listens [default: http://127.0.0.1:7777].
    #[arg(long, global = true, env = "KEEPSAKE_ADDRESS", value_name = "URL")]
    pub address: Option<String>,
    /// The API key. Without one and with a loopback address, ./keepsake-data/dev.key is used when
    /// it is there.
    #[arg(
        long,
        global = true,
        env = "KEEPSAKE_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub api_key: Option<String>,
    /// The certificate to trust for https, as a PEM file.
    #[arg(long, global = true, env = "KEEPSAKE_CA_CERT", value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
    /// Settings of the client: a TOML file with address, api_key, ca_cert
    /// [default: $XDG_CONFIG_HOME/keepsake/client.toml].
    #[arg(long, global = true, value_name = "FILE")]
    pub client_config: Option<PathBuf>,
    /// The longest time a call may take, in seconds.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub timeout: u64,
    /// Answer with one JSON object: the protobuf JSON of the server's answer.
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server.
    Serve(ServeArgs),
    /// Play a conversation to a server of its own and show three contexts.
    Demo(DemoArgs),
    /// Work with sessions and their turns.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Build the context for a model call.
    Context(ContextArgs),
    /// Find past turns and passages of documents.
    Search(SearchArgs),
    /// Import conversations: JSON Lines, ChatGPT's conversations.json, Chat Completions messages.
    Import(ImportArgs),
    /// Make files documents of a collection.
    Ingest(IngestArgs),
    /// Work with documents and their collections.
    #[command(subcommand)]
    Documents(DocumentsCommand),
    /// Measure retrieval and contexts on a set of questions, on a server of its own.
    Eval(EvalArgs),
    /// Measure how fast a server is and what it takes: a load generator.
    Bench(BenchArgs),
    /// Work with tenants and their policies.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Work with API keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Show the work behind the sessions: what waits, runs or failed.
    Jobs(JobsArgs),
    /// Have the server write its files anew, without what was deleted.
    Compact(CompactArgs),
    /// Change the embedding model of a running server: show how far the next one is, switch.
    #[command(subcommand)]
    Embedding(EmbeddingCommand),
    /// Work with the data folder of a server that does not run.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Make the index of documents anew from the record, while no server holds the data folder.
    Reindex(ReindexArgs),
    /// Look at a data folder that no server holds: files, rows, what is derived.
    Doctor(DoctorArgs),
    /// Ask whether the server serves; for probes.
    Health,
    /// Write the completions of a shell to stdout.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Read a PDF from stdin; a server starts it for each PDF that it takes in.
    #[command(hide = true)]
    ReadPdf(ReadPdfArgs),
}
