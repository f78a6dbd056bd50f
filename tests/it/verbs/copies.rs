//! Copies in memory stay true whoever is slow and whatever fails.

use std::collections::BTreeSet;
use std::pin::pin;

use futures::FutureExt as _;
use keepsake::embed::Scripted;
use keepsake::record::keys;
use keepsake::sessions::DeleteTurns;
use keepsake::types::Seq;

use super::behind::{filled, head, settle};
use super::world::{World, append, of_session, of_user, session};

#[tokio::test]
pub async fn a_copy_that_a_slow_reader_puts_back_is_not_taken_for_a_new_one() {
    let world = World::new().await;
    world.append(&append("s", "ann", &["The wombat sleeps.", "So it does."])).await;
    let shown = async || {
        let built = world.build(of_user("ann", None, None), "Which animal sleeps?").await;
        format!("{:?} {:?}", built.context.messages, built.ranked.hits.len())
    };
    assert!(shown().await.contains("wombat"));
    world.append(&append("s", "ann", &["What else?"])).await;
    let turns = keys::turn(head(&world, "s").await.incarnation, Seq(0));
    world.store.hold(turns[..18].to_vec());
    let mut slow = pin!(world.build(of_session("s"), "Which animal sleeps?"));
    assert!(slow.as_mut().now_or_never().is_none(), "it brings its copy up");
    let seqs = BTreeSet::from([Seq(1)]);
    let request = DeleteTurns { session: session("s"), seqs, expected_version: None };
    world.memory.delete_turns(&world.tenant, &request, None).await.unwrap();
    assert!(!shown().await.contains("wombat"));
    world.store.release();
    slow.await;
    assert!(!shown().await.contains("wombat"), "an older copy was put back");
}

#[tokio::test]
pub async fn vectors_that_come_late_change_nothing_of_a_session_that_began_anew() {
    let world = World::embedding().await;
    filled(&world, "s", 0, 2).await;
    let turns = keys::turn(head(&world, "s").await.incarnation, Seq(0));
    world.store.hold(turns[..18].to_vec());
    let mut late = pin!(world.memory.embed_some());
    assert!(late.as_mut().now_or_never().is_none(), "it knows what waits");
    world.memory.delete_session(&world.tenant, &session("s"), None).await.unwrap();
    filled(&world, "s", 2, 2).await;
    world.store.release();
    late.await.unwrap();
    let life = head(&world, "s").await.incarnation;
    assert_eq!(world.memory.pending_vectors(life).await.unwrap().turns, 2);
    settle(&world).await;
    let built = world.build(of_session("s"), "Which workshop went to Kyoto?").await;
    assert_eq!(built.ranked.coverage.map(|c| (c.turns, c.turns_embedded)), Some((2, 2)));
}

#[tokio::test]
pub async fn turns_of_another_model_are_embedded_after_a_failure_too() {
    let world = World::embedding().await;
    filled(&world, "s", 0, 20).await;
    settle(&world).await;
    let world = world.restarted_with(Scripted::new());
    world.build(of_session("s"), "Which workshop went to Kyoto?").await;
    world.store.break_after(0);
    assert!(world.memory.embed_some().await.is_err());
    world.store.mend();
    settle(&world).await;
    let built = world.build(of_session("s"), "Which workshop went to Kyoto?").await;
    assert_eq!(built.degraded, []);
}
