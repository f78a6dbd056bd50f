//! What every call has: its credential, its deadline, its status.

use std::sync::Arc;

use http::HeaderMap;
use tonic::metadata::MetadataMap;
use tonic::{Response, Status};

use crate::api::{PageTokens, replay, status};
use crate::error::{Failure, Reason};
use crate::memory::{Caller, Memory};
use crate::record::Scopes;
use crate::telemetry::{TenantTags, note_tenant};

/// The longest credential that is looked at, in bytes.
pub const CREDENTIAL_BYTES_MAX: usize = 256;

/// The verbs, as the services share them.
#[derive(Clone)]
pub struct Calls {
    /// The verbs.
    pub memory: Arc<Memory>,
    /// The page tokens.
    pub pages: PageTokens,
    /// How tenants are called in logs.
    pub tags: TenantTags,
}

impl Calls {
    /// Who calls, when the key is valid and has a scope.
    ///
    /// # Errors
    /// `KEY_MISSING`, `KEY_INVALID`, `SCOPE_MISSING`.
    pub async fn caller(&self, metadata: &MetadataMap, scope: Scopes) -> Result<Caller, Failure> {
        let caller = self.memory.authenticate(credential(metadata.as_ref())?).await?;
        note_tenant(self.tags.of(caller.tenant.as_str()));
        let operator = caller.scopes.holds(Scopes::OPERATOR) && scope == Scopes::ADMIN;
        if caller.scopes.holds(scope) || operator {
            return Ok(caller);
        }
        Err(Failure::new(Reason::ScopeMissing, "the API key lacks the scope of this call")
            .with("scope", scope_name(scope)))
    }
}

fn scope_name(scope: Scopes) -> &'static str {
    match scope {
        Scopes::READ => "READ",
        Scopes::WRITE => "WRITE",
        Scopes::ADMIN => "ADMIN",
        _ => "OPERATOR",
    }
}

/// The API key that the headers of a call bring.
///
/// # Errors
/// `KEY_MISSING`.
pub(super) fn credential(headers: &HeaderMap) -> Result<&str, Failure> {
    let missing = || {
        let message = "no API key: send the metadata `authorization: Bearer KEY`";
        Failure::new(Reason::KeyMissing, message)
    };
    let value = headers.get("authorization").ok_or_else(missing)?;
    let text = value.to_str().map_err(|_| missing())?;
    let (scheme, key) = text.split_once(' ').ok_or_else(missing)?;
    let sound = scheme.eq_ignore_ascii_case("bearer") && key.len() <= CREDENTIAL_BYTES_MAX;
    if sound { Ok(key.trim()) } else { Err(missing()) }
}

/// A failure as a status.
pub fn refused(failure: Failure) -> Status {
    status::of(&failure)
}

/// An answer, marked when it is a repeat.
pub fn answer<T>(message: T, replayed: bool) -> Response<T> {
    let mut response = Response::new(message);
    if replayed {
        replay::mark(response.metadata_mut());
    }
    response
}
