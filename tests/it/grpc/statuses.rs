//! What the transport refuses has the code and the reason of the contract.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use http_body_util::Full;
use keepsake::proto::v1 as pb;
use prost::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};
use tower::Service as _;

use super::Service;
use super::client::{append, plain, reason, result, user, values};

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

#[tokio::test]
async fn a_compressed_request_is_taken_and_a_bomb_is_not() {
    let service = Service::in_memory().await;
    let mut zipped = service.memory().send_compressed(CompressionEncoding::Gzip);
    zipped.append_turns(append("s", vec![user(&"word ".repeat(1_000))])).await.unwrap();
    let bomb = append("s", vec![user(&"a".repeat(17 << 20))]);
    let status = zipped.append_turns(bomb).await.unwrap_err();
    let found = (status.code(), reason(&status));
    assert_eq!(found, (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".to_owned()));
}

/// A gzip stream of less than 16 MiB that inflates to 12 GiB: one block of zeros, again and again.
fn bomb() -> Vec<u8> {
    let mut deflate = Compress::new(Compression::best(), false);
    let zeros = vec![0; 1 << 20];
    let mut block = Vec::with_capacity(1 << 16);
    for _ in 0..2 {
        // The first block knows nothing of zeros; the second one stands for all others.
        block.clear();
        deflate.compress_vec(&zeros, &mut block, FlushCompress::Full).unwrap();
    }
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    bytes.extend(block.repeat(12 << 10));
    assert!(bytes.len() < 16 << 20, "{}", bytes.len());
    bytes
}

/// The most memory that this process ever had, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

/// Sends the body of an append as it is, and gives how it was refused.
async fn sent(service: &Service, encoding: &str, body: Vec<u8>) -> (Code, String) {
    let request = http::Request::post(APPEND)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-encoding", encoding)
        .header("authorization", format!("Bearer {}", service.dev_key()))
        .body(tonic::body::Body::new(Full::new(Bytes::from(body))))
        .unwrap();
    let mut channel = service.channel();
    std::future::poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
    let answer = channel.call(request).await.unwrap();
    let status = Status::from_header_map(answer.headers()).unwrap();
    (status.code(), reason(&status))
}

#[tokio::test]
async fn no_message_half_of_one_and_two_are_the_callers_fault() {
    let service = Service::in_memory().await;
    let message = append("s", vec![user("hello")]).encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let one = [&[0][..], &length, &message].concat();
    let two = [&one[..], &one].concat();
    let malformed = (Code::InvalidArgument, "MESSAGE_MALFORMED".to_owned());
    for body in [&[][..], &one[..3], &one[..one.len() - 1], &two] {
        assert_eq!(sent(&service, "identity", body.to_vec()).await, malformed, "{body:?}");
    }
}

#[tokio::test]
async fn a_refusal_with_very_many_faults_keeps_its_code_and_its_reason() {
    let service = Service::in_memory().await;
    let turns = vec![pb::NewTurn::default(); 1_000];
    let status = service.memory().append_turns(append("s", turns)).await.unwrap_err();
    let found = (status.code(), reason(&status));
    assert_eq!(found, (Code::InvalidArgument, "INVALID_REQUEST".to_owned()));
    // The largest metadata that clients take without a setting.
    assert!(status.details().len() < 8_192 * 3 / 4, "{} bytes", status.details().len());
    assert_eq!(values(&status)["more_faults"], "1968");
}

#[tokio::test]
async fn an_answer_that_is_too_large_says_so_and_smaller_ones_come() {
    let service = Service::in_memory().await;
    let text = format!("zanzibar {}", " ".repeat(1 << 20));
    let mut turn = user(&text[..1 << 20]);
    turn.parts = vec![turn.parts[0].clone(); 3];
    for _ in 0..6 {
        service.memory().append_turns(append("s", vec![turn.clone(); 4])).await.unwrap();
    }
    let search = |top_k| pb::SearchRequest {
        session_id: "s".into(),
        query: "zanzibar".into(),
        top_k,
        ..Default::default()
    };
    let refused = service.memory().search(search(24)).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::ResourceExhausted, "ANSWER_TOO_LARGE".into())
    );
    let mut client = service.memory().max_decoding_message_size(64 << 20);
    assert_eq!(client.search(search(2)).await.unwrap().into_inner().hits.len(), 2);
}

#[tokio::test]
async fn a_border_within_a_millisecond_counts_as_the_next_one() {
    let service = Service::in_memory().await;
    let at = |nanos| Some(prost_types::Timestamp { seconds: 1_000, nanos });
    let turn = pb::NewTurn { created_at: at(100_000), ..user("zanzibar") };
    service.memory().append_turns(append("s", vec![turn])).await.unwrap();
    let found = async |filter: pb::Filter| {
        let (session_id, query) = ("s".into(), "zanzibar".into());
        let request =
            pb::SearchRequest { session_id, query, filter: Some(filter), ..Default::default() };
        service.memory().search(request).await.unwrap().into_inner().hits.len()
    };
    let (before, after) = (at(500_000), at(500_000));
    assert_eq!(found(pb::Filter { created_before: before, ..Default::default() }).await, 1);
    assert_eq!(found(pb::Filter { created_after: after, ..Default::default() }).await, 0);
    assert_eq!(found(pb::Filter { created_after: at(0), ..Default::default() }).await, 1);
}

#[tokio::test]
async fn a_bomb_takes_no_more_memory_than_a_request_may() {
    let service = Service::in_memory().await;
    let bytes = bomb();
    let before = peak_mib();
    let mut frame = vec![1];
    frame.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&bytes);
    let found = sent(&service, "gzip", frame).await;
    assert_eq!(found, (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".to_owned()));
    // Other tests run in this process too: far less than the bomb is enough to know.
    let grown = peak_mib() - before;
    assert!(grown < 2_048, "{grown} MiB for a request of 16 MiB at most");
}

#[tokio::test]
async fn a_connection_is_told_how_many_calls_at_a_time_it_has() {
    let service = Service::in_memory().await;
    let address = service.running().address;
    let mut sender = plain(address).await;
    let request = http::Request::post(format!("http://{address}{APPEND}")).body(()).unwrap();
    let (answer, _) = sender.send_request(request, true).unwrap();
    answer.await.unwrap();
    assert_eq!(sender.current_max_send_streams(), 64);
}

#[tokio::test]
async fn what_is_no_call_of_the_contract_is_refused_and_harms_nobody() {
    let service = Service::in_memory().await;
    let unknown = service.raw(service.dev_key(), "/keepsake.v1.MemoryService/Nothing", b"").await;
    assert_eq!(unknown.status().code(), Code::Unimplemented);
    let unknown = service.raw(service.dev_key(), "/nowhere.Nothing/Nothing", b"").await;
    assert_eq!(unknown.status().code(), Code::Unimplemented);
    // Garbage with no key, or with a wrong one, is not even read.
    let status = service.raw("ks_0_0", APPEND, &[0xff; 100]).await.status();
    assert_eq!(reason(&status), "KEY_INVALID");
    let long = "a".repeat(17 << 10);
    let mut request = tonic::Request::new(pb::GetSessionRequest { session_id: "s".into() });
    request.metadata_mut().insert("long", long.parse().unwrap());
    let status = service.memory().get_session(request).await.unwrap_err();
    assert_ne!(status.code(), Code::Ok, "headers are too large: {status:?}");
    // Bytes that are no HTTP/2 end their own connection only.
    let mut stream = tokio::net::TcpStream::connect(service.running().address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n garbage garbage garbage").await.unwrap();
    let mut said = Vec::new();
    // Reset or ended, as the system sees it.
    let _ = stream.read_to_end(&mut said).await;
    service.memory().append_turns(append("s", vec![user("hello")])).await.unwrap();
}
