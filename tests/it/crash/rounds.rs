//! Rounds of `kill -9` under load, and what must be there after each of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keepsake::cli::Client;

use super::ENGINES;
use super::answers::{Answer, answers, settled};
use super::chance::{Chance, setting};
use super::server::{Process, Server, Setup};
use super::summaries;
use super::talk::Talk;
use super::writers::{Acks, Writer, verify_shared};

const WRITERS: u64 = 16;

/// What a set of rounds did.
#[derive(Default)]
struct Figures {
    rounds: u64,
    kills_at_start: u64,
    writes: u64,
    turns: u64,
    wrote_for: Duration,
    doubts: u64,
    doubts_kept: u64,
    summaries: usize,
}

/// One set of rounds on one folder.
struct Rounds {
    setup: Setup,
    chance: Chance,
    long: bool,
    writers: Vec<Writer>,
    figures: Figures,
    /// How long the last start took.
    start: Duration,
}

impl Rounds {
    fn new(setup: Setup, seed: u64, long: bool) -> Self {
        Self {
            setup,
            chance: Chance::new(seed),
            long,
            writers: (0..WRITERS).map(|number| Writer::new(seed, number)).collect(),
            figures: Figures::default(),
            start: Duration::ZERO,
        }
    }

    fn talks(&self) -> Vec<&Talk> {
        self.writers.iter().flat_map(|writer| &writer.talks).collect()
    }

    /// Writes until a moment that chance names, and kills the server there.
    async fn round(&mut self, server: Server, shared: &str) {
        let acks = Arc::new(Acks::default());
        let began = Instant::now();
        let running = self.start_writers(&server.client, &acks, shared);
        let writes =
            if self.long { 50 + self.chance.below(1_500) } else { 50 + self.chance.below(400) };
        acks.reach(writes).await;
        let last_step = Duration::from_micros(self.chance.below(3_000));
        // Not only right after an acknowledgement.
        tokio::task::spawn_blocking(move || std::thread::sleep(last_step)).await.unwrap();
        self.figures.wrote_for += began.elapsed();
        server.kill();
        self.writers = finished(running).await;
        self.figures.rounds += 1;
        self.figures.writes += acks.count();
        self.figures.turns += acks.turns();
    }

    fn start_writers(
        &mut self,
        client: &Client,
        acks: &Arc<Acks>,
        shared: &str,
    ) -> Vec<tokio::task::JoinHandle<Writer>> {
        let start = |writer: Writer| {
            tokio::spawn(writer.run(client.clone(), acks.clone(), shared.to_owned()))
        };
        self.writers.drain(..).map(start).collect()
    }

    /// Starts the server; some of the starts are killed too, wherever they are.
    async fn restart(&mut self) -> Server {
        while self.chance.percent(40) {
            let process: Process = self.setup.spawn();
            let micros = u64::try_from(self.start.as_micros()).unwrap_or(u64::MAX);
            let moment = Duration::from_micros(self.chance.below(micros + micros / 4));
            tokio::task::spawn_blocking(move || std::thread::sleep(moment)).await.unwrap();
            process.kill();
            self.figures.kills_at_start += 1;
        }
        let began = Instant::now();
        let server = self.setup.started().await;
        self.start = began.elapsed();
        server
    }

    /// Holds every session against what was acknowledged of it.
    async fn verify(&mut self, client: &mut Client, shared: &str) {
        verify_shared(&mut self.writers, client, shared).await;
        for talk in self.writers.iter_mut().flat_map(|writer| &mut writer.talks) {
            let doubt = talk.doubt.is_some();
            let kept = talk.verify(client).await;
            self.figures.doubts += u64::from(doubt);
            self.figures.doubts_kept += u64::from(doubt && kept);
            self.figures.summaries += summaries::check(client, talk, false).await;
        }
    }

    /// Writes once more, lets the writers end, and holds the answers of this server against those
    /// of one that reads the record anew, and of one on a copy of the folder.
    async fn compare_answers(&mut self, mut server: Server) {
        let acks = Arc::new(Acks::default());
        let running = self.start_writers(&server.client, &acks, "shared-last");
        acks.reach(if self.long { 3_000 } else { 500 }).await;
        acks.enough();
        self.writers = finished(running).await;
        let talks = self.talks();
        let open = settled(&mut server.client, &talks, self.long).await;
        let closed = |talk: &&&Talk| talk.exists() && !open.contains(&talk.id);
        let talks: Vec<&Talk> = talks.iter().filter(closed).copied().collect();
        assert!(talks.len() >= WRITERS as usize, "{} sessions are settled", talks.len());
        let mut summaries = 0;
        for talk in &talks {
            summaries += summaries::check(&mut server.client, talk, true).await;
        }
        assert!(summaries > 0, "there are summaries");
        let lived = all_answers(&mut server.client, &talks).await;
        assert!(server.stop().await.success());
        let copy = Setup::new(&self.setup.folder.join("copy"), self.setup.engine);
        copy_folder(&self.setup.data(), &copy.data());
        for setup in [self.setup.clone(), copy] {
            let mut server = setup.started().await;
            let anew = all_answers(&mut server.client, &talks).await;
            for (id, expected) in &lived {
                assert!(anew[id] == *expected, "`{id}` is answered in another way");
            }
            assert!(server.stop().await.success());
            setup.doctor().unwrap_or_else(|said| panic!("{said}"));
        }
    }
}

async fn finished(running: Vec<tokio::task::JoinHandle<Writer>>) -> Vec<Writer> {
    let ended = futures::future::join_all(running).await;
    ended.into_iter().map(|writer| writer.unwrap()).collect()
}

async fn all_answers(client: &mut Client, talks: &[&Talk]) -> BTreeMap<String, Vec<Answer>> {
    let mut all = BTreeMap::new();
    for talk in talks {
        all.insert(talk.id.clone(), answers(client, talk).await);
    }
    all
}

pub fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let copy = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_folder(&entry.path(), &copy),
            false => std::fs::copy(entry.path(), copy).map(drop).unwrap(),
        }
    }
}

async fn run(engine: &'static str, rounds: u64, seed: u64) -> Figures {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new(folder.path(), engine);
    let mut set = Rounds::new(setup, seed, rounds > 10);
    let mut server = set.setup.started().await;
    summaries::make_often(&mut server.client).await;
    for round in 0..rounds {
        let shared = format!("shared-{round}");
        set.round(server, &shared).await;
        server = set.restart().await;
        set.verify(&mut server.client, &shared).await;
    }
    set.compare_answers(server).await;
    set.setup.doctor().unwrap_or_else(|said| panic!("{said}"));
    set.figures
}

/// Nothing acknowledged is lost, doubled or out of order, wherever the process is killed.
///
/// `KEEPSAKE_CRASH_ROUNDS=100 cargo test --test it crash::rounds -- --nocapture` is the long run;
/// `KEEPSAKE_CRASH_SEED` decides who says what, and when the process dies.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_wherever_the_process_is_killed() {
    let rounds = setting("KEEPSAKE_CRASH_ROUNDS", 3);
    let seed = setting("KEEPSAKE_CRASH_SEED", 1);
    for engine in ENGINES {
        let figures = run(engine, rounds, seed).await;
        let seconds = figures.wrote_for.as_secs_f64();
        println!(
            "{engine}: {} kills under load and {} while starting, {WRITERS} writers, seed {seed}: \
             {} writes ({} turns) acknowledged in {seconds:.1} s, {:.0} a second; {} calls cut, of \
             which {} had been kept; {} summaries looked at; 0 lost, 0 doubled, 0 out of order",
            figures.rounds,
            figures.kills_at_start,
            figures.writes,
            figures.turns,
            figures.writes as f64 / seconds,
            figures.doubts,
            figures.doubts_kept,
            figures.summaries,
        );
    }
}
