//! All chance of a run, from its seed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Numbers that look random and are the same for the same seed (SplitMix64).
pub struct Dice {
    state: AtomicU64,
}

impl Dice {
    /// A stream of its own for each part of a run: one that draws more moves no other.
    pub fn new(seed: u64, part: &str) -> Self {
        let hash = blake3::hash(format!("{seed} {part}").as_bytes());
        let bytes = hash.as_bytes().first_chunk::<8>().expect("a hash has 32 bytes");
        Self { state: AtomicU64::new(u64::from_le_bytes(*bytes)) }
    }

    fn draw(&self) -> u64 {
        let state = self.state.load(Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.store(state, Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&self, end: u64) -> u64 {
        self.draw() % end
    }

    /// A number from `from` to `to`, both included.
    pub fn between(&self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// `true` so many times in a thousand.
    pub fn per_mille(&self, times: u64) -> bool {
        self.below(1_000) < times
    }

    /// One of them.
    pub fn one_of<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}
