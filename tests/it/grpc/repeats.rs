//! The same request twice is one effect, with the same answer.

use futures::future::join_all;
use keepsake::proto::v1 as pb;
use prost::Message;
use prost_types::FieldMask;

use super::Service;
use super::client::{append, assistant, call, fields, reason, user, uuid};

/// A call that can be repeated, and another one of the same method.
struct Verb {
    path: &'static str,
    request: Vec<u8>,
    other: Vec<u8>,
}

fn memory(rpc: &'static str, request: &impl Message, other: &impl Message) -> Verb {
    Verb { path: rpc, request: request.encode_to_vec(), other: other.encode_to_vec() }
}

const APPEND: &str = "/keepsake.v1.MemoryService/AppendTurns";
const CREATE: &str = "/keepsake.v1.MemoryService/CreateSession";
const UPDATE: &str = "/keepsake.v1.MemoryService/UpdateSession";
const DELETE: &str = "/keepsake.v1.MemoryService/DeleteSession";
const FORK: &str = "/keepsake.v1.MemoryService/ForkSession";
const ERASE: &str = "/keepsake.v1.MemoryService/DeleteTurns";
const NEW_TENANT: &str = "/keepsake.v1.TenantService/CreateTenant";
const SET_TENANT: &str = "/keepsake.v1.TenantService/UpdateTenant";
const NEW_KEY: &str = "/keepsake.v1.TenantService/CreateApiKey";
const REVOKE: &str = "/keepsake.v1.TenantService/RevokeApiKey";

/// What the calls of a round are about; each round has names of its own.
async fn prepared(service: &Service, round: u32) -> Vec<Verb> {
    let mut memory_client = service.memory();
    for name in ["upd", "del", "del2", "fork", "erase"] {
        let turns = vec![user("one"), assistant("two"), user("three")];
        memory_client.append_turns(append(&format!("{name}{round}"), turns)).await.unwrap();
    }
    let mut keys = Vec::new();
    for _ in 0..2 {
        let scopes = vec![pb::KeyScope::Read.into()];
        let create = pb::CreateApiKeyRequest { scopes, ..Default::default() };
        let created = service.tenants().create_api_key(create).await.unwrap().into_inner();
        keys.push(created.api_key.unwrap().key_id);
    }
    let mut verbs = session_verbs(round);
    verbs.extend(tenant_verbs(round, &keys));
    verbs
}

fn session_verbs(round: u32) -> Vec<Verb> {
    let id = uuid(u128::from(round));
    let named = |name: &str| format!("{name}{round}");
    let append = |words: &str| pb::AppendTurnsRequest {
        request_id: id.clone(),
        ..append(&named("append"), vec![user(words)])
    };
    let create = |pinned: &str| pb::CreateSessionRequest {
        session_id: named("create"),
        pinned_instructions: pinned.into(),
        request_id: id.clone(),
        ..Default::default()
    };
    let update = |pinned: &str| pb::UpdateSessionRequest {
        session_id: named("upd"),
        update_mask: Some(FieldMask { paths: vec!["pinned_instructions".into()] }),
        pinned_instructions: pinned.into(),
        request_id: id.clone(),
        ..Default::default()
    };
    let delete =
        |name: &str| pb::DeleteSessionRequest { session_id: named(name), request_id: id.clone() };
    let fork = |name: &str| pb::ForkSessionRequest {
        session_id: named("fork"),
        new_session_id: named(name),
        request_id: id.clone(),
        ..Default::default()
    };
    let erase = |seq: u64| pb::DeleteTurnsRequest {
        session_id: named("erase"),
        seqs: vec![seq],
        request_id: id.clone(),
        ..Default::default()
    };
    vec![
        memory(APPEND, &append("hello"), &append("goodbye")),
        memory(CREATE, &create("be brief"), &create("be long")),
        memory(UPDATE, &update("be brief"), &update("be long")),
        memory(DELETE, &delete("del"), &delete("del2")),
        memory(FORK, &fork("fork-a"), &fork("fork-b")),
        memory(ERASE, &erase(1), &erase(2)),
    ]
}

fn tenant_verbs(round: u32, keys: &[String]) -> Vec<Verb> {
    let id = uuid(u128::from(round));
    let new_tenant = |name: &str| pb::CreateTenantRequest {
        tenant_id: format!("{name}{round}"),
        request_id: id.clone(),
        ..Default::default()
    };
    let set_tenant = |tokens: u32| pb::UpdateTenantRequest {
        policy: Some(pb::Policy { budget_tokens_default: tokens, ..Default::default() }),
        update_mask: Some(FieldMask { paths: vec!["budget_tokens_default".into()] }),
        request_id: id.clone(),
        ..Default::default()
    };
    let new_key = |name: &str| pb::CreateApiKeyRequest {
        display_name: name.into(),
        scopes: vec![pb::KeyScope::Read.into()],
        request_id: id.clone(),
        ..Default::default()
    };
    let revoke = |key: &str| pb::RevokeApiKeyRequest {
        key_id: key.into(),
        request_id: id.clone(),
        ..Default::default()
    };
    vec![
        memory(NEW_TENANT, &new_tenant("tenant-a"), &new_tenant("tenant-b")),
        memory(SET_TENANT, &set_tenant(2_000), &set_tenant(3_000)),
        memory(NEW_KEY, &new_key("a"), &new_key("b")),
        memory(REVOKE, &revoke(&keys[0]), &revoke(&keys[1])),
    ]
}

/// An answer as a repeat gives it: the secret of a key is in the first answer only.
fn comparable(path: &str, message: &[u8]) -> (Vec<u8>, bool) {
    if path != NEW_KEY {
        return (message.to_vec(), false);
    }
    let mut answer = pb::CreateApiKeyResponse::decode(message).expect("the answer decodes");
    let had_secret = !std::mem::take(&mut answer.secret).is_empty();
    (answer.encode_to_vec(), had_secret)
}

on_engines! {
    a_repeat_gets_the_same_answer_marked_in_its_trailers
    sixty_four_callers_with_one_id_are_one_effect
    a_repeat_is_answered_after_its_session_was_deleted
    equal_requests_written_differently_are_the_same
    a_refused_request_leaves_its_id_free
}

async fn a_repeat_gets_the_same_answer_marked_in_its_trailers(service: Service) {
    let key = service.dev_key();
    for verb in prepared(&service, 1).await {
        let first = service.raw(key, verb.path, &verb.request).await;
        assert_eq!(first.status().code(), tonic::Code::Ok, "{} {:?}", verb.path, first.status());
        assert!(!first.is_replayed(), "{}", verb.path);
        let again = service.raw(key, verb.path, &verb.request).await;
        assert!(again.is_replayed(), "{}", verb.path);
        let (first, had_secret) = comparable(verb.path, &first.message);
        assert_eq!(had_secret, verb.path == NEW_KEY);
        assert_eq!((first, false), comparable(verb.path, &again.message), "{}", verb.path);
        let other = service.raw(key, verb.path, &verb.other).await.status();
        assert_eq!(other.code(), tonic::Code::InvalidArgument, "{}", verb.path);
        assert_eq!(reason(&other), "REQUEST_ID_REUSED", "{}", verb.path);
        assert_eq!(fields(&other), ["request_id"], "{}", verb.path);
    }
}

async fn sixty_four_callers_with_one_id_are_one_effect(service: Service) {
    let key = service.dev_key();
    for verb in prepared(&service, 2).await {
        let calls = (0..64).map(|_| service.raw(key, verb.path, &verb.request));
        let answers = join_all(calls).await;
        let firsts = answers.iter().filter(|answer| !answer.is_replayed()).count();
        assert_eq!(firsts, 1, "{}", verb.path);
        let compared: Vec<_> =
            answers.iter().map(|answer| comparable(verb.path, &answer.message)).collect();
        assert!(!compared[0].0.is_empty(), "{} {:?}", verb.path, answers[0].status());
        assert!(compared.iter().all(|(bytes, _)| *bytes == compared[0].0), "{}", verb.path);
        let secrets = compared.iter().filter(|(_, had_secret)| *had_secret).count();
        assert_eq!(secrets, usize::from(verb.path == NEW_KEY), "{}", verb.path);
    }
    let get = pb::GetSessionRequest { session_id: "append2".into() };
    let session = service.memory().get_session(get).await.unwrap().into_inner().session.unwrap();
    assert_eq!((session.turn_count, session.last_seq, session.version), (1, 1, 1));
    let tenant = service.tenants().get_tenant(pb::GetTenantRequest::default()).await.unwrap();
    assert_eq!(tenant.into_inner().tenant.unwrap().policy.unwrap().version, 2);
}

async fn a_repeat_is_answered_after_its_session_was_deleted(service: Service) {
    let key = service.dev_key();
    let request = pb::AppendTurnsRequest {
        request_id: uuid(7),
        user_id: "ann".into(),
        ..append("gone", vec![user("hello")])
    };
    let request = request.encode_to_vec();
    let first = service.raw(key, APPEND, &request).await;
    let delete = pb::DeleteSessionRequest { session_id: "gone".into(), ..Default::default() };
    service.memory().delete_session(delete).await.unwrap();
    let calls = (0..64).map(|_| service.raw(key, APPEND, &request));
    for again in join_all(calls).await {
        assert!(again.is_replayed());
        assert_eq!(again.message, first.message);
    }
    let get = pb::GetSessionRequest { session_id: "gone".into() };
    let status = service.memory().get_session(get).await.unwrap_err();
    assert_eq!(reason(&status), "SESSION_NOT_FOUND", "a repeat brings nothing back");
}

async fn equal_requests_written_differently_are_the_same(service: Service) {
    let key = service.dev_key();
    let mut bare = pb::AppendTurnsRequest {
        request_id: uuid(9),
        ..append("s", vec![user("hello"), call("c", "now", "")])
    };
    bare.turns[0].metadata = [("a".into(), "1".into()), ("b".into(), "2".into())].into();
    let mut written = bare.clone();
    written.turns[0].status = pb::TurnStatus::Complete.into();
    written.turns[1] = call("c", "now", "{}");
    let first = service.raw(key, APPEND, &bare.encode_to_vec()).await;
    let again = service.raw(key, APPEND, &written.encode_to_vec()).await;
    assert!(again.is_replayed(), "{:?}", again.status());
    assert_eq!(first.message, again.message);
    // The labels of the first turn, in the other order on the wire.
    let swapped = with_labels_swapped(&bare);
    assert_ne!(swapped, bare.encode_to_vec());
    assert!(service.raw(key, APPEND, &swapped).await.is_replayed());
    let erase = |seqs: Vec<u64>| {
        let session_id = "s".into();
        let request_id = uuid(10);
        pb::DeleteTurnsRequest { session_id, seqs, request_id, ..Default::default() }
    };
    let first = service.raw(key, ERASE, &erase(vec![1, 2]).encode_to_vec()).await;
    let again = service.raw(key, ERASE, &erase(vec![2, 1, 2]).encode_to_vec()).await;
    assert!(again.is_replayed());
    assert_eq!(first.message, again.message);
}

/// The bytes of a request whose first turn has the labels a=1 and b=2, with b before a.
fn with_labels_swapped(request: &pb::AppendTurnsRequest) -> Vec<u8> {
    let mut bytes = request.encode_to_vec();
    let entry = |key: u8, value: u8| [0x32, 6, 0x0a, 1, key, 0x12, 1, value];
    let (a, b) = (entry(b'a', b'1'), entry(b'b', b'2'));
    let wanted = [a, b].concat();
    let at = bytes.windows(16).position(|window| window == wanted).expect("the labels are there");
    bytes[at..at + 16].copy_from_slice(&[b, a].concat());
    bytes
}

async fn a_refused_request_leaves_its_id_free(service: Service) {
    let mut memory = service.memory();
    let mut request = pb::AppendTurnsRequest {
        request_id: uuid(11),
        expected_version: Some(5),
        ..append("s", vec![user("hello")])
    };
    let status = memory.append_turns(request.clone()).await.unwrap_err();
    assert_eq!(reason(&status), "VERSION_MISMATCH");
    request.expected_version = Some(0);
    assert_eq!(memory.append_turns(request).await.unwrap().into_inner().last_seq, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_are_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::on(folder.path()).await;
    let key = service.dev_key().to_owned();
    let verbs = prepared(&service, 3).await;
    let mut firsts = Vec::new();
    for verb in &verbs {
        firsts.push(service.raw(&key, verb.path, &verb.request).await);
    }
    service.stop().await;
    let service = Service::on(folder.path()).await;
    for (verb, first) in verbs.iter().zip(&firsts) {
        let again = service.raw(&key, verb.path, &verb.request).await;
        assert!(again.is_replayed(), "{}", verb.path);
        let first = comparable(verb.path, &first.message).0;
        assert_eq!((first, false), comparable(verb.path, &again.message), "{}", verb.path);
        let other = service.raw(&key, verb.path, &verb.other).await.status();
        assert_eq!(reason(&other), "REQUEST_ID_REUSED", "{}", verb.path);
    }
    service.stop().await;
}
