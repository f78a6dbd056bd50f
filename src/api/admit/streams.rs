//! Places for streams of documents: so many in all, and a share of them for one tenant, since a
//! stream may stay open and say nothing for minutes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::types::TenantId;

/// How many streams of documents may be open at a time: each holds a part or two in memory.
pub const STREAMS_MAX: usize = 256;

/// Who has how many.
pub(super) struct Streams {
    of_tenant_max: usize,
    open: Arc<Mutex<HashMap<TenantId, usize>>>,
}

/// A place; free again when this is dropped.
#[derive(Debug)]
pub(super) struct StreamPlace {
    open: Arc<Mutex<HashMap<TenantId, usize>>>,
    tenant: TenantId,
}

impl Streams {
    /// With nobody in it; one tenant gets at most so many percent of the places.
    pub(super) fn new(tenant_share_percent: u32) -> Self {
        let share = STREAMS_MAX * tenant_share_percent.clamp(1, 100) as usize / 100;
        Self { of_tenant_max: share.max(1), open: Arc::default() }
    }

    /// A place; none when all are taken, or the tenant has its share of them.
    pub(super) fn enter(&self, tenant: &TenantId) -> Option<StreamPlace> {
        let mut open = lock(&self.open);
        let all: usize = open.values().sum();
        let own = open.get(tenant).copied().unwrap_or_default();
        if all >= STREAMS_MAX || own >= self.of_tenant_max {
            return None;
        }
        open.insert(tenant.clone(), own + 1);
        Some(StreamPlace { open: Arc::clone(&self.open), tenant: tenant.clone() })
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if let Some(own) = open.get_mut(&self.tenant) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.tenant);
            }
        }
    }
}

fn lock(open: &Mutex<HashMap<TenantId, usize>>) -> MutexGuard<'_, HashMap<TenantId, usize>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
