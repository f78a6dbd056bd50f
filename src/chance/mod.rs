//! Chance, as a port: the system's, or one that a seed decides.
//! In: nothing, or a time for what is ordered by time. Out: random bytes, ids, secrets.
//! Invariant: no two ids of the system's chance are equal, and none of its secrets can be guessed.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::types::{Incarnation, Timestamp};

#[cfg(test)]
mod tests;

/// What gives random bytes.
pub trait Chance: Send + Sync {
    /// Gives 128 random bits, enough for an id that never comes twice.
    fn bytes16(&self) -> [u8; 16];

    /// Gives 256 random bits, enough for a secret.
    fn secret32(&self) -> [u8; 32];
}

/// The chance of the operating system, fit for secrets.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    fn bytes16(&self) -> [u8; 16] {
        random()
    }

    fn secret32(&self) -> [u8; 32] {
        random()
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // An operating system without randomness can hold no secret: no caller could go on.
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// The same bytes for the same seed, in the order of the calls; for tests and simulation, never
/// for secrets.
#[derive(Debug)]
pub struct SeededChance {
    seed: u64,
    drawn: AtomicU64,
}

impl SeededChance {
    /// A chance of which `seed` decides all.
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }
}

impl Chance for SeededChance {
    fn bytes16(&self) -> [u8; 16] {
        let wide = self.secret32();
        std::array::from_fn(|index| wide[index])
    }

    fn secret32(&self) -> [u8; 32] {
        let draw = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut hasher = blake3::Hasher::new_derive_key("keepsake seeded chance 1");
        hasher.update(&self.seed.to_le_bytes()).update(&draw.to_le_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// Makes the name of a new life of a session: 6 bytes of `now` in milliseconds, big-endian, then
/// 10 random bytes, so that new sessions lie beside each other in the store.
///
/// The time is cut to 48 bits, and one before 1970 counts as 1970: both spoil the order only.
/// The layout is that of UUID version 7 (RFC 9562) without its version and variant bits.
pub fn incarnation(now: Timestamp, chance: &dyn Chance) -> Incarnation {
    let mut bytes = chance.bytes16();
    bytes[..6].copy_from_slice(&now.0.max(0).to_be_bytes()[2..]);
    Incarnation(bytes)
}
