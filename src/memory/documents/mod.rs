//! Documents: uploads, what becomes of them, what is read of them, what goes.

mod beside;
mod delete;
mod embedding;
mod finish;
mod found;
mod ingest;
mod observe;
mod read;
mod record;
mod requeue;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::{Notify, Semaphore};

use crate::catalog::Spot;
use crate::documents::{DocumentIndex, Entry, IndexError, Place};
use crate::error::{Failure, Reason};
use crate::memory::{
    Memory,
    rows::{revised, store_failure},
    stripes::Stripes,
};
use crate::record::{CollectionRow, DocumentRow, UploadRow, document_keys as keys};
use crate::sessions::{Draft, Revised};
use crate::storage::{CommitError, Read, Revision};
use crate::types::{CollectionId, Generation, Incarnation, TenantId, Timestamp};

pub(super) use beside::Shelved;
pub use delete::UPLOADS_KEPT_MS;
pub use finish::Finished;
pub use found::{DocumentSearch, FoundChunk, FoundDocuments};
pub use ingest::{Started, Upload};
pub use read::{CollectionFigures, DocumentFigures, Range, UploadFigures, View};
pub use record::StoreRecord;

/// The most collections of a tenant.
pub const COLLECTIONS_MAX: usize = 10_000;
/// How many bytes documents may take in memory that are being cut and indexed, together.
const FINISHING_BYTES: usize = 512 << 20;
/// How many processes read PDFs at a time.
const PDF_READERS_MAX: usize = 2;
/// What a document takes then, in times its bytes: bytes, text, chunks, what is searched of them.
const FINISHING_TIMES: usize = 5;
/// How often a commit is planned again after a conflict.
const ATTEMPTS_MAX: usize = 64;

/// What the verbs of documents share.
pub(super) struct Library {
    index: Option<Arc<dyn DocumentIndex>>,
    /// What is started to read a PDF.
    program: PathBuf,
    finishing: Arc<Semaphore>,
    /// A process that reads a PDF may take a gigabyte, whatever the bytes of the PDF.
    pdf_readers: Semaphore,
    /// One document is finished or deleted at a time. These are not the locks of sessions: to cut a
    /// large document takes seconds.
    stripes: Stripes,
    /// Told when chunks may wait for vectors.
    waiting: Notify,
    queue: embedding::Queue,
    /// Whether the index has to be brought to where the record is.
    behind: AtomicBool,
    /// Held by who brings it there.
    mending: tokio::sync::Mutex<()>,
    /// Told when it has.
    lagging: Notify,
    /// Since when it was seen to be behind.
    behind_since: std::sync::Mutex<Option<Timestamp>>,
}

impl Library {
    /// Without an index: documents can be kept and not be found.
    pub(super) fn new() -> Self {
        Self {
            index: None,
            program: PathBuf::from("keepsake"),
            pdf_readers: Semaphore::new(PDF_READERS_MAX),
            stripes: Stripes::new(),
            finishing: Arc::new(Semaphore::new(FINISHING_BYTES >> 10)),
            waiting: Notify::new(),
            queue: embedding::Queue::default(),
            behind: AtomicBool::new(true),
            mending: tokio::sync::Mutex::default(),
            lagging: Notify::new(),
            behind_since: std::sync::Mutex::default(),
        }
    }
}

/// What is known of a document.
pub(super) struct Known {
    collection: Option<Revised<CollectionRow>>,
    upload: Option<Revised<UploadRow>>,
    document: Option<Revised<DocumentRow>>,
}

fn place(tenant: &TenantId, collection: Incarnation) -> Place {
    Place { tenant: tenant.clone(), collection }
}

/// A document as the index knows it.
fn entry(spot: &Spot, row: &DocumentRow) -> Entry {
    Entry {
        document: spot.document.clone(),
        generation: row.generation,
        chunks: row.chunks,
        metadata: row.header.metadata.clone(),
        created_at: row.created_at(),
        language: row.language.clone(),
    }
}

impl Memory {
    /// The same with an index of documents.
    #[must_use]
    pub fn with_documents(mut self, index: Arc<dyn DocumentIndex>) -> Self {
        self.library.index = Some(index);
        self
    }

    /// The same with another program that is started to read a PDF; without this, `keepsake` of the
    /// search path.
    #[must_use]
    pub fn with_pdf_reader(mut self, program: PathBuf) -> Self {
        self.library.program = program;
        self
    }

    /// Whether the index did what it was told; where not, it is brought to the record later.
    fn noted(&self, told: Result<(), IndexError>) -> bool {
        let Err(error) = told else { return true };
        tracing::warn!("the index of documents is behind: {error}");
        self.library.behind.store(true, Relaxed);
        self.library.lagging.notify_one();
        false
    }

    /// Brings the index to where the record is, when it may be behind. `false`: it is not. Who
    /// comes while somebody does it waits for that.
    ///
    /// # Errors
    /// [`IndexError`]; it is still behind then.
    pub async fn reconcile_documents(&self) -> Result<bool, IndexError> {
        let Some(index) = &self.library.index else { return Ok(false) };
        let _alone = self.library.mending.lock().await;
        if !self.library.behind.swap(false, Relaxed) && !index.is_behind() {
            return Ok(false);
        }
        let mended = index.reconcile().await;
        if mended.is_err() {
            self.library.behind.store(true, Relaxed);
        }
        mended.map(|()| true)
    }

    /// Waits until the index may be behind the record.
    pub async fn documents_behind(&self) {
        self.library.lagging.notified().await;
    }

    /// Has the files of the index hold nothing of what was deleted from the record.
    pub(super) async fn compact_documents(&self) -> Result<(), IndexError> {
        self.reconcile_documents().await?;
        match &self.library.index {
            Some(index) => index.compact().await,
            None => Ok(()),
        }
    }

    fn fresh_generation(&self) -> Generation {
        Generation(self.chance.bytes16())
    }

    /// A collection, which must exist.
    async fn collection(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
    ) -> Result<Revised<CollectionRow>, Failure> {
        let missing = || {
            let message = format!("no collection `{collection}`");
            Failure::new(Reason::CollectionNotFound, message)
        };
        self.get(keys::collection(tenant, collection)).await?.ok_or_else(missing)
    }

    /// A document with its collection and its upload, as far as they are there. Two reads: a life
    /// of a collection is never used again, so what was read of one that ended is of no other.
    async fn known(&self, spot: &Spot) -> Result<Known, Failure> {
        let key = keys::collection(&spot.tenant, &spot.collection);
        let collection = self.get::<CollectionRow>(key).await?;
        let Some(life) = collection.as_ref().map(|row| row.row.incarnation) else {
            return Ok(Known { collection: None, upload: None, document: None });
        };
        let reads = vec![
            Read::get(keys::upload(life, &spot.document)),
            Read::get(keys::document(life, &spot.document)),
        ];
        let rows = self.read(reads).await?;
        Ok(Known { collection, upload: revised(&rows[0])?, document: revised(&rows[1])? })
    }

    /// Commits; `None`: somebody else was there first.
    async fn commit_draft(&self, draft: Draft) -> Result<Option<Revision>, Failure> {
        let erases = draft.erases();
        match self.store.commit(draft.into_batch()).await {
            Ok(revision) => {
                self.erasure.note(erases, self.now());
                Ok(Some(revision))
            }
            Err(CommitError::Conflict { .. }) => Ok(None),
            Err(CommitError::Store(error)) => Err(store_failure(error)),
        }
    }

    /// The lock of a document in this process; see `Stripes`.
    async fn document_lock(&self, spot: &Spot) -> tokio::sync::MutexGuard<'_, ()> {
        let name = format!("{}\0{}", spot.collection, spot.document);
        self.library.stripes.lock(spot.tenant.as_str(), &name).await
    }
}

fn contention() -> Failure {
    Failure::new(Reason::Contention, "too many others changed the document at the same time")
}
