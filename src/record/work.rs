//! The rows of work behind the appends: vectors, summaries, jobs.

use serde::{Deserialize, Serialize};

use crate::retrieve::TurnVectors;
use crate::summarize::Summary;
use crate::types::{Incarnation, SessionId, Timestamp};

/// A turn that waits for its vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRow {
    /// Since when.
    pub since: Timestamp,
}

/// A session that has turns which wait for their vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingSession {
    /// The session.
    pub session: SessionId,
}

/// The vectors of a turn, and what made them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VectorRow {
    /// The key of the embedder: vectors of another one are not comparable.
    pub embedder: String,
    /// The version of the cut into pieces.
    pub pieces_version: u16,
    /// One vector a piece.
    pub vectors: TurnVectors,
}

/// What the files of the store hold no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedRow {
    /// Nothing that was deleted before.
    pub before: Timestamp,
    /// Since when.
    pub at: Timestamp,
}

/// How a summary was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SummaryMethod {
    /// Of sentences that were said.
    Extractive,
}

impl SummaryMethod {
    /// Its name on the wire.
    pub fn text(self) -> &'static str {
        match self {
            Self::Extractive => "extractive",
        }
    }
}

/// A summary of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// What it covers and says.
    pub summary: Summary,
    /// How it was made.
    pub method: SummaryMethod,
    /// When it was made.
    pub created_at: Timestamp,
    /// The version of the layout that made `counts`.
    pub layout_version: u16,
    /// What its lines cost, by the key of the tokenizer.
    pub counts: Vec<(String, Vec<u32>)>,
}

/// What a job does. A session has at most one job of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum JobKind {
    /// Summarizes turns above the mark, and what became void.
    Summarize = b's',
    /// Summarizes the rest of a session that rests.
    SummarizeIdle = b'i',
}

impl JobKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Summarize, Self::SummarizeIdle];

    /// The kind of a letter.
    pub fn of(letter: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == letter)
    }

    fn bit(self) -> u8 {
        match self {
            Self::Summarize => 1,
            Self::SummarizeIdle => 2,
        }
    }
}

/// The jobs that a session has, as a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSet(u8);

impl JobSet {
    /// Whether it has a job of this kind.
    pub fn has(self, kind: JobKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// The set with a kind in it.
    #[must_use]
    pub fn with(self, kind: JobKind) -> Self {
        Self(self.0 | kind.bit())
    }

    /// The set without a kind.
    #[must_use]
    pub fn without(self, kind: JobKind) -> Self {
        Self(self.0 & !kind.bit())
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// It waits for its time.
    Waiting,
    /// A worker holds it until its time, unless that is prolonged.
    Leased,
    /// It failed too often.
    Dead,
}

/// A job. It is gone when it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRow {
    /// What it does.
    pub kind: JobKind,
    /// The session.
    pub session: SessionId,
    /// The life of the session that it is for.
    pub incarnation: Incarnation,
    /// Where it stands.
    pub state: JobState,
    /// When it is due; of a leased one, when the lease ends.
    pub due_at: Timestamp,
    /// How often it failed, or was leased and given up.
    pub attempts: u32,
    /// The stable reason of the last failure; empty: none.
    pub last_reason: String,
    /// When it was made.
    pub created_at: Timestamp,
}
