//! What it costs a call that it is seen: the layer around a service that does nothing.
//!
//! `bare` is the service alone; the others add the layer with its numbers, then its line in a log
//! that goes nowhere, then its span, which the caller wants.

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use keepsake::api::ObserveLayer;
use keepsake::telemetry::{
    ExportSettings, RequestIds, Spans, TenantTags, note_tenant, note_tokens,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer as _, Service, service_fn};
use tracing::subscriber::with_default;

/// An answer as tonic makes it: a message, then trailers.
fn answer() -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let message = Frame::data(Bytes::from_static(b"\0\0\0\0\x05hello"));
    let frames = [Ok::<_, Status>(message), Ok(Frame::trailers(trailers))];
    Response::new(Body::new(StreamBody::new(futures::stream::iter(frames))))
}

fn request() -> Request<Body> {
    Request::post("/keepsake.v1.MemoryService/BuildContext")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("x-request-id", "3f1c9a50-9f0c-4d2c-8a44-7f4e2f9d3b11")
        .body(Body::empty())
        .expect("it is a request")
}

/// Calls a service once and takes its whole answer. Nothing in it waits.
fn called<S>(service: &mut S)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let whole = async {
        let answer = service.call(request()).await.expect("it answers");
        answer.into_body().collect().await.expect("it ends").to_bytes()
    };
    black_box(ready(whole));
}

fn ready<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("nothing in it waits"),
    }
}

fn observe(criterion: &mut Criterion) {
    let recorder = PrometheusBuilder::new().install_recorder().expect("there is no other");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let _within = runtime.enter();
    let tags = TenantTags::new(&[7; 32]);
    let service = |noted: bool| {
        let tags = tags.clone();
        service_fn(move |_: Request<Body>| {
            if noted {
                note_tenant(tags.of("acme"));
                note_tokens(1_000);
            }
            std::future::ready(Ok::<_, Infallible>(answer()))
        })
    };
    let layer = |spans| ObserveLayer::new(RequestIds::new([7; 32]), spans);
    let mut bare = service(false);
    criterion.bench_function("telemetry/bare", |bencher| bencher.iter(|| called(&mut bare)));
    let mut seen = layer(None).layer(service(true));
    criterion.bench_function("telemetry/numbers", |bencher| bencher.iter(|| called(&mut seen)));
    recorder.run_upkeep();
    let text = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
    with_default(text, || {
        criterion.bench_function("telemetry/text", |bencher| bencher.iter(|| called(&mut seen)));
    });
    recorder.run_upkeep();
    let json = tracing_subscriber::fmt().json().flatten_event(true).with_span_list(false);
    with_default(json.with_writer(std::io::sink).finish(), || {
        criterion.bench_function("telemetry/json", |bencher| bencher.iter(|| called(&mut seen)));
    });
    recorder.run_upkeep();
    let endpoint = "http://127.0.0.1:9".to_owned();
    let spans = Spans::start(&ExportSettings { endpoint, sample_ratio: 1.0 });
    let mut spanned = layer(Some(spans.expect("the endpoint is one"))).layer(service(true));
    criterion.bench_function("telemetry/span", |bencher| bencher.iter(|| called(&mut spanned)));
}

criterion_group!(benches, observe);
criterion_main!(benches);
