//! The gate of a lane: an adaptive limit, and a fair queue before it for each class.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::admission::{
    Class, GateBounds, LaneFigures, Limit, Refused, Ticket,
    queue::{FairQueue, Waiting},
};

/// Another tenant counts as there for this long after its last call.
const THERE: Duration = Duration::from_secs(1);
/// Of so many calls that are let in from the queues one is of the class behind, if one waits.
const BEHIND_EVERY: u64 = 8;
/// How many times longer than interactive calls those of ingest may wait: nobody watches them.
const INGEST_PATIENCE: u32 = 10;
/// Bounds of the time after which a retry makes sense, before jitter doubles it at the most.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// How far the mean time of calls moves toward a newer one.
const LEARN: f64 = 0.05;

/// A call that comes.
#[derive(Debug, Clone)]
pub struct Ask<T> {
    /// Whose it is.
    pub tenant: T,
    /// How urgent it is.
    pub class: Class,
    /// What it is, for the limit: see [`Limit::sample`].
    pub kind: usize,
    /// When its caller stops waiting.
    pub deadline: Option<Duration>,
}

/// What becomes of a call that comes.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrival {
    /// It is in.
    In,
    /// It waits until it is granted, or until a moment; another one that waited may have to go for
    /// it.
    Waits {
        /// Its place.
        ticket: Ticket,
        /// When it is to give up by itself.
        until: Duration,
        /// Who has to go, and after how long a retry of it makes sense.
        ousted: Option<(Ticket, Duration)>,
    },
    /// It is not let in.
    Refused {
        /// Why.
        why: Refused,
        /// After how long a retry makes sense.
        retry: Duration,
    },
}

/// What becomes of a call that waited.
#[derive(Debug, Clone, PartialEq)]
pub enum Granted<T> {
    /// It is in.
    In {
        /// Its place.
        ticket: Ticket,
        /// What it is.
        ask: Ask<T>,
    },
    /// It waited too long.
    Expired {
        /// Its place.
        ticket: Ticket,
        /// After how long a retry makes sense.
        retry: Duration,
    },
}

impl<T: PartialEq> PartialEq for Ask<T> {
    fn eq(&self, other: &Self) -> bool {
        (&self.tenant, self.class, self.kind) == (&other.tenant, other.class, other.kind)
    }
}

/// How busy a lane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// How many calls are in.
    pub in_flight: usize,
    /// How many wait.
    pub waiting: usize,
    /// The floor of the limit.
    pub floor: usize,
}

/// A gate.
#[derive(Debug)]
pub struct Gate<T> {
    bounds: GateBounds,
    limit: Limit,
    in_flight: [usize; 2],
    by_tenant: HashMap<T, usize>,
    queues: [FairQueue<T>; 2],
    /// The two tenants that called last, the latest first.
    recent: [Option<(T, Duration)>; 2],
    /// Since when some interactive call waits.
    standing_since: Option<Duration>,
    /// Until when it counts as overloaded, though the queue ran empty.
    overloaded_until: Duration,
    tickets: u64,
    picks: u64,
    took_seconds: f64,
    jitter: u64,
    admitted: [u64; 2],
    waited: Duration,
}

impl<T: Clone + Eq + Hash> Gate<T> {
    /// A gate with nobody in it; `seed` decides the jitter of retries.
    pub fn new(bounds: GateBounds, seed: u64) -> Self {
        Self {
            limit: Limit::new(bounds.limit),
            bounds,
            in_flight: [0; 2],
            by_tenant: HashMap::new(),
            queues: [FairQueue::new(), FairQueue::new()],
            recent: [None, None],
            standing_since: None,
            overloaded_until: Duration::ZERO,
            tickets: 0,
            picks: 0,
            took_seconds: 0.0,
            jitter: seed,
            admitted: [0; 2],
            waited: Duration::ZERO,
        }
    }

    /// Decides about a call that comes. One that is in must [`Gate::leave`]; one that waits is
    /// granted by [`Gate::next`] or must [`Gate::give_up`].
    pub fn arrive(&mut self, ask: &Ask<T>, now: Duration) -> Arrival {
        self.note(&ask.tenant, now);
        let queue = &self.queues[ask.class as usize];
        let is_first =
            queue.len() == 0 || (queue.of(&ask.tenant) == 0 && self.only_capped(ask, now));
        if is_first && self.has_place(ask.class) && !self.is_capped(&ask.tenant, now) {
            self.enter(ask);
            return Arrival::In;
        }
        let allowed = self.patience(ask.class, now);
        let patience = ask.deadline.map_or(allowed, |end| allowed.min(end.saturating_sub(now)));
        let expected = self.expected_wait(ask);
        if expected > patience {
            self.note_refused(ask.class, now);
            return Arrival::Refused { why: Refused::WaitTooLong, retry: self.retry(expected) };
        }
        let ousted = match self.make_room(ask) {
            Ok(ousted) => ousted.map(|ticket| (ticket, self.retry(expected))),
            Err(why) => return Arrival::Refused { why, retry: self.retry(expected) },
        };
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let waiting = Waiting { ticket, since: now, kind: ask.kind };
        self.queues[ask.class as usize].push(ask.tenant.clone(), waiting);
        if ask.class == Class::Interactive && self.standing_since.is_none() {
            self.standing_since = Some(now);
        }
        Arrival::Waits { ticket, until: now + patience, ousted }
    }

    /// A call that was in has ended, after so long.
    pub fn leave(&mut self, ask: &Ask<T>, took: Duration, now: Duration) {
        self.limit.sample(ask.kind, took, self.in_flight.iter().sum(), now);
        let seconds = took.as_secs_f64();
        self.took_seconds += LEARN * (seconds - self.took_seconds);
        let class = ask.class as usize;
        self.in_flight[class] = self.in_flight[class].saturating_sub(1);
        if let Some(own) = self.by_tenant.get_mut(&ask.tenant) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                self.by_tenant.remove(&ask.tenant);
            }
        }
    }

    /// Lets the next one in, or says who waited too long; call it until it gives `None` after each
    /// call that left.
    pub fn next(&mut self, now: Duration) -> Option<Granted<T>> {
        let behind_first = self.picks % BEHIND_EVERY == BEHIND_EVERY - 1;
        let order = match behind_first {
            true => [Class::Ingest, Class::Interactive],
            false => [Class::Interactive, Class::Ingest],
        };
        for class in order {
            if let Some(granted) = self.next_of(class, now) {
                return Some(granted);
            }
        }
        None
    }

    fn next_of(&mut self, class: Class, now: Duration) -> Option<Granted<T>> {
        if !self.has_place(class) {
            return None;
        }
        let mut queue = std::mem::replace(&mut self.queues[class as usize], FairQueue::new());
        let popped = queue.pop(|tenant| !self.is_capped(tenant, now));
        self.queues[class as usize] = queue;
        let (tenant, waiting) = popped?;
        let patience = self.patience(class, now);
        self.note_empty();
        let waited = now.saturating_sub(waiting.since);
        if waited > patience {
            self.note_refused(class, now);
            let retry = self.retry(waited);
            return Some(Granted::Expired { ticket: waiting.ticket, retry });
        }
        let ask = Ask { tenant, class, kind: waiting.kind, deadline: None };
        self.picks += 1;
        self.waited += waited;
        self.enter(&ask);
        Some(Granted::In { ticket: waiting.ticket, ask })
    }

    /// A call that waits stops waiting. `None`: it does not wait any more; else after how long a
    /// retry makes sense.
    pub fn give_up(&mut self, ask: &Ask<T>, ticket: Ticket) -> Option<Duration> {
        if !self.queues[ask.class as usize].remove(&ask.tenant, ticket) {
            return None;
        }
        self.note_empty();
        let expected = self.expected_wait(ask);
        Some(self.retry(expected))
    }

    /// How busy the lane is.
    pub fn load(&self) -> Load {
        Load {
            in_flight: self.in_flight.iter().sum(),
            waiting: self.queues.iter().map(FairQueue::len).sum(),
            floor: self.limit.min(),
        }
    }

    /// What is counted.
    pub fn figures(&self) -> LaneFigures {
        LaneFigures {
            limit: self.limit.now(),
            in_flight: self.in_flight,
            waiting: [self.queues[0].len(), self.queues[1].len()],
            admitted: self.admitted,
            waited: self.waited,
        }
    }

    fn enter(&mut self, ask: &Ask<T>) {
        self.in_flight[ask.class as usize] += 1;
        self.admitted[ask.class as usize] += 1;
        *self.by_tenant.entry(ask.tenant.clone()).or_default() += 1;
    }

    /// Ingest has half of the places at the most.
    fn has_place(&self, class: Class) -> bool {
        let limit = self.limit.now();
        let ingest_may = self.in_flight[Class::Ingest as usize] < (limit / 2).max(1);
        self.in_flight.iter().sum::<usize>() < limit && (class == Class::Interactive || ingest_may)
    }

    /// Whether a tenant has its share of the places, while another one is there.
    fn is_capped(&self, tenant: &T, now: Duration) -> bool {
        let other = self.recent.iter().flatten().find(|(other, _)| other != tenant);
        if other.is_none_or(|(_, at)| now.saturating_sub(*at) > THERE) {
            return false;
        }
        let percent = self.bounds.tenant_share_percent.clamp(1, 100) as usize;
        let share = (self.limit.now() * percent).div_ceil(100);
        self.by_tenant.get(tenant).is_some_and(|own| *own >= share)
    }

    /// Whether all who wait in a class are of tenants that have their share: then a call of another
    /// tenant passes nobody who could come in.
    fn only_capped(&self, ask: &Ask<T>, now: Duration) -> bool {
        self.queues[ask.class as usize].all(|tenant| self.is_capped(tenant, now))
    }

    fn note(&mut self, tenant: &T, now: Duration) {
        match &mut self.recent {
            [Some((latest, at)), _] if latest == tenant => *at = now,
            recent => {
                recent.swap(0, 1);
                recent[0] = Some((tenant.clone(), now));
            }
        }
    }

    fn note_empty(&mut self) {
        if self.queues[Class::Interactive as usize].len() == 0 {
            self.standing_since = None;
        }
    }

    /// A refusal of an overloaded gate says that it still is: that its queue ran empty, of calls
    /// that were sent away, is no sign of rest.
    fn note_refused(&mut self, class: Class, now: Duration) {
        if class == Class::Interactive && self.is_overloaded(now) {
            self.overloaded_until = now + self.bounds.wait_max;
        }
    }

    /// A queue that was never empty for as long as calls may wait is no burst: then what waits long
    /// would only be answered too late, and whoever comes waits shortly or not at all (controlled
    /// delay, as in "Fail at Scale", ACM Queue 13(8), 2015, after CoDel). It is over when nobody
    /// had to be refused for as long.
    fn is_overloaded(&self, now: Duration) -> bool {
        let since = self.standing_since.unwrap_or(now);
        now < self.overloaded_until || now.saturating_sub(since) > self.bounds.wait_max
    }

    /// How long a call may wait now.
    fn patience(&self, class: Class, now: Duration) -> Duration {
        match (class, self.is_overloaded(now)) {
            (Class::Interactive, true) => self.bounds.wait_overloaded_max,
            (Class::Interactive, false) => self.bounds.wait_max,
            (Class::Ingest, _) => self.bounds.wait_max * INGEST_PATIENCE,
        }
    }

    /// How long a call would wait, by how many would be let in before it.
    fn expected_wait(&self, ask: &Ask<T>) -> Duration {
        let queue = &self.queues[ask.class as usize];
        let own = queue.of(&ask.tenant);
        let tenants = queue.tenants() + usize::from(own == 0);
        let ahead = queue.len().min((own + 1).saturating_mul(tenants.max(1)) - 1);
        let in_flight = self.in_flight.iter().sum::<usize>().max(1);
        Duration::from_secs_f64(self.took_seconds * ahead as f64 / in_flight as f64)
    }

    /// Finds a place in the queue: a free one, or that of the latest call of the tenant that has
    /// most of them waiting.
    fn make_room(&mut self, ask: &Ask<T>) -> Result<Option<Ticket>, Refused> {
        let queue = &mut self.queues[ask.class as usize];
        if queue.len() < self.bounds.waiting_max {
            return Ok(None);
        }
        let own = queue.of(&ask.tenant);
        match queue.pop_of_longest(own + 1) {
            Some(ousted) => Ok(Some(ousted.ticket)),
            None => Err(Refused::QueueFull),
        }
    }

    /// After how long a retry makes sense: twice the wait that is expected, with jitter, so that
    /// those who are refused together do not come back together.
    fn retry(&mut self, expected: Duration) -> Duration {
        // SplitMix64: enough to spread retries.
        self.jitter = self.jitter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.jitter;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let part = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        (expected * 2).clamp(RETRY_MIN, RETRY_MAX).mul_f64(1.0 + part)
    }
}
