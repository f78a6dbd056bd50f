//! Computation that takes long: off the threads that answer calls, a few at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::Semaphore;

use crate::pool::{Broken, Pool, compute};

/// Text of fewer bytes than this is read on the spot: it takes a few milliseconds.
const LIGHT_BYTES: usize = 32 * 1024;

/// What may be computed at the same time.
pub(super) struct Heavy {
    places: Arc<Semaphore>,
}

/// Says, when it goes, that nobody waits for a result.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

impl Heavy {
    /// Half of the cores at most, so that the others answer calls.
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { places: Arc::new(Semaphore::new((cores / 2).max(1))) }
    }

    /// Runs `work` over so many bytes of text: where it is called when that is light, else by the
    /// pool, in the order in which they came. `work` is told by its argument whether
    /// the caller has gone; the place is free only when it has returned.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        pool: &dyn Pool,
        bytes: usize,
        work: impl FnOnce(&dyn Fn() -> bool) -> T + Send + 'static,
    ) -> T {
        if bytes < LIGHT_BYTES {
            return work(&|| false);
        }
        let place = self.places.clone().acquire_owned().await.expect("it is never closed");
        let gone = Arc::new(AtomicBool::new(false));
        let waiting = Waiting(gone.clone());
        let worked = compute(pool, move || {
            let done = work(&|| gone.load(Relaxed));
            drop(place);
            done
        });
        let done = worked.await.expect("planning does not panic");
        drop(waiting);
        done
    }
}

/// Computes something that is light (see `Corpus::is_light`) or not: where it is called,
/// or by the pool.
///
/// # Errors
/// [`Broken`], as [`compute`].
pub(super) async fn nearby<T: Send + 'static>(
    pool: &dyn Pool,
    is_light: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Broken> {
    if is_light { Ok(work()) } else { compute(pool, work).await }
}
