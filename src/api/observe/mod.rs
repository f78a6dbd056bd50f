//! What is seen of each call, whatever became of it: a line in the log, numbers, a span. It is the
//! outermost layer, so that a call which an inner layer refuses, or which its caller gives up, is
//! seen too.

mod body;
mod watch;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::proto::POOL;
use crate::telemetry::{MethodMeter, RequestIds, Spans};
use body::{Counted, Watched};
use watch::Watch;

/// The header, of requests and of answers, that names a request in the logs of both sides.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Methods of others that the server answers too; calls of them are logged at `debug`, since
/// probes call them every few seconds.
const PROBES: [&str; 4] = [
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/List",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

/// The methods of the contract, as `package.Service/Method`; they live on as labels.
static OWN_METHODS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let services: Vec<_> = POOL.services().collect();
    let methods = services.iter().flat_map(|service| {
        service.methods().map(move |method| format!("{}/{}", service.full_name(), method.name()))
    });
    methods.collect()
});

/// How a method is called in metrics that the server does not have, whatever callers call it: what
/// anybody may send must not become a label.
const OTHER: &str = "other";

/// Sees every call.
#[derive(Clone)]
pub struct ObserveLayer {
    seen: Arc<Seen>,
}

/// What all calls share.
struct Seen {
    methods: HashMap<&'static str, Arc<Method>>,
    other: Arc<Method>,
    ids: RequestIds,
    spans: Option<Spans>,
}

/// A method, and what is counted of it.
struct Method {
    meter: MethodMeter,
    is_probe: bool,
}

impl ObserveLayer {
    /// Gives requests without an id one of `ids`, and sends spans to `spans`, if it is there.
    pub fn new(ids: RequestIds, spans: Option<Spans>) -> Self {
        let own = OWN_METHODS.iter().map(|name| (name.as_str(), false));
        let all = own.chain(PROBES.map(|name| (name, true)));
        let method = |name, is_probe| Arc::new(Method { meter: MethodMeter::new(name), is_probe });
        let methods = all.map(|(name, is_probe)| (name, method(name, is_probe))).collect();
        let other = method(OTHER, false);
        Self { seen: Arc::new(Seen { methods, other, ids, spans }) }
    }
}

impl Seen {
    fn method(&self, path: &str) -> &Arc<Method> {
        let name = path.strip_prefix('/').unwrap_or(path);
        self.methods.get(name).unwrap_or(&self.other)
    }

    fn request_id(&self, headers: &HeaderMap) -> String {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        self.ids.given_or_new(given)
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observed { inner, seen: self.seen.clone() }
    }
}

/// The service of [`ObserveLayer`].
#[derive(Clone)]
pub struct Observed<S> {
    inner: S,
    seen: Arc<Seen>,
}

impl<S> Service<Request<Body>> for Observed<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let watch = Watch::begin(&self.seen, request.uri().path(), request.headers());
        let id = HeaderValue::from_str(watch.request_id()).expect("an id is ASCII");
        let (notes, span) = (watch.notes(), watch.span().clone());
        let request = request.map(|body| Body::new(Counted::new(body, watch.request_bytes())));
        let answer = span.in_scope(|| notes.within(|| self.inner.call(request)));
        let answer = notes.during(answer).instrument(span);
        Box::pin(async move {
            // A caller that goes drops the watch with this future, which ends the call too.
            let mut answer = answer.await?;
            answer.headers_mut().insert(REQUEST_ID, id);
            let watched = Watched::new(watch, answer.headers());
            Ok(answer.map(|body| watched.over(body)))
        })
    }
}
