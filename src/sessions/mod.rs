//! What an append, a deletion, a fork and a change of settings do to a session. Pure.
//! In: the request, the rows that were read with their revisions, `now`. Out: a batch with its
//! preconditions, and the answer.
//! Invariant: each batch that touches an incarnation's rows also writes its head, with the revision
//! that the plan was made from.

mod append;
mod behind;
mod draft;
mod erase;
mod fork;
mod jobs;
mod settings;
mod spaces;

pub use append::{Append, AppendFound, AppendPlan, NewTurn, SESSION_TURNS_MAX, plan_append};
pub use behind::{
    Behind, Summarized, Vectorized, marks, plan_beside, plan_missing, plan_settled, plan_summary,
    plan_vectors, rests_at,
};
pub use draft::{Draft, Repeat, Revised};
pub use erase::{
    DeleteTurns, Erased, GROUP_REACH, Stored, close_groups, plan_delete_session, plan_delete_turns,
};
pub use fork::{FORK_MARK, ForkEnd, plan_fork_end};
pub use jobs::{
    ATTEMPTS_MAX, LEASE_MS, backoff_ms, plan_done, plan_due, plan_failed, plan_leased, plan_retried,
};
pub use settings::{Create, Update, plan_create, plan_update};
pub use spaces::{plan_start, plan_switch};

#[cfg(test)]
mod tests;
