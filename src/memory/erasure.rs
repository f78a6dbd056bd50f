//! When files hold nothing of what was deleted: some time after the deletion, and when asked.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::error::{Failure, Reason};
use crate::memory::{Memory, rows::store_failure};
use crate::record::{ErasedRow, encode, keys};
use crate::storage::{Batch, Erased, Erases};
use crate::types::Timestamp;

/// What is known of erasure from files, and who waits for it.
#[derive(Default)]
pub(super) struct Erasure {
    /// How long after a deletion the files hold nothing of it; `None`: only when asked.
    pub(super) after: Option<Duration>,
    /// Held by who erases.
    running: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    asked: Notify,
}

#[derive(Default)]
struct State {
    /// Whether vectors in memory may be of what was deleted.
    vectors: bool,
    /// The first deletion that files may hold something of.
    oldest: Option<Timestamp>,
    done: Option<ErasedRow>,
    running: bool,
    held_by: Option<String>,
    /// Since when commits are planned that are not made yet, by numbers without meaning.
    planned: BTreeMap<u64, Timestamp>,
    last_planned: u64,
}

/// A commit that is planned; it is made, or given up, when this is dropped.
pub(super) struct Planned<'a> {
    erasure: &'a Erasure,
    number: u64,
}

impl Drop for Planned<'_> {
    fn drop(&mut self) {
        self.erasure.state().planned.remove(&self.number);
    }
}

/// How files come to hold nothing of what was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// There are none.
    None,
    /// They are written anew, some time after a deletion and when asked.
    ByNode,
    /// Only in a copy of the folder, when the original is gone.
    ByCopy,
}

/// What a receipt of a deletion says of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// How files are rid of it.
    pub files: Files,
    /// By when; `None`: when somebody asks for it, or copies the folder.
    pub due_at: Option<Timestamp>,
}

/// Where erasure from files stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesState {
    /// How files are rid of what was deleted.
    pub files: Files,
    /// Nothing that was deleted before this is in a file; `None`: nobody can say so.
    pub erased_before: Option<Timestamp>,
    /// Since when.
    pub erased_at: Option<Timestamp>,
    /// The first deletion since, as far as files may hold something of it.
    pub oldest: Option<Timestamp>,
    /// Whether they are being rid of it now.
    pub running: bool,
    /// What kept them from it the last time; empty: nothing.
    pub held_by: String,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erasing {
    /// The files hold nothing of what was deleted before it began.
    Done,
    /// Something keeps them from it; the state says what.
    Held,
    /// There is nothing that this can do.
    Never,
}

impl Erasure {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to plan a commit: what it deletes is deleted now or later.
    pub(super) fn plan(&self, clock: &dyn Clock) -> Planned<'_> {
        // The clock is read under the lock: who begins to erase afterwards knows of this commit.
        let mut state = self.state();
        let now = clock.now();
        state.last_planned += 1;
        let number = state.last_planned;
        state.planned.insert(number, now);
        Planned { erasure: self, number }
    }

    /// Begins to erase: gives the time before which nothing is deleted any more.
    fn begin(&self, clock: &dyn Clock) -> Timestamp {
        let mut state = self.state();
        let now = clock.now_after();
        state.oldest = None;
        state.planned.values().copied().min().map_or(now, |first| first.min(now))
    }

    /// Notes a commit; `erases`: files must be rid of what it removed.
    pub(super) fn note(&self, erases: bool, now: Timestamp) {
        if erases {
            let mut state = self.state();
            state.oldest = Some(state.oldest.map_or(now, |oldest| oldest.min(now)));
            state.vectors = true;
        }
    }
}

impl Memory {
    /// Learns from the record what files may still hold. Call it before serving.
    ///
    /// # Errors
    /// What the store refuses.
    pub async fn resume_erasure(&self) -> Result<(), Failure> {
        let last = self.get::<Timestamp>(keys::last_deletion()).await?.map(|last| last.row);
        let done = self.get::<ErasedRow>(keys::erased_files()).await?.map(|done| done.row);
        let mut state = self.erasure.state();
        state.done = done;
        match (last, done) {
            // Only the last deletion is known: the first one may be as old as this.
            (Some(last), Some(done)) if last >= done.before => state.oldest = Some(done.before),
            // Nobody knows how old the first one is.
            (Some(last), None) => {
                state.oldest = Some(last);
                self.erasure.asked.notify_one();
            }
            _ => {}
        }
        Ok(())
    }

    fn files(&self) -> Files {
        match self.store.erases() {
            Erases::AtOnce => Files::None,
            Erases::WhenAsked => Files::ByNode,
            Erases::ByCopy => Files::ByCopy,
        }
    }

    /// What a receipt of a deletion says of files.
    pub fn receipt(&self, deleted_at: Timestamp) -> Receipt {
        let files = self.files();
        let due_at = match files {
            Files::None => Some(deleted_at),
            Files::ByNode => self.erasure.after.map(|after| later(deleted_at, after)),
            Files::ByCopy => None,
        };
        Receipt { files, due_at }
    }

    /// Where erasure from files stands.
    pub fn files_state(&self) -> FilesState {
        let (files, now) = (self.files(), self.now());
        let state = self.erasure.state();
        let done = match files {
            Files::None => Some(ErasedRow { before: now, at: now }),
            Files::ByNode => state.done,
            // A row that says so was copied from the files of another engine.
            Files::ByCopy => None,
        };
        FilesState {
            files,
            erased_before: done.map(|done| done.before),
            erased_at: done.map(|done| done.at),
            oldest: state.oldest.filter(|_| files != Files::None),
            running: state.running,
            held_by: state.held_by.clone().unwrap_or_default(),
        }
    }

    /// Asks for the files to be rid of all that was deleted so far. Gives the time from which on
    /// deletions may come too late for it: those that were answered are earlier.
    pub fn ask_to_erase(&self) -> Timestamp {
        let now = self.clock.now_after();
        self.erasure.note(true, now);
        self.erasure.state().held_by = None;
        self.erasure.asked.notify_one();
        now
    }

    /// Waits until somebody asks for files to be rid of what was deleted.
    pub async fn asked_to_erase(&self) {
        self.erasure.asked.notified().await;
    }

    /// How long files may wait to be rid of what was deleted; `None`: for ever, as it is now. They
    /// begin with it at half the time, so that it is done by the end.
    pub fn erases_in(&self) -> Option<Duration> {
        let after = self.erasure.after.filter(|_| self.files() == Files::ByNode)?;
        let begins = later(self.erasure.state().oldest?, after / 2);
        let left = begins.0.saturating_sub(self.now().0);
        Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
    }

    /// Rids the files of all that was deleted before.
    ///
    /// # Errors
    /// `INTERNAL` and what the store refuses; the next attempt begins anew.
    pub async fn erase_from_files(&self) -> Result<Erasing, Failure> {
        if self.files() != Files::ByNode {
            return Ok(Erasing::Never);
        }
        let _alone = self.erasure.running.lock().await;
        let oldest = {
            let mut state = self.erasure.state();
            state.running = true;
            state.oldest
        };
        let erased = self.erase_before_now().await;
        let mut state = self.erasure.state();
        state.running = false;
        match &erased {
            Ok((Erasing::Done, _)) => state.held_by = None,
            Ok((_, by)) => state.held_by.clone_from(by),
            Err(failure) => state.held_by = Some(failure.to_string()),
        }
        if !matches!(erased, Ok((Erasing::Done, _))) {
            state.oldest = oldest.or(state.oldest);
        }
        erased.map(|(erasing, _)| erasing)
    }

    async fn forget_all_vectors(&self) -> Result<(), Failure> {
        self.erasure.state().vectors = false;
        self.forget_vectors().await.map_err(|error| {
            self.erasure.state().vectors = true;
            let message = "the vectors that are kept cannot be forgotten";
            Failure::new(Reason::Internal, message).because(error)
        })
    }

    /// Forgets the vectors that are kept in memory, where files are not rid of what was deleted, or
    /// there are none, when something was deleted since the last time.
    ///
    /// # Errors
    /// `INTERNAL`; the next call tries again.
    pub(super) async fn sweep_vectors(&self) -> Result<(), Failure> {
        let deleted = self.erasure.state().vectors;
        match deleted && self.files() != Files::ByNode {
            true => self.forget_all_vectors().await,
            false => Ok(()),
        }
    }

    async fn erase_before_now(&self) -> Result<(Erasing, Option<String>), Failure> {
        let before = self.erasure.begin(self.clock.as_ref());
        // One whose caller has gone may still wait in the queue: this comes after it.
        self.commit_plain(Batch::new()).await?;
        while self.sweep_purges().await? > 0 {}
        while self.sweep_documents().await? > 0 {}
        self.compact_documents().await.map_err(|error| {
            let message = "the files of the index of documents cannot be compacted";
            Failure::new(Reason::Internal, message).because(error)
        })?;
        match self.store.erase().await.map_err(store_failure)? {
            Erased::Done => {}
            Erased::Held { by } => return Ok((Erasing::Held, Some(by))),
            Erased::ByCopy => return Ok((Erasing::Never, None)),
        }
        self.forget_all_vectors().await?;
        let done = ErasedRow { before, at: self.now() };
        self.commit_plain(Batch::new().put(keys::erased_files(), encode(&done)).vital()).await?;
        self.erasure.state().done = Some(done);
        Ok((Erasing::Done, None))
    }
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp(time.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}
