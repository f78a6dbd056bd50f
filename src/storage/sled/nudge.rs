//! Wakes a writer that sled has forgotten. A flush of sled 0.34 waits for another thread of it to
//! write a buffer; where that write fails, the thread notes the failure and ends without waking
//! who waits for it. Another flush finds the note, and wakes them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

/// How often it is looked whether a piece of work is still the same one.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Looks after pieces of work, one at a time, of one that may have been forgotten.
pub(super) struct Nudge {
    /// Odd while a piece is under way.
    pieces: Arc<AtomicU64>,
    watcher: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Nudge {
    /// Calls `again`, on a thread of its own, when a piece of work is under way at two looks in a
    /// row, and at two, four, eight looks more: on a disk that is only slow each waits as well.
    pub(super) fn new(again: impl Fn() + Clone + Send + 'static) -> Self {
        let pieces = Arc::new(AtomicU64::new(0));
        let (end, ended) = channel();
        let seen = pieces.clone();
        let watcher = spawn(move || {
            let (mut last, mut looks) = (0, 0_u32);
            while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                let now = seen.load(SeqCst);
                looks = if now % 2 == 1 && now == last { looks + 1 } else { 0 };
                last = now;
                if looks.is_power_of_two() {
                    spawn(again.clone());
                }
            }
        });
        Self { pieces, watcher: Some((end, watcher)) }
    }

    /// Does a piece of work, looked after.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let _under_way = UnderWay::new(&self.pieces);
        work()
    }
}

impl Drop for Nudge {
    fn drop(&mut self) {
        let Some((end, watcher)) = self.watcher.take() else { return };
        drop(end);
        // What it holds of the database goes with it.
        watcher.join().ok();
    }
}

/// Ends the piece of work also where that panics.
struct UnderWay<'a>(&'a AtomicU64);

impl<'a> UnderWay<'a> {
    fn new(pieces: &'a AtomicU64) -> Self {
        pieces.fetch_add(1, SeqCst);
        Self(pieces)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::Nudge;

    #[test]
    fn work_that_was_forgotten_is_woken() {
        let (wake, woken) = sync_channel(1);
        let nudge = Nudge::new(move || {
            wake.try_send("woken").ok();
        });
        assert_eq!(nudge.during(|| "done"), "done", "what goes on needs nobody");
        assert_eq!(nudge.during(|| woken.recv()), Ok("woken"));
    }

    #[test]
    fn what_it_holds_goes_with_it() {
        let held = std::sync::Arc::new(());
        let its = held.clone();
        drop(Nudge::new(move || {
            let _held = &its;
        }));
        assert_eq!(std::sync::Arc::strong_count(&held), 1);
    }
}
