//! Where vectors lie: two places for those of two embedders, of which one serves.

use serde::{Deserialize, Serialize};

/// A place for the vectors of one embedder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slot {
    /// The first one; the only one while there never were two embedders.
    #[default]
    First,
    /// The second one.
    Second,
}

impl Slot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::First, Self::Second];

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// The letter of its rows.
    pub(super) fn letter(self) -> u8 {
        match self {
            Self::First => b'v',
            Self::Second => b'y',
        }
    }
}

/// Which embedders have vectors in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpacesRow {
    /// The slot whose vectors questions are compared with.
    pub serving: Slot,
    /// The keys of the embedders of both slots; empty: none.
    pub keys: [String; 2],
    /// Whether rows of the slot that does not serve are to be removed.
    pub clearing: bool,
}

impl SpacesRow {
    /// The key of the embedder of a slot; empty: none.
    pub fn key(&self, slot: Slot) -> &str {
        &self.keys[slot as usize]
    }

    /// The same with another embedder in a slot.
    #[must_use]
    pub fn with(mut self, slot: Slot, key: &str) -> Self {
        key.clone_into(&mut self.keys[slot as usize]);
        self
    }
}
