//! Erased is gone: from every file of the data folder, when the receipt's time has come.

mod copies;
mod node;
mod scan;
pub mod world;
