//! All tests that are wider than one room, in one binary.

#![expect(clippy::unwrap_used, reason = "a test that meets an error should stop right there")]

mod bench;
mod binary;
mod context_case;
mod context_count;
mod context_counter;
mod context_passages;
mod context_prefix;
mod context_rules;
mod crash;
mod docs;
mod documents_contract;
mod documents_pdf;
mod embed_contract;
mod embed_http;
mod erasure;
mod fastembed;
mod grpc;
mod modules;
mod qdrant;
mod reindex;
mod rerank_contract;
mod sim;
mod store_contract;
mod store_copy;
mod store_disk;
mod store_flips;
mod store_full;
mod store_model;
mod tidy;
mod verbs;
mod watching;
