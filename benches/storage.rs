//! The engines of the record side by side: load, disk, reads, deletions, opening, memory.
//!
//! `cargo bench --bench storage` measures 200,000 rows of 1 KB, each engine in a process of its
//! own; `ROWS=N` in front takes another number. `cargo test --bench storage` runs it on little.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keepsake::storage::disk::{DiskStore, Kind};
use keepsake::storage::fjall::Fjall;
use keepsake::storage::sled::Sled;
use keepsake::storage::{Batch, Read, Store};

/// How many rows a session has.
const SESSION_ROWS: u64 = 200;
/// How many rows a commit writes, and how many writers there are.
const COMMIT_ROWS: u64 = 10;
const WRITERS: u64 = 64;
const VALUE_BYTES: usize = 1_000;

fn main() {
    let measures = std::env::args().any(|argument| argument == "--bench");
    let rows = std::env::var("ROWS").ok().map(|rows| rows.parse().expect("a number of rows"));
    let rows = rows.unwrap_or(if measures { 200_000 } else { 2_000 });
    match std::env::var("ENGINE").as_deref() {
        Ok("fjall") => run::<Fjall>(rows),
        Ok("sled") => run::<Sled>(rows),
        _ => {
            println!(
                "| {rows} rows | load | one commit p50 / p99 | disk | open | a session cold / warm \
                 | delete one | RSS |"
            );
            println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
            for engine in ["fjall", "sled"] {
                let mut own = Command::new(std::env::current_exe().expect("it has a path"));
                own.args(std::env::args().skip(1)).env("ENGINE", engine);
                assert!(own.status().expect("it runs again").success());
            }
        }
    }
}

fn run<K: Kind>(rows: u64) {
    let folder = tempfile::tempdir_in(".").expect("a folder on the disk of this one");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure::<K>(folder.path(), rows));
}

async fn measure<K: Kind>(folder: &Path, rows: u64) {
    let store = Arc::new(DiskStore::<K>::open(folder).expect("a new folder opens"));
    let load = load(&store, rows).await;
    let mut commits = Vec::new();
    for n in 0..rows.div_ceil(400) {
        let batch = Batch::new().put(key(rows + n), text(rows + n));
        commits.push(timed(store.commit(batch)).await.0);
    }
    let rss = resident_bytes();
    drop(store);
    let disk = disk_bytes(folder);
    let began = Instant::now();
    let store = DiskStore::<K>::open(folder).expect("the folder opens");
    let open = began.elapsed();
    let sessions = rows / SESSION_ROWS;
    let mut cold = read_sessions(&store, sessions).await;
    let mut warm = read_sessions(&store, sessions).await;
    let mut deleted = Vec::new();
    for session in 0..sessions.min(50) {
        let from = session * SESSION_ROWS;
        let rows = from..from + SESSION_ROWS;
        let batch = rows.fold(Batch::new(), |batch, n| batch.delete(key(n)));
        deleted.push(timed(store.commit(batch)).await.0);
    }
    print!("| {} | {:.1} s ", K::NAME, load.as_secs_f64());
    println!(
        "| {:.2?} / {:.2?} | {} MB | {open:.0?} | {:.2?} / {:.2?} | {:.2?} | {} MB |",
        at(&mut commits, 50),
        at(&mut commits, 99),
        disk >> 20,
        at(&mut cold, 50),
        at(&mut warm, 50),
        at(&mut deleted, 50),
        rss >> 20
    );
}

/// Many writers write sessions of their own, some rows a commit, as servers do.
async fn load<K: Kind>(store: &Arc<DiskStore<K>>, rows: u64) -> Duration {
    let began = Instant::now();
    let writers = (0..WRITERS).map(|writer| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for commit in (writer..rows / COMMIT_ROWS).step_by(WRITERS as usize) {
                let rows = commit * COMMIT_ROWS..(commit + 1) * COMMIT_ROWS;
                let batch = rows.fold(Batch::new(), |batch, n| batch.put(key(n), text(n)));
                store.commit(batch).await.expect("the commit holds");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no writer fails");
    }
    began.elapsed()
}

async fn read_sessions(store: &dyn Store, sessions: u64) -> Vec<Duration> {
    let mut took = Vec::new();
    for n in 0..sessions.min(200) {
        let session = n * 7_919 % sessions;
        let (time, found) = timed(store.read(vec![Read::prefix(session_key(session))])).await;
        let found = found.expect("the store reads").remove(0).len() as u64;
        assert!(found >= SESSION_ROWS, "the session is there");
        took.push(time);
    }
    took
}

async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let began = Instant::now();
    let done = work.await;
    (began.elapsed(), done)
}

/// Sessions lie by a number that is spread over all of them, as incarnations are.
fn session_key(session: u64) -> Vec<u8> {
    let spread = session.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [b"i".as_slice(), &spread.to_be_bytes(), &session.to_be_bytes()].concat()
}

fn key(n: u64) -> Vec<u8> {
    let seq = (n % SESSION_ROWS).to_be_bytes();
    [&session_key(n / SESSION_ROWS)[..], b"t", &seq].concat()
}

/// A text of words, which compresses as texts do.
fn text(n: u64) -> Vec<u8> {
    let mut state = n.wrapping_add(1).wrapping_mul(0x2545_f491_4f6c_dd1d);
    let mut text = Vec::with_capacity(VALUE_BYTES + 8);
    while text.len() < VALUE_BYTES {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.extend_from_slice(format!("{:x} ", (state >> 33) % 3_000 * 7_919).as_bytes());
    }
    text.truncate(VALUE_BYTES);
    text
}

fn at(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn disk_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let bytes = entries.map(|entry| {
        let entry = entry.expect("it can be read");
        match entry.file_type().expect("it has a type").is_dir() {
            true => disk_bytes(&entry.path()),
            false => entry.metadata().expect("it is there").blocks() * 512,
        }
    });
    bytes.sum()
}

/// The memory that the process has now; 0 where nobody says.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}
