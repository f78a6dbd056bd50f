//! Documents: how fast they come in, what they take, and how long questions to them take.
//! Invariant: documents of a place and a number are the same in each run with the same seed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use fastrand::Rng;
use futures::stream::{self, StreamExt, TryStreamExt};
use tonic::transport::Channel;

use super::args::{EmbeddingArg, EngineArg, LoadArgs, ShelfArgs};
use super::metrics::Metrics;
use super::report::{Report, Row, Used};
use super::server::{Folder, Server, Target};
use super::talk::{sentence, words};
use super::tally::{Operation, Tally};
use crate::cli::{Client, Error, connect, ingest::whole, output::note};
use crate::proto::v1;

/// The collection of each tenant.
const COLLECTION: &str = "bench";
/// Words that documents are made of.
const WORDS: usize = 50_000;
/// Words of a paragraph: some 200 tokens, so that it becomes a chunk.
const PARAGRAPH_WORDS: usize = 75;
/// Paragraphs of a document.
const PARAGRAPHS: usize = 10;
/// Tenants that are made at once.
const TENANTS_AT_ONCE: usize = 16;
/// How long a stream of documents may take, and any other call.
const STREAM_TIMEOUT: Duration = Duration::from_secs(24 * 3_600);
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
/// How often the server is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longer than the server takes to set its gauges again.
const GAUGES_EVERY: Duration = Duration::from_secs(6);
const MIB: f64 = 1_048_576.0;

/// What is made of a seed.
struct Library {
    seed: u64,
    words: Vec<String>,
}

impl Library {
    fn new(seed: u64) -> Self {
        Self { seed, words: words(&mut Rng::with_seed(seed), WORDS) }
    }

    fn rng(&self, tenant: u64, number: u64) -> Rng {
        Rng::with_seed(self.seed ^ tenant << 40 ^ (number + 1))
    }

    fn text(&self, tenant: u64, number: u64) -> String {
        let mut rng = self.rng(tenant, number);
        let paragraph = |_| sentence(&mut rng, &self.words, PARAGRAPH_WORDS, PARAGRAPH_WORDS);
        (0..PARAGRAPHS).map(paragraph).collect::<Vec<_>>().join("\n\n")
    }

    /// A question with words of a document, and a number that makes it another one each time.
    fn question(&self, tenant: u64, number: u64, rng: &mut Rng) -> String {
        let text = self.text(tenant, number);
        let words: Vec<&str> = text.split_whitespace().collect();
        let from = rng.usize(..words.len() - 8);
        format!("{} {}", words[from..from + 8].join(" "), rng.u32(..))
    }
}

/// How many tenants there are, and how many documents each has.
#[derive(Debug, Clone, Copy)]
struct Size {
    tenants: u64,
    documents: u64,
}

/// What came in.
#[derive(Debug, Default)]
struct Intake {
    documents: AtomicU64,
    chunks: AtomicU64,
    tokens: AtomicU64,
    bytes: AtomicU64,
}

/// Measures each combination of tenants and documents on a server of its own.
///
/// # Errors
/// When a server cannot be had, filled, reached or ended.
pub async fn measure(args: &LoadArgs, shelf: &ShelfArgs, report: &mut Report) -> Result<(), Error> {
    if args.server.remote {
        let why = "`bench documents` measures a server of its own: --remote says nothing to it";
        return Err(Error::Usage(why.to_owned()));
    }
    let library = Arc::new(Library::new(args.seed));
    for &tenants in &shelf.tenants {
        for &documents in &shelf.documents {
            let size = Size { tenants: tenants.max(1), documents: documents.max(1) };
            let mut stage = Stage { args, shelf, library: library.clone(), size, report };
            stage.run().await?;
        }
    }
    Ok(())
}

/// One combination.
struct Stage<'a> {
    args: &'a LoadArgs,
    shelf: &'a ShelfArgs,
    library: Arc<Library>,
    size: Size,
    report: &'a mut Report,
}

impl Stage<'_> {
    fn name(&self) -> String {
        format!("{} × {}", self.size.tenants, self.size.documents)
    }

    fn find(&mut self, what: &str, value: f64) {
        self.report.findings.push((format!("{}: {what}", self.name()), value));
    }

    async fn run(&mut self) -> Result<(), Error> {
        let folder = Folder::new(&self.args.server)?;
        let mut server = Server::start(&folder, &self.args.server)?;
        let keys = self.tenants(&server.target).await?;
        self.ingest(&mut server, &keys).await?;
        if self.args.server.engine != EngineArg::Memory {
            server.stop()?;
            self.find("disk, MiB", bytes_below(folder.path()) as f64 / MIB);
            server = Server::start(&folder, &self.args.server)?;
            let listened = Instant::now();
            let start = server.start;
            self.find("start until it listens, seconds", start.as_secs_f64());
            settled(&server.target, &keys).await?;
            let whole = start + listened.elapsed();
            self.find("start until every document is found, seconds", whole.as_secs_f64());
            ordered(server.metrics).await;
            let whole = start + listened.elapsed();
            self.find("start until vectors are in order, seconds", whole.as_secs_f64());
            let rss = server.watch.sample().rss_bytes as f64 / MIB;
            self.find("RSS after the start, MiB", rss);
        }
        for operation in [Operation::Search, Operation::Passages] {
            let row = self.ask(&mut server, &keys, operation).await?;
            self.report.rows.push(row);
        }
        server.stop()
    }

    /// The keys of the tenants; the first one is the server's own.
    async fn tenants(&self, target: &Target) -> Result<Vec<String>, Error> {
        let client = Client::connect(&target.settings(CALL_TIMEOUT)).await?;
        let make = |number: u64| {
            let mut tenants = client.tenants.clone();
            async move {
                let tenant_id = format!("bench-{number}");
                let new =
                    v1::CreateTenantRequest { tenant_id: tenant_id.clone(), ..Default::default() };
                tenants.create_tenant(new).await?;
                let key = v1::CreateApiKeyRequest {
                    tenant_id,
                    scopes: vec![v1::KeyScope::Read.into(), v1::KeyScope::Write.into()],
                    ..Default::default()
                };
                Ok::<_, Error>(tenants.create_api_key(key).await?.into_inner().secret)
            }
        };
        let made = stream::iter(1..self.size.tenants).map(make).buffered(TENANTS_AT_ONCE);
        let mut keys = vec![target.api_key.clone().unwrap_or_default()];
        keys.extend(made.try_collect::<Vec<_>>().await?);
        Ok(keys)
    }

    async fn ingest(&mut self, server: &mut Server, keys: &[String]) -> Result<(), Error> {
        let intake = Arc::new(Intake::default());
        let before = server.watch.sample();
        let began = Instant::now();
        let sending = self.send(&server.target, keys, &intake).await?;
        tokio::pin!(sending);
        let mut peak = 0;
        loop {
            tokio::select! {
                sent = &mut sending => {
                    sent?;
                    break;
                }
                () = tokio::time::sleep(LOOK_EVERY / 4) => {
                    peak = peak.max(server.watch.sample().rss_bytes);
                }
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        let after = server.watch.sample();
        let total = |of: &AtomicU64| of.load(Relaxed) as f64;
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        let chunks = total(&intake.chunks);
        let name = self.name();
        note(&format!("{name}: {chunks} chunks in {seconds:.1} s"));
        self.find("chunks", chunks);
        self.find("tokens a chunk", total(&intake.tokens) / chunks.max(1.0));
        self.find("intake, seconds", seconds);
        self.find("intake, chunks/s", chunks / seconds);
        self.find("intake, MB/s", total(&intake.bytes) / 1e6 / seconds);
        self.find("intake, server CPU ms/chunk", cpu * 1e3 / chunks.max(1.0));
        let peak = peak.max(after.rss_bytes) as f64 / MIB;
        self.find("intake, RSS at most, MiB", peak);
        if self.args.server.embedding != EmbeddingArg::None && !self.args.server.unsettled {
            settled(&server.target, keys).await?;
            let whole = began.elapsed().as_secs_f64();
            self.find("until every chunk has its vector, seconds", whole);
            self.find("until every chunk has its vector, chunks/s", chunks / whole);
        }
        Ok(())
    }

    /// Sends all documents, on so many streams at once.
    async fn send(
        &self,
        target: &Target,
        keys: &[String],
        intake: &Arc<Intake>,
    ) -> Result<impl Future<Output = Result<(), Error>> + use<>, Error> {
        let streams = self.shelf.streams.max(1);
        let documents = self.size.documents;
        // One tenant's documents are sent by all streams, many tenants' each by one.
        let shares = if keys.len() == 1 { (streams as u64).min(documents) } else { 1 };
        let channel = connect::channel(&target.settings(STREAM_TIMEOUT)).await?;
        let mut loads = Vec::new();
        for (tenant, key) in (0..).zip(keys) {
            for share in 0..shares {
                let target = Target { api_key: Some(key.clone()), ..target.clone() };
                loads.push((tenant, share, target));
            }
        }
        let (library, intake) = (self.library.clone(), intake.clone());
        Ok(async move {
            let one = |(tenant, share, target): (u64, u64, Target)| {
                let numbers = (share..documents).step_by(shares as usize);
                let (library, intake) = (library.clone(), intake.clone());
                let channel = channel.clone();
                async move {
                    let client = Client::on(channel, &target.settings(STREAM_TIMEOUT))?;
                    let messages = numbers
                        .flat_map(move |number| document(number, &library.text(tenant, number)));
                    sent(client, messages, &intake).await
                }
            };
            let sending = stream::iter(loads).map(one).buffer_unordered(streams);
            sending.try_collect::<()>().await
        })
    }

    /// Asks questions one after the other, of tenants that chance names.
    async fn ask(
        &self,
        server: &mut Server,
        keys: &[String],
        operation: Operation,
    ) -> Result<Row, Error> {
        let channel = connect::channel(&server.target.settings(CALL_TIMEOUT)).await?;
        let mut rng = Rng::with_seed(self.args.seed);
        let mut used = Used { samples: vec![server.watch.sample()], ..Used::default() };
        let mut tally = Tally::default();
        let began = Instant::now();
        for count in 0..self.shelf.questions + self.shelf.questions / 10 {
            let tenant = rng.usize(..keys.len());
            let number = rng.u64(..self.size.documents);
            let query = self.library.question(tenant as u64, number, &mut rng);
            let client = client_of(&channel, &server.target, &keys[tenant])?;
            let due = Instant::now();
            let answer = asked(&client, query, operation, self.args.budget).await;
            // The first ones find nothing in any cache.
            if count >= self.shelf.questions / 10 {
                tally.note(operation, due.elapsed(), &answer);
                tally.note_end(answer.is_ok());
                for lack in answer.into_iter().flatten() {
                    let lack = v1::Degradation::try_from(lack).unwrap_or_default();
                    *tally.degraded.entry(lack.as_str_name()).or_default() += 1;
                }
            }
        }
        let duration = began.elapsed();
        used.samples.push(server.watch.sample());
        used.calls = self.shelf.questions + self.shelf.questions / 10;
        Ok(Row { name: self.name(), duration, tally, used: Some(used) })
    }
}

fn client_of(channel: &Channel, target: &Target, key: &str) -> Result<Client, Error> {
    let target = Target { api_key: Some(key.to_owned()), ..target.clone() };
    Client::on(channel.clone(), &target.settings(CALL_TIMEOUT))
}

/// Sends a question and gives what the answer lacks.
async fn asked(
    client: &Client,
    query: String,
    operation: Operation,
    budget: u32,
) -> Result<Vec<i32>, tonic::Status> {
    let (mut memory, collections) = (client.memory.clone(), vec![COLLECTION.to_owned()]);
    if operation == Operation::Search {
        let request = v1::SearchRequest { query, collections, ..Default::default() };
        return memory.search(request).await.map(|answer| answer.into_inner().degraded);
    }
    let request = v1::BuildContextRequest {
        user_id: "bench".to_owned(),
        query,
        collections,
        budget_tokens: budget,
        ..Default::default()
    };
    memory.build_context(request).await.map(|answer| answer.into_inner().degraded)
}

fn document(number: u64, text: &str) -> Vec<v1::IngestDocumentsRequest> {
    let header = v1::DocumentHeader {
        collection: COLLECTION.to_owned(),
        document_id: format!("d{number}"),
        title: format!("Document {number}"),
        ..Default::default()
    };
    whole::messages(header, text.as_bytes())
}

/// Sends one stream to its end.
async fn sent(
    client: Client,
    messages: impl Iterator<Item = v1::IngestDocumentsRequest> + Send + 'static,
    intake: &Intake,
) -> Result<(), Error> {
    let done = |done: v1::IngestDone| {
        intake.documents.fetch_add(1, Relaxed);
        intake.chunks.fetch_add(done.chunks.into(), Relaxed);
        intake.tokens.fetch_add(done.tokens, Relaxed);
        intake.bytes.fetch_add(done.bytes_in, Relaxed);
    };
    match whole::send(&client, messages, done).await? {
        None => Ok(()),
        Some(v1::IngestFailed { document_id, reason, message, .. }) => {
            Err(Error::Internal(format!("{document_id}: {reason}: {message}")))
        }
    }
}

/// Waits until the first and the last tenant's documents are all found, by meaning too.
async fn settled(target: &Target, keys: &[String]) -> Result<(), Error> {
    let channel = connect::channel(&target.settings(CALL_TIMEOUT)).await?;
    for key in keys.first().into_iter().chain(keys.last()) {
        let client = client_of(&channel, target, key)?;
        let behind = [v1::Degradation::IndexLag, v1::Degradation::VectorsPending];
        loop {
            let query = "anything at all".to_owned();
            let lacks = asked(&client, query, Operation::Search, 0).await?;
            if !behind.iter().any(|lack| lacks.contains(&i32::from(*lack))) {
                break;
            }
            tokio::time::sleep(LOOK_EVERY / 4).await;
        }
    }
    Ok(())
}

/// Waits until no vectors are being put in order.
async fn ordered(metrics: Metrics) {
    // The gauge is set at intervals: what it said before the first question counts nothing.
    tokio::time::sleep(GAUGES_EVERY).await;
    while metrics.scrape().ordering().is_some_and(|collections| collections > 0.0) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The bytes of all files below a folder; those that cannot be seen count nothing.
fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
        _ => entry.metadata().map_or(0, |about| about.len()),
    };
    entries.map(bytes).sum()
}
