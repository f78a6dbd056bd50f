//! One call that is being watched: begun once, ended once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use http::HeaderMap;
use tonic::Code;
use tracing::field::Empty;
use tracing::{Level, Span, event, span};

use super::{Method, Seen};
use crate::telemetry::{CODES, CallNotes, CallSpan, parent_of, trace_of};

/// The target of the line of each call: a filter may name it.
const TARGET: &str = "keepsake::call";

/// A call between its headers and its end. Dropping it ends it: its caller is gone.
pub(super) struct Watch {
    running: Option<Running>,
    notes: Arc<CallNotes>,
    request_bytes: Arc<AtomicU64>,
    span: Span,
    request_id: String,
}

struct Running {
    method: Arc<Method>,
    begun: Instant,
    answer_bytes: u64,
    exported: Option<CallSpan>,
}

impl Watch {
    pub(super) fn begin(seen: &Seen, path: &str, headers: &HeaderMap) -> Self {
        let method = seen.method(path).clone();
        method.meter.begun();
        let parent = parent_of(headers);
        let name = method.meter.method();
        let exported = seen.spans.as_ref().map(|spans| spans.begin(name, &parent));
        let trace = exported.as_ref().map(CallSpan::trace_id).or_else(|| trace_of(&parent));
        let request_id = seen.request_id(headers);
        // A failure within the call is told with the call, so its span is there whenever errors are
        // logged; it costs nothing else.
        let span = span!(
            target: TARGET, Level::ERROR, "call",
            method = name, request_id, tenant = Empty, trace_id = trace.map(display),
        );
        let running = Running { method, begun: Instant::now(), answer_bytes: 0, exported };
        Self {
            running: Some(running),
            notes: Arc::default(),
            request_bytes: Arc::default(),
            span,
            request_id,
        }
    }

    pub(super) fn request_id(&self) -> &str {
        &self.request_id
    }

    pub(super) fn notes(&self) -> Arc<CallNotes> {
        self.notes.clone()
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Where the bytes of the request are counted.
    pub(super) fn request_bytes(&self) -> Arc<AtomicU64> {
        self.request_bytes.clone()
    }

    /// Notes bytes of the answer.
    pub(super) fn answered(&mut self, bytes: u64) {
        if let Some(running) = &mut self.running {
            running.answer_bytes += bytes;
        }
    }

    /// Ends the call with the code that its caller gets.
    pub(super) fn end(mut self, code: Code) {
        self.finish(code);
    }

    fn finish(&mut self, code: Code) {
        let Some(Running { method, begun, answer_bytes, exported }) = self.running.take() else {
            return;
        };
        let took = begun.elapsed();
        let at = code as usize;
        let reason = self.notes.reason().filter(|_| code != Code::Ok);
        method.meter.ended(at, reason, took);
        let latency_ms = took.as_micros() as f64 / 1_000.0;
        let request_bytes = self.request_bytes.load(Relaxed);
        let used_tokens = self.notes.used_tokens();
        macro_rules! tell {
            ($level:expr) => {
                event!(
                    target: TARGET, parent: &self.span, $level,
                    code = CODES[at], reason, latency_ms, used_tokens, request_bytes, answer_bytes,
                    "answered"
                )
            };
        }
        match code {
            // What failed is told by itself, with its causes; the call is only where it showed.
            Code::Unknown | Code::Internal | Code::DataLoss | Code::Unavailable => {
                tell!(Level::WARN);
            }
            _ if method.is_probe => tell!(Level::DEBUG),
            _ => tell!(Level::INFO),
        }
        if let Some(span) = exported {
            span.end(&self.request_id, at, &self.notes);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A panic drops what it passes; else the caller gave the call up.
        let panics = std::thread::panicking();
        self.finish(if panics { Code::Internal } else { Code::Cancelled });
    }
}
