//! Keepsake: a memory service for LLM backends. `src/ARCHITECTURE.md` is the map.

pub mod admission;
pub mod api;
pub mod app;
pub mod audit;
pub mod chance;
pub mod cli;
pub mod clock;
pub mod config;
pub mod context;
pub mod embed;
pub mod error;
pub mod memory;
pub mod planted;
pub mod pool;
pub mod proto;
pub mod record;
pub mod retrieve;
pub mod sessions;
pub mod storage;
pub mod summarize;
pub mod telemetry;
pub mod tokens;
pub mod types;
