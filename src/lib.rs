//! Keepsake: a memory service for LLM backends. `src/ARCHITECTURE.md` is the map.

pub mod context;
pub mod proto;
pub mod tokens;
pub mod types;
