//! Tenants see nothing of each other, and tune what is theirs.

use keepsake::proto::v1 as pb;
use prost_types::FieldMask;
use tonic::{Code, Status};

use super::Service;
use super::client::{append, context, fields, reason, shown, user, values};

const ALL: [pb::KeyScope; 3] = [pb::KeyScope::Read, pb::KeyScope::Write, pb::KeyScope::Admin];

/// What a caller can see of a refusal, with the name that it asked for taken out.
fn shape(status: &Status, name: &str) -> (Code, String, String, Vec<String>) {
    let message = status.message().replace(name, "NAME");
    (status.code(), message, reason(status), fields(status))
}

/// A foreign session and one that does not exist are told apart by nothing.
#[tokio::test]
async fn a_foreign_session_is_the_same_as_none() {
    let service = Service::in_memory().await;
    let (ours, theirs) = (service.tenant("a", &ALL).await, service.tenant("b", &ALL).await);
    let of = |request| pb::AppendTurnsRequest { user_id: "ann".into(), ..request };
    let mut owner = service.memory_as(&theirs);
    owner.append_turns(of(append("foreign", vec![user("the vault is 4711")]))).await.unwrap();
    for name in ["foreign", "missing"] {
        let mut memory = service.memory_as(&ours);
        let session_id = || name.to_owned();
        let mut refusals = Vec::new();
        let get = pb::GetSessionRequest { session_id: session_id() };
        refusals.push(memory.get_session(get).await.unwrap_err());
        let list = pb::ListTurnsRequest { session_id: session_id(), ..Default::default() };
        refusals.push(memory.list_turns(list).await.unwrap_err());
        let list = pb::ListSummariesRequest { session_id: session_id(), ..Default::default() };
        refusals.push(memory.list_summaries(list).await.unwrap_err());
        let update = pb::UpdateSessionRequest {
            session_id: session_id(),
            update_mask: Some(FieldMask { paths: vec!["metadata".into()] }),
            ..Default::default()
        };
        refusals.push(memory.update_session(update).await.unwrap_err());
        let erase = pb::DeleteTurnsRequest {
            session_id: session_id(),
            seqs: vec![1],
            ..Default::default()
        };
        refusals.push(memory.delete_turns(erase).await.unwrap_err());
        let fork = pb::ForkSessionRequest {
            session_id: session_id(),
            new_session_id: "copy".into(),
            ..Default::default()
        };
        refusals.push(memory.fork_session(fork).await.unwrap_err());
        let delete = pb::DeleteSessionRequest { session_id: session_id(), ..Default::default() };
        refusals.push(memory.delete_session(delete).await.unwrap_err());
        let wanted =
            (Code::NotFound, "no session `NAME`".into(), "SESSION_NOT_FOUND".into(), vec![]);
        for status in refusals {
            assert_eq!(shape(&status, name), wanted);
        }
    }
    let turns = owner
        .list_turns(pb::ListTurnsRequest { session_id: "foreign".into(), ..Default::default() });
    assert_eq!(turns.await.unwrap().into_inner().turns.len(), 1, "it is untouched");
}

#[tokio::test]
async fn a_foreign_session_or_user_is_empty_to_reads() {
    let service = Service::in_memory().await;
    let (ours, theirs) = (service.tenant("a", &ALL).await, service.tenant("b", &ALL).await);
    let of = |request| pb::AppendTurnsRequest { user_id: "ann".into(), ..request };
    let secret = append("s", vec![user("the vault is 4711")]);
    service.memory_as(&theirs).append_turns(of(secret)).await.unwrap();
    let mut memory = service.memory_as(&ours);
    for (session, user_id) in [("s", ""), ("s", "ann"), ("", "ann"), ("", "nobody")] {
        let request = pb::BuildContextRequest {
            user_id: user_id.into(),
            ..context(session, "what is the vault?", 1_000)
        };
        let answer = memory.build_context(request).await.unwrap().into_inner();
        assert!(!shown(&answer).contains("4711"));
        assert_eq!(answer.not_shown, []);
        let state = answer.state.unwrap();
        assert_eq!((state.session_change, state.user_change), (0, 0));
        let search = pb::SearchRequest {
            session_id: session.into(),
            user_id: user_id.into(),
            query: "vault 4711".into(),
            ..Default::default()
        };
        assert_eq!(memory.search(search).await.unwrap().into_inner().hits, []);
    }
    let sessions = memory.list_sessions(pb::ListSessionsRequest::default()).await.unwrap();
    assert_eq!(sessions.into_inner().sessions, [], "reading creates nothing");
    // The same name is free here, and the owner's session stays as it is.
    let answer = memory.append_turns(append("s", vec![user("ours")])).await.unwrap().into_inner();
    assert_eq!((answer.version, answer.first_seq), (1, 1));
}

#[tokio::test]
async fn a_foreign_tenant_or_key_is_the_same_as_none() {
    let service = Service::in_memory().await;
    let (ours, theirs) = (service.tenant("a", &ALL).await, service.tenant("b", &ALL).await);
    let list = pb::ListApiKeysRequest::default();
    let keys = service.tenants_as(&theirs).list_api_keys(list).await.unwrap().into_inner().api_keys;
    let mut tenants = service.tenants_as(&ours);
    for name in ["b", "missing"] {
        let tenant_id = || name.to_owned();
        let get = pb::GetTenantRequest { tenant_id: tenant_id() };
        let mut refusals = vec![tenants.get_tenant(get).await.unwrap_err()];
        let update = pb::UpdateTenantRequest {
            tenant_id: tenant_id(),
            update_mask: Some(FieldMask { paths: vec!["shares".into()] }),
            ..Default::default()
        };
        refusals.push(tenants.update_tenant(update).await.unwrap_err());
        let create = pb::CreateApiKeyRequest {
            tenant_id: tenant_id(),
            scopes: vec![1],
            ..Default::default()
        };
        refusals.push(tenants.create_api_key(create).await.unwrap_err());
        let list = pb::ListApiKeysRequest { tenant_id: tenant_id(), ..Default::default() };
        refusals.push(tenants.list_api_keys(list).await.unwrap_err());
        let revoke = pb::RevokeApiKeyRequest {
            tenant_id: tenant_id(),
            key_id: keys[0].key_id.clone(),
            ..Default::default()
        };
        refusals.push(tenants.revoke_api_key(revoke).await.unwrap_err());
        let wanted = (Code::NotFound, "no tenant `NAME`".into(), "TENANT_NOT_FOUND".into(), vec![]);
        for status in refusals {
            assert_eq!(shape(&status, name), wanted);
        }
    }
    for name in [keys[0].key_id.as_str(), "missing"] {
        let revoke = pb::RevokeApiKeyRequest { key_id: name.into(), ..Default::default() };
        let status = tenants.revoke_api_key(revoke).await.unwrap_err();
        let wanted = (Code::NotFound, "no API key `NAME`".into(), "KEY_NOT_FOUND".into(), vec![]);
        assert_eq!(shape(&status, name), wanted);
    }
    let listed = tenants.list_tenants(pb::ListTenantsRequest::default()).await.unwrap();
    let ids: Vec<_> = listed.into_inner().tenants.into_iter().map(|t| t.tenant_id).collect();
    assert_eq!(ids, ["a"]);
    let create = pb::CreateTenantRequest { tenant_id: "a".into(), ..Default::default() };
    let status = service.tenants().create_tenant(create).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::AlreadyExists, "TENANT_EXISTS".into()));
}

fn set(paths: &[&str], policy: pb::Policy) -> pb::UpdateTenantRequest {
    pb::UpdateTenantRequest {
        policy: Some(policy),
        update_mask: Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_policy_is_in_force_for_the_next_call() {
    let service = Service::in_memory().await;
    let (ours, theirs) = (service.tenant("a", &ALL).await, service.tenant("b", &ALL).await);
    let (mut tenants, mut memory) = (service.tenants_as(&ours), service.memory_as(&ours));
    memory.append_turns(append("s", vec![user("hello there")])).await.unwrap();
    let ask = |budget: u32| context("s", "", budget);
    let answer = memory.build_context(ask(0)).await.unwrap().into_inner();
    assert_eq!((answer.budget_tokens, answer.model.as_str()), (4_000, "gpt-4o"));
    assert_eq!(answer.state.unwrap().policy_version, 1);
    let policy = pb::Policy {
        budget_tokens_default: 500,
        budget_tokens_max: 600,
        model_default: "house".into(),
        models: vec![pb::ModelPolicy {
            name: "house".into(),
            tokenizer_source: Some(pb::model_policy::TokenizerSource::Tokenizer(
                "p50k_base".into(),
            )),
        }],
        ..Default::default()
    };
    let paths = ["budget_tokens_default", "budget_tokens_max", "model_default", "models"];
    let answer = tenants.update_tenant(set(&paths, policy)).await.unwrap().into_inner();
    assert_eq!(answer.tenant.unwrap().policy.unwrap().version, 2);
    let answer = memory.build_context(ask(0)).await.unwrap().into_inner();
    assert_eq!((answer.budget_tokens, answer.model.as_str()), (500, "house"));
    assert!(answer.tokenizer.starts_with("p50k_base"), "{}", answer.tokenizer);
    assert_eq!(answer.state.unwrap().policy_version, 2);
    let status = memory.build_context(ask(601)).await.unwrap_err();
    assert_eq!(
        (reason(&status).as_str(), fields(&status)),
        ("BUDGET_OVER_POLICY", vec!["budget_tokens".into()])
    );
    assert_eq!(values(&status)["budget_tokens_max"], "600");
    let answer = service.memory_as(&theirs).build_context(ask(0)).await.unwrap().into_inner();
    assert_eq!(answer.budget_tokens, 4_000, "another tenant's policy is its own");
    let late = pb::UpdateTenantRequest {
        expected_version: Some(1),
        ..set(&["shares"], pb::Policy::default())
    };
    let status = tenants.update_tenant(late).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "VERSION_MISMATCH"));
    assert_eq!(values(&status)["current_version"], "2");
    let known = pb::RetrievalPolicy {
        retrieved_turns_max: Some(0),
        language: "de".into(),
        mode: pb::RetrievalMode::Hybrid.into(),
    };
    let off = pb::Policy { retrieval: Some(known.clone()), ..Default::default() };
    tenants.update_tenant(set(&["retrieval"], off)).await.unwrap();
    let answer = memory.build_context(context("s", "what did I say?", 500)).await.unwrap();
    assert_eq!(answer.into_inner().decision(), pb::RetrievalDecision::Off);
    let tenant = tenants.get_tenant(pb::GetTenantRequest::default()).await.unwrap().into_inner();
    let policy = tenant.tenant.unwrap().policy.unwrap();
    assert_eq!(
        (policy.version, policy.budget_tokens_default, policy.retrieval),
        (3, 500, Some(known))
    );
}

#[tokio::test]
async fn a_field_of_a_group_changes_alone_and_is_checked_beside_the_others() {
    let service = Service::in_memory().await;
    let mut tenants = service.tenants();
    let summaries = |high, low, idle, off| pb::Policy {
        summaries: Some(pb::SummaryPolicy {
            tail_high_tokens: high,
            tail_low_tokens: low,
            idle_minutes: idle,
            off,
        }),
        ..Default::default()
    };
    let mut update = async |paths: &[&str], policy: pb::Policy| {
        let answer = tenants.update_tenant(set(paths, policy)).await?.into_inner();
        Ok::<_, tonic::Status>(answer.tenant.unwrap().policy.unwrap())
    };
    update(&["summaries"], summaries(1_000, 300, 60, true)).await.unwrap();
    let now = update(&["summaries.idle_minutes"], summaries(0, 0, 5, false)).await.unwrap();
    assert_eq!(now.summaries, summaries(1_000, 300, 5, true).summaries);
    let status = update(&["summaries.tail_low_tokens"], summaries(0, 501, 0, false)).await;
    assert_eq!(fields(&status.unwrap_err()), ["policy.summaries.tail_low_tokens"]);
    let now = update(&["summaries.off"], summaries(0, 0, 0, false)).await.unwrap();
    assert_eq!(now.summaries, summaries(1_000, 300, 5, false).summaries);
    let shares = |summary_percent, recent_percent, retrieved_percent| pb::Policy {
        shares: Some(pb::Shares {
            summary_percent,
            recent_percent,
            retrieved_percent,
            documents_percent: None,
        }),
        ..Default::default()
    };
    let now = update(&["shares.summary_percent"], shares(5, 0, 0)).await.unwrap();
    assert_eq!(now.shares, shares(5, 50, 40).shares);
    let status = update(&["shares.summary_percent"], shares(11, 0, 0)).await.unwrap_err();
    assert_eq!(fields(&status), ["policy.shares"]);
}

#[tokio::test]
async fn documents_have_a_share_and_collections_in_the_policy() {
    let service = Service::in_memory().await;
    let mut tenants = service.tenants();
    let policy = |percent: Option<u32>, collections: &[&str]| pb::Policy {
        shares: Some(pb::Shares { documents_percent: percent, ..Default::default() }),
        documents: Some(pb::DocumentPolicy {
            default_collections: collections.iter().map(ToString::to_string).collect(),
        }),
        ..Default::default()
    };
    let mut update = async |path: &str, policy: pb::Policy| {
        let answer = tenants.update_tenant(set(&[path], policy)).await?.into_inner();
        let now = answer.tenant.unwrap().policy.unwrap();
        let collections = now.documents.unwrap().default_collections.join(" ");
        Ok::<_, tonic::Status>((now.shares.unwrap().documents_percent, collections))
    };
    let own = "shares.documents_percent";
    // The shares of a new tenant are a hundred already.
    assert_eq!(fields(&update(own, policy(Some(1), &[])).await.unwrap_err()), ["policy.shares"]);
    assert_eq!(update(own, policy(Some(0), &["a"])).await.unwrap(), (Some(0), String::new()));
    let named = policy(None, &["a", "b"]);
    let now = update("documents", named.clone()).await.unwrap();
    assert_eq!(now, (Some(0), "a b".to_owned()));
    assert_eq!(update(own, named).await.unwrap(), (None, "a b".to_owned()));
    let path = "documents.default_collections";
    let status = update(path, policy(None, &["a", "a"])).await.unwrap_err();
    assert_eq!(fields(&status), ["policy.documents.default_collections[1]"]);
    let status = update(path, policy(None, &["a b"])).await.unwrap_err();
    assert_eq!(fields(&status), ["policy.documents.default_collections[0]"]);
    let status = update(path, policy(None, &["c"; 17])).await.unwrap_err();
    assert_eq!(fields(&status), ["policy.documents.default_collections"]);
    assert_eq!(update(path, policy(None, &[])).await.unwrap(), (None, String::new()));
}

/// The reason and the fields of a change that is refused.
async fn refused(service: &Service, paths: &[&str], policy: pb::Policy) -> (String, Vec<String>) {
    let status = service.tenants().update_tenant(set(paths, policy)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    (reason(&status), fields(&status))
}

#[tokio::test]
async fn a_faulty_policy_names_its_fields_and_changes_nothing() {
    let service = Service::in_memory().await;
    let check = async |paths: &[&str], policy: pb::Policy, wanted: &str, field: &str| {
        let (reason, fields) = refused(&service, paths, policy).await;
        assert_eq!((reason.as_str(), fields), (wanted, vec![field.to_owned()]), "{paths:?}");
    };
    let base = pb::Policy::default;
    let invalid = "INVALID_REQUEST";
    check(&[], base(), invalid, "update_mask").await;
    check(&["version"], base(), invalid, "update_mask").await;
    let field = "budget_tokens_default";
    check(&[field], base(), invalid, "policy.budget_tokens_default").await;
    let small = pb::Policy { budget_tokens_default: 63, ..base() };
    check(&[field], small, invalid, "policy.budget_tokens_default").await;
    let large = pb::Policy { budget_tokens_max: 1_000_001, ..base() };
    check(&["budget_tokens_max"], large, invalid, "policy.budget_tokens_max").await;
    let below = pb::Policy { budget_tokens_max: 3_999, ..base() };
    check(&["budget_tokens_max"], below, invalid, "policy.budget_tokens_default").await;
    let shares = pb::Shares {
        summary_percent: 1,
        recent_percent: 60,
        retrieved_percent: 40,
        ..Default::default()
    };
    let over = pb::Policy { shares: Some(shares), ..base() };
    check(&["shares"], over, invalid, "policy.shares").await;
    let many = pb::RetrievalPolicy { retrieved_turns_max: Some(1_001), ..Default::default() };
    let many = pb::Policy { retrieval: Some(many), ..base() };
    let field = "policy.retrieval.retrieved_turns_max";
    check(&["retrieval.retrieved_turns_max"], many, invalid, field).await;
    for language in ["De", "de-AT", "eng", "english", "zz"] {
        let language = pb::RetrievalPolicy { language: language.into(), ..Default::default() };
        let language = pb::Policy { retrieval: Some(language), ..base() };
        check(&["retrieval.language"], language, invalid, "policy.retrieval.language").await;
    }
    check(&["model_default"], base(), invalid, "policy.model_default").await;
    let unknown = pb::Policy { model_default: "no-such-model".into(), ..base() };
    check(&["model_default"], unknown, "UNKNOWN_MODEL", "policy.model_default").await;
    let fallback = pb::Policy { tokenizer_fallback: "nothing".into(), ..base() };
    check(&["tokenizer_fallback"], fallback, "TOKENIZER_INVALID", "policy.tokenizer_fallback")
        .await;
    let source = pb::model_policy::TokenizerSource::TokenizerJson("{}".into());
    let model = pb::ModelPolicy { name: "mine".into(), tokenizer_source: Some(source) };
    let model = pb::Policy { models: vec![model], ..base() };
    check(&["models"], model, "TOKENIZER_INVALID", "policy.models[0]").await;
    let own = |n: usize| pb::ModelPolicy {
        name: format!("mine-{n}"),
        tokenizer_source: Some(pb::model_policy::TokenizerSource::Tokenizer("o200k_base".into())),
    };
    let models = pb::Policy { models: (0..33).map(own).collect(), ..base() };
    check(&["models"], models, invalid, "policy.models").await;
    let (_, fields) = refused(
        &service,
        &["budget_tokens_default", "shares", "nonsense"],
        pb::Policy { shares: Some(shares), budget_tokens_default: 1, ..base() },
    )
    .await;
    let all = ["update_mask", "policy.budget_tokens_default", "policy.shares"];
    assert_eq!(fields, all, "every fault at once");
    let tenant = service.tenants().get_tenant(pb::GetTenantRequest::default()).await.unwrap();
    assert_eq!(tenant.into_inner().tenant.unwrap().policy.unwrap().version, 1);
}
