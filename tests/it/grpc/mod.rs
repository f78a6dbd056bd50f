//! The real server over loopback, spoken to as any client does.

/// Runs each claim on a server of its own, on each engine.
macro_rules! on_engines {
    ($($claim:ident)*) => {
        mod on_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                super::$claim(crate::grpc::Service::in_memory().await).await;
            })*
        }
        mod on_fjall {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                let folder = tempfile::tempdir().expect("a temporary folder");
                super::$claim(crate::grpc::Service::on(folder.path()).await).await;
            })*
        }
        mod on_sled {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let service = crate::grpc::Service::on_engine(folder.path(), "sled").await;
                super::$claim(service).await;
            })*
        }
    };
}

pub mod client;
mod conversation;
mod copies;
mod credentials;
mod crowd;
pub mod documents;
mod editing;
mod languages;
mod limits;
mod models;
mod overload;
mod pages;
mod repeats;
mod rerank;
mod serving;
mod statuses;
mod tenants;
mod versions;

pub use client::Service;
