//! `keepsake.v1.TenantService`.

use tonic::{Request, Response, Status};

use crate::api::{
    call::{Calls, answer, refused},
    parse::{Faults, NAME_BYTES_MAX},
    parse_policy, render,
};
use crate::error::{Failure, Reason};
use crate::memory::{Caller, NewKey, NewTenant, Page, Tenant};
use crate::proto::{v1 as pb, v1::tenant_service_server::TenantService};
use crate::record::{JobState, Scopes};
use crate::types::{KeyId, RequestId, TenantId};

/// The service.
pub struct TenantApi {
    calls: Calls,
}

/// The tenant that a call is about: the key's own, or with an operator's key any.
///
/// # Errors
/// `TENANT_NOT_FOUND` for a foreign one: the same as for one that does not exist.
fn about(caller: &Caller, tenant: Option<TenantId>) -> Result<TenantId, Failure> {
    match tenant {
        Some(tenant) if tenant != caller.tenant && !caller.scopes.holds(Scopes::OPERATOR) => {
            Err(Failure::new(Reason::TenantNotFound, format!("no tenant `{tenant}`")))
        }
        Some(tenant) => Ok(tenant),
        None => Ok(caller.tenant.clone()),
    }
}

/// Who asks, with the id of the request if it has one.
fn by(caller: &Caller, id: Option<RequestId>) -> Option<(&TenantId, RequestId)> {
    id.map(|id| (&caller.tenant, id))
}

impl TenantApi {
    /// The service over the verbs.
    pub fn new(calls: Calls) -> Self {
        Self { calls }
    }

    async fn create(
        &self,
        request: Request<pb::CreateTenantRequest>,
    ) -> Result<Response<pb::CreateTenantResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::OPERATOR).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        let id = faults.request_id(&request.request_id);
        let tenant = faults.tenant("tenant_id", &request.tenant_id);
        let policy = parse_policy::initial(&mut faults, request.policy);
        let new = faults.check(tenant.map(|tenant| NewTenant { tenant, policy }))?;
        let (row, replayed) = self.calls.memory.create_tenant(&new, by(&caller, id)).await?;
        let tenant = Some(render::tenant(&new.tenant, &row));
        Ok(answer(pb::CreateTenantResponse { tenant }, replayed))
    }

    async fn get(
        &self,
        request: Request<pb::GetTenantRequest>,
    ) -> Result<Response<pb::GetTenantResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::ADMIN).await?;
        let mut faults = Faults::default();
        let tenant = faults.optional_tenant("tenant_id", &request.get_ref().tenant_id);
        let tenant = about(&caller, faults.check(Some(tenant))?)?;
        let row = self.calls.memory.get_tenant(&tenant).await?;
        let tenant = Some(render::tenant(&tenant, &row));
        Ok(Response::new(pb::GetTenantResponse { tenant }))
    }

    async fn list(
        &self,
        request: Request<pb::ListTenantsRequest>,
    ) -> Result<Response<pb::ListTenantsResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::ADMIN).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        let size = faults.page_size(request.page_size) as usize;
        faults.check(Some(()))?;
        let bound = [caller.tenant.as_str(), "tenants"];
        let after = self.calls.pages.open(&bound, &request.page_token)?;
        let page = if caller.scopes.holds(Scopes::OPERATOR) {
            self.calls.memory.list_tenants(after.as_deref(), size).await?
        } else {
            let own = self.calls.memory.get_tenant(&caller.tenant).await?;
            Page { items: vec![(caller.tenant.clone(), own)], last: None, more: false }
        };
        let next_page_token = self.calls.pages.issue(&bound, page.next());
        let tenants = page.items.iter().map(|(id, row)| listed(id, row)).collect();
        Ok(Response::new(pb::ListTenantsResponse { tenants, next_page_token }))
    }

    async fn update(
        &self,
        request: Request<pb::UpdateTenantRequest>,
    ) -> Result<Response<pb::UpdateTenantResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::ADMIN).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        let id = faults.request_id(&request.request_id);
        let tenant = faults.optional_tenant("tenant_id", &request.tenant_id);
        let paths = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.is_empty() {
            faults.add("update_mask", "must name at least one field");
        }
        let policy = request.policy.unwrap_or_default();
        let mut change = parse_policy::change(&mut faults, policy, &paths);
        change.expected_version = request.expected_version;
        let tenant = about(&caller, faults.check(Some(tenant))?)?;
        let (row, replayed) =
            self.calls.memory.update_tenant(&tenant, &change, by(&caller, id)).await?;
        let tenant = Some(render::tenant(&tenant, &row));
        Ok(answer(pb::UpdateTenantResponse { tenant }, replayed))
    }

    async fn create_key(
        &self,
        request: Request<pb::CreateApiKeyRequest>,
    ) -> Result<Response<pb::CreateApiKeyResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::ADMIN).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        let id = faults.request_id(&request.request_id);
        let tenant = faults.optional_tenant("tenant_id", &request.tenant_id);
        faults.text("display_name", &request.display_name, NAME_BYTES_MAX);
        let scopes = parse_policy::scopes(&mut faults, &request.scopes);
        let expires_at = faults.time("expire_time", request.expire_time.as_ref());
        let tenant = about(&caller, faults.check(Some(tenant))?)?;
        if scopes.holds(Scopes::OPERATOR) && !caller.scopes.holds(Scopes::OPERATOR) {
            let message = "only an operator's key can create an operator's key";
            return Err(Failure::new(Reason::ScopeMissing, message).with("scope", "OPERATOR"));
        }
        let new = NewKey { display_name: request.display_name, scopes, expires_at };
        let created = self.calls.memory.create_key(&tenant, &new, by(&caller, id)).await?;
        let message = pb::CreateApiKeyResponse {
            api_key: Some(render::api_key(&created.row)),
            secret: created.secret.unwrap_or_default(),
        };
        Ok(answer(message, created.replayed))
    }

    async fn list_keys(
        &self,
        request: Request<pb::ListApiKeysRequest>,
    ) -> Result<Response<pb::ListApiKeysResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::ADMIN).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        let size = faults.page_size(request.page_size) as usize;
        let tenant = faults.optional_tenant("tenant_id", &request.tenant_id);
        let tenant = about(&caller, faults.check(Some(tenant))?)?;
        let bound = [caller.tenant.as_str(), "keys", tenant.as_str()];
        let after = self.calls.pages.open(&bound, &request.page_token)?;
        let page = self.calls.memory.list_keys(&tenant, after.as_deref(), size).await?;
        let next_page_token = self.calls.pages.issue(&bound, page.next());
        let api_keys = page.items.iter().map(render::api_key).collect();
        Ok(Response::new(pb::ListApiKeysResponse { api_keys, next_page_token }))
    }

    async fn list_jobs(
        &self,
        request: Request<pb::ListJobsRequest>,
    ) -> Result<Response<pb::ListJobsResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::ADMIN).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        let size = faults.page_size(request.page_size) as usize;
        let tenant = faults.optional_tenant("tenant_id", &request.tenant_id);
        let state = match faults.wire_enum("state", request.state) {
            Some(pb::JobState::Waiting) => Some(JobState::Waiting),
            Some(pb::JobState::Leased) => Some(JobState::Leased),
            Some(pb::JobState::Dead) => Some(JobState::Dead),
            Some(pb::JobState::Unspecified) | None => None,
        };
        let tenant = about(&caller, faults.check(Some(tenant))?)?;
        let wanted = request.state.to_string();
        let bound = [caller.tenant.as_str(), "jobs", tenant.as_str(), &wanted];
        let after = self.calls.pages.open(&bound, &request.page_token)?;
        self.calls.memory.get_tenant(&tenant).await?;
        let page = self.calls.memory.list_jobs(&tenant, state, after.as_deref(), size).await?;
        let next_page_token = self.calls.pages.issue(&bound, page.next());
        let jobs = page.items.iter().map(render::job).collect();
        Ok(Response::new(pb::ListJobsResponse { jobs, next_page_token }))
    }

    async fn retry_job(
        &self,
        request: Request<pb::RetryJobRequest>,
    ) -> Result<Response<pb::RetryJobResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::ADMIN).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        let tenant = faults.optional_tenant("tenant_id", &request.tenant_id);
        faults.required_text("job_id", &request.job_id, NAME_BYTES_MAX);
        let tenant = about(&caller, faults.check(Some(tenant))?)?;
        let job = self.calls.memory.retry_job(&tenant, &request.job_id).await?;
        Ok(Response::new(pb::RetryJobResponse { job: Some(render::job(&job)) }))
    }

    async fn revoke_key(
        &self,
        request: Request<pb::RevokeApiKeyRequest>,
    ) -> Result<Response<pb::RevokeApiKeyResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::ADMIN).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        let id = faults.request_id(&request.request_id);
        let tenant = faults.optional_tenant("tenant_id", &request.tenant_id);
        let key = KeyId::parse(&request.key_id);
        if let Err(error) = &key {
            faults.add("key_id", error.to_string());
        }
        let (key, tenant) = faults.check(key.ok().map(|key| (key, tenant)))?;
        let tenant = about(&caller, tenant)?;
        let (row, replayed) = self.calls.memory.revoke_key(&tenant, &key, by(&caller, id)).await?;
        let api_key = Some(render::api_key(&row));
        Ok(answer(pb::RevokeApiKeyResponse { api_key }, replayed))
    }
}

impl TenantApi {
    async fn erasure(
        &self,
        request: Request<pb::GetErasureRequest>,
    ) -> Result<Response<pb::GetErasureResponse>, Failure> {
        self.calls.caller(request.metadata(), Scopes::READ).await?;
        let state = self.calls.memory.files_state();
        Ok(Response::new(pb::GetErasureResponse {
            files: render::file_erasure(state.files).into(),
            erased_before: state.erased_before.map(render::time),
            erased_time: state.erased_at.map(render::time),
            running: state.running,
            held_by: state.held_by,
        }))
    }

    async fn erase_files(
        &self,
        request: Request<pb::EraseFilesRequest>,
    ) -> Result<Response<pb::EraseFilesResponse>, Failure> {
        self.calls.caller(request.metadata(), Scopes::OPERATOR).await?;
        let request_time = Some(render::time(self.calls.memory.ask_to_erase()));
        let files = render::file_erasure(self.calls.memory.files_state().files).into();
        Ok(Response::new(pb::EraseFilesResponse { files, request_time }))
    }
}

impl TenantApi {
    async fn embedding(
        &self,
        request: Request<pb::GetEmbeddingRequest>,
    ) -> Result<Response<pb::GetEmbeddingResponse>, Failure> {
        self.calls.caller(request.metadata(), Scopes::READ).await?;
        let embedding = Some(render::embedding(self.calls.memory.preparing()));
        Ok(Response::new(pb::GetEmbeddingResponse { embedding }))
    }

    async fn switch_embedding(
        &self,
        request: Request<pb::SwitchEmbeddingRequest>,
    ) -> Result<Response<pb::SwitchEmbeddingResponse>, Failure> {
        self.calls.caller(request.metadata(), Scopes::OPERATOR).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        if request.to.is_empty() {
            faults.add("to", "must be the key of an embedder");
        }
        faults.check(Some(()))?;
        let after = self.calls.memory.switch_embedder(&request.to, request.force).await?;
        let embedding = Some(render::embedding(after));
        Ok(Response::new(pb::SwitchEmbeddingResponse { embedding }))
    }
}

/// A tenant in a list: without the texts of its tokenizers, which may be megabytes.
fn listed(id: &TenantId, row: &Tenant) -> pb::Tenant {
    let mut tenant = render::tenant(id, row);
    for model in tenant.policy.iter_mut().flat_map(|policy| policy.models.iter_mut()) {
        if let Some(pb::model_policy::TokenizerSource::TokenizerJson(json)) =
            &mut model.tokenizer_source
        {
            json.clear();
        }
    }
    tenant
}

macro_rules! serve {
    ($($rpc:ident => $verb:ident($request:ident) -> $response:ident;)*) => {
        #[tonic::async_trait]
        impl TenantService for TenantApi {
            $(
                async fn $rpc(
                    &self,
                    request: Request<pb::$request>,
                ) -> Result<Response<pb::$response>, Status> {
                    self.$verb(request).await.map_err(refused)
                }
            )*
        }
    };
}

serve! {
    create_tenant => create(CreateTenantRequest) -> CreateTenantResponse;
    get_tenant => get(GetTenantRequest) -> GetTenantResponse;
    list_tenants => list(ListTenantsRequest) -> ListTenantsResponse;
    update_tenant => update(UpdateTenantRequest) -> UpdateTenantResponse;
    create_api_key => create_key(CreateApiKeyRequest) -> CreateApiKeyResponse;
    list_api_keys => list_keys(ListApiKeysRequest) -> ListApiKeysResponse;
    revoke_api_key => revoke_key(RevokeApiKeyRequest) -> RevokeApiKeyResponse;
    list_jobs => list_jobs(ListJobsRequest) -> ListJobsResponse;
    retry_job => retry_job(RetryJobRequest) -> RetryJobResponse;
    get_erasure => erasure(GetErasureRequest) -> GetErasureResponse;
    erase_files => erase_files(EraseFilesRequest) -> EraseFilesResponse;
    get_embedding => embedding(GetEmbeddingRequest) -> GetEmbeddingResponse;
    switch_embedding => switch_embedding(SwitchEmbeddingRequest) -> SwitchEmbeddingResponse;
}
