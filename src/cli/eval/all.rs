//! All sets of a folder, each by words, by vectors and by both: one table, one plot.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::{
    Client, Error, Output,
    eval::{
        EvalArgs, SetFiles,
        ask::Answer,
        choose, conversations, documents,
        figures::{is_apart, of_answer, of_documents},
        plot::plot,
        questions::{DocumentQuestion, Question},
        report::{Measured, Report, Way},
        sample::{Sample, estimates},
        table::Latencies,
    },
    local::{LocalServer, Wishes},
    output::note,
    tenant::RetrievalArg,
};

/// The ways of searching, what a new tenant gets first.
const WAYS: [(RetrievalArg, &str); 3] = [
    (RetrievalArg::Hybrid, "hybrid"),
    (RetrievalArg::Words, "words"),
    (RetrievalArg::Vectors, "vectors"),
];
/// How the files with the questions of a set end.
const QUESTIONS: [&str; 2] = [".queries.jsonl.gz", ".queries.jsonl"];

/// Measures all sets and shows what they gave.
pub(super) async fn run(args: &EvalArgs, output: Output) -> Result<(), Error> {
    let sets = sets(&args.data)?;
    if let Some(folder) = &args.out {
        fs::create_dir_all(folder).map_err(|source| failed("create", folder, source))?;
    }
    let mut measured = Vec::new();
    for files in &sets {
        note(&files.name);
        let documents = files.are_documents();
        let qdrant = args.qdrant.clone().filter(|_| documents);
        let (server, client) = LocalServer::start(Wishes { qdrant, ..args.wishes()? }).await?;
        let done = match documents {
            true => of_collection(args, &client, files).await,
            false => of_chats(args, (&server, &client), files).await,
        };
        server.stop().await?;
        measured.push(done?);
    }
    let report = Report { sets: measured, model: args.model.clone() };
    if let Some(path) = &args.plot {
        let svg = plot(&report.curves()).map_err(Error::Internal)?;
        fs::write(path, svg).map_err(|source| failed("write", path, source))?;
    }
    if output.is_json() { output.json(&report.to_json()) } else { output.text(&report.to_text()) }
}

/// The sets of a folder by name, conversations first.
fn sets(data: &Path) -> Result<Vec<SetFiles>, Error> {
    let listed = fs::read_dir(data).map_err(|source| failed("read", data, source))?;
    let mut names = BTreeSet::new();
    for entry in listed {
        let entry = entry.map_err(|source| failed("read", data, source))?.file_name();
        let name = entry.to_string_lossy();
        names.extend(QUESTIONS.iter().find_map(|end| name.strip_suffix(end)).map(str::to_owned));
    }
    let files = names.into_iter().map(|name| SetFiles::of(data, &name));
    let mut sets: Vec<SetFiles> =
        files.filter(|set| set.turns.exists() || set.documents.exists()).collect();
    sets.sort_by_key(SetFiles::are_documents);
    if sets.is_empty() {
        return Err(Error::Usage(format!("there is no set in {}", data.display())));
    }
    Ok(sets)
}

async fn of_chats(
    args: &EvalArgs,
    (server, client): (&LocalServer, &Client),
    files: &SetFiles,
) -> Result<Measured, Error> {
    let set = conversations::append((server, client), conversations::read(files)?, true).await?;
    let users: BTreeSet<&str> = set.questions.iter().map(|one| &*one.conversation).collect();
    let mut measured = Measured::new(&files.name, set.questions.len(), count(&users, "user"));
    for (retrieval, name) in WAYS {
        choose(retrieval, client).await?;
        let mut latencies = Latencies::default();
        let answers = conversations::ask_all(args, client, &set, &mut latencies).await?;
        if let Some(folder) = &args.out {
            conversations::write(&run_file(folder, files, name), &set.questions, &answers)?;
        }
        for context in answers.iter().flat_map(|answer| &answer.contexts) {
            measured.contexts += 1;
            measured.over_budget += usize::from(context.tokens > context.budget);
        }
        let asked = set.questions.iter().zip(&answers);
        let sample = |(question, answer): (&Question, &Answer)| Sample {
            cluster: question.conversation.clone(),
            figures: of_answer(question, answer),
        };
        let asked = asked.filter(|(question, _)| !is_apart(question));
        let samples: Vec<Sample> = asked.map(sample).collect();
        measured.ways.push(Way { name, figures: estimates(&samples), latencies });
    }
    Ok(measured)
}

async fn of_collection(
    args: &EvalArgs,
    client: &Client,
    files: &SetFiles,
) -> Result<Measured, Error> {
    let set = documents::ingest(args, client, files, true).await?;
    let mut measured = Measured::new(&files.name, set.questions.len(), set.size());
    for (retrieval, name) in WAYS {
        choose(retrieval, client).await?;
        let mut latencies = Latencies::default();
        let rankings = documents::ask_all(client, &set, &mut latencies).await?;
        if let Some(folder) = &args.out {
            documents::write(&run_file(folder, files, name), &set.questions, &rankings)?;
        }
        let sample = |(question, ranked): (&DocumentQuestion, &Vec<String>)| Sample {
            cluster: question.query.clone(),
            figures: of_documents(question, ranked),
        };
        let samples: Vec<Sample> = set.questions.iter().zip(&rankings).map(sample).collect();
        measured.ways.push(Way { name, figures: estimates(&samples), latencies });
    }
    Ok(measured)
}

fn count(things: &BTreeSet<&str>, name: &str) -> String {
    let count = things.len();
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

fn run_file(folder: &Path, files: &SetFiles, way: &str) -> PathBuf {
    folder.join(format!("{}.{way}.jsonl", files.name))
}

fn failed(verb: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::File { verb, path: path.display().to_string(), source }
}
