//! Spans of calls reach a collector, below the span of the caller, without content; and nobody
//! misses a collector that is gone.

use std::sync::{Arc, Mutex};

use keepsake::app::{Running, start};
use keepsake::config::{Layers, Settings};
use keepsake::proto::v1 as pb;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tokio::net::TcpListener;
use tonic::transport::{Channel, Server, server::TcpIncoming};
use tonic::{Request, Response, Status};

use crate::grpc::client::{append, user};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const CANARY: &str = "zqxcanary";

/// Keeps all that it is sent.
#[derive(Clone, Default)]
struct Collector {
    sent: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.sent.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// One that listens; and where.
    async fn listen() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        (collector, endpoint)
    }

    fn spans(&self) -> Vec<Span> {
        let sent = self.sent.lock().unwrap();
        let resources = sent.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }
}

async fn started(endpoint: &str, ratio: &str) -> Running {
    let said = |text: &str| Some(text.to_owned());
    let layers = Layers::default()
        .with_flag("listen", said("127.0.0.1:0"))
        .with_flag("embedding.model", said("none"))
        .with_flag("storage.engine", said("memory"))
        .with_flag("tracing.otlp_endpoint", said(endpoint))
        .with_flag("tracing.sample_ratio", said(ratio));
    start(&Settings::resolve(&layers).unwrap()).await.unwrap()
}

/// Appends a turn with the canary in it.
async fn call(running: &Running, metadata: &[(&'static str, String)]) {
    let address = format!("http://{}", running.address);
    let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
    let mut memory = pb::memory_service_client::MemoryServiceClient::new(channel);
    let turn = pb::NewTurn { name: CANARY.into(), ..user(&format!("{CANARY} says hello")) };
    let append = append(&format!("{CANARY}-session"), vec![turn]);
    let mut request =
        Request::new(pb::AppendTurnsRequest { user_id: format!("{CANARY}-user"), ..append });
    let key = format!("Bearer {}", running.dev_key.as_deref().unwrap());
    request.metadata_mut().insert("authorization", key.parse().unwrap());
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    memory.append_turns(request).await.unwrap();
}

fn parent(flags: &str) -> (&'static str, String) {
    ("traceparent", format!("00-{TRACE}-{PARENT}-{flags}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_reaches_the_collector_below_its_caller_s() {
    let (collector, endpoint) = Collector::listen().await;
    let running = started(&endpoint, "0").await;
    let state = ("tracestate", "vendor=opaque".to_owned());
    call(&running, &[parent("01"), state, ("x-request-id", "backend-7".to_owned())]).await;
    let key = running.dev_key.clone().unwrap();
    running.stop().await.unwrap();
    let spans = collector.spans();
    let [span] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.into(), PARENT.into()));
    assert_eq!(span.trace_state, "vendor=opaque");
    assert_eq!(span.name, "keepsake.v1.MemoryService/AppendTurns");
    assert_eq!(span.kind(), SpanKind::Server);
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    let attribute = |name: &str| {
        let found = span.attributes.iter().find(|attribute| attribute.key == name);
        found.unwrap_or_else(|| panic!("{name}")).value.clone().unwrap().value.unwrap()
    };
    assert_eq!(attribute("keepsake.request_id"), Value::StringValue("backend-7".into()));
    assert_eq!(attribute("rpc.grpc.status_code"), Value::IntValue(0));
    let Value::StringValue(tenant) = attribute("keepsake.tenant") else { panic!("a text") };
    assert_eq!(tenant.len(), 16);
    let all = format!("{:?}", collector.sent.lock().unwrap());
    assert!(!all.contains(CANARY) && !all.contains(&key), "{all}");
    assert!(all.contains("\"keepsake\""), "the service names itself: {all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_decides_on_its_traces_and_the_ratio_on_others() {
    for (ratio, metadata, sent) in [
        ("1", vec![], 1),
        ("0", vec![], 0),
        ("1", vec![parent("00")], 0),
        ("0", vec![("traceparent", "no trace".to_owned())], 0),
    ] {
        let (collector, endpoint) = Collector::listen().await;
        let running = started(&endpoint, ratio).await;
        call(&running, &metadata).await;
        running.stop().await.unwrap();
        assert_eq!(collector.spans().len(), sent, "{ratio} {metadata:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_gone_fails_no_call_and_no_stop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let running = started(&gone, "1").await;
    call(&running, &[]).await;
    running.stop().await.unwrap();
    // One that takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let running = started(&endpoint, "1").await;
    call(&running, &[]).await;
    running.stop().await.unwrap();
}

#[test]
fn an_endpoint_that_is_none_is_refused_with_the_other_mistakes() {
    let mistakes = |endpoint: &str, ratio: &str| {
        let layers = Layers::default()
            .with_flag("tracing.otlp_endpoint", Some(endpoint.to_owned()))
            .with_flag("tracing.sample_ratio", Some(ratio.to_owned()));
        Settings::resolve(&layers).err().map_or(0, |mistakes| mistakes.len())
    };
    assert_eq!(mistakes("http://127.0.0.1:4317", "0.25"), 0);
    assert_eq!(mistakes("https://collector:4317", "1.5"), 2);
    assert_eq!(mistakes("collector:4317", "nan"), 2);
    assert_eq!(mistakes("http://collector:4317/v1/traces", "-1"), 2);
}
