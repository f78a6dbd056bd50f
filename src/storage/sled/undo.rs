//! What readers must not see yet: sled shows a group as soon as it is applied, before its sync,
//! and has no snapshots. So the values that a group replaces are kept here until it is published
//! and no reader that began before is left; a reader puts them back into what it found.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::rows::Valued;

/// The keys that a group writes, each with what it had before.
pub(super) type Before = BTreeMap<Bytes, Option<Valued>>;

/// What the latest groups replaced; by default nothing, so that all there is may be seen.
#[derive(Debug, Default)]
pub(super) struct Undo {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last group that may be seen beside those that were there in the beginning.
    published: u64,
    /// What groups replaced, oldest first.
    groups: VecDeque<(u64, Arc<Before>)>,
    /// How many readers there are by the last group that each may see.
    readers: BTreeMap<u64, usize>,
}

impl Undo {
    /// Hides `group`, which replaces `before`; must be called before any of it is applied.
    pub(super) fn hide(&self, group: u64, before: Before) {
        self.lock().groups.push_back((group, Arc::new(before)));
    }

    /// Lets readers that come from now on see `group`; it must be synced.
    pub(super) fn publish(&self, group: u64) {
        let mut state = self.lock();
        state.published = group;
        state.forget();
    }

    /// Begins to read what has been published so far.
    pub(super) fn reader(&self) -> Reader<'_> {
        let mut state = self.lock();
        let seen = state.published;
        *state.readers.entry(seen).or_default() += 1;
        Reader { undo: self, seen }
    }

    /// How many groups are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.lock().groups.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic halfway: it moves values and adds numbers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets the groups that every reader may see.
    fn forget(&mut self) {
        let oldest = self.readers.keys().next().copied();
        let seen = oldest.map_or(self.published, |oldest| oldest.min(self.published));
        while self.groups.front().is_some_and(|(group, _)| *group <= seen) {
            self.groups.pop_front();
        }
    }
}

/// One read, which sees the groups that were published when it began, and no others.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    undo: &'a Undo,
    seen: u64,
}

impl Reader<'_> {
    /// What the groups replaced that this reader must not see, oldest first. It holds for all that
    /// was read from the engine before this call: a group is hidden before it is applied.
    pub(super) fn hidden(&self) -> Vec<Arc<Before>> {
        let state = self.undo.lock();
        let hidden = state.groups.iter().filter(|(group, _)| *group > self.seen);
        hidden.map(|(_, before)| Arc::clone(before)).collect()
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut state = self.undo.lock();
        if let Some(readers) = state.readers.get_mut(&self.seen) {
            *readers -= 1;
            if *readers == 0 {
                state.readers.remove(&self.seen);
            }
        }
        state.forget();
    }
}
