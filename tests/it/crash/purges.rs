//! Kills while a long session is copied or removed, which takes several commits: it is there whole
//! or not at all, and nothing of it is left over.

use std::time::{Duration, Instant};

use super::ENGINES;
use super::chance::{Chance, setting};
use super::server::{Server, Setup};
use super::talk::{Op, Talk};

/// Turns of the session: more rows than one commit of a purge removes.
const TURNS: u64 = 1_200;
const APPEND_TURNS: u64 = 200;

async fn grown(server: &mut Server, chance: &Chance) -> Talk {
    let mut talk = Talk::new("long", "ann");
    for first in (0..TURNS).step_by(APPEND_TURNS as usize) {
        let texts = (first..first + APPEND_TURNS).map(|n| format!("Turn {n} of a long session."));
        let op = Op::Append { id: chance.request_id(), texts: texts.collect(), from: 0 };
        talk.send(&mut server.client, &op).await.unwrap();
        talk = talk.after(&op);
    }
    talk
}

/// Sends a write and kills the server at some moment of it, or after it. Gives how long the write
/// took when it came to its end.
async fn cut(mut server: Server, talk: &mut Talk, op: Op, moment: Duration) -> Option<Duration> {
    let began = Instant::now();
    let mut client = server.client.clone();
    let sent = talk.clone();
    let sending = tokio::spawn(async move {
        let done = sent.send(&mut client, &op).await.is_ok();
        (op, done, began.elapsed())
    });
    // Any moment is right.
    tokio::task::spawn_blocking(move || std::thread::sleep(moment)).await.unwrap();
    server.process().end();
    let (op, done, took) = sending.await.unwrap();
    match done {
        true => *talk = talk.after(&op),
        false => talk.doubt = Some(op),
    }
    done.then_some(took)
}

async fn run(engine: &'static str, rounds: u64, seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new(folder.path(), engine);
    let chance = Chance::new(seed);
    let mut server = setup.started().await;
    let mut long = grown(&mut server, &chance).await;
    let mut longest = Duration::from_millis(40);
    let (mut kills, mut within) = (0, 0);
    for round in 0..rounds {
        let mut copy = Talk::new(&format!("copy-{round}"), "ann");
        let id = chance.request_id();
        let fork = Op::Fork { id, source: long.id.clone(), living: long.living() };
        for op in [fork, Op::Delete { id: chance.request_id() }] {
            let micros = u64::try_from(longest.as_micros()).unwrap();
            let moment = Duration::from_micros(chance.below(micros));
            kills += 1;
            match cut(server, &mut copy, op, moment).await {
                Some(took) => longest = took.max(Duration::from_millis(5)),
                // Later the next time, so that no part of it is passed over.
                None => {
                    within += 1;
                    longest += longest / 4;
                }
            }
            server = setup.started().await;
            copy.verify(&mut server.client).await;
            long.verify(&mut server.client).await;
        }
    }
    assert!(server.stop().await.success());
    setup.doctor().unwrap_or_else(|said| panic!("{said}"));
    println!(
        "{engine}: {kills} kills while a session of {TURNS} turns was forked or deleted, seed \
         {seed}, {within} of them before the answer: each time whole or gone, nothing left over"
    );
}

/// `KEEPSAKE_CRASH_ROUNDS=100` makes it long.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_forked_or_deleted_is_whole_or_gone_wherever_the_process_is_killed() {
    let rounds = setting("KEEPSAKE_CRASH_ROUNDS", 3);
    for engine in ENGINES {
        run(engine, rounds, setting("KEEPSAKE_CRASH_SEED", 1)).await;
    }
}
