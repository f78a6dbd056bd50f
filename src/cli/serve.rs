//! `keepsake serve`: settings together, a server started, its end awaited.

use std::error::Error;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{Running, start};
use crate::cli::output::note;
use crate::config::{Engine, Layers, LogFormat, Settings, print};
use crate::error::chain;
use crate::telemetry::{LogForm, start_log};

/// The exit code of a start that was refused for its settings.
const EXIT_SETTINGS: u8 = 2;
/// The exit code of everything else that went wrong.
const EXIT_FAILED: u8 = 1;

/// How to run the server. Defaults < file < environment (`KEEPSAKE_…`) < flags.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The data folder; made when it is not there [default: keepsake-data].
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
    /// Where to listen; port 0 is any free one [default: 127.0.0.1:7777].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// A TOML file of settings.
    #[arg(long, value_name = "FILE", env = "KEEPSAKE_CONFIG")]
    config: Option<PathBuf>,
    /// Prints the settings in force, each with where it came from, and ends.
    #[arg(long)]
    print_config: bool,
    /// Allows a public address without TLS.
    #[arg(long)]
    insecure_public: bool,
    /// The certificate chain, a PEM file.
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,
    /// The private key, a PEM file.
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
}

/// Defaults, then a file, then the environment.
pub(super) fn layers_below_flags(file: Option<&Path>) -> std::io::Result<Layers> {
    let layers = match file {
        Some(path) => Layers::default().with_file(&std::fs::read_to_string(path)?),
        None => Layers::default(),
    };
    let texts = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(layers.with_environment(texts))
}

impl ServeArgs {
    fn layers(&self) -> std::io::Result<Layers> {
        Ok(layers_below_flags(self.config.as_deref())?
            .with_flag("data", self.data.clone())
            .with_flag("listen", self.listen.clone())
            .with_flag("insecure_public", self.insecure_public.then(|| "true".to_owned()))
            .with_flag("tls.cert", self.tls_cert.clone())
            .with_flag("tls.key", self.tls_key.clone()))
    }
}

/// Runs a server until SIGTERM or SIGINT. Exit codes: 0 ended as asked, 2 wrong settings, 1 else.
pub fn serve(args: &ServeArgs) -> ExitCode {
    let layers = match args.layers() {
        Ok(layers) => layers,
        Err(error) => {
            let path = args.config.as_deref().unwrap_or_else(|| "the file".as_ref());
            eprintln!("error: cannot read `{}`: {error}", path.display());
            return ExitCode::from(EXIT_SETTINGS);
        }
    };
    let settings = match Settings::resolve(&layers) {
        Ok(settings) => settings,
        Err(mistakes) => {
            for mistake in mistakes {
                eprintln!("error: {mistake}");
            }
            return ExitCode::from(EXIT_SETTINGS);
        }
    };
    if args.print_config {
        // A reader that went away wants no more.
        let _ = std::io::stdout().write_all(print(&layers).as_bytes());
        return ExitCode::SUCCESS;
    }
    let form = match settings.log_format {
        LogFormat::Text => LogForm::Text,
        LogFormat::Json => LogForm::Json,
    };
    // It writes the last lines when this function ends.
    let _log = match start_log(form, &settings.log_filter) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("error: `log.filter` {error}");
            return ExitCode::from(EXIT_SETTINGS);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(run(&settings));
            // The store is closed: what still computes computes for nobody.
            runtime.shutdown_background();
            code
        }
        Err(error) => failed(&error),
    }
}

async fn run(settings: &Settings) -> ExitCode {
    // A signal that comes while the server starts ends it, in order, as soon as it has started.
    let (mut term, mut int) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(term), Ok(int)) => (term, int),
            (Err(error), _) | (_, Err(error)) => return failed(&error),
        };
    let running = match start(settings).await {
        Ok(running) => running,
        Err(error) => return failed(&error),
    };
    greet(settings, &running);
    tell(&[NotifyState::Ready]);
    let fault = tokio::select! {
        _ = term.recv() => None,
        _ = int.recv() => None,
        fault = running.faulted() => Some(fault),
    };
    if fault.is_none() {
        tracing::info!("stopping: calls that run may end");
    }
    tell(&[NotifyState::Stopping]);
    let stopped = running.stop().await;
    match fault.or(stopped.err()) {
        Some(error) => failed(&error),
        None => ExitCode::SUCCESS,
    }
}

/// Tells the service manager, if there is one (systemd's `NOTIFY_SOCKET`).
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("the service manager cannot be told: {error}");
    }
}

/// Says where the server listens, which key opens it, and what to try next.
fn greet(settings: &Settings, running: &Running) {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let address = format!("{scheme}://{}", running.address);
    // Where it listens on all addresses, this machine finds it at its own.
    let mut near = running.address;
    if near.ip().is_unspecified() {
        near.set_ip(match near.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let mut lines = vec![match settings.engine {
        Engine::Fjall | Engine::Sled => {
            format!("Keepsake listens on {address}, data in {}", settings.data.display())
        }
        Engine::Memory => format!("Keepsake listens on {address}, data in memory only"),
    }];
    if let Some(key) = &running.dev_key {
        lines.push(format!("Development API key: {key}"));
        if settings.engine != Engine::Memory {
            lines.push(format!("  (also in {}/dev.key)", settings.data.display()));
        }
        let program = std::env::args().next().unwrap_or_else(|| "keepsake".to_owned());
        lines.push("Paste next, in another terminal:".to_owned());
        lines.push(format!("  export KEEPSAKE_ADDRESS={scheme}://{near} KEEPSAKE_API_KEY={key}"));
        if let Some(tls) = &settings.tls {
            lines.push(format!("  export KEEPSAKE_CA_CERT={}", tls.cert.display()));
        }
        let say = "session append trip --user ann --role user --text 'My train leaves at 7:42.'";
        lines.push(format!(
            "  {program} {say} && {program} context --session trip 'When does my train leave?'"
        ));
    }
    let mut out = std::io::stdout().lock();
    // A closed stdout is no reason to stop serving.
    let _ = writeln!(out, "{}", lines.join("\n")).and_then(|()| out.flush());
}

fn failed(error: &dyn Error) -> ExitCode {
    // At once, and without a panic where stderr cannot be written either.
    note(&format!("error: {}", chain(error)));
    ExitCode::from(EXIT_FAILED)
}
