//! The record of documents, as an index is made from it.

use std::sync::Arc;

use async_trait::async_trait;

use crate::catalog::Spot;
use crate::chunks::searchable;
use crate::documents::{DocumentRecord, Entry, IndexError, Place};
use crate::memory::{Memory, Space, Spaces, documents::entry};
use crate::record::{
    ChunkRow, ChunkVectorsRow, CollectionRow, DocumentRow, Slot, decode, document_keys as keys,
};
use crate::retrieve::TurnVectors;
use crate::storage::{Read, Row, Store};
use crate::types::{CollectionId, DocumentId, Generation};

/// How many rows are read at a time.
const PAGE_ROWS: usize = 4_096;

/// The documents of a store; vectors of one embedder only.
pub struct StoreRecord {
    store: Arc<dyn Store>,
    vectors: Vectors,
}

/// Which vectors count.
enum Vectors {
    None,
    /// Those of one embedder, whatever serves.
    Of(Slot, String),
    /// Those of the one that serves now.
    Serving(Arc<Spaces>),
}

impl StoreRecord {
    /// The documents of `store`, with vectors of the embedder of this key in the first slot.
    pub fn new(store: Arc<dyn Store>, embedder: Option<String>) -> Self {
        let vectors = embedder.map_or(Vectors::None, |key| Vectors::Of(Slot::First, key));
        Self { store, vectors }
    }

    /// The same with vectors of one embedder.
    pub fn of(store: Arc<dyn Store>, space: &Space) -> Self {
        let vectors = Vectors::Of(space.slot, space.embedder.key().to_owned());
        Self { store, vectors }
    }

    /// The same with vectors of the embedder that serves whenever they are read.
    pub fn serving(store: Arc<dyn Store>, spaces: Arc<Spaces>) -> Self {
        Self { store, vectors: Vectors::Serving(spaces) }
    }

    async fn read(&self, reads: Vec<Read>) -> Result<Vec<Vec<Row>>, IndexError> {
        self.store.read(reads).await.map_err(record_error)
    }

    /// All rows of a prefix, some at a time.
    async fn all(&self, prefix: Vec<u8>) -> Result<Vec<Row>, IndexError> {
        let to = crate::record::keys::after_prefix(&prefix);
        let (mut from, mut rows) = (prefix, Vec::new());
        loop {
            let page = Read::range(from, to.clone()).limit(PAGE_ROWS);
            let page = self.read(vec![page]).await?.remove(0);
            let is_last = page.len() < PAGE_ROWS;
            rows.extend(page);
            match rows.last() {
                Some(last) if !is_last => {
                    from = last.key.to_vec();
                    from.push(0);
                }
                _ => return Ok(rows),
            }
        }
    }
}

/// What an index hears when the record cannot be read.
pub(super) fn record_error(error: impl std::fmt::Display) -> IndexError {
    IndexError::Record { why: error.to_string() }
}

#[async_trait]
impl DocumentRecord for StoreRecord {
    async fn collections(&self) -> Result<Vec<Place>, IndexError> {
        let rows = self.all(keys::all_collections()).await?;
        let mut places = Vec::with_capacity(rows.len());
        for row in rows {
            let Some((tenant, _)) = keys::collection_named_by(&row.key) else { continue };
            let collection = decode::<CollectionRow>(&row.value).map_err(record_error)?;
            places.push(Place { tenant, collection: collection.incarnation });
        }
        Ok(places)
    }

    async fn documents(&self, place: &Place) -> Result<Vec<Entry>, IndexError> {
        // The name of the collection is part of no entry.
        let collection = CollectionId::parse("any").expect("it is an id");
        let rows = self.all(keys::documents(place.collection)).await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(document) = keys::document_named_by(&row.key) else { continue };
            let spot =
                Spot { tenant: place.tenant.clone(), collection: collection.clone(), document };
            let row = decode::<DocumentRow>(&row.value).map_err(record_error)?;
            entries.push(entry(&spot, &row));
        }
        Ok(entries)
    }

    async fn document(
        &self,
        place: &Place,
        document: &DocumentId,
    ) -> Result<Option<Entry>, IndexError> {
        let key = keys::document(place.collection, document);
        let found = self.read(vec![Read::get(key)]).await?.remove(0);
        let Some(found) = found.first() else { return Ok(None) };
        let row = decode::<DocumentRow>(&found.value).map_err(record_error)?;
        let spot = Spot {
            tenant: place.tenant.clone(),
            // The name of the collection is part of no entry.
            collection: CollectionId::parse("any").expect("it is an id"),
            document: document.clone(),
        };
        Ok(Some(entry(&spot, &row)))
    }

    async fn texts(&self, place: &Place, entry: &Entry) -> Result<Option<Vec<String>>, IndexError> {
        let document = keys::document(place.collection, &entry.document);
        let found = self.read(vec![Read::get(document)]).await?.remove(0);
        let Some(found) = found.first() else { return Ok(None) };
        let row = decode::<DocumentRow>(&found.value).map_err(record_error)?;
        let rows = self.all(keys::chunks(entry.generation)).await?;
        if row.generation != entry.generation || rows.len() != row.chunks as usize {
            return Ok(None);
        }
        let chunk = |row: &Row| decode::<ChunkRow>(&row.value).map_err(record_error);
        let chunks = rows.iter().map(chunk).collect::<Result<Vec<_>, _>>()?;
        let text = |at: usize| {
            let span = &chunks[at].span;
            searchable(&row.header.title, &span.heading, &text_from(&chunks[at..]))
        };
        Ok(Some((0..chunks.len()).map(text).collect()))
    }

    async fn vectors(&self, generation: Generation) -> Result<Vec<(u32, TurnVectors)>, IndexError> {
        let (slot, key) = match &self.vectors {
            Vectors::None => return Ok(Vec::new()),
            Vectors::Of(slot, key) => (*slot, key.clone()),
            Vectors::Serving(spaces) => match spaces.serving() {
                Some(space) => (space.slot, space.embedder.key().to_owned()),
                None => return Ok(Vec::new()),
            },
        };
        vectors_in(&self.all(keys::vectors(slot, generation)).await?, &key)
    }
}

/// The whole text of the first of these chunks: its own and, where it reaches further, that of the
/// chunks after it.
pub(super) fn text_from(chunks: &[ChunkRow]) -> String {
    let Some(first) = chunks.first() else { return String::new() };
    let bytes = (first.span.end - first.span.start) as usize;
    let mut text = String::with_capacity(bytes);
    for chunk in chunks {
        let left = bytes - text.len();
        // Spans end between characters.
        text.push_str(chunk.text.get(..left).unwrap_or(&chunk.text));
        if text.len() >= bytes {
            break;
        }
    }
    text
}

/// The vectors of one embedder in these rows, each batch with the ordinal of its first.
fn vectors_in(rows: &[Row], embedder: &str) -> Result<Vec<(u32, TurnVectors)>, IndexError> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(first) = keys::ordinal_of(&row.key) else { continue };
        let row = decode::<ChunkVectorsRow>(&row.value).map_err(record_error)?;
        if row.embedder == embedder {
            found.push((first, row.vectors));
        }
    }
    Ok(found)
}

impl Memory {
    /// The vectors of a content that one embedder made.
    pub(super) async fn vectors_of_content(
        &self,
        generation: Generation,
        space: &Space,
    ) -> Result<Vec<(u32, TurnVectors)>, IndexError> {
        let all = Read::prefix(keys::vectors(space.slot, generation));
        let rows = self.store.read(vec![all]).await.map_err(record_error)?.remove(0);
        vectors_in(&rows, space.embedder.key())
    }
}
