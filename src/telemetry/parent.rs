//! The trace that a call belongs to, as W3C Trace Context sends it.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// The most bytes of a `tracestate` that are passed on; the standard asks for 512 at the least.
const STATE_BYTES_MAX: usize = 512;

/// The context of the caller, from `traceparent` and `tracestate`. Empty without them, and when
/// the first is not what the standard says; the second is left out then, and when it is none.
pub fn parent_of(headers: &HeaderMap) -> Context {
    let caller = Caller(headers);
    match caller.get("traceparent") {
        Some(parent) if is_parent(parent) => {
            TraceContextPropagator::new().extract_with_context(&Context::new(), &caller)
        }
        _ => Context::new(),
    }
}

/// Whether a text has the form `version-trace-parent-flags` in lower-case hexadecimal digits, of
/// which later versions may have more behind another `-`. The propagator takes other lengths.
fn is_parent(text: &str) -> bool {
    let digits = |text: &str, count: usize| {
        text.len() == count
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let mut parts = text.splitn(5, '-');
    let mut next = |count| parts.next().is_some_and(|part| digits(part, count));
    next(2)
        && next(32)
        && next(16)
        && next(2)
        && (parts.next().is_none() || !text.starts_with("00"))
}

struct Caller<'a>(&'a HeaderMap);

impl Extractor for Caller<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let mut values = self.0.get_all(key).iter();
        let value = values.next()?.to_str().ok()?;
        // Two parents are none; two states would have to be joined, which nobody sends.
        let alone = values.next().is_none();
        (alone && (key != "tracestate" || value.len() <= STATE_BYTES_MAX)).then_some(value)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
