//! The table of all settings.

/// A setting that exists.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its place in the file.
    pub path: &'static str,
    /// Its environment variable.
    pub env: &'static str,
    /// Its default; `None`: not set.
    pub default: Option<&'static str>,
    /// Whether the file writes it as a text.
    pub is_text: bool,
    /// What it does.
    pub doc: &'static str,
}

impl Key {
    /// A value as a TOML file writes it.
    pub fn as_toml(&self, value: &str) -> String {
        if self.is_text {
            toml::Value::String(value.to_owned()).to_string()
        } else {
            value.to_owned()
        }
    }
}

/// All settings, in the order of a file: those without a table first.
pub const KEYS: &[Key] = &[
    Key {
        path: "data",
        env: "KEEPSAKE_DATA",
        default: Some("keepsake-data"),
        is_text: true,
        doc: "The data folder; made when it is not there.",
    },
    Key {
        path: "listen",
        env: "KEEPSAKE_LISTEN",
        default: Some("127.0.0.1:7777"),
        is_text: true,
        doc: "Where the server listens, ADDRESS:PORT; port 0 is any free one.",
    },
    Key {
        path: "insecure_public",
        env: "KEEPSAKE_INSECURE_PUBLIC",
        default: Some("false"),
        is_text: false,
        doc: "Whether it may listen on a public address without TLS.",
    },
    Key {
        path: "tls.cert",
        env: "KEEPSAKE_TLS_CERT",
        default: None,
        is_text: true,
        doc: "The certificate chain, a PEM file.",
    },
    Key {
        path: "tls.key",
        env: "KEEPSAKE_TLS_KEY",
        default: None,
        is_text: true,
        doc: "The private key, a PEM file.",
    },
    Key {
        path: "storage.engine",
        env: "KEEPSAKE_STORAGE_ENGINE",
        default: Some("fjall"),
        is_text: true,
        doc: "The engine of the record: `fjall` or `sled` (on disk), `memory` (gone at the end).",
    },
    Key {
        path: "storage.free_bytes_min",
        env: "KEEPSAKE_STORAGE_FREE_BYTES_MIN",
        default: Some("268435456"),
        is_text: false,
        doc: "Bytes of the disk to keep free: below, only what erases is written; 0: none.",
    },
    Key {
        path: "storage.erase_after_hours",
        env: "KEEPSAKE_STORAGE_ERASE_AFTER_HOURS",
        default: Some("24"),
        is_text: false,
        doc: "By when files hold nothing of what was deleted; 0: only when it is asked for.",
    },
    Key {
        path: "cache.partitions_bytes",
        env: "KEEPSAKE_CACHE_PARTITIONS_BYTES",
        default: Some("268435456"),
        is_text: false,
        doc: "How much memory copies of sessions may take, in bytes; least recently used go.",
    },
    Key {
        path: "embedding.model",
        env: "KEEPSAKE_EMBEDDING_MODEL",
        default: Some("minilm"),
        is_text: true,
        doc: "What embeds turns and questions: `minilm` (built in), or `none` (words alone).",
    },
    Key {
        path: "embedding.next",
        env: "KEEPSAKE_EMBEDDING_NEXT",
        default: Some(""),
        is_text: true,
        doc: "The model that is to take over, prepared beside the one that serves; see `keepsake embedding`.",
    },
    Key {
        path: "embedding.threads",
        env: "KEEPSAKE_EMBEDDING_THREADS",
        default: Some("0"),
        is_text: false,
        doc: "How many threads embed turns; 0: one for every two cores. Questions have one more.",
    },
    Key {
        path: "documents.engine",
        env: "KEEPSAKE_DOCUMENTS_ENGINE",
        default: Some("embedded"),
        is_text: true,
        doc: "What finds documents: `embedded` (in the process), or `qdrant` (a server beside it).",
    },
    Key {
        path: "documents.qdrant.url",
        env: "KEEPSAKE_DOCUMENTS_QDRANT_URL",
        default: Some("http://127.0.0.1:6334"),
        is_text: true,
        doc: "Where Qdrant (1.19 or later) speaks gRPC, http://HOST:PORT or https://HOST:PORT.",
    },
    Key {
        path: "documents.qdrant.api_key",
        env: "KEEPSAKE_DOCUMENTS_QDRANT_API_KEY",
        default: None,
        is_text: true,
        doc: "The API key that Qdrant asks for. It is never shown.",
    },
    Key {
        path: "documents.qdrant.search_ms",
        env: "KEEPSAKE_DOCUMENTS_QDRANT_SEARCH_MS",
        default: Some("1000"),
        is_text: false,
        doc: "How long Qdrant may take to answer a question, in milliseconds; then it is left out.",
    },
    Key {
        path: "documents.qdrant.prefix",
        env: "KEEPSAKE_DOCUMENTS_QDRANT_PREFIX",
        default: Some("keepsake"),
        is_text: true,
        doc: "What its collections are called, before a dash and a digest of the model.",
    },
    Key {
        path: "documents.qdrant.shards",
        env: "KEEPSAKE_DOCUMENTS_QDRANT_SHARDS",
        default: Some("1"),
        is_text: false,
        doc: "How many shards a new collection has; of each tenant where those have their own.",
    },
    Key {
        path: "documents.qdrant.replicas",
        env: "KEEPSAKE_DOCUMENTS_QDRANT_REPLICAS",
        default: Some("1"),
        is_text: false,
        doc: "How many nodes have each shard of a new collection.",
    },
    Key {
        path: "documents.qdrant.shard_per_tenant",
        env: "KEEPSAKE_DOCUMENTS_QDRANT_SHARD_PER_TENANT",
        default: Some("false"),
        is_text: false,
        doc: "Whether a new collection has shards of each tenant; Qdrant must run as a cluster.",
    },
    Key {
        path: "documents.qdrant.quantise",
        env: "KEEPSAKE_DOCUMENTS_QDRANT_QUANTISE",
        default: Some("true"),
        is_text: false,
        doc: "Whether a new collection has vectors of one byte a number in memory.",
    },
    Key {
        path: "documents.qdrant.on_disk",
        env: "KEEPSAKE_DOCUMENTS_QDRANT_ON_DISK",
        default: Some("false"),
        is_text: false,
        doc: "Whether a new collection leaves vectors, words and payloads on disk.",
    },
    Key {
        path: "limits.connections",
        env: "KEEPSAKE_LIMITS_CONNECTIONS",
        default: Some("0"),
        is_text: false,
        doc: "Connections at a time; 0: half of the files that it may open, 10000 at most.",
    },
    Key {
        path: "limits.tenant_calls_per_second",
        env: "KEEPSAKE_LIMITS_TENANT_CALLS_PER_SECOND",
        default: Some("10000"),
        is_text: false,
        doc: "Calls a second of one tenant; 0: any number.",
    },
    Key {
        path: "limits.tenant_calls_burst",
        env: "KEEPSAKE_LIMITS_TENANT_CALLS_BURST",
        default: Some("20000"),
        is_text: false,
        doc: "How many of these calls may come at once.",
    },
    Key {
        path: "limits.tenant_sessions",
        env: "KEEPSAKE_LIMITS_TENANT_SESSIONS",
        default: Some("1000000"),
        is_text: false,
        doc: "How many sessions a tenant may have; they are counted at its first new one.",
    },
    Key {
        path: "limits.tenant_share_percent",
        env: "KEEPSAKE_LIMITS_TENANT_SHARE_PERCENT",
        default: Some("50"),
        is_text: false,
        doc: "The share of the places that one tenant may have while others call, in percent.",
    },
    Key {
        path: "limits.reads_min",
        env: "KEEPSAKE_LIMITS_READS_MIN",
        default: Some("0"),
        is_text: false,
        doc: "How many reads run at a time at least, under any load; 0: two for every core.",
    },
    Key {
        path: "limits.reads_max",
        env: "KEEPSAKE_LIMITS_READS_MAX",
        default: Some("256"),
        is_text: false,
        doc: "How many reads run at a time at most; in between it adapts to how long they take.",
    },
    Key {
        path: "limits.writes_min",
        env: "KEEPSAKE_LIMITS_WRITES_MIN",
        default: Some("128"),
        is_text: false,
        doc: "How many writes run at a time at least: they wait for the disk together.",
    },
    Key {
        path: "limits.writes_max",
        env: "KEEPSAKE_LIMITS_WRITES_MAX",
        default: Some("1024"),
        is_text: false,
        doc: "How many writes run at a time at most.",
    },
    Key {
        path: "limits.waiting",
        env: "KEEPSAKE_LIMITS_WAITING",
        default: Some("1024"),
        is_text: false,
        doc: "How many reads, and how many writes, wait at most.",
    },
    Key {
        path: "limits.wait_ms",
        env: "KEEPSAKE_LIMITS_WAIT_MS",
        default: Some("100"),
        is_text: false,
        doc: "How long a call may wait before it is refused; imports and lists ten times longer.",
    },
    Key {
        path: "limits.wait_ms_overloaded",
        env: "KEEPSAKE_LIMITS_WAIT_MS_OVERLOADED",
        default: Some("5"),
        is_text: false,
        doc: "The same while the queue has not been empty for `limits.wait_ms`.",
    },
    Key {
        path: "limits.request_bytes",
        env: "KEEPSAKE_LIMITS_REQUEST_BYTES",
        default: Some("134217728"),
        is_text: false,
        doc: "Memory for requests of more than 64 KiB that are under way, in bytes.",
    },
    Key {
        path: "limits.answer_bytes",
        env: "KEEPSAKE_LIMITS_ANSWER_BYTES",
        default: Some("134217728"),
        is_text: false,
        doc: "Memory for answers that are not read yet, in bytes; a tenant may have half.",
    },
    Key {
        path: "auth.dev_key",
        env: "KEEPSAKE_AUTH_DEV_KEY",
        default: Some("true"),
        is_text: false,
        doc: "Whether the first start makes a development key with all scopes (`DATA/dev.key`).",
    },
    Key {
        path: "metrics.listen",
        env: "KEEPSAKE_METRICS_LISTEN",
        default: None,
        is_text: true,
        doc: "Where metrics are served to Prometheus over HTTP, ADDRESS:PORT, without credentials.",
    },
    Key {
        path: "tracing.otlp_endpoint",
        env: "KEEPSAKE_TRACING_OTLP_ENDPOINT",
        default: None,
        is_text: true,
        doc: "The collector that spans of calls are sent to, http://HOST:PORT, OTLP over gRPC.",
    },
    Key {
        path: "tracing.sample_ratio",
        env: "KEEPSAKE_TRACING_SAMPLE_RATIO",
        default: Some("1"),
        is_text: false,
        doc: "Which part of the traces that begin here is sent, 0 to 1; callers decide on theirs.",
    },
    Key {
        path: "log.format",
        env: "KEEPSAKE_LOG_FORMAT",
        default: Some("text"),
        is_text: true,
        doc: "The form of the log on stderr: `text` or `json`.",
    },
    Key {
        path: "log.filter",
        env: "KEEPSAKE_LOG_FILTER",
        default: Some("info,fjall=warn,lsm_tree=warn,sled=warn"),
        is_text: true,
        doc: "What is logged, for example `warn` or `keepsake=debug`.",
    },
];
