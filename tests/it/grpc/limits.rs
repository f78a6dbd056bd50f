//! Every limit of a request is refused with the field named, and what is just within passes.

use std::collections::BTreeMap;

use keepsake::proto::v1 as pb;
use prost::Message;
use prost_types::{Duration, FieldMask, Timestamp};

use super::Service;
use super::client::{append, call, context, fields, reason, result, text, user};

fn letters(bytes: usize) -> String {
    "a".repeat(bytes)
}

fn part(kind: pb::part::Kind) -> pb::Part {
    pb::Part { kind: Some(kind) }
}

fn opaque(provider: &str, json: String) -> pb::Part {
    part(pb::part::Kind::Opaque(pb::OpaquePart { provider: provider.into(), json }))
}

fn media(media: pb::MediaPart) -> pb::Part {
    part(pb::part::Kind::Media(media))
}

fn picture() -> pb::MediaPart {
    let source = Some(pb::media_part::Source::FileId("f".into()));
    pb::MediaPart { source, ..Default::default() }
}

fn labels(count: usize, key: usize, value: usize) -> BTreeMap<String, String> {
    (0..count).map(|n| (format!("{n:0>key$}"), letters(value))).collect()
}

fn with(parts: Vec<pb::Part>) -> pb::NewTurn {
    pb::NewTurn { parts, ..user("") }
}

/// A turn that is refused, and the field that is named, after `turns[0]`.
fn faulty_turns() -> Vec<(pb::NewTurn, &'static str)> {
    let time = |seconds, nanos| Some(Timestamp { seconds, nanos });
    let uri = |uri: String| Some(pb::media_part::Source::Uri(uri));
    let of = |role: pb::Role, turn: pb::NewTurn| pb::NewTurn { role: role.into(), ..turn };
    let named = |id: &str, name: String| call(id, &name, "{}");
    let unnamed = BTreeMap::from([(String::new(), letters(1))]);
    let mut crowded = result("c", "fine");
    if let Some(pb::part::Kind::ToolResult(result)) = &mut crowded.parts[0].kind {
        result.parts = vec![text("fine"); 257];
    }
    let mut nested = result("c", "fine");
    if let Some(pb::part::Kind::ToolResult(result)) = &mut nested.parts[0].kind {
        result.parts = vec![text("fine"), opaque("p", "{}".into())];
    }
    vec![
        (of(pb::Role::Unspecified, user("a")), ".role"),
        (pb::NewTurn { name: letters(129), ..user("a") }, ".name"),
        (pb::NewTurn { name: "a\nb".into(), ..user("a") }, ".name"),
        (pb::NewTurn { external_id: letters(257), ..user("a") }, ".external_id"),
        (pb::NewTurn { metadata: labels(65, 3, 1), ..user("a") }, ".metadata"),
        (pb::NewTurn { metadata: labels(1, 65, 1), ..user("a") }, ".metadata"),
        (pb::NewTurn { metadata: unnamed, ..user("a") }, ".metadata"),
        (pb::NewTurn { metadata: labels(1, 3, 1_025), ..user("a") }, ".metadata[000]"),
        (pb::NewTurn { created_at: time(253_402_300_800, 0), ..user("a") }, ".created_at"),
        (pb::NewTurn { created_at: time(-62_135_596_801, 0), ..user("a") }, ".created_at"),
        (pb::NewTurn { created_at: time(0, -1), ..user("a") }, ".created_at"),
        (pb::NewTurn { created_at: time(0, 1_000_000_000), ..user("a") }, ".created_at"),
        (pb::NewTurn { status: 3, ..user("a") }, ".status"),
        (with(vec![]), ".parts"),
        (with(vec![text("a"); 257]), ".parts"),
        (user(" \n\t"), ".parts"),
        (with(vec![pb::Part { kind: None }]), ".parts[0]"),
        (user(&letters((1 << 20) + 1)), ".parts[0].text.text"),
        (with(vec![text(&letters(1 << 20)); 5]), ".parts"),
        (of(pb::Role::User, call("c", "f", "{}")), ".parts[0]"),
        (of(pb::Role::Assistant, result("c", "fine")), ".parts[0]"),
        (of(pb::Role::Tool, user("no result")), ".parts"),
        (named("", "f".into()), ".parts[0].tool_call.id"),
        (named(&letters(257), "f".into()), ".parts[0].tool_call.id"),
        (named("c", String::new()), ".parts[0].tool_call.name"),
        (named("c", letters(129)), ".parts[0].tool_call.name"),
        (call("c", "f", "[1]"), ".parts[0].tool_call.arguments_json"),
        (call("c", "f", "{} {}"), ".parts[0].tool_call.arguments_json"),
        (result("", "fine"), ".parts[0].tool_result.call_id"),
        (crowded, ".parts[0].tool_result.parts"),
        (nested, ".parts[0].tool_result.parts[1]"),
        (with(vec![media(pb::MediaPart::default())]), ".parts[0].media"),
        (
            with(vec![media(pb::MediaPart { source: uri(letters(4_097)), ..picture() })]),
            ".parts[0].media.uri",
        ),
        (
            with(vec![media(pb::MediaPart { media_type: letters(129), ..picture() })]),
            ".parts[0].media.media_type",
        ),
        (
            with(vec![media(pb::MediaPart { caption: letters(65_537), ..picture() })]),
            ".parts[0].media.caption",
        ),
        (
            with(vec![media(pb::MediaPart { tokens: 1_000_001, ..picture() })]),
            ".parts[0].media.tokens",
        ),
        (with(vec![opaque("", "{}".into())]), ".parts[0].opaque.provider"),
        (with(vec![opaque(&letters(65), "{}".into())]), ".parts[0].opaque.provider"),
        (with(vec![opaque("p", "{".into())]), ".parts[0].opaque.json"),
        (with(vec![opaque("p", String::new())]), ".parts[0].opaque.json"),
    ]
}

#[tokio::test]
async fn a_faulty_turn_is_refused_with_its_field() {
    let service = Service::in_memory().await;
    let mut memory = service.memory();
    for (turn, field) in faulty_turns() {
        let status = memory.append_turns(append("s", vec![turn])).await.unwrap_err();
        assert_eq!(reason(&status), "INVALID_REQUEST", "{field}");
        assert_eq!(fields(&status), [format!("turns[0]{field}")]);
    }
    for turns in [vec![], vec![user("a"); 1_001]] {
        let status = memory.append_turns(append("s", turns)).await.unwrap_err();
        assert_eq!(fields(&status), ["turns"]);
    }
    let get = pb::GetSessionRequest { session_id: "s".into() };
    assert_eq!(reason(&memory.get_session(get).await.unwrap_err()), "SESSION_NOT_FOUND");
}

#[tokio::test]
async fn a_turn_at_its_limits_is_taken() {
    let service = Service::in_memory().await;
    let json = format!("\"{}\"", letters((1 << 20) - 2));
    let mut turn = pb::NewTurn {
        name: letters(128),
        external_id: letters(256),
        metadata: labels(64, 64, 1_024),
        created_at: Some(Timestamp { seconds: -62_135_596_800, nanos: 0 }),
        ..user(&"word ".repeat(1_000))
    };
    turn.parts.push(opaque(&letters(64), json));
    turn.parts.push(media(pb::MediaPart {
        media_type: letters(128),
        caption: "word ".repeat(13_107),
        tokens: 1_000_000,
        ..picture()
    }));
    let sent = vec![turn, call(&letters(256), &letters(128), "{\"a\": 1}")];
    service.memory().append_turns(append("s", sent)).await.unwrap();
}

/// Checks that a request is refused for one field.
async fn check(service: &Service, path: &str, request: &impl Message, field: &str) {
    let path = format!("/keepsake.v1.{path}");
    let answer = service.raw(service.dev_key(), &path, &request.encode_to_vec()).await;
    let status = answer.status();
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{path} {field}");
    assert_eq!(
        (reason(&status).as_str(), fields(&status)),
        ("INVALID_REQUEST", vec![field.into()])
    );
}

#[tokio::test]
async fn a_faulty_session_is_refused_with_its_field() {
    let service = Service::in_memory().await;
    let path = "MemoryService/CreateSession";
    let base = || pb::CreateSessionRequest { session_id: "s".into(), ..Default::default() };
    let ttl = |seconds, nanos| Some(Duration { seconds, nanos });
    for id in ["", "-a", "a/b", "é", &letters(129)] {
        let request = pb::CreateSessionRequest { session_id: id.into(), ..base() };
        check(&service, path, &request, "session_id").await;
    }
    for (request, field) in [
        (pb::CreateSessionRequest { user_id: "a b".into(), ..base() }, "user_id"),
        (pb::CreateSessionRequest { request_id: "1".into(), ..base() }, "request_id"),
        (pb::CreateSessionRequest { kind: 9, ..base() }, "kind"),
        (pb::CreateSessionRequest { ttl: ttl(59, 999_999_999), ..base() }, "ttl"),
        (pb::CreateSessionRequest { ttl: ttl(-60, 0), ..base() }, "ttl"),
        (pb::CreateSessionRequest { ttl: ttl(400_000_000, 0), ..base() }, "ttl"),
        (pb::CreateSessionRequest { metadata: labels(65, 3, 1), ..base() }, "metadata"),
        (
            pb::CreateSessionRequest { pinned_instructions: letters((256 << 10) + 1), ..base() },
            "pinned_instructions",
        ),
    ] {
        check(&service, path, &request, field).await;
    }
    let path = "MemoryService/UpdateSession";
    for paths in [vec![], vec!["user_id".to_owned()]] {
        let request = pb::UpdateSessionRequest {
            session_id: "s".into(),
            update_mask: Some(FieldMask { paths }),
            ..Default::default()
        };
        check(&service, path, &request, "update_mask").await;
    }
    let fork = pb::ForkSessionRequest { session_id: "s".into(), ..Default::default() };
    check(&service, "MemoryService/ForkSession", &fork, "new_session_id").await;
    for seqs in [vec![], vec![0], vec![1; 1_001]] {
        let request = pb::DeleteTurnsRequest { session_id: "s".into(), seqs, ..Default::default() };
        check(&service, "MemoryService/DeleteTurns", &request, "seqs").await;
    }
}

#[tokio::test]
async fn a_page_larger_than_a_thousand_is_refused() {
    let service = Service::in_memory().await;
    let (session_id, page_size) = ("s".to_owned(), 1_001);
    let request = pb::ListTurnsRequest { session_id, page_size, ..Default::default() };
    check(&service, "MemoryService/ListTurns", &request, "page_size").await;
    let session_id = "s".to_owned();
    let request = pb::ListSummariesRequest { session_id, page_size, ..Default::default() };
    check(&service, "MemoryService/ListSummaries", &request, "page_size").await;
    let request = pb::ListSessionsRequest { page_size, ..Default::default() };
    check(&service, "MemoryService/ListSessions", &request, "page_size").await;
    let request = pb::ListTenantsRequest { page_size, ..Default::default() };
    check(&service, "TenantService/ListTenants", &request, "page_size").await;
    let request = pb::ListApiKeysRequest { page_size, ..Default::default() };
    check(&service, "TenantService/ListApiKeys", &request, "page_size").await;
}

fn faulty_contexts() -> Vec<(pb::BuildContextRequest, &'static str)> {
    let base = || context("s", "what?", 1_000);
    let filter = |filter| pb::BuildContextRequest { filter: Some(filter), ..base() };
    let late = Some(Timestamp { seconds: 253_402_300_800, nanos: 0 });
    let shares = pb::Shares {
        summary_percent: 10,
        recent_percent: 51,
        retrieved_percent: 40,
        ..Default::default()
    };
    vec![
        (context("", "what?", 1_000), "session_id"),
        (context("a/b", "what?", 1_000), "session_id"),
        (pb::BuildContextRequest { user_id: "a/b".into(), ..base() }, "user_id"),
        (context("s", &letters((64 << 10) + 1), 1_000), "query"),
        (pb::BuildContextRequest { model: letters(129), ..base() }, "model"),
        (context("s", "what?", 63), "budget_tokens"),
        (context("s", "what?", 1_000_001), "budget_tokens"),
        (pb::BuildContextRequest { reserve_tokens: 1_000, ..base() }, "reserve_tokens"),
        (
            pb::BuildContextRequest { instructions: letters((256 << 10) + 1), ..base() },
            "instructions",
        ),
        (pb::BuildContextRequest { scope: 7, ..base() }, "scope"),
        (
            pb::BuildContextRequest {
                user_id: "ann".into(),
                scope: pb::Scope::Session.into(),
                ..context("", "what?", 1_000)
            },
            "scope",
        ),
        (filter(pb::Filter { roles: vec![9], ..Default::default() }), "filter.roles[0]"),
        (filter(pb::Filter { roles: vec![4], ..Default::default() }), "filter.roles[0]"),
        (
            filter(pb::Filter { metadata: labels(65, 3, 1), ..Default::default() }),
            "filter.metadata",
        ),
        (filter(pb::Filter { created_after: late, ..Default::default() }), "filter.created_after"),
        (
            filter(pb::Filter { created_before: late, ..Default::default() }),
            "filter.created_before",
        ),
        (pb::BuildContextRequest { as_of: late, ..base() }, "as_of"),
        (pb::BuildContextRequest { time_zone: "Mars/Olympus".into(), ..base() }, "time_zone"),
        (pb::BuildContextRequest { shares: Some(shares), ..base() }, "shares"),
        (pb::BuildContextRequest { format: 9, ..base() }, "format"),
    ]
}

#[tokio::test]
async fn a_faulty_context_or_search_is_refused_with_its_field() {
    let service = Service::in_memory().await;
    for (request, field) in faulty_contexts() {
        check(&service, "MemoryService/BuildContext", &request, field).await;
    }
    let base = || pb::SearchRequest {
        session_id: "s".into(),
        query: "what?".into(),
        ..Default::default()
    };
    for (request, field) in [
        (pb::SearchRequest { session_id: String::new(), ..base() }, "session_id"),
        (pb::SearchRequest { query: String::new(), ..base() }, "query"),
        (pb::SearchRequest { query: letters((64 << 10) + 1), ..base() }, "query"),
        (pb::SearchRequest { top_k: 1_001, ..base() }, "top_k"),
        (pb::SearchRequest { scope: 3, ..base() }, "scope"),
        (pb::SearchRequest { time_zone: "Mars".into(), ..base() }, "time_zone"),
    ] {
        check(&service, "MemoryService/Search", &request, field).await;
    }
}

#[tokio::test]
async fn what_a_context_cannot_do_has_a_reason_of_its_own() {
    let service = Service::in_memory().await;
    let mut memory = service.memory();
    memory.append_turns(append("s", vec![user(&"word ".repeat(500))])).await.unwrap();
    let unknown = pb::BuildContextRequest { model: "no-such".into(), ..context("s", "", 1_000) };
    let collections = vec!["manuals".to_owned()];
    let collected = pb::BuildContextRequest { collections, ..context("s", "", 1_000) };
    let instructed =
        pb::BuildContextRequest { instructions: "word ".repeat(200), ..context("s", "", 100) };
    let foreign = pb::BuildContextRequest { user_id: "bob".into(), ..context("s", "", 1_000) };
    for (request, wanted, field) in [
        (unknown, "UNKNOWN_MODEL", "model"),
        (collected, "COLLECTION_NOT_FOUND", "collections[0]"),
        (context("s", "", 100), "CURRENT_EXCHANGE_TOO_LARGE", "budget_tokens"),
        (instructed, "INSTRUCTIONS_TOO_LARGE", "budget_tokens"),
        (foreign, "USER_MISMATCH", "user_id"),
    ] {
        let status = memory.build_context(request.clone()).await.unwrap_err();
        assert_eq!((reason(&status).as_str(), fields(&status)), (wanted, vec![field.to_owned()]));
        let Some(minimum) = super::client::values(&status).get("minimum_tokens").cloned() else {
            assert_ne!(field, "budget_tokens", "the smallest budget is named");
            continue;
        };
        let minimum: u32 = minimum.parse().unwrap();
        let enough = pb::BuildContextRequest { budget_tokens: minimum, ..request.clone() };
        memory.build_context(enough).await.unwrap();
        let short = pb::BuildContextRequest { budget_tokens: minimum - 1, ..request };
        memory.build_context(short).await.unwrap_err();
    }
}
