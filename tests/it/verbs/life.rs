//! What time does: sessions end, repeats are forgotten, keys end.

use keepsake::error::Reason;
use keepsake::memory::{NewKey, TurnPage};
use keepsake::record::{Answer, Scopes, SessionKind, keys};
use keepsake::sessions::{Create, Update};
use keepsake::types::{Seq, Timestamp, UserId};

use super::world::{HOUR_MS, START, World, append, of_session, of_user, request_id, session};

const HOUR: Option<u64> = Some(3_600_000);

fn create(name: &str, ttl_ms: Option<u64>) -> Create {
    Create {
        session: session(name),
        user: UserId::parse("ann").ok(),
        pinned_instructions: String::new(),
        metadata: Default::default(),
        ttl_ms,
        kind: SessionKind::Seen,
    }
}

/// A session of one hour with two turns, and one without an end.
async fn world() -> World {
    let world = World::new().await;
    let tenant = &world.tenant;
    world.memory.create_session(tenant, &create("s", HOUR), None).await.unwrap();
    world.append(&append("s", "ann", &["the kestrel nests in the barn", "noted"])).await;
    world.append(&append("other", "ann", &["hello"])).await;
    world
}

/// The rows that know the life of a session: those under it, and those that file it.
async fn traces(world: &World, name: &str) -> usize {
    let heads = world.store.rows(&keys::head(&world.tenant, &session(name))).await.len();
    let ends = world.store.rows(b"e").await.len();
    let purges = world.store.rows(&keys::purges()).await.len();
    let turns = world.store.rows_with("kestrel").await;
    heads + ends + purges + turns
}

#[tokio::test]
async fn a_session_ends_at_its_time_and_not_before() {
    let world = world().await;
    world.build(of_user("ann", None, None), "kestrel?").await;
    world.clock.advance(HOUR_MS - 1);
    assert!(world.memory.get_session(&world.tenant, &session("s")).await.is_ok());
    let before = world.build(of_session("s"), "kestrel?").await;
    assert!(before.session_change.0 > 0);
    world.memory.sweep().await.unwrap();
    assert!(world.memory.get_session(&world.tenant, &session("s")).await.is_ok());
    world.clock.advance(1);
    let failure = world.memory.get_session(&world.tenant, &session("s")).await.unwrap_err();
    assert_eq!(failure.reason(), Reason::SessionNotFound);
    let page = TurnPage {
        session: session("s"),
        after: None,
        size: 10,
        superseded: true,
        newest_first: false,
    };
    let failure = world.memory.list_turns(&world.tenant, &page).await.unwrap_err();
    assert_eq!(failure.reason(), Reason::SessionNotFound);
    let listed = world.memory.list_sessions(&world.tenant, None, None, 10).await.unwrap();
    assert_eq!(listed.items.len(), 1, "only the one without an end");
    assert_eq!(world.build(of_session("s"), "kestrel?").await.session_change.0, 0);
    let built = world.build(of_user("ann", None, None), "kestrel?").await;
    assert_eq!(built.sessions, [session("other")], "no copy in memory outlives its session");
}

#[tokio::test]
async fn an_append_moves_the_end_of_a_session() {
    let world = world().await;
    world.build(of_user("ann", None, None), "kestrel?").await;
    world.clock.advance(HOUR_MS / 2);
    world.append(&append("s", "ann", &["still here"])).await;
    world.clock.advance(HOUR_MS / 2);
    world.memory.sweep().await.unwrap();
    assert!(world.memory.get_session(&world.tenant, &session("s")).await.is_ok());
    let built = world.build(of_user("ann", None, None), "kestrel?").await;
    assert_eq!(built.sessions.len(), 2, "the copy in memory knows the new end");
    world.clock.advance(HOUR_MS / 2);
    assert!(world.memory.get_session(&world.tenant, &session("s")).await.is_err());
    world.memory.sweep().await.unwrap();
    assert_eq!(traces(&world, "s").await, 0);
}

#[tokio::test]
async fn an_append_to_an_ended_session_begins_a_new_life() {
    let world = world().await;
    world.build(of_session("s"), "kestrel?").await;
    world.clock.advance(HOUR_MS);
    let answered = world.append(&append("s", "bob", &["a new day"])).await;
    let Answer::Appended { version, turns, .. } = answered.answer else { panic!("an append") };
    assert_eq!((version.0, turns), (1, vec![(Seq(1), false)]));
    assert_eq!(world.store.rows_with("kestrel").await, 0, "the old life is erased");
    let head = world.memory.get_session(&world.tenant, &session("s")).await.unwrap();
    assert_eq!((head.user, head.ttl_ms), (UserId::parse("bob").ok(), None));
    world.clock.advance(100 * HOUR_MS);
    while world.memory.sweep().await.unwrap() > 0 {}
    assert!(world.memory.get_session(&world.tenant, &session("s")).await.is_ok());
}

#[tokio::test]
async fn the_sweep_erases_every_row_of_an_ended_session() {
    let world = world().await;
    world.clock.advance(HOUR_MS);
    world.memory.sweep().await.unwrap();
    assert_eq!(traces(&world, "s").await, 0);
    let head = world.memory.get_session(&world.tenant, &session("other")).await.unwrap();
    let lives: Vec<_> = world.store.rows(b"i").await;
    let of_other = keys::incarnation(head.incarnation);
    assert!(lives.iter().all(|row| row.key.starts_with(&of_other)), "only the living one's rows");
    assert!(!lives.is_empty());
    assert_eq!(world.memory.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn a_repeat_is_known_for_seventy_two_hours() {
    let world = world().await;
    let id = Some(request_id(1));
    let request = append("s2", "ann", &["once"]);
    world.append_as(&request, id).await.unwrap();
    world.clock.advance(71 * HOUR_MS);
    world.memory.sweep().await.unwrap();
    assert!(world.append_as(&request, id).await.unwrap().replayed);
    world.clock.advance(HOUR_MS);
    world.memory.sweep().await.unwrap();
    assert!(world.append_as(&request, id).await.unwrap().replayed, "72 hours are included");
    world.clock.advance(HOUR_MS);
    world.memory.sweep().await.unwrap();
    assert_eq!(world.store.rows(b"R").await.len(), 0);
    assert_eq!(world.store.rows(b"r").await.len(), 0);
    assert!(!world.append_as(&request, id).await.unwrap().replayed);
}

#[tokio::test]
async fn a_key_ends_at_its_time_and_its_repeat_is_still_answered() {
    let world = world().await;
    let end = Timestamp(START.0 + HOUR_MS);
    let new = NewKey { display_name: "short".into(), scopes: Scopes::READ, expires_at: Some(end) };
    let id = Some((&world.tenant, request_id(2)));
    let created = world.memory.create_key(&world.tenant, &new, id).await.unwrap();
    let secret = created.secret.unwrap();
    world.clock.advance(HOUR_MS - 1);
    assert!(world.memory.authenticate(&secret).await.is_ok());
    world.clock.advance(1);
    let failure = world.memory.authenticate(&secret).await.unwrap_err();
    assert_eq!(failure.reason(), Reason::KeyInvalid);
    let again = world.memory.create_key(&world.tenant, &new, id).await.unwrap();
    assert_eq!((again.replayed, again.secret, again.row), (true, None, created.row));
    let failure = world.memory.create_key(&world.tenant, &new, None).await.unwrap_err();
    assert_eq!(failure.reason(), Reason::InvalidRequest, "a new key must end in the future");
    assert_eq!(failure.violations()[0].field, "expire_time");
}

#[tokio::test]
async fn pinned_instructions_change_with_the_change_number() {
    let world = world().await;
    for text in ["be brief", "be long", ""] {
        let update = Update {
            session: session("s"),
            pinned_instructions: Some(text.into()),
            metadata: None,
            ttl_ms: None,
            kind: None,
        };
        world.memory.update_session(&world.tenant, &update, None).await.unwrap();
        for target in [of_session("s"), of_user("ann", Some("s"), None)] {
            let built = world.build(target, "kestrel?").await;
            let sent = format!("{:?}", built.context.messages);
            assert_eq!(sent.contains("be "), !text.is_empty(), "{sent}");
            assert!(sent.contains(text), "{sent}");
            let head = world.memory.get_session(&world.tenant, &session("s")).await.unwrap();
            assert_eq!(built.session_change, head.change);
        }
    }
}

#[tokio::test]
async fn a_session_belongs_to_its_new_user_only() {
    let world = world().await;
    world.build(of_user("ann", None, None), "kestrel?").await;
    world.memory.delete_session(&world.tenant, &session("s"), None).await.unwrap();
    world.append(&append("s", "bob", &["the heron nests in the reeds"])).await;
    for _ in 0..2 {
        let ann = world.build(of_user("ann", None, None), "kestrel?").await;
        assert_eq!(ann.sessions, [session("other")]);
        let bob = world.build(of_user("bob", None, None), "heron?").await;
        assert_eq!(bob.sessions, [session("s")]);
    }
}
