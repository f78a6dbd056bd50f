//! What goes on behind the acknowledgements: embedding of turns and questions, summaries, jobs.
//! In: rows that appends left. Out: vectors, summaries, jobs that are done, tried again or dead.
//! Invariant: each effect is one commit with the head as precondition, so that work that was done
//! twice, late or for a session that is gone changes nothing.

mod backfill;
mod backlog;
mod embedding;
mod jobs;
mod question;
mod summaries;

pub use backfill::{Backfill, Filled, Preparing};
pub(super) use backlog::WHOLE;
pub use backlog::{Backlog, SESSIONS_MAX as BACKLOG_SESSIONS_MAX};
pub use embedding::PendingVectors;
pub(super) use embedding::lacking;
pub use jobs::{Job, Worked};
pub(super) use question::wait_of;

#[cfg(test)]
mod tests;
