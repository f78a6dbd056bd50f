//! Spans of calls for a collector that speaks OTLP. It may be slow or gone: what does not fit into
//! the queue meanwhile is dropped, and no call waits for it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, TraceId, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, Span, SpanData,
    SpanExporter as Export,
};

use super::call::CallNotes;
use super::meters::{CODES, exported};

/// How many spans may wait for the collector: some 2 MB, a second of a busy node.
const QUEUE_SPANS_MAX: usize = 4_096;
/// How long one batch may take to be sent before it is given up.
const SEND_MAX: Duration = Duration::from_secs(5);
/// How often spans are sent.
const SEND_EVERY: Duration = Duration::from_secs(1);
/// How long the last spans may take to be sent when the server ends.
const LAST_MAX: Duration = Duration::from_secs(1);

/// Where spans go, and how many of them.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportSettings {
    /// The collector: `http://HOST:PORT`, OTLP over gRPC.
    pub endpoint: String,
    /// Which part of the traces that begin here is sent, 0 to 1. For a call that belongs to a trace
    /// of its caller, the caller has decided.
    pub sample_ratio: f64,
}

/// Why no spans can be sent.
#[derive(Debug, thiserror::Error)]
#[error("cannot send spans to `{endpoint}`")]
pub struct ExportError {
    endpoint: String,
    source: ExporterBuildError,
}

/// The way of spans to the collector.
#[derive(Debug, Clone)]
pub struct Spans {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Spans {
    /// Sends spans from now on. It does not look whether anybody listens. It must be called within
    /// a runtime, which the connection lives in.
    ///
    /// # Errors
    /// When the endpoint is none.
    pub fn start(settings: &ExportSettings) -> Result<Self, ExportError> {
        let ExportSettings { endpoint, sample_ratio } = settings;
        let exporter = SpanExporter::builder().with_tonic();
        let exporter = exporter.with_endpoint(endpoint).with_timeout(SEND_MAX).build();
        let failed = |source| ExportError { endpoint: endpoint.clone(), source };
        let exporter =
            Counted { inner: exporter.map_err(failed)?, failing: AtomicBool::new(false) };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_SPANS_MAX)
            .with_scheduled_delay(SEND_EVERY)
            .build();
        let batches = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let resource = Resource::builder()
            .with_service_name("keepsake")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let own = Sampler::TraceIdRatioBased(*sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(batches)
            .with_sampler(Sampler::ParentBased(Box::new(own)))
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("keepsake");
        Ok(Self { provider, tracer })
    }

    /// Begins the span of a call to a method, below the span of the caller.
    pub fn begin(&self, method: &'static str, parent: &Context) -> CallSpan {
        let builder = SpanBuilder::from_name(method).with_kind(SpanKind::Server);
        CallSpan(self.tracer.build_with_context(builder, parent))
    }

    /// Sends what waits, and then nothing more. It blocks, for a second at the most.
    pub fn end(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST_MAX) {
            tracing::warn!("the last spans were not sent: {error}");
        }
    }
}

/// The span of a call.
pub struct CallSpan(Span);

impl CallSpan {
    /// The trace that it belongs to.
    pub fn trace_id(&self) -> TraceId {
        self.0.span_context().trace_id()
    }

    /// Ends it with how the call ended.
    pub fn end(mut self, request_id: &str, code: usize, notes: &CallNotes) {
        if !self.0.is_recording() {
            return;
        }
        let name = CODES[code];
        self.0.set_attributes([
            KeyValue::new("rpc.system", "grpc"),
            KeyValue::new("rpc.grpc.status_code", code as i64),
            KeyValue::new("keepsake.request_id", request_id.to_owned()),
        ]);
        if let Some(tenant) = notes.tenant() {
            self.0.set_attribute(KeyValue::new("keepsake.tenant", tenant.to_string()));
        }
        if let Some(tokens) = notes.used_tokens() {
            self.0.set_attribute(KeyValue::new("keepsake.used_tokens", tokens.cast_signed()));
        }
        if let Some(reason) = notes.reason() {
            self.0.set_attribute(KeyValue::new("keepsake.reason", reason));
        }
        // As the conventions for servers say: what the caller did wrong is no error of the server.
        if matches!(name, "UNKNOWN" | "DEADLINE_EXCEEDED" | "UNIMPLEMENTED" | "INTERNAL")
            || matches!(name, "UNAVAILABLE" | "DATA_LOSS")
        {
            self.0.set_status(Status::error(name));
        }
        self.0.end_with_timestamp(SystemTime::now());
    }
}

/// The trace of a caller, when it sent one.
pub fn trace_of(parent: &Context) -> Option<TraceId> {
    let span = parent.span();
    Some(span.span_context()).filter(|context| context.is_valid()).map(|context| context.trace_id())
}

/// Counts batches, and says once when the collector goes and once when it is back.
#[derive(Debug)]
struct Counted {
    inner: SpanExporter,
    failing: AtomicBool,
}

impl Export for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.inner.export(batch).await;
        exported(sent.is_ok());
        let failed_before = self.failing.swap(sent.is_err(), Relaxed);
        match &sent {
            Err(error) if !failed_before => {
                tracing::warn!("spans cannot be sent, and are dropped until they can: {error}");
            }
            Ok(()) if failed_before => tracing::info!("spans are sent again"),
            _ => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
