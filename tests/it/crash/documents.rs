//! Rounds of `kill -9` while documents come in, replace each other and go, and what must be there
//! after each of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keepsake::cli::Client;
use keepsake::proto::v1 as pb;
use tonic::Status;

use super::ENGINES;
use super::chance::{Chance, setting};
use super::rounds::copy_folder;
use super::server::{Server, Setup};
use super::shelf::{Content, Op, Shelf, word};
use super::talk::is_cut;
use super::writers::Acks;
use crate::qdrant::{Leftovers, real_qdrant};

const WRITERS: u64 = 8;
/// How often it is looked whether an answer lacks something: for a minute.
const LOOKS_MAX: usize = 3_000;
/// Documents of a collection, at the most.
const DOCUMENTS: u64 = 10;

/// One client with a collection of its own.
struct Writer {
    number: u64,
    chance: Chance,
    contents: u64,
    shelf: Shelf,
}

impl Writer {
    fn new(seed: u64, number: u64) -> Self {
        Self {
            number,
            chance: Chance::new(seed ^ (number + 1) << 40),
            contents: 0,
            shelf: Shelf::new(&format!("shelf-{number}")),
        }
    }

    /// Writes until a call is cut or it is enough.
    async fn run(mut self, client: Client, acks: Arc<Acks>) -> Self {
        while !acks.is_enough() {
            match self.step(&client).await {
                Ok(()) => acks.note(0),
                Err(status) if is_cut(&status) => break,
                Err(status) => panic!("writer {}: {status}", self.number),
            }
        }
        self
    }

    async fn step(&mut self, client: &Client) -> Result<(), Status> {
        let op = self.plan();
        self.shelf.write(client, op.clone()).await?;
        // What was acknowledged is found by the next question.
        if let Op::Put { document, content, .. } = op
            && self.chance.percent(20)
        {
            let request = pb::SearchRequest {
                query: content.word.clone(),
                collections: vec![self.shelf.collection.clone()],
                ..Default::default()
            };
            let found = client.memory.clone().search(request).await?.into_inner();
            let lags = found.degraded.contains(&pb::Degradation::IndexLag.into());
            let shows = |hit: &pb::DocumentHit| {
                hit.text.contains(&content.word)
                    && hit.citation.as_ref().is_some_and(|found| found.document_id == document)
            };
            assert!(lags || found.documents.iter().any(shows), "{document}: {}", content.word);
        }
        Ok(())
    }

    fn plan(&mut self) -> Op {
        let id = self.chance.request_id();
        let known: Vec<_> = self.shelf.documents.keys().cloned().collect();
        match self.chance.below(100) {
            0..12 if known.len() > 2 => {
                let document = known[self.chance.below(known.len() as u64) as usize].clone();
                Op::Delete { id, document }
            }
            12 if !known.is_empty() => Op::DeleteAll { id },
            _ => {
                let document = format!("d{}", self.chance.below(DOCUMENTS));
                let content = self.content(&document);
                let part = 1 + self.chance.below(content.text.len() as u64 / 2 + 200) as usize;
                Op::Put { id, document, content, part: part.max(200) }
            }
        }
    }

    /// A content, often the one that it replaces with other paragraphs at its end.
    fn content(&mut self, document: &str) -> Content {
        self.contents += 1;
        let word = word(self.number * 1_000_000 + self.contents);
        let old = self.shelf.documents.get(document);
        let old = old.filter(|_| self.chance.percent(50)).map(|old| {
            let kept: Vec<_> =
                old.text.split("\n\n").filter(|one| !one.contains(&old.word)).collect();
            kept.join("\n\n") + "\n\n"
        });
        let mut text = old.unwrap_or_default();
        for paragraph in 0..1 + self.chance.below(12) {
            let crates = self.chance.below(1_000);
            text.push_str(&format!(
                "The harbour counts {crates} crates of tea, {paragraph} of them are wet, and the \
                 keeper of the lists is late again today.\n\n"
            ));
        }
        text.push_str(&format!("Of this lot the name is {word}."));
        Content { word, text }
    }
}

#[derive(Default)]
struct Figures {
    writes: u64,
    doubts: u64,
    kept: u64,
    resumed: u64,
    kills_at_start: u64,
}

async fn wait(moment: Duration) {
    tokio::task::spawn_blocking(move || std::thread::sleep(moment)).await.unwrap();
}

type Running = Vec<tokio::task::JoinHandle<Writer>>;

fn started(writers: Vec<Writer>, client: &Client, acks: &Arc<Acks>) -> Running {
    let start = |writer: Writer| tokio::spawn(writer.run(client.clone(), acks.clone()));
    writers.into_iter().map(start).collect()
}

async fn ended(running: Running) -> Vec<Writer> {
    let ended = futures::future::join_all(running).await;
    ended.into_iter().map(|writer| writer.unwrap()).collect()
}

/// Writes until a moment that chance names, kills the server there, and holds what the next one
/// finds against what was acknowledged.
async fn round(
    (setup, chance): (&Setup, &Chance),
    server: Server,
    writers: Vec<Writer>,
    figures: &mut Figures,
) -> (Server, Vec<Writer>) {
    let acks = Arc::new(Acks::default());
    let running = started(writers, &server.client, &acks);
    acks.reach(20 + chance.below(200)).await;
    // Not only right after an acknowledgement.
    wait(Duration::from_micros(chance.below(20_000))).await;
    server.kill();
    let mut writers = ended(running).await;
    figures.writes += acks.count();
    while chance.percent(40) {
        let process = setup.spawn();
        wait(Duration::from_micros(chance.below(300_000))).await;
        process.kill();
        figures.kills_at_start += 1;
    }
    let server = setup.started().await;
    for writer in &mut writers {
        figures.doubts += u64::from(writer.shelf.doubt.is_some());
        let (kept, resumed) = writer.shelf.verify(&server.client).await;
        figures.kept += u64::from(kept);
        figures.resumed += u64::from(resumed);
    }
    (server, writers)
}

/// What a server says of a word: where it stands, and how well that answers.
type Answer = Vec<(String, u32, f64)>;

async fn answers(client: &Client, writers: &[Writer]) -> BTreeMap<String, Answer> {
    let mut all = BTreeMap::new();
    for shelf in writers.iter().map(|writer| &writer.shelf) {
        embedded(client, &shelf.collection).await;
        for content in shelf.documents.values() {
            let request = pb::SearchRequest {
                query: format!("wet crates of tea in lot {}", content.word),
                collections: vec![shelf.collection.clone()],
                ..Default::default()
            };
            let found = whole(client, request).await;
            let hit = |hit: pb::DocumentHit| {
                let citation = hit.citation.unwrap();
                (citation.document_id, citation.first_chunk, hit.score)
            };
            all.insert(content.word.clone(), found.documents.into_iter().map(hit).collect());
        }
    }
    all
}

/// An answer that lacks nothing. What is embedded is in the record a moment before the index has
/// it.
async fn whole(client: &Client, request: pb::SearchRequest) -> pb::SearchResponse {
    for _ in 0..LOOKS_MAX {
        let found = client.memory.clone().search(request.clone()).await.unwrap().into_inner();
        if found.degraded.is_empty() {
            return found;
        }
        // Looks once in a while: what goes on in another process tells nobody.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?} still lack something", request.collections);
}

/// Waits until every chunk of a collection is found by meaning.
async fn embedded(client: &Client, collection: &str) {
    loop {
        let request = pb::ListCollectionsRequest { page_size: 100, ..Default::default() };
        let page = client.documents.clone().list_collections(request).await.unwrap().into_inner();
        let found = page.collections.iter().find(|found| found.collection == collection);
        if found.is_none_or(|found| found.chunks_embedded == found.chunks) {
            return;
        }
        // Looks once in a while: what goes on in another process tells nobody.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The answers of a server that lived are those of one that reads the record anew, and of one on a
/// copy of the folder that has no index.
async fn compare(setup: &Setup, server: Server, writers: &[Writer]) {
    let lived = answers(&server.client, writers).await;
    assert!(lived.len() >= WRITERS as usize, "{} contents are left", lived.len());
    assert!(server.stop().await.success());
    let copy = Setup::new(&setup.folder.join("copy"), setup.engine);
    copy_folder(&setup.data(), &copy.data());
    match real_qdrant() {
        None => std::fs::remove_dir_all(copy.data().join("index")).unwrap(),
        // The copy has collections of another name, which are not there.
        Some(_) => assert!(!copy.data().join("index").exists()),
    }
    for setup in [setup, &copy] {
        let server = setup.started().await;
        for writer in writers {
            for (document, content) in &writer.shelf.documents {
                let found = writer.shelf.search(&server.client, &content.word).await;
                assert!(found.contains(document), "`{}` after a start", content.word);
            }
        }
        let anew = answers(&server.client, writers).await;
        for (word, lived) in &lived {
            let names = |answer: &Answer| -> Vec<(String, u32)> {
                answer.iter().map(|(document, ordinal, _)| (document.clone(), *ordinal)).collect()
            };
            assert_eq!(names(lived), names(&anew[word]), "`{word}` is answered in another way");
            for (one, other) in lived.iter().zip(&anew[word]) {
                assert!((one.2 - other.2).abs() < 1e-4, "{one:?} is not {other:?}");
            }
        }
        assert!(server.stop().await.success());
        setup.doctor().unwrap_or_else(|said| panic!("{said}"));
    }
}

async fn run(engine: &'static str, rounds: u64, seed: u64) -> Figures {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new(folder.path(), engine);
    // The copy's begin the same way.
    let _leftovers = real_qdrant().map(|url| Leftovers::of(&url, &setup.qdrant_prefix()));
    let chance = Chance::new(seed);
    let mut writers: Vec<_> = (0..WRITERS).map(|number| Writer::new(seed, number)).collect();
    let mut figures = Figures::default();
    let mut server = setup.started().await;
    for _ in 0..rounds {
        (server, writers) = round((&setup, &chance), server, writers, &mut figures).await;
    }
    compare(&setup, server, &writers).await;
    figures
}

/// No document that was acknowledged is lost, none is half of one and half of another, and the
/// index finds what is there and nothing else, wherever the process is killed.
///
/// `KEEPSAKE_CRASH_ROUNDS=100 cargo test --test it crash::documents -- --nocapture` is the long
/// run;
/// `KEEPSAKE_CRASH_SEED` decides who sends what, and when the process dies.
#[tokio::test(flavor = "multi_thread")]
async fn documents_are_whole_and_found_wherever_the_process_is_killed() {
    let rounds = setting("KEEPSAKE_CRASH_ROUNDS", 3);
    let seed = setting("KEEPSAKE_CRASH_SEED", 1);
    for engine in ENGINES {
        let Figures { writes, doubts, kept, resumed, kills_at_start } =
            run(engine, rounds, seed).await;
        println!(
            "{engine}: {rounds} kills under load and {kills_at_start} while starting, {WRITERS} \
             writers, seed {seed}: {writes} documents written or deleted; {doubts} calls cut, of \
             which {kept} had been kept and {resumed} were gone on with; 0 lost, 0 torn"
        );
    }
}
