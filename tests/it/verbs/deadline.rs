//! What is not there in time is left out and said.

use std::time::{Duration, Instant};

use keepsake::context::Context;
use keepsake::memory::{Decided, Degraded};
use keepsake::record::keys;

use super::world::{World, append, of_user, session};

/// A session long enough for a breakpoint, and a second one of the same user.
async fn world() -> World {
    let world = World::new().await;
    let sentences: Vec<String> = (0..120)
        .map(|n| format!("Sentence {n} about the garden, the weather and the {n}th neighbour."))
        .collect();
    let words: Vec<&str> = sentences.iter().map(String::as_str).collect();
    world.append(&append("own", "ann", &words)).await;
    world.append(&append("other", "ann", &["The kestrel nests in the old barn."])).await;
    world
}

/// The bytes up to and with the part of the last breakpoint.
fn prefix(context: &Context) -> String {
    let last = context.breakpoints.last().expect("the session is long enough for one");
    let at = usize::try_from(last.message_index).unwrap();
    let mut prefix = format!("{:?}", &context.messages[..at]);
    let parts = &context.messages[at].parts[..=last.part_index as usize];
    prefix.push_str(&format!("{parts:?}"));
    prefix
}

#[tokio::test]
async fn a_stalled_session_costs_its_turns_and_nothing_else() {
    let world = world().await;
    let query = "Where does the kestrel nest?";
    let whole = world.build(of_user("ann", Some("own"), None), query).await;
    assert_eq!((whole.sessions.len(), whole.degraded.len()), (2, 0));
    let world = world.restarted();
    world.store.stall(keys::head(&world.tenant, &session("other")));
    let begun = Instant::now();
    let deadline = Some(begun + Duration::from_millis(300));
    let built = world.build(of_user("ann", Some("own"), deadline), query).await;
    assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
    assert_eq!(built.degraded, [Degraded::Retrieval]);
    assert_eq!(built.ranked.decision, Decided::TimedOut);
    assert_eq!(built.sessions, [session("own")]);
    assert_eq!(prefix(&built.context), prefix(&whole.context));
    let last = built.context.breakpoints.last().unwrap();
    assert_eq!(Some(last), whole.context.breakpoints.last());
}

#[tokio::test]
async fn sessions_that_are_late_are_told_also_where_nothing_is_retrieved() {
    let mut world = world().await;
    world.policy.retrieval.retrieved_turns_max = 0;
    world.store.stall(keys::head(&world.tenant, &session("other")));
    let deadline = Some(Instant::now() + Duration::from_millis(100));
    let built = world.build(of_user("ann", Some("own"), deadline), "Where?").await;
    assert_eq!(built.sessions, [session("own")]);
    assert_eq!((built.ranked.decision, built.degraded), (Decided::Off, vec![Degraded::Retrieval]));
}

#[tokio::test]
async fn a_user_without_a_session_is_answered_in_time_too() {
    let world = world().await;
    world.store.stall(keys::head(&world.tenant, &session("other")));
    let deadline = Some(Instant::now() + Duration::from_millis(100));
    let built = world.build(of_user("ann", None, deadline), "Where?").await;
    assert_eq!(built.ranked.decision, Decided::TimedOut);
    assert!(built.context.messages.iter().any(|message| !message.parts.is_empty()));
}
