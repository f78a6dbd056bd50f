//! The server's collection: what it is called, made of, and what is asked of the server.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use qdrant_client::qdrant::{
    BoolIndexParams, CollectionInfo, CreateCollection, CreateFieldIndexCollection, CreateShardKey,
    CreateShardKeyRequest, Distance, FieldType, FloatIndexParams, HnswConfigDiff,
    IntegerIndexParams, KeywordIndexParams, ListShardKeysRequest, Memory, Modifier,
    PayloadIndexParams, PayloadStorageParams, QuantizationConfig, QuantizationType,
    ScalarQuantization, ShardKey, ShardKeySelector, ShardingMethod, SparseIndexConfig,
    SparseVectorConfig, SparseVectorParams, UuidIndexParams, VectorParams, VectorParamsMap,
    VectorsConfig, payload_index_params::IndexParams, quantization_config::Quantization, shard_key,
    vectors_config::Config,
};

use crate::documents::qdrant::{
    QdrantOptions,
    connection::{Connection, Refused},
    points::{MEANING, WORDS, fields},
};
use crate::retrieve::ANALYSIS_VERSION;
use crate::types::TenantId;

/// The first version that counts how rare a term is over the points of a filter; before, the
/// documents of one tenant would move the scores of another.
const VERSION_MIN: (u64, u64) = (1, 19);
/// The version of points and payloads: with another one, the collection is made anew.
const POINTS_VERSION: u16 = 1;
/// Links of a point in the graph of its tenant. There is no graph over all tenants: no question
/// would walk it.
const LINKS: u64 = 16;

/// The collection, and what is known of it.
pub(super) struct Schema {
    pub(super) name: String,
    options: QdrantOptions,
    ready: AtomicBool,
    preparing: tokio::sync::Mutex<()>,
    /// Tenants that have their shards.
    sharded: Mutex<HashSet<TenantId>>,
}

impl Schema {
    pub(super) fn new(options: QdrantOptions) -> Self {
        let mut hasher = blake3::Hasher::new();
        let (model, size) = options.model.clone().unwrap_or_default();
        for part in [model.as_bytes(), size.to_string().as_bytes()] {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
        }
        hasher.update(&ANALYSIS_VERSION.to_be_bytes()).update(&POINTS_VERSION.to_be_bytes());
        let digest = hasher.finalize().to_hex();
        let name = format!("{}-{}", options.prefix, &digest[..16]);
        Self {
            name,
            options,
            ready: AtomicBool::new(false),
            preparing: tokio::sync::Mutex::default(),
            sharded: Mutex::default(),
        }
    }

    /// How many numbers vectors have; none: there are none.
    pub(super) fn size(&self) -> Option<usize> {
        self.options.model.as_ref().map(|(_, size)| *size)
    }

    /// The collection is not there any more: it is made again by the next call.
    pub(super) fn lost(&self) {
        self.ready.store(false, Ordering::Release);
        self.sharded().clear();
    }

    /// Makes the collection if it is not there. `true`: it was not, so that it is empty.
    pub(super) async fn prepare(&self, connection: &Connection) -> Result<bool, Refused> {
        if self.ready.load(Ordering::Acquire) {
            return Ok(false);
        }
        let _only_one = self.preparing.lock().await;
        if self.ready.load(Ordering::Acquire) {
            return Ok(false);
        }
        check_version(&connection.version().await?)?;
        let name = self.name.as_str();
        let there =
            connection.about(|client| async move { client.collection_exists(name).await }).await?;
        match there {
            true => {
                let info = connection
                    .about(|client| async move { client.collection_info(name).await })
                    .await?;
                self.verify(info.result.as_ref())?;
            }
            false => self.create(connection).await?,
        }
        // Also of one that is there: who made it may not have come to its end.
        for field in self.indexes() {
            let field = &field;
            connection
                .about(|client| async move { client.create_field_index(field.clone()).await })
                .await?;
        }
        if self.options.shard_per_tenant {
            self.read_shards(connection).await?;
        }
        self.ready.store(true, Ordering::Release);
        Ok(!there)
    }

    async fn create(&self, connection: &Connection) -> Result<(), Refused> {
        let request = &self.request();
        let made = connection
            .about(|client| async move { client.create_collection(request.clone()).await });
        match made.await {
            Ok(_) => Ok(()),
            // A call that was not answered may have made it.
            Err(Refused::Broken(why)) if why.contains("already exists") => Ok(()),
            Err(refused) => Err(refused),
        }
    }

    /// Where the server keeps what is large: on disk, or where it keeps it by itself.
    fn cold(&self) -> Option<i32> {
        self.options.on_disk.then_some(Memory::Cold.into())
    }

    fn request(&self) -> CreateCollection {
        let options = &self.options;
        let meaning = options.model.as_ref().map(|(_, size)| VectorParams {
            size: *size as u64,
            // Vectors are of length 1 already: nothing has to be normalised, and what comes back
            // is what was told.
            distance: Distance::Dot.into(),
            memory: self.cold(),
            ..VectorParams::default()
        });
        let map = meaning.into_iter().map(|meaning| (MEANING.to_owned(), meaning)).collect();
        let words = SparseVectorParams {
            index: Some(SparseIndexConfig { memory: self.cold(), ..SparseIndexConfig::default() }),
            modifier: Some(Modifier::Idf.into()),
        };
        let int8 = ScalarQuantization {
            r#type: QuantizationType::Int8.into(),
            memory: Some(Memory::Pinned.into()),
            ..ScalarQuantization::default()
        };
        let method =
            if options.shard_per_tenant { ShardingMethod::Custom } else { ShardingMethod::Auto };
        CreateCollection {
            collection_name: self.name.clone(),
            vectors_config: Some(VectorsConfig {
                config: Some(Config::ParamsMap(VectorParamsMap { map })),
            }),
            sparse_vectors_config: Some(SparseVectorConfig {
                map: HashMap::from([(WORDS.to_owned(), words)]),
            }),
            hnsw_config: Some(HnswConfigDiff {
                m: Some(0),
                payload_m: Some(LINKS),
                ..HnswConfigDiff::default()
            }),
            quantization_config: options
                .quantise
                .then_some(QuantizationConfig { quantization: Some(Quantization::Scalar(int8)) }),
            payload: Some(PayloadStorageParams { memory: self.cold() }),
            shard_number: Some(options.shards),
            replication_factor: Some(options.replicas),
            // A write is acknowledged by a majority.
            write_consistency_factor: Some(options.replicas / 2 + 1),
            sharding_method: Some(method.into()),
            ..CreateCollection::default()
        }
    }

    /// Whether a collection that is there is as this one would be made, as far as questions need.
    fn verify(&self, info: Option<&CollectionInfo>) -> Result<(), Refused> {
        let params = info.and_then(|info| info.config.as_ref()?.params.as_ref());
        let Some(params) = params else {
            return Err(Refused::Broken("it does not say what its collection is made of".into()));
        };
        let wrong = |what: &str| {
            let name = &self.name;
            Err(Refused::Broken(format!("the collection `{name}` {what}: remove or rename it")))
        };
        let config = params.vectors_config.as_ref().and_then(|config| config.config.as_ref());
        let meaning = match config {
            Some(Config::ParamsMap(map)) => map.map.get(MEANING),
            _ => None,
        };
        let size = meaning.map(|meaning| meaning.size as usize);
        let dot = meaning.is_none_or(|meaning| meaning.distance() == Distance::Dot);
        if size != self.size() || !dot {
            return wrong("has other vectors");
        }
        let words = params.sparse_vectors_config.as_ref().and_then(|map| map.map.get(WORDS));
        if words.is_none_or(|words| words.modifier() != Modifier::Idf) {
            return wrong("has no words with their rarity");
        }
        let custom = params.sharding_method == Some(ShardingMethod::Custom.into());
        if custom != self.options.shard_per_tenant {
            return wrong("is cut into shards in another way");
        }
        Ok(())
    }

    /// The fields that filters look at. Graphs are made for tenants and their collections alone.
    fn indexes(&self) -> Vec<CreateFieldIndexCollection> {
        let memory = self.cold();
        let keyword = |is_tenant: bool| {
            IndexParams::KeywordIndexParams(KeywordIndexParams {
                is_tenant: Some(is_tenant),
                memory,
                enable_hnsw: Some(is_tenant),
                ..KeywordIndexParams::default()
            })
        };
        let ids = |graph: bool| {
            IndexParams::UuidIndexParams(UuidIndexParams {
                memory,
                enable_hnsw: Some(graph),
                ..UuidIndexParams::default()
            })
        };
        let times = IndexParams::IntegerIndexParams(IntegerIndexParams {
            lookup: Some(false),
            range: Some(true),
            memory,
            enable_hnsw: Some(false),
            ..IntegerIndexParams::default()
        });
        let numbers = IndexParams::FloatIndexParams(FloatIndexParams {
            memory,
            enable_hnsw: Some(false),
            ..FloatIndexParams::default()
        });
        let flags = IndexParams::BoolIndexParams(BoolIndexParams {
            memory,
            enable_hnsw: Some(false),
            ..BoolIndexParams::default()
        });
        let within = |field: &str| format!("{}[].{field}", fields::NUMBERS);
        let fields = [
            (fields::TENANT.to_owned(), FieldType::Keyword, keyword(true)),
            (fields::COLLECTION.to_owned(), FieldType::Uuid, ids(true)),
            (fields::SHELF.to_owned(), FieldType::Uuid, ids(false)),
            (fields::MARKER.to_owned(), FieldType::Bool, flags),
            (fields::DOCUMENT.to_owned(), FieldType::Keyword, keyword(false)),
            (fields::GENERATION.to_owned(), FieldType::Uuid, ids(false)),
            (fields::CREATED_AT.to_owned(), FieldType::Integer, times),
            (fields::LABELS.to_owned(), FieldType::Keyword, keyword(false)),
            (within(fields::NUMBER_KEY), FieldType::Keyword, keyword(false)),
            (within(fields::NUMBER_VALUE), FieldType::Float, numbers),
        ];
        let index = |(field_name, kind, params): (String, FieldType, IndexParams)| {
            CreateFieldIndexCollection {
                collection_name: self.name.clone(),
                wait: Some(true),
                field_name,
                field_type: Some(kind.into()),
                field_index_params: Some(PayloadIndexParams { index_params: Some(params) }),
                ordering: None,
                timeout: None,
            }
        };
        fields.into_iter().map(index).collect()
    }

    fn sharded(&self) -> MutexGuard<'_, HashSet<TenantId>> {
        self.sharded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_shards(&self, connection: &Connection) -> Result<(), Refused> {
        let request = &ListShardKeysRequest { collection_name: self.name.clone() };
        let listed = connection
            .about(|client| async move { client.list_shard_keys(request.clone()).await })
            .await?;
        let tenant = |key: Option<ShardKey>| match key?.key? {
            shard_key::Key::Keyword(tenant) => TenantId::parse(&tenant).ok(),
            shard_key::Key::Number(_) => None,
        };
        let known = listed.shard_keys.into_iter().filter_map(|listed| tenant(listed.key));
        self.sharded().extend(known);
        Ok(())
    }

    /// Whether a tenant has nothing here, not even a shard of its own.
    pub(super) fn is_unknown(&self, tenant: &TenantId) -> bool {
        self.options.shard_per_tenant && !self.sharded().contains(tenant)
    }

    /// Gives a tenant its shard, where tenants have shards of their own.
    pub(super) async fn shard(
        &self,
        connection: &Connection,
        tenant: &TenantId,
    ) -> Result<(), Refused> {
        if !self.is_unknown(tenant) {
            return Ok(());
        }
        let key = shard_key::Key::Keyword(tenant.as_str().to_owned());
        let request = &CreateShardKeyRequest {
            collection_name: self.name.clone(),
            request: Some(CreateShardKey {
                shard_key: Some(ShardKey { key: Some(key) }),
                shards_number: Some(self.options.shards),
                replication_factor: Some(self.options.replicas),
                ..CreateShardKey::default()
            }),
            timeout: None,
        };
        let made = connection
            .about(|client| async move { client.create_shard_key(request.clone()).await })
            .await;
        match made {
            Ok(_) => {}
            // A call that was not answered may have made it.
            Err(Refused::Broken(why)) if why.contains("already exists") => {}
            Err(refused) => return Err(refused),
        }
        self.sharded().insert(tenant.clone());
        Ok(())
    }

    /// Where the points of a tenant are.
    pub(super) fn selector(&self, tenant: &TenantId) -> Option<ShardKeySelector> {
        let selector = || ShardKeySelector::from(vec![tenant.as_str().to_owned()]);
        self.options.shard_per_tenant.then(selector)
    }
}

/// Refuses a server that is too old.
pub(super) fn check_version(version: &str) -> Result<(), Refused> {
    let mut parts = version.split('.').map(|part| part.parse::<u64>().unwrap_or_default());
    let found = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if found >= VERSION_MIN {
        return Ok(());
    }
    let (major, minor) = VERSION_MIN;
    let why = format!(
        "Qdrant {version} is too old: {major}.{minor} or later is needed, since earlier ones count \
         how rare a word is over all tenants"
    );
    Err(Refused::Broken(why))
}

#[cfg(test)]
mod tests {
    use super::{Refused, check_version};

    #[test]
    fn a_server_that_is_too_old_is_refused_by_name() {
        for new in ["1.19.0", "1.20.3", "2.0.0", "1.19.0-dev"] {
            assert!(check_version(new).is_ok(), "{new}");
        }
        for old in ["1.18.4", "0.11.7", "", "what"] {
            let Err(Refused::Broken(why)) = check_version(old) else { panic!("{old}") };
            assert!(why.contains(old) && why.contains("1.19"), "{why}");
        }
    }
}
