//! `keepsake reindex`: makes the index of documents anew from the record, while no server holds it.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream;

use super::{
    documents::{INDEX_FOLDER, embedded},
    error::StartError,
    open_store,
};
use crate::config::{DocumentEngine, Engine, Settings};
use crate::documents::{
    DocumentFilter, DocumentIndex as _, DocumentRecord, EmbeddedIndex, Entry, IndexError, Place,
    Question,
};
use crate::memory::StoreRecord;
use crate::storage::{StoreError, disk::OpenError};
use crate::types::DocumentId;

/// How many documents are read and analysed at a time for each core: one is read while another is
/// cut into words.
const AT_A_TIME_PER_CORE: usize = 2;
/// How many documents that could not be taken in are named.
const NAMED_MAX: usize = 20;

/// How far it has come, or what there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many documents.
    pub documents: u64,
    /// How many chunks they have.
    pub chunks: u64,
}

impl Counts {
    fn add(&mut self, entry: &Entry) {
        self.documents += 1;
        self.chunks += u64::from(entry.chunks);
    }
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reindexed {
    /// How many collections the record has.
    pub collections: u64,
    /// What the record has.
    pub record: Counts,
    /// What was taken in.
    pub taken: Counts,
    /// How many chunks the index searches, after it was closed and opened again.
    pub searched: u64,
    /// The first documents that the record does not have whole: they were not taken in.
    pub broken: Vec<DocumentId>,
}

impl Reindexed {
    /// Whether the index has all that the record has.
    pub fn is_whole(&self) -> bool {
        self.taken == self.record && self.searched == self.record.chunks
    }
}

/// An index that was not made.
#[derive(Debug, thiserror::Error)]
pub enum ReindexError {
    /// The engine keeps nothing in a folder.
    #[error("the engine `memory` keeps no index in a folder")]
    InMemory,
    /// The index is on a server.
    #[error(
        "the index of documents is on Qdrant: a running server brings it to where the record is; \
         remove its collection to have it made anew"
    )]
    OnServer,
    /// There is no data.
    #[error("`{folder}` holds no data of this program")]
    NoData {
        /// The folder.
        folder: String,
    },
    /// The store or the index cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The old files of the index cannot be removed.
    #[error("cannot remove the old index")]
    Remove(#[source] io::Error),
    /// The index, or the record behind it, failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The store cannot be closed.
    #[error("cannot close the store")]
    Close(#[source] StoreError),
}

impl ReindexError {
    /// Says whether another folder must be named, or the server be stopped first.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::InMemory | Self::OnServer | Self::NoData { .. } => true,
            Self::Start(StartError::Store(OpenError::InUse { .. })) => true,
            Self::Start(_) | Self::Remove(_) | Self::Index(_) | Self::Close(_) => false,
        }
    }
}

/// Makes the index of a data folder anew and compares it with the record. `told` hears how much has
/// been looked at, and how much there is.
///
/// # Errors
/// [`ReindexError`]; what the index lacks then, the next start takes in.
pub async fn reindex(
    settings: &Settings,
    told: impl Fn(Counts, Counts),
) -> Result<Reindexed, ReindexError> {
    if settings.engine == Engine::Memory {
        return Err(ReindexError::InMemory);
    }
    if settings.documents.engine == DocumentEngine::Qdrant {
        return Err(ReindexError::OnServer);
    }
    if !settings.data.join("FORMAT").exists() {
        return Err(ReindexError::NoData { folder: settings.data.display().to_string() });
    }
    let (store, _) = open_store(settings).await?;
    // Vectors are not in its files: they are read from the record when they are asked for.
    let record: Arc<dyn DocumentRecord> = Arc::new(StoreRecord::new(store.clone(), None));
    remove(&settings.data.join(INDEX_FOLDER)).map_err(ReindexError::Remove)?;
    let made = make(settings, record, told).await;
    let closed = store.close().await.map_err(ReindexError::Close);
    let made = made?;
    closed.map(|()| made)
}

/// Removes the files that an index has made. What it set aside is somebody's.
fn remove(folder: &Path) -> io::Result<()> {
    let missing = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    };
    fs::remove_dir_all(folder.join("words")).or_else(missing)?;
    fs::remove_file(folder.join("VERSION")).or_else(missing)
}

async fn make(
    settings: &Settings,
    record: Arc<dyn DocumentRecord>,
    told: impl Fn(Counts, Counts),
) -> Result<Reindexed, ReindexError> {
    let places = record.collections().await?;
    let mut made = Reindexed { collections: places.len() as u64, ..Reindexed::default() };
    for place in &places {
        record.documents(place).await?.iter().for_each(|entry| made.record.add(entry));
    }
    let index = embedded(settings, record.clone()).await?;
    let mut looked_at = Counts::default();
    for place in &places {
        let entries = record.documents(place).await?;
        let taken = entries.into_iter().map(|entry| take_in(&index, record.as_ref(), place, entry));
        let mut taken = stream::iter(taken).buffer_unordered(at_a_time());
        while let Some(taken) = taken.next().await {
            let (entry, is_whole) = taken?;
            looked_at.add(&entry);
            match is_whole {
                true => made.taken.add(&entry),
                false if made.broken.len() < NAMED_MAX => made.broken.push(entry.document),
                false => {}
            }
            told(looked_at, made.record);
        }
    }
    index.compact().await?;
    drop(index);
    let index = embedded(settings, record).await?;
    index.reconcile().await?;
    made.searched = searched(&index, &places).await?;
    Ok(made)
}

fn at_a_time() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from) * AT_A_TIME_PER_CORE
}

/// Takes a document in; false: the record does not have it whole.
async fn take_in(
    index: &EmbeddedIndex,
    record: &dyn DocumentRecord,
    place: &Place,
    entry: Entry,
) -> Result<(Entry, bool), IndexError> {
    let Some(texts) = record.texts(place, &entry).await? else { return Ok((entry, false)) };
    index.put(place, entry.clone(), texts).await?;
    Ok((entry, true))
}

/// How many chunks the index searches in all collections.
async fn searched(index: &EmbeddedIndex, places: &[Place]) -> Result<u64, IndexError> {
    let (filter, mut chunks) = (DocumentFilter::default(), 0);
    for place in places {
        let question = Question {
            tenant: &place.tenant,
            collections: &[place.collection],
            words: None,
            language: "",
            vector: None,
            filter: &filter,
            most: 1,
        };
        chunks += index.search(&question).await?.chunks;
    }
    Ok(chunks)
}
