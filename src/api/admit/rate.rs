//! How many calls a second each tenant makes.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, MonotonicClock};
use governor::state::keyed::HashMapStateStore;
use governor::{NotUntil, Quota, RateLimiter};

use crate::types::TenantId;

/// The rates of all tenants that called lately.
pub(super) struct Rates {
    limiter: RateLimiter<TenantId, HashMapStateStore<TenantId>, MonotonicClock>,
}

impl Rates {
    /// So many calls a second, so many at once; `None` for 0 a second: any number.
    pub(super) fn new(per_second: u32, burst: u32) -> Option<Self> {
        let rate = NonZeroU32::new(per_second)?;
        let burst = NonZeroU32::new(burst).unwrap_or(rate);
        let quota = Quota::per_second(rate).allow_burst(burst);
        Some(Self { limiter: RateLimiter::hashmap(quota) })
    }

    /// Counts a call. When it is one too many: after how long one more may come.
    pub(super) fn check(&self, tenant: &TenantId) -> Result<(), Duration> {
        let now = self.limiter.clock().now();
        self.limiter.check_key(tenant).map_err(|until: NotUntil<_>| until.wait_time_from(now))
    }

    /// Forgets tenants that have all of their burst again.
    pub(super) fn forget(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}
