//! What operators see of the real server: its log, its metrics, its spans.

mod alerts;
mod content;
mod embedding;
mod lines;
mod metrics;
mod server;
mod spans;

use server::{Called, Server};
