//! How fast embedders are: turns by length and threads, questions alone and under load. Those
//! that are built in; a model from outside besides, where KEEPSAKE_TEST_ONNXRUNTIME and
//! KEEPSAKE_TEST_FASTEMBED_MODEL name one (`models/onnx/check` says how).
//!
//! `cargo bench --bench embedding` measures and prints tables; `cargo test --bench embedding` runs
//! everything once on tiny input. Percentiles are of single calls, so this is no Criterion bench.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keepsake::embed::builtin::MiniLm;
use keepsake::embed::table::StaticTable;
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
fn rate(runtime: &Runtime, embedder: &Arc<dyn Embedder>, tokens: usize, time: Duration) -> f64 {
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
fn query_times(runtime: &Runtime, embedder: &dyn Embedder, count: usize) -> (Duration, Duration) {
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
    embedder: &Arc<dyn Embedder>,
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
    let times = query_times(runtime, embedder.as_ref(), count);
    stop.store(true, Ordering::Relaxed);
    runtime.block_on(load).expect("the load ends");
    times
}

/// How much is measured.
struct Plan {
    time: Duration,
    count: usize,
    lengths: &'static [usize],
}

/// Measures one embedder, which `start` makes with so many threads for turns.
fn measure(runtime: &Runtime, name: &str, plan: &Plan, start: impl Fn(usize) -> Arc<dyn Embedder>) {
    let before = resident_mb();
    let started = Instant::now();
    let one = start(1);
    println!("{name}: loading: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    let two = start(2);
    println!("texts a second by tokens of a text, with 1 and 2 threads for turns");
    for tokens in plan.lengths {
        let rates = [&one, &two].map(|embedder| rate(runtime, embedder, *tokens, plan.time));
        println!("{tokens:>4} tokens  {:>8.1}  {:>8.1}", rates[0], rates[1]);
    }
    drop(two);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (middle, slow) = query_times(runtime, one.as_ref(), plan.count);
    println!("a question alone: p50 {:.4} ms, p99 {:.4} ms", ms(middle), ms(slow));
    let (middle, slow) = query_times_under_load(runtime, &one, plan.count);
    println!("a question under load: p50 {:.4} ms, p99 {:.4} ms", ms(middle), ms(slow));
    println!("resident memory: {before} MB before the model, {} MB after\n", resident_mb());
}

/// A model from outside, where there is one.
#[cfg(feature = "fastembed")]
fn measure_outside(runtime: &Runtime, plan: &Plan) {
    use keepsake::embed::fastembed::{FastEmbed, FastEmbedOptions};
    use keepsake::onnx::Place;
    use std::path::PathBuf;

    let told = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let runtime_at = told("KEEPSAKE_TEST_ONNXRUNTIME");
    let (Some(library), Some(model)) = (runtime_at, told("KEEPSAKE_TEST_FASTEMBED_MODEL")) else {
        return;
    };
    measure(runtime, "fastembed, all-MiniLM-L6-v2 f32", plan, |threads| {
        let place = Place { library: Some(library.clone()), ..Place::new(PathBuf::new()) };
        let options = FastEmbedOptions::new(&model.display().to_string(), place);
        let options = FastEmbedOptions { threads, ..options };
        Arc::new(FastEmbed::start(&options).expect("the model loads"))
    });
}

#[cfg(not(feature = "fastembed"))]
fn measure_outside(_: &Runtime, _: &Plan) {}

fn main() {
    let tiny = !std::env::args().any(|argument| argument == "--bench");
    let plan = if tiny {
        Plan { time: Duration::ZERO, count: 2, lengths: &[9] }
    } else {
        Plan { time: Duration::from_secs(3), count: 500, lengths: &[9, 32, 133, 256] }
    };
    let runtime = Runtime::new().expect("a runtime starts");
    measure(&runtime, "minilm", &plan, |threads| {
        Arc::new(MiniLm::start(threads).expect("the model loads"))
    });
    measure(&runtime, "static", &plan, |threads| {
        Arc::new(StaticTable::start(threads).expect("the table is read"))
    });
    measure_outside(&runtime, &plan);
}
