//! The index: what it knows, what it owes the server, and how it tells it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qdrant_client::qdrant::{
    GetPoints, PointId, PointsSelector, Value, VectorsSelector, vector_output::Vector,
    with_vectors_selector::SelectorOptions,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::documents::{
    DocumentRecord, Entry, IndexError, Place, digest,
    qdrant::{
        QdrantOptions,
        books::{Content, Shared},
        changes::{Changes, the_point},
        connection::{Connection, Refused},
        debts::{Debt, Debts},
        filters::{self, Kind},
        points::{self, MEANING, Marker},
        schema::Schema,
    },
};
use crate::pool::{Pool, compute};
use crate::retrieve::{ChunkTerms, Language, TurnVectors, chunks_terms};
use crate::types::{DocumentId, Generation, TenantId};

/// Documents share so many locks; two that share one wait for each other.
const LOCKS: usize = 64;
/// Texts of fewer bytes than this are analysed where they come in.
const HANDED_BYTES_MIN: usize = 16 * 1024;

/// An index.
pub(super) struct State {
    pub(super) connection: Connection,
    pub(super) schema: Schema,
    pub(super) record: Arc<dyn DocumentRecord>,
    pool: Arc<dyn Pool>,
    pub(super) books: Shared,
    debts: Mutex<Debts>,
    /// One document is written at a time.
    locks: Vec<tokio::sync::Mutex<()>>,
    /// Held by the one who compares with the record.
    pub(super) reconciling: tokio::sync::Mutex<()>,
    /// Whether everything was compared once, so that what the books lack is not there.
    pub(super) compared: AtomicBool,
}

/// Something that is being told to the server. Unless that comes to a good end, it is owed: also
/// when the call that told it is given up in the middle.
pub(super) struct Telling<'a> {
    state: &'a State,
    /// None: everything.
    debt: Option<Debt>,
    told: bool,
    /// Whether it was owed before, and taken.
    taken: bool,
}

impl Telling<'_> {
    /// It came to its end.
    pub(super) fn end<T>(mut self, told: Result<T, Refused>) -> Result<T, IndexError> {
        match told {
            Ok(answer) => {
                self.told = true;
                Ok(answer)
            }
            Err(refused) => {
                self.state.look_at(&refused);
                Err(refused.into())
            }
        }
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if !self.told {
            let mut debts = self.state.debts();
            match self.debt.take() {
                Some(debt) => debts.owe(debt),
                None => debts.owe_everything(),
            }
        }
        if self.taken {
            self.state.debts().settle();
        }
    }
}

impl State {
    pub(super) fn new(
        options: QdrantOptions,
        record: Arc<dyn DocumentRecord>,
        pool: Arc<dyn Pool>,
    ) -> Result<Self, IndexError> {
        let key = options.api_key.as_deref();
        let connection = Connection::new(&options.url, key, options.search_max)?;
        Ok(Self {
            connection,
            schema: Schema::new(options),
            record,
            pool,
            books: Shared::default(),
            debts: Mutex::new(Debts::new()),
            locks: (0..LOCKS).map(|_| tokio::sync::Mutex::default()).collect(),
            reconciling: tokio::sync::Mutex::default(),
            compared: AtomicBool::new(false),
        })
    }

    /// What the server was not told yet.
    pub(super) fn debts(&self) -> MutexGuard<'_, Debts> {
        self.debts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to tell something; see [`Telling`].
    pub(super) fn telling(&self, debt: Option<Debt>) -> Telling<'_> {
        Telling { state: self, debt, told: false, taken: false }
    }

    /// The same of what was owed and is taken now.
    pub(super) fn paying(&self, debt: Option<Debt>) -> Telling<'_> {
        Telling { state: self, debt, told: false, taken: true }
    }

    /// A collection that is gone has to be made again, with all that was in it.
    pub(super) fn look_at(&self, refused: &Refused) {
        if matches!(refused, Refused::NoCollection) {
            self.schema.lost();
            self.debts().owe_everything();
        }
    }

    /// The turn of a document.
    pub(super) async fn turn(
        &self,
        place: &Place,
        document: &DocumentId,
    ) -> tokio::sync::MutexGuard<'_, ()> {
        let hash = xxh3_64(document.as_str().as_bytes()) ^ xxh3_64(&place.collection.0);
        self.locks[hash as usize % LOCKS].lock().await
    }

    /// Makes the collection if it is not there.
    pub(super) async fn prepare(&self) -> Result<(), Refused> {
        if self.schema.prepare(&self.connection).await? {
            // It is empty, whatever was known of it.
            self.debts().owe_everything();
        }
        Ok(())
    }

    async fn prepare_for(&self, tenant: &TenantId) -> Result<(), Refused> {
        self.prepare().await?;
        self.schema.shard(&self.connection, tenant).await
    }

    pub(super) fn changes(&self, tenant: &TenantId) -> Changes {
        Changes::new(self.schema.selector(tenant))
    }

    /// Has changes made.
    pub(super) async fn make(&self, changes: Changes) -> Result<(), Refused> {
        for operations in changes.calls() {
            self.connection.update(&self.schema.name, operations).await?;
        }
        Ok(())
    }

    pub(super) async fn put(
        &self,
        place: &Place,
        entry: &Entry,
        texts: Vec<String>,
    ) -> Result<(), IndexError> {
        let telling = self.telling(Some(Debt::Document(place.clone(), entry.document.clone())));
        let _turn = self.turn(place, &entry.document).await;
        self.books.hold().touch(place, &entry.document);
        let known = {
            let books = self.books.hold();
            let known = books.content(place, entry.generation);
            known.map(|(_, content)| (content.whole, content.labels))
        };
        let told = match known {
            Some((true, labels)) if labels == points::labels_digest(entry) => Ok(()),
            Some((true, _)) => self.relabel(place, entry).await,
            _ => self.write(place, entry, texts).await,
        };
        telling.end(told)
    }

    /// Writes a document whose turn it is, in place of what the server has of it. Its marker comes
    /// first and says that it is not whole, and goes last: whatever is left in the middle is found
    /// by its marker.
    pub(super) async fn write(
        &self,
        place: &Place,
        entry: &Entry,
        texts: Vec<String>,
    ) -> Result<(), Refused> {
        let terms = self.analyse(texts, entry.language.clone()).await?;
        self.prepare_for(&place.tenant).await?;
        let content = Content {
            chunks: u32::try_from(terms.len()).unwrap_or(u32::MAX),
            labels: points::labels_digest(entry),
            languages: languages(&terms),
            ..Content::default()
        };
        let (document, generation) = (&entry.document, entry.generation);
        let is_new = {
            let mut books = self.books.hold();
            let shelf = books.shelf(place);
            let is_new = shelf.is_none_or(|shelf| shelf.content_of(document).is_none());
            books.add(place, document, generation, content.clone());
            is_new && self.compared.load(Ordering::Acquire)
        };
        let mut marker =
            Marker { place: place.clone(), document: document.clone(), generation, content };
        let labels = points::labels(entry);
        let chunk = |(ordinal, terms)| points::chunk(place, entry, ordinal, terms, &labels);
        let mut changes = self.changes(&place.tenant);
        changes.put(vec![marker.point()]);
        changes.put((0u32..).zip(&terms).map(chunk).collect());
        let others = |kind| filters::document_except(kind, place, document, Some(generation));
        if !is_new {
            changes.delete(others(Kind::Chunk));
        }
        marker.content.whole = true;
        changes.put(vec![marker.point()]);
        if !is_new {
            changes.delete(others(Kind::Marker));
        }
        self.make(changes).await?;
        self.books.hold().add(place, document, generation, marker.content);
        Ok(())
    }

    /// Gives a document whose content stays other labels.
    pub(super) async fn relabel(&self, place: &Place, entry: &Entry) -> Result<(), Refused> {
        self.prepare_for(&place.tenant).await?;
        let generation = entry.generation;
        let digest = points::labels_digest(entry);
        let mut changes = self.changes(&place.tenant);
        let chunks = filters::content(Kind::Chunk, place, generation);
        changes.set_payload(points::labels(entry), PointsSelector::from(chunks));
        let digest_field = points::fields::LABELS_DIGEST.to_owned();
        let marked = [(digest_field, Value::from(digest.cast_signed()))].into();
        changes.set_payload(marked, the_point(points::marker_id(generation)));
        self.make(changes).await?;
        let mut books = self.books.hold();
        if let Some((document, content)) = books.content(place, generation).cloned() {
            books.add(place, &document, generation, Content { labels: digest, ..content });
        }
        Ok(())
    }

    pub(super) async fn set_vectors(
        &self,
        place: &Place,
        generation: Generation,
        first: u32,
        vectors: &TurnVectors,
    ) -> Result<(), IndexError> {
        let document = self.books.hold().document_of(place, generation).cloned();
        // Before everything was compared, the comparison takes them from the record.
        let Some(document) = document else { return Ok(()) };
        let telling = self.telling(Some(Debt::Document(place.clone(), document.clone())));
        let _turn = self.turn(place, &document).await;
        let told = self.write_vectors(place, generation, first, vectors).await;
        telling.end(told)
    }

    /// Gives chunks of a document, whose turn it is, their vectors.
    pub(super) async fn write_vectors(
        &self,
        place: &Place,
        generation: Generation,
        first: u32,
        vectors: &TurnVectors,
    ) -> Result<(), Refused> {
        let known = self.books.hold().content(place, generation).cloned();
        let Some((document, mut content)) = known.filter(|(_, content)| content.whole) else {
            return Ok(());
        };
        let fits = self.schema.size() == Some(vectors.dimensions());
        let there = content.chunks.saturating_sub(first) as usize;
        let count = vectors.len().min(there);
        if !fits || count == 0 {
            return Ok(());
        }
        self.prepare_for(&place.tenant).await?;
        let vectors = vectors.pick(&(0..count).collect::<Vec<_>>());
        let end = first + count as u32;
        for old in self.digests(place, generation, &content.vectors.within(first, end)).await? {
            content.vectors_digest = content.vectors_digest.wrapping_sub(old);
        }
        for (ordinal, (row, _)) in (first..).zip(vectors.rows()) {
            let digest = digest::of_vector(generation, ordinal, row);
            content.vectors_digest = content.vectors_digest.wrapping_add(digest);
        }
        content.vectors.add(first, end);
        let mut changes = self.changes(&place.tenant);
        let points = points::meanings(generation, first, &vectors);
        changes.set_vectors(points, vectors.dimensions());
        let marker = the_point(points::marker_id(generation));
        changes.set_payload(points::vectors_of(&content), marker);
        self.make(changes).await?;
        self.books.hold().add(place, &document, generation, content);
        Ok(())
    }

    /// The digests of the vectors that chunks have.
    async fn digests(
        &self,
        place: &Place,
        generation: Generation,
        ordinals: &[u32],
    ) -> Result<Vec<u64>, Refused> {
        if ordinals.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<PointId> =
            ordinals.iter().map(|ordinal| points::chunk_id(generation, *ordinal)).collect();
        let names = VectorsSelector { names: vec![MEANING.to_owned()] };
        let request = GetPoints {
            collection_name: self.schema.name.clone(),
            ids: ids.clone(),
            with_vectors: Some(SelectorOptions::Include(names).into()),
            shard_key_selector: self.schema.selector(&place.tenant),
            ..GetPoints::default()
        };
        let mut found = Vec::with_capacity(ordinals.len());
        for point in self.connection.get(request).await? {
            let ordinal = ids.iter().position(|id| Some(id) == point.id.as_ref());
            let meaning =
                point.vectors.as_ref().and_then(|vectors| vectors.get_vector_by_name(MEANING));
            let (Some(at), Some(Vector::Dense(dense))) = (ordinal, meaning) else { continue };
            // The largest integer of a vector is always the same, so its integers come back.
            let again = TurnVectors::quantise(&[dense.data]);
            if let Some((row, _)) = again.rows().next() {
                found.push(digest::of_vector(generation, ordinals[at], row));
            }
        }
        Ok(found)
    }

    pub(super) async fn remove(
        &self,
        place: &Place,
        generation: Generation,
    ) -> Result<(), IndexError> {
        let document = {
            let mut books = self.books.hold();
            books.touch_content(place, generation);
            books.document_of(place, generation).cloned()
        };
        if document.is_none() && self.compared.load(Ordering::Acquire) {
            return Ok(());
        }
        let debt = document.clone().map(|document| Debt::Document(place.clone(), document));
        let telling = self.telling(debt);
        let _turn = match &document {
            Some(document) => Some(self.turn(place, document).await),
            None => None,
        };
        telling.end(self.erase(place, generation).await)
    }

    /// Removes a content.
    pub(super) async fn erase(&self, place: &Place, generation: Generation) -> Result<(), Refused> {
        self.prepare().await?;
        if !self.schema.is_unknown(&place.tenant) {
            let mut changes = self.changes(&place.tenant);
            changes.delete(filters::content(Kind::Chunk, place, generation));
            changes.delete(filters::content(Kind::Marker, place, generation));
            self.make(changes).await?;
        }
        self.books.hold().remove(place, generation);
        Ok(())
    }

    /// Removes all that the server has of a document, whose turn it is.
    pub(super) async fn erase_document(
        &self,
        place: &Place,
        document: &DocumentId,
    ) -> Result<(), Refused> {
        self.prepare().await?;
        if !self.schema.is_unknown(&place.tenant) {
            let mut changes = self.changes(&place.tenant);
            changes.delete(filters::document_except(Kind::Chunk, place, document, None));
            changes.delete(filters::document_except(Kind::Marker, place, document, None));
            self.make(changes).await?;
        }
        let mut books = self.books.hold();
        let shelf = books.shelf(place);
        let known = shelf.and_then(|shelf| shelf.content_of(document));
        if let Some(generation) = known.map(|(generation, _)| generation) {
            books.remove(place, generation);
        }
        Ok(())
    }

    pub(super) async fn remove_collection(&self, place: &Place) -> Result<(), IndexError> {
        let telling = self.telling(Some(Debt::Collection(place.clone())));
        self.books.hold().touch_collection(place);
        telling.end(self.erase_collection(place).await)
    }

    pub(super) async fn erase_collection(&self, place: &Place) -> Result<(), Refused> {
        self.prepare().await?;
        if !self.schema.is_unknown(&place.tenant) {
            let mut changes = self.changes(&place.tenant);
            changes.delete(filters::collection(Kind::Chunk, place));
            changes.delete(filters::collection(Kind::Marker, place));
            self.make(changes).await?;
        }
        self.books.hold().remove_collection(place);
        Ok(())
    }

    async fn analyse(
        &self,
        texts: Vec<String>,
        language: String,
    ) -> Result<Vec<ChunkTerms>, Refused> {
        let bytes: usize = texts.iter().map(String::len).sum();
        let analyse = move || chunks_terms(&texts, &language);
        match bytes < HANDED_BYTES_MIN {
            true => Ok(analyse()),
            false => {
                let done = compute(self.pool.as_ref(), analyse).await;
                done.map_err(|broken| Refused::Broken(broken.to_string()))
            }
        }
    }
}

/// The languages of chunks, with how many are of each.
fn languages(terms: &[ChunkTerms]) -> Vec<(Language, u32)> {
    let mut counts = BTreeMap::new();
    terms.iter().for_each(|chunk| *counts.entry(chunk.language).or_insert(0) += 1);
    counts.into_iter().collect()
}
