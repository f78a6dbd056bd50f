//! What lies in the store: keys, rows, and their encoding. Pure.
//! In: ids and values. Out: bytes, as `src/ARCHITECTURE.md` lists them.
//! Invariant: a row that this version wrote, this version and later ones read.

pub mod keys;
mod rows;

pub use rows::{
    Answer, ApiKeyRow, CHANGES_KEPT, ChangeRow, DerivedRow, Head, RepeatRow, RowError, Scopes,
    SessionKind, TenantRow, UserHead, Verb, decode, encode,
};

#[cfg(test)]
mod tests;
