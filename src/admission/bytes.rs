//! An account of bytes with a limit, of which one tenant may have half.

use std::collections::HashMap;
use std::hash::Hash;

/// What became of a wish for bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// They are the tenant's.
    Yes,
    /// There are not so many left, for this tenant or for anybody.
    Over,
}

/// Who has how many bytes.
#[derive(Debug)]
pub struct Account<T> {
    most: u64,
    used: u64,
    by_tenant: HashMap<T, u64>,
}

impl<T: Clone + Eq + Hash> Account<T> {
    /// An account of so many bytes, none of which is taken.
    pub fn new(most: u64) -> Self {
        Self { most, used: 0, by_tenant: HashMap::new() }
    }

    /// How many are taken.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Whether a tenant's next few bytes would be refused.
    pub fn is_over(&self, tenant: &T) -> bool {
        let own = self.by_tenant.get(tenant).copied().unwrap_or_default();
        self.used >= self.most || own >= self.most / 2
    }

    /// Takes bytes for a tenant. A tenant that has none may take up to all that is left, so that
    /// nothing is too large for ever; else it may have half.
    pub fn take(&mut self, tenant: &T, bytes: u64) -> Taken {
        let own = self.by_tenant.get(tenant).copied().unwrap_or_default();
        let is_much = own > 0 && own + bytes > self.most / 2;
        if is_much || self.used + bytes > self.most {
            return Taken::Over;
        }
        self.add(tenant, bytes);
        Taken::Yes
    }

    /// Takes bytes for a tenant, whatever the limit is.
    pub fn add(&mut self, tenant: &T, bytes: u64) {
        if bytes > 0 {
            self.used += bytes;
            *self.by_tenant.entry(tenant.clone()).or_default() += bytes;
        }
    }

    /// Gives bytes back that were taken.
    pub fn give_back(&mut self, tenant: &T, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
        if let Some(own) = self.by_tenant.get_mut(tenant) {
            *own = own.saturating_sub(bytes);
            if *own == 0 {
                self.by_tenant.remove(tenant);
            }
        }
    }
}
