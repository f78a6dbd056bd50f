//! Keepsake: a memory service for LLM backends. `src/ARCHITECTURE.md` is the map.

pub mod chance;
pub mod clock;
pub mod context;
pub mod proto;
pub mod retrieve;
pub mod storage;
pub mod tokens;
pub mod types;
