//! Erased is gone, also when the process stops in the middle.

use std::sync::Arc;

use futures::FutureExt as _;
use keepsake::error::Reason;
use keepsake::record::keys;
use keepsake::sessions::DeleteTurns;
use keepsake::storage::StoreError;
use keepsake::types::{Part, Role, Seq};

use super::world::{World, append, of_session, request_id, said, session};

const SECRET: &str = "swordfish";

/// A session of `turns` turns that each hold the secret, of which two are superseded.
async fn world(turns: usize) -> World {
    let world = World::new().await;
    let mut request = append("s", "ann", &[]);
    for n in 0..turns {
        let mut turn = said(Role::User, &format!("{SECRET} {n}"));
        turn.name = SECRET.to_owned();
        turn.metadata.insert("label".into(), SECRET.into());
        turn.external_id = format!("x{n}");
        request.turns.push(turn);
    }
    world.append_as(&request, Some(request_id(1))).await.unwrap();
    request.turns = vec![said(Role::Assistant, SECRET)];
    request.replace_from = Some(Seq(turns as u64 - 1));
    world.append(&request).await;
    world
}

async fn fork(world: &World) -> Result<bool, Reason> {
    let (source, new, id) = (session("s"), session("f"), Some(request_id(2)));
    let forked =
        world.memory.fork_session(&world.tenant, &source, None, &new, &world.policy, id).await;
    forked.map(|answered| answered.replayed).map_err(|failure| failure.reason())
}

#[tokio::test]
async fn no_byte_of_an_erased_turn_is_left() {
    let world = world(5).await;
    assert!(world.store.rows_with(SECRET).await > 0);
    world.build(of_session("s"), "hello?").await;
    let request = DeleteTurns {
        session: session("s"),
        seqs: (1..=6).map(Seq).collect(),
        expected_version: None,
    };
    world.memory.delete_turns(&world.tenant, &request, Some(request_id(3))).await.unwrap();
    assert_eq!(world.store.rows_with(SECRET).await, 0);
    let head = world.memory.get_session(&world.tenant, &session("s")).await.unwrap();
    assert_eq!((head.turns_living, head.turns_stored, head.last_seq), (0, 0, Seq(6)));
    let built = world.build(of_session("s"), "hello?").await;
    assert!(!format!("{:?}", built.context).contains(SECRET), "no copy in memory either");
}

#[tokio::test]
async fn no_byte_of_a_deleted_session_is_left() {
    let world = world(5).await;
    world.memory.delete_session(&world.tenant, &session("s"), None).await.unwrap();
    assert_eq!(world.store.rows_with(SECRET).await, 0);
    assert_eq!(world.store.rows(b"i").await.len(), 0);
    assert_eq!(world.store.rows(&keys::purges()).await.len(), 0);
}

#[tokio::test]
async fn a_deletion_cut_short_is_finished_at_the_next_start() {
    // More rows than one purge commit takes, so that it is cut in its middle as well.
    for commits in 0..4 {
        let world = world(900).await;
        world.store.break_after(commits);
        let deleted =
            world.memory.delete_session(&world.tenant, &session("s"), Some(request_id(4))).await;
        assert_eq!(deleted.is_ok(), commits == 3, "{commits}");
        let world = world.restarted();
        world.memory.resume_purges().await.unwrap();
        let left = world.store.rows_with(SECRET).await;
        let alive = world.memory.get_session(&world.tenant, &session("s")).await.is_ok();
        assert_eq!((alive, left > 0), (commits == 0, commits == 0), "{commits}");
        assert_eq!(world.store.rows(&keys::purges()).await.len(), 0);
        let again = world
            .memory
            .delete_session(&world.tenant, &session("s"), Some(request_id(4)))
            .await
            .unwrap();
        assert_eq!(again.replayed, commits > 0, "{commits}");
        assert_eq!(world.store.rows_with(SECRET).await, 0);
    }
}

#[tokio::test]
async fn a_deletion_whose_purge_failed_is_finished_by_the_sweep() {
    let world = world(5).await;
    world.store.break_after(1);
    let deleted = world.memory.delete_session(&world.tenant, &session("s"), None).await;
    assert!(deleted.is_err());
    world.store.mend();
    world.memory.sweep().await.unwrap();
    assert_eq!(world.store.rows_with(SECRET).await, 0);
    assert_eq!(world.store.rows(b"i").await.len(), 0);
}

#[tokio::test]
async fn a_fork_cut_short_leaves_nothing() {
    for commits in 0..5 {
        let world = world(600).await;
        let rows = world.store.rows(b"").await.len();
        world.store.break_after(commits);
        let forked = fork(&world).await;
        // Three commits of copies, one that makes them a session.
        assert_eq!(forked.is_ok(), commits == 4, "{commits}");
        let world = world.restarted();
        world.memory.resume_purges().await.unwrap();
        let found = world.memory.get_session(&world.tenant, &session("f")).await.is_ok();
        assert_eq!(found, commits == 4, "{commits}");
        if commits < 4 {
            assert_eq!(world.store.rows(b"").await.len(), rows, "{commits}");
        }
        assert_eq!(fork(&world).await, Ok(commits == 4), "{commits}");
    }
}

#[tokio::test]
async fn a_fork_whose_caller_has_gone_leaves_nothing_after_a_sweep() {
    let world = world(5).await;
    let (rows, secrets) = (world.store.rows(b"").await.len(), world.store.rows_with(SECRET).await);
    // The fork waits here, its copies made.
    let user = keepsake::types::UserId::parse("ann").unwrap();
    world.store.stall(keys::user(&world.tenant, &user));
    assert_eq!(fork(&world).now_or_never(), None);
    assert!(world.store.rows_with(SECRET).await > secrets, "the copies are there");
    assert_eq!(world.store.rows(&keys::purges()).await.len(), 1);
    world.memory.sweep().await.unwrap();
    assert_eq!(world.store.rows(b"").await.len(), rows);
}

#[tokio::test]
async fn a_sweep_leaves_a_fork_alone_that_is_under_way() {
    let world = world(5).await;
    let user = keepsake::types::UserId::parse("ann").unwrap();
    world.store.stall(keys::user(&world.tenant, &user));
    let mut forking = std::pin::pin!(fork(&world));
    assert_eq!(forking.as_mut().now_or_never(), None);
    world.memory.sweep().await.unwrap();
    assert_eq!(world.store.rows(&keys::purges()).await.len(), 1);
}

#[tokio::test]
async fn a_fork_that_lost_a_race_leaves_no_copies() {
    let world = world(5).await;
    let calls = (0..8).map(|_| fork(&world));
    let forked = futures::future::join_all(calls).await;
    assert_eq!(forked.iter().filter(|forked| **forked == Ok(false)).count(), 1);
    assert!(forked.iter().all(Result::is_ok), "{forked:?}");
    let heads = ["s", "f"].map(|name| keys::head(&world.tenant, &session(name)));
    let mut lives = Vec::new();
    for head in heads {
        let row = world.store.rows(&head).await.remove(0);
        let head: keepsake::record::Head = keepsake::record::decode(&row.value).unwrap();
        lives.push(keys::incarnation(head.incarnation));
    }
    let stray = world.store.rows(b"i").await;
    let stray = stray.iter().filter(|row| !lives.iter().any(|life| row.key.starts_with(life)));
    assert_eq!(stray.count(), 0);
    assert_eq!(world.store.rows(&keys::purges()).await.len(), 0);
}

#[tokio::test]
async fn a_store_that_cannot_is_told_with_what_to_do() {
    let source: Arc<dyn std::error::Error + Send + Sync> = Arc::new(std::fmt::Error);
    let overloaded = StoreError::Overloaded { commits: 9, bytes: 9 };
    let fault = StoreError::Fault { attempt: "write", source: source.clone() };
    for (error, reason, retried, quota) in [
        (overloaded, Reason::Overloaded, true, Some("writes")),
        (StoreError::Full { source }, Reason::DiskFull, true, Some("disk")),
        (StoreError::Closed, Reason::ShuttingDown, true, None),
        (StoreError::BatchTooLarge { bytes: 9 }, Reason::WriteTooLarge, false, None),
        (fault, Reason::StoreFault, false, None),
    ] {
        let world = World::new().await;
        world.store.fail_with(error);
        world.store.break_after(0);
        let failure = world.append_as(&append("s", "ann", &["hello"]), None).await.unwrap_err();
        assert_eq!(failure.reason(), reason);
        assert_eq!(failure.retry_hint().is_some(), retried, "{reason:?}");
        assert_eq!(failure.quota_subject(), quota, "{reason:?}");
        assert!(!failure.to_string().contains("hello"), "no content of turns");
    }
}

#[tokio::test]
async fn a_session_of_large_turns_can_be_forked() {
    let world = World::new().await;
    let large =
        Part::Opaque { provider: "tests".into(), json: format!("\"{}\"", "a".repeat(1 << 20)) };
    for _ in 0..24 {
        let mut request = append("s", "ann", &["large"]);
        request.turns[0].parts.extend([large.clone(), large.clone(), large.clone()]);
        world.append(&request).await;
    }
    assert_eq!(fork(&world).await, Ok(false));
    let head = world.memory.get_session(&world.tenant, &session("f")).await.unwrap();
    assert_eq!(head.turns_stored, 24);
}
