//! Numbers that a seed decides.

use keepsake::chance::{Chance as _, SeededChance};

pub struct Chance(SeededChance);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(SeededChance::new(seed))
    }

    pub fn number(&self) -> u64 {
        let bytes = self.0.bytes16();
        u64::from_le_bytes(std::array::from_fn(|at| bytes[at]))
    }

    /// From 0 up to, and without, `end`.
    pub fn below(&self, end: u64) -> u64 {
        self.number() % end.max(1)
    }

    pub fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn request_id(&self) -> String {
        uuid::Uuid::from_bytes(self.0.bytes16()).to_string()
    }
}

/// A number from the environment of the tests.
pub fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("`{name}` must be a whole number")),
        Err(_) => default,
    }
}
