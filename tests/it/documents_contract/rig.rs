//! Engines with a record that the test writes, and short words for what the tests do with them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use keepsake::documents::{
    Candidate, Candidates, DocumentFilter, DocumentIndex, DocumentRecord, EmbeddedIndex,
    EmbeddedOptions, Entry, IndexError, MEAN_WORDS, MemIndex, Place, QdrantIndex, QdrantOptions,
    Question,
};
use keepsake::pool::{Inline, Threads};
use keepsake::retrieve::TurnVectors;
use keepsake::types::{DocumentId, Generation, Incarnation, TenantId, Timestamp};
use tempfile::TempDir;

use crate::qdrant::{Leftovers, Server, prefix, real_qdrant};

/// The documents of a collection with their texts.
type Documents = BTreeMap<DocumentId, (Entry, Vec<String>)>;

/// A record in memory.
#[derive(Default)]
pub struct Record {
    documents: Mutex<BTreeMap<Place, Documents>>,
    /// By chunk, the last ones that were set.
    vectors: Mutex<HashMap<Generation, BTreeMap<u32, TurnVectors>>>,
}

#[async_trait]
impl DocumentRecord for Record {
    async fn collections(&self) -> Result<Vec<Place>, IndexError> {
        Ok(self.documents.lock().unwrap().keys().cloned().collect())
    }

    async fn documents(&self, place: &Place) -> Result<Vec<Entry>, IndexError> {
        let documents = self.documents.lock().unwrap();
        let entries = documents.get(place).into_iter().flat_map(BTreeMap::values);
        Ok(entries.map(|(entry, _)| entry.clone()).collect())
    }

    async fn texts(&self, place: &Place, entry: &Entry) -> Result<Option<Vec<String>>, IndexError> {
        let documents = self.documents.lock().unwrap();
        let known = documents.get(place).and_then(|known| known.get(&entry.document));
        let found = known.filter(|(known, _)| known.generation == entry.generation);
        Ok(found.map(|(_, texts)| texts.clone()))
    }

    async fn vectors(&self, generation: Generation) -> Result<Vec<(u32, TurnVectors)>, IndexError> {
        let vectors = self.vectors.lock().unwrap().get(&generation).cloned();
        Ok(vectors.unwrap_or_default().into_iter().collect())
    }
}

impl Record {
    pub fn put(&self, place: &Place, entry: Entry, texts: Vec<String>) {
        let mut documents = self.documents.lock().unwrap();
        let collection = documents.entry(place.clone()).or_default();
        if let Some((old, _)) = collection.insert(entry.document.clone(), (entry, texts)) {
            self.vectors.lock().unwrap().remove(&old.generation);
        }
    }

    pub fn remove(&self, place: &Place, generation: Generation) {
        if let Some(documents) = self.documents.lock().unwrap().get_mut(place) {
            documents.retain(|_, (entry, _)| entry.generation != generation);
        }
        self.vectors.lock().unwrap().remove(&generation);
    }

    pub fn remove_collection(&self, place: &Place) {
        self.documents.lock().unwrap().remove(place);
    }

    pub fn set_vectors(&self, generation: Generation, first: u32, vectors: &[Vec<f32>]) {
        let mut all = self.vectors.lock().unwrap();
        for (ordinal, vector) in (first..).zip(vectors) {
            let one = TurnVectors::quantise(std::slice::from_ref(vector));
            all.entry(generation).or_default().insert(ordinal, one);
        }
    }
}

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Mem,
    /// The model of an engine that takes the mean length of chunks for a constant.
    MemOfMean,
    /// With files in memory, computing where it is asked.
    Ram,
    /// With files in a folder, computing on threads.
    Disk,
    /// A server of tests.
    Qdrant,
    /// The server that the environment names.
    RealQdrant,
}

impl Engine {
    /// The model that says what it says.
    pub fn model(self) -> Self {
        if self.is_qdrant() { Self::MemOfMean } else { Self::Mem }
    }

    pub fn is_qdrant(self) -> bool {
        matches!(self, Self::Qdrant | Self::RealQdrant)
    }
}

/// All that are there.
pub fn engines() -> Vec<Engine> {
    let mut engines = vec![Engine::Mem, Engine::Ram, Engine::Disk, Engine::Qdrant];
    engines.extend(real_qdrant().map(|_| Engine::RealQdrant));
    engines
}

/// An engine with its record.
pub struct Rig {
    pub engine: Engine,
    pub record: Arc<Record>,
    pub index: Box<dyn DocumentIndex>,
    pub embedded: Option<EmbeddedIndex>,
    pub qdrant: Option<QdrantIndex>,
    pub server: Option<Server>,
    pub folder: TempDir,
    pub exact_chunks_max: usize,
    /// How the index on a server is set up.
    pub options: QdrantOptions,
    /// What goes with it on a server of somebody else.
    _leftovers: Option<Leftovers>,
}

impl Rig {
    /// A new one, brought to where its empty record is.
    pub async fn new(engine: Engine) -> Self {
        Self::with(engine, 50_000).await
    }

    pub async fn with(engine: Engine, exact_chunks_max: usize) -> Self {
        Self::set_up(engine, exact_chunks_max, 2, |_| {}).await
    }

    /// The same for vectors of so many numbers, which only an index on a server has to know.
    pub async fn sized(engine: Engine, size: usize) -> Self {
        Self::set_up(engine, 50_000, size, |_| {}).await
    }

    /// The same with other options of an index on a server.
    pub async fn set_up(
        engine: Engine,
        exact_chunks_max: usize,
        size: usize,
        change: impl FnOnce(&mut QdrantOptions),
    ) -> Self {
        let server = (engine == Engine::Qdrant).then(Server::start);
        let real = if engine == Engine::RealQdrant { real_qdrant() } else { None };
        let url = server.as_ref().map(Server::url).or_else(|| real.clone());
        let mut options = QdrantOptions {
            url: url.unwrap_or_default(),
            prefix: prefix(),
            model: Some(("test".into(), size)),
            // A machine of tests is busy with many of them.
            search_max: Duration::from_secs(20),
            ..QdrantOptions::default()
        };
        change(&mut options);
        let leftovers = real.map(|url| Leftovers::of(&url, &options.prefix));
        let mut rig = Self {
            engine,
            record: Arc::new(Record::default()),
            index: Box::new(MemIndex::new(Arc::new(Record::default()))),
            embedded: None,
            qdrant: None,
            server,
            folder: TempDir::new().unwrap(),
            exact_chunks_max,
            options,
            _leftovers: leftovers,
        };
        rig.start();
        rig.index.reconcile().await.unwrap();
        rig
    }

    /// Ends the engine without a word and starts another one on its files and record.
    pub async fn start_again(mut self) -> Self {
        self.stop();
        self.start();
        self.index.reconcile().await.unwrap();
        self
    }

    pub fn stop(&mut self) {
        self.embedded = None;
        self.index = Box::new(MemIndex::new(Arc::clone(&self.record) as Arc<dyn DocumentRecord>));
    }

    pub fn start(&mut self) {
        let record = Arc::clone(&self.record) as Arc<dyn DocumentRecord>;
        let exact_chunks_max = self.exact_chunks_max;
        let options =
            |folder| EmbeddedOptions { folder, exact_chunks_max, ..EmbeddedOptions::default() };
        let embedded = match self.engine {
            Engine::Mem => {
                self.index = Box::new(MemIndex::new(record));
                return;
            }
            Engine::MemOfMean => {
                self.index = Box::new(MemIndex::new(record).with_mean_words(MEAN_WORDS));
                return;
            }
            Engine::Qdrant | Engine::RealQdrant => {
                let pool = Arc::new(Inline);
                let qdrant = QdrantIndex::new(self.options.clone(), record, pool).unwrap();
                self.index = Box::new(qdrant.clone());
                self.qdrant = Some(qdrant);
                return;
            }
            Engine::Ram => EmbeddedIndex::open(options(None), record, Arc::new(Inline)),
            Engine::Disk => {
                let folder = Some(self.folder.path().to_owned());
                EmbeddedIndex::open(options(folder), record, Arc::new(Threads))
            }
        };
        let (embedded, _) = embedded.unwrap();
        self.index = Box::new(embedded.clone());
        self.embedded = Some(embedded);
    }

    pub async fn put(&self, place: &Place, entry: Entry, texts: &[&str]) {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        self.record.put(place, entry.clone(), texts.clone());
        self.index.put(place, entry, texts).await.unwrap();
    }

    pub async fn remove(&self, place: &Place, number: u64) {
        self.record.remove(place, generation(number));
        self.index.remove(place, generation(number)).await.unwrap();
    }

    pub async fn set_vectors(&self, place: &Place, number: u64, first: u32, vectors: &[Vec<f32>]) {
        self.record.set_vectors(generation(number), first, vectors);
        let vectors = TurnVectors::quantise(vectors);
        self.index.set_vectors(place, generation(number), first, &vectors).await.unwrap();
    }

    /// Writes down what waits, where that is a thing.
    pub async fn tend(&self) {
        if let Some(embedded) = &self.embedded {
            embedded.tend().await.unwrap();
        }
    }

    /// What is found by words, as `document/ordinal`, in order.
    pub async fn words(&self, place: &Place, text: &str) -> Vec<String> {
        let found = self.search(place, Some(text), None, &DocumentFilter::default(), 1_000).await;
        let hit = |candidate: &&Candidate| candidate.words.is_some_and(|words| words > 0.0);
        found.found.iter().filter(hit).map(name).collect()
    }

    pub async fn search(
        &self,
        place: &Place,
        words: Option<&str>,
        vector: Option<&[f32]>,
        filter: &DocumentFilter,
        most: usize,
    ) -> Candidates {
        self.try_search(place, words, vector, filter, most).await.unwrap()
    }

    pub async fn try_search(
        &self,
        place: &Place,
        words: Option<&str>,
        vector: Option<&[f32]>,
        filter: &DocumentFilter,
        most: usize,
    ) -> Result<Candidates, IndexError> {
        let (tenant, collections) = (&place.tenant, &[place.collection]);
        let language = "en";
        let question = Question { tenant, collections, words, language, vector, filter, most };
        self.index.search(&question).await
    }
}

pub fn name(candidate: &Candidate) -> String {
    format!("{}/{}", candidate.document, candidate.ordinal)
}

pub fn generation(number: u64) -> Generation {
    // Ids without a common beginning, as those of the record.
    let spread = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Generation(spread.to_be_bytes())
}

pub fn place(tenant: &str, collection: u8) -> Place {
    let tenant = TenantId::parse(tenant).unwrap();
    Place { tenant, collection: Incarnation([collection; 16]) }
}

/// A document in English without labels.
pub fn entry(document: &str, number: u64, chunks: usize) -> Entry {
    Entry {
        document: DocumentId::parse(document).unwrap(),
        generation: generation(number),
        chunks: u32::try_from(chunks).unwrap(),
        metadata: BTreeMap::new(),
        created_at: Timestamp(1_000 * i64::try_from(number).unwrap()),
        language: "en".to_owned(),
    }
}

/// Fails unless two answers are the same, up to the last bits of scores.
#[track_caller]
pub fn same(one: &Candidates, other: &Candidates, when: &str) {
    let names = |candidates: &Candidates| -> Vec<(String, Generation)> {
        candidates.found.iter().map(|found| (name(found), found.generation)).collect()
    };
    assert_eq!(names(one), names(other), "{when}");
    for (a, b) in one.found.iter().zip(&other.found) {
        close(a.words, b.words, when);
        close(a.vector, b.vector, when);
    }
    assert_eq!(one.chunks, other.chunks, "{when}");
    assert_eq!(one.chunks_embedded, other.chunks_embedded, "{when}");
    assert_eq!(one.digest, other.digest, "{when}");
}

#[track_caller]
fn close(one: Option<f32>, other: Option<f32>, when: &str) {
    let near = match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() <= 1e-4 * one.abs().max(1e-2),
        (one, other) => one == other,
    };
    assert!(near, "{one:?} is not {other:?} {when}");
}
