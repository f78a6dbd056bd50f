//! Tests of the command line.

mod commands;
mod eval;
mod eval_all;
mod failures;
mod ids;
mod import;
mod render;
mod server;
