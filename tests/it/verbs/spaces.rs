//! One embedder takes over from another: both are kept up to date, one serves, either way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use keepsake::documents::DocumentFilter;
use keepsake::embed::{Embedder, Hashed, Scripted};
use keepsake::error::Reason;
use keepsake::memory::{Degraded, DocumentSearch, Filled, FoundDocuments, Preparing};
use keepsake::record::{ChunkVectorsRow, Slot, VectorRow, decode, keys};
use keepsake::retrieve::PIECES_VERSION;
use keepsake::sessions::DeleteTurns;
use keepsake::types::{CollectionId, RetrievalMode, Seq};

use super::audit::document;
use super::behind::{filled, head, settle};
use super::world::{World, of_session, session};

const OLD: &str = "scripted-words-64";
const NEW: &str = "hashed-words-384";

/// A world with an old embedder, 30 turns and two documents, all embedded by it.
async fn world() -> (World, Arc<Scripted>) {
    let old = Scripted::new();
    let world = World::with_embedder(old.clone()).await;
    filled(&world, "s", 0, 30).await;
    document(&world, "one", true).await;
    document(&world, "two", true).await;
    rest(&world).await;
    (world, old)
}

/// Does all that is behind the appends, for the embedder that serves.
async fn rest(world: &World) {
    settle(world).await;
    world.memory.requeue_documents().await.unwrap();
    while world.memory.embed_chunks().await.unwrap() {}
}

async fn between(world: &World, old: &Arc<Scripted>, new: Arc<dyn Embedder>) -> World {
    let world = world.restarted_between(old.clone(), new).await;
    world.memory.reconcile_documents().await.unwrap();
    world
}

async fn fill(world: &World) {
    while world.memory.fill_some().await.unwrap() == Filled::Some {}
}

/// The keys of the embedders of the vectors in a slot, and how many turns and chunks have them.
async fn in_slot(world: &World, slot: Slot) -> (BTreeSet<String>, usize, usize) {
    let letter = if slot == Slot::First { b'v' } else { b'y' };
    let mut found = (BTreeSet::new(), 0, 0);
    for row in world.store.rows(b"").await {
        match (row.key.first(), row.key.get(17)) {
            (Some(b'i'), Some(part)) if *part == letter => {
                found.0.insert(decode::<VectorRow>(&row.value).unwrap().embedder);
                found.1 += 1;
            }
            (Some(b'g'), Some(part)) if *part == letter => {
                let row = decode::<ChunkVectorsRow>(&row.value).unwrap();
                found.2 += row.vectors.len();
                found.0.insert(row.embedder);
            }
            _ => {}
        }
    }
    found
}

fn only(key: &str, turns: usize, chunks: usize) -> (BTreeSet<String>, usize, usize) {
    ([key.to_owned()].into(), turns, chunks)
}

/// The embedder whose vectors took part in an answer by meaning.
async fn asked(world: &World) -> (Option<String>, Vec<Degraded>) {
    let built = world.build(of_session("s"), "Which workshop went to Kyoto?").await;
    (built.ranked.embedder.map(|key| key.to_string()), built.degraded)
}

async fn find(world: &World) -> FoundDocuments {
    let mut policy = world.policy.clone();
    policy.retrieval_mode = RetrievalMode::Vectors;
    let asked = DocumentSearch {
        query: "umbrellas of Kyoto",
        collections: &[CollectionId::parse("c").unwrap()],
        lenient: false,
        filter: &DocumentFilter::default(),
        most: 10,
        tokens_enough: None,
        wait: (Duration::from_secs(1), None),
        hurried: false,
    };
    world.memory.find_documents(&world.tenant, &policy, &asked).await.unwrap()
}

fn ready(world: &World) -> (String, String, bool) {
    let Preparing { serving, beside, ready, .. } = world.memory.preparing();
    (serving, beside, ready)
}

#[tokio::test]
async fn the_next_embedder_is_prepared_while_the_old_one_serves_and_then_takes_over() {
    let (before, old) = world().await;
    let world = between(&before, &old, Arc::new(Hashed::long())).await;
    assert_eq!(ready(&world), (OLD.into(), NEW.into(), false));
    let refused = world.memory.switch_embedder(NEW, false).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::EmbedderNotReady);
    let embedded = old.texts().len();
    fill(&world).await;
    let now = world.memory.preparing();
    assert!(now.ready, "{now:?}");
    assert_eq!((now.turns_done, now.turns, now.chunks_done, now.chunks), (30, 30, 2, 2));
    assert_eq!(in_slot(&world, Slot::First).await, only(OLD, 30, 2));
    assert_eq!(in_slot(&world, Slot::Second).await, only(NEW, 30, 2));
    assert_eq!(asked(&world).await, (Some(OLD.into()), vec![]));
    world.memory.switch_embedder(NEW, false).await.unwrap();
    assert_eq!(ready(&world), (NEW.into(), OLD.into(), false));
    assert_eq!(asked(&world).await, (Some(NEW.into()), vec![]));
    rest(&world).await;
    world.memory.reconcile_documents().await.unwrap();
    let found = find(&world).await;
    assert_eq!((found.chunks.len(), found.degraded), (2, vec![]));
    assert_eq!(found.coverage.map(|c| (c.turns, c.turns_embedded)), Some((2, 2)));
    fill(&world).await;
    assert!(world.memory.preparing().ready, "the old one has all its vectors still");
    let questions = old.texts().len() - embedded;
    assert_eq!(questions, 1, "the old one embedded the one question that came before the switch");
}

#[tokio::test]
async fn what_comes_between_gets_vectors_of_both_and_a_second_switch_goes_back() {
    let (before, old) = world().await;
    let world = between(&before, &old, Arc::new(Hashed::long())).await;
    fill(&world).await;
    filled(&world, "s", 30, 4).await;
    document(&world, "three", true).await;
    assert!(!world.memory.preparing().ready, "something came");
    rest(&world).await;
    fill(&world).await;
    assert!(world.memory.preparing().ready);
    assert_eq!(in_slot(&world, Slot::First).await, only(OLD, 34, 3));
    assert_eq!(in_slot(&world, Slot::Second).await, only(NEW, 34, 3));
    world.memory.switch_embedder(NEW, false).await.unwrap();
    filled(&world, "s", 34, 2).await;
    rest(&world).await;
    fill(&world).await;
    world.memory.switch_embedder(OLD, false).await.unwrap();
    world.memory.reconcile_documents().await.unwrap();
    assert_eq!(asked(&world).await, (Some(OLD.into()), vec![]));
    assert_eq!(in_slot(&world, Slot::First).await, only(OLD, 36, 3));
    assert_eq!(in_slot(&world, Slot::Second).await, only(NEW, 36, 3));
    assert_eq!(find(&world).await.chunks.len(), 3);
}

#[tokio::test]
async fn a_question_during_the_switch_compares_vectors_of_one_embedder_or_goes_by_words() {
    let (before, old) = world().await;
    let world = between(&before, &old, Arc::new(Hashed::long())).await;
    fill(&world).await;
    old.hang();
    let switch = async {
        tokio::task::yield_now().await;
        world.memory.switch_embedder(NEW, false).await.unwrap();
        old.mend();
    };
    let (turns, found, ()) = tokio::join!(asked(&world), find(&world), switch);
    // A copy of the session was loaded before the switch or after it, and so was the question's
    // vector made.
    let lacks = if turns.0.is_some() { vec![] } else { vec![Degraded::Vector] };
    assert_eq!(turns.1, lacks);
    assert_eq!(found.degraded, vec![Degraded::Vector, Degraded::IndexLag]);
    assert_eq!(asked(&world).await, (Some(NEW.into()), vec![]));
}

#[tokio::test]
async fn a_forced_switch_says_what_it_lacks_until_it_is_made() {
    let (before, old) = world().await;
    let world = between(&before, &old, Arc::new(Hashed::long())).await;
    world.memory.switch_embedder(NEW, true).await.unwrap();
    let (embedder, degraded) = asked(&world).await;
    assert_eq!((embedder.as_deref(), degraded), (Some(NEW), vec![Degraded::VectorsPending]));
    rest(&world).await;
    assert_eq!(asked(&world).await, (Some(NEW.into()), vec![]));
    assert_eq!(in_slot(&world, Slot::Second).await, only(NEW, 30, 2));
}

#[tokio::test]
async fn an_embedder_that_is_named_no_more_leaves_nothing() {
    let (before, old) = world().await;
    let world = between(&before, &old, Arc::new(Hashed::long())).await;
    fill(&world).await;
    world.memory.switch_embedder(NEW, false).await.unwrap();
    let alone = world.restarted_alone(Arc::new(Hashed::long())).await;
    assert!(alone.memory.preparing().clearing);
    fill(&alone).await;
    assert!(!alone.memory.preparing().clearing);
    assert_eq!(in_slot(&alone, Slot::First).await, (BTreeSet::new(), 0, 0));
    assert_eq!(in_slot(&alone, Slot::Second).await, only(NEW, 30, 2));
    assert_eq!(asked(&alone).await, (Some(NEW.into()), vec![]));
    let unknown = alone.memory.switch_embedder(OLD, true).await.unwrap_err();
    assert_eq!(unknown.reason(), Reason::EmbedderUnknown);
}

#[tokio::test]
async fn one_that_fails_holds_nothing_up_and_goes_on_where_it_was() {
    let (before, old) = world().await;
    let world = between(&before, &old, Arc::new(Hashed::long())).await;
    fill(&world).await;
    world.memory.switch_embedder(NEW, false).await.unwrap();
    old.fail();
    filled(&world, "s", 30, 3).await;
    settle(&world).await;
    while let Ok(Filled::Some) = world.memory.fill_some().await {}
    let held = world.memory.preparing();
    assert!(!held.ready && !held.held_by.is_empty(), "{held:?}");
    assert_eq!(asked(&world).await, (Some(NEW.into()), vec![]), "the one that serves has all");
    old.mend();
    fill(&world).await;
    let mended = world.memory.preparing();
    assert!(mended.ready && mended.held_by.is_empty(), "{mended:?}");
}

#[tokio::test]
async fn a_pass_that_is_cut_anywhere_is_ended_by_the_next_start_and_pays_no_turn_twice() {
    for cut in 0..8 {
        let world = World::embedding().await;
        filled(&world, "s", 0, 40).await;
        document(&world, "one", true).await;
        rest(&world).await;
        let new = Scripted::new();
        let hashed: Arc<dyn Embedder> = Arc::new(Hashed::new());
        let first = world.restarted_between(hashed.clone(), new.clone()).await;
        first.store.break_after(cut);
        while let Ok(Filled::Some) = first.memory.fill_some().await {}
        let texts = new.texts().len();
        let stored = in_slot(&first, Slot::Second).await;
        let again = world.restarted_between(hashed, new.clone()).await;
        fill(&again).await;
        assert!(again.memory.preparing().ready, "cut at {cut}");
        assert_eq!(in_slot(&again, Slot::Second).await, only(OLD, 40, 1), "cut at {cut}");
        let more = new.texts().len() - texts;
        assert!(more <= 41 - stored.1 - stored.2, "cut at {cut}: {more} texts, {stored:?}");
    }
}

#[tokio::test]
async fn what_is_deleted_is_gone_from_both_slots() {
    let (before, old) = world().await;
    let world = between(&before, &old, Arc::new(Hashed::long())).await;
    fill(&world).await;
    let delete =
        DeleteTurns { session: session("s"), seqs: [Seq(5)].into(), expected_version: None };
    world.memory.delete_turns(&world.tenant, &delete, None).await.unwrap();
    let life = head(&world, "s").await.incarnation;
    for slot in Slot::ALL {
        let rows = world.store.rows(&keys::vectors(slot, life, Seq(5))).await;
        assert!(rows.is_empty(), "{slot:?}");
        let row = world.store.rows(&keys::vectors(slot, life, Seq(6))).await.remove(0);
        assert_eq!(decode::<VectorRow>(&row.value).unwrap().pieces_version, PIECES_VERSION);
    }
}
