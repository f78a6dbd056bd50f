//! The trailer `idempotent-replayed: true`. tonic has no trailers for unary answers: a handler
//! marks its answer with a header, and this layer moves the mark behind the message.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tonic::body::Body;
use tonic::metadata::{MetadataMap, MetadataValue};
use tower::{Layer, Service};

const NAME: &str = "idempotent-replayed";

/// Marks an answer as a repeat.
pub fn mark(metadata: &mut MetadataMap) {
    metadata.insert(NAME, MetadataValue::from_static("true"));
}

/// Moves the mark of repeats from the headers to the trailers.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplayLayer;

impl<S> Layer<S> for ReplayLayer {
    type Service = Replay<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Replay { inner }
    }
}

/// The service of [`ReplayLayer`].
#[derive(Debug, Clone)]
pub struct Replay<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Replay<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer = self.inner.call(request);
        Box::pin(async move { answer.await.map(move_mark) })
    }
}

fn move_mark(mut response: Response<Body>) -> Response<Body> {
    let name = HeaderName::from_static(NAME);
    if response.headers_mut().remove(&name).is_none() {
        return response;
    }
    response.map(|body| {
        Body::new(body.map_frame(move |frame| match frame.into_trailers() {
            Ok(mut trailers) => {
                trailers.insert(name.clone(), HeaderValue::from_static("true"));
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        }))
    })
}
