//! What is noted of one call while it runs, for its line in the log and its span.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use tokio::task_local;
use tracing::field::display;

/// The longest id of a request that a client may give, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 128;

task_local! {
    static NOTES: Arc<CallNotes>;
}

/// What is noted of a call by those who answer it.
#[derive(Debug, Default)]
pub struct CallNotes {
    tenant: OnceLock<TenantTag>,
    reason: OnceLock<&'static str>,
    /// Tokens that the context used, plus one; 0: no context was built.
    used_tokens: AtomicU64,
}

impl CallNotes {
    /// Runs a call whose notes these are.
    pub fn during<F: Future>(self: Arc<Self>, call: F) -> impl Future<Output = F::Output> {
        NOTES.scope(self, call)
    }

    /// Runs the beginning of a call, which may answer it at once.
    pub fn within<T>(self: &Arc<Self>, begin: impl FnOnce() -> T) -> T {
        NOTES.sync_scope(self.clone(), begin)
    }

    /// Whose call it is, once the credential was looked at.
    pub fn tenant(&self) -> Option<TenantTag> {
        self.tenant.get().copied()
    }

    /// Why it was refused: the first reason that was noted.
    pub fn reason(&self) -> Option<&'static str> {
        self.reason.get().copied()
    }

    /// How many tokens the context used that it built.
    pub fn used_tokens(&self) -> Option<u64> {
        self.used_tokens.load(Relaxed).checked_sub(1)
    }
}

/// Notes whose call this is, for its span and for every line of the log within it.
pub fn note_tenant(tenant: TenantTag) {
    // Outside of a call (a test, a command) there is nobody to tell.
    let first = NOTES.try_with(|notes| notes.tenant.set(tenant).is_ok());
    if first.unwrap_or(false) {
        tracing::Span::current().record("tenant", display(tenant));
    }
}

/// Notes why this call is refused.
pub fn note_reason(reason: &'static str) {
    // Outside of a call nobody asks; within one, later reasons only say the first in other words.
    let _ = NOTES.try_with(|notes| notes.reason.set(reason));
}

/// Notes how many tokens the context of this call used.
pub fn note_tokens(used: u32) {
    let _ = NOTES.try_with(|notes| notes.used_tokens.store(u64::from(used) + 1, Relaxed));
}

/// A tenant as logs and spans show it: 16 hexadecimal digits of a keyed hash of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantTag(u64);

impl fmt::Display for TenantTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Makes the tags of tenants: the same for as long as the server keeps its secret.
#[derive(Clone)]
pub struct TenantTags {
    key: [u8; 32],
}

impl TenantTags {
    /// Tags that nobody can guess who has not the secret of the server.
    pub fn new(server_secret: &[u8; 32]) -> Self {
        Self { key: blake3::derive_key("keepsake 1 tenants in telemetry", server_secret) }
    }

    /// The tag of a tenant.
    pub fn of(&self, tenant: &str) -> TenantTag {
        TenantTag(first8(blake3::keyed_hash(&self.key, tenant.as_bytes())))
    }
}

/// Makes ids for requests that come without one. They tell nothing of how many came before.
pub struct RequestIds {
    key: [u8; 32],
    next: AtomicU64,
}

impl RequestIds {
    /// Ids that differ from those of every other secret, with overwhelming probability.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { key: secret, next: AtomicU64::new(0) }
    }

    /// The id that a client gave, when it is one; else a new one of 16 hexadecimal digits. An id
    /// begins with a letter or a digit and goes on with those and `._~-`, 128 at the most.
    pub fn given_or_new(&self, given: Option<&str>) -> String {
        match given.filter(|given| is_request_id(given)) {
            Some(given) => given.to_owned(),
            None => {
                let count = self.next.fetch_add(1, Relaxed);
                let hash = blake3::keyed_hash(&self.key, &count.to_le_bytes());
                format!("{:016x}", first8(hash))
            }
        }
    }
}

fn is_request_id(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    begins && text.len() <= REQUEST_ID_BYTES_MAX && text.bytes().all(known)
}

fn first8(hash: blake3::Hash) -> u64 {
    let (first, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
    u64::from_be_bytes(*first)
}
