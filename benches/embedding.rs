//! How fast the built-in embedder is: turns by length and threads, questions alone and under load.
//!
//! `cargo bench --bench embedding` measures and prints tables; `cargo test --bench embedding` runs
//! everything once on tiny input. Percentiles are of single calls, so this is no Criterion bench.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keepsake::embed::builtin::MiniLm;
use keepsake::embed::{Embedder, Urgency};
use tokio::runtime::Runtime;

/// A text of about so many tokens: common words are one each.
fn text(tokens: usize, seed: usize) -> String {
    const WORDS: [&str; 12] = [
        "train", "garden", "sister", "booked", "museum", "quiet", "river", "ticket", "friday",
        "paint", "kitchen", "letter",
    ];
    // The first and the last mark are tokens too.
    let words = (0..tokens.saturating_sub(2)).map(|n| WORDS[(n * 7 + seed) % WORDS.len()]);
    words.collect::<Vec<_>>().join(" ")
}

/// The resident memory of this process, in MB; 0 where the system does not tell.
fn resident_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1_024
}

/// Texts a second when `callers` keep the embedder busy for a time.
fn rate(runtime: &Runtime, embedder: &Arc<MiniLm>, tokens: usize, time: Duration) -> f64 {
    let started = Instant::now();
    let calls = (0..4).map(|seed| {
        let embedder = embedder.clone();
        runtime.spawn(async move {
            let mut texts = 0;
            while texts == 0 || started.elapsed() < time {
                let batch = (0..4).map(|n| text(tokens, seed + n)).collect();
                embedder.embed(Urgency::Background, batch).await.expect("it embeds");
                texts += 4;
            }
            texts
        })
    });
    let calls: Vec<_> = calls.collect();
    let texts = calls.into_iter().map(|call| runtime.block_on(call).expect("it ends"));
    let texts: usize = texts.sum();
    texts as f64 / started.elapsed().as_secs_f64()
}

/// The middle and the 99th of a hundred times that a question of nine tokens takes.
fn query_times(runtime: &Runtime, embedder: &MiniLm, count: usize) -> (Duration, Duration) {
    let mut times: Vec<Duration> = (0..count)
        .map(|seed| {
            let query = vec![text(9, seed)];
            let started = Instant::now();
            runtime.block_on(embedder.embed(Urgency::Query, query)).expect("it embeds");
            started.elapsed()
        })
        .collect();
    times.sort();
    (times[count / 2], times[count * 99 / 100])
}

/// The times of questions while turns are embedded all the while.
fn query_times_under_load(
    runtime: &Runtime,
    embedder: &Arc<MiniLm>,
    count: usize,
) -> (Duration, Duration) {
    let stop = Arc::new(AtomicBool::new(false));
    let load = {
        let (embedder, stop) = (embedder.clone(), stop.clone());
        runtime.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let batch = (0..8).map(|seed| text(133, seed)).collect();
                embedder.embed(Urgency::Background, batch).await.expect("it embeds");
            }
        })
    };
    let times = query_times(runtime, embedder, count);
    stop.store(true, Ordering::Relaxed);
    runtime.block_on(load).expect("the load ends");
    times
}

fn main() {
    let tiny = !std::env::args().any(|argument| argument == "--bench");
    let (time, count, lengths): (_, _, &[usize]) = if tiny {
        (Duration::ZERO, 2, &[9])
    } else {
        (Duration::from_secs(3), 500, &[9, 32, 133, 256])
    };
    let runtime = Runtime::new().expect("a runtime starts");
    let before = resident_mb();
    let started = Instant::now();
    let one = Arc::new(MiniLm::start(1).expect("the model loads"));
    println!("loading: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    let two = Arc::new(MiniLm::start(2).expect("the model loads"));
    println!("texts a second by tokens of a text, with 1 and 2 threads for turns");
    for tokens in lengths {
        let rates = [&one, &two].map(|embedder| rate(&runtime, embedder, *tokens, time));
        println!("{tokens:>4} tokens  {:>8.1}  {:>8.1}", rates[0], rates[1]);
    }
    drop(two);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (middle, slow) = query_times(&runtime, &one, count);
    println!("a question alone: p50 {:.2} ms, p99 {:.2} ms", ms(middle), ms(slow));
    let (middle, slow) = query_times_under_load(&runtime, &one, count);
    println!("a question under load: p50 {:.2} ms, p99 {:.2} ms", ms(middle), ms(slow));
    println!("resident memory: {before} MB before the model, {} MB after", resident_mb());
}
