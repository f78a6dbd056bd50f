//! A small server that speaks the calls of Qdrant in use over real gRPC, with faults.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use prost::Message;
use qdrant_client::qdrant as q;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::world::{Held, World};

/// What is wrong with a server.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It takes calls and does not answer them.
    Silent,
    /// It has no room for so many calls.
    Exhausted(usize),
    /// Of the changes of a call it makes so many, then it fails; for so many calls.
    Half { changes: usize, calls: usize },
}

/// A server: what it holds outlives a restart.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    world: Mutex<World>,
    fault: watch::Sender<Fault>,
    version: Mutex<String>,
    calls: Mutex<BTreeMap<String, usize>>,
    address: Mutex<Option<SocketAddr>>,
    running: Mutex<Option<Runtime>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(runtime) = self.running.lock().unwrap().take() {
            runtime.shutdown_background();
        }
    }
}

impl Server {
    /// One that runs.
    pub fn start() -> Self {
        let shared = Shared {
            world: Mutex::default(),
            fault: watch::channel(Fault::None).0,
            version: Mutex::new("1.19.0".into()),
            calls: Mutex::default(),
            address: Mutex::default(),
            running: Mutex::default(),
        };
        let server = Self { shared: Arc::new(shared) };
        server.up();
        server
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.shared.address.lock().unwrap().unwrap())
    }

    /// Ends it: connections break, and no other is taken.
    pub fn down(&self) {
        if let Some(runtime) = self.shared.running.lock().unwrap().take() {
            runtime.shutdown_background();
        }
    }

    /// Starts it again where it was, with what it held.
    pub fn up(&self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let address = self.shared.address.lock().unwrap().unwrap_or(([127, 0, 0, 1], 0).into());
        let (give, take) = std::sync::mpsc::channel();
        let dispatch = Dispatch(Arc::downgrade(&self.shared));
        runtime.spawn(async move {
            let listener = loop {
                // The one before may not have let go of it yet.
                match tokio::net::TcpListener::bind(address).await {
                    Ok(listener) => break listener,
                    Err(_) => tokio::task::yield_now().await,
                }
            };
            give.send(listener.local_addr().unwrap()).unwrap();
            let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
            tonic::transport::Server::builder()
                .add_service(Named::<0>(dispatch.clone()))
                .add_service(Named::<1>(dispatch.clone()))
                .add_service(Named::<2>(dispatch))
                .serve_with_incoming(incoming)
                .await
                .unwrap();
        });
        *self.shared.address.lock().unwrap() = Some(take.recv().unwrap());
        *self.shared.running.lock().unwrap() = Some(runtime);
    }

    /// From now on something else is wrong with it; calls that it left unanswered go on.
    pub fn set(&self, fault: Fault) {
        self.shared.fault.send_replace(fault);
    }

    /// What is wrong with it still.
    pub fn fault(&self) -> Fault {
        self.shared.fault.borrow().clone()
    }

    /// From now on it says that it is of this version.
    pub fn set_version(&self, version: &str) {
        *self.shared.version.lock().unwrap() = version.to_owned();
    }

    /// What it holds.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world.lock().unwrap()
    }

    /// How many calls it heard.
    pub fn calls(&self) -> usize {
        self.shared.calls.lock().unwrap().values().sum()
    }
}

/// Hands calls to what answers them.
#[derive(Clone)]
struct Dispatch(std::sync::Weak<Shared>);

/// The services by their names.
#[derive(Clone)]
struct Named<const N: usize>(Dispatch);

impl NamedService for Named<0> {
    const NAME: &'static str = "qdrant.Points";
}
impl NamedService for Named<1> {
    const NAME: &'static str = "qdrant.Collections";
}
impl NamedService for Named<2> {
    const NAME: &'static str = "qdrant.Qdrant";
}

type Answered = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

impl<const N: usize> tower::Service<http::Request<Body>> for Named<N> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answered;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answered {
        let dispatch = self.0.clone();
        Box::pin(async move { Ok(dispatch.answer(request).await) })
    }
}

impl Dispatch {
    async fn answer(self, request: http::Request<Body>) -> http::Response<Body> {
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/qdrant.Qdrant/HealthCheck" => self.unary(request, version).await,
            "/qdrant.Collections/CollectionExists" => self.unary(request, exists).await,
            "/qdrant.Collections/Get" => self.unary(request, info).await,
            "/qdrant.Collections/Create" => self.unary(request, create).await,
            "/qdrant.Points/CreateFieldIndex" => self.unary(request, index).await,
            "/qdrant.Points/UpdateBatch" => self.unary(request, update).await,
            "/qdrant.Points/QueryBatch" => self.unary(request, query).await,
            "/qdrant.Points/Scroll" => self.unary(request, |s, q| s.world().scroll(&q)).await,
            "/qdrant.Points/Count" => self.unary(request, |s, q| s.world().count(&q)).await,
            "/qdrant.Points/Get" => self.unary(request, |s, q| s.world().get(&q)).await,
            "/qdrant.Collections/ListShardKeys" => self.unary(request, shards).await,
            "/qdrant.Collections/CreateShardKey" => self.unary(request, shard).await,
            _ => Status::unimplemented(path).into_http(),
        }
    }

    async fn unary<Q, A>(
        self,
        request: http::Request<Body>,
        answer: impl Fn(&Server, Q) -> Result<A, Status> + Clone + Send + Sync + 'static,
    ) -> http::Response<Body>
    where
        Q: Message + Default + 'static,
        A: Message + Default + 'static,
    {
        let path = request.uri().path().to_owned();
        let service = tower::service_fn(move |request: Request<Q>| {
            let (dispatch, answer, path) = (self.clone(), answer.clone(), path.clone());
            async move {
                let gone = || Status::unavailable("it ends");
                let server = Server { shared: dispatch.0.upgrade().ok_or_else(gone)? };
                *server.shared.calls.lock().unwrap().entry(path).or_default() += 1;
                server.suffer().await?;
                answer(&server, request.into_inner()).map(Response::new)
            }
        });
        let mut grpc = Grpc::new(ProstCodec::<A, Q>::default());
        grpc.unary(service, request).await
    }
}

impl Server {
    /// Has a call meet what is wrong.
    async fn suffer(&self) -> Result<(), Status> {
        let mut fault = self.shared.fault.subscribe();
        let _ = fault.wait_for(|fault| *fault != Fault::Silent).await;
        let mut refused = None;
        self.shared.fault.send_if_modified(|fault| {
            let Fault::Exhausted(left) = fault else { return false };
            let mut status = Status::resource_exhausted("too many calls");
            status.metadata_mut().insert("retry-after", "0".parse().unwrap());
            refused = Some(status);
            *fault = if *left > 1 { Fault::Exhausted(*left - 1) } else { Fault::None };
            true
        });
        refused.map_or(Ok(()), Err)
    }

    /// How many changes the next call may make.
    fn half(&self) -> Option<usize> {
        let mut half = None;
        self.shared.fault.send_if_modified(|fault| {
            let Fault::Half { changes, calls } = fault else { return false };
            half = Some(*changes);
            *calls -= 1;
            if *calls == 0 {
                *fault = Fault::None;
            }
            true
        });
        half
    }
}

fn version(server: &Server, _: q::HealthCheckRequest) -> Result<q::HealthCheckReply, Status> {
    let version = server.shared.version.lock().unwrap().clone();
    Ok(q::HealthCheckReply { title: "a server of tests".into(), version, commit: None })
}

fn exists(
    server: &Server,
    asked: q::CollectionExistsRequest,
) -> Result<q::CollectionExistsResponse, Status> {
    let exists = server.world().collections.contains_key(&asked.collection_name);
    let result = Some(q::CollectionExists { exists });
    Ok(q::CollectionExistsResponse { result, ..Default::default() })
}

fn info(
    server: &Server,
    asked: q::GetCollectionInfoRequest,
) -> Result<q::GetCollectionInfoResponse, Status> {
    let mut world = server.world();
    let made = &world.held(&asked.collection_name)?.made;
    let params = q::CollectionParams {
        vectors_config: made.vectors_config.clone(),
        sparse_vectors_config: made.sparse_vectors_config.clone(),
        sharding_method: made.sharding_method,
        ..Default::default()
    };
    let config = q::CollectionConfig { params: Some(params), ..Default::default() };
    let result = q::CollectionInfo { config: Some(config), ..Default::default() };
    Ok(q::GetCollectionInfoResponse { result: Some(result), ..Default::default() })
}

fn create(
    server: &Server,
    asked: q::CreateCollection,
) -> Result<q::CollectionOperationResponse, Status> {
    let name = asked.collection_name.clone();
    let mut world = server.world();
    if world.collections.contains_key(&name) {
        return Err(Status::already_exists(format!("Collection `{name}` already exists!")));
    }
    let (points, fields, shards) = (BTreeMap::new(), Vec::new(), Vec::new());
    world.collections.insert(name, Held { made: asked, points, fields, shards });
    Ok(q::CollectionOperationResponse { result: true, ..Default::default() })
}

fn done() -> q::UpdateResult {
    q::UpdateResult { status: q::UpdateStatus::Completed.into(), ..Default::default() }
}

fn index(
    server: &Server,
    asked: q::CreateFieldIndexCollection,
) -> Result<q::PointsOperationResponse, Status> {
    server.world().held(&asked.collection_name)?.fields.push(asked.field_name);
    Ok(q::PointsOperationResponse { result: Some(done()), ..Default::default() })
}

fn update(server: &Server, asked: q::UpdateBatchPoints) -> Result<q::UpdateBatchResponse, Status> {
    assert_eq!(asked.wait, Some(true), "a change is waited for");
    let half = server.half();
    let mut result = Vec::new();
    for operation in asked.operations {
        if half.is_some_and(|half| result.len() >= half) {
            return Err(Status::internal("the disk is gone"));
        }
        let operation = operation.operation.expect("an operation");
        server.world().change(&asked.collection_name, operation)?;
        result.push(done());
    }
    match half {
        Some(_) => Err(Status::internal("the disk is gone")),
        None => Ok(q::UpdateBatchResponse { result, ..Default::default() }),
    }
}

fn query(server: &Server, asked: q::QueryBatchPoints) -> Result<q::QueryBatchResponse, Status> {
    let mut world = server.world();
    let mut result = Vec::new();
    for query in &asked.query_points {
        result.push(q::BatchResult { result: world.query(query)? });
    }
    Ok(q::QueryBatchResponse { result, ..Default::default() })
}

fn shards(
    server: &Server,
    asked: q::ListShardKeysRequest,
) -> Result<q::ListShardKeysResponse, Status> {
    let mut world = server.world();
    let keys = world.held(&asked.collection_name)?.shards.iter();
    let key = |key: &String| q::ShardKeyDescription { key: Some(key.as_str().into()) };
    Ok(q::ListShardKeysResponse { shard_keys: keys.map(key).collect(), ..Default::default() })
}

fn shard(
    server: &Server,
    asked: q::CreateShardKeyRequest,
) -> Result<q::CreateShardKeyResponse, Status> {
    let key = asked.request.and_then(|request| request.shard_key?.key);
    let Some(q::shard_key::Key::Keyword(key)) = key else {
        return Err(Status::invalid_argument("no key"));
    };
    server.world().held(&asked.collection_name)?.shards.push(key);
    Ok(q::CreateShardKeyResponse { result: true, ..Default::default() })
}
