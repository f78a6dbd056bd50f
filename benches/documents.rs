//! How fast documents come into the embedded index, how long questions take, what memory it takes,
//! and how many of the best by meaning the nearest lists find.
//!
//! `cargo bench --bench documents` measures 10,000 and 100,000 chunks, with
//! `KEEPSAKE_BENCH_CHUNKS=1000000` so many; `cargo test --bench documents` runs everything once on
//! tiny input. Chunks have 150 words (some 200 tokens) by Zipf's law out of 100,000; vectors are of
//! 384 numbers around 1,000 middles.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use keepsake::documents::{
    Candidates, DocumentFilter, DocumentIndex, DocumentRecord, EmbeddedIndex, EmbeddedOptions,
    Entry, IndexError, Place, Question,
};
use keepsake::pool::Threads;
use keepsake::retrieve::{QueryVector, TurnVectors};
use keepsake::types::{DocumentId, Generation, Incarnation, Metadata, TenantId, Timestamp};
use tokio::runtime::Runtime;

const DIMENSIONS: usize = 384;
const MIDDLES: usize = 1_000;
const WORDS: f64 = 100_000.0;
const CHUNK_WORDS: usize = 150;
const DOCUMENT_CHUNKS: usize = 10;
const QUESTIONS: u64 = 50;

/// A record that makes up what it is asked for.
struct MadeUp {
    middles: Vec<Vec<f32>>,
}

impl MadeUp {
    fn new() -> Self {
        let mut chance = fastrand::Rng::with_seed(3);
        let mut number = || chance.f32() - 0.5;
        let mut middle = || (0..DIMENSIONS).map(|_| number()).collect();
        Self { middles: (0..MIDDLES).map(|_| middle()).collect() }
    }

    /// A vector of length 1 near a middle: as near as texts on one subject are, some 0.5.
    fn vector(&self, seed: u64) -> Vec<f32> {
        let mut chance = fastrand::Rng::with_seed(seed);
        let middle = &self.middles[chance.usize(..MIDDLES)];
        let mut vector: Vec<f32> =
            middle.iter().map(|number| number + chance.f32() - 0.5).collect();
        let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|number| *number /= length);
        vector
    }

    fn vectors_of(&self, number: u64) -> TurnVectors {
        let seeds = 0..DOCUMENT_CHUNKS as u64;
        let vectors: Vec<_> = seeds.map(|chunk| self.vector(number * 100 + chunk)).collect();
        TurnVectors::quantise(&vectors)
    }
}

#[async_trait]
impl DocumentRecord for MadeUp {
    async fn collections(&self) -> Result<Vec<Place>, IndexError> {
        Ok(Vec::new())
    }

    async fn documents(&self, _: &Place) -> Result<Vec<Entry>, IndexError> {
        Ok(Vec::new())
    }

    async fn texts(&self, _: &Place, _: &Entry) -> Result<Option<Vec<String>>, IndexError> {
        Ok(None)
    }

    async fn vectors(&self, generation: Generation) -> Result<Vec<(u32, TurnVectors)>, IndexError> {
        let number = u128::from_be_bytes(generation.0);
        Ok(vec![(0, self.vectors_of(u64::try_from(number).unwrap_or_default()))])
    }
}

/// A word of a text; small ranks are the frequent ones.
fn word(chance: &mut fastrand::Rng) -> String {
    format!("w{}ord", WORDS.powf(chance.f64()) as u64)
}

fn text(seed: u64) -> String {
    let mut chance = fastrand::Rng::with_seed(seed);
    (0..CHUNK_WORDS).map(|_| word(&mut chance)).collect::<Vec<_>>().join(" ")
}

/// Six words, none of the twenty most frequent.
fn question(seed: u64) -> String {
    let mut chance = fastrand::Rng::with_seed(seed + (1 << 40));
    let mut words = Vec::new();
    while words.len() < 6 {
        let word = word(&mut chance);
        if word.len() > "w20ord".len() {
            words.push(word);
        }
    }
    words.join(" ")
}

fn place() -> Place {
    let tenant = TenantId::parse("acme").expect("it is an id");
    Place { tenant, collection: Incarnation([7; 16]) }
}

fn entry(number: u64) -> Entry {
    let metadata: Metadata = [("tenth", number % 10), ("hundredth", number % 100)]
        .map(|(key, value)| (key.to_owned(), value.to_string()))
        .into();
    Entry {
        document: DocumentId::parse(&format!("d{number}")).expect("it is an id"),
        generation: Generation(u128::from(number).to_be_bytes()),
        chunks: DOCUMENT_CHUNKS as u32,
        metadata,
        created_at: Timestamp(0),
        language: "en".to_owned(),
    }
}

/// What the process holds in memory, where the system says so.
fn resident_megabytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).map_or(0, |kilobytes: usize| kilobytes / 1_024)
}

struct Filled {
    runtime: Runtime,
    record: Arc<MadeUp>,
    index: EmbeddedIndex,
    _folder: tempfile::TempDir,
}

fn filled(chunks: usize) -> Filled {
    let runtime = Runtime::new().expect("there are threads");
    let folder = tempfile::tempdir().expect("there is a folder");
    let record = Arc::new(MadeUp::new());
    let options =
        EmbeddedOptions { folder: Some(folder.path().to_owned()), ..EmbeddedOptions::default() };
    let opened = EmbeddedIndex::open(options, record.clone(), Arc::new(Threads));
    let (index, _) = opened.expect("the folder is new");
    let mut spent = Duration::ZERO;
    for number in 0..(chunks / DOCUMENT_CHUNKS) as u64 {
        let texts = (0..DOCUMENT_CHUNKS as u64).map(|chunk| text(number * 100 + chunk)).collect();
        let start = Instant::now();
        runtime.block_on(index.put(&place(), entry(number), texts)).expect("it is taken in");
        spent += start.elapsed();
    }
    let start = Instant::now();
    runtime.block_on(index.tend()).expect("it is written");
    spent += start.elapsed();
    let rate = chunks as f64 / spent.as_secs_f64();
    eprintln!("{chunks} chunks: {rate:.0} chunks/s taken in, {} MB", resident_megabytes());
    let filled = Filled { runtime, record, index, _folder: folder };
    let start = Instant::now();
    filled.ask(None, Some(&filled.record.vector(1)), &DocumentFilter::default(), 10);
    eprintln!("  vectors made and loaded in {:.1} s", start.elapsed().as_secs_f64());
    // The lists are made behind; until then every vector is looked at.
    let start = Instant::now();
    while filled.index.is_ordering(&place()) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let figures = filled.index.figures();
    eprintln!(
        "  in lists after {:.1} s more, {} MB, of vectors {} MB, of {} segments {} MB",
        start.elapsed().as_secs_f64(),
        resident_megabytes(),
        figures.vectors_bytes >> 20,
        figures.segments,
        figures.segments_bytes >> 20,
    );
    filled
}

impl Filled {
    fn ask(
        &self,
        words: Option<&str>,
        vector: Option<&[f32]>,
        filter: &DocumentFilter,
        most: usize,
    ) -> Candidates {
        let Place { tenant, collection } = place();
        let (tenant, collections, language) = (&tenant, &[collection], "en");
        let question = Question { tenant, collections, words, language, vector, filter, most };
        self.runtime.block_on(self.index.search(&question)).expect("it answers")
    }

    /// How many of the ten that are most alike are among those found.
    fn recall(&self, chunks: usize, key: &str) -> f64 {
        let filter = label(key);
        let vectors: Vec<_> =
            (0..QUESTIONS).map(|seed| self.record.vector(seed + (1 << 50))).collect();
        let query = |vector: &Vec<f32>| QueryVector::of(vector).expect("it has a direction");
        let queries: Vec<_> = vectors.iter().map(query).collect();
        let mut nearest = vec![Vec::new(); queries.len()];
        let mut room = (Vec::new(), Vec::new());
        for number in 0..(chunks / DOCUMENT_CHUNKS) as u64 {
            if !filter.passes(&entry(number)) {
                continue;
            }
            let rows = self.record.vectors_of(number);
            for (query, nearest) in queries.iter().zip(&mut nearest) {
                for (row, scale) in rows.rows() {
                    query.cosines(row, &[scale], &mut room.0, &mut room.1);
                    nearest.push(room.1[0]);
                }
                nearest.sort_by(|one: &f32, other| other.total_cmp(one));
                nearest.truncate(10);
            }
        }
        let (mut found, mut wanted) = (0, 0);
        for (vector, nearest) in vectors.iter().zip(&nearest) {
            let answer = self.ask(None, Some(vector), &filter, 10);
            found += answer.found.iter().filter(|c| c.vector >= nearest.last().copied()).count();
            wanted += nearest.len();
        }
        found as f64 / wanted as f64
    }
}

/// A filter by a label that one in ten or in a hundred has; by none: all.
fn label(key: &str) -> DocumentFilter {
    let any_of = (!key.is_empty()).then(|| (key.to_owned(), vec!["3".to_owned()]));
    DocumentFilter { any_of: any_of.into_iter().collect(), ..DocumentFilter::default() }
}

fn sizes() -> Vec<usize> {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let asked = std::env::var("KEEPSAKE_BENCH_CHUNKS").ok().and_then(|text| text.parse().ok());
    match (is_bench, asked) {
        (false, _) => vec![200],
        (true, Some(chunks)) => vec![chunks],
        (true, None) => vec![10_000, 100_000],
    }
}

fn searching(group: &mut BenchmarkGroup<'_, WallTime>, chunks: usize) {
    let filled = filled(chunks);
    for key in ["", "tenth", "hundredth"] {
        eprintln!("  recall@10 {key}: {:.3}", filled.recall(chunks, key));
    }
    let mut seed = 0;
    for (name, words, meaning, key) in [
        ("words", true, false, ""),
        ("vectors", false, true, ""),
        ("hybrid", true, true, ""),
        ("hybrid of a tenth", true, true, "tenth"),
        ("hybrid of a hundredth", true, true, "hundredth"),
    ] {
        let filter = label(key);
        group.bench_function(BenchmarkId::new(name, chunks), |bench| {
            bench.iter_batched(
                || {
                    seed += 1;
                    (question(seed), filled.record.vector(seed + (1 << 50)))
                },
                |(text, vector)| {
                    let (words, meaning) =
                        (words.then_some(text.as_str()), meaning.then_some(vector.as_slice()));
                    black_box(filled.ask(words, meaning, &filter, 100).found.len())
                },
                criterion::BatchSize::SmallInput,
            );
        });
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let mut group = criterion.benchmark_group("documents");
    for size in sizes() {
        searching(&mut group, size);
    }
    group.finish();
    criterion.final_summary();
}
