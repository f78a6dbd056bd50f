//! A server of its own for each test, and short words for what tests ask of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt as _, Full};
use keepsake::app::{Running, start};
use keepsake::config::{DocumentEngine, Layers, Settings};
use keepsake::proto::v1 as pb;
use keepsake::proto::v1::document_service_client::DocumentServiceClient;
use keepsake::proto::v1::memory_service_client::MemoryServiceClient;
use keepsake::proto::v1::tenant_service_client::TenantServiceClient;
use tonic::body::Body;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;
use tower::Service as _;

use crate::qdrant::{Leftovers, Server, prefix};

/// Sends the API key with each call.
#[derive(Clone)]
pub struct Key(String);

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = format!("Bearer {}", self.0).parse().expect("a key is ASCII");
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

pub type Memory = MemoryServiceClient<InterceptedService<Channel, Key>>;
pub type Documents = DocumentServiceClient<InterceptedService<Channel, Key>>;
pub type Tenants = TenantServiceClient<InterceptedService<Channel, Key>>;

/// A server that runs in the process, with its development key.
pub struct Service {
    running: Running,
    channel: Channel,
    /// A server beside it, and what goes with the test.
    _beside: Option<(Server, Option<Leftovers>)>,
}

pub fn settings(folder: &Path, engine: &str) -> Settings {
    Settings::resolve(&layers(folder, engine)).expect("the settings of tests are right")
}

pub fn layers(folder: &Path, engine: &str) -> Layers {
    Layers::default()
        .with_flag("data", Some(folder.to_str().expect("a temporary path is UTF-8").to_owned()))
        .with_flag("listen", Some("127.0.0.1:0".to_owned()))
        .with_flag("embedding.model", Some("none".to_owned()))
        .with_flag("storage.engine", Some(engine.to_owned()))
}

impl Service {
    /// A server on the memory engine.
    pub async fn in_memory() -> Self {
        Self::start(&settings(Path::new("unused"), "memory")).await
    }

    /// A server on a data folder.
    pub async fn on(folder: &Path) -> Self {
        Self::on_engine(folder, "fjall").await
    }

    /// A server on a data folder of this engine.
    pub async fn on_engine(folder: &Path, engine: &str) -> Self {
        Self::start(&settings(folder, engine)).await
    }

    /// A server on the memory engine with its documents on Qdrant: at this URL, or of tests.
    pub async fn on_qdrant(url: Option<String>) -> Self {
        let server = Server::start();
        let mut settings = settings(Path::new("unused"), "memory");
        settings.documents.engine = DocumentEngine::Qdrant;
        settings.documents.qdrant.prefix = prefix();
        settings.documents.qdrant.search_max = std::time::Duration::from_secs(20);
        settings.documents.qdrant.url = url.clone().unwrap_or_else(|| server.url());
        let leftovers = url.map(|url| Leftovers::of(&url, &settings.documents.qdrant.prefix));
        let service = Self::start(&settings).await;
        Self { _beside: Some((server, leftovers)), ..service }
    }

    /// A server with these settings.
    pub async fn start(settings: &Settings) -> Self {
        let running = start(settings).await.expect("the server starts");
        let channel = connect(&running).await;
        Self { running, channel, _beside: None }
    }

    pub fn dev_key(&self) -> &str {
        self.running.dev_key.as_deref().expect("the settings want a development key")
    }

    pub fn memory(&self) -> Memory {
        self.memory_as(self.dev_key())
    }

    pub fn memory_as(&self, key: &str) -> Memory {
        client(self.channel.clone(), key)
    }

    pub fn documents(&self) -> Documents {
        self.documents_as(self.dev_key())
    }

    pub fn documents_as(&self, key: &str) -> Documents {
        DocumentServiceClient::with_interceptor(self.channel.clone(), Key(key.to_owned()))
    }

    pub fn tenants(&self) -> Tenants {
        self.tenants_as(self.dev_key())
    }

    pub fn tenants_as(&self, key: &str) -> Tenants {
        TenantServiceClient::with_interceptor(self.channel.clone(), Key(key.to_owned()))
    }

    /// Calls a method as any HTTP/2 client does; headers and trailers come back apart.
    pub async fn raw(&self, key: &str, path: &str, message: &[u8]) -> Raw {
        raw(self.channel.clone(), key, path, message).await
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub fn running(&self) -> &Running {
        &self.running
    }

    pub async fn stop(self) {
        drop(self.channel);
        self.running.stop().await.expect("the store closes");
    }

    /// A new tenant with a key of these scopes.
    pub async fn tenant(&self, id: &str, scopes: &[pb::KeyScope]) -> String {
        let mut tenants = self.tenants();
        let create = pb::CreateTenantRequest { tenant_id: id.into(), ..Default::default() };
        tenants.create_tenant(create).await.expect("the tenant is new");
        let create = pb::CreateApiKeyRequest {
            tenant_id: id.into(),
            scopes: scopes.iter().map(|scope| (*scope).into()).collect(),
            ..Default::default()
        };
        let created = tenants.create_api_key(create).await.expect("the key is new").into_inner();
        created.secret
    }
}

/// A client with a key.
pub fn client(channel: Channel, key: &str) -> Memory {
    MemoryServiceClient::with_interceptor(channel, Key(key.to_owned()))
        .max_decoding_message_size(64 << 20)
}

/// An answer as it came over the wire.
pub struct Raw {
    /// The message without its frame; empty for a refusal.
    pub message: Vec<u8>,
    pub headers: HeaderMap,
    pub trailers: HeaderMap,
}

impl Raw {
    /// Whether the answer says in its trailers, and there only, that it is a repeat.
    #[track_caller]
    pub fn is_replayed(&self) -> bool {
        assert_eq!(self.headers.get("idempotent-replayed"), None, "it is a trailer");
        self.trailers.get("idempotent-replayed").is_some_and(|value| value == "true")
    }

    /// The status, wherever it stands.
    pub fn status(&self) -> Status {
        let status = Status::from_header_map(&self.trailers);
        let status = status.or_else(|| Status::from_header_map(&self.headers));
        status.expect("each answer has a status")
    }
}

/// Calls a method as any HTTP/2 client does.
pub async fn raw(mut channel: Channel, key: &str, path: &str, message: &[u8]) -> Raw {
    let length = u32::try_from(message.len()).expect("a test sends little");
    let mut frame = vec![0];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(message);
    let body = Body::new(Full::new(Bytes::from(frame)));
    let request = http::Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {key}"))
        .body(body)
        .expect("the request is one");
    std::future::poll_fn(|cx| channel.poll_ready(cx)).await.expect("the channel is open");
    let (parts, body) = channel.call(request).await.expect("the server answers").into_parts();
    let body = body.collect().await.expect("the answer ends");
    let trailers = body.trailers().cloned().unwrap_or_default();
    let framed = body.to_bytes();
    let message = framed.get(5..).unwrap_or_default().to_vec();
    Raw { message, headers: parts.headers, trailers }
}

/// A connection without anything of a gRPC client: no deadline of its own, no queue.
pub async fn plain(address: SocketAddr) -> h2::client::SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(address).await.expect("the server listens");
    let (sender, connection) = h2::client::handshake(stream).await.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    sender.ready().await.expect("the connection is open")
}

async fn connect(running: &Running) -> Channel {
    let address = format!("http://{}", running.address);
    let endpoint = Channel::from_shared(address).expect("the address is a URI");
    endpoint.connect().await.expect("the server listens")
}

/// A text part.
pub fn text(text: &str) -> pb::Part {
    pb::Part { kind: Some(pb::part::Kind::Text(pb::TextPart { text: text.into() })) }
}

/// A turn of one text.
pub fn turn(role: pb::Role, words: &str) -> pb::NewTurn {
    pb::NewTurn { role: role.into(), parts: vec![text(words)], ..Default::default() }
}

pub fn user(words: &str) -> pb::NewTurn {
    turn(pb::Role::User, words)
}

pub fn assistant(words: &str) -> pb::NewTurn {
    turn(pb::Role::Assistant, words)
}

/// A turn of the assistant with one call.
pub fn call(id: &str, name: &str, arguments: &str) -> pb::NewTurn {
    let call =
        pb::ToolCallPart { id: id.into(), name: name.into(), arguments_json: arguments.into() };
    let part = pb::Part { kind: Some(pb::part::Kind::ToolCall(call)) };
    pb::NewTurn { role: pb::Role::Assistant.into(), parts: vec![part], ..Default::default() }
}

/// The result of a call.
pub fn result(id: &str, words: &str) -> pb::NewTurn {
    let result =
        pb::ToolResultPart { call_id: id.into(), parts: vec![text(words)], is_error: false };
    let part = pb::Part { kind: Some(pb::part::Kind::ToolResult(result)) };
    pb::NewTurn { role: pb::Role::Tool.into(), parts: vec![part], ..Default::default() }
}

/// An append to a session.
pub fn append(session: &str, turns: Vec<pb::NewTurn>) -> pb::AppendTurnsRequest {
    pb::AppendTurnsRequest { session_id: session.into(), turns, ..Default::default() }
}

/// A context of a session.
pub fn context(session: &str, query: &str, budget: u32) -> pb::BuildContextRequest {
    pb::BuildContextRequest {
        session_id: session.into(),
        query: query.into(),
        budget_tokens: budget,
        ..Default::default()
    }
}

/// All texts of a context, joined.
pub fn shown(context: &pb::BuildContextResponse) -> String {
    let parts = context.messages.iter().flat_map(|message| &message.parts);
    let texts = parts.filter_map(|part| match &part.kind {
        Some(pb::part::Kind::Text(text)) => Some(text.text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// The stable reason of a refusal.
pub fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("each refusal has an ErrorInfo");
    assert_eq!(info.domain, "keepsake");
    info.reason.clone()
}

/// The faulty fields that a refusal names.
pub fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.clone());
    violations.unwrap_or_default().into_iter().map(|violation| violation.field).collect()
}

/// The values that a refusal carries.
pub fn values(status: &Status) -> BTreeMap<String, String> {
    let details = status.get_error_details();
    let info = details.error_info().expect("each refusal has an ErrorInfo");
    info.metadata.clone().into_iter().collect()
}

/// A request id.
pub fn uuid(n: u128) -> String {
    uuid::Uuid::from_u128(n).to_string()
}
