//! Clients that lose a third of their answers and ask again, of a server that is killed under them:
//! each append is there once, in the order in which it was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Instant;

use keepsake::cli::Client;
use keepsake::proto::v1 as pb;
use tokio::sync::watch;
use tonic::Status;

use super::ENGINES;
use super::chance::{Chance, setting};
use super::server::Setup;
use super::talk::{is_cut, list, turn};
use super::writers::Acks;

const CLIENTS: u64 = 16;
const SESSIONS: u64 = 4;

/// Of a hundred answers so many come and are dropped, and so many calls are cut before they come.
const DROPPED_PERCENT: u64 = 15;
const CUT_PERCENT: u64 = 15;

/// How often others may run before a call is cut: from not sent at all to answered.
const STEPS_MAX: u64 = 40;

/// What all clients share.
struct World {
    server: watch::Receiver<(u64, Client)>,
    acks: Arc<Acks>,
    lost: AtomicU64,
}

/// One call with what becomes of its answer; `None`: the client never learns of it.
async fn call(
    client: &mut Client,
    request: &pb::AppendTurnsRequest,
    chance: &Chance,
) -> Option<Result<pb::AppendTurnsResponse, Status>> {
    let answered = client.memory.append_turns(request.clone());
    let luck = chance.below(100);
    if luck >= DROPPED_PERCENT + CUT_PERCENT {
        return Some(answered.await.map(tonic::Response::into_inner));
    }
    if luck >= CUT_PERCENT {
        // The answer comes and is lost; that there is no server any more is noticed.
        return answered.await.err().map(Err);
    }
    let steps = chance.below(STEPS_MAX);
    let cut = async {
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = cut => None,
        answer = answered => answer.err().map(Err),
    }
}

/// Appends one turn, however often that takes, and checks the seq in the answer.
async fn append(world: &World, request: &pb::AppendTurnsRequest, seq: u64, chance: &Chance) {
    let mut server = world.server.clone();
    loop {
        let (start, mut client) = server.borrow_and_update().clone();
        match call(&mut client, request, chance).await {
            None => drop(world.lost.fetch_add(1, SeqCst)),
            Some(Ok(answer)) => {
                assert_eq!(
                    (answer.first_seq, answer.last_seq),
                    (seq, seq),
                    "{}",
                    request.session_id
                );
                world.acks.note(1);
                return;
            }
            Some(Err(status)) if is_cut(&status) => {
                // That server is gone: wait for the next one.
                server.wait_for(|(now, _)| *now > start).await.unwrap();
            }
            Some(Err(status)) => panic!("{}: {status}", request.session_id),
        }
    }
}

fn session(client: u64, session: u64) -> String {
    format!("c{client}-{session}")
}

fn text(client: u64, session: u64, seq: u64) -> String {
    format!("Message {seq} of client {client} in session {session}.")
}

/// One client: its sessions in turn, one append after the other.
async fn client(world: Arc<World>, number: u64, appends: u64, seed: u64) {
    let chance = Chance::new(seed ^ (number + 1) << 40);
    for seq in 1..=appends / SESSIONS {
        for at in 0..SESSIONS {
            let request = pb::AppendTurnsRequest {
                session_id: session(number, at),
                turns: vec![turn(seq, &text(number, at, seq))],
                request_id: chance.request_id(),
                ..Default::default()
            };
            append(&world, &request, seq, &chance).await;
        }
    }
}

async fn run(engine: &'static str, appends: u64, kills: u64, seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new(folder.path(), engine);
    let mut server = setup.started().await;
    let (next, watched) = watch::channel((0, server.client.clone()));
    let acks = Arc::new(Acks::default());
    let world = Arc::new(World { server: watched, acks: acks.clone(), lost: AtomicU64::new(0) });
    let each = appends / CLIENTS / SESSIONS * SESSIONS;
    let began = Instant::now();
    let start = |number| tokio::spawn(client(world.clone(), number, each, seed));
    let clients: Vec<_> = (0..CLIENTS).map(start).collect();
    for kill in 1..=kills {
        acks.reach(each * CLIENTS * kill / (kills + 1)).await;
        server.kill();
        server = setup.started().await;
        next.send_replace((kill, server.client.clone()));
    }
    for client in clients {
        client.await.unwrap();
    }
    let took = began.elapsed();
    for (number, at) in (0..CLIENTS).flat_map(|client| (0..SESSIONS).map(move |at| (client, at))) {
        let name = session(number, at);
        let found = list(&mut server.client, &name).await.expect("the session is there");
        let expected = each / SESSIONS;
        for (said, seq) in found.iter().zip(1..) {
            assert_eq!((said.seq, &said.text), (seq, &text(number, at, seq)), "`{name}`");
        }
        assert_eq!(found.len() as u64, expected, "`{name}`");
    }
    assert!(server.stop().await.success());
    setup.doctor().unwrap_or_else(|said| panic!("{said}"));
    let (count, seconds) = (acks.count(), took.as_secs_f64());
    let lost = world.lost.load(SeqCst);
    assert!(lost * 100 >= count * 25, "{lost} answers of {count} were lost");
    println!(
        "{engine}: {count} appends by {CLIENTS} clients, {lost} answers lost and asked for again, \
         {kills} kills, seed {seed}, in {seconds:.1} s: 0 doubled, 0 lost"
    );
}

/// An append is one effect, however often it is sent.
///
/// `KEEPSAKE_RETRIED_APPENDS=100000 cargo test --test it crash::retried -- --nocapture` is the long
/// run, with 20 kills.
#[tokio::test(flavor = "multi_thread")]
async fn appends_whose_answers_are_lost_are_there_once() {
    let appends = setting("KEEPSAKE_RETRIED_APPENDS", 2_000);
    let kills = if appends >= 50_000 { 20 } else { 3 };
    for engine in ENGINES {
        run(engine, appends, kills, setting("KEEPSAKE_CRASH_SEED", 1)).await;
    }
}
