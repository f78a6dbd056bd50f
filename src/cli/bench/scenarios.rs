//! What is measured one after the other, and what follows from it.

use std::time::Duration;

use super::args::{LoadArgs, Scenario, StoreArgs};
use super::load::{Load, Pace};
use super::report::{Report, Row, slope_a_minute};
use super::shelves;
use super::stage::Stage;
use super::talk::Talk;
use super::tally::Tally;
use crate::cli::{ClientArgs, Error, output::note};

/// Numbers of clients that are tried to find the saturation.
const CLIENTS_TRIED: [usize; 3] = [16, 64, 256];
/// Sessions of the tenant that floods.
const FLOOD_SESSIONS: u64 = 256;

/// What all scenarios need.
pub struct Bench<'a> {
    /// How to reach a server that runs already.
    pub client: &'a ClientArgs,
    /// The flags that all share.
    pub args: &'a LoadArgs,
    /// What is said.
    pub talk: &'a Talk,
    /// What was found.
    pub report: Report,
}

impl<'a> Bench<'a> {
    /// Runs a scenario to its end.
    ///
    /// # Errors
    /// When the server cannot be had, filled, reached or ended.
    pub async fn run(&mut self, scenario: &Scenario) -> Result<(), Error> {
        match scenario {
            Scenario::Clients { clients, sessions, session_turns, .. } => {
                for &sessions in sessions {
                    for &session_turns in session_turns {
                        let store = StoreArgs { sessions, session_turns };
                        self.clients(clients, &store).await?;
                    }
                }
                Ok(())
            }
            Scenario::Rate { rate, store, .. } => self.rates(rate, store).await,
            Scenario::Overload { multiples, saturation, store, .. } => {
                self.overload(multiples, *saturation, store).await
            }
            Scenario::Flood { rate, flood, store, .. } => self.flood(*rate, *flood, store).await,
            Scenario::Documents { shelf, .. } => {
                shelves::measure(self.args, shelf, &mut self.report).await
            }
            Scenario::Soak { share, saturation, soak, intervals, store, .. } => {
                let course = (Duration::from_secs_f64(soak.max(0.1)), (*intervals).max(1));
                self.soak((*share, *saturation), course, store).await
            }
        }
    }

    async fn stage(&mut self, store: &StoreArgs) -> Result<Stage<'a>, Error> {
        let mut stage = Stage::set(self.args, self.talk, self.client, store).await?;
        if let Some((start, rss_bytes)) = stage.started() {
            let StoreArgs { sessions, session_turns } = store;
            let of = format!("{sessions} sessions of {session_turns} turns");
            let rss = rss_bytes as f64 / f64::from(1 << 20);
            self.find(format!("start with {of}, seconds"), start.as_secs_f64());
            self.find(format!("RSS after the start with {of}, MiB"), rss);
        }
        Ok(stage)
    }

    fn find(&mut self, name: impl Into<String>, value: f64) {
        self.report.findings.push((name.into(), value));
    }

    /// Takes a row into the report.
    fn keep(&mut self, row: Row) {
        note(&format!("{}: {:.0} answers a second", row.name, row.goodput()));
        self.report.rows.push(row);
    }

    async fn clients(&mut self, clients: &[usize], store: &StoreArgs) -> Result<(), Error> {
        let mut stage = self.stage(store).await?;
        for &clients in clients {
            let StoreArgs { sessions, session_turns } = store;
            let name = format!("{clients} clients, {sessions} × {session_turns}");
            self.keep(stage.row(name, Pace::Closed(clients))?);
        }
        stage.strike()
    }

    async fn rates(&mut self, rates: &[f64], store: &StoreArgs) -> Result<(), Error> {
        let mut stage = self.stage(store).await?;
        for &rate in rates {
            self.keep(stage.row(format!("{rate:.0}/s"), Pace::Open(checked(rate)?))?);
        }
        stage.strike()
    }

    /// The most answers a second that a closed loop gets.
    fn saturation(&mut self, stage: &mut Stage<'_>, known: Option<f64>) -> Result<f64, Error> {
        if let Some(known) = known {
            return checked(known);
        }
        let mut most = 0.0_f64;
        for clients in CLIENTS_TRIED {
            let row = stage.row(format!("{clients} clients"), Pace::Closed(clients))?;
            most = most.max(row.goodput());
            self.keep(row);
        }
        self.find("saturation, answers a second", most);
        checked(most)
    }

    async fn overload(
        &mut self,
        multiples: &[f64],
        known: Option<f64>,
        store: &StoreArgs,
    ) -> Result<(), Error> {
        let mut stage = self.stage(store).await?;
        let saturation = self.saturation(&mut stage, known)?;
        let mut seen = Vec::new();
        for &multiple in multiples {
            let rate = checked(saturation * multiple)?;
            let row = stage.row(format!("{multiple} × ({rate:.0}/s)"), Pace::Open(rate))?;
            let accepted = row.tally.all_done().percentile_ms(99.0);
            let refused = row.tally.all_refused().percentile_ms(99.0);
            seen.push((multiple, row.goodput(), accepted, refused));
            self.keep(row);
        }
        let peak = seen.iter().map(|seen| seen.1).fold(0.0, f64::max);
        let first = seen.first().copied();
        for (multiple, goodput, accepted, refused) in seen {
            self.find(format!("{multiple} ×: answers of the peak, share"), goodput / peak);
            self.find(format!("{multiple} ×: p99 of refusals, ms"), refused);
            if let Some((base, _, usual, _)) = first {
                let name = format!("{multiple} ×: p99 of answers to that at {base} ×");
                self.find(name, accepted / usual);
            }
        }
        stage.strike()
    }

    async fn flood(&mut self, rate: f64, flood: f64, store: &StoreArgs) -> Result<(), Error> {
        let mut stage = self.stage(store).await?;
        let other = stage.other_tenant(FLOOD_SESSIONS.min(store.sessions)).await?;
        let alone = stage.row("alone".to_owned(), Pace::Open(checked(rate)?))?;
        let watched = stage.load(Pace::Open(rate));
        let seed = self.args.seed.wrapping_add(1);
        let sessions = (0, FLOOD_SESSIONS.min(store.sessions).max(1));
        let usual = stage.load(Pace::Open(checked(flood)?));
        let flooding = Load { target: other, seed, sessions, ..usual };
        let names = ["beside the flood".to_owned(), "the flood".to_owned()];
        let rows = stage.rows(&names, &[watched, flooding])?;
        let p99 = |tally: &Tally| tally.all_done().percentile_ms(99.0);
        let ratio = p99(&rows[0].tally) / p99(&alone.tally);
        let refused = rows[0].tally.refused_count();
        self.keep(alone);
        rows.into_iter().for_each(|row| self.keep(row));
        self.find("p99 beside the flood to p99 alone", ratio);
        self.find("refusals of the tenant beside the flood", refused as f64);
        stage.strike()
    }

    async fn soak(
        &mut self,
        (share, known): (f64, Option<f64>),
        (soak, intervals): (Duration, u32),
        store: &StoreArgs,
    ) -> Result<(), Error> {
        let mut stage = self.stage(store).await?;
        let rate = checked(self.saturation(&mut stage, known)? * share)?;
        let row = stage.long_row(format!("soak at {rate:.0}/s"), rate, soak)?;
        let seconds = soak.as_secs_f64() / f64::from(intervals);
        let samples = row.used.iter().flat_map(|used| &used.samples).collect::<Vec<_>>();
        let step = (samples.len() / intervals as usize).max(1);
        let every = samples.into_iter().step_by(step).zip(0_u32..);
        self.report.course = every.map(|(at, place)| (seconds * f64::from(place), *at)).collect();
        // The first third fills caches.
        let later = self.report.course.iter().skip(self.report.course.len() / 3);
        let points = |of: fn(&super::watch::Sample) -> f64| -> Vec<(f64, f64)> {
            later.clone().map(|(seconds, at)| (*seconds, of(at))).collect()
        };
        let rss = slope_a_minute(&points(|at| at.rss_bytes as f64 / f64::from(1 << 20)));
        let files = slope_a_minute(&points(|at| at.files as f64));
        let threads = slope_a_minute(&points(|at| at.threads as f64));
        self.keep(row);
        self.find("RSS, MiB a minute, after the first third", rss);
        self.find("open files a minute, after the first third", files);
        self.find("threads a minute, after the first third", threads);
        stage.strike()
    }
}

/// A rate that calls can be sent at.
fn checked(rate: f64) -> Result<f64, Error> {
    let wrong = || Error::Usage(format!("`{rate}` is no rate: more than 0 calls a second"));
    if rate.is_finite() && rate > 0.0 { Ok(rate) } else { Err(wrong()) }
}
