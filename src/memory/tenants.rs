//! Tenants and their policies.

use std::sync::Arc;

use serde::Serialize;

use crate::error::{Failure, Reason};
use crate::memory::{
    Answered, Memory, Page,
    keys::tenant_missing,
    rows::{repeat_about, revised},
};
use crate::record::{Answer, TenantRow, Verb, keys};
use crate::sessions::{AppendPlan, Draft, marks};
use crate::telemetry::{Cache, cache_asked};
use crate::tokens::{Model, ModelError, Tokenizer};
use crate::types::{
    CollectionId, ModelPolicy, Policy, RequestId, RetrievalMode, Shares, SummaryPolicy, TenantId,
    Timestamp,
};

/// A request for a tenant, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewTenant {
    /// Its id.
    pub tenant: TenantId,
    /// Its first policy, version 1.
    pub policy: Policy,
}

/// A tenant with its policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its policy.
    pub policy: Arc<Policy>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its policy last changed.
    pub updated_at: Timestamp,
}

/// A request to change a policy, checked: the fields that are given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PolicyChange {
    /// A new default budget.
    pub budget_tokens_default: Option<u32>,
    /// A new largest budget.
    pub budget_tokens_max: Option<u32>,
    /// New shares, in percent: of the summary, of the recent turns, of what is retrieved.
    pub shares: [Option<u8>; 3],
    /// A new number of retrieved turns.
    pub retrieved_turns_max: Option<u32>,
    /// A new language.
    pub language: Option<String>,
    /// A new default model.
    pub model_default: Option<String>,
    /// New models, in place of all.
    pub models: Option<Vec<ModelPolicy>>,
    /// A new fallback.
    pub tokenizer_fallback: Option<String>,
    /// A new way to search.
    pub retrieval_mode: Option<RetrievalMode>,
    /// New times of summaries.
    pub summaries: SummaryChange,
    /// A new share of the documents; `Some(None)`: none of their own.
    pub documents_percent: Option<Option<u8>>,
    /// New collections of requests that name none.
    pub default_collections: Option<Vec<CollectionId>>,
    /// The version that the policy must have.
    pub expected_version: Option<u64>,
}

/// What to change of when summaries are made; 0 stands for what new tenants get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SummaryChange {
    /// A new upper mark.
    pub tail_high_tokens: Option<u32>,
    /// A new lower mark.
    pub tail_low_tokens: Option<u32>,
    /// A new rest.
    pub idle_minutes: Option<u32>,
    /// Whether none are made from now on.
    pub off: Option<bool>,
}

impl SummaryChange {
    fn apply(&self, policy: &mut SummaryPolicy) {
        let number = |field: &mut Option<u32>, new: Option<u32>| match new {
            Some(0) => *field = None,
            Some(new) => *field = Some(new),
            None => {}
        };
        number(&mut policy.tail_high_tokens, self.tail_high_tokens);
        number(&mut policy.tail_low_tokens, self.tail_low_tokens);
        number(&mut policy.idle_minutes, self.idle_minutes);
        set(&mut policy.off, &self.off);
    }
}

impl PolicyChange {
    /// The policy after the change, one version later.
    pub fn apply(&self, policy: &Policy) -> Policy {
        let mut next = policy.clone();
        next.version += 1;
        set(&mut next.budget_tokens_default, &self.budget_tokens_default);
        set(&mut next.budget_tokens_max, &self.budget_tokens_max);
        let Shares { summary_percent, recent_percent, retrieved_percent } = &mut next.shares;
        let shares = [summary_percent, recent_percent, retrieved_percent];
        for (share, new) in shares.into_iter().zip(&self.shares) {
            set(share, new);
        }
        set(&mut next.retrieval.retrieved_turns_max, &self.retrieved_turns_max);
        set(&mut next.retrieval.language, &self.language);
        set(&mut next.model_default, &self.model_default);
        set(&mut next.models, &self.models);
        set(&mut next.tokenizer_fallback, &self.tokenizer_fallback);
        set(&mut next.retrieval_mode, &self.retrieval_mode);
        self.summaries.apply(&mut next.summaries);
        set(&mut next.documents.share_percent, &self.documents_percent);
        set(&mut next.documents.default_collections, &self.default_collections);
        next
    }
}

fn set<T: Clone>(field: &mut T, new: &Option<T>) {
    if let Some(new) = new {
        field.clone_from(new);
    }
}

impl Memory {
    /// One version of a tenant's policy. Versions never change, so copies in memory stay true.
    pub(super) async fn policy(
        &self,
        tenant: &TenantId,
        version: u64,
    ) -> Result<Arc<Policy>, Failure> {
        let key = (tenant.clone(), version);
        let known = self.policies.get(&key);
        cache_asked(Cache::Policies, known.is_some());
        if let Some(policy) = known {
            return Ok(policy);
        }
        let found = self.get::<Policy>(keys::policy(tenant, version)).await?;
        let policy = Arc::new(found.ok_or_else(|| tenant_missing(tenant))?.row);
        self.policies.insert(key, policy.clone());
        Ok(policy)
    }

    async fn with_policy(&self, tenant: &TenantId, row: &TenantRow) -> Result<Tenant, Failure> {
        let policy = self.policy(tenant, row.policy_version).await?;
        Ok(Tenant { policy, created_at: row.created_at, updated_at: row.updated_at })
    }

    /// Checks that a policy can be worked with: its own models count, and its default model is
    /// known.
    fn check_policy(&self, policy: &Policy) -> Result<(), Failure> {
        let high = marks(&policy.summaries).tail_high_tokens;
        let low = policy.summaries.tail_low_tokens.map_or(0, u64::from);
        let rules = [
            (
                policy.budget_tokens_default <= policy.budget_tokens_max,
                "policy.budget_tokens_default",
                "the default budget must not be above the largest one",
            ),
            (
                policy.shares.fit(policy.documents.share_percent),
                "policy.shares",
                "must add up to at most 100 percent",
            ),
            (
                low <= high / 2,
                "policy.summaries.tail_low_tokens",
                "must be at most half of `tail_high_tokens`",
            ),
        ];
        if let Some((_, field, message)) = rules.iter().find(|(holds, ..)| !holds) {
            return Err(Failure::new(Reason::InvalidRequest, *message).at(*field));
        }
        let fallback = &policy.tokenizer_fallback;
        if !fallback.is_empty() && Tokenizer::builtin(fallback).is_none() {
            let message = format!("`{fallback}` is no built-in tokenizer");
            return Err(
                Failure::new(Reason::TokenizerInvalid, message).at("policy.tokenizer_fallback")
            );
        }
        let models = policy.models.iter().enumerate();
        let own = models.map(|(i, model)| (format!("policy.models[{i}]"), &model.name));
        let default = ("policy.model_default".to_owned(), &policy.model_default);
        for (field, name) in own.chain([default]) {
            self.resolve(policy, name).map_err(|failure| failure.at(field))?;
        }
        Ok(())
    }

    /// The model of a name, under a tenant's policy; `policy` is one that the store holds.
    ///
    /// # Errors
    /// `UNKNOWN_MODEL`, `TOKENIZER_INVALID`.
    pub(super) fn model(
        &self,
        tenant: &TenantId,
        policy: &Policy,
        name: &str,
    ) -> Result<Model, Failure> {
        let key = (tenant.clone(), policy.version, name.to_owned());
        let known = self.models_known.get(&key);
        cache_asked(Cache::Models, known.is_some());
        if let Some(model) = known {
            return Ok(model);
        }
        let model = self.resolve(policy, name)?;
        self.models_known.insert(key, model.clone());
        Ok(model)
    }

    /// What counts the tokens of chunks, for every tenant: `o200k_base`.
    pub(super) fn counter(&self) -> Tokenizer {
        let built_in = self.models.resolve(&Policy::initial(), "gpt-4o");
        built_in.expect("the model is built in").tokenizer
    }

    fn resolve(&self, policy: &Policy, name: &str) -> Result<Model, Failure> {
        self.models.resolve(policy, name).map_err(|error| {
            let reason = match error {
                ModelError::Unknown { .. } => Reason::UnknownModel,
                ModelError::UnknownTokenizer { .. } | ModelError::Tokenizer { .. } => {
                    Reason::TokenizerInvalid
                }
            };
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            Failure::new(reason, format!("{error}{}", cause.unwrap_or_default()))
        })
    }

    /// Creates a tenant. Gives its row and whether an earlier call did it. `asked` says who asks,
    /// with the id of the request.
    ///
    /// # Errors
    /// `TENANT_EXISTS`, `UNKNOWN_MODEL`, `TOKENIZER_INVALID`; `REQUEST_ID_REUSED` and what the
    /// store refuses.
    pub async fn create_tenant(
        &self,
        request: &NewTenant,
        asked: Option<(&TenantId, RequestId)>,
    ) -> Result<(Tenant, bool), Failure> {
        self.check_policy(&request.policy)?;
        let tenant = &request.tenant;
        let repeat = repeat_about(tenant, Verb::CreateTenant, asked, request);
        let answered = self
            .commit(repeat.as_ref(), || async {
                if self.get::<TenantRow>(keys::tenant(tenant)).await?.is_some() {
                    let message = format!("tenant `{tenant}` exists already");
                    return Err(Failure::new(Reason::TenantExists, message));
                }
                let now = self.clock.now();
                let version = request.policy.version;
                let row = TenantRow { policy_version: version, created_at: now, updated_at: now };
                let mut draft = Draft::new(tenant.clone());
                draft.expect(keys::tenant(tenant), None);
                let answer = write_tenant(&mut draft, tenant, &row, &request.policy);
                draft.remember(repeat.as_ref(), &answer, now);
                Ok(AppendPlan { draft, answer })
            })
            .await?;
        self.tenant_at(tenant, answered).await
    }

    /// One tenant.
    ///
    /// # Errors
    /// `TENANT_NOT_FOUND` and what the store refuses.
    pub async fn get_tenant(&self, tenant: &TenantId) -> Result<Tenant, Failure> {
        let found = self.get::<TenantRow>(keys::tenant(tenant)).await?;
        let row = found.ok_or_else(|| tenant_missing(tenant))?.row;
        self.with_policy(tenant, &row).await
    }

    /// A page of tenants after `after`, in the order of ids.
    ///
    /// # Errors
    /// What the store refuses.
    pub async fn list_tenants(
        &self,
        after: Option<&str>,
        size: usize,
    ) -> Result<Page<(TenantId, Tenant)>, Failure> {
        let rows = self.page(&keys::tenants(), after, size + 1).await?;
        let more = rows.len() > size;
        let last = rows.iter().take(size).last().map(|row| keys::last_id(&row.key).to_owned());
        let mut items = Vec::new();
        for row in rows.iter().take(size) {
            let found = revised::<TenantRow>(std::slice::from_ref(row))?;
            if let (Ok(id), Some(found)) = (TenantId::parse(keys::last_id(&row.key)), found) {
                let tenant = self.with_policy(&id, &found.row).await?;
                items.push((id, tenant));
            }
        }
        Ok(Page { items, last, more })
    }

    /// Changes a policy; it is in force for the next call. Gives the row and whether an earlier
    /// call did it. `asked` says who asks, with the id of the request.
    ///
    /// # Errors
    /// `TENANT_NOT_FOUND`, `VERSION_MISMATCH`, `UNKNOWN_MODEL`, `TOKENIZER_INVALID`;
    /// `REQUEST_ID_REUSED`, `CONTENTION` and what the store refuses.
    pub async fn update_tenant(
        &self,
        tenant: &TenantId,
        change: &PolicyChange,
        asked: Option<(&TenantId, RequestId)>,
    ) -> Result<(Tenant, bool), Failure> {
        let repeat = repeat_about(tenant, Verb::UpdateTenant, asked, change);
        let answered = self
            .commit(repeat.as_ref(), || async {
                let found = self.get::<TenantRow>(keys::tenant(tenant)).await?;
                let found = found.ok_or_else(|| tenant_missing(tenant))?;
                let current = found.row.policy_version;
                if change.expected_version.is_some_and(|expected| expected != current) {
                    let message = format!("the policy has version `{current}`");
                    return Err(Failure::new(Reason::VersionMismatch, message)
                        .with("current_version", current));
                }
                let policy = change.apply(&*self.policy(tenant, current).await?);
                self.check_policy(&policy)?;
                let now = self.clock.now();
                let row = TenantRow {
                    policy_version: policy.version,
                    created_at: found.row.created_at,
                    updated_at: now,
                };
                let mut draft = Draft::new(tenant.clone());
                draft.expect(keys::tenant(tenant), Some(found.revision));
                let answer = write_tenant(&mut draft, tenant, &row, &policy);
                draft.remember(repeat.as_ref(), &answer, now);
                Ok(AppendPlan { draft, answer })
            })
            .await?;
        self.tenant_at(tenant, answered).await
    }

    /// The tenant as it was right after the call that is answered.
    async fn tenant_at(
        &self,
        tenant: &TenantId,
        answered: Answered,
    ) -> Result<(Tenant, bool), Failure> {
        let Answer::TenantAt { policy_version, created_at, updated_at } = answered.answer else {
            return Err(Failure::new(Reason::Internal, "a repeat row of another verb"));
        };
        let row = TenantRow { policy_version, created_at, updated_at };
        Ok((self.with_policy(tenant, &row).await?, answered.replayed))
    }
}

fn write_tenant(draft: &mut Draft, tenant: &TenantId, row: &TenantRow, policy: &Policy) -> Answer {
    draft.put(keys::tenant(tenant), row);
    draft.put(keys::policy(tenant, policy.version), policy);
    Answer::TenantAt {
        policy_version: policy.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}
