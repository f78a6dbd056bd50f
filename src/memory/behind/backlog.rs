//! Which sessions have turns that wait for vectors, and whose turn it is: fair between tenants, in
//! a tenant the session that was asked about last, of a session the newest turns.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::planted::{self, Bug};
use crate::types::{Incarnation, Seq, SessionId, TenantId, Timestamp};

/// How many sessions are known in memory: some megabytes. The rows of the others lie in the store
/// until these are done.
pub const SESSIONS_MAX: usize = 10_000;

/// How many ranges of a session are told apart; with more, its rows are looked through again.
const RANGES_MAX: usize = 32;

/// The sessions that wait.
#[derive(Default)]
pub struct Backlog {
    inner: Mutex<Inner>,
    /// Told when there is more to do.
    pub(super) more: Notify,
    /// Told when a session is done.
    pub(super) less: Notify,
}

#[derive(Default)]
struct Inner {
    tenants: BTreeMap<TenantId, BTreeMap<Incarnation, Waiting>>,
    served_last: Option<TenantId>,
    sessions: usize,
    count: u64,
    /// Whether the store may hold sessions that are not known here.
    overflow: bool,
    /// Sessions whose last commit nobody waited for, each with since when.
    doubtful: Vec<(Timestamp, TenantId, Incarnation, SessionId)>,
}

/// A session that waits.
#[derive(Debug, Clone)]
struct Waiting {
    session: SessionId,
    /// When it was asked about, and noted, last, by the count.
    order: (u64, u64),
    /// Ranges of seqs (the end exclusive) that may hold waiting turns, the newest last.
    ranges: Vec<(Seq, Seq)>,
    /// Since when its oldest turn waits.
    since: Timestamp,
    /// Whether turns may lack vectors that no row waits for.
    missing: bool,
    taken: bool,
}

/// A session to work on.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) tenant: TenantId,
    pub(super) incarnation: Incarnation,
    pub(super) session: SessionId,
    /// Where to look first; `None`: nothing is left to look at.
    pub(super) range: Option<(Seq, Seq)>,
    /// Whether to look for turns that lack vectors and do not wait.
    pub(super) missing: bool,
}

/// How long a commit that nobody waits for may be under way: many times what a slow disk takes.
const COMMIT_MS_MAX: i64 = 20_000;

/// All that a session may hold.
pub(in crate::memory) const WHOLE: (Seq, Seq) = (Seq(0), Seq(u64::MAX));

impl Backlog {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder panics")
    }

    /// Notes turns that wait since `since`.
    pub(in crate::memory) fn note(
        &self,
        (tenant, incarnation, session): (&TenantId, Incarnation, &SessionId),
        range: (Seq, Seq),
        since: Timestamp,
    ) {
        self.inner().note(tenant, incarnation, session, since, |waiting| waiting.add(range));
        self.more.notify_one();
    }

    /// Notes that turns of a session may lack vectors without waiting for any.
    pub(in crate::memory) fn note_missing(
        &self,
        (tenant, incarnation, session): (&TenantId, Incarnation, &SessionId),
        since: Timestamp,
    ) {
        let mark = |waiting: &mut Waiting| waiting.missing = true;
        self.inner().note(tenant, incarnation, session, since, mark);
        self.more.notify_one();
    }

    /// Notes that the caller of a commit has gone: whether turns wait shows when it is over.
    pub(in crate::memory) fn doubt(
        &self,
        (tenant, incarnation, session): (&TenantId, Incarnation, &SessionId),
        now: Timestamp,
    ) {
        let mut inner = self.inner();
        if inner.doubtful.len() == SESSIONS_MAX {
            inner.overflow = true;
            return;
        }
        inner.doubtful.push((now, tenant.clone(), incarnation, session.clone()));
    }

    /// Notes the sessions whose last commit must be over by now.
    pub(in crate::memory) fn note_doubtful(&self, now: Timestamp) {
        let over = |since: Timestamp| since.0.saturating_add(COMMIT_MS_MAX) <= now.0;
        let mut doubtful = std::mem::take(&mut self.inner().doubtful);
        let rest = doubtful.partition_point(|(since, ..)| over(*since));
        for (since, tenant, incarnation, session) in doubtful.drain(..rest) {
            self.note((&tenant, incarnation, &session), WHOLE, since);
        }
        doubtful.append(&mut self.inner().doubtful);
        self.inner().doubtful = doubtful;
    }

    /// Moves a session to the front of its tenant: somebody asks about it.
    pub(in crate::memory) fn asked(&self, tenant: &TenantId, incarnation: Incarnation) {
        let mut inner = self.inner();
        inner.count += 1;
        let count = inner.count;
        let waiting = inner.tenants.get_mut(tenant).and_then(|of| of.get_mut(&incarnation));
        if let Some(waiting) = waiting {
            waiting.order.0 = count;
        }
    }

    /// Takes the session whose turn it is. It is not given to another worker until it is put back.
    pub(super) fn take(&self) -> Option<Taken> {
        let mut inner = self.inner();
        let last = inner.served_last.take();
        let free = |of: &BTreeMap<Incarnation, Waiting>| of.values().any(|waiting| !waiting.taken);
        let mut next = None;
        for (tenant, of) in &inner.tenants {
            let after = last.as_ref().is_none_or(|last| tenant > last);
            if free(of) && (next.is_none() || after) {
                next = Some(tenant.clone());
                if after {
                    break;
                }
            }
        }
        inner.served_last = next.clone().or(last);
        let tenant = next?;
        let of = inner.tenants.get_mut(&tenant)?;
        let waiting = of.iter_mut().filter(|(_, waiting)| !waiting.taken);
        let (incarnation, waiting) = waiting.max_by_key(|(_, waiting)| waiting.order)?;
        waiting.taken = true;
        let session = waiting.session.clone();
        let missing = std::mem::take(&mut waiting.missing);
        let range = waiting.ranges.pop();
        Some(Taken { incarnation: *incarnation, session, range, missing, tenant })
    }

    /// Puts a session back, with what of its range is still to be looked at.
    pub(super) fn put_back(&self, taken: &Taken, rest: Option<(Seq, Seq)>) {
        let mut inner = self.inner();
        let of = inner.tenants.get_mut(&taken.tenant);
        if let Some(waiting) = of.and_then(|of| of.get_mut(&taken.incarnation)) {
            waiting.taken = false;
            // Turns noted meanwhile are newer: they stay on top.
            waiting.ranges.extend(rest);
            let last = waiting.ranges.len().saturating_sub(1);
            if rest.is_some() && last > 0 && waiting.ranges[last] < waiting.ranges[last - 1] {
                waiting.ranges.sort_unstable();
            }
        }
        drop(inner);
        self.more.notify_one();
    }

    /// Puts a session back as it was taken: nothing could be done.
    pub(super) fn give_back(&self, taken: &Taken) {
        if taken.missing && !planted::has(Bug::ForgetMissing) {
            let mut inner = self.inner();
            let of = inner.tenants.get_mut(&taken.tenant);
            if let Some(waiting) = of.and_then(|of| of.get_mut(&taken.incarnation)) {
                waiting.missing = true;
            }
        }
        self.put_back(taken, Some(taken.range.unwrap_or(WHOLE)));
    }

    /// Forgets a session that is done or gone, unless turns were noted meanwhile.
    pub(super) fn done(&self, taken: &Taken) {
        let mut inner = self.inner();
        let Some(of) = inner.tenants.get_mut(&taken.tenant) else { return };
        let Some(waiting) = of.get_mut(&taken.incarnation) else { return };
        if waiting.ranges.is_empty() && !waiting.missing {
            of.remove(&taken.incarnation);
            if of.is_empty() {
                inner.tenants.remove(&taken.tenant);
            }
            inner.sessions -= 1;
        } else {
            waiting.taken = false;
        }
        drop(inner);
        self.less.notify_waiters();
        self.more.notify_one();
    }

    /// Whether nothing waits that is known here, and whether the store may hold more.
    pub(super) fn is_empty(&self) -> (bool, bool) {
        let inner = self.inner();
        (inner.sessions == 0, inner.overflow)
    }

    /// Says whether the store may hold sessions that are not known here.
    pub(super) fn set_overflow(&self, overflow: bool) {
        self.inner().overflow = overflow;
    }

    /// How many sessions wait, as far as they are known here, and since when the oldest turn does.
    pub(super) fn oldest(&self) -> (usize, Option<Timestamp>) {
        let inner = self.inner();
        let all = inner.tenants.values().flat_map(BTreeMap::values);
        (inner.sessions, all.map(|waiting| waiting.since).min())
    }
}

impl Inner {
    fn note(
        &mut self,
        tenant: &TenantId,
        incarnation: Incarnation,
        session: &SessionId,
        since: Timestamp,
        change: impl FnOnce(&mut Waiting),
    ) {
        self.count += 1;
        let count = self.count;
        if let Some(waiting) = self.tenants.get_mut(tenant).and_then(|of| of.get_mut(&incarnation))
        {
            waiting.order.1 = count;
            waiting.since = waiting.since.min(since);
            return change(waiting);
        }
        if self.sessions == SESSIONS_MAX {
            self.overflow = true;
            return;
        }
        self.sessions += 1;
        let session = session.clone();
        let (order, ranges) = ((0, count), Vec::new());
        let mut waiting = Waiting { session, order, ranges, since, missing: false, taken: false };
        change(&mut waiting);
        self.tenants.entry(tenant.clone()).or_default().insert(incarnation, waiting);
    }
}

impl Waiting {
    /// Adds a range on top. One that touches the newest is joined to it.
    fn add(&mut self, range: (Seq, Seq)) {
        let full = self.ranges.len() >= RANGES_MAX;
        match self.ranges.last_mut() {
            Some(last) if last.1 == range.0 => last.1 = range.1,
            _ if full => self.ranges = vec![WHOLE],
            _ => self.ranges.push(range),
        }
    }
}
