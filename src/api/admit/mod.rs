//! Admission of calls: before anything else is done, each call asks whether it may go on.
//!
//! A call passes, in this order: who calls (by its headers), the rate of its tenant, the room for
//! answers, the arrival of its whole request, and the gate of its lane. A place behind the gate is
//! held until the answer is made, not until it is read. What decides is [`crate::admission`]; here
//! are the clock, the lock, and those who wait.

mod answer;
mod layer;
mod method;
mod rate;
mod request;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::admission::{
    Account, Arrival, Ask, Class, Figures, Gate, GateBounds, Granted, Refused, Taken, Ticket,
    may_run,
};
use crate::api::deadline::exceeded;
use crate::error::{Failure, Reason};
use crate::types::TenantId;
use answer::Rest;
pub use layer::AdmissionLayer;
pub use method::{METHODS, Method};
use rate::Rates;
pub use request::{ARRIVAL_MAX, BULK_BYTES};
pub use streams::STREAMS_MAX;
use streams::{StreamPlace, Streams};

/// How often background work that gives way looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// An answer of which nobody took anything for this long is given up when others need its room.
pub const STALLED: Duration = Duration::from_secs(10);

/// What a call is scarce of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// The cores.
    Reads,
    /// The disk.
    Writes,
}

/// How calls are admitted.
#[derive(Debug, Clone, PartialEq)]
pub struct AdmitSettings {
    /// Calls a second of a tenant; 0: any number.
    pub tenant_calls_per_second: u32,
    /// How many of them may come at once.
    pub tenant_calls_burst: u32,
    /// The gate of reads.
    pub reads: GateBounds,
    /// The gate of writes.
    pub writes: GateBounds,
    /// How many bytes requests of more than a few kilobytes may take together.
    pub request_bytes_max: u64,
    /// How many bytes answers may take that are not read yet.
    pub answer_bytes_max: u64,
}

/// Where calls are admitted; one for a server.
pub struct Admission {
    began: Instant,
    rates: Option<Rates>,
    streams: Streams,
    shared: Mutex<Shared>,
}

struct Shared {
    gates: [Gate<TenantId>; 2],
    waiters: HashMap<(Lane, Ticket), Waiter>,
    requests: Account<TenantId>,
    answers: Account<TenantId>,
    /// Large answers that are not read yet.
    unread: Vec<Weak<Mutex<Rest>>>,
    refused: [u64; Refused::ALL.len()],
}

type Waiter = oneshot::Sender<Result<Permit, Failure>>;

/// A place behind a gate; free again when this is dropped.
pub(super) struct Permit {
    admission: Arc<Admission>,
    lane: Lane,
    ask: Ask<TenantId>,
    since: Instant,
    /// Whether it waited in the queue.
    pub(super) waited: bool,
}

/// Said of a request whose call waited for its place, and for whose place others wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hurried;

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.left(self.lane, &self.ask, self.since.elapsed());
    }
}

/// A place in a queue; left when this is dropped.
struct Place<'a> {
    admission: &'a Admission,
    lane: Lane,
    ask: &'a Ask<TenantId>,
    ticket: Ticket,
}

impl Place<'_> {
    /// Leaves the queue; `None`: the call does not wait any more.
    fn leave(&self) -> Option<Duration> {
        let mut shared = self.admission.shared();
        shared.waiters.remove(&(self.lane, self.ticket));
        shared.gates[self.lane as usize].give_up(self.ask, self.ticket)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Admission {
    /// Admission with nobody in it; `seed` decides the jitter of retries.
    pub fn new(settings: &AdmitSettings, seed: u64) -> Self {
        let burst = settings.tenant_calls_burst;
        Self {
            began: Instant::now(),
            rates: Rates::new(settings.tenant_calls_per_second, burst),
            streams: Streams::new(settings.reads.tenant_share_percent),
            shared: Mutex::new(Shared {
                gates: [Gate::new(settings.reads, seed), Gate::new(settings.writes, !seed)],
                waiters: HashMap::new(),
                requests: Account::new(settings.request_bytes_max),
                answers: Account::new(settings.answer_bytes_max),
                unread: Vec::new(),
                refused: [0; Refused::ALL.len()],
            }),
        }
    }

    /// What is counted, at this moment.
    pub fn figures(&self) -> Figures {
        let shared = self.shared();
        let [reads, writes] = &shared.gates;
        Figures {
            reads: reads.figures(),
            writes: writes.figures(),
            refused: shared.refused,
            request_bytes: shared.requests.used(),
            answer_bytes: shared.answers.used(),
        }
    }

    /// Forgets the rates of tenants that have not called lately; to be called now and then.
    pub fn forget_quiet_tenants(&self) {
        if let Some(rates) = &self.rates {
            rates.forget();
        }
    }

    /// Waits until a piece of background work may begin: calls go first, but not for ever.
    pub async fn background(&self) {
        let asked = Instant::now();
        loop {
            let loads = {
                let shared = self.shared();
                [shared.gates[0].load(), shared.gates[1].load()]
            };
            if may_run(&loads, asked.elapsed()) {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until a part of a document may be written. A stream whose writes are refused waits and
    /// asks again: that is how its client learns to send more slowly.
    pub(super) async fn ingest(self: &Arc<Self>, tenant: &TenantId) -> Permit {
        loop {
            let tenant = tenant.clone();
            let ask = Ask { tenant, class: Class::Ingest, kind: method::ingest(), deadline: None };
            match self.enter(Lane::Writes, ask).await {
                Ok(permit) => return permit,
                Err(refused) => {
                    tokio::time::sleep(refused.retry_hint().unwrap_or(LOOK_AGAIN)).await;
                }
            }
        }
    }

    /// A place for a stream; none when there are as many as there may be, or the tenant has its
    /// share of them.
    fn stream(&self, tenant: &TenantId) -> Result<StreamPlace, Failure> {
        let message = "too many streams of documents are open";
        let worded = (Reason::Overloaded, "document_streams", message);
        let retry = Duration::from_secs(1);
        let place = self.streams.enter(tenant);
        place.ok_or_else(|| self.refuse_as(Refused::QueueFull, retry, worded))
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no holder panics")
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Counts a refusal and words it.
    fn refuse(&self, why: Refused, retry: Duration) -> Failure {
        let worded = match why {
            Refused::Rate => {
                (Reason::RateLimited, "tenant_calls", "the tenant makes too many calls a second")
            }
            Refused::QueueFull => (Reason::Overloaded, "calls", "too many calls wait"),
            Refused::WaitTooLong => (Reason::Overloaded, "calls", "the call would wait too long"),
            Refused::Waited => (Reason::Overloaded, "calls", "the call has waited too long"),
            Refused::RequestBytes => {
                (Reason::Overloaded, "request_bytes", "requests take all the room for them")
            }
            Refused::AnswerBytes => {
                (Reason::Overloaded, "answer_bytes", "answers that nobody reads take all the room")
            }
        };
        self.refuse_as(why, retry, worded)
    }

    /// Counts a refusal; what is over which limit, and how that is said, is given.
    fn refuse_as(
        &self,
        why: Refused,
        retry: Duration,
        (reason, over, message): (Reason, &'static str, &'static str),
    ) -> Failure {
        let at = Refused::ALL.iter().position(|known| *known == why);
        self.shared().refused[at.expect("every reason is in the list")] += 1;
        Failure::new(reason, message).with("cause", why.text()).retry_after(retry).over(over)
    }

    /// Refuses when a tenant makes more calls a second than it may.
    fn within_rate(&self, tenant: &TenantId) -> Result<(), Failure> {
        let wait = self.rates.as_ref().and_then(|rates| rates.check(tenant).err());
        wait.map_or(Ok(()), |wait| Err(self.refuse(Refused::Rate, wait)))
    }

    /// Lets a call in, at once or after a while.
    async fn enter(self: &Arc<Self>, lane: Lane, ask: Ask<TenantId>) -> Result<Permit, Failure> {
        let now = self.now();
        let (ticket, until, mut granted, ousted) = {
            let mut shared = self.shared();
            match shared.gates[lane as usize].arrive(&ask, now) {
                Arrival::In => {
                    drop(shared);
                    return Ok(self.permit(lane, ask, false));
                }
                Arrival::Refused { why, retry } => {
                    drop(shared);
                    return Err(self.refuse(why, retry));
                }
                Arrival::Waits { ticket, until, ousted } => {
                    let (sender, granted) = oneshot::channel();
                    shared.waiters.insert((lane, ticket), sender);
                    let ousted = ousted.and_then(|(ticket, retry)| {
                        Some((shared.waiters.remove(&(lane, ticket))?, retry))
                    });
                    (ticket, until, granted, ousted)
                }
            }
        };
        if let Some((waiter, retry)) = ousted {
            // Who has gone meanwhile hears nothing.
            let _ = waiter.send(Err(self.refuse(Refused::QueueFull, retry)));
        }
        let place = Place { admission: self, lane, ask: &ask, ticket };
        let waited = tokio::time::timeout_at(self.began + until, &mut granted).await;
        if let Ok(outcome) = waited {
            return outcome.expect("a waiter is taken out with an outcome only");
        }
        match place.leave() {
            // The layer around this one says the same, when it comes first.
            Some(_) if ask.deadline.is_some_and(|end| end <= self.now()) => Err(exceeded()),
            Some(retry) => Err(self.refuse(Refused::Waited, retry)),
            // It was let in, or refused, at that very moment.
            None => granted.await.expect("a waiter is taken out with an outcome only"),
        }
    }

    fn permit(self: &Arc<Self>, lane: Lane, ask: Ask<TenantId>, waited: bool) -> Permit {
        Permit { admission: self.clone(), lane, ask, since: Instant::now(), waited }
    }

    /// A call has gone: the next ones come in.
    fn left(self: &Arc<Self>, lane: Lane, ask: &Ask<TenantId>, took: Duration) {
        let now = self.now();
        let mut outcomes = Vec::new();
        {
            let mut shared = self.shared();
            let Shared { gates, waiters, .. } = &mut *shared;
            gates[lane as usize].leave(ask, took, now);
            while let Some(granted) = gates[lane as usize].next(now) {
                match granted {
                    Granted::In { ticket, ask } => {
                        outcomes.push((waiters.remove(&(lane, ticket)), Ok(ask)));
                    }
                    Granted::Expired { ticket, retry } => {
                        outcomes.push((waiters.remove(&(lane, ticket)), Err(retry)));
                    }
                }
            }
        }
        for (waiter, outcome) in outcomes {
            let outcome = match outcome {
                Ok(ask) => Ok(self.permit(lane, ask, true)),
                Err(retry) => Err(self.refuse(Refused::Waited, retry)),
            };
            // Who has gone meanwhile gives the place back: the permit is dropped here.
            let _ = waiter.map(|waiter| waiter.send(outcome));
        }
    }

    /// Takes room for bytes of a request.
    fn take_request_bytes(&self, tenant: &TenantId, bytes: u64) -> Result<(), Failure> {
        let taken = self.shared().requests.take(tenant, bytes);
        match taken {
            Taken::Yes => Ok(()),
            Taken::Over => Err(self.refuse(Refused::RequestBytes, Duration::from_secs(1))),
        }
    }

    fn give_back_request_bytes(&self, tenant: &TenantId, bytes: u64) {
        self.shared().requests.give_back(tenant, bytes);
    }

    /// Refuses when answers that are not read yet take all the room.
    fn has_answer_room(&self, tenant: &TenantId) -> Result<(), Failure> {
        let is_over = {
            let mut shared = self.shared();
            shared.answers.is_over(tenant) && {
                shared.give_up_stalled(Instant::now());
                shared.answers.is_over(tenant)
            }
        };
        match is_over {
            false => Ok(()),
            true => Err(self.refuse(Refused::AnswerBytes, Duration::from_secs(1))),
        }
    }

    /// Takes room for an answer; `always`, even where there is none.
    fn take_answer_bytes(
        &self,
        tenant: &TenantId,
        bytes: u64,
        always: bool,
    ) -> Result<(), Failure> {
        let taken = {
            let mut shared = self.shared();
            let mut taken = shared.answers.take(tenant, bytes);
            if taken == Taken::Over && !always {
                shared.give_up_stalled(Instant::now());
                taken = shared.answers.take(tenant, bytes);
            }
            if taken == Taken::Over && always {
                shared.answers.add(tenant, bytes);
                taken = Taken::Yes;
            }
            taken
        };
        match taken {
            Taken::Yes => Ok(()),
            Taken::Over => Err(self.refuse(Refused::AnswerBytes, Duration::from_secs(1))),
        }
    }

    fn give_back_answer_bytes(&self, tenant: &TenantId, bytes: u64) {
        self.shared().answers.give_back(tenant, bytes);
    }

    fn watch_unread(&self, rest: &Arc<Mutex<Rest>>) {
        let mut shared = self.shared();
        shared.unread.retain(|rest| rest.strong_count() > 0);
        shared.unread.push(Arc::downgrade(rest));
    }
}

impl Shared {
    /// Drops what is left of answers of which nobody took anything for long.
    fn give_up_stalled(&mut self, now: Instant) {
        let answers = &mut self.answers;
        self.unread.retain(|rest| {
            let Some(rest) = rest.upgrade() else { return false };
            // One that is busy is being read.
            let Ok(mut rest) = rest.try_lock() else { return true };
            match rest.give_up(now, STALLED) {
                Some((tenant, bytes)) => {
                    answers.give_back(&tenant, bytes);
                    false
                }
                None => true,
            }
        });
    }
}

/// The class of a call by its method and the size of its request.
fn class_of(method: &Method, bytes: usize) -> Class {
    if bytes > request::BULK_BYTES { Class::Ingest } else { method.class }
}
