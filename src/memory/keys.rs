//! API keys: made, listed, revoked, and checked with each call.

use std::sync::Arc;

use serde::Serialize;

use crate::error::{Failure, Reason, Violation};
use crate::memory::{
    Memory, Page,
    rows::{repeat_about, revised},
};
use crate::record::{Answer, ApiKeyRow, Scopes, TenantRow, Verb, keys};
use crate::sessions::{AppendPlan, Draft};
use crate::storage::Read;
use crate::types::{KeyId, Policy, RequestId, TenantId, Timestamp};

/// The first letters of every secret, so that scanners of leaked secrets can know one.
const PREFIX: &str = "ks";
/// The most API keys of a tenant, revoked ones included.
pub const KEYS_MAX: usize = 10_000;

/// A request for a key, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewKey {
    /// What people call it.
    pub display_name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
}

/// A key that was made.
#[derive(Debug)]
pub struct CreatedKey {
    /// The key.
    pub row: ApiKeyRow,
    /// Its secret, whole; `None` in a repeat.
    pub secret: Option<String>,
    /// Whether it was made in an earlier call.
    pub replayed: bool,
}

/// The id and the secret of a key that is still to be made.
#[derive(Debug)]
pub struct FreshKey {
    id: KeyId,
    secret: String,
}

impl FreshKey {
    /// The secret, whole.
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

/// Who calls, by the credential alone.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant of the key.
    pub tenant: TenantId,
    /// The key.
    pub key_id: KeyId,
    /// What the key may do.
    pub scopes: Scopes,
    /// The tenant's policy, as it is now.
    pub policy: Arc<Policy>,
}

fn invalid() -> Failure {
    Failure::new(Reason::KeyInvalid, "the API key is unknown, revoked or ended")
}

impl Memory {
    /// Finds out who calls. The key and its tenant are read anew each time, so that a revocation
    /// and a policy hold from the next call on.
    ///
    /// # Errors
    /// `KEY_INVALID`, the same for every cause; what the store refuses.
    pub async fn authenticate(&self, secret: &str) -> Result<Caller, Failure> {
        let mut parts = secret.splitn(3, '_');
        let (prefix, id, rest) = (parts.next(), parts.next(), parts.next());
        let id = id.filter(|_| prefix == Some(PREFIX)).and_then(|id| KeyId::parse(id).ok());
        let (Some(id), Some(_)) = (id, rest) else { return Err(invalid()) };
        let key = self.get::<ApiKeyRow>(keys::api_key(&id)).await?.ok_or_else(invalid)?.row;
        // `blake3::Hash` compares in constant time.
        let equal = blake3::Hash::from_bytes(key.hash) == self.secret_hash(secret);
        let ended = key.expires_at.is_some_and(|end| end <= self.clock.now());
        if !equal || ended || key.revoked_at.is_some() {
            return Err(invalid());
        }
        let tenant = self.get::<TenantRow>(keys::tenant(&key.tenant)).await?.ok_or_else(invalid)?;
        let policy = self.policy(&key.tenant, tenant.row.policy_version).await?;
        Ok(Caller { tenant: key.tenant, key_id: key.key_id, scopes: key.scopes, policy })
    }

    fn secret_hash(&self, secret: &str) -> blake3::Hash {
        blake3::keyed_hash(&self.key_secret, secret.as_bytes())
    }

    /// The id and the secret, of 256 random bits, of a key that is not made yet.
    pub fn fresh_key(&self) -> FreshKey {
        let id_bytes = self.chance.bytes16();
        let id = KeyId::parse(&hex(&id_bytes[..8])).expect("hexadecimal digits are an id");
        let secret = format!("{PREFIX}_{id}_{}", hex(&self.chance.secret32()));
        FreshKey { id, secret }
    }

    /// Makes an API key with 256 random bits. `asked` says who asks, with the id of the request.
    ///
    /// # Errors
    /// As [`Memory::create_key_as`].
    pub async fn create_key(
        &self,
        tenant: &TenantId,
        request: &NewKey,
        asked: Option<(&TenantId, RequestId)>,
    ) -> Result<CreatedKey, Failure> {
        self.create_key_as(tenant, request, asked, self.fresh_key()).await
    }

    /// Makes an API key of an id and a secret that the caller knows already.
    ///
    /// # Errors
    /// `TENANT_NOT_FOUND`, `TOO_MANY_KEYS`, `INVALID_REQUEST` for an end that is past;
    /// `REQUEST_ID_REUSED` and what the store refuses.
    pub async fn create_key_as(
        &self,
        tenant: &TenantId,
        request: &NewKey,
        asked: Option<(&TenantId, RequestId)>,
        FreshKey { id, secret }: FreshKey,
    ) -> Result<CreatedKey, Failure> {
        let repeat = repeat_about(tenant, Verb::CreateApiKey, asked, request);
        let row = ApiKeyRow {
            key_id: id.clone(),
            tenant: tenant.clone(),
            display_name: request.display_name.clone(),
            scopes: request.scopes,
            hash: *self.secret_hash(&secret).as_bytes(),
            created_at: self.clock.now(),
            expires_at: request.expires_at,
            revoked_at: None,
        };
        let answered = self
            .commit(repeat.as_ref(), || async {
                let listed = Read::prefix(keys::keys_of_tenant(tenant)).limit(KEYS_MAX);
                let rows = self.read(vec![Read::get(keys::tenant(tenant)), listed]).await?;
                if revised::<TenantRow>(&rows[0])?.is_none() {
                    return Err(tenant_missing(tenant));
                }
                // Not at the edge: a repeat is answered also when the key has ended meanwhile.
                if row.expires_at.is_some_and(|end| end <= row.created_at) {
                    let field = "expire_time".to_owned();
                    let description = "must lie in the future".to_owned();
                    return Err(Failure::invalid(vec![Violation { field, description }]));
                }
                if rows[1].len() >= KEYS_MAX {
                    let message = format!("a tenant may have `{KEYS_MAX}` API keys");
                    return Err(Failure::new(Reason::TooManyKeys, message).over("keys"));
                }
                let mut draft = Draft::new(tenant.clone());
                draft.expect(keys::api_key(&id), None);
                draft.put(keys::api_key(&id), &row);
                draft.put_name(keys::key_of_tenant(tenant, &id));
                let answer = Answer::KeyAt { key: id.clone(), revoked_at: None };
                draft.remember(repeat.as_ref(), &answer, row.created_at);
                Ok(AppendPlan { draft, answer })
            })
            .await?;
        match answered.answer {
            Answer::KeyAt { key, .. } if answered.replayed => {
                let row = ApiKeyRow { revoked_at: None, ..self.key_of(tenant, &key).await? };
                Ok(CreatedKey { row, secret: None, replayed: true })
            }
            _ => Ok(CreatedKey { row, secret: Some(secret), replayed: false }),
        }
    }

    /// A key of a tenant's.
    async fn key_of(&self, tenant: &TenantId, id: &KeyId) -> Result<ApiKeyRow, Failure> {
        let found = self.get::<ApiKeyRow>(keys::api_key(id)).await?;
        found.map(|key| key.row).filter(|key| key.tenant == *tenant).ok_or_else(|| key_missing(id))
    }

    /// A page of a tenant's keys after `after`, in the order of ids.
    ///
    /// # Errors
    /// `TENANT_NOT_FOUND` and what the store refuses.
    pub async fn list_keys(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        size: usize,
    ) -> Result<Page<ApiKeyRow>, Failure> {
        self.get_tenant(tenant).await?;
        let rows = self.page(&keys::keys_of_tenant(tenant), after, size + 1).await?;
        let more = rows.len() > size;
        let ids =
            rows.iter().take(size).filter_map(|row| KeyId::parse(keys::last_id(&row.key)).ok());
        let reads = ids.map(|id| Read::get(keys::api_key(&id))).collect();
        let last = rows.iter().take(size).last().map(|row| keys::last_id(&row.key).to_owned());
        let mut items = Vec::new();
        for rows in self.read(reads).await? {
            items.extend(revised::<ApiKeyRow>(&rows)?.map(|key| key.row));
        }
        Ok(Page { items, last, more })
    }

    /// Revokes a key; it is refused from the next call on. Revoking twice changes nothing. `asked`
    /// says who asks, with the id of the request.
    ///
    /// # Errors
    /// `KEY_NOT_FOUND`; `REQUEST_ID_REUSED` and what the store refuses.
    pub async fn revoke_key(
        &self,
        tenant: &TenantId,
        id: &KeyId,
        asked: Option<(&TenantId, RequestId)>,
    ) -> Result<(ApiKeyRow, bool), Failure> {
        let repeat = repeat_about(tenant, Verb::RevokeApiKey, asked, id);
        let answered = self
            .commit(repeat.as_ref(), || async {
                let key = self.get::<ApiKeyRow>(keys::api_key(id)).await?;
                let key = key.filter(|key| key.row.tenant == *tenant);
                let key = key.ok_or_else(|| key_missing(id))?;
                let now = self.clock.now();
                let revoked_at = Some(key.row.revoked_at.unwrap_or(now));
                let mut draft = Draft::new(tenant.clone());
                draft.vital();
                draft.expect(keys::api_key(id), Some(key.revision));
                draft.put(keys::api_key(id), &ApiKeyRow { revoked_at, ..key.row });
                let answer = Answer::KeyAt { key: id.clone(), revoked_at };
                draft.remember(repeat.as_ref(), &answer, now);
                Ok(AppendPlan { draft, answer })
            })
            .await?;
        Ok((self.key_of(tenant, id).await?, answered.replayed))
    }
}

fn key_missing(id: &KeyId) -> Failure {
    Failure::new(Reason::KeyNotFound, format!("no API key `{id}`"))
}

pub(super) fn tenant_missing(tenant: &TenantId) -> Failure {
    Failure::new(Reason::TenantNotFound, format!("no tenant `{tenant}`"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
