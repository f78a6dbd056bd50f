//! The real binary as a process of its own, which a test ends as it likes.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use keepsake::cli::{Client, Settings};

use crate::qdrant::real_qdrant;

const KEEPSAKE: &str = env!("CARGO_BIN_EXE_keepsake");

/// How long one call may take: a machine at work on other things, a process under `strace`.
const CALL_MAX: Duration = Duration::from_secs(60);

/// How long a start may take on a machine that does ten other things.
const START_MAX: Duration = Duration::from_secs(120);

/// What a server is started with.
#[derive(Clone)]
pub struct Setup {
    /// Holds the data folder and the log.
    pub folder: PathBuf,
    pub engine: &'static str,
    /// A program and its flags that the binary is started under; nothing: by itself.
    pub under: Vec<String>,
}

/// A process that was started; it is killed with the test.
pub struct Process {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
}

/// A process that ended before it served.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub log: String,
}

/// A process that serves.
pub struct Server {
    process: Process,
    pub address: String,
    pub client: Client,
}

/// A command of the binary without the settings of whoever runs the tests.
pub fn keepsake() -> Command {
    without_settings(Command::new(KEEPSAKE))
}

fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KEEPSAKE_") {
            command.env_remove(name);
        }
    }
    command
}

/// The embedder of these tests: the one that costs next to nothing where the binary has it, so that
/// vectors are on their way when the process is killed.
fn embedder() -> &'static str {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let mut ask = keepsake();
        ask.env("KEEPSAKE_EMBEDDING_MODEL", "hashed").args(["serve", "--print-config"]);
        ask.output().unwrap().status.success()
    });
    if *known { "hashed" } else { "none" }
}

impl Setup {
    pub fn new(folder: &Path, engine: &'static str) -> Self {
        fs::create_dir_all(folder).unwrap();
        Self { folder: folder.to_owned(), engine, under: Vec::new() }
    }

    /// The same under another program.
    pub fn under(&self, program: &str, flags: &[String]) -> Self {
        let under = std::iter::once(program.to_owned()).chain(flags.iter().cloned());
        Self { under: under.collect(), ..self.clone() }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What the collections of the folder are called on a Qdrant server.
    pub fn qdrant_prefix(&self) -> String {
        let path = self.folder.to_string_lossy();
        let name: String = path.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("keepsake-test-{name}")
    }

    /// What the processes wrote to stderr, all of them.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn spawn(&self) -> Process {
        let mut command = match self.under.split_first() {
            Some((program, flags)) => {
                let mut command = without_settings(Command::new(program));
                command.args(flags).arg(KEEPSAKE);
                command
            }
            None => keepsake(),
        };
        let log = File::options().append(true).create(true).open(self.folder.join("log"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(self.data());
        command.env("KEEPSAKE_STORAGE_ENGINE", self.engine);
        command.env("KEEPSAKE_EMBEDDING_MODEL", embedder()).env("KEEPSAKE_LOG_FILTER", "warn");
        if let Some(url) = real_qdrant() {
            command.env("KEEPSAKE_DOCUMENTS_ENGINE", "qdrant");
            command.env("KEEPSAKE_DOCUMENTS_QDRANT_URL", url);
            command.env("KEEPSAKE_DOCUMENTS_QDRANT_PREFIX", self.qdrant_prefix());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.unwrap());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Process { child, stdout }
    }

    /// Starts a server and connects to it.
    pub async fn start(&self) -> Result<Server, Ended> {
        let mut process = self.spawn();
        let id = process.id();
        let greeting = tokio::task::spawn_blocking(move || {
            let greeted = process.greeted();
            (process, greeted)
        });
        tokio::pin!(greeting);
        let (mut process, greeted) = match tokio::time::timeout(START_MAX, &mut greeting).await {
            Ok(greeted) => greeted.unwrap(),
            // One that never says its key has not started: its end ends the wait.
            Err(_) => {
                signal(id, "-KILL");
                greeting.await.unwrap()
            }
        };
        let Some((address, api_key)) = greeted else {
            let status = process.wait();
            return Err(Ended { status, log: self.log() });
        };
        let settings = Settings {
            address: address.clone(),
            api_key: Some(api_key),
            ca_cert: None,
            timeout: CALL_MAX,
        };
        let client = Client::connect(&settings).await.unwrap();
        Ok(Server { process, address, client })
    }

    /// Starts a server that must start.
    pub async fn started(&self) -> Server {
        match self.start().await {
            Ok(server) => server,
            Err(ended) => panic!("the server did not start: {} {}", ended.status, ended.log),
        }
    }

    /// Lets `keepsake doctor` look at the folder, which no server may hold; gives what it says when
    /// something is wrong.
    pub fn doctor(&self) -> Result<(), String> {
        let mut command = keepsake();
        command.args(["doctor", "--data"]).arg(self.data());
        command.env("KEEPSAKE_STORAGE_ENGINE", self.engine);
        let said = command.output().unwrap();
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let text = text + &String::from_utf8_lossy(&said.stderr);
        if said.status.success() { Ok(()) } else { Err(text) }
    }
}

fn signal(id: u32, name: &str) {
    // It may have ended by itself.
    Command::new("kill").args([name, &id.to_string()]).stderr(Stdio::null()).status().unwrap();
}

impl Process {
    /// Waits for the address and the key that the greeting names; `None`: it ended before.
    fn greeted(&mut self) -> Option<(String, String)> {
        let mut address = None;
        let mut line = String::new();
        while self.stdout.read_line(&mut line).unwrap() > 0 {
            if let Some((_, rest)) = line.split_once("listens on ") {
                address = rest.split_once(',').map(|(address, _)| address.to_owned());
            } else if let Some((_, key)) = line.split_once("Development API key: ") {
                return Some((address.take()?, key.trim().to_owned()));
            }
            line.clear();
        }
        None
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a loss of the process does: no line of its code runs any more.
    pub fn kill(mut self) {
        self.end();
    }

    /// As [`Process::kill`].
    pub fn end(&mut self) {
        self.child.kill().unwrap();
        self.wait();
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    pub fn kill(self) {
        self.process.kill();
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(mut self) -> ExitStatus {
        signal(self.process.id(), "-TERM");
        // Its connections are open until the client is gone.
        drop(self.client);
        tokio::task::spawn_blocking(move || self.process.wait()).await.unwrap()
    }
}
