//! A reranker reads again what was found first, as long as there is time; the rest stays as it is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use keepsake::catalog::Spot;
use keepsake::documents::DocumentFilter;
use keepsake::memory::{Degraded, DocumentSearch, Filter, Found, SearchRequest, Target};
use keepsake::record::DocumentHeader;
use keepsake::rerank::Scripted;
use keepsake::types::{Chunking, CollectionId, DocumentId, MediaType};

use super::world::{START, World, append, of_session};
use crate::rerank_contract::scores;

const QUESTION: &str = "Which workshop in Kyoto repairs umbrellas?";
const TURNS: [&str; 8] = [
    "In Kyoto there are umbrellas everywhere, it rained all the week and we got wet.",
    "A workshop in Lisbon repairs clocks.",
    "The workshop in Kyoto repairs umbrellas.",
    "I like the food of Kyoto, the temples of Kyoto, and the gardens there in the autumn.",
    "My umbrellas are broken.",
    "Kyoto has a workshop for paper.",
    "We take the train on Friday.",
    "Nobody repairs anything these days, a workshop is hard to find, umbrellas go to the bin.",
];

async fn filled(world: World) -> World {
    world.append(&append("s", "ann", &TURNS)).await;
    world
}

/// A world with a reranker that reads so many.
async fn reranked(candidates: usize) -> (Arc<Scripted>, World) {
    let scripted = Scripted::new();
    let world = World::new().await.with_reranker(scripted.clone(), candidates);
    (scripted, filled(world).await)
}

fn request(target: Target, top_k: usize) -> SearchRequest {
    SearchRequest {
        target,
        query: QUESTION.to_owned(),
        top_k,
        filter: Filter::default(),
        as_of: Some(START),
        explain: true,
        collections: Vec::new(),
        document_filter: DocumentFilter::default(),
    }
}

async fn search(world: &World, target: Target, top_k: usize) -> Found {
    world.memory.search(&world.tenant, &world.policy, request(target, top_k)).await.unwrap()
}

fn texts(found: &Found) -> Vec<String> {
    found.turns.iter().map(|found| found.turn.searchable_text()).collect()
}

fn ranks(found: &Found) -> Vec<f64> {
    found.turns.iter().map(|found| found.hit.score).collect()
}

/// What is found without a reranker.
async fn plain() -> Found {
    search(&filled(World::new().await).await, of_session("s"), 10).await
}

/// The first `read` texts of an order by their scores, and the rest behind them.
async fn expected(order: &[String], read: usize) -> Vec<String> {
    let scores = scores(Scripted::new().as_ref(), QUESTION, &order[..read]).await;
    let mut places: Vec<usize> = (0..read).collect();
    places.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    places.iter().map(|at| order[*at].clone()).chain(order[read..].iter().cloned()).collect()
}

#[tokio::test]
async fn turns_come_in_its_order_with_the_scores_of_their_places() {
    let plain = plain().await;
    let order = texts(&plain);
    let (_, world) = reranked(24).await;
    let found = search(&world, of_session("s"), 10).await;
    assert_eq!(texts(&found), expected(&order, order.len()).await);
    assert_ne!(texts(&found), order, "it changes something");
    assert_eq!(ranks(&found), ranks(&plain));
    assert_eq!((found.degraded.len(), found.reranker.as_deref()), (0, Some("scripted-words")));
    for (turn, text) in found.turns.iter().zip(texts(&found)) {
        let signal = turn.hit.signals.last().unwrap();
        let score = scores(Scripted::new().as_ref(), QUESTION, &[text]).await[0];
        assert_eq!((signal.name, signal.raw, signal.weight), ("reranker", f64::from(score), 0.0));
    }
    let built = world.build(of_session("s"), QUESTION).await;
    let first = built.ranked.hits[0].seq;
    assert_eq!(
        (first, built.reranker.as_deref()),
        (found.turns[0].hit.seq, Some("scripted-words"))
    );
}

#[tokio::test]
async fn it_reads_no_more_than_its_candidates_and_may_bring_them_among_the_few_that_are_asked() {
    let order = texts(&plain().await);
    let (scripted, world) = reranked(3).await;
    assert_eq!(texts(&search(&world, of_session("s"), 10).await), expected(&order, 3).await);
    assert_eq!(scripted.texts().len(), 3);
    let (_, world) = reranked(24).await;
    let best = expected(&order, order.len()).await;
    assert_eq!(texts(&search(&world, of_session("s"), 1).await), best[..1]);
}

#[tokio::test(start_paused = true)]
async fn past_the_deadline_nothing_is_waited_for_and_what_was_read_counts() {
    let order = texts(&plain().await);
    let (scripted, world) = reranked(24).await;
    scripted.hang_after(3);
    let began = tokio::time::Instant::now();
    let deadline = Some(began.into_std() + Duration::from_millis(400));
    let found = search(&world, Target { deadline, ..of_session("s") }, 10).await;
    assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
    assert_eq!(found.degraded, [Degraded::Rerank]);
    assert_eq!(texts(&found), expected(&order, 3).await);
    assert_eq!(found.reranker.as_deref(), Some("scripted-words"));
    // What was read is known: the next time goes on behind it.
    scripted.mend();
    let found = search(&world, of_session("s"), 10).await;
    assert_eq!(found.degraded, []);
    assert_eq!(texts(&found), expected(&order, order.len()).await);
    assert_eq!(scripted.texts().len(), order.len(), "each was read once");
    // Without a deadline it is not waited for for ever.
    let (scripted, world) = reranked(24).await;
    scripted.hang_after(0);
    let built = world.build(of_session("s"), QUESTION).await;
    assert_eq!((built.degraded, built.reranker), (vec![Degraded::Rerank], None));
}

#[tokio::test]
async fn one_that_fails_changes_nothing() {
    let plain = plain().await;
    let (scripted, world) = reranked(24).await;
    scripted.fail_after(0);
    let found = search(&world, of_session("s"), 10).await;
    assert_eq!((texts(&found), ranks(&found)), (texts(&plain), ranks(&plain)));
    assert_eq!((found.degraded, found.reranker), (vec![Degraded::Rerank], None));
}

#[tokio::test]
async fn the_same_question_is_answered_by_the_same_bytes_and_read_once() {
    let (scripted, world) = reranked(24).await;
    let first = world.build(of_session("s"), QUESTION).await;
    let read = scripted.texts().len();
    scripted.fail_after(0);
    let again = world.build(of_session("s"), QUESTION).await;
    assert_eq!(format!("{:?}", again.context), format!("{:?}", first.context));
    assert_eq!((scripted.texts().len(), again.degraded), (read, Vec::new()));
}

#[tokio::test]
async fn what_asks_nothing_is_not_read() {
    let (scripted, world) = reranked(24).await;
    world.build(of_session("s"), "ok thanks").await;
    world.build(of_session("nobody"), QUESTION).await;
    assert_eq!(scripted.texts(), Vec::<String>::new());
}

async fn put(world: &World, id: &str, text: &str) {
    let spot = Spot {
        tenant: world.tenant.clone(),
        collection: CollectionId::parse("c").unwrap(),
        document: DocumentId::parse(id).unwrap(),
    };
    let header = DocumentHeader {
        title: String::new(),
        media: MediaType::Plain,
        metadata: Default::default(),
        chunking: Chunking::DEFAULT,
        created_at: None,
        bytes: text.len() as u64,
    };
    let mut upload = world.memory.start_upload(spot, &header, None, None).await.unwrap();
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    world.memory.keep_part(&mut upload, 0, bytes).await.unwrap();
    world.memory.finish_upload(&world.policy, &upload).await.unwrap();
}

/// The documents that are found, in their order, and what the answer lacks.
async fn documents(world: &World, most: usize, left: Option<Duration>) -> (String, Vec<Degraded>) {
    let asked = DocumentSearch {
        collections: &[CollectionId::parse("c").unwrap()],
        lenient: false,
        query: QUESTION,
        filter: &DocumentFilter::default(),
        most,
        tokens_enough: None,
        wait: (Duration::ZERO, left),
        hurried: false,
    };
    let found = world.memory.find_documents(&world.tenant, &world.policy, &asked).await.unwrap();
    assert!(found.chunks.is_sorted_by(|a, b| a.score >= b.score));
    let names: Vec<&str> = found.chunks.iter().map(|chunk| chunk.document.as_str()).collect();
    (names.join(" "), found.degraded)
}

#[tokio::test(start_paused = true)]
async fn chunks_of_documents_come_in_its_order_too() {
    let world = World::new().await.with_index().await;
    let kyoto = "Kyoto repairs umbrellas, umbrellas, umbrellas";
    put(&world, "long", &format!("{kyoto}; {}", "and much else happens there. ".repeat(12))).await;
    put(&world, "short", "The workshop in Kyoto repairs umbrellas.").await;
    put(&world, "none", "A workshop is a place where people repair things.").await;
    let (order, _) = documents(&world, 10, None).await;
    let scripted = Scripted::new();
    let world = world.with_reranker(scripted.clone(), 24);
    scripted.hang_after(0);
    let left = Some(Duration::from_millis(100));
    assert_eq!(documents(&world, 10, left).await, (order.clone(), vec![Degraded::Rerank]));
    scripted.fail_after(0);
    assert_eq!(documents(&world, 10, None).await, (order, vec![Degraded::Rerank]));
    scripted.mend();
    assert_eq!(documents(&world, 10, None).await, ("short none long".to_owned(), Vec::new()));
    assert_eq!(documents(&world, 1, None).await, ("short".to_owned(), Vec::new()));
}
