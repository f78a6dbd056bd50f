//! Summaries of sessions at rest, and of sessions whose turns were erased.

use std::collections::BTreeSet;

use keepsake::record::{SummaryRow, keys};
use keepsake::sessions::{DeleteTurns, Update};
use keepsake::types::Seq;

use super::behind::{filled, head, settle, summaries};
use super::world::{HOUR_MS, World, of_session, of_user, session};

#[tokio::test]
async fn a_session_that_rests_is_summarized_whole_and_one_that_does_not_waits() {
    let mut world = World::embedding().await;
    world.policy.summaries.idle_minutes = Some(60);
    world.keep_policy().await;
    filled(&world, "s", 0, 38).await;
    settle(&world).await;
    world.clock.advance(HOUR_MS - 1);
    filled(&world, "s", 38, 2).await;
    world.clock.advance(HOUR_MS - 1);
    settle(&world).await;
    let life = head(&world, "s").await.incarnation;
    assert_eq!(summaries(&world, life).await, []);
    world.clock.advance(1);
    settle(&world).await;
    let made = summaries(&world, life).await;
    assert_eq!(made.len(), 1);
    assert_eq!((made[0].summary.span.first_seq, made[0].summary.span.last_seq), (Seq(1), Seq(40)));
    let user = world.build(of_user("ann", None, None), "Oslo?").await;
    assert!(format!("{:?}", user.context.messages).contains("w"), "shown to another session");
    assert_eq!(world.store.rows(&keys::jobs_of_tenant(&world.tenant)).await.len(), 0);
}

#[tokio::test]
async fn a_session_at_rest_gets_its_summary_anew_after_an_erased_turn() {
    let mut world = World::embedding().await;
    world.policy.summaries.idle_minutes = Some(60);
    world.keep_policy().await;
    filled(&world, "s", 0, 40).await;
    world.clock.advance(HOUR_MS);
    settle(&world).await;
    let life = head(&world, "s").await.incarnation;
    assert_eq!(summaries(&world, life).await.len(), 1);
    let seqs = BTreeSet::from([Seq(9)]);
    let request = DeleteTurns { session: session("s"), seqs, expected_version: None };
    world.memory.delete_turns(&world.tenant, &request, None).await.unwrap();
    assert_eq!(summaries(&world, life).await, []);
    settle(&world).await;
    let made = summaries(&world, life).await;
    let spans: Vec<_> = made.iter().map(|row| row.summary.span).collect();
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!(
        (spans[0].first_seq, spans[0].last_seq, made[0].summary.turns),
        (Seq(1), Seq(40), 39)
    );
}

#[tokio::test]
async fn summaries_over_an_erased_turn_are_void_at_once_and_made_again_without_it() {
    let mut world = World::embedding().await;
    world.policy.summaries.tail_high_tokens = Some(900);
    world.policy.summaries.tail_low_tokens = Some(100);
    world.keep_policy().await;
    filled(&world, "s", 0, 200).await;
    settle(&world).await;
    let life = head(&world, "s").await.incarnation;
    let before = summaries(&world, life).await;
    let kept = before.iter().flat_map(|row| &row.summary.lines).next();
    let victim = kept.expect("a line of some turn").clone();
    let word = format!("w{}w", victim.seq.0 - 1);
    assert!(victim.text.contains(&word), "{victim:?}");
    let request = DeleteTurns {
        session: session("s"),
        seqs: BTreeSet::from([victim.seq]),
        expected_version: None,
    };
    world.memory.delete_turns(&world.tenant, &request, None).await.unwrap();
    let text = format!("{:?}", summaries(&world, life).await);
    assert!(!text.contains(&word), "void with the deletion");
    settle(&world).await;
    let after = summaries(&world, life).await;
    // The first span begins at the first turn that is left.
    let ends =
        |rows: &[SummaryRow]| rows.iter().map(|row| row.summary.span.last_seq).collect::<Vec<_>>();
    assert_eq!(ends(&after), ends(&before), "the same parts of the conversation");
    assert!(!format!("{after:?}").contains(&word));
    let built = world.build(of_session("s"), "workshops?").await;
    assert!(!format!("{:?}", built.context).contains(&word));
}

#[tokio::test]
async fn a_shorter_rest_is_in_force_within_an_hour() {
    let mut world = World::embedding().await;
    filled(&world, "s", 0, 40).await;
    settle(&world).await;
    world.policy.summaries.idle_minutes = Some(1);
    world.keep_policy().await;
    world.clock.advance(HOUR_MS);
    settle(&world).await;
    let life = head(&world, "s").await.incarnation;
    assert_eq!(summaries(&world, life).await.len(), 1);
}

#[tokio::test]
async fn a_change_of_settings_does_not_wake_a_session_up() {
    let world = World::embedding().await;
    filled(&world, "s", 0, 40).await;
    for _ in 0..6 {
        world.clock.advance(HOUR_MS);
        let change = Update {
            session: session("s"),
            pinned_instructions: Some("Be brief.".into()),
            metadata: None,
            ttl_ms: None,
            kind: None,
        };
        world.memory.update_session(&world.tenant, &change, None).await.unwrap();
        settle(&world).await;
    }
    let life = head(&world, "s").await.incarnation;
    assert_eq!(summaries(&world, life).await.len(), 1);
}

#[tokio::test]
async fn pages_of_summaries_go_on_when_the_one_they_name_was_erased() {
    let mut world = World::embedding().await;
    world.policy.summaries.tail_high_tokens = Some(900);
    world.keep_policy().await;
    filled(&world, "s", 0, 300).await;
    settle(&world).await;
    let page = async |after: Option<&str>| {
        let name = session("s");
        world.memory.list_summaries(&world.tenant, &name, after, 3).await.unwrap()
    };
    let first = page(None).await;
    let last = first.items[2].0.summary.span;
    let seqs = BTreeSet::from([last.last_seq]);
    let request = DeleteTurns { session: session("s"), seqs, expected_version: None };
    world.memory.delete_turns(&world.tenant, &request, None).await.unwrap();
    let next = page(first.last.as_deref()).await;
    assert!(!next.items.is_empty());
    let begins = |at: usize| next.items[at].0.summary.span.first_seq;
    assert!((0..next.items.len()).all(|at| begins(at) >= last.first_seq), "none comes again");
}

#[tokio::test]
async fn a_session_that_ended_and_lives_again_by_a_clock_set_back_has_its_job() {
    let world = World::embedding().await;
    filled(&world, "s", 0, 40).await;
    let ttl_ms = Some(Some(HOUR_MS.unsigned_abs() / 2));
    let change = Update {
        session: session("s"),
        pinned_instructions: None,
        metadata: None,
        ttl_ms,
        kind: None,
    };
    world.memory.update_session(&world.tenant, &change, None).await.unwrap();
    world.clock.advance(7 * HOUR_MS);
    settle(&world).await;
    world.clock.set_back(7 * HOUR_MS);
    let change = Update { ttl_ms: Some(None), ..change };
    world.memory.update_session(&world.tenant, &change, None).await.unwrap();
    world.clock.advance(8 * HOUR_MS);
    settle(&world).await;
    let life = head(&world, "s").await.incarnation;
    assert_eq!(summaries(&world, life).await.len(), 1);
}
