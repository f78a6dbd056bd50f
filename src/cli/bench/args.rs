//! The flags of `keepsake bench`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

/// Flags of `keepsake bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What is measured.
    #[command(subcommand)]
    pub(super) scenario: Scenario,
}

/// What is measured. Without --remote each brings a server of its own: a child process of this
/// binary on a folder of its own, so that its CPU time and its memory are the server's alone.
#[derive(Debug, Clone, Subcommand)]
pub enum Scenario {
    /// Closed loop: each client calls again as soon as it is answered. A row for each combination.
    Clients {
        /// How many clients at once.
        #[arg(long, value_delimiter = ',', default_value = "1,8,64,256")]
        clients: Vec<usize>,
        /// How many sessions the store holds.
        #[arg(long, value_delimiter = ',', default_value = "1000")]
        sessions: Vec<u64>,
        /// How many turns each session holds at first.
        #[arg(long, value_delimiter = ',', default_value = "100")]
        session_turns: Vec<u64>,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// Open loop: calls come at a rate, whether others are answered or not. A row for each rate.
    Rate {
        /// How many calls a second on average; their distances are exponential.
        #[arg(long, value_delimiter = ',', default_value = "500")]
        rate: Vec<f64>,
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// Finds the rate at which the server is saturated, then sends multiples of it.
    Overload {
        /// Multiples of the saturation.
        #[arg(long, value_delimiter = ',', default_value = "0.7,1,2,3")]
        multiples: Vec<f64>,
        /// The saturation in calls a second, instead of a search for it.
        #[arg(long)]
        saturation: Option<f64>,
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// One tenant at a rate, alone and then beside another that floods the server.
    Flood {
        /// Calls a second of the tenant that is watched.
        #[arg(long, default_value_t = 100.0)]
        rate: f64,
        /// Calls a second of the flood.
        #[arg(long, default_value_t = 5_000.0)]
        flood: f64,
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// Documents: how fast they come in, what they take, and how long Search and BuildContext take
    /// with them. Two rows for each combination of tenants and documents.
    Documents {
        #[command(flatten)]
        shelf: ShelfArgs,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// A long run at a share of the saturation: memory, descriptors and threads at intervals.
    Soak {
        /// The share of the saturation.
        #[arg(long, default_value_t = 0.7)]
        share: f64,
        /// The saturation in calls a second, instead of a search for it.
        #[arg(long)]
        saturation: Option<f64>,
        /// How long, in seconds.
        #[arg(long, default_value_t = 600.0)]
        soak: f64,
        /// Into how many intervals it is cut.
        #[arg(long, default_value_t = 20)]
        intervals: u32,
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        load: LoadArgs,
    },
}

/// How many documents come in, and how they are asked for.
#[derive(Debug, Clone, Args)]
pub struct ShelfArgs {
    /// How many tenants there are, each with a collection.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    pub(super) tenants: Vec<u64>,
    /// How many documents each collection holds, of some 10 chunks of 200 tokens.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000")]
    pub(super) documents: Vec<u64>,
    /// How many streams are open at once while they come in.
    #[arg(long, default_value_t = 8)]
    pub(super) streams: usize,
    /// How many questions are asked, one after the other.
    #[arg(long, default_value_t = 1_000)]
    pub(super) questions: u64,
}

/// How much the store holds.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// How many sessions the store holds.
    #[arg(long, default_value_t = 1_000)]
    pub(super) sessions: u64,
    /// How many turns each session holds at first.
    #[arg(long, default_value_t = 100)]
    pub(super) session_turns: u64,
}

/// What embeds in the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EmbeddingArg {
    /// Nothing: retrieval goes by words.
    None,
    /// The built-in model, at its own rate.
    Minilm,
    /// Vectors as long as the built-in model's that cost nothing and say little: for figures of
    /// what is around them.
    Hashed,
}

/// What keeps the record in the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineArg {
    /// On disk.
    Fjall,
    /// On disk, the other engine.
    Sled,
    /// In memory: what the same calls cost without a disk.
    Memory,
}

/// Which calls are sent, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Load")]
pub struct LoadArgs {
    /// The share of appends among the calls; the others build contexts.
    #[arg(long, default_value_t = 0.5)]
    pub(super) append_share: f64,
    /// How long each row is measured, in seconds.
    #[arg(long, default_value_t = 10.0)]
    pub(super) duration: f64,
    /// How long calls are sent before that, in seconds.
    #[arg(long, default_value_t = 2.0)]
    pub(super) warm_up: f64,
    /// To how many of the sessions calls go; 0: to all.
    #[arg(long, default_value_t = 0)]
    pub(super) active: u64,
    /// The budget of contexts, in tokens.
    #[arg(long, default_value_t = 4_000)]
    pub(super) budget: u32,
    /// The deadline of each call, in milliseconds.
    #[arg(long, default_value_t = 10_000)]
    pub(super) deadline_ms: u64,
    /// A folder with a set of conversations: SET.turns.jsonl.gz, and SET.queries.jsonl.gz for the
    /// questions [default: conversations made by the seed].
    #[arg(long, value_name = "FOLDER")]
    pub(super) data: Option<PathBuf>,
    /// The name of the set.
    #[arg(long, default_value = "locomo")]
    pub(super) set: String,
    /// What decides all that is drawn.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Connections [default: one for 32 clients; 64 in an open loop].
    #[arg(long)]
    pub(super) connections: Option<usize>,
    /// Threads that send [default: half of the cores].
    #[arg(long)]
    pub(super) threads: Option<usize>,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// How the server of the command's own runs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// What embeds.
    #[arg(long, value_enum, default_value = "none")]
    pub(super) embedding: EmbeddingArg,
    /// What keeps the record.
    #[arg(long, value_enum, default_value = "fjall")]
    pub(super) engine: EngineArg,
    /// The folder of its data, kept for the next run, which does not fill it again [default: a
    /// temporary one].
    #[arg(long, value_name = "FOLDER")]
    pub(super) store: Option<PathBuf>,
    /// Measures the server of --address, which it fills with sessions `bench-N`, in place of one of
    /// its own.
    #[arg(long)]
    pub(super) remote: bool,
    /// Gives the server one half of the cores and what sends the other, so that a flood takes the
    /// server no core.
    #[arg(long)]
    pub(super) apart: bool,
    /// Measures at once, while turns still wait for their vectors.
    #[arg(long)]
    pub(super) unsettled: bool,
}

impl Scenario {
    /// The flags that all scenarios share.
    pub(super) fn load(&self) -> &LoadArgs {
        match self {
            Self::Clients { load, .. }
            | Self::Rate { load, .. }
            | Self::Overload { load, .. }
            | Self::Flood { load, .. }
            | Self::Documents { load, .. }
            | Self::Soak { load, .. } => load,
        }
    }
}

impl LoadArgs {
    /// How long each row is measured.
    pub(super) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.duration.clamp(0.01, 86_400.0))
    }

    /// How long calls are sent before.
    pub(super) fn warm_up(&self) -> Duration {
        Duration::from_secs_f64(self.warm_up.clamp(0.0, 86_400.0))
    }
}
