//! The one way from the shell to an embedder: what was embedded before is taken from the cache,
//! what is being embedded for the same tenant is waited for, and what it costs is noted by tenant.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::embed::{
    EmbedError, Embedder, Urgency,
    cache::{Digest, Epoch, Kept, VectorCache},
    metered,
};
use crate::memory::Memory;
use crate::pool::{Pool, compute};
use crate::telemetry::{Cache, TenantTags, cache_asked, cache_size};
use crate::types::TenantId;

/// How much memory vectors may take where nothing else is said, in bytes: some 20,000 of them.
const BYTES_MAX: u64 = 32 << 20;
/// How many tenants have an account of their own between two reports; the others share one.
const ACCOUNTS_MAX: usize = 1_000;

/// A vector that is there.
type Vector = Arc<[f32]>;
/// How embedding of some texts ended: their vectors, or why there are none.
type Landed = Result<Arc<HashMap<Digest, Vector>>, EmbedError>;
/// Texts that are being embedded, by whether somebody waits for them: no question waits for what
/// goes behind others.
type Flights = HashMap<(bool, Digest), watch::Receiver<Option<Landed>>>;
/// A text that another one has embedded, and by what that is waited for.
type Awaited = (Digest, watch::Receiver<Option<Landed>>);
/// Whose account, and for which embedder; without a tenant: of all who have none of their own.
type Account = (Option<TenantId>, String);

#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    texts: u64,
    tokens: u64,
}

/// What is known of vectors, what is on its way, and what it cost.
pub(super) struct Vectors {
    cache: Arc<VectorCache>,
    key: [u8; 32],
    tags: TenantTags,
    flights: Mutex<Flights>,
    accounts: Mutex<BTreeMap<Account, Spent>>,
}

/// Texts that this caller has embedded; whoever else wants them waits for it. When it ends without
/// having landed, another one tries.
struct Flight<'a> {
    vectors: &'a Vectors,
    asked: bool,
    /// The digests, and the places of their texts.
    own: Vec<(Digest, usize)>,
    land: watch::Sender<Option<Landed>>,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.vectors.flights();
        for (digest, _) in &self.own {
            flights.remove(&(self.asked, *digest));
        }
    }
}

impl Vectors {
    pub(super) fn new(server_secret: &[u8; 32]) -> Self {
        Self {
            cache: Arc::new(VectorCache::in_memory(BYTES_MAX)),
            key: blake3::derive_key("keepsake 1 digests of embedded texts", server_secret),
            tags: TenantTags::new(server_secret),
            flights: Mutex::new(Flights::new()),
            accounts: Mutex::new(BTreeMap::new()),
        }
    }

    /// The same with another cache.
    pub(super) fn with(self, cache: VectorCache) -> Self {
        Self { cache: Arc::new(cache), ..self }
    }

    fn flights(&self) -> MutexGuard<'_, Flights> {
        // Nothing under the lock can panic halfway.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names what the vector of a text depends on. The tenant is part of it: how fast an answer
    /// comes tells nobody what others say.
    fn digest(
        &self,
        tenant: &TenantId,
        embedder: &dyn Embedder,
        urgency: Urgency,
        text: &str,
    ) -> Digest {
        let apart = embedder.tells_questions_apart() && urgency == Urgency::Query;
        let role = if apart { "question\0" } else { "" };
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // None of what stands before the text can hold a NUL, and no key is `question`.
        for part in [tenant.as_str(), "\0", role, embedder.key(), "\0", text] {
            hasher.update(part.as_bytes());
        }
        let hash = hasher.finalize();
        *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
    }

    /// Takes those that nobody embeds now, and gives what the others are waited for by.
    fn claim(&self, urgency: Urgency, missing: Vec<(Digest, usize)>) -> (Flight<'_>, Vec<Awaited>) {
        let asked = urgency == Urgency::Query;
        let (land, landed) = watch::channel(None);
        let (mut own, mut others) = (Vec::new(), Vec::new());
        let mut flights = self.flights();
        for (digest, place) in missing {
            match flights.get(&(asked, digest)) {
                Some(other) => others.push((digest, other.clone())),
                None => {
                    flights.insert((asked, digest), landed.clone());
                    own.push((digest, place));
                }
            }
        }
        (Flight { vectors: self, asked, own, land }, others)
    }

    fn note_spent(&self, tenant: &TenantId, embedder: &str, spent: Spent) {
        if spent.tokens == 0 {
            return;
        }
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut account = (Some(tenant.clone()), embedder.to_owned());
        if accounts.len() >= ACCOUNTS_MAX && !accounts.contains_key(&account) {
            account.0 = None;
        }
        let sum = accounts.entry(account).or_default();
        sum.texts += spent.texts;
        sum.tokens = sum.tokens.saturating_add(spent.tokens);
    }

    /// Looks for vectors in the files; gives those that are there.
    async fn read(&self, pool: &dyn Pool, missing: &[(Digest, usize)]) -> Vec<Kept> {
        if missing.is_empty() || !self.cache.has_files() {
            return Vec::new();
        }
        let cache = self.cache.clone();
        let digests: Vec<Digest> = missing.iter().map(|(digest, _)| *digest).collect();
        let read = compute(pool, move || {
            let found = cache.read(&digests);
            digests.into_iter().zip(found).collect::<Vec<_>>()
        });
        // Who cannot read does without.
        let read = read.await.unwrap_or_default();
        read.iter().for_each(|(_, found)| cache_asked(Cache::VectorsDisk, found.is_some()));
        read.into_iter().filter_map(|(digest, found)| Some((digest, found?))).collect()
    }

    /// Keeps vectors in memory, and has them written where there are files.
    fn keep(&self, pool: &dyn Pool, epoch: Epoch, vectors: Vec<Kept>) {
        self.cache.put(epoch, &vectors);
        if let Some(writing) = self.cache.begin_to_write(epoch, vectors) {
            pool.begin(Box::new(move || {
                if let Err(error) = writing.write() {
                    tracing::warn!("vectors are kept in memory only from now on: {error}");
                }
            }));
        }
    }
}

impl Memory {
    /// Gives the unit vectors of texts of a tenant, in their order. A future that is dropped stops
    /// what has not begun.
    ///
    /// # Errors
    /// What the embedder refuses: all texts or none.
    pub(in crate::memory) async fn embed_for(
        &self,
        embedder: &Arc<dyn Embedder>,
        tenant: &TenantId,
        urgency: Urgency,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let vectors = &self.vectors;
        let epoch = vectors.cache.epoch();
        let digest = |text: &String| vectors.digest(tenant, embedder.as_ref(), urgency, text);
        let digests: Vec<Digest> = texts.iter().map(digest).collect();
        let mut known: HashMap<Digest, Vector> = HashMap::new();
        for digest in &digests {
            let found = vectors.cache.get(digest);
            cache_asked(Cache::Vectors, found.is_some());
            known.extend(found.map(|found| (*digest, found)));
        }
        let found = vectors.read(self.pool.as_ref(), &missing(&digests, &known)).await;
        vectors.cache.put(epoch, &found);
        known.extend(found);
        loop {
            let missing = missing(&digests, &known);
            if missing.is_empty() {
                break;
            }
            let (flight, others) = vectors.claim(urgency, missing);
            if !flight.own.is_empty() {
                known.extend(self.fly(flight, embedder, (tenant, epoch), &texts).await?);
            }
            for (digest, other) in others {
                known.extend(landed(other, &digest).await?.map(|vector| (digest, vector)));
            }
        }
        Ok(digests.iter().map(|digest| known[digest].to_vec()).collect())
    }

    /// Has texts embedded that nobody else embeds, and tells whoever waits for them.
    async fn fly(
        &self,
        flight: Flight<'_>,
        embedder: &Arc<dyn Embedder>,
        (tenant, epoch): (&TenantId, Epoch),
        texts: &[String],
    ) -> Result<Vec<Kept>, EmbedError> {
        let own: Vec<String> = flight.own.iter().map(|(_, at)| texts[*at].clone()).collect();
        let urgency = if flight.asked { Urgency::Query } else { Urgency::Background };
        let count = own.len() as u64;
        let (made, tokens) = metered(embedder.embed(urgency, own)).await;
        self.vectors.note_spent(tenant, embedder.key(), Spent { texts: count, tokens });
        let made = made.map(|made| {
            let digests = flight.own.iter().map(|(digest, _)| *digest);
            digests.zip(made.into_iter().map(Vector::from)).collect::<Vec<Kept>>()
        });
        let landed: Landed = match &made {
            Ok(made) => {
                self.vectors.keep(self.pool.as_ref(), epoch, made.clone());
                Ok(Arc::new(made.iter().cloned().collect()))
            }
            Err(error) => Err(error.clone()),
        };
        flight.land.send_replace(Some(landed));
        made
    }

    /// Forgets every vector that is kept beside the record, in memory and in files.
    pub(in crate::memory) async fn forget_vectors(&self) -> io::Result<()> {
        let cache = self.vectors.cache.clone();
        let forgotten = compute(self.pool.as_ref(), move || cache.forget());
        forgotten.await.map_err(io::Error::other)?
    }

    /// Sets the gauges of the caches of vectors.
    pub(in crate::memory) fn observe_vectors(&self) {
        let figures = self.vectors.cache.figures();
        cache_size(Cache::Vectors, figures.memory_entries, Some(figures.memory_bytes));
        cache_size(Cache::VectorsDisk, figures.disk_entries, Some(figures.disk_bytes));
    }

    /// Writes to the log what embedding cost each tenant since the last time: a line each, for
    /// those that it cost something.
    pub fn report_spending(&self) {
        let accounts = {
            let accounts = &self.vectors.accounts;
            std::mem::take(&mut *accounts.lock().unwrap_or_else(PoisonError::into_inner))
        };
        for ((tenant, embedder), Spent { texts, tokens }) in accounts {
            let tag = tenant.map(|tenant| self.vectors.tags.of(tenant.as_str()).to_string());
            let tenant = tag.as_deref().unwrap_or("others");
            tracing::info!(target: "keepsake::usage", tenant, embedder, texts, tokens, "embedded");
        }
    }
}

/// The digests that are not known, each once, with the place of its first text.
fn missing(digests: &[Digest], known: &HashMap<Digest, Vector>) -> Vec<(Digest, usize)> {
    let mut missing: Vec<(Digest, usize)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (place, digest) in digests.iter().enumerate() {
        if !known.contains_key(digest) && seen.insert(*digest) {
            missing.push((*digest, place));
        }
    }
    missing
}

/// Waits for a vector that somebody else has made. `None`: it was not: try yourself.
async fn landed(
    mut other: watch::Receiver<Option<Landed>>,
    digest: &Digest,
) -> Result<Option<Vector>, EmbedError> {
    let landed = match other.wait_for(Option::is_some).await {
        Ok(landed) => landed.clone(),
        // Its caller went away.
        Err(_) => None,
    };
    match landed {
        Some(Ok(vectors)) => Ok(vectors.get(digest).cloned()),
        // Another text may be the one.
        Some(Err(EmbedError::Failed { .. })) | None => Ok(None),
        Some(Err(error)) => Err(error),
    }
}
