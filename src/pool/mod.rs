//! Computation that takes long, as a port: on threads, or where it is called.
//! In: work. Out: what it gives.
//! Invariant: work that was begun is done, also when nobody waits for it any more.

use tokio::sync::oneshot;

#[cfg(test)]
mod tests;

/// Work with nothing left to say.
pub type Work = Box<dyn FnOnce() + Send>;

/// What computes.
pub trait Pool: Send + Sync {
    /// Begins some work, now or later, and does not wait for it.
    fn begin(&self, work: Work);
}

/// Threads of the runtime, beside those that answer calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Threads;

impl Pool for Threads {
    fn begin(&self, work: Work) {
        // Its end is told by what `work` itself sends.
        drop(tokio::task::spawn_blocking(work));
    }
}

/// The thread of the caller, at once; for tests and simulation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inline;

impl Pool for Inline {
    fn begin(&self, work: Work) {
        work();
    }
}

/// Work that panicked, or that was dropped before it was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work did not come to its end")]
pub struct Broken;

/// Computes something and waits for it. A caller that stops waiting stops nothing.
///
/// # Errors
/// [`Broken`] when `work` panics, or the pool ends first.
pub async fn compute<T: Send + 'static>(
    pool: &dyn Pool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Broken> {
    let (give, take) = oneshot::channel();
    pool.begin(Box::new(move || {
        // Nobody may wait any more.
        let _ = give.send(work());
    }));
    take.await.map_err(|_| Broken)
}
