//! A server whose calls stay inside until a test lets them go: the real services behind the real
//! admission, over loopback.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use keepsake::admission::{Figures, GateBounds, LimitBounds};
use keepsake::api::{
    Admission, AdmissionLayer, AdmitSettings, Calls, DeadlineLayer, MemoryApi, PageTokens,
};
use keepsake::chance::SystemChance;
use keepsake::clock::SystemClock;
use keepsake::memory::{Memory, NewKey, NewTenant, Partitions};
use keepsake::proto::v1 as pb;
use keepsake::proto::v1::memory_service_server::MemoryServiceServer;
use keepsake::record::Scopes;
use keepsake::storage::MemStore;
use keepsake::telemetry::TenantTags;
use keepsake::types::{Policy, TenantId};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tower::Service;

use super::client::{Memory as Client, client};

/// One place for reads, one for writes, and a minute of patience.
pub fn narrow() -> AdmitSettings {
    let gate = GateBounds {
        limit: LimitBounds { min: 1, max: 1, initial: 1, tolerance: 2.0 },
        waiting_max: 32,
        wait_max: Duration::from_secs(60),
        wait_overloaded_max: Duration::from_secs(60),
        tenant_share_percent: 100,
    };
    AdmitSettings {
        tenant_calls_per_second: 0,
        tenant_calls_burst: 0,
        reads: gate,
        writes: gate,
        request_bytes_max: 64 << 20,
        answer_bytes_max: 1 << 20,
    }
}

/// What is around each service: it notes who came in, and waits for leave to go on.
#[derive(Clone)]
struct Held<S> {
    inner: S,
    leave: Arc<Semaphore>,
    came_in: Arc<Mutex<Vec<String>>>,
}

impl<S> Service<Request<Body>> for Held<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (mut inner, leave) = (self.inner.clone(), self.leave.clone());
        if let Some(who) = request.headers().get("who") {
            self.came_in.lock().unwrap().push(who.to_str().unwrap().to_owned());
        }
        Box::pin(async move {
            if request.uri().path().starts_with("/keepsake") {
                leave.acquire().await.unwrap().forget();
            }
            inner.call(request).await
        })
    }
}

/// The server.
pub struct Crowd {
    pub admission: Arc<Admission>,
    memory: Arc<Memory>,
    pub channel: Channel,
    pub address: SocketAddr,
    leave: Arc<Semaphore>,
    came_in: Arc<Mutex<Vec<String>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Crowd {
    pub async fn new(settings: &AdmitSettings) -> Self {
        Self::with(settings, |memory| memory).await
    }

    /// The same over verbs that `make` has made other ones of.
    pub async fn with(settings: &AdmitSettings, make: impl FnOnce(Memory) -> Memory) -> Self {
        let secret = [7; 32];
        let (clock, chance) = (Arc::new(SystemClock::new()), Arc::new(SystemChance));
        let partitions = Partitions::new(1 << 26);
        let memory = Memory::new(Arc::new(MemStore::new()), clock, chance, partitions, &secret);
        let memory = Arc::new(make(memory));
        let admission = Arc::new(Admission::new(settings, 1));
        let (leave, came_in) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
        let calls = Calls {
            memory: memory.clone(),
            pages: PageTokens::new(&secret),
            tags: TenantTags::new(&secret),
        };
        let api = MemoryServiceServer::new(MemoryApi::new(calls, pb::Durability::Memory))
            .max_encoding_message_size(64 << 20);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let held = (leave.clone(), came_in.clone());
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<MemoryServiceServer<MemoryApi>>().await;
        let server = Server::builder()
            .layer(DeadlineLayer)
            .layer(AdmissionLayer::new(admission.clone(), memory.clone()))
            .layer(tower::layer::layer_fn(move |inner| {
                let (leave, came_in) = held.clone();
                Held { inner, leave, came_in }
            }))
            .add_service(health_service)
            .add_service(api)
            .serve_with_incoming(TcpIncoming::from(listener));
        let server = tokio::spawn(async move { server.await.unwrap() });
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        // What a caller does not read stays with the server, but for 64 KiB of each call.
        let endpoint = endpoint.initial_stream_window_size(65_535);
        let channel = endpoint.connect().await.unwrap();
        Self { admission, memory, channel, address, leave, came_in, server }
    }

    /// A new tenant with a key.
    pub async fn tenant(&self, name: &str) -> String {
        let tenant = TenantId::parse(name).unwrap();
        let new = NewTenant { tenant: tenant.clone(), policy: Policy::initial() };
        self.memory.create_tenant(&new, None).await.unwrap();
        let key = NewKey {
            display_name: String::new(),
            scopes: Scopes::READ.and(Scopes::WRITE),
            expires_at: None,
        };
        self.memory.create_key(&tenant, &key, None).await.unwrap().secret.unwrap()
    }

    pub fn client(&self, key: &str) -> Client {
        client(self.channel.clone(), key)
    }

    /// Lets so many calls go on.
    pub fn let_go(&self, calls: usize) {
        self.leave.add_permits(calls);
    }

    /// Who came in, in order, as the header `who` says.
    pub fn came_in(&self) -> Vec<String> {
        self.came_in.lock().unwrap().clone()
    }

    /// Waits until the figures are as they should be.
    pub async fn until(&self, holds: impl Fn(&Figures) -> bool) {
        while !holds(&self.admission.figures()) {
            tokio::task::yield_now().await;
        }
    }
}
