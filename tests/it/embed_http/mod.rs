//! An embedder on a server: that it keeps the contract, what it does when the server does not, and
//! that nobody waits for it.

mod client;
mod kept;
mod server;
mod service;
mod tls;

use std::time::Duration;

pub use server::{Act, DIMENSIONS, EmbeddingServer, tokens};

/// How long something may take that goes on behind, on a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until something is there.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = std::time::Instant::now();
    loop {
        if let Some(there) = look().await {
            return there;
        }
        assert!(began.elapsed() < PATIENCE, "not there after {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
