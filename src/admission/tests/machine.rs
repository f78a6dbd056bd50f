//! A machine in simulated time: cores that calls share, and a gate before them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::admission::{Arrival, Ask, Gate, GateBounds, Granted, Ticket};

/// How far one step goes.
pub const STEP: Duration = Duration::from_micros(100);

/// A call inside.
struct Inside {
    ask: Ask<&'static str>,
    arrived: Duration,
    since: Duration,
    left: Duration,
}

/// A call that waits.
struct Waits {
    ask: Ask<&'static str>,
    arrived: Duration,
    until: Duration,
    work: Duration,
}

/// What became of the calls of a tenant.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many came.
    pub came: usize,
    /// How long those took that were answered, their wait included.
    pub took: Vec<Duration>,
    /// How long those took that were refused.
    pub refused: Vec<Duration>,
}

impl Outcome {
    /// The time that so many of a thousand answered calls did not exceed.
    pub fn quantile(&self, thousandths: usize) -> Duration {
        let mut took = self.took.clone();
        took.sort();
        took.get(took.len() * thousandths / 1_000).copied().unwrap_or_default()
    }
}

/// The machine.
pub struct Machine {
    pub gate: Gate<&'static str>,
    cores: f64,
    pub now: Duration,
    inside: Vec<Inside>,
    waiting: BTreeMap<Ticket, Waits>,
    pub outcomes: BTreeMap<&'static str, Outcome>,
    /// The most that were inside at once.
    pub busiest: usize,
}

impl Machine {
    pub fn new(bounds: GateBounds, cores: f64) -> Self {
        Self {
            gate: Gate::new(bounds, 7),
            cores,
            now: Duration::ZERO,
            inside: Vec::new(),
            waiting: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            busiest: 0,
        }
    }

    fn outcome(&mut self, tenant: &'static str) -> &mut Outcome {
        self.outcomes.entry(tenant).or_default()
    }

    fn refuse(&mut self, ticket: Ticket) {
        let Some(waits) = self.waiting.remove(&ticket) else { return };
        let waited = self.now - waits.arrived;
        self.outcome(waits.ask.tenant).refused.push(waited);
    }

    /// A call comes that is so much work.
    pub fn arrive(&mut self, ask: Ask<&'static str>, work: Duration) {
        let (tenant, now) = (ask.tenant, self.now);
        self.outcome(tenant).came += 1;
        match self.gate.arrive(&ask, now) {
            Arrival::In => self.inside.push(Inside { ask, arrived: now, since: now, left: work }),
            Arrival::Refused { .. } => self.outcome(tenant).refused.push(Duration::ZERO),
            Arrival::Waits { ticket, until, ousted } => {
                self.waiting.insert(ticket, Waits { ask, arrived: now, until, work });
                if let Some((ousted, _)) = ousted {
                    self.refuse(ousted);
                }
            }
        }
    }

    /// Goes on by one step: calls inside share the cores, those that end let others in.
    pub fn step(&mut self) {
        self.busiest = self.busiest.max(self.inside.len());
        let share = (self.cores / self.inside.len().max(1) as f64).min(1.0);
        let done = STEP.mul_f64(share);
        self.now += STEP;
        let now = self.now;
        let (ended, inside) = std::mem::take(&mut self.inside)
            .into_iter()
            .map(|call| Inside { left: call.left.saturating_sub(done), ..call })
            .partition::<Vec<_>, _>(|call| call.left.is_zero());
        self.inside = inside;
        for call in ended {
            self.outcome(call.ask.tenant).took.push(now - call.arrived);
            self.gate.leave(&call.ask, now - call.since, now);
            self.let_in();
        }
        let late: Vec<_> =
            self.waiting.iter().filter(|(_, w)| w.until <= now).map(|(t, _)| *t).collect();
        for ticket in late {
            let ask = self.waiting[&ticket].ask.clone();
            assert!(self.gate.give_up(&ask, ticket).is_some(), "it waited");
            self.refuse(ticket);
        }
    }

    fn let_in(&mut self) {
        while let Some(granted) = self.gate.next(self.now) {
            match granted {
                Granted::Expired { ticket, .. } => self.refuse(ticket),
                Granted::In { ticket, ask } => {
                    let waits = self.waiting.remove(&ticket).expect("who is let in has waited");
                    let (arrived, since) = (waits.arrived, self.now);
                    self.inside.push(Inside { ask, arrived, since, left: waits.work });
                }
            }
        }
    }

    /// Goes on until nobody is there any more.
    pub fn drain(&mut self) {
        while !self.inside.is_empty() || !self.waiting.is_empty() {
            self.step();
        }
        let load = self.gate.load();
        assert_eq!((load.in_flight, load.waiting), (0, 0), "the gate has forgotten all");
    }
}
