//! What was embedded is not embedded again while it is known, and no longer than what it is of.

use std::sync::Arc;
use std::time::Duration;

use keepsake::embed::{Scripted, Urgency};
use keepsake::memory::{Degraded, Target};
use keepsake::sessions::DeleteTurns;
use keepsake::types::Seq;

use super::behind::{filled, settle};
use super::world::{World, append, of_session, session};
use crate::embed_contract::Apart;

const QUESTION: &str = "Which workshop went to Kyoto?";

async fn asked_of() -> (Arc<Scripted>, World) {
    let scripted = Scripted::new();
    let world = World::with_embedder(scripted.clone()).await;
    filled(&world, "s", 0, 30).await;
    settle(&world).await;
    (scripted, world)
}

/// How often the question was embedded.
fn times(scripted: &Scripted) -> usize {
    scripted.texts().iter().filter(|text| text.contains(QUESTION)).count()
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_question_of_another_has_it_embedded_when_that_one_gives_up() {
    let (scripted, world) = asked_of().await;
    scripted.hang();
    let hasty = Target { hurried: true, ..of_session("s") };
    let mended = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        scripted.mend();
    };
    let (hasty, patient, ()) =
        tokio::join!(world.build(hasty, QUESTION), world.build(of_session("s"), QUESTION), mended);
    assert_eq!(hasty.degraded, [Degraded::Vector]);
    assert_eq!(patient.degraded, []);
    assert_eq!(times(&scripted), 1);
    // It is known now.
    scripted.fail();
    assert_eq!(world.build(of_session("s"), QUESTION).await.degraded, []);
}

#[tokio::test]
async fn a_question_in_the_words_of_a_turn_is_embedded_as_a_question_where_that_matters() {
    let apart = Arc::new(Apart::default());
    let world = World::with_embedder(apart.clone()).await;
    world.append(&append("s", "ann", &[QUESTION, "The one of March."])).await;
    settle(&world).await;
    let as_what = |wanted: Urgency| {
        let texts = apart.texts.lock().unwrap();
        texts.iter().filter(|(urgency, text)| *urgency == wanted && text == QUESTION).count()
    };
    assert_eq!((as_what(Urgency::Background), as_what(Urgency::Query)), (1, 0));
    for _ in 0..2 {
        world.build(of_session("s"), QUESTION).await;
    }
    assert_eq!((as_what(Urgency::Background), as_what(Urgency::Query)), (1, 1));
}

#[tokio::test]
async fn without_files_what_is_known_is_forgotten_soon_after_a_deletion() {
    let (scripted, world) = asked_of().await;
    for _ in 0..2 {
        world.build(of_session("s"), QUESTION).await;
        world.memory.sweep().await.unwrap();
    }
    assert_eq!(times(&scripted), 1);
    let seqs = [Seq(1)].into_iter().collect();
    let delete = DeleteTurns { session: session("s"), seqs, expected_version: None };
    world.memory.delete_turns(&world.tenant, &delete, None).await.unwrap();
    world.memory.sweep().await.unwrap();
    world.build(of_session("s"), QUESTION).await;
    assert_eq!(times(&scripted), 2);
}
