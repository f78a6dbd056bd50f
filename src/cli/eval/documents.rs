//! A set of documents: they come in over the streaming RPC, each question is asked by Search.
//! In: `<set>.documents.jsonl.gz` and `<set>.queries.jsonl.gz`. Out: a line a question with the ids
//! of documents, best first; a document ranks as the best of its chunks does.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

use crate::cli::{
    Client, Error, Output,
    eval::{
        EvalArgs, One, RunFile, SetFiles, choose,
        gains::Gains,
        questions::{DocumentQuestion, read_rows},
        table::Latencies,
    },
    ingest::whole,
    local::{LocalServer, Wishes},
    output::note,
    tenant::RetrievalArg,
};
use crate::proto::v1;

/// How long the index may take to hear of the last vectors.
const PENDING_MAX: Duration = Duration::from_secs(60);
/// The collection of the own server that holds the set.
const COLLECTION: &str = "set";
/// How many documents a line of the run file names at the most: score.py looks at 50.
const RANKED: usize = 50;
/// How many chunks a question asks for, so that they are of as many documents.
const TOP: u32 = 300;
/// How often the server is asked how far the vectors are.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A document of a set.
#[derive(Debug, Clone, Deserialize)]
pub struct Document {
    /// Its id in the set.
    pub document: String,
    /// Its title; may be empty.
    #[serde(default)]
    pub title: String,
    /// Its text.
    pub text: String,
}

/// A set that is on a server.
pub(super) struct Ingested {
    /// The ids in the set, in their order.
    originals: Vec<String>,
    /// Of how many chunks they are.
    chunks: u64,
    /// Its questions.
    pub(super) questions: Vec<DocumentQuestion>,
}

impl Ingested {
    /// How many documents and chunks it has, for people.
    pub(super) fn size(&self) -> String {
        format!("{} documents, {} chunks", self.originals.len(), self.chunks)
    }
}

/// Measures one set.
pub(super) async fn run(one: &One<'_>, output: Output) -> Result<(), Error> {
    let args = one.args;
    let (server, client) =
        LocalServer::start(Wishes { qdrant: args.qdrant.clone(), ..args.wishes()? }).await?;
    let done = async {
        choose(args.retrieval, &client).await?;
        let wait = args.retrieval != RetrievalArg::Words;
        let set = ingest(args, &client, one.files, wait).await?;
        measure(one, output, &client, &set).await
    };
    let done = done.await;
    server.stop().await?;
    done
}

/// Asks the questions, writes the run file and the figures.
async fn measure(
    one: &One<'_>,
    output: Output,
    client: &Client,
    ingested: &Ingested,
) -> Result<(), Error> {
    let mut latencies = Latencies::default();
    let rankings = ask_all(client, ingested, &mut latencies).await?;
    write(one.out, &ingested.questions, &rankings)?;
    let mut gains = Gains::default();
    for (question, ranked) in ingested.questions.iter().zip(&rankings) {
        gains.ranked(question, ranked);
    }
    let (set, asked) = (&one.files.name, ingested.questions.len());
    if output.is_json() {
        return output.json(&json!({
            "set": set, "questions": asked, "documents": ingested.originals.len(),
            "chunks": ingested.chunks, "run": one.out.display().to_string(),
            "figures": gains.to_json(), "latencyMs": latencies.to_json(),
        }));
    }
    let (gains, latencies, score) = (gains.to_text(), latencies.to_text(), one.scored_by());
    output.text(&format!("{set}: {asked} questions\n\n{gains}\n{latencies}\nto score: {score}"))
}

/// Takes the set in, and waits for its vectors if told to.
pub(super) async fn ingest(
    args: &EvalArgs,
    client: &Client,
    files: &SetFiles,
    wait: bool,
) -> Result<Ingested, Error> {
    let documents: Vec<Document> = read_rows(&files.documents)?;
    let questions: Vec<DocumentQuestion> = read_rows(&files.questions)?;
    let started = Instant::now();
    let chunks = send(client, &documents, args.chunk_tokens).await?;
    let (count, seconds) = (documents.len(), started.elapsed().as_secs_f64());
    note(&format!("ingested {count} documents, {chunks} chunks, in {seconds:.1} s"));
    if wait {
        let started = Instant::now();
        embedded(client).await?;
        note(&format!("embedded the rest in {:.1} s", started.elapsed().as_secs_f64()));
    }
    let originals = documents.into_iter().map(|one| one.document).collect();
    Ok(Ingested { originals, chunks, questions })
}

/// Asks all questions, one after the other.
pub(super) async fn ask_all(
    client: &Client,
    set: &Ingested,
    latencies: &mut Latencies,
) -> Result<Vec<Vec<String>>, Error> {
    let mut rankings = Vec::new();
    for question in &set.questions {
        rankings.push(ask(client, question, &set.originals, latencies).await?);
    }
    Ok(rankings)
}

/// Writes a run file.
pub(super) fn write(
    path: &Path,
    questions: &[DocumentQuestion],
    rankings: &[Vec<String>],
) -> Result<(), Error> {
    let mut run = RunFile::create(path)?;
    for (question, ranked) in questions.iter().zip(rankings) {
        run.write(&json!({"query": question.query, "ranked": ranked}))?;
    }
    run.finish()
}

/// Sends all documents on one stream and gives how many chunks they have. The ids of a set may hold
/// what an id here may not, so a document is named by its place.
async fn send(
    client: &Client,
    documents: &[Document],
    chunk_tokens: Option<u32>,
) -> Result<u64, Error> {
    let chunking = chunk_tokens.map(|tokens_max| v1::Chunking { tokens_max, ..Default::default() });
    let sent = |one| sent(one, chunking);
    let messages: Vec<_> = documents.iter().enumerate().flat_map(sent).collect();
    let (mut chunks, mut whole) = (0, 0);
    let done = |done: v1::IngestDone| {
        chunks += u64::from(done.chunks);
        whole += 1;
    };
    if let Some(failed) = whole::send(client, messages.into_iter(), done).await? {
        let original = place_of(&failed.document_id).and_then(|at| documents.get(at));
        let name = original.map_or(failed.document_id.as_str(), |one| &one.document);
        let (reason, message) = (&failed.reason, &failed.message);
        return Err(Error::Usage(format!("document {name} was refused: {reason}: {message}")));
    }
    if whole != documents.len() {
        let count = documents.len();
        return Err(Error::Internal(format!("{whole} of {count} documents were taken in")));
    }
    Ok(chunks)
}

/// Waits until every chunk has its vector.
async fn embedded(client: &Client) -> Result<(), Error> {
    loop {
        let mut documents = client.documents.clone();
        let all = documents.list_collections(v1::ListCollectionsRequest::default()).await?;
        let all = all.into_inner().collections;
        if all.iter().all(|collection| collection.chunks_embedded == collection.chunks) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn sent(
    (at, document): (usize, &Document),
    chunking: Option<v1::Chunking>,
) -> Vec<v1::IngestDocumentsRequest> {
    let header = v1::DocumentHeader {
        collection: COLLECTION.to_owned(),
        document_id: format!("d{at}"),
        title: document.title.clone(),
        chunking,
        ..Default::default()
    };
    whole::messages(header, document.text.as_bytes())
}

fn place_of(document: &str) -> Option<usize> {
    document.strip_prefix('d')?.parse().ok()
}

/// Asks a question and gives the documents in the order of their best chunks.
async fn ask(
    client: &Client,
    question: &DocumentQuestion,
    originals: &[String],
    latencies: &mut Latencies,
) -> Result<Vec<String>, Error> {
    let request = v1::SearchRequest {
        query: question.text.clone(),
        top_k: TOP,
        collections: vec![COLLECTION.to_owned()],
        ..Default::default()
    };
    let pending = i32::from(v1::Degradation::VectorsPending);
    let began = Instant::now();
    // What is embedded is in the record a moment before the index has it.
    let found = loop {
        let started = Instant::now();
        let found = client.memory.clone().search(request.clone()).await?.into_inner();
        if !found.degraded.contains(&pending) || began.elapsed() > PENDING_MAX {
            latencies.search.push(started.elapsed());
            break found;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    if let Some(lack) = found.degraded.first() {
        let lack = v1::Degradation::try_from(*lack).unwrap_or_default().as_str_name();
        return Err(Error::Internal(format!("question {}: degraded: {lack}", question.query)));
    }
    let names = found.documents.iter().filter_map(|hit| hit.citation.as_ref());
    let names = names.filter_map(|citation| place_of(&citation.document_id));
    Ok(first_of_each(names, originals))
}

/// The documents at these places, each once, where it is named first.
fn first_of_each(places: impl Iterator<Item = usize>, originals: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    let names = places.filter(|place| seen.insert(*place)).filter_map(|place| originals.get(place));
    names.take(RANKED).cloned().collect()
}
