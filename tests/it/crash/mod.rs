//! The real binary, killed and let down by its disk: what it acknowledged is there afterwards.

mod answers;
mod chance;
mod doctor;
mod documents;
mod faults;
mod purges;
mod retried;
mod rounds;
mod server;
mod shelf;
mod slow;
mod start;
mod strace;
mod summaries;
mod talk;
mod writers;

/// The engines that keep the record on disk.
const ENGINES: &[&str] = &["fjall", "sled"];
