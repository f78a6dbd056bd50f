//! `keepsake eval`: measures retrieval and contexts on a set of questions, over gRPC, on a server
//! of its own with the settings that a new tenant gets.
//! In: `<set>.turns.jsonl.gz`, or `<set>.documents.jsonl.gz`, and `<set>.queries.jsonl.gz`. Out: a
//! run file with one line for each question and each budget, a table, latencies; of all sets one
//! table with intervals, and a plot.
//! Invariant: a turn counts as shown only when its whole text stands in the messages.

mod all;
pub(super) mod ask;
mod conversations;
mod documents;
pub(super) mod figures;
pub(super) mod gains;
pub(super) mod plot;
pub(super) mod questions;
pub(super) mod report;
pub(super) mod sample;
pub(super) mod table;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::{Client, Error, Output, local::Wishes, tenant::RetrievalArg};
use crate::proto::v1;
use crate::retrieve::Weights;

/// Flags of `keepsake eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// The folder that holds the set.
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// The name of the set: SET.queries.jsonl.gz and SET.turns.jsonl.gz, which are conversations,
    /// or SET.documents.jsonl.gz.
    #[arg(long, value_name = "SET", required_unless_present = "all")]
    set: Option<String>,
    /// Measures all sets of the folder by words, by vectors and by both, and gives one table.
    #[arg(long, conflicts_with_all = ["set", "retrieval"])]
    all: bool,
    /// With --all: where to draw recall against tokens, as SVG.
    #[arg(long, value_name = "FILE", requires = "all")]
    plot: Option<PathBuf>,
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
    /// What embeds, as the setting `embedding.model` says it [default: what a new server has].
    #[arg(long, value_name = "MODEL")]
    embedding: Option<String>,
    /// A folder that keeps vectors for the next run, by the hash of their texts.
    #[arg(long, value_name = "FOLDER")]
    vectors: Option<PathBuf>,
    /// What a signal of retrieval counts in place of what it counts for all, for example
    /// `session=0` to see what the session is worth. Before a weight that differs by the length
    /// of turns `short.` or `long.` may stand, by the kind of chat `persons.` or `assistant.`.
    #[arg(long = "weight", value_name = "NAME=VALUE")]
    weights: Vec<String>,
    /// The model whose tokenizer counts.
    #[arg(long, default_value = "gpt-4")]
    model: String,
    /// Where to write the run; with --all, a folder for the runs `SET.WAY.jsonl`.
    #[arg(long, value_name = "PATH", required_unless_present = "all")]
    out: Option<PathBuf>,
}

impl EvalArgs {
    /// What the server gets that is other than a new tenant's settings.
    ///
    /// # Errors
    /// [`Error::Usage`] for a weight that there is not.
    fn wishes(&self) -> Result<Wishes, Error> {
        let mut weights = Weights::DEFAULT;
        for given in &self.weights {
            let known = given.split_once('=').and_then(|(name, value)| {
                let value = value.parse().ok().filter(|value: &f64| value.is_finite())?;
                weights.with(name, value)
            });
            weights = known.ok_or_else(|| Error::Usage(format!("`{given}` is no weight")))?;
        }
        Ok(Wishes {
            vectors_in: self.vectors.clone(),
            qdrant: None,
            weights: Some(weights),
            embedding: self.embedding.clone(),
        })
    }
}

/// Runs an evaluation to its end.
pub(super) async fn run(args: &EvalArgs, output: Output) -> Result<(), Error> {
    let (Some(set), Some(out)) = (&args.set, &args.out) else {
        return all::run(args, output).await;
    };
    let files = SetFiles::of(&args.data, set);
    let one = One { args, files: &files, out };
    if files.are_documents() {
        documents::run(&one, output).await
    } else {
        conversations::run(&one, output).await
    }
}

/// The run of one set.
struct One<'a> {
    args: &'a EvalArgs,
    files: &'a SetFiles,
    out: &'a Path,
}

impl One<'_> {
    /// The command that scores the run.
    fn scored_by(&self) -> String {
        let (score, run) = (self.args.data.join("score.py"), self.out.display());
        format!("python3 {} {} {run}", score.display(), self.files.name)
    }
}

/// The files of a set.
struct SetFiles {
    name: String,
    turns: PathBuf,
    documents: PathBuf,
    questions: PathBuf,
}

impl SetFiles {
    /// Their names, packed or, where only that is there, plain.
    fn of(data: &Path, set: &str) -> Self {
        let file = |kind: &str| {
            let packed = data.join(format!("{set}.{kind}.jsonl.gz"));
            let plain = data.join(format!("{set}.{kind}.jsonl"));
            if !packed.exists() && plain.exists() { plain } else { packed }
        };
        Self {
            name: set.to_owned(),
            turns: file("turns"),
            documents: file("documents"),
            questions: file("queries"),
        }
    }

    fn are_documents(&self) -> bool {
        self.documents.exists() && !self.turns.exists()
    }
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
