//! What the line of a call says, and the lines of a start and a stop.

use keepsake::proto::v1 as pb;
use serde_json::Value;
use tonic::Code;

use super::Server;
use crate::grpc::client::{append, context, user};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// The lines of calls, as objects.
fn calls(log: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str(line).expect("a line is one object"));
    lines.filter(|line: &Value| line["target"] == "keepsake::call").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_one_line_with_how_it_went() {
    let server = Server::start(&[("LOG_FORMAT", "json")]);
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let more = [("x-request-id", "backend-7"), ("traceparent", parent.as_str())];
    let mut memory = server.memory(&server.key, &more).await;
    let appended = memory.append_turns(append("s", vec![user("hello")])).await.unwrap();
    assert_eq!(appended.metadata().get("x-request-id").unwrap(), "backend-7");
    memory.build_context(context("s", "", 1_000)).await.unwrap();
    let mut plain = server.memory(&server.key, &[("x-request-id", "not an id")]).await;
    let get = pb::GetSessionRequest { session_id: "gone".into() };
    let refused = plain.get_session(get.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let made = refused.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
    assert!(made.len() == 16 && made != "not an id");
    let mut nobody = server.memory("ks_1_2", &[]).await;
    nobody.get_session(get).await.unwrap_err();
    let log = server.stop();
    let calls = calls(&log);
    let [append, build, get, denied] = &calls[..] else { panic!("{calls:#?}") };
    let said = |line: &Value| {
        let span = &line["span"];
        assert!(line["latency_ms"].as_f64().unwrap() > 0.0, "{line}");
        assert_eq!(line["level"], "INFO");
        let id = span["request_id"].as_str().unwrap().to_owned();
        (span["method"].as_str().unwrap().to_owned(), id, line["code"].as_str().unwrap().to_owned())
    };
    let method = |name: &str| format!("keepsake.v1.MemoryService/{name}");
    assert_eq!(said(append), (method("AppendTurns"), "backend-7".into(), "OK".into()));
    assert_eq!(said(build), (method("BuildContext"), "backend-7".into(), "OK".into()));
    assert_eq!(said(get), (method("GetSession"), made, "NOT_FOUND".into()));
    assert_eq!(get["reason"], "SESSION_NOT_FOUND");
    assert_eq!(said(denied).2, "UNAUTHENTICATED");
    assert_eq!(denied["reason"], "KEY_INVALID");
    assert_eq!(append["span"]["trace_id"], TRACE);
    assert!(get["span"].get("trace_id").is_none());
    let tag = append["span"]["tenant"].as_str().unwrap();
    assert!(tag.len() == 16 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()), "{tag}");
    assert_eq!(build["span"]["tenant"], tag, "one tenant has one tag");
    assert!(denied["span"].get("tenant").is_none(), "nobody knows whose call it was");
    assert!(build["used_tokens"].as_u64().unwrap() > 0 && append.get("used_tokens").is_none());
    assert!(append["request_bytes"].as_u64().unwrap() > 5);
    assert!(build["answer_bytes"].as_u64().unwrap() > build["request_bytes"].as_u64().unwrap());
}

#[test]
fn a_start_and_a_stop_are_lines_and_nothing_else_is_said_of_them() {
    let server = Server::start(&[("LOG_FORMAT", "json")]);
    let log = server.stop();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("a line is one object")).collect();
    let said: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(said, ["serving", "stopping: calls that run may end", "stopped"], "{lines:#?}");
    assert_eq!(lines[0]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(lines[0]["engine"], "fjall");
    assert!(lines[0]["address"].as_str().unwrap().starts_with("127.0.0.1:"));
}
