//! The index on a Qdrant server: how it fares when the server does not.

mod filter;
mod real;
mod server;
mod service;
mod world;

use keepsake::breaker::BreakerState;
use keepsake::documents::{Candidates, DocumentFilter, Place};
use keepsake::documents::{IndexError, QdrantIndex};

use crate::documents_contract::rig::{Engine, Rig, entry, generation, name, place, same};

pub use real::{Leftovers, prefix, real_qdrant};
pub use server::{Fault, Server};
use world::text_of;

fn home() -> Place {
    place("acme", 1)
}

fn all() -> DocumentFilter {
    DocumentFilter::default()
}

/// A rig on the server of tests with some documents, and the model beside it.
async fn filled() -> (Rig, Rig) {
    filled_on(Engine::Qdrant).await
}

async fn filled_on(engine: Engine) -> (Rig, Rig) {
    let rig = Rig::new(engine).await;
    let model = Rig::new(engine.model()).await;
    for number in 1..=12 {
        put(&[&rig, &model], number).await;
    }
    (rig, model)
}

async fn put(rigs: &[&Rig], number: u64) {
    let texts = [format!("cat number{number}"), format!("a dog of {}", number % 5)];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for rig in rigs {
        rig.put(&home(), entry(&format!("d{number}"), number, 2), &texts).await;
        let vectors = [vec![1.0, number as f32], vec![number as f32, 1.0]];
        rig.set_vectors(&home(), number, 0, &vectors[..1 + number as usize % 2]).await;
    }
}

/// What the record has and the server was not told, because it did not answer.
fn put_in_record(rigs: &[&Rig], number: u64) {
    for rig in rigs {
        let texts = vec![format!("cat number{number}"), "a horse".to_owned()];
        rig.record.put(&home(), entry(&format!("d{number}"), number, 2), texts);
    }
}

async fn try_put(rig: &Rig, number: u64) -> Result<(), IndexError> {
    let texts = vec![format!("cat number{number}"), "a horse".to_owned()];
    rig.index.put(&home(), entry(&format!("d{number}"), number, 2), texts).await
}

async fn answer(rig: &Rig, text: &str) -> Candidates {
    rig.search(&home(), Some(text), Some(&[0.6, 0.8]), &all(), 100).await
}

async fn compare(rig: &Rig, model: &Rig, when: &str) {
    for text in ["cat number7", "dog", "horse number30 3"] {
        let (one, other) = (answer(rig, text).await, answer(model, text).await);
        assert!(!one.lagging, "{when}");
        same(&one, &other, when);
    }
}

fn qdrant(rig: &Rig) -> &QdrantIndex {
    rig.qdrant.as_ref().unwrap()
}

fn server(rig: &Rig) -> &Server {
    rig.server.as_ref().unwrap()
}

/// Brings an index to its record, as often as it takes the breaker to try again.
async fn recover(rig: &Rig) {
    while rig.index.is_behind() {
        if rig.index.reconcile().await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_left_alone_and_told_everything_when_it_is_back() {
    let (rig, model) = filled().await;
    server(&rig).down();
    put_in_record(&[&rig, &model], 30);
    model.index.reconcile().await.unwrap();
    for _ in 0..4 {
        assert!(matches!(try_put(&rig, 30).await, Err(IndexError::Unavailable { .. })));
    }
    rig.record.remove(&home(), generation(3));
    model.remove(&home(), 3).await;
    assert!(rig.index.remove(&home(), generation(3)).await.is_err());
    assert_eq!(qdrant(&rig).figures().breaker, BreakerState::Open);
    assert_eq!(qdrant(&rig).figures().owed, 2);
    assert!(rig.try_search(&home(), Some("cat"), None, &all(), 10).await.is_err());
    server(&rig).up();
    recover(&rig).await;
    assert_eq!(qdrant(&rig).figures().breaker, BreakerState::Closed);
    compare(&rig, &model, "after it came back").await;
}

#[tokio::test]
async fn while_the_breaker_is_open_no_call_is_made() {
    let (rig, _) = filled().await;
    server(&rig).set(Fault::Exhausted(usize::MAX));
    while qdrant(&rig).figures().breaker != BreakerState::Open {
        assert!(try_put(&rig, 40).await.is_err());
    }
    let heard = server(&rig).calls();
    let before = qdrant(&rig).figures().failures;
    assert!(try_put(&rig, 41).await.is_err());
    // The pause may be over by now: then one call tries.
    assert!(server(&rig).calls() <= heard + 1);
    assert!(qdrant(&rig).figures().failures <= before + 1);
}

#[tokio::test]
async fn too_many_calls_for_a_moment_are_made_again() {
    let (rig, model) = filled().await;
    server(&rig).set(Fault::Exhausted(2));
    put(&[&rig, &model], 20).await;
    assert_eq!(server(&rig).fault(), Fault::None);
    compare(&rig, &model, "after a moment").await;
}

#[tokio::test]
async fn a_batch_that_was_half_made_is_made_whole_wherever_it_was_cut() {
    for cut in 0..6 {
        let (rig, model) = filled().await;
        // In place of another content, so that there is something to remove too.
        for both in [&rig, &model] {
            let texts = vec!["the new cat".to_owned()];
            both.record.put(&home(), entry("d4", 104, 1), texts);
        }
        let told = async |rig: &Rig| {
            let texts = vec!["the new cat".to_owned()];
            rig.index.put(&home(), entry("d4", 104, 1), texts).await
        };
        told(&model).await.unwrap();
        // Each attempt is cut: three of ours, each of which the client makes twice.
        server(&rig).set(Fault::Half { changes: cut, calls: 6 });
        assert!(told(&rig).await.is_err());
        assert_eq!(server(&rig).fault(), Fault::None);
        // A start in the middle: nothing but the server knows what was done.
        let rig = rig.start_again().await;
        compare(&rig, &model, &format!("cut after {cut}")).await;
        let world = server(&rig).world();
        let held = world.collections.values().next().unwrap();
        let of_old = |payload| text_of(payload, "document").as_deref() == Some("d4");
        let left = held.points.values().filter(|point| of_old(&point.payload)).count();
        assert_eq!(left, 2, "a chunk and a marker, cut after {cut}");
    }
}

#[tokio::test]
async fn a_start_finds_what_changed_while_the_process_was_gone() {
    for engine in [Engine::Qdrant, Engine::RealQdrant] {
        if engine == Engine::RealQdrant && real_qdrant().is_none() {
            continue;
        }
        let (mut rig, model) = filled_on(engine).await;
        rig.stop();
        put_in_record(&[&rig, &model], 31);
        for both in [&rig, &model] {
            both.record.remove(&home(), generation(5));
            both.record.set_vectors(generation(2), 1, &[vec![0.5, 0.5]]);
            let texts = vec!["cat".to_owned()];
            both.record.put(&place("rival", 2), entry("d1", 105, 1), texts);
        }
        model.index.reconcile().await.unwrap();
        rig.start();
        let before = rig.search(&home(), Some("cat"), None, &all(), 10).await;
        assert!(before.lagging);
        rig.index.reconcile().await.unwrap();
        compare(&rig, &model, "after the start").await;
        let found = rig.words(&place("rival", 2), "cat").await;
        assert_eq!(found, ["d1/0"], "{engine:?}");
    }
}

#[tokio::test]
async fn a_collection_that_was_lost_is_made_anew_from_the_record() {
    let (rig, model) = filled().await;
    server(&rig).world().collections.clear();
    assert!(try_put(&rig, 50).await.is_err());
    put_in_record(&[&rig, &model], 50);
    model.index.reconcile().await.unwrap();
    assert!(rig.index.is_behind());
    rig.index.reconcile().await.unwrap();
    compare(&rig, &model, "after it was lost").await;
    let world = server(&rig).world();
    let held = world.collections.values().next().unwrap();
    assert!(held.fields.iter().any(|field| field == "tenant"), "{:?}", held.fields);
}

#[tokio::test]
async fn points_that_were_lost_are_missed_at_a_start() {
    let (rig, model) = filled().await;
    {
        let mut world = server(&rig).world();
        let held = world.collections.values_mut().next().unwrap();
        let mut kept = 0;
        held.points.retain(|_, point| {
            kept += 1;
            point.payload.contains_key("marker") || kept % 3 != 0
        });
    }
    let rig = rig.start_again().await;
    compare(&rig, &model, "after some were lost").await;
}

#[tokio::test]
async fn a_server_that_is_silent_costs_a_question_no_more_than_its_time() {
    let rig = Rig::set_up(Engine::Qdrant, 1, 2, |options| {
        options.search_max = std::time::Duration::from_millis(200);
    })
    .await;
    rig.put(&home(), entry("d1", 1, 1), &["a cat"]).await;
    server(&rig).set(Fault::Silent);
    // The fourth is not even put.
    for _ in 0..3 {
        assert!(rig.try_search(&home(), Some("cat"), None, &all(), 10).await.is_err());
    }
    assert_eq!(qdrant(&rig).figures().breaker, BreakerState::Open);
    assert!(rig.try_search(&home(), Some("cat"), None, &all(), 10).await.is_err());
    server(&rig).set(Fault::None);
    let found = loop {
        match rig.try_search(&home(), Some("cat"), None, &all(), 10).await {
            Ok(found) => break found.found,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(found.iter().map(name).collect::<Vec<_>>(), ["d1/0"]);
}

#[tokio::test]
async fn a_write_that_is_given_up_in_the_middle_is_owed() {
    let (rig, model) = filled().await;
    server(&rig).set(Fault::Silent);
    put_in_record(&[&rig, &model], 60);
    model.index.reconcile().await.unwrap();
    {
        let mut writing = Box::pin(try_put(&rig, 60));
        let heard = server(&rig).calls();
        while server(&rig).calls() == heard {
            assert!(futures::poll!(&mut writing).is_pending());
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(qdrant(&rig).figures().owed, 1);
    server(&rig).set(Fault::None);
    recover(&rig).await;
    compare(&rig, &model, "after it was given up").await;
}

#[tokio::test]
async fn every_call_names_a_tenant_and_its_collections() {
    let (rig, _) = filled().await;
    answer(&rig, "cat number7").await;
    rig.remove(&home(), 3).await;
    rig.put(&home(), entry("d4", 204, 1), &["another cat"]).await;
    rig.index.remove_collection(&home()).await.unwrap();
    let rig = rig.start_again().await;
    let world = server(&rig).world();
    assert!(world.unscoped.is_empty(), "{:?}", world.unscoped);
}

#[tokio::test]
async fn no_point_holds_a_text() {
    let (rig, _) = filled().await;
    rig.put(&home(), entry("secret", 99, 1), &["zirconquokka"]).await;
    let world = server(&rig).world();
    let points = world.collections.values().flat_map(|held| held.points.values());
    let payloads: Vec<String> = points.map(|point| format!("{:?}", point.payload)).collect();
    assert!(payloads.iter().any(|payload| payload.contains("secret")));
    assert!(!payloads.iter().any(|payload| payload.contains("zirconquokka")));
}

#[tokio::test]
async fn tenants_have_shards_of_their_own_when_that_is_set() {
    let rig = Rig::set_up(Engine::Qdrant, 1, 2, |options| options.shard_per_tenant = true).await;
    rig.put(&home(), entry("d1", 1, 1), &["a cat"]).await;
    rig.put(&place("rival", 2), entry("d2", 2, 1), &["a cat"]).await;
    assert_eq!(rig.words(&home(), "cat").await, ["d1/0"]);
    assert_eq!(rig.words(&place("nobody", 3), "cat").await, [""; 0]);
    let rig = rig.start_again().await;
    assert_eq!(rig.words(&place("rival", 2), "cat").await, ["d2/0"]);
    let world = server(&rig).world();
    assert_eq!(world.collections.values().next().unwrap().shards, ["acme", "rival"]);
}

#[tokio::test]
async fn another_model_has_another_collection_and_an_old_server_is_refused() {
    let rig = Rig::new(Engine::Qdrant).await;
    let first = qdrant(&rig).collection().to_owned();
    let other = Rig::sized(Engine::Qdrant, 3).await;
    let suffix = |name: &str| name.rsplit('-').next().map(str::to_owned);
    assert_ne!(suffix(&first), suffix(qdrant(&other).collection()));
    let mut rig = rig;
    server(&rig).set_version("1.18.2");
    rig.stop();
    rig.start();
    let error = qdrant(&rig).check().await.unwrap_err();
    assert!(matches!(&error, IndexError::Broken { why } if why.contains("1.18.2")), "{error}");
}

#[tokio::test]
async fn a_collection_of_somebody_else_is_refused_by_name() {
    let mut rig = Rig::new(Engine::Qdrant).await;
    let collection = qdrant(&rig).collection().to_owned();
    server(&rig).world().collections.get_mut(&collection).unwrap().made.sparse_vectors_config =
        None;
    rig.stop();
    rig.start();
    let error = qdrant(&rig).check().await.unwrap_err();
    assert!(error.to_string().contains(&collection), "{error}");
}

#[tokio::test]
async fn many_debts_are_paid_whichever_they_are() {
    let (rig, model) = filled().await;
    server(&rig).down();
    for number in 1..=12 {
        rig.record.set_vectors(generation(number), 0, &[vec![1.0, 1.0]]);
        model.set_vectors(&home(), number, 0, &[vec![1.0, 1.0]]).await;
        let one = keepsake::retrieve::TurnVectors::quantise(&[vec![1.0, 1.0]]);
        assert!(rig.index.set_vectors(&home(), generation(number), 0, &one).await.is_err());
    }
    rig.record.remove_collection(&place("acme", 2));
    assert!(rig.index.remove_collection(&place("acme", 2)).await.is_err());
    assert_eq!(qdrant(&rig).figures().owed, 13);
    let lagging = qdrant(&rig).figures();
    assert_eq!(lagging.breaker, BreakerState::Open);
    server(&rig).up();
    recover(&rig).await;
    compare(&rig, &model, "after all were paid").await;
    assert!(answer(&rig, "cat").await.found.iter().all(|found| !name(found).is_empty()));
}
