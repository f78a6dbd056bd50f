//! Queues in the process for writers of the same session or user. They only make conflicts rare;
//! the preconditions of the commits make writes correct.

use std::hash::BuildHasher as _;

use rustc_hash::FxBuildHasher;
use tokio::sync::{Mutex, MutexGuard};

/// Enough that two of a hundred busy sessions seldom share one.
const STRIPES: usize = 1_024;

/// A fixed number of locks, chosen by the hash of a name.
pub struct Stripes {
    locks: Vec<Mutex<()>>,
}

impl Stripes {
    /// All locks, free.
    pub fn new() -> Self {
        Self { locks: (0..STRIPES).map(|_| Mutex::new(())).collect() }
    }

    /// Waits for the lock of a name.
    pub async fn lock(&self, tenant: &str, name: &str) -> MutexGuard<'_, ()> {
        let hash = FxBuildHasher.hash_one((tenant, name));
        // The high bits of this hash are the good ones.
        self.locks[(hash >> 32) as usize % STRIPES].lock().await
    }
}
