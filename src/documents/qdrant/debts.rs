//! What could not be told to the server and has to be, bounded. Pure.

use std::collections::BTreeSet;

use crate::documents::Place;
use crate::types::DocumentId;

/// So many documents and collections are noted one by one; of more, everything is compared. A
/// document takes some 200 bytes here.
pub(super) const DEBTS_MAX: usize = 10_000;

/// Something that the server may have otherwise than the record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Debt {
    /// A collection that went.
    Collection(Place),
    /// A document: put, changed or removed.
    Document(Place, DocumentId),
}

/// All that the server may have otherwise than the record.
#[derive(Debug)]
pub(super) struct Debts {
    noted: BTreeSet<Debt>,
    /// Debts that somebody works on now.
    taken: usize,
    /// Everything has to be compared.
    everything: bool,
}

impl Debts {
    /// Of a server that nobody has looked at: everything.
    pub(super) fn new() -> Self {
        Self { noted: BTreeSet::new(), taken: 0, everything: true }
    }

    /// Notes one.
    pub(super) fn owe(&mut self, debt: Debt) {
        if self.noted.len() >= DEBTS_MAX && !self.noted.contains(&debt) {
            self.owe_everything();
        } else if !self.everything {
            self.noted.insert(debt);
        }
    }

    /// Notes that everything has to be compared.
    pub(super) fn owe_everything(&mut self) {
        self.everything = true;
        self.noted.clear();
    }

    /// Whether anything is owed, or being paid.
    pub(super) fn any(&self) -> bool {
        self.everything || self.taken > 0 || !self.noted.is_empty()
    }

    /// How much is owed one by one; everything is one.
    pub(super) fn len(&self) -> usize {
        self.noted.len() + self.taken + usize::from(self.everything)
    }

    /// Takes the comparison of everything on, if it is owed.
    pub(super) fn take_everything(&mut self) -> bool {
        let taken = std::mem::take(&mut self.everything);
        self.taken += usize::from(taken);
        taken
    }

    /// Takes one on.
    pub(super) fn take(&mut self) -> Option<Debt> {
        let debt = self.noted.pop_first()?;
        self.taken += 1;
        Some(debt)
    }

    /// What was taken is paid, or owed again by a note of its own.
    pub(super) fn settle(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }
}
