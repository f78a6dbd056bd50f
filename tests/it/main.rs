//! All tests that are wider than one room, in one binary.

mod context_case;
mod context_count;
mod context_prefix;
mod context_rules;
mod grpc;
mod store_contract;
mod store_disk;
mod store_model;
mod verbs;
