//! Who may call what, by the key alone.

use keepsake::proto::v1 as pb;
use prost::Message;
use prost_types::{FieldMask, Timestamp};
use tonic::{Code, Request, Status};

use super::Service;
use super::client::{append, reason, user, values};

const READ: u8 = 1;
const WRITE: u8 = 2;
const ADMIN: u8 = 4;
const OPERATOR: u8 = 8;

/// Every method with a sound request, and which scopes let it through.
fn methods() -> Vec<(&'static str, Vec<u8>, u8)> {
    let session = || "s".to_owned();
    let read = pb::GetSessionRequest { session_id: session() }.encode_to_vec();
    let fork = pb::ForkSessionRequest {
        session_id: session(),
        new_session_id: "f".into(),
        ..Default::default()
    };
    let update = pb::UpdateSessionRequest {
        session_id: session(),
        update_mask: Some(FieldMask { paths: vec!["kind".into()] }),
        ..Default::default()
    };
    let erase =
        pb::DeleteTurnsRequest { seqs: vec![1], session_id: session(), ..Default::default() };
    let search =
        pb::SearchRequest { session_id: session(), query: "what?".into(), ..Default::default() };
    let policy = pb::UpdateTenantRequest {
        update_mask: Some(FieldMask { paths: vec!["shares".into()] }),
        ..Default::default()
    };
    let key = pb::CreateApiKeyRequest { scopes: vec![1], ..Default::default() };
    let revoke = pb::RevokeApiKeyRequest { key_id: "none".into(), ..Default::default() };
    let retry = pb::RetryJobRequest { job_id: "none".into(), ..Default::default() };
    let tenant = pb::CreateTenantRequest { tenant_id: "new".into(), ..Default::default() };
    let collection = pb::ListDocumentsRequest { collection: "c".into(), ..Default::default() };
    let collection = collection.encode_to_vec();
    let document = pb::DeleteDocumentRequest {
        collection: "c".into(),
        document_id: "d".into(),
        ..Default::default()
    };
    let document = document.encode_to_vec();
    vec![
        ("DocumentService/IngestDocuments", vec![], WRITE),
        ("DocumentService/GetIngestStatus", document.clone(), READ),
        ("DocumentService/GetDocument", document.clone(), READ),
        ("DocumentService/ListDocuments", collection.clone(), READ),
        ("DocumentService/DeleteDocument", document, WRITE),
        ("DocumentService/ListCollections", vec![], READ),
        ("DocumentService/DeleteCollection", collection, WRITE),
        ("MemoryService/CreateSession", read.clone(), WRITE),
        ("MemoryService/GetSession", read.clone(), READ),
        ("MemoryService/ListSessions", vec![], READ),
        ("MemoryService/UpdateSession", update.encode_to_vec(), WRITE),
        ("MemoryService/ForkSession", fork.encode_to_vec(), WRITE),
        ("MemoryService/AppendTurns", append("s", vec![user("a")]).encode_to_vec(), WRITE),
        ("MemoryService/DeleteTurns", erase.encode_to_vec(), WRITE),
        ("MemoryService/ListTurns", read.clone(), READ),
        ("MemoryService/ListSummaries", read.clone(), READ),
        ("MemoryService/BuildContext", read.clone(), READ),
        ("MemoryService/Search", search.encode_to_vec(), READ),
        ("MemoryService/DeleteSession", read, WRITE),
        ("TenantService/CreateTenant", tenant.encode_to_vec(), OPERATOR),
        ("TenantService/GetTenant", vec![], ADMIN | OPERATOR),
        ("TenantService/ListTenants", vec![], ADMIN | OPERATOR),
        ("TenantService/UpdateTenant", policy.encode_to_vec(), ADMIN | OPERATOR),
        ("TenantService/CreateApiKey", key.encode_to_vec(), ADMIN | OPERATOR),
        ("TenantService/ListApiKeys", vec![], ADMIN | OPERATOR),
        ("TenantService/RevokeApiKey", revoke.encode_to_vec(), ADMIN | OPERATOR),
        ("TenantService/ListJobs", vec![], ADMIN | OPERATOR),
        ("TenantService/RetryJob", retry.encode_to_vec(), ADMIN | OPERATOR),
        ("TenantService/GetErasure", vec![], READ),
        ("TenantService/EraseFiles", vec![], OPERATOR),
        ("TenantService/GetEmbedding", vec![], READ),
        ("TenantService/SwitchEmbedding", vec![], OPERATOR),
    ]
}

#[test]
fn the_table_holds_every_method_of_the_contract() {
    let services = keepsake::proto::POOL.services();
    let mut known: Vec<String> = services
        .flat_map(|service| service.methods().map(|m| m.full_name().to_owned()).collect::<Vec<_>>())
        .collect();
    let mut listed: Vec<_> = methods()
        .iter()
        .map(|(path, ..)| format!("keepsake.v1.{}", path.replace('/', ".")))
        .collect();
    known.sort();
    listed.sort();
    assert_eq!(listed, known);
}

async fn key(service: &Service, tenant: &str, scope: u8) -> String {
    let all =
        [pb::KeyScope::Read, pb::KeyScope::Write, pb::KeyScope::Admin, pb::KeyScope::Operator];
    let named = all.iter().zip([READ, WRITE, ADMIN, OPERATOR]);
    let scopes = named.filter(|(_, bit)| scope & bit != 0).map(|(name, _)| (*name).into());
    let create = pb::CreateApiKeyRequest {
        tenant_id: tenant.into(),
        scopes: scopes.collect(),
        ..Default::default()
    };
    service.tenants().create_api_key(create).await.unwrap().into_inner().secret
}

#[tokio::test]
async fn each_method_asks_for_its_scope() {
    let service = Service::in_memory().await;
    for scope in [READ, WRITE, ADMIN, OPERATOR] {
        let key = key(&service, "", scope).await;
        for (path, request, allowed) in methods() {
            let answer = service.raw(&key, &format!("/keepsake.v1.{path}"), &request).await;
            let status = answer.status();
            let denied = status.code() == Code::PermissionDenied;
            assert_eq!(denied, scope & allowed == 0, "{path} with {scope}: {status:?}");
            if denied {
                assert_eq!(reason(&status), "SCOPE_MISSING");
                let wanted = [READ, WRITE, ADMIN, OPERATOR].into_iter().find(|s| s & allowed != 0);
                let name = match wanted {
                    Some(READ) => "READ",
                    Some(WRITE) => "WRITE",
                    Some(ADMIN) => "ADMIN",
                    _ => "OPERATOR",
                };
                assert_eq!(values(&status)["scope"], name, "{path}");
            }
        }
    }
}

/// The status of a call with this `authorization`.
async fn status_with(service: &Service, authorization: Option<&str>) -> Status {
    let mut client = pb::memory_service_client::MemoryServiceClient::new(service.channel());
    let mut request = Request::new(pb::GetSessionRequest { session_id: "s".into() });
    if let Some(text) = authorization {
        request.metadata_mut().insert("authorization", text.parse().unwrap());
    }
    client.get_session(request).await.unwrap_err()
}

#[tokio::test]
async fn a_call_without_a_valid_key_is_unauthenticated() {
    let service = Service::in_memory().await;
    let sound = service.dev_key().to_owned();
    let cut = &sound[..sound.len() - 1];
    let other = format!("{cut}{}", if sound.ends_with('0') { '1' } else { '0' });
    let cases = [
        (None, "KEY_MISSING"),
        (Some(String::new()), "KEY_MISSING"),
        (Some(sound.clone()), "KEY_MISSING"),
        (Some(format!("Basic {sound}")), "KEY_MISSING"),
        (Some(format!("Bearer {}", "a".repeat(5_000))), "KEY_MISSING"),
        (Some("Bearer".into()), "KEY_MISSING"),
        (Some("Bearer garbage".into()), "KEY_INVALID"),
        (Some("Bearer ks__".into()), "KEY_INVALID"),
        (Some("Bearer ks_0123456789abcdef_00".into()), "KEY_INVALID"),
        (Some(format!("Bearer {cut}")), "KEY_INVALID"),
        (Some(format!("Bearer {other}")), "KEY_INVALID"),
        (Some(format!("Bearer {sound}0")), "KEY_INVALID"),
    ];
    for (authorization, wanted) in cases {
        let status = status_with(&service, authorization.as_deref()).await;
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, wanted));
    }
    let status = status_with(&service, Some(&format!("bearer {sound}"))).await;
    assert_eq!(reason(&status), "SESSION_NOT_FOUND", "the scheme has no case");
}

#[tokio::test]
async fn a_revoked_key_is_refused_from_the_next_call_on() {
    let service = Service::in_memory().await;
    let create = pb::CreateApiKeyRequest {
        display_name: "short-lived".into(),
        scopes: vec![pb::KeyScope::Read.into()],
        ..Default::default()
    };
    let created = service.tenants().create_api_key(create).await.unwrap().into_inner();
    let row = created.api_key.unwrap();
    let list = pb::ListSessionsRequest::default();
    let mut memory = service.memory_as(&created.secret);
    memory.list_sessions(list.clone()).await.unwrap();
    let revoke = pb::RevokeApiKeyRequest { key_id: row.key_id.clone(), ..Default::default() };
    let first = service.tenants().revoke_api_key(revoke.clone()).await.unwrap().into_inner();
    let status = memory.list_sessions(list).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "KEY_INVALID"));
    let again = service.tenants().revoke_api_key(revoke).await.unwrap().into_inner();
    assert_eq!(first, again, "revoking twice changes nothing");
    let listed = service.tenants().list_api_keys(pb::ListApiKeysRequest::default()).await.unwrap();
    let listed = listed.into_inner().api_keys;
    let found = listed.iter().find(|key| key.key_id == row.key_id).unwrap();
    assert!(found.revoke_time.is_some() && found.display_name == "short-lived");
}

#[tokio::test]
async fn a_new_key_names_its_faults() {
    let service = Service::in_memory().await;
    let past = Some(Timestamp { seconds: 1_000, nanos: 0 });
    let create = pb::CreateApiKeyRequest {
        scopes: vec![pb::KeyScope::Read.into()],
        expire_time: past,
        ..Default::default()
    };
    let status = service.tenants().create_api_key(create).await.unwrap_err();
    assert_eq!(super::client::fields(&status), ["expire_time"]);
    let admin = key(&service, "", ADMIN).await;
    let create = pb::CreateApiKeyRequest {
        scopes: vec![pb::KeyScope::Operator.into()],
        ..Default::default()
    };
    let status = service.tenants_as(&admin).create_api_key(create).await.unwrap_err();
    assert_eq!(reason(&status), "SCOPE_MISSING", "only an operator makes operators");
}
