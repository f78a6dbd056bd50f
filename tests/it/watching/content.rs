//! Nothing that people said, no key and no name of theirs is in the log, whatever the filter.

use keepsake::proto::{POOL, v1 as pb};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::Server;
use crate::grpc::client::{append, call, context, raw, result, text, user};

/// Stands in every text of these conversations. The analysis of text leaves it whole.
const CANARY: &str = "zqxcanary";

/// A text with the canary in it.
fn canary(of: &str) -> String {
    format!("{CANARY}{of}")
}

fn new_turns() -> Vec<pb::NewTurn> {
    let metadata = [(canary("label"), canary("value"))].into_iter().collect();
    let media = pb::MediaPart {
        media_type: "image/png".into(),
        caption: canary("caption"),
        source: Some(pb::media_part::Source::Uri(format!("https://x.org/{CANARY}uri"))),
        ..Default::default()
    };
    let opaque = pb::OpaquePart {
        provider: canary("provider"),
        json: format!("{{\"a\":\"{CANARY}opaque\"}}"),
    };
    let part = |kind| pb::Part { kind: Some(kind) };
    let said = pb::NewTurn {
        name: canary("speaker"),
        parts: vec![
            text(&format!("My train to {CANARY}town leaves at 7:42, tell {CANARY}friend.")),
            part(pb::part::Kind::Media(media)),
        ],
        external_id: canary("external"),
        metadata,
        ..user("")
    };
    let arguments = format!("{{\"q\":\"{CANARY}argument\"}}");
    let mut asked = call(&canary("call"), &canary("tool"), &arguments);
    asked.parts.push(part(pb::part::Kind::Opaque(opaque)));
    vec![said, asked, result(&canary("call"), &canary("answer"))]
}

/// A conversation in which everything goes well; gives the secret of the key that it used.
async fn converse(server: &Server) -> String {
    let tenant = canary("-tenant");
    let mut tenants = server.tenants().await;
    let create = pb::CreateTenantRequest { tenant_id: tenant.clone(), ..Default::default() };
    tenants.create_tenant(create).await.unwrap();
    let create = pb::CreateApiKeyRequest {
        tenant_id: tenant,
        display_name: canary("-key"),
        scopes: vec![pb::KeyScope::Read.into(), pb::KeyScope::Write.into()],
        ..Default::default()
    };
    let secret = tenants.create_api_key(create).await.unwrap().into_inner().secret;
    let mut memory = server.memory(&secret, &[]).await;
    let (session, person) = (canary("-session"), canary("-user"));
    let create = pb::CreateSessionRequest {
        session_id: session.clone(),
        user_id: person.clone(),
        pinned_instructions: canary("pinned"),
        metadata: [(canary("k"), canary("v"))].into_iter().collect(),
        ..Default::default()
    };
    memory.create_session(create).await.unwrap();
    let turns = pb::AppendTurnsRequest { user_id: person.clone(), ..append(&session, new_turns()) };
    memory.append_turns(turns).await.unwrap();
    let build = pb::BuildContextRequest {
        user_id: person.clone(),
        instructions: canary("instructions"),
        scope: pb::Scope::User.into(),
        explain: true,
        ..context(&session, &format!("When does the train to {CANARY}town leave?"), 2_000)
    };
    let built = memory.build_context(build).await.unwrap().into_inner();
    assert!(format!("{built:?}").contains("zqxcanarytown"), "the canary reached the context");
    let search = pb::SearchRequest {
        session_id: session.clone(),
        query: format!("{CANARY}town"),
        ..Default::default()
    };
    assert!(!memory.search(search).await.unwrap().into_inner().hits.is_empty());
    let list = pb::ListTurnsRequest { session_id: session.clone(), ..Default::default() };
    assert_eq!(memory.list_turns(list).await.unwrap().into_inner().turns.len(), 3);
    let delete = pb::DeleteSessionRequest { session_id: session, ..Default::default() };
    memory.delete_session(delete).await.unwrap();
    secret
}

/// A message with the canary in every text that it can hold, down to a depth.
fn filled(descriptor: MessageDescriptor, depth: u8) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        if let Some(value) = value(&field, depth) {
            message.set_field(&field, value);
        }
    }
    message
}

fn value(field: &FieldDescriptor, depth: u8) -> Option<Value> {
    let one = match field.kind() {
        Kind::String => Value::String(canary(field.name())),
        Kind::Bytes => Value::Bytes(canary(field.name()).into()),
        Kind::Message(of) if depth > 0 => {
            if field.is_map() {
                let key = MapKey::String(canary("key"));
                let value = value(&of.map_entry_value_field(), depth - 1)?;
                return Some(Value::Map([(key, value)].into_iter().collect()));
            }
            Value::Message(filled(of, depth - 1))
        }
        _ => return None,
    };
    Some(if field.is_list() { Value::List(vec![one]) } else { one })
}

/// Calls each method with each text of its request alone, and with all of them: most are refused,
/// each for a reason of its own.
async fn abuse(server: &Server) {
    use prost_reflect::prost::Message as _;
    let channel = server.channel().await;
    let mut calls = 0;
    for service in POOL.services() {
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            let whole = filled(method.input(), 4);
            let mut messages = vec![whole.encode_to_vec(), CANARY.as_bytes().to_vec()];
            for field in method.input().fields() {
                let mut alone = DynamicMessage::new(method.input());
                alone.set_field(&field, whole.get_field(&field).into_owned());
                messages.push(alone.encode_to_vec());
            }
            for message in messages {
                raw(channel.clone(), &server.key, &path, &message).await;
                calls += 1;
            }
            raw(channel.clone(), &canary("key"), &path, &whole.encode_to_vec()).await;
        }
    }
    assert!(calls > 100, "{calls}");
    let path = format!("/{CANARY}.Service/{CANARY}");
    raw(channel, &server.key, &path, &[]).await;
}

/// One server with this form of log, all of what is above, and its log.
async fn logged(form: &str) -> (String, Vec<String>) {
    let server = Server::start(&[
        ("LOG_FORMAT", form),
        ("LOG_FILTER", "trace"),
        ("EMBEDDING_MODEL", "minilm"),
    ]);
    let secret = converse(&server).await;
    abuse(&server).await;
    HealthClient::new(server.channel().await).check(HealthCheckRequest::default()).await.unwrap();
    let keys = vec![secret, server.key.clone()];
    let scraped = server.scrape();
    assert!(!scraped.to_lowercase().contains(CANARY), "{scraped}");
    (server.stop(), keys)
}

#[track_caller]
fn check(log: &str, keys: &[String]) {
    let said = log.to_lowercase();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains(CANARY)).take(3).collect();
    assert!(lines.is_empty(), "content is in the log: {lines:#?}");
    for key in keys {
        let secret = key.rsplit('_').next().unwrap();
        assert!(!said.contains(secret), "a key is in the log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_content_is_in_the_text_log_whatever_the_filter() {
    let (log, keys) = logged("text").await;
    check(&log, &keys);
    let calls = log.lines().filter(|line| line.contains("keepsake::call: answered")).count();
    assert!(calls > 100, "calls are logged: {calls}");
    assert!(log.contains("DEBUG") && log.contains("Health/Check"), "the filter was in force");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_content_is_in_the_json_log_and_libraries_say_nothing_below_info() {
    let (log, keys) = logged("json").await;
    check(&log, &keys);
    let mut below = 0;
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line is one object");
        let (level, target) = (line["level"].as_str().unwrap(), line["target"].as_str().unwrap());
        if matches!(level, "DEBUG" | "TRACE") {
            below += 1;
            assert!(target.starts_with("keepsake"), "{line}");
        }
    }
    assert!(below > 0, "the filter was in force");
}
