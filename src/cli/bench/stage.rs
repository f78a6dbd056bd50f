//! A server with its store filled, ready to be measured, and one row measured on it.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use tonic::Code;

use super::args::{EmbeddingArg, EngineArg, LoadArgs, StoreArgs};
use super::load::{self, Load, Pace, Window};
use super::report::{Row, Used};
use super::server::{Folder, Server, Target};
use super::talk::{Talk, session_id};
use crate::cli::{
    Client, ClientArgs, Error,
    import::{self, ImportSession},
    output::note,
};
use crate::proto::v1;

/// How long a call may take while the store is filled.
const FILL_TIMEOUT: Duration = Duration::from_secs(120);
/// Turns that are made at once to fill: some megabytes.
const FILL_TURNS: u64 = 100_000;
/// How often the server is looked at while a row is measured.
const SAMPLE_EVERY: Duration = Duration::from_millis(200);
/// How long turns may wait for their vectors before the first row, and how often that is asked:
/// the server's gauge is set each five seconds.
const SETTLE_MAX: Duration = Duration::from_secs(3_600);
const SETTLE_EVERY: Duration = Duration::from_secs(6);
/// Clients that share a connection in a closed loop, and connections of an open loop.
const CLIENTS_A_CONNECTION: usize = 32;
const OPEN_CONNECTIONS: usize = 64;

/// What is measured: a server of the command's own, or one that runs already.
pub struct Stage<'a> {
    args: &'a LoadArgs,
    talk: &'a Talk,
    store: StoreArgs,
    server: Option<Server>,
    target: Target,
    /// Held for its end: a temporary one goes with it.
    _folder: Option<Folder>,
}

impl<'a> Stage<'a> {
    /// Starts a server, fills its store and starts it again, so that the figures of a start are
    /// those of a full store and no copy of a session is in memory; or fills the server that the
    /// client's flags name.
    ///
    /// # Errors
    /// When the server cannot be had or filled.
    pub async fn set(
        args: &'a LoadArgs,
        talk: &'a Talk,
        client: &ClientArgs,
        store: &StoreArgs,
    ) -> Result<Self, Error> {
        let stage = |server: Option<Server>, target: Target, folder| Self {
            args,
            talk,
            store: store.clone(),
            server,
            target,
            _folder: folder,
        };
        if args.server.remote {
            let target = Target::named(client)?;
            fill(&target, talk, store).await?;
            return Ok(stage(None, target, None));
        }
        let folder = Folder::new(&args.server)?;
        let mut server = Server::start(&folder, &args.server)?;
        let filled = fill(&server.target, talk, store).await?;
        if filled && args.server.engine != EngineArg::Memory {
            settle(&server, args).await?;
            server.stop()?;
            server = Server::start(&folder, &args.server)?;
        }
        settle(&server, args).await?;
        let target = server.target.clone();
        Ok(stage(Some(server), target, Some(folder)))
    }

    /// How long the server took to start on the full store, and its memory now; `None`: it is
    /// another's, or its store was filled after the start.
    pub fn started(&mut self) -> Option<(Duration, u64)> {
        let on_disk = self.args.server.engine != EngineArg::Memory;
        let server = self.server.as_mut().filter(|_| on_disk)?;
        Some((server.start, server.watch.sample().rss_bytes))
    }

    /// The sessions that calls go to.
    pub fn sessions(&self) -> (u64, u64) {
        let active = if self.args.active == 0 { u64::MAX } else { self.args.active };
        (0, self.store.sessions.min(active).max(1))
    }

    /// A load of the command's tenant.
    pub fn load(&self, pace: Pace) -> Load<'a> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let usual = match pace {
            Pace::Closed(clients) => clients.div_ceil(CLIENTS_A_CONNECTION),
            Pace::Open(_) => OPEN_CONNECTIONS,
        };
        let threads = self.args.threads.unwrap_or(cores / 2).max(1);
        let threads = match pace {
            Pace::Closed(clients) => threads.min(clients.max(1)),
            Pace::Open(_) => threads,
        };
        Load {
            target: self.target.clone(),
            talk: self.talk,
            pace,
            append_share: self.args.append_share,
            sessions: self.sessions(),
            renew_at: None,
            budget: self.args.budget,
            deadline: Duration::from_millis(self.args.deadline_ms),
            seed: self.args.seed,
            connections: self.args.connections.unwrap_or(usual),
            threads,
            apart: self.args.server.apart,
        }
    }

    /// Measures one load.
    ///
    /// # Errors
    /// When a connection cannot be had.
    pub fn row(&mut self, name: String, pace: Pace) -> Result<Row, Error> {
        let load = self.load(pace);
        let mut rows = self.rows(&[name], &[load])?;
        Ok(rows.remove(0))
    }

    /// Measures loads at once: a row for each, all with what the server used for them together.
    ///
    /// # Errors
    /// When a connection cannot be had.
    pub fn rows(&mut self, names: &[String], loads: &[Load<'_>]) -> Result<Vec<Row>, Error> {
        self.rows_for(names, loads, self.args.duration())
    }

    /// Measures one open loop for another time than the other rows. Sessions begin anew at twice
    /// the turns that they had, so that the store holds as much at the end as at the start.
    ///
    /// # Errors
    /// When a connection cannot be had.
    pub fn long_row(&mut self, name: String, rate: f64, duration: Duration) -> Result<Row, Error> {
        let renew_at = Some(2 * self.store.session_turns.max(1));
        let load = Load { renew_at, ..self.load(Pace::Open(rate)) };
        let mut rows = self.rows_for(&[name], &[load], duration)?;
        Ok(rows.remove(0))
    }

    fn rows_for(
        &mut self,
        names: &[String],
        loads: &[Load<'_>],
        duration: Duration,
    ) -> Result<Vec<Row>, Error> {
        let server = self.server.as_mut();
        let during = |window: Window| server.map(|server| observe(server, window));
        let (tallies, mut used) = load::send(loads, (self.args.warm_up(), duration), during)?;
        if let Some(used) = &mut used {
            used.calls = tallies.iter().map(|tally| tally.ended.0 + tally.ended.1).sum();
        }
        let rows = names.iter().zip(tallies).map(|(name, tally)| Row {
            name: name.clone(),
            duration,
            tally,
            used: used.clone(),
        });
        Ok(rows.collect())
    }

    /// Makes another tenant with the same sessions, and gives where its calls go.
    ///
    /// # Errors
    /// When the key may not make tenants.
    pub async fn other_tenant(&self, sessions: u64) -> Result<Target, Error> {
        let client = Client::connect(&self.target.settings(FILL_TIMEOUT)).await?;
        let tenant = format!("bench-{}", uuid::Uuid::new_v4());
        let new = v1::CreateTenantRequest { tenant_id: tenant.clone(), ..Default::default() };
        client.tenants.clone().create_tenant(new).await?;
        let key = v1::CreateApiKeyRequest {
            tenant_id: tenant,
            display_name: "benchmark".to_owned(),
            scopes: vec![v1::KeyScope::Read.into(), v1::KeyScope::Write.into()],
            ..Default::default()
        };
        let secret = client.tenants.clone().create_api_key(key).await?.into_inner().secret;
        let target = Target { api_key: Some(secret), ..self.target.clone() };
        let store = StoreArgs { sessions, session_turns: self.store.session_turns };
        fill(&target, self.talk, &store).await?;
        Ok(target)
    }

    /// Ends the server, if it is the command's own.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn strike(self) -> Result<(), Error> {
        self.server.map_or(Ok(()), Server::stop)
    }
}

/// Looks at the server from the begin to the end of a window.
fn observe(server: &mut Server, window: Window) -> Used {
    sleep_until(window.from);
    let before = server.metrics.scrape();
    let mut samples = vec![server.watch.sample()];
    loop {
        let next = (Instant::now() + SAMPLE_EVERY).min(window.until);
        sleep_until(next);
        samples.push(server.watch.sample());
        if next == window.until {
            let measured = server.metrics.scrape().since(&before);
            return Used { samples, measured, calls: 0 };
        }
    }
}

fn sleep_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
}

/// Fills a tenant's sessions, unless that was done. `false`: it was.
async fn fill(target: &Target, talk: &Talk, store: &StoreArgs) -> Result<bool, Error> {
    let client = Client::connect(&target.settings(FILL_TIMEOUT)).await?;
    let (sessions, turns) = (store.sessions, store.session_turns);
    // A session that says what was filled: others may have grown since.
    let mark = format!("bench-filled-{sessions}x{turns}");
    let known = v1::GetSessionRequest { session_id: mark.clone() };
    match client.memory.clone().get_session(known).await {
        Ok(_) => return Ok(false),
        Err(status) if status.code() == Code::NotFound => {}
        Err(status) => return Err(status.into()),
    }
    let began = Instant::now();
    let at_once = (FILL_TURNS / turns.max(1)).clamp(1, 10_000);
    let mut first = 0;
    while first < sessions {
        let next = (first + at_once).min(sessions);
        let some: Vec<ImportSession> =
            (first..next).map(|number| talk.session(number, turns)).collect();
        let sent = import::send(&client, some, &ProgressBar::hidden()).await;
        if let Some((session, why)) = sent.failed.first() {
            return Err(Error::Internal(format!("cannot fill {session}: {why}")));
        }
        first = next;
    }
    let filled = v1::CreateSessionRequest { session_id: mark, ..Default::default() };
    client.memory.clone().create_session(filled).await?;
    let seconds = began.elapsed().as_secs_f64();
    let last = session_id(sessions.saturating_sub(1));
    note(&format!("filled {sessions} sessions of {turns} turns, up to {last}, in {seconds:.1} s"));
    Ok(true)
}

/// Waits until no turn waits for its vectors, unless that is not wanted.
async fn settle(server: &Server, args: &LoadArgs) -> Result<(), Error> {
    if args.server.embedding == EmbeddingArg::None || args.server.unsettled {
        return Ok(());
    }
    let began = Instant::now();
    while began.elapsed() < SETTLE_MAX {
        tokio::time::sleep(SETTLE_EVERY).await;
        if server.metrics.scrape().pending() == Some(0.0) {
            note(&format!("no turn waits after {:.0} s", began.elapsed().as_secs_f64()));
            return Ok(());
        }
    }
    Err(Error::Internal(format!("turns still wait for vectors after {SETTLE_MAX:?}")))
}
