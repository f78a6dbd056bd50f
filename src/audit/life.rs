//! The rows of one life of a session, as they come.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;

use crate::audit::value;
use crate::record::{ChangeRow, DerivedRow, PendingRow, SummaryRow, VectorRow};
use crate::storage::Row;
use crate::summarize::tokens_of;
use crate::types::{Change, Incarnation, Seq, Turn};

/// What is known of a turn: nothing that it says.
pub(super) struct Stored {
    pub(super) external_id: String,
    /// Whether it has words that vectors are made of.
    pub(super) has_words: bool,
    /// Its size for the marks of summaries.
    pub(super) tokens: u64,
}

/// The rows of one life, until the next life begins.
pub(super) struct Life {
    pub(super) incarnation: Incarnation,
    pub(super) turns: BTreeMap<Seq, Stored>,
    pub(super) marks: BTreeSet<Seq>,
    pub(super) derived: BTreeSet<Seq>,
    /// Of each slot.
    pub(super) vectors: [BTreeSet<Seq>; 2],
    pub(super) pending: BTreeSet<Seq>,
    pub(super) summaries: Vec<SummaryRow>,
    pub(super) externals: BTreeMap<String, Seq>,
    pub(super) last_change: Change,
    /// Derived rows that cannot be read: their letters and keys.
    pub(super) broken: Vec<(u8, Vec<u8>)>,
    /// Whether rows that nothing is derived anew from cannot be read: counts say nothing then.
    pub(super) has_losses: bool,
}

impl Life {
    pub(super) fn new(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            turns: BTreeMap::new(),
            marks: BTreeSet::new(),
            derived: BTreeSet::new(),
            vectors: Default::default(),
            pending: BTreeSet::new(),
            summaries: Vec::new(),
            externals: BTreeMap::new(),
            last_change: Change(0),
            broken: Vec::new(),
            has_losses: false,
        }
    }

    /// Whether turns wait for vectors.
    pub(super) fn waits(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes a row. `false`: it is none that this version writes and that cannot be derived anew.
    pub(super) fn row(&mut self, row: &Row) -> bool {
        let known = self.take(row);
        self.has_losses |= !known;
        known
    }

    fn take(&mut self, row: &Row) -> bool {
        let (Some(part), Some(rest)) = (row.key.get(17), row.key.get(18..)) else { return false };
        let seq = rest.try_into().ok().map(|bytes| Seq(u64::from_be_bytes(bytes)));
        match (part, seq) {
            (b't', Some(seq)) => self.turn(row, seq),
            (b'm', Some(seq)) => reads::<Change>(row) && self.marks.insert(seq),
            (b'd', Some(seq)) => {
                // What a reader cannot decode it derives again.
                self.derived.insert(seq);
                self.unless_broken(*part, row, reads::<DerivedRow>(row))
            }
            (b'n', Some(seq)) => {
                let whole = reads::<PendingRow>(row);
                if whole {
                    self.pending.insert(seq);
                }
                self.unless_broken(*part, row, whole)
            }
            (b'v' | b'y', Some(seq)) => {
                let whole = reads::<VectorRow>(row);
                if whole {
                    self.vectors[usize::from(*part == b'y')].insert(seq);
                }
                self.unless_broken(*part, row, whole)
            }
            (b'c', Some(change)) => {
                self.last_change = self.last_change.max(Change(change.0));
                reads::<ChangeRow>(row)
            }
            (b's', _) => self.summary(row),
            (b'x', _) => self.external(rest, row),
            _ => false,
        }
    }

    fn turn(&mut self, row: &Row, seq: Seq) -> bool {
        let Some(turn) = value::<Turn>(row) else { return false };
        let stored = Stored {
            has_words: !turn.searchable_text().trim().is_empty(),
            tokens: tokens_of(&turn),
            external_id: turn.external_id,
        };
        self.turns.insert(seq, stored);
        turn.seq == seq
    }

    fn summary(&mut self, row: &Row) -> bool {
        match value::<SummaryRow>(row) {
            Some(summary) => {
                self.summaries.push(summary);
                true
            }
            None => self.unless_broken(b's', row, false),
        }
    }

    fn external(&mut self, id: &[u8], row: &Row) -> bool {
        let (Ok(id), Some(seq)) = (std::str::from_utf8(id), value::<Seq>(row)) else {
            return false;
        };
        self.externals.insert(id.to_owned(), seq);
        true
    }

    /// Keeps what is broken and can be derived anew.
    fn unless_broken(&mut self, part: u8, row: &Row, whole: bool) -> bool {
        if !whole {
            self.broken.push((part, row.key.to_vec()));
        }
        true
    }

    /// The turns that are neither erased nor superseded.
    pub(super) fn living(&self) -> impl Iterator<Item = (Seq, &Stored)> {
        let living = self.turns.iter().filter(|(seq, _)| !self.marks.contains(seq));
        living.map(|(seq, stored)| (*seq, stored))
    }
}

/// Whether a row has a value of this kind.
fn reads<T: DeserializeOwned>(row: &Row) -> bool {
    value::<T>(row).is_some()
}
