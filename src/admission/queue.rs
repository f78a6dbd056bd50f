//! A queue that is fair between tenants: one after the other, each its calls in order.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

/// A place in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) ticket: Ticket,
    pub(super) since: Duration,
    pub(super) kind: usize,
}

/// Those who wait, by tenant.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    by_tenant: HashMap<T, VecDeque<Waiting>>,
    /// Tenants that have someone waiting, whose turn is next in front.
    turns: VecDeque<T>,
    length: usize,
}

impl<T: Clone + Eq + Hash> FairQueue<T> {
    pub(super) fn new() -> Self {
        Self { by_tenant: HashMap::new(), turns: VecDeque::new(), length: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// How many tenants have someone waiting.
    pub(super) fn tenants(&self) -> usize {
        self.turns.len()
    }

    /// How many of a tenant's wait.
    pub(super) fn of(&self, tenant: &T) -> usize {
        self.by_tenant.get(tenant).map_or(0, VecDeque::len)
    }

    /// Whether something holds for each tenant that has someone waiting.
    pub(super) fn all(&self, holds: impl Fn(&T) -> bool) -> bool {
        self.turns.iter().all(holds)
    }

    pub(super) fn push(&mut self, tenant: T, waiting: Waiting) {
        let own = self.by_tenant.entry(tenant.clone()).or_default();
        if own.is_empty() {
            self.turns.push_back(tenant);
        }
        own.push_back(waiting);
        self.length += 1;
    }

    /// Takes the next call of the next tenant that may come in, whose turn is over then.
    pub(super) fn pop(&mut self, may: impl Fn(&T) -> bool) -> Option<(T, Waiting)> {
        let at = self.turns.iter().position(may)?;
        let tenant = self.turns.remove(at)?;
        let own = self.by_tenant.get_mut(&tenant)?;
        let waiting = own.pop_front()?;
        if own.is_empty() {
            self.by_tenant.remove(&tenant);
        } else {
            self.turns.push_back(tenant.clone());
        }
        self.length -= 1;
        Some((tenant, waiting))
    }

    /// Takes the latest call of the tenant that has most of them waiting, if it has more than `of`.
    pub(super) fn pop_of_longest(&mut self, of: usize) -> Option<Waiting> {
        let longest = self.by_tenant.iter().max_by_key(|(_, own)| own.len())?;
        let tenant = longest.0.clone();
        if longest.1.len() <= of {
            return None;
        }
        let last = *longest.1.back()?;
        self.remove(&tenant, last.ticket);
        Some(last)
    }

    /// Takes a call out, wherever it stands. `false`: it does not wait here.
    pub(super) fn remove(&mut self, tenant: &T, ticket: Ticket) -> bool {
        let Some(own) = self.by_tenant.get_mut(tenant) else { return false };
        // Tickets rise within a tenant.
        let Ok(at) = own.binary_search_by_key(&ticket, |waiting| waiting.ticket) else {
            return false;
        };
        own.remove(at);
        self.length -= 1;
        if own.is_empty() {
            self.by_tenant.remove(tenant);
            self.turns.retain(|other| other != tenant);
        }
        true
    }
}
