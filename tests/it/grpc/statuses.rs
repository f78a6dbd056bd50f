//! What the transport refuses has the code and the reason of the contract.

use keepsake::proto::v1 as pb;
use prost::Message;
use tonic::Code;

use super::Service;
use super::client::{append, reason, result, user};

const APPEND: &str = "/keepsake.v1.MemoryService/AppendTurns";

/// A request to append whose fields may hold any bytes.
#[derive(Clone, PartialEq, Message)]
struct Loose {
    #[prost(bytes = "vec", tag = "1")]
    session_id: Vec<u8>,
}

async fn refused(service: &Service, message: &[u8]) -> (Code, String) {
    let status = service.raw(service.dev_key(), APPEND, message).await.status();
    (status.code(), reason(&status))
}

/// A tool result in a tool result, so many times.
fn nested(depth: usize) -> Vec<u8> {
    let innermost = append("s", vec![result("c", "fine")]);
    let mut part = innermost.turns[0].parts[0].clone();
    for _ in 0..depth {
        let inside = pb::ToolResultPart { parts: vec![part], ..Default::default() };
        part = pb::Part { kind: Some(pb::part::Kind::ToolResult(inside)) };
    }
    let turn = pb::NewTurn { parts: vec![part], ..user("") };
    append("s", vec![turn]).encode_to_vec()
}

#[tokio::test]
async fn bytes_that_are_no_message_are_the_callers_fault() {
    let service = Service::in_memory().await;
    let malformed = (Code::InvalidArgument, "MESSAGE_MALFORMED".to_owned());
    let no_text = Loose { session_id: vec![0xff, 0xfe] }.encode_to_vec();
    assert_eq!(refused(&service, &no_text).await, malformed, "text that is not UTF-8");
    assert_eq!(refused(&service, &nested(200)).await, malformed, "too deep");
    let whole = append("s", vec![user("hello")]).encode_to_vec();
    assert_eq!(refused(&service, &whole[..whole.len() - 3]).await, malformed, "cut short");
    // What a handler refuses by itself stays as it is.
    let named = (Code::InvalidArgument, "INVALID_REQUEST".to_owned());
    assert_eq!(refused(&service, &nested(2)).await, named);
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_with_its_limit() {
    let service = Service::in_memory().await;
    let request = append("s", vec![user(&"a".repeat(17 << 20))]);
    let status = service.memory().append_turns(request).await.unwrap_err();
    let found = (status.code(), reason(&status));
    assert_eq!(found, (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".to_owned()));
    assert!(status.message().contains("16777216"), "{}", status.message());
}
