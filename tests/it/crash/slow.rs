//! Syncs that are slow, and one that fails.

use keepsake::cli::Client;
use keepsake::proto::v1 as pb;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::ENGINES;
use super::chance::Chance;
use super::server::{Server, Setup};
use super::strace;
use super::talk::{Op, Talk, is_cut, reason_of};

/// How many reads must come to their end while one append waits for its sync.
const READS: usize = 100;

/// How long a slow sync takes, in microseconds. A slow disk takes a thirtieth of it; this much
/// tells it from a machine that is busy with other tests.
const SLOW_MICROS: usize = 9_000_000;

fn append(chance: &Chance, text: &str) -> Op {
    Op::Append { id: chance.request_id(), texts: vec![text.to_owned()], from: 0 }
}

async fn health(server: &Server) -> HealthClient<tonic::transport::Channel> {
    let endpoint = tonic::transport::Channel::from_shared(server.address.clone()).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}

fn of_memory_service() -> HealthCheckRequest {
    HealthCheckRequest { service: "keepsake.v1.MemoryService".to_owned() }
}

/// Reads in all ways, `READS` times.
async fn read(client: &mut Client, health: &mut HealthClient<tonic::transport::Channel>) {
    for _ in 0..READS / 4 {
        let session_id = "talk".to_owned();
        let get = pb::GetSessionRequest { session_id: session_id.clone() };
        client.memory.get_session(get).await.unwrap();
        let list = pb::ListTurnsRequest { session_id: session_id.clone(), ..Default::default() };
        client.memory.list_turns(list).await.unwrap();
        let query = "Where is it?".to_owned();
        let build = pb::BuildContextRequest { session_id, query, ..Default::default() };
        client.memory.build_context(build).await.unwrap();
        let answer = health.check(of_memory_service()).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_health_do_not_wait_for_a_slow_sync() {
    if !strace::is_there("slow syncs") {
        return;
    }
    for engine in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::new(folder.path(), engine);
        let chance = Chance::new(5);
        let mut talk = Talk::new("talk", "ann");
        let mut server = setup.started().await;
        let first = append(&chance, "It is in the blue box.");
        talk.send(&mut server.client, &first).await.unwrap();
        talk = talk.after(&first);
        server.stop().await;

        let what = format!("delay_enter={SLOW_MICROS}");
        let slow = setup.under("strace", &strace::injecting("fdatasync", None, &what));
        let server = slow.started().await;
        let mut health = health(&server).await;
        let (mut reader, mut writer) = (server.client.clone(), server.client.clone());
        let second = append(&chance, "No, in the red one.");
        tokio::select! {
            answered = talk.send(&mut writer, &second) => panic!("it came first: {answered:?}"),
            () = read(&mut reader, &mut health) => {}
        }
        server.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_ends_the_process_and_loses_nothing() {
    if !strace::is_there("a failed sync") {
        return;
    }
    for engine in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::new(folder.path(), engine);
        let chance = Chance::new(6);
        setup.started().await.stop().await;
        let what = "error=EIO:when=4";
        let failing = setup.under("strace", &strace::injecting("fdatasync", None, what));
        let mut server = failing.started().await;
        let mut states =
            health(&server).await.watch(of_memory_service()).await.unwrap().into_inner();
        let first = states.message().await.unwrap().unwrap();
        assert_eq!(first.status(), ServingStatus::Serving);
        let mut talk = Talk::new("talk", "ann");
        for n in 0..4 {
            let op = append(&chance, &format!("turn {n}"));
            match talk.send(&mut server.client, &op).await {
                Ok(()) => talk = talk.after(&op),
                Err(status) => {
                    assert!(is_cut(&status) || reason_of(&status) == "STORE_FAULT", "{status}");
                    talk.doubt = Some(op);
                    break;
                }
            }
        }
        // Work behind the appends syncs too, so it may be an earlier append than the fourth.
        assert!(talk.doubt.is_some(), "the fourth sync failed");
        let next = states.message().await.unwrap().unwrap();
        assert_eq!(next.status(), ServingStatus::NotServing);
        drop(states);
        let status = tokio::task::spawn_blocking(move || server.process().wait()).await.unwrap();
        assert_eq!(status.code(), Some(1));
        let log = setup.log();
        assert!(log.contains("error: cannot write to the store: "), "{log}");
        assert!(log.contains("os error 5") && !log.contains("panicked"), "{log}");
        let mut server = setup.started().await;
        talk.verify(&mut server.client).await;
        assert!(server.stop().await.success());
    }
}
