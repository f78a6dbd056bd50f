//! All tests that are wider than one room, in one binary.

mod store_contract;
mod store_disk;
mod store_model;
