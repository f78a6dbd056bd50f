//! Bugs that are planted to test the tests: the simulation must find each of them.
//! In: a bug. Out: whether it is planted in this thread.
//! Invariant: without the feature `planted`, which only tests switch on, none ever is.

#[cfg(feature = "planted")]
use std::cell::Cell;

/// What could have been done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A request that can be repeated leaves no repeat row.
    DropRepeat,
    /// A repeated append is applied anew once its session was deleted.
    RepeatAfterDelete,
    /// Work that comes late is kept for another life of the session.
    LateWork,
    /// A job is noted in the head and not queued.
    LoseJob,
    /// Copies in memory are found by session alone.
    ForgetTenant,
    /// A summary begins one turn before the last one ended.
    OverlapSummaries,
    /// Vectors are kept without a change number.
    MissChange,
    /// The framing of messages is not counted.
    NoFraming,
    /// An erased or superseded turn leaves its vectors.
    LeaveVectors,
    /// The next seq is counted from the turns that are stored.
    ReuseSeq,
    /// A copy in memory keeps turns that were superseded.
    StaleReplace,
    /// A list of a user's sessions takes any copy for a new one.
    StaleUserCopy,
    /// A deletion leaves the summaries of what it erases.
    KeepSummaries,
    /// A commit does not look whether the head is as it was read.
    BlindCommit,
    /// A deleted session leaves its rows.
    ForgetPurge,
    /// An append whose caller has gone is not embedded.
    ForgetCut,
    /// A fork whose caller has gone leaves its copies.
    ForgetFork,
    /// Turns without vectors are looked for once only.
    ForgetMissing,
    /// A store acknowledges what it has not synced. Planted in the store of the simulation, as
    /// are the two below.
    SkipSync,
    /// A store shows a commit before it is kept.
    EarlyPublish,
    /// A store answers a commit before it is kept.
    EarlyAnswer,
}

impl Bug {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::DropRepeat,
        Self::RepeatAfterDelete,
        Self::LateWork,
        Self::LoseJob,
        Self::ForgetTenant,
        Self::OverlapSummaries,
        Self::MissChange,
        Self::NoFraming,
        Self::LeaveVectors,
        Self::ReuseSeq,
        Self::StaleReplace,
        Self::StaleUserCopy,
        Self::KeepSummaries,
        Self::BlindCommit,
        Self::ForgetPurge,
        Self::ForgetCut,
        Self::ForgetFork,
        Self::ForgetMissing,
        Self::SkipSync,
        Self::EarlyPublish,
        Self::EarlyAnswer,
    ];
}

#[cfg(feature = "planted")]
thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a bug in this thread, in place of the one before.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether a bug is planted here.
#[cfg(feature = "planted")]
pub fn has(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether a bug is planted here: never.
#[cfg(not(feature = "planted"))]
pub const fn has(_: Bug) -> bool {
    false
}
