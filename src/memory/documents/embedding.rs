//! Embedding of chunks: behind the acknowledgement, from rows of the same commit.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use crate::catalog::{Spot, plan_vectors};
use crate::chunks::searchable;
use crate::embed::{EmbedError, Embedder, Urgency};
use crate::error::{Failure, Reason};
use crate::memory::{
    Memory, Space,
    documents::{place, record::text_from},
    rows::{revised, unreadable},
};
use crate::record::{
    ChunkRow, ChunkVectorsRow, DocumentRow, PendingDocument, VECTORS_A_ROW, decode,
    document_keys as keys,
};
use crate::retrieve::TurnVectors;
use crate::sessions::{Draft, Revised};
use crate::storage::{Batch, Read, Row};
use crate::telemetry::chunks_embedded;
use crate::types::{CollectionId, Generation, TenantId};

/// Contents that are being embedded now, and where the next look begins.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The key of the last content that was taken: the next one comes after it, so that tenants
    /// and documents take turns.
    last: Vec<u8>,
    taken: BTreeSet<Vec<u8>>,
    /// Up to which chunk a content has all vectors of the embedder of this key; a content that is
    /// not here begins at its first.
    cursors: HashMap<Generation, (String, u32)>,
}

/// A content that was taken; given back when this is dropped.
struct Taken<'a> {
    queue: &'a Queue,
    key: Vec<u8>,
    tenant: TenantId,
    generation: Generation,
    row: PendingDocument,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.queue.state.lock().expect("no holder panics").taken.remove(&self.key);
    }
}

impl Queue {
    fn last(&self) -> Vec<u8> {
        self.state.lock().expect("no holder panics").last.clone()
    }

    pub(super) fn cursor(&self, generation: Generation, embedder: &str) -> u32 {
        let state = self.state.lock().expect("no holder panics");
        let known = state.cursors.get(&generation).filter(|(key, _)| key == embedder);
        known.map_or(0, |(_, next)| *next)
    }

    fn set_cursor(&self, generation: Generation, embedder: &str, next: u32) {
        let mut state = self.state.lock().expect("no holder panics");
        if state.cursors.len() >= CURSORS_MAX {
            state.cursors.clear();
        }
        state.cursors.insert(generation, (embedder.to_owned(), next));
    }

    /// Takes a content, unless somebody has it.
    fn take(&self, row: &Row) -> Result<Option<Taken<'_>>, Failure> {
        let Some((tenant, generation)) = keys::pending_named_by(&row.key) else { return Ok(None) };
        let pending = decode(&row.value).map_err(unreadable)?;
        let mut state = self.state.lock().expect("no holder panics");
        if !state.taken.insert(row.key.to_vec()) {
            return Ok(None);
        }
        state.last = row.key.to_vec();
        let key = row.key.to_vec();
        Ok(Some(Taken { queue: self, key, tenant, generation, row: pending }))
    }
}

/// How many cursors are kept: one that is lost costs another look at the vectors before it.
const CURSORS_MAX: usize = 4_096;
/// How many rows of vectors are looked at, at a time.
const VECTOR_ROWS: usize = 64;
/// How many contents are looked at for one that nobody has.
const LOOK_ROWS: usize = 16;

impl Memory {
    /// Embeds some chunks of a document that waits. `false`: none waits.
    ///
    /// # Errors
    /// What the store refuses; `EMBEDDER_FAILED` when no text can be embedded now.
    pub async fn embed_chunks(&self) -> Result<bool, Failure> {
        if !self.spaces.embeds() {
            return Ok(false);
        }
        let Some(taken) = self.next_content().await? else { return Ok(false) };
        let key = keys::document(taken.row.collection, &taken.row.document);
        let found = self.read(vec![Read::get(key)]).await?;
        let document = revised::<DocumentRow>(&found[0])?;
        let of_this = |document: &Revised<DocumentRow>| document.row.generation == taken.generation;
        let Some(document) = document.filter(of_this) else {
            self.commit_plain(Batch::new().delete(taken.key.clone())).await?;
            return Ok(true);
        };
        let spot = Spot {
            tenant: taken.tenant.clone(),
            // What a collection is called counts nothing here: its life is known.
            collection: CollectionId::parse("any").expect("it is an id"),
            document: taken.row.document.clone(),
        };
        self.embed_of(&spot, &taken.row, &document).await?;
        Ok(true)
    }

    /// Waits until chunks may wait for vectors.
    pub async fn more_chunks(&self) {
        self.library.waiting.notified().await;
    }

    /// The next content that waits and that nobody has, after the one taken last, and around.
    async fn next_content(&self) -> Result<Option<Taken<'_>>, Failure> {
        let queue = &self.library.queue;
        let (start, last) = (keys::all_pending(), queue.last());
        let end = crate::record::keys::after_prefix(&start);
        let mut after = last.clone();
        after.push(0);
        let ranges = [(after, end.clone()), (start, end)];
        for (from, to) in ranges.into_iter().skip(usize::from(last.is_empty())) {
            let rows = self.read(vec![Read::range(from, to).limit(LOOK_ROWS)]).await?.remove(0);
            for row in &rows {
                if let Some(taken) = queue.take(row)? {
                    return Ok(Some(taken));
                }
            }
        }
        Ok(None)
    }

    /// Embeds the next chunks of a document that lack their vectors.
    async fn embed_of(
        &self,
        spot: &Spot,
        pending: &PendingDocument,
        document: &Revised<DocumentRow>,
    ) -> Result<(), Failure> {
        let life = pending.collection;
        let Some(space) = self.spaces.serving() else { return Ok(()) };
        let (generation, key) = (document.row.generation, space.embedder.key());
        let from = self.library.queue.cursor(generation, key);
        let Lacking { first, count, is_last } = self.lacking(&document.row, &space, from).await?;
        self.library.queue.set_cursor(generation, key, first);
        if count == 0 {
            let mut draft = plan_vectors(spot, life, document, None, true);
            self.spaces.expected(&mut draft);
            return self.commit_or_refresh(draft).await.map(|_| ());
        }
        let of = (&spot.tenant, &document.row);
        let row = self.chunk_vectors(&space, of, (first, count)).await?;
        let vectors = Some((space.slot, first, &row));
        let mut draft = plan_vectors(spot, life, document, vectors, is_last);
        self.spaces.expected(&mut draft);
        if !self.commit_or_refresh(draft).await? {
            // The document changed meanwhile: the next look finds out.
            return Ok(());
        }
        chunks_embedded(row.vectors.len());
        if let Some(index) = &self.library.index {
            let place = place(&spot.tenant, life);
            let _held = self.spaces.hold().await;
            if self.spaces.serves(space.embedder.key()) {
                self.noted(index.set_vectors(&place, generation, first, &row.vectors).await);
            }
        }
        Ok(())
    }

    /// Commits a draft that was made for the slots as they are known. `false`: something in it is
    /// not as it was.
    pub(in crate::memory) async fn commit_or_refresh(&self, draft: Draft) -> Result<bool, Failure> {
        if self.commit_draft(draft).await?.is_some() {
            return Ok(true);
        }
        self.refresh_spaces().await?;
        Ok(false)
    }

    /// The row of vectors of `count` chunks of a document from the chunk `first` on.
    pub(in crate::memory) async fn chunk_vectors(
        &self,
        space: &Space,
        (tenant, document): (&TenantId, &DocumentRow),
        (first, count): (u32, u32),
    ) -> Result<ChunkVectorsRow, Failure> {
        let (embedder, urgency) = (&space.embedder, Urgency::Background);
        let texts = self.chunk_texts(document, first, count).await?;
        let vectors = match self.embed_for(embedder, tenant, urgency, texts.clone()).await {
            Ok(vectors) => vectors,
            Err(EmbedError::Failed { .. }) => self.one_by_one(embedder, tenant, texts).await?,
            Err(error) => return Err(embedder_failed(error)),
        };
        let vectors = TurnVectors::quantise(&vectors);
        Ok(ChunkVectorsRow { embedder: space.embedder.key().to_owned(), vectors })
    }

    /// The first chunks from `next` on without a vector of an embedder.
    pub(in crate::memory) async fn lacking(
        &self,
        document: &DocumentRow,
        space: &Space,
        mut next: u32,
    ) -> Result<Lacking, Failure> {
        let (generation, slot) = (document.generation, space.slot);
        let end = crate::record::keys::after_prefix(&keys::vectors(slot, generation));
        loop {
            let rows = Read::range(keys::chunk_vectors(slot, generation, next), end.clone());
            let rows = self.read(vec![rows.limit(VECTOR_ROWS)]).await?.remove(0);
            let mut have = Vec::with_capacity(rows.len());
            for row in &rows {
                let Some(first) = keys::ordinal_of(&row.key) else { continue };
                let row: ChunkVectorsRow = decode(&row.value).map_err(unreadable)?;
                let len = u32::try_from(row.vectors.len()).unwrap_or(u32::MAX);
                have.extend((row.embedder == space.embedder.key()).then_some((first, len)));
            }
            let is_whole = rows.len() < VECTOR_ROWS;
            let reach = match have.last() {
                Some((first, len)) if !is_whole => first + len,
                _ => document.chunks,
            };
            let (first, count, is_last) = first_gap(next, &have, reach);
            if count > 0 || is_whole {
                return Ok(Lacking { first, count, is_last: is_last && is_whole });
            }
            next = reach;
        }
    }

    async fn chunk_texts(
        &self,
        document: &DocumentRow,
        first: u32,
        count: u32,
    ) -> Result<Vec<String>, Failure> {
        let from = keys::chunk(document.generation, first);
        let to = keys::chunk(document.generation, first.saturating_add(count + 2));
        let rows = self.read(vec![Read::range(from, to)]).await?.remove(0);
        let chunk = |row: &Row| decode::<ChunkRow>(&row.value).map_err(unreadable);
        let chunks = rows.iter().map(chunk).collect::<Result<Vec<_>, _>>()?;
        let text = |at: usize| {
            let text = text_from(&chunks[at..]);
            searchable(&document.header.title, &chunks[at].span.heading, &text)
        };
        Ok((0..chunks.len().min(count as usize)).map(text).collect())
    }
}

/// The first chunks of a document without a vector.
pub(in crate::memory) struct Lacking {
    /// The ordinal of the first one.
    pub(in crate::memory) first: u32,
    /// How many follow each other, at most a row of them; 0: all have theirs.
    pub(in crate::memory) count: u32,
    /// Whether there are no others.
    is_last: bool,
}

impl Memory {
    /// Embeds texts of which one at least fails: that one has a vector without direction.
    async fn one_by_one(
        &self,
        embedder: &Arc<dyn Embedder>,
        tenant: &TenantId,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, Failure> {
        let (mut vectors, mut failed) = (Vec::with_capacity(texts.len()), None);
        for text in texts {
            match self.embed_for(embedder, tenant, Urgency::Background, vec![text]).await {
                Ok(made) => vectors.extend(made),
                Err(error) => {
                    vectors.push(vec![0.0; embedder.dimensions()]);
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if vectors.iter().all(|vector| vector.iter().all(|x| *x == 0.0)) => {
                Err(embedder_failed(error))
            }
            Some(error) => {
                tracing::warn!("a chunk cannot be embedded and is found by its words: {error}");
                Ok(vectors)
            }
            None => Ok(vectors),
        }
    }
}

/// The first ordinals from `next` on and below `end` that none of `have` (ordinal and length,
/// ascending) holds, as many as fit one row, and whether there are no others.
fn first_gap(mut next: u32, have: &[(u32, u32)], end: u32) -> (u32, u32, bool) {
    let mut gaps = Vec::new();
    for (first, len) in have.iter().copied().chain([(end, 0)]) {
        if first > next {
            gaps.push((next, first));
        }
        next = next.max(first + len);
    }
    let Some((first, end)) = gaps.first().copied() else { return (next, 0, true) };
    let count = (end - first).min(VECTORS_A_ROW);
    (first, count, gaps.len() == 1 && first + count == end)
}

fn embedder_failed(error: EmbedError) -> Failure {
    Failure::new(Reason::EmbedderFailed, "no text can be embedded now").because(error)
}
