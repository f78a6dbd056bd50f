//! How long ranking takes, by words and by words and vectors, and what memory an index takes.
//!
//! `cargo bench --bench retrieval` measures; `cargo test --bench retrieval` runs everything once
//! on tiny input. Vectors are of 384 numbers, four a turn (the whole and three sentences), without
//! meaning: time and memory do not depend on it.

// Shared with other benches, which use more of it.
mod words;

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use keepsake::retrieve::{
    Indexed, Mode, Query, Ranking, Request, SessionIndex, Source, TurnVectors, Weights, analyse,
    rank, to_embed,
};
use keepsake::types::{Seq, Timestamp, Turn};

/// The program's own: the system's gives memory of this size back each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const AS_OF: Timestamp = Timestamp(1_790_000_000_000);
const QUERY: &str = "Which train to Lisbon did I book for my sister on Friday?";
const DIMENSIONS: usize = 384;
const PIECES: usize = 4;
/// How many turns a session has.
const SESSION_TURNS: usize = 500;

/// The sessions of a user.
struct User {
    sessions: Vec<SessionIndex>,
    bytes_by_words: usize,
}

fn vector(numbers: &mut words::Numbers) -> Vec<f32> {
    (0..DIMENSIONS).map(|_| numbers.below(2_001) as f32 - 1_000.0).collect()
}

fn turns(seed: u64, count: usize) -> Vec<Turn> {
    let turns = words::turns(seed, count).into_iter().zip(1..);
    let turn = |(new, seq): (keepsake::sessions::NewTurn, u64)| {
        let at = new.created_at.unwrap_or_default();
        Turn {
            seq: Seq(seq),
            role: new.role,
            name: new.name,
            parts: new.parts,
            created_at: at,
            committed_at: at,
            external_id: new.external_id,
            metadata: new.metadata,
            status: new.status,
        }
    };
    turns.map(turn).collect()
}

fn user(count: usize) -> User {
    let mut numbers = words::Numbers::new(7);
    let mut user = User { sessions: Vec::new(), bytes_by_words: 0 };
    for seed in 0..count.div_ceil(SESSION_TURNS) {
        let size = SESSION_TURNS.min(count - seed * SESSION_TURNS);
        let mut index = SessionIndex::default();
        for turn in turns(seed as u64, size) {
            let terms = analyse(&turn, "en");
            let Turn { seq, role, created_at, .. } = turn;
            index.push(Indexed { seq, role, speaker: "", created_at, terms: &terms });
        }
        user.bytes_by_words += index.bytes();
        for seq in 1..=size as u64 {
            let vectors: Vec<_> = (0..PIECES).map(|_| vector(&mut numbers)).collect();
            assert!(index.set_vectors(Seq(seq), &TurnVectors::quantise(&vectors)));
        }
        user.sessions.push(index);
    }
    user
}

fn query() -> Query<'static> {
    Query { text: QUERY, language: "en", as_of: AS_OF, ..Query::default() }
}

fn ranked(sources: &[Source<'_>], vector: &[f32], mode: Mode) -> Ranking {
    rank(&Request {
        sources,
        query: query(),
        filter: &|_, _| true,
        hits_max: 276,
        weights: &Weights::DEFAULT,
        mode,
        vector: Some(vector),
        explain: false,
    })
}

/// How many turns a user has.
fn sizes() -> &'static [usize] {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    if is_bench { &[25_000, 10_000, 2_500, 500, 100] } else { &[24] }
}

fn ranking(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    let user = user(size);
    let bytes: usize = user.sessions.iter().map(SessionIndex::bytes).sum();
    eprintln!(
        "{size} turns: {} bytes a turn by words, {} with vectors",
        user.bytes_by_words / size,
        bytes / size,
    );
    let sources: Vec<Source<'_>> = user
        .sessions
        .iter()
        .map(|index| Source { index, horizon: None, words_from: None })
        .collect();
    let vector = vector(&mut words::Numbers::new(9));
    for (name, mode) in
        [("words", Mode::Words), ("vectors", Mode::Vectors), ("hybrid", Mode::Hybrid)]
    {
        group.bench_function(BenchmarkId::new(name, size), |bench| {
            bench.iter(|| black_box(ranked(&sources, &vector, mode).hits.len()));
        });
    }
    group.bench_function(BenchmarkId::new("to embed", size), |bench| {
        bench.iter(|| to_embed(black_box(&query()), &sources));
    });
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let mut group = criterion.benchmark_group("rank");
    for size in sizes() {
        ranking(&mut group, *size);
    }
    group.finish();
    criterion.final_summary();
}
