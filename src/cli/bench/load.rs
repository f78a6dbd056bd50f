//! Sends calls: threads with connections of their own, each its share of the load.
//! Invariant: in an open loop a call's time counts from when it was due, so that a server that
//! stands still delays no call that comes after without that being seen.

use std::cell::RefCell;
use std::sync::{Barrier, OnceLock, mpsc};
use std::time::{Duration, Instant};

use fastrand::Rng;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc as async_mpsc;
use tonic::Status;
use uuid::Uuid;

use super::cores::Halves;
use super::server::Target;
use super::talk::{Talk, session_id};
use super::tally::{Operation, Tally};
use crate::cli::{Client, Error};
use crate::proto::v1;

/// Calls of one thread that may be under way in an open loop: more than a server answers in a
/// second, and some hundred megabytes. Those that come beyond are counted as not sent.
const UNDER_WAY_MAX: usize = 16_384;

/// How calls follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// So many clients, each of which calls again as soon as it is answered.
    Closed(usize),
    /// So many calls a second on average, whether others are answered or not.
    Open(f64),
}

/// What one caller sends.
pub struct Load<'a> {
    /// Where to.
    pub target: Target,
    /// What is said.
    pub talk: &'a Talk,
    /// How calls follow each other.
    pub pace: Pace,
    /// The share of appends.
    pub append_share: f64,
    /// The number of the first session that calls go to, and how many.
    pub sessions: (u64, u64),
    /// A session whose seqs reach this is deleted and begins anew; `None`: sessions only grow.
    pub renew_at: Option<u64>,
    /// The budget of contexts, in tokens.
    pub budget: u32,
    /// The deadline of each call.
    pub deadline: Duration,
    /// What decides all that is drawn.
    pub seed: u64,
    /// Connections, and threads that send.
    pub connections: usize,
    /// See `connections`.
    pub threads: usize,
    /// Whether they have cores that the server has not.
    pub apart: bool,
}

/// When a row is measured.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// When the first call is sent.
    pub begin: Instant,
    /// From when on calls count.
    pub from: Instant,
    /// When the last call is sent.
    pub until: Instant,
}

/// Sends loads at once, each by its own threads, and gives the tally of each; `during` runs beside
/// them.
///
/// # Errors
/// When a connection cannot be had.
pub fn send<T>(
    loads: &[Load<'_>],
    (warm_up, duration): (Duration, Duration),
    during: impl FnOnce(Window) -> T,
) -> Result<(Vec<Tally>, T), Error> {
    let threads: usize = loads.iter().map(|load| load.threads).sum();
    let (ready, window) = (Barrier::new(threads + 1), OnceLock::new());
    let start = || {
        ready.wait();
        *window.get_or_init(|| {
            let begin = Instant::now();
            let from = begin + warm_up;
            Window { begin, from, until: from + duration }
        })
    };
    std::thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        for (place, load) in loads.iter().enumerate() {
            for thread in 0..load.threads {
                let (tell, start) = (tell.clone(), &start);
                scope.spawn(move || {
                    // Nobody listens any more when another thread failed.
                    tell.send((place, run(load, thread, start))).ok();
                });
            }
        }
        drop(tell);
        let seen = during(start());
        let mut tallies = vec![Tally::default(); loads.len()];
        for (place, tally) in told {
            tallies[place].add(&tally?);
        }
        Ok((tallies, seen))
    })
}

/// One thread's share of `count` things.
fn share(count: usize, threads: usize, thread: usize) -> usize {
    count / threads + usize::from(thread < count % threads)
}

fn run(load: &Load<'_>, thread: usize, start: impl Fn() -> Window) -> Result<Tally, Error> {
    let runtime = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|e| Error::Internal(format!("cannot start a thread: {e}")))
    };
    let placed = match load.apart {
        true => Halves::new().and_then(|halves| halves.move_to_loads()),
        false => Ok(()),
    };
    let connected = placed.and_then(|()| runtime()).and_then(|runtime| {
        let settings = load.target.settings(load.deadline);
        let count = share(load.connections, load.threads, thread).max(1);
        let clients = runtime.block_on(async {
            let mut clients = Vec::with_capacity(count);
            for _ in 0..count {
                clients.push(Client::connect(&settings).await?);
            }
            Ok::<_, Error>(clients)
        });
        clients.map(|clients| (runtime, clients))
    });
    // Also where it failed: the others wait for this thread.
    let window = start();
    let (runtime, clients) = connected?;
    let sender = Sender { load, clients, window, tally: RefCell::default() };
    let seed = load.seed.wrapping_mul(1_000_003).wrapping_add(thread as u64);
    match load.pace {
        Pace::Closed(clients) => runtime.block_on(sender.closed(clients, thread, seed)),
        Pace::Open(rate) => {
            let (due, arrivals) = async_mpsc::unbounded_channel();
            let rate = rate / load.threads as f64;
            std::thread::scope(|scope| {
                scope.spawn(move || pace(rate, seed, window, &due));
                runtime.block_on(sender.open(arrivals, seed));
            });
        }
    }
    Ok(sender.tally.into_inner())
}

/// Tells when each call of an open loop is due, by a thread of its own: timers of a runtime are as
/// coarse as the calls are long.
fn pace(rate: f64, seed: u64, window: Window, due: &async_mpsc::UnboundedSender<Instant>) {
    let mut rng = Rng::with_seed(seed);
    let mut at = window.begin;
    loop {
        // The distances of a Poisson process.
        let distance = -(1.0 - rng.f64()).ln() / rate;
        at += Duration::from_secs_f64(distance.min(3_600.0));
        if at >= window.until {
            return;
        }
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if due.send(at).is_err() {
            return;
        }
    }
}

/// One thread that sends.
struct Sender<'a> {
    load: &'a Load<'a>,
    clients: Vec<Client>,
    window: Window,
    tally: RefCell<Tally>,
}

impl Sender<'_> {
    async fn closed(&self, clients: usize, thread: usize, seed: u64) {
        let load = self.load;
        let own = (0..clients).filter(|client| client % load.threads == thread);
        let loops: FuturesUnordered<_> = own
            .map(|client| async move {
                let mut rng = Rng::with_seed(seed ^ ((client as u64 + 1) << 32));
                let sessions = sessions_of(load.sessions, client as u64, clients as u64);
                // Each client has at least one call that counts, however slow the calls are.
                let mut counts = false;
                while !counts || Instant::now() < self.window.until {
                    let (due, session) = (Instant::now(), sessions.pick(&mut rng));
                    counts |= due >= self.window.from;
                    self.call(&self.clients[client % self.clients.len()], due, session).await;
                }
            })
            .collect();
        loops.collect::<()>().await;
    }

    async fn open(&self, mut arrivals: async_mpsc::UnboundedReceiver<Instant>, seed: u64) {
        let mut rng = Rng::with_seed(seed ^ 0xa5a5);
        let mut under_way = FuturesUnordered::new();
        let sessions = sessions_of(self.load.sessions, 0, 1);
        let mut sent = 0;
        loop {
            tokio::select! {
                due = arrivals.recv() => {
                    let Some(due) = due else { break };
                    if under_way.len() >= UNDER_WAY_MAX {
                        self.tally.borrow_mut().unsent += u64::from(due >= self.window.from);
                        continue;
                    }
                    if due >= self.window.from {
                        self.tally.borrow_mut().note_late(due.elapsed());
                    }
                    sent += 1;
                    let client = &self.clients[sent % self.clients.len()];
                    under_way.push(self.call(client, due, sessions.pick(&mut rng)));
                }
                Some(()) = under_way.next() => {}
            }
        }
        under_way.collect::<()>().await;
    }

    /// Sends one call and notes what became of it; its time counts from `due`.
    async fn call(&self, client: &Client, due: Instant, picked: Picked) {
        let load = self.load;
        let mut memory = client.memory.clone();
        let Picked { session, mut rng } = picked;
        if rng.f64() < load.append_share {
            // The server's clock says when it was said.
            let said = load.talk.turn(session, rng.u64(..1 << 20));
            let request = v1::AppendTurnsRequest {
                session_id: session_id(session),
                turns: vec![v1::NewTurn { created_at: None, ..said }],
                request_id: Uuid::new_v4().to_string(),
                ..Default::default()
            };
            let answer = memory.append_turns(request).await;
            self.note(Operation::Append, due, &answer);
            let is_full = |seq: u64| load.renew_at.is_some_and(|most| seq >= most);
            if answer.is_ok_and(|answer| is_full(answer.get_ref().last_seq)) {
                let request = v1::DeleteSessionRequest {
                    session_id: session_id(session),
                    request_id: Uuid::new_v4().to_string(),
                };
                // Another call may have deleted it; one that is refused is deleted a turn later.
                let _ = memory.delete_session(request).await;
            }
            return;
        }
        let request = v1::BuildContextRequest {
            session_id: session_id(session),
            query: load.talk.question(&mut rng),
            budget_tokens: load.budget,
            format: v1::Format::OpenaiChat.into(),
            ..Default::default()
        };
        let answer = memory.build_context(request).await;
        self.note(Operation::Context, due, &answer);
        if let Some(context) = answer.ok().filter(|_| due >= self.window.from) {
            self.tally.borrow_mut().note_context(context.get_ref());
        }
    }

    fn note<T>(&self, operation: Operation, due: Instant, answer: &Result<T, Status>) {
        let (now, mut tally) = (Instant::now(), self.tally.borrow_mut());
        if due >= self.window.from {
            tally.note(operation, now - due, answer);
        }
        if now >= self.window.from && now < self.window.until {
            tally.note_end(answer.is_ok());
        }
    }
}

/// The session of a call, and what the rest of it is drawn from.
struct Picked {
    session: u64,
    rng: Rng,
}

/// The sessions that one client calls.
struct Sessions {
    first: u64,
    step: u64,
    count: u64,
}

/// Each client has sessions of its own where there are enough, as users have.
fn sessions_of((first, count): (u64, u64), client: u64, clients: u64) -> Sessions {
    if count >= clients {
        let own = (count - client).div_ceil(clients);
        Sessions { first: first + client, step: clients, count: own }
    } else {
        Sessions { first, step: 1, count }
    }
}

impl Sessions {
    fn pick(&self, rng: &mut Rng) -> Picked {
        Picked { session: self.first + self.step * rng.u64(..self.count), rng: rng.fork() }
    }
}
