//! The rows of the store. Each value is one byte, the version of the encoding, and postcard.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::context::TurnCounts;
use crate::record::JobSet;
use crate::retrieve::TurnTerms;
use crate::types::{
    Change, Incarnation, KeyId, Metadata, Seq, SessionId, TenantId, Timestamp, UserId, Version,
};

/// The version of the encoding that this program writes. Versions 1 and 2 lack fields at the end of
/// some rows; each of them is then what zero bytes mean: 0, `None`, empty, the first variant.
const ENCODING: u8 = 3;

/// How many zero bytes stand for the fields that rows of older versions lack: more than any does.
const MISSING_BYTES: usize = 32;

/// How many change rows of a session, and of a user, are kept: a copy in memory that is further
/// behind loads its partition again, which then costs about the same.
pub const CHANGES_KEPT: u64 = 1_024;

/// A row that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The value is empty or was written by a later version.
    #[error("the encoding of a row is {found:?}, this version reads `{ENCODING}`")]
    Encoding {
        /// The first byte of the value.
        found: Option<u8>,
    },
    /// The value is damaged.
    #[error("a row does not decode")]
    Damaged(#[source] postcard::Error),
}

/// The value of a row.
///
/// # Panics
/// Never: the rows of this room always have an encoding.
pub fn encode<T: Serialize>(row: &T) -> Vec<u8> {
    postcard::to_extend(row, vec![ENCODING]).expect("the rows hold nothing that postcard refuses")
}

/// Reads the value of a row.
///
/// # Errors
/// [`RowError`] when the value is of another version or damaged.
pub fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, RowError> {
    match value.split_first() {
        Some((&ENCODING, rest)) => postcard::from_bytes(rest).map_err(RowError::Damaged),
        Some((1 | 2, rest)) => {
            let mut padded = rest.to_vec();
            padded.resize(rest.len() + MISSING_BYTES, 0);
            postcard::from_bytes(&padded).map_err(RowError::Damaged)
        }
        other => Err(RowError::Encoding { found: other.map(|(version, _)| *version) }),
    }
}

/// A tenant. Its policy lies apart, by version: it may be large, and this row is read at each call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRow {
    /// The version of its policy in force.
    pub policy_version: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its policy last changed.
    pub updated_at: Timestamp,
}

/// What an API key may do, as a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scopes(u8);

impl Scopes {
    /// Read sessions, build contexts, search.
    pub const READ: Self = Self(1);
    /// Append, change, delete.
    pub const WRITE: Self = Self(2);
    /// Policy and keys of its own tenant.
    pub const ADMIN: Self = Self(4);
    /// All tenants.
    pub const OPERATOR: Self = Self(8);

    /// Both sets together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    pub fn holds(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyRow {
    /// Its public id.
    pub key_id: KeyId,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// What people call it.
    pub display_name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The keyed hash of its secret.
    pub hash: [u8; 32],
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// What kind of conversation a session was declared to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionKind {
    /// Seen from its turns.
    #[default]
    Seen,
    /// A user talks with a model.
    UserAssistant,
    /// Two persons talk.
    PersonToPerson,
}

/// The head of a session: all that is not turns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// This life of the session.
    pub incarnation: Incarnation,
    /// The user it belongs to.
    pub user: Option<UserId>,
    /// How many changes of turns it has seen.
    pub version: Version,
    /// How many changes of any kind it has seen.
    pub change: Change,
    /// The last seq given.
    pub last_seq: Seq,
    /// How many turns are neither deleted nor superseded.
    pub turns_living: u64,
    /// How many turns are not deleted.
    pub turns_stored: u64,
    /// Instructions that stand first in each context.
    pub pinned_instructions: String,
    /// Free labels.
    pub metadata: Metadata,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// How long it lives after its last change, in milliseconds, if it ends.
    pub ttl_ms: Option<u64>,
    /// The declared kind.
    pub kind: SessionKind,
    /// What it was forked from, and up to which seq.
    pub forked_from: Option<(SessionId, Seq)>,
    /// At least how many tokens of living turns no summary covers.
    pub tail_tokens: u64,
    /// The last seq that a summary covers or covered; 0: none.
    pub summarized_to: Seq,
    /// Which jobs of the session are waiting, running or dead.
    pub jobs: JobSet,
    /// When turns were last appended; before any: 0.
    pub appended_at: Timestamp,
}

impl Head {
    /// When the session ends unless it changes before; `None`: never.
    pub fn expires_at(&self) -> Option<Timestamp> {
        let ttl = i64::try_from(self.ttl_ms?).unwrap_or(i64::MAX);
        Some(Timestamp(self.updated_at.0.saturating_add(ttl)))
    }

    /// Whether the session has ended by `now`.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.expires_at().is_some_and(|end| end <= now)
    }
}

/// The head of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserHead {
    /// How many changes its sessions have seen, since its first one.
    pub change: Change,
}

/// What one change of a session touched: nothing but its settings, when all is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRow {
    /// The first and the last turn that were appended.
    pub appended: Option<(Seq, Seq)>,
    /// Turns from this one on were superseded, up to the first appended one.
    pub superseded_from: Option<Seq>,
    /// Turns that were erased.
    pub erased: Vec<Seq>,
    /// Turns that got their vectors.
    pub embedded: Vec<Seq>,
    /// Whether summaries were made or became void.
    pub summaries: bool,
}

/// What is derived from a turn at append.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DerivedRow {
    /// The version of the analysis that made `terms`.
    pub analysis_version: u16,
    /// The version of the layout that made `counts`.
    pub layout_version: u16,
    /// Terms, flags and passages.
    pub terms: TurnTerms,
    /// Token counts by the key of the tokenizer.
    pub counts: Vec<(String, TurnCounts)>,
}

/// A verb that can be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verb {
    /// `AppendTurns`.
    AppendTurns = b'a',
    /// `CreateSession`.
    CreateSession = b'c',
    /// `UpdateSession`.
    UpdateSession = b'u',
    /// `DeleteSession`.
    DeleteSession = b'd',
    /// `ForkSession`.
    ForkSession = b'f',
    /// `DeleteTurns`.
    DeleteTurns = b'e',
    /// `CreateTenant`.
    CreateTenant = b'T',
    /// `UpdateTenant`.
    UpdateTenant = b'U',
    /// `CreateApiKey`.
    CreateApiKey = b'K',
    /// `RevokeApiKey`.
    RevokeApiKey = b'R',
    /// A document of `IngestDocuments`.
    IngestDocument = b'i',
    /// `DeleteDocument`.
    DeleteDocument = b'x',
    /// `DeleteCollection`.
    DeleteCollection = b'y',
}

/// The ids and numbers from which a repeat gives the same answer. No content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Of `AppendTurns`.
    Appended {
        /// The version after the call.
        version: Version,
        /// The change after the call.
        change: Change,
        /// Each turn's seq, and whether it was there already.
        turns: Vec<(Seq, bool)>,
        /// How many turns were superseded.
        superseded: u64,
    },
    /// Of `CreateSession`; the rest of the answer is in the request.
    SessionCreated {
        /// When.
        at: Timestamp,
    },
    /// Of `UpdateSession`.
    SessionUpdated {
        /// The version, which did not change.
        version: Version,
        /// The change after the call.
        change: Change,
        /// When.
        at: Timestamp,
    },
    /// Of `DeleteSession`.
    SessionDeleted {
        /// How many turns were erased.
        turns: u64,
        /// When.
        at: Timestamp,
    },
    /// Of `ForkSession`.
    SessionForked {
        /// How many turns were copied.
        turns: u64,
        /// The last of them.
        last_seq: Seq,
        /// The version of the new session.
        version: Version,
        /// The change of the new session.
        change: Change,
        /// When.
        at: Timestamp,
    },
    /// Of `DeleteTurns`.
    TurnsErased {
        /// The seqs that were erased.
        seqs: Vec<Seq>,
        /// The version after the call.
        version: Version,
        /// The change after the call.
        change: Change,
        /// When.
        at: Timestamp,
    },
    /// Of `CreateTenant` and `UpdateTenant`.
    TenantAt {
        /// The version of the policy after the call.
        policy_version: u64,
        /// When the tenant was created.
        created_at: Timestamp,
        /// When its policy changed.
        updated_at: Timestamp,
    },
    /// Of `CreateApiKey` and `RevokeApiKey`.
    KeyAt {
        /// The key.
        key: KeyId,
        /// When it was revoked, if it was by then.
        revoked_at: Option<Timestamp>,
    },
    /// Of a document of `IngestDocuments`.
    Ingested(Ingested),
    /// Of `DeleteDocument`.
    DocumentDeleted {
        /// How many chunks were erased.
        chunks: u32,
        /// When.
        at: Timestamp,
    },
    /// Of `DeleteCollection`.
    CollectionDeleted {
        /// When.
        at: Timestamp,
    },
}

/// What became of a document that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingested {
    /// What became of its content.
    pub outcome: IngestOutcome,
    /// How many bytes came in.
    pub bytes: u64,
    /// How many bytes its text has.
    pub text_bytes: u64,
    /// How many of those bytes are part of a chunk.
    pub bytes_covered: u64,
    /// How many chunks it has.
    pub chunks: u32,
    /// Their tokens.
    pub tokens: u64,
    /// How many of them had their vectors at once.
    pub chunks_embedded: u32,
}

/// What became of the content of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IngestOutcome {
    /// The document is new.
    Created,
    /// It took the place of another content.
    Replaced,
    /// It was there already.
    Unchanged,
}

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepeatRow {
    /// The hash of the parsed request.
    pub request_hash: [u8; 32],
    /// What its answer is made of.
    pub answer: Answer,
    /// When it was committed.
    pub at: Timestamp,
}
