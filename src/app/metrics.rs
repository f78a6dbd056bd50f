//! The listener that serves metrics to Prometheus.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt as _;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use super::{
    connections::{Tell, accept},
    error::StartError,
};
use crate::config::Settings;
use crate::storage::disk::GroupWritten;
use crate::telemetry::{self, Kind, METRICS};

/// Connections at a time: a few collectors, and somebody who looks.
const CONNECTIONS_MAX: usize = 32;
/// How long a request may take to come, and a connection to send the next one.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// How often values of histograms are gathered, so that they take no memory without a collector.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Serves metrics on `listen` from now on, for as long as the process lives.
pub(super) async fn serve(listen: SocketAddr, settings: &Settings) -> Result<(), StartError> {
    let mut exporter = PrometheusBuilder::new();
    for metric in METRICS {
        if let Kind::Histogram(limits) = metric.kind {
            let name = Matcher::Full(metric.name.to_owned());
            let set = exporter.set_buckets_for_metric(name, limits);
            exporter = set.map_err(StartError::Metrics)?;
        }
    }
    let listener = TcpListener::bind(listen).await;
    let listener = listener.map_err(|source| StartError::Listen { listen, source })?;
    let handle = exporter.install_recorder().map_err(StartError::Metrics)?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            upkeep.run_upkeep();
        }
    });
    tokio::spawn(answer(listener, handle));
    telemetry::describe();
    telemetry::build_info(settings.engine.name(), settings.embedding.model.name());
    Ok(())
}

async fn answer(listener: TcpListener, handle: PrometheusHandle) {
    let nobody = Tell { more: |_| {}, refused: |_| {} };
    let mut connections = Box::pin(accept(listener, CONNECTIONS_MAX, nobody));
    while let Some(Ok(connection)) = connections.next().await {
        let handle = handle.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = page(request.method(), request.uri().path(), &handle);
            async { Ok::<_, Infallible>(answer) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(REQUEST_MAX);
        let serving = http.serve_connection(TokioIo::new(connection), service);
        tokio::spawn(async move {
            // A collector that went is none to tell.
            let _ = tokio::time::timeout(REQUEST_MAX * 20, serving).await;
        });
    }
}

/// The metrics, at `/metrics` and at `/`.
fn page(method: &Method, path: &str, handle: &PrometheusHandle) -> Response<Full<Bytes>> {
    let (status, text) = match (method, path) {
        (&Method::GET | &Method::HEAD, "/" | "/metrics") => (StatusCode::OK, handle.render()),
        (&Method::GET | &Method::HEAD, _) => (StatusCode::NOT_FOUND, String::new()),
        _ => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
    };
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// Notes a group of commits that is on disk.
pub(super) fn group_written(group: &GroupWritten) {
    telemetry::group_synced(group.commits, group.bytes, group.took, group.waiting);
}
