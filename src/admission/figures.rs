//! What is counted, for whoever exports it.

use std::time::Duration;

/// Why a call was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refused {
    /// Its tenant makes more calls a second than it may.
    Rate,
    /// As many calls wait as may.
    QueueFull,
    /// It would have waited too long.
    WaitTooLong,
    /// It waited too long.
    Waited,
    /// Requests that are under way take all the memory there is for them.
    RequestBytes,
    /// Answers that nobody has read yet take all the memory there is for them.
    AnswerBytes,
}

impl Refused {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Rate,
        Self::QueueFull,
        Self::WaitTooLong,
        Self::Waited,
        Self::RequestBytes,
        Self::AnswerBytes,
    ];

    /// A name for metrics and for the metadata of a refusal.
    pub fn text(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::QueueFull => "queue_full",
            Self::WaitTooLong => "wait_too_long",
            Self::Waited => "waited",
            Self::RequestBytes => "request_bytes",
            Self::AnswerBytes => "answer_bytes",
        }
    }
}

/// The figures of a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneFigures {
    /// How many calls may be in now.
    pub limit: usize,
    /// How many are in, by class.
    pub in_flight: [usize; 2],
    /// How many wait, by class.
    pub waiting: [usize; 2],
    /// How many were let in since the start, by class.
    pub admitted: [u64; 2],
    /// For how long those who were let in had waited, summed up.
    pub waited: Duration,
}

/// The figures of admission.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// The lane of reads.
    pub reads: LaneFigures,
    /// The lane of writes.
    pub writes: LaneFigures,
    /// How many calls were refused since the start, in the order of [`Refused::ALL`].
    pub refused: [u64; 6],
    /// How many bytes requests under way take.
    pub request_bytes: u64,
    /// How many bytes answers take that are not read yet.
    pub answer_bytes: u64,
}
