//! Documents, and vectors that another embedder made.

use std::collections::BTreeSet;
use std::sync::Arc;

use keepsake::embed::Hashed;
use keepsake::record::{ChunkVectorsRow, decode};

use super::audit::document;
use super::world::World;

/// Embeds all that waits; gives the embedders of the vectors that there are then.
async fn embedders(world: &World) -> BTreeSet<String> {
    while world.memory.embed_chunks().await.unwrap() {}
    let rows = world.store.rows(b"g").await;
    let vectors = rows.iter().filter(|row| row.key[17] == b'v');
    vectors.map(|row| decode::<ChunkVectorsRow>(&row.value).unwrap().embedder).collect()
}

fn only(embedder: &str) -> BTreeSet<String> {
    [embedder.to_owned()].into()
}

#[tokio::test]
async fn chunks_get_vectors_of_the_embedder_that_there_is_now() {
    let world = World::with_embedder(Arc::new(Hashed::new())).await;
    assert_eq!(world.memory.requeue_documents().await.unwrap(), 0, "there is none");
    document(&world, "one", true).await;
    document(&world, "two", true).await;
    assert_eq!(embedders(&world).await, only("hashed-words-64"));
    let again = world.restarted();
    assert_eq!(again.memory.requeue_documents().await.unwrap(), 0, "it is the same embedder");
    let other = world.restarted_with(Arc::new(Hashed::long()));
    assert_eq!(other.memory.requeue_documents().await.unwrap(), 2);
    assert_eq!(embedders(&other).await, only("hashed-words-384"));
    assert_eq!(other.memory.requeue_documents().await.unwrap(), 0, "once is enough");
}

#[tokio::test]
async fn documents_that_came_while_there_was_no_embedder_get_vectors() {
    let world = World::with_embedder(Arc::new(Hashed::new())).await;
    world.memory.requeue_documents().await.unwrap();
    let without = world.restarted_without();
    without.memory.requeue_documents().await.unwrap();
    document(&without, "one", true).await;
    assert_eq!(embedders(&without).await, BTreeSet::new());
    let world = world.restarted();
    assert_eq!(embedders(&world).await, BTreeSet::new(), "nobody queued it");
    assert_eq!(world.memory.requeue_documents().await.unwrap(), 1);
    assert_eq!(embedders(&world).await, only("hashed-words-64"));
}

#[tokio::test]
async fn a_requeue_that_was_cut_is_done_by_the_next_start() {
    let world = World::with_embedder(Arc::new(Hashed::new())).await;
    world.memory.requeue_documents().await.unwrap();
    document(&world, "one", true).await;
    document(&world, "two", true).await;
    embedders(&world).await;
    let other = world.restarted_with(Arc::new(Hashed::long()));
    other.store.break_after(1);
    other.memory.requeue_documents().await.unwrap_err();
    let other = other.restarted();
    assert_eq!(other.memory.requeue_documents().await.unwrap(), 2);
    assert_eq!(embedders(&other).await, only("hashed-words-384"));
}
