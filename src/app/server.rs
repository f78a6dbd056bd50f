//! The gRPC server: its limits, its layers, its services.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tower::util::MapResponseLayer;

use super::{connections, error::StartError};
use crate::api::{
    ANSWER_BYTES_MAX, Admission, AdmissionLayer, Calls, DeadlineLayer, DocumentApi,
    MESSAGE_BYTES_MAX, MemoryApi, ObserveLayer, REQUEST_BYTES_MAX, TenantApi, corrected, move_mark,
};
use crate::config::{Settings, Tls};
use crate::proto::{
    DESCRIPTORS, v1 as pb, v1::document_service_server::DocumentServiceServer,
    v1::memory_service_server::MemoryServiceServer, v1::tenant_service_server::TenantServiceServer,
};
use crate::telemetry;

/// Calls at a time on one connection.
pub(super) const STREAMS_MAX: u32 = 64;
/// How many bytes of a stream, and of a connection, may wait to be read. That of the connection is
/// also what limits frames: HTTP/2 ends a connection whose small frames would take more memory than
/// half of it beside their bytes (h2, `data_frame_budget`), and one stream of documents of a few
/// bytes each must not come near that.
pub(super) const STREAM_WINDOW_BYTES: u32 = 512 << 10;
pub(super) const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// A connection on which nothing is heard for this long is asked whether it lives.
pub(super) const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
pub(super) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection that is this old is asked to end, so that clients spread anew over the nodes behind
/// a name; calls on it have this long to end.
pub(super) const CONNECTION_AGE_MAX: Duration = Duration::from_secs(3_600);
pub(super) const CONNECTION_GRACE: Duration = Duration::from_secs(60);
/// Bytes of the headers of a call: a credential, a deadline, a trace.
pub(super) const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Calls of a connection that were given up and not yet accepted: more are an attack.
pub(super) const RESETS_MAX: usize = 64;

/// The server as a task, and what turns its health.
pub(super) struct Started {
    pub(super) task: JoinHandle<Result<(), tonic::transport::Error>>,
    pub(super) health: tonic_health::server::HealthReporter,
}

/// What stands before the verbs.
pub(super) struct Edge {
    pub(super) calls: Calls,
    pub(super) observe: ObserveLayer,
    pub(super) admission: Arc<Admission>,
}

/// Serves calls on `listener` until `stopped` turns true.
pub(super) async fn start(
    settings: &Settings,
    listener: TcpListener,
    Edge { calls, observe, admission }: Edge,
    durability: pb::Durability,
    mut stopped: watch::Receiver<bool>,
) -> Result<Started, StartError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<MemoryServiceServer<MemoryApi>>().await;
    health.set_serving::<DocumentServiceServer<DocumentApi>>().await;
    health.set_serving::<TenantServiceServer<TenantApi>>().await;
    telemetry::serving(true);
    let server = server(settings)?
        .layer(observe)
        .layer(DeadlineLayer)
        .layer(MapResponseLayer::new(move_mark))
        .layer(MapResponseLayer::new(corrected))
        .layer(AdmissionLayer::new(admission.clone(), calls.memory.clone()))
        .add_service(health_service)
        .add_service(reflection())
        .add_service(
            MemoryServiceServer::new(MemoryApi::new(calls.clone(), durability))
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(REQUEST_BYTES_MAX)
                .max_encoding_message_size(ANSWER_BYTES_MAX),
        )
        .add_service(
            DocumentServiceServer::new(DocumentApi::new(calls.clone(), admission))
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(ANSWER_BYTES_MAX),
        )
        .add_service(
            TenantServiceServer::new(TenantApi::new(calls))
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(REQUEST_BYTES_MAX)
                .max_encoding_message_size(ANSWER_BYTES_MAX),
        );
    let most = connections::most(settings.limits.connections);
    let incoming = connections::accept(listener, most, connections::CALLERS);
    let task = tokio::spawn(async move {
        let signal = async move {
            // Without a sender nobody can stop it any more: it stops.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        server.serve_with_incoming_shutdown(incoming, signal).await
    });
    Ok(Started { task, health })
}

impl Started {
    /// Says on the health service that it serves no more.
    pub(super) async fn set_not_serving(&self) {
        self.health.set_not_serving::<MemoryServiceServer<MemoryApi>>().await;
        self.health.set_not_serving::<DocumentServiceServer<DocumentApi>>().await;
        self.health.set_not_serving::<TenantServiceServer<TenantApi>>().await;
        self.health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        telemetry::serving(false);
    }
}

fn server(settings: &Settings) -> Result<Server, StartError> {
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .initial_stream_window_size(Some(STREAM_WINDOW_BYTES))
        .initial_connection_window_size(Some(CONNECTION_WINDOW_BYTES))
        .http2_max_header_list_size(Some(HEADER_BYTES_MAX))
        .http2_max_pending_accept_reset_streams(Some(RESETS_MAX))
        .max_connection_age(CONNECTION_AGE_MAX)
        .max_connection_age_grace(CONNECTION_GRACE)
        .max_concurrent_streams(Some(STREAMS_MAX));
    let Some(Tls { cert, key }) = &settings.tls else { return Ok(server) };
    let refused = |file: &Path, source: Box<dyn std::error::Error + Send + Sync>| StartError::Tls {
        file: file.to_owned(),
        source,
    };
    let read = |path: &Path| fs::read(path).map_err(|error| refused(path, Box::new(error)));
    let identity = Identity::from_pem(read(cert)?, read(key)?);
    let config = ServerTlsConfig::new().identity(identity);
    server.tls_config(config).map_err(|error| refused(cert, Box::new(error)))
}

fn reflection() -> tonic_reflection::server::v1::ServerReflectionServer<
    impl tonic_reflection::server::v1::ServerReflection,
> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the build script wrote valid descriptors")
}
