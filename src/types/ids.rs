//! Names of things: what a caller may call them, and what the record calls them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest id, in bytes: long enough for a UUID with a prefix, short enough for every key.
pub const ID_BYTES_MAX: usize = 128;

/// Free labels of a session or a turn, in key order, so that equal maps have equal bytes.
pub type Metadata = BTreeMap<String, String>;

/// An id that is not `[A-Za-z0-9][A-Za-z0-9._~-]{0,127}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 128 characters of A-Z a-z 0-9 . _ ~ - and begin with a letter or a digit")]
pub struct InvalidId;

fn parse_id(text: &str) -> Result<String, InvalidId> {
    let bytes = text.as_bytes();
    let first = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
    let rest = bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(b));
    if first && rest && bytes.len() <= ID_BYTES_MAX { Ok(text.to_owned()) } else { Err(InvalidId) }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(String);

        impl $name {
            /// Checks `text` against `[A-Za-z0-9][A-Za-z0-9._~-]{0,127}`.
            ///
            /// # Errors
            /// [`InvalidId`] for any other text, the empty one included.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                parse_id(text).map(Self)
            }

            /// The id as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// A tenant: the owner of everything below it.
    TenantId
}
id! {
    /// An end user of a tenant.
    UserId
}
id! {
    /// One conversation of a tenant.
    SessionId
}
id! {
    /// The public part of an API key.
    KeyId
}
id! {
    /// A tenant's set of documents.
    CollectionId
}
id! {
    /// A document of a collection.
    DocumentId
}

/// The caller's name for one effect: a UUID. The same id is the same effect, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub uuid::Uuid);

/// What the record calls one life of a session: 16 bytes, never used again after deletion, part of
/// each of the session's keys, so that nothing written for a deleted session can come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub [u8; 16]);
