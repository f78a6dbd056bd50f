//! The server that is measured: a child process of this binary, or one that runs already.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::args::{EmbeddingArg, EngineArg, ServerArgs};
use super::cores::Halves;
use super::metrics::Metrics;
use super::watch::Watch;
use crate::cli::{ClientArgs, Error, Settings};

/// What a server says before its address and its development key.
const ADDRESS_AFTER: &str = "Keepsake listens on ";
const KEY_AFTER: &str = "Development API key: ";

/// How long a server may take to end: it drains its calls for 8 s at most, then closes its store.
const END_MAX: Duration = Duration::from_secs(30);
/// How often it is looked whether it has ended.
const END_EVERY: Duration = Duration::from_millis(5);

/// Where calls go and as whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// `http://`, host and port.
    pub address: String,
    /// The API key.
    pub api_key: Option<String>,
    /// The certificate to trust.
    pub ca_cert: Option<PathBuf>,
}

impl Target {
    /// The server that the client's flags name.
    ///
    /// # Errors
    /// As [`Settings::resolve`].
    pub fn named(client: &ClientArgs) -> Result<Self, Error> {
        let Settings { address, api_key, ca_cert, .. } = Settings::resolve(client)?;
        Ok(Self { address, api_key, ca_cert })
    }

    /// A client's settings, with a deadline for each call.
    pub fn settings(&self, timeout: Duration) -> Settings {
        let Self { address, api_key, ca_cert } = self.clone();
        Settings { address, api_key, ca_cert, timeout }
    }
}

/// The folder of a server's data.
#[derive(Debug)]
pub enum Folder {
    /// It goes with the benchmark.
    Temporary(TempDir),
    /// It stays.
    Kept(PathBuf),
}

impl Folder {
    /// The folder that the flags name, or a temporary one.
    ///
    /// # Errors
    /// [`Error::Internal`] when none can be made.
    pub fn new(args: &ServerArgs) -> Result<Self, Error> {
        match &args.store {
            Some(path) => Ok(Self::Kept(path.clone())),
            None => {
                let made = tempfile::Builder::new().prefix("keepsake-bench-").tempdir();
                let folder = made.map_err(|e| Error::Internal(format!("no folder: {e}")))?;
                Ok(Self::Temporary(folder))
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }
}

/// A child process that serves. Dropping it kills it.
pub struct Server {
    child: Child,
    /// Its process, watched.
    pub watch: Watch,
    /// Where it serves.
    pub target: Target,
    /// Where it says its metrics.
    pub metrics: Metrics,
    /// How long it took from the start of the process until it listened.
    pub start: Duration,
}

impl Server {
    /// Starts a server and waits until it listens.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be started or ends at once; what it says about that is on
    /// stderr.
    pub fn start(folder: &Folder, args: &ServerArgs) -> Result<Self, Error> {
        let failed = |error| Error::Internal(format!("cannot start a server: {error}"));
        let metrics = free_address().map_err(failed)?;
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path());
        command.env("KEEPSAKE_METRICS_LISTEN", metrics.to_string());
        command.env("KEEPSAKE_STORAGE_ENGINE", engine(args.engine));
        command.env("KEEPSAKE_EMBEDDING_MODEL", embedding(args.embedding));
        // The load is one tenant's: its rate is no figure of the server.
        let usual = [("LOG_FILTER", "warn"), ("LIMITS_TENANT_CALLS_PER_SECOND", "0")];
        for (name, value) in usual.map(|(name, value)| (format!("KEEPSAKE_{name}"), value)) {
            if std::env::var_os(&name).is_none() {
                command.env(name, value);
            }
        }
        let began = Instant::now();
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut spawn = || command.spawn();
        let child = match args.apart {
            true => Halves::new()?.with_servers(spawn),
            false => spawn(),
        };
        let mut child = child.map_err(failed)?;
        let stdout = child.stdout.take().expect("it is piped");
        let mut server = Self {
            watch: Watch::new(child.id()),
            child,
            target: Target { address: String::new(), api_key: None, ca_cert: None },
            metrics: Metrics::new(metrics),
            start: Duration::ZERO,
        };
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(failed)?;
            if let Some(rest) = line.strip_prefix(ADDRESS_AFTER) {
                server.start = began.elapsed();
                rest.split(',').next().unwrap_or_default().clone_into(&mut server.target.address);
            }
            if let Some(key) = line.strip_prefix(KEY_AFTER) {
                server.target.api_key = Some(key.to_owned());
                return Ok(server);
            }
        }
        Err(Error::Internal("the server ended before it listened, or made no key".to_owned()))
    }

    /// Ends the server in order, so that its store is closed.
    ///
    /// # Errors
    /// [`Error::Internal`] when it does not end, or not well.
    pub fn stop(mut self) -> Result<(), Error> {
        let failed = |error| Error::Internal(format!("cannot end the server: {error}"));
        if !self.watch.terminate() {
            return Err(Error::Internal("the server had ended already".to_owned()));
        }
        let began = Instant::now();
        while began.elapsed() < END_MAX {
            match self.child.try_wait().map_err(failed)? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(Error::Internal(format!("the server: {status}"))),
                None => std::thread::sleep(END_EVERY),
            }
        }
        Err(Error::Internal(format!("the server did not end within {END_MAX:?}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already when it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn engine(arg: EngineArg) -> &'static str {
    match arg {
        EngineArg::Fjall => "fjall",
        EngineArg::Sled => "sled",
        EngineArg::Memory => "memory",
    }
}

fn embedding(arg: EmbeddingArg) -> &'static str {
    match arg {
        EmbeddingArg::None => "none",
        EmbeddingArg::Minilm => "minilm",
        EmbeddingArg::Hashed => "hashed",
    }
}

/// An address that nobody listened on a moment ago.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
