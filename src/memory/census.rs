//! How many sessions a tenant has: counted at its first new one, estimated from then on, and
//! counted again before any is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use moka::sync::Cache;

use crate::error::{Failure, Reason};
use crate::memory::{Memory, POLICIES_MAX};
use crate::record::keys;
use crate::types::TenantId;

/// The most sessions of a tenant, unless a setting says otherwise: with a few hundred bytes for
/// each head, a scan of them still takes seconds, not minutes.
pub const SESSIONS_MAX: u64 = 1_000_000;
/// How many are read at a time.
const PAGE_SESSIONS: usize = 1_000;
/// A tenant that is full is not counted again before this, in milliseconds.
const COUNT_AGAIN_MS: i64 = 10_000;

/// How many sessions tenants have, as far as they made new ones lately.
pub(super) struct Census {
    tenants: Cache<TenantId, Arc<Count>>,
    most: u64,
}

struct Count {
    /// At least as many as there are, once they were counted: deleted ones still count.
    sessions: AtomicU64,
    counted_at: AtomicI64,
}

impl Census {
    pub(super) fn new(most: u64) -> Self {
        Self { tenants: Cache::new(POLICIES_MAX), most }
    }
}

impl Memory {
    /// Refuses when a tenant has as many sessions as it may; else counts one more. A creation that
    /// fails after this counts too, until the next count.
    ///
    /// # Errors
    /// `TOO_MANY_SESSIONS` and what the store refuses.
    pub(super) async fn room_for_session(&self, tenant: &TenantId) -> Result<(), Failure> {
        let now = self.now().0;
        let fresh = || Count { sessions: AtomicU64::new(0), counted_at: AtomicI64::new(now) };
        let entry = self.census.tenants.entry_by_ref(tenant).or_insert_with(|| Arc::new(fresh()));
        let is_new = entry.is_fresh();
        let count = entry.into_value();
        let most = self.census.most;
        let is_full = count.sessions.fetch_add(1, Relaxed) >= most;
        let counted_at = count.counted_at.load(Relaxed);
        if !is_new && !is_full {
            return Ok(());
        }
        // One call counts; the others go by what is known.
        let is_old = is_new || now.saturating_sub(counted_at) >= COUNT_AGAIN_MS;
        let counts =
            is_old && count.counted_at.compare_exchange(counted_at, now, Relaxed, Relaxed).is_ok();
        if counts {
            let found = self.count_sessions(tenant).await?;
            match is_new {
                // Others have come meanwhile.
                true => count.sessions.fetch_add(found, Relaxed),
                false => count.sessions.swap(found + 1, Relaxed),
            };
            if found < most {
                return Ok(());
            }
        }
        let message = format!("a tenant may have {most} sessions");
        Err(Failure::new(Reason::TooManySessions, message).over("sessions"))
    }

    async fn count_sessions(&self, tenant: &TenantId) -> Result<u64, Failure> {
        let prefix = keys::heads(tenant);
        let (mut found, mut after) = (0, None::<String>);
        while found < self.census.most {
            let rows = self.page(&prefix, after.as_deref(), PAGE_SESSIONS).await?;
            found += rows.len() as u64;
            match rows.last() {
                Some(last) if rows.len() == PAGE_SESSIONS => {
                    after = Some(keys::last_id(&last.key).to_owned());
                }
                _ => break,
            }
        }
        Ok(found)
    }
}
