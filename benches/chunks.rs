//! How long it takes to read the text of documents and to cut it into chunks.
//!
//! `cargo bench --bench chunks` measures; `cargo test --bench chunks` runs everything once on tiny
//! input. Tokens are counted by `o200k_base`, as the service counts them.

// Shared with other benches, which use more of it.
#[expect(dead_code, reason = "turns are for the other benchmarks")]
mod words;

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use keepsake::chunks::{chunk, extract};
use keepsake::tokens::Tokenizer;
use keepsake::types::{Chunking, MediaType};

/// How many bytes a document has.
fn bytes() -> usize {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    if is_bench { 4 << 20 } else { 4 << 10 }
}

/// English sentences without structure.
fn sentences() -> String {
    let mut numbers = words::Numbers::new(7);
    (0..64).map(|_| words::text(&mut numbers, 24) + " ").collect()
}

fn documents() -> Vec<(&'static str, MediaType, String)> {
    let sentences = sentences();
    let paragraph = sentences[..sentences.find('.').unwrap_or(0)].to_owned() + ".";
    let markdown = format!("# One\n\n{paragraph}\n\n## Two\n\n- {paragraph}\n- {paragraph}\n\n");
    let html = format!("<h2>One</h2><p>{paragraph}</p><ul><li>{paragraph}</li></ul>");
    let rows = format!("{{\"text\": \"{}\"}}\n", paragraph);
    vec![
        ("plain", MediaType::Plain, sentences.clone()),
        ("markdown", MediaType::Markdown, markdown),
        ("source", MediaType::Source, include_str!("chunks.rs").to_owned()),
        ("html", MediaType::Html, html),
        ("json lines", MediaType::JsonLines, rows),
        ("csv", MediaType::Csv, format!("{},x,y\n", paragraph)),
        ("one letter", MediaType::Plain, "a".to_owned()),
        ("rules", MediaType::Plain, "-".to_owned()),
        ("spaces", MediaType::Plain, " ".to_owned()),
        ("ideographs", MediaType::Plain, "今天天气很好我们去公园散步".to_owned()),
        ("clusters", MediaType::Plain, "👩‍👩‍👧‍👦".to_owned()),
    ]
}

fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    count: &dyn Fn(&str) -> u32,
    (name, media, part): (&str, MediaType, String),
) {
    let text = part.repeat(bytes() / part.len() + 1);
    let read = || extract(media, text.as_bytes()).expect("it is of its media type");
    let document = read();
    let chunks = chunk("", &document, Chunking::DEFAULT, count);
    let tokens: u64 = chunks.iter().map(|chunk| u64::from(chunk.tokens)).sum();
    eprintln!("{name}: {} chunks of {} tokens", chunks.len(), tokens / chunks.len() as u64);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function(BenchmarkId::new("read", name), |bench| bench.iter(read));
    group.bench_function(BenchmarkId::new("cut", name), |bench| {
        bench.iter(|| black_box(chunk("", &document, Chunking::DEFAULT, count).len()));
    });
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let tokenizer = Tokenizer::builtin("o200k_base").expect("it is built in");
    let count = |text: &str| tokenizer.count(text);
    let mut group = criterion.benchmark_group("chunks");
    for document in documents() {
        measure(&mut group, &count, document);
    }
    group.finish();
    criterion.final_summary();
}
