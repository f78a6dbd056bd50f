//! The verbs of the service: each reads through the ports, asks a pure room, and commits.
//! In: checked requests of one tenant. Out: answers, or a [`crate::error::Failure`].
//! Invariant: an effect and its repeat row are one commit; what is answered is durable.

mod append;
mod behind;
mod census;
mod context;
mod documents;
mod erasure;
mod fork;
mod heavy;
mod keys;
mod observe;
mod partition;
mod partitions;
mod query;
mod rerank;
mod rows;
mod search;
mod sessions;
mod spaces;
mod stripes;
mod sweep;
mod tenants;
mod turns;
mod vectors;

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::chance::Chance;
use crate::clock::Clock;
use crate::embed::cache::VectorCache;
use crate::pool::{Pool, Threads};
use crate::retrieve::Weights;
use crate::storage::Store;
use crate::tokens::{Model, Models};
use crate::types::{Policy, TenantId};

pub use behind::{BACKLOG_SESSIONS_MAX, Filled, Job, PendingVectors, Preparing, Worked};
pub use census::SESSIONS_MAX;
pub use context::{BuildRequest, Built, PASSAGES_MAX, QuotedDocument};
pub use documents::{
    COLLECTIONS_MAX, CollectionFigures, DocumentFigures, DocumentSearch, Finished, FoundChunk,
    FoundDocuments, Range, Started, StoreRecord, UPLOADS_KEPT_MS, Upload, UploadFigures, View,
};
pub use erasure::{Erasing, Files, FilesState, Receipt};
pub use keys::{Caller, CreatedKey, FreshKey, KEYS_MAX, NewKey};
pub use partitions::Partitions;
pub use query::{Degraded, Filter, Scope, Target};
pub use rerank::{CANDIDATES_MAX, RERANKED_MAX};
pub use rows::{Answered, Page};
pub use search::{Coverage, Decided, Found, FoundTurn, SearchRequest};
pub use spaces::{Space, Spaces};
pub use sweep::{PURGE_ROWS_MAX, REPEATS_KEPT_MS};
pub use tenants::{NewTenant, PolicyChange, SummaryChange, Tenant};
pub use turns::{PAGE_BYTES_MAX, TurnPage};

/// How many policies, and models of policies, are kept in memory; most are below a kilobyte.
pub const POLICIES_MAX: u64 = 4_096;

/// The ports and the copies in memory that the verbs share.
pub struct Memory {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    models: Models,
    models_known: Cache<(TenantId, u64, String), Model>,
    partitions: Partitions,
    policies: Cache<(TenantId, u64), Arc<Policy>>,
    stripes: stripes::Stripes,
    key_secret: [u8; 32],
    spaces: Arc<spaces::Spaces>,
    backlog: behind::Backlog,
    pool: Arc<dyn Pool>,
    heavy: heavy::Heavy,
    forks: fork::Forks,
    vectors: vectors::Vectors,
    backfill: behind::Backfill,
    census: census::Census,
    library: documents::Library,
    erasure: erasure::Erasure,
    weights: Weights,
    judge: Option<rerank::Judge>,
}

impl Memory {
    /// The verbs over these ports. `server_secret` keys the hashes of API keys.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        partitions: Partitions,
        server_secret: &[u8; 32],
    ) -> Self {
        Self {
            store,
            clock,
            chance,
            models: Models::new(),
            models_known: Cache::new(POLICIES_MAX),
            partitions,
            policies: Cache::new(POLICIES_MAX),
            stripes: stripes::Stripes::new(),
            key_secret: blake3::derive_key("keepsake 1 api keys", server_secret),
            spaces: Arc::default(),
            backlog: behind::Backlog::default(),
            pool: Arc::new(Threads),
            heavy: heavy::Heavy::new(),
            forks: fork::Forks::default(),
            vectors: vectors::Vectors::new(server_secret),
            backfill: behind::Backfill::default(),
            census: census::Census::new(SESSIONS_MAX),
            library: documents::Library::new(),
            erasure: erasure::Erasure::default(),
            weights: Weights::DEFAULT,
            judge: None,
        }
    }

    /// The same with another limit on the sessions of a tenant than [`SESSIONS_MAX`].
    #[must_use]
    pub fn with_sessions_max(mut self, most: u64) -> Self {
        self.census = census::Census::new(most);
        self
    }

    /// The same with another cache of vectors; without this, a small one in memory.
    #[must_use]
    pub fn with_vectors(mut self, cache: VectorCache) -> Self {
        self.vectors = self.vectors.with(cache);
        self
    }

    /// The same with a time by which the files hold nothing of what was deleted; without this, they
    /// are rid of it only when that is asked for.
    #[must_use]
    pub fn with_files_erased_after(mut self, after: Option<Duration>) -> Self {
        self.erasure.after = after;
        self
    }

    /// The same with other weights of what finds turns; without this, [`Weights::DEFAULT`].
    #[must_use]
    pub fn with_weights(mut self, weights: Weights) -> Self {
        self.weights = weights;
        self
    }

    /// The same with another pool for what takes long to compute; without this, threads.
    #[must_use]
    pub fn with_pool(mut self, pool: Arc<dyn Pool>) -> Self {
        self.pool = pool;
        self
    }
}
