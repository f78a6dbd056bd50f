//! Documents over a store that stops between any two of its commits, and uploads that are cut.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use keepsake::catalog::Spot;
use keepsake::documents::DocumentFilter;
use keepsake::embed::{EmbedError, Embedder, Hashed, Urgency};
use keepsake::error::{Failure, Reason};
use keepsake::memory::{DocumentSearch, Range, View};
use keepsake::record::DocumentHeader;
use keepsake::types::{Chunking, CollectionId, DocumentId, MediaType, RetrievalMode};

use super::world::{World, request_id};

/// Knows words only, and how often it was asked for each text.
#[derive(Default)]
struct Counting {
    inner: Hashed,
    texts: Mutex<BTreeMap<String, usize>>,
}

#[async_trait]
impl Embedder for Counting {
    fn key(&self) -> &str {
        self.inner.key()
    }

    fn dimensions(&self) -> usize {
        self.inner.dimensions()
    }

    fn covers(&self, language: &str) -> bool {
        self.inner.covers(language)
    }

    async fn embed(
        &self,
        urgency: Urgency,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        for text in texts.clone() {
            *self.texts.lock().unwrap().entry(text).or_default() += 1;
        }
        self.inner.embed(urgency, texts).await
    }
}

fn spot(world: &World) -> Spot {
    Spot {
        tenant: world.tenant.clone(),
        collection: CollectionId::parse("notes").unwrap(),
        document: DocumentId::parse("rules").unwrap(),
    }
}

/// Paragraphs that each are a chunk or two; the last one names the version.
fn text(paragraphs: std::ops::Range<u32>, name: &str) -> String {
    let paragraph = |n: u32| {
        format!("Rule {n} of the harbour says that crate {n} stands under roof {n} at night.\n\n")
    };
    paragraphs.map(paragraph).collect::<String>() + &format!("This is the {name} of the rules.")
}

/// One thing that a client wants.
#[derive(Debug, Clone)]
enum Step {
    Put(String),
    Embed,
    Delete,
    DeleteAll,
}

fn missing<T>(found: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(failure) => match failure.reason() {
            Reason::CollectionNotFound | Reason::DocumentNotFound => Ok(None),
            _ => Err(failure),
        },
    }
}

/// Sends a document in parts of so many bytes, from where an upload stands.
async fn put(world: &World, number: u128, text: &str, part: usize) -> Result<(), Failure> {
    let (memory, id) = (&world.memory, Some(request_id(number)));
    let known = missing(memory.ingest_status(&spot(world)).await)?;
    let upload = known.and_then(|(_, upload)| upload).map(|upload| upload.row);
    let header = header(text);
    let ours = upload.filter(|upload| upload.header == header).map(|upload| upload.generation);
    let mut upload = memory.start_upload(spot(world), &header, ours, id).await?;
    let from = upload.started().bytes_durable as usize;
    let rest = &text.as_bytes()[from..];
    for (at, part_bytes) in rest.chunks(part).enumerate() {
        let part_bytes = Bytes::copy_from_slice(part_bytes);
        memory.keep_part(&mut upload, (from + at * part) as u64, part_bytes).await?;
    }
    memory.finish_upload(&world.policy, &upload).await.map(drop)
}

fn header(text: &str) -> DocumentHeader {
    DocumentHeader {
        title: "Rules".to_owned(),
        media: MediaType::Plain,
        metadata: BTreeMap::new(),
        chunking: Chunking { tokens_max: 32, overlap_tokens: 4 },
        created_at: None,
        bytes: text.len() as u64,
    }
}

async fn run(world: &World, number: u128, step: &Step) -> Result<(), Failure> {
    let (memory, id) = (&world.memory, Some(request_id(number)));
    match step {
        Step::Put(text) => put(world, number, text, 150).await,
        Step::Embed => {
            while memory.embed_chunks().await? {}
            Ok(())
        }
        Step::Delete => memory.delete_document(&spot(world), id).await.map(drop),
        Step::DeleteAll => {
            let Spot { tenant, collection, .. } = spot(world);
            memory.delete_collection(&tenant, &collection, id).await.map(drop)
        }
    }
}

/// The document's bytes; `None`: it is not there.
async fn bytes(world: &World) -> Option<String> {
    let whole = (View::Bytes, Range { offset: 0, bytes: 1 << 20 });
    let found = world.memory.get_document(&spot(world), Some(whole)).await;
    let found = missing(found).expect("the store works");
    found.map(|(_, bytes)| String::from_utf8(bytes).unwrap())
}

/// Whether a chunk with this word is found by words.
async fn finds(world: &World, word: &str) -> bool {
    let mut policy = world.policy.clone();
    policy.retrieval_mode = RetrievalMode::Words;
    let asked = DocumentSearch {
        collections: &[spot(world).collection],
        lenient: true,
        query: word,
        filter: &DocumentFilter::default(),
        most: 1_000,
        tokens_enough: None,
        wait: (Duration::ZERO, None),
        hurried: false,
    };
    let found = world.memory.find_documents(&world.tenant, &policy, &asked).await.unwrap();
    assert_eq!(found.degraded, []);
    found.chunks.iter().any(|chunk| chunk.text.contains(word))
}

const NAMES: [&str; 3] = ["draft", "revision", "reprint"];

/// Fails unless the document is this text, and is found by it and by no other.
async fn check(world: &World, text: Option<&str>, when: &str) {
    assert_eq!(bytes(world).await.as_deref(), text, "{when}");
    for name in NAMES {
        let is_there = text.is_some_and(|text| text.contains(name));
        assert_eq!(finds(world, name).await, is_there, "`{name}` {when}");
    }
}

/// What a client does, and the text that is there after each step.
fn script() -> Vec<(Step, Option<String>)> {
    let [draft, revision, reprint] =
        [text(0..12, NAMES[0]), text(3..14, NAMES[1]), text(5..8, NAMES[2])];
    vec![
        (Step::Put(draft.clone()), Some(draft.clone())),
        (Step::Embed, Some(draft)),
        (Step::Put(revision.clone()), Some(revision.clone())),
        (Step::Embed, Some(revision)),
        (Step::Delete, None),
        (Step::Put(reprint.clone()), Some(reprint.clone())),
        (Step::DeleteAll, None),
    ]
}

/// Runs the script over a store that fails once, after `commits` commits; with `lost` the last of
/// them is kept without an answer. Gives whether it failed.
async fn run_over(commits: i64, lost: bool) -> bool {
    let when = format!("after {commits} commits, lost: {lost}");
    let world = World::with_embedder(Arc::new(Counting::default())).await;
    let mut world = world.with_index().await;
    match lost {
        true => world.store.lose_after(commits),
        false => world.store.break_after(commits),
    }
    let (mut before, mut failed) = (None, false);
    for (number, (step, after)) in (1..).zip(script()) {
        if run(&world, number, &step).await.is_err() {
            assert!(!failed, "it fails once");
            failed = true;
            world = world.restarted().with_index().await;
            let found = bytes(&world).await;
            assert!(found == before || found == after, "{when}: neither before nor after");
            check(&world, found.as_deref(), &when).await;
            let again = run(&world, number, &step).await;
            again.unwrap_or_else(|failure| panic!("{when}: {step:?} again: {failure}"));
        }
        check(&world, after.as_deref(), &format!("{when}, {step:?}")).await;
        before = after;
    }
    world.store.mend();
    while world.memory.sweep_documents().await.unwrap() > 0 {}
    assert_eq!(world.store.rows_with("harbour").await, 0, "{when}");
    assert!(!world.memory.embed_chunks().await.unwrap(), "{when}: nothing waits for vectors");
    failed
}

#[tokio::test]
async fn a_store_that_stops_between_any_two_commits_leaves_a_document_as_it_was_or_as_it_is_to_be()
{
    for lost in [false, true] {
        let mut commits = 0;
        while run_over(commits, lost).await {
            commits += 1;
        }
        assert!(commits > 25, "{commits} commits, lost: {lost}");
    }
}

#[tokio::test]
async fn a_document_cut_at_200_places_is_whole_and_no_chunk_is_embedded_twice() {
    let embedder = Arc::new(Counting::default());
    let world = World::with_embedder(embedder.clone()).await.with_index().await;
    let mut cuts = fastrand::Rng::with_seed(5);
    let mut made = 0;
    for version in 0..25u32 {
        // Some of the paragraphs are those of the version before.
        let text = text(version * 10..version * 10 + 60, "draft");
        let (spot, header) = (spot(&world), header(&text));
        let mut resumed = None;
        for _ in 0..8 {
            let id = Some(request_id(u128::from(version) + 1));
            let started = world.memory.start_upload(spot.clone(), &header, resumed, id);
            let mut upload = started.await.unwrap();
            let from = upload.started().bytes_durable as usize;
            resumed = Some(upload.started().generation);
            let rest = &text.as_bytes()[from..from + cuts.usize(0..=(text.len() - from) / 4)];
            let mut at = from;
            for part in rest.chunks(cuts.usize(1..400)) {
                let kept =
                    world.memory.keep_part(&mut upload, at as u64, Bytes::copy_from_slice(part));
                at = kept.await.unwrap() as usize;
            }
            made += 1;
            // The stream is gone, and what is there meanwhile is embedded.
            drop(upload);
            while world.memory.embed_chunks().await.unwrap() {}
        }
        put(&world, u128::from(version) + 1, &text, 4_000).await.unwrap();
        assert_eq!(bytes(&world).await.as_ref(), Some(&text));
        while world.memory.embed_chunks().await.unwrap() {}
    }
    assert_eq!(made, 200);
    let texts = embedder.texts.lock().unwrap();
    let twice: Vec<_> = texts.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert!(texts.len() > 250, "{} chunks", texts.len());
}
