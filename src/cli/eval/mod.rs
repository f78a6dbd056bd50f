//! `keepsake eval`: measures retrieval and contexts on a set of questions, over gRPC, on a server
//! of its own with the settings that a new tenant gets.
//! In: `<set>.turns.jsonl.gz`, or `<set>.documents.jsonl.gz`, and `<set>.queries.jsonl.gz`. Out: a
//! run file with one line for each question and each budget, a table, latencies.
//! Invariant: a turn counts as shown only when its whole text stands in the messages.

pub(super) mod ask;
mod documents;
pub(super) mod gains;
pub(super) mod questions;
pub(super) mod table;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;

use crate::cli::{
    Client, Error, Output,
    import::{self, Parsed},
    local::LocalServer,
    output::note,
    tenant::RetrievalArg,
};
use crate::proto::v1;

use ask::{Asked, Turns, ask};
use questions::{Question, read_rows};
use table::{Latencies, Table};

/// Flags of `keepsake eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// The folder that holds the set.
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// The name of the set: SET.queries.jsonl.gz and SET.turns.jsonl.gz, which are conversations,
    /// or SET.documents.jsonl.gz.
    #[arg(long, value_name = "SET")]
    set: String,
    /// Budgets of the contexts, in tokens; of documents no context is made.
    #[arg(long, value_delimiter = ',', default_value = "512,1024,2048,4096")]
    budgets: Vec<u32>,
    /// How the past, or the documents, are searched.
    #[arg(long, value_enum, default_value = "hybrid")]
    retrieval: RetrievalArg,
    /// The most tokens of a chunk of a document, 32 to 1,024 [default: what a document gets whose
    /// sender says nothing].
    #[arg(long, value_name = "N")]
    chunk_tokens: Option<u32>,
    /// Of documents: has them searched on the Qdrant server at this URL, in a collection
    /// `keepsake-eval-…` that stays.
    #[arg(long, value_name = "URL", env = "KEEPSAKE_TEST_QDRANT_URL")]
    qdrant: Option<String>,
    /// A folder that keeps vectors for the next run, by the hash of their texts.
    #[arg(long, value_name = "FOLDER")]
    vectors: Option<PathBuf>,
    /// The model whose tokenizer counts.
    #[arg(long, default_value = "gpt-4")]
    model: String,
    /// Where to write the run.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs an evaluation to its end.
pub(super) async fn run(args: &EvalArgs, output: Output) -> Result<(), Error> {
    let (turns_file, questions_file) = (file_of(args, "turns"), file_of(args, "queries"));
    let documents_file = file_of(args, "documents");
    if documents_file.exists() && !turns_file.exists() {
        let started = LocalServer::start(args.vectors.clone(), args.qdrant.clone()).await;
        let (server, client) = started?;
        let files = (&*documents_file, &*questions_file);
        let done = async {
            choose(args.retrieval, &client).await?;
            documents::measure(args, output, &client, files).await
        };
        let done = done.await;
        server.stop().await?;
        return done;
    }
    let questions: Vec<Question> = read_rows(&questions_file)?;
    let parsed = import::parse(&import::read_unpacked(&turns_file)?, &args.set);
    check(&turns_file, &parsed)?;
    let (server, client) = LocalServer::start(args.vectors.clone(), None).await?;
    let done = measure(args, output, (&server, &client), parsed, &questions).await;
    server.stop().await?;
    done
}

fn file_of(args: &EvalArgs, kind: &str) -> PathBuf {
    let packed = args.data.join(format!("{}.{kind}.jsonl.gz", args.set));
    let plain = args.data.join(format!("{}.{kind}.jsonl", args.set));
    if !packed.exists() && plain.exists() { plain } else { packed }
}

/// The command that scores the run.
fn scored_by(args: &EvalArgs) -> String {
    let (score, run) = (args.data.join("score.py"), args.out.display());
    format!("python3 {} {} {run}", score.display(), args.set)
}

/// A set must be whole: a figure over a part of it would be no figure of the set.
fn check(path: &Path, parsed: &Parsed) -> Result<(), Error> {
    let lines: Vec<String> = parsed
        .mistakes
        .iter()
        .take(20)
        .map(|mistake| format!("{}:{}: {}", path.display(), mistake.line, mistake.message))
        .collect();
    if lines.is_empty() { Ok(()) } else { Err(Error::Usage(lines.join("\n"))) }
}

async fn measure(
    args: &EvalArgs,
    output: Output,
    (server, client): (&LocalServer, &Client),
    parsed: Parsed,
    questions: &[Question],
) -> Result<(), Error> {
    choose(args.retrieval, client).await?;
    let sessions = parsed.sessions;
    let started = std::time::Instant::now();
    let sent = import::send(client, sessions.clone(), &ProgressBar::hidden()).await;
    if let Some((session, why)) = sent.failed.first() {
        let count = sent.failed.len();
        return Err(Error::Internal(format!("{count} sessions failed, first {session}: {why}")));
    }
    let seconds = started.elapsed().as_secs_f64();
    note(&format!("appended {} turns of {} sessions in {seconds:.1} s", sent.new, sent.sessions));
    if args.retrieval != RetrievalArg::Words {
        let started = std::time::Instant::now();
        server.embedded().await;
        note(&format!("embedded the rest in {:.1} s", started.elapsed().as_secs_f64()));
    }
    let turns = Turns::new(&sessions, &sent.seqs);
    let mut run = RunFile::create(&args.out)?;
    let mut table = Table::new(&args.budgets);
    let mut latencies = Latencies::default();
    for question in questions {
        let asked = Asked { question, budgets: &args.budgets, model: &args.model, turns: &turns };
        for line in ask(&asked, client, &mut table, &mut latencies).await? {
            run.write(&line)?;
        }
    }
    run.finish()?;
    if output.is_json() {
        return output.json(&json!({
            "set": args.set, "questions": questions.len(), "run": args.out.display().to_string(),
            "figures": table.to_json(), "latencyMs": latencies.to_json(),
        }));
    }
    let text = format!(
        "{}: {} questions, counted for {}\n\n{}\n{}\nto score: {}",
        args.set,
        questions.len(),
        args.model,
        table.to_text(),
        latencies.to_text(),
        scored_by(args)
    );
    output.text(&text)
}

/// Lets the server's tenant search by what was chosen, unless a new tenant does so anyway.
async fn choose(retrieval: RetrievalArg, client: &Client) -> Result<(), Error> {
    if retrieval == RetrievalArg::Hybrid {
        return Ok(());
    }
    let policy = v1::Policy {
        retrieval: Some(v1::RetrievalPolicy {
            mode: retrieval.wire().into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let paths = vec!["retrieval.mode".to_owned()];
    let request = v1::UpdateTenantRequest {
        policy: Some(policy),
        update_mask: Some(prost_types::FieldMask { paths }),
        ..Default::default()
    };
    client.tenants.clone().update_tenant(request).await?;
    Ok(())
}

/// The file of a run, written line by line.
struct RunFile {
    path: String,
    file: BufWriter<File>,
}

impl RunFile {
    fn create(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let file = File::create(path).map_err(|source| Error::File {
            verb: "write",
            path: name.clone(),
            source,
        })?;
        Ok(Self { path: name, file: BufWriter::new(file) })
    }

    fn write(&mut self, line: &serde_json::Value) -> Result<(), Error> {
        writeln!(self.file, "{line}").map_err(|source| self.failed(source))
    }

    fn finish(mut self) -> Result<(), Error> {
        self.file.flush().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::File { verb: "write", path: self.path.clone(), source }
    }
}
