//! Names are sound, ids are bounded, callers' traces are taken or left as the standard says.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderValue};
use opentelemetry::trace::TraceContextExt as _;

use super::log::unquoted;
use super::{Kind, METRICS, RequestIds, TenantTags, parent_of, trace_of};

#[test]
fn names_are_those_that_prometheus_knows_how_to_read() {
    let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), METRICS.len(), "no name stands twice");
    for metric in METRICS {
        let counter = metric.kind == Kind::Counter;
        assert_eq!(counter, metric.name.ends_with("_total"), "{}", metric.name);
        assert!(metric.labels.is_sorted(), "{}", metric.name);
        assert!(!metric.labels.contains(&"tenant"), "there are too many tenants for a label");
        assert!(metric.meaning.ends_with('.'), "{}", metric.name);
        if let Kind::Histogram(limits) = metric.kind {
            assert!(limits.windows(2).all(|pair| pair[0] < pair[1]), "{}", metric.name);
        }
    }
}

#[test]
fn a_request_keeps_its_id_when_it_is_one() {
    let ids = RequestIds::new([7; 32]);
    let kept = |given: &str| ids.given_or_new(Some(given)) == given;
    let longest = "a".repeat(128);
    for given in ["1", "a-b_c.d~e", "3f1c9a50-9f0c-4d2c-8a44-7f4e2f9d3b11", &longest] {
        assert!(kept(given), "{given}");
    }
    let too_long = "a".repeat(129);
    for given in ["", "-a", "a b", "a\"b", "a{b}", "ä", "a/b", &too_long] {
        assert!(!kept(given), "{given}");
    }
    let made: BTreeSet<String> = (0..1_000).map(|_| ids.given_or_new(None)).collect();
    assert_eq!(made.len(), 1_000);
    assert!(made.iter().all(|id| id.len() == 16 && kept(id)));
}

#[test]
fn a_tag_depends_on_the_tenant_and_the_secret_and_shows_neither() {
    let tag = |secret: u8, tenant: &str| TenantTags::new(&[secret; 32]).of(tenant).to_string();
    assert_eq!(tag(1, "acme"), tag(1, "acme"));
    assert_ne!(tag(1, "acme"), tag(2, "acme"));
    assert_ne!(tag(1, "acme"), tag(1, "acmf"));
    assert!(tag(1, "acme").len() == 16 && !tag(1, "acme").contains("acme"));
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const STATE: &str = "vendor=opaque,other=1";

fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in of {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// Whether a call with this `traceparent` belongs to a trace of its caller.
#[track_caller]
fn check_parent(parent: &str, taken: bool) {
    let found = parent_of(&headers(&[("traceparent", parent)]));
    assert_eq!(
        trace_of(&found).map(|id| id.to_string()),
        taken.then(|| TRACE.to_owned()),
        "{parent}"
    );
}

#[test]
fn a_caller_s_trace_is_taken_when_it_is_one() {
    let span = "b7ad6b7169203331";
    check_parent(&format!("00-{TRACE}-{span}-01"), true);
    check_parent(&format!("00-{TRACE}-{span}-00"), true);
    check_parent(&format!("cc-{TRACE}-{span}-01-what-comes-later"), true);
    check_parent(&format!("00-{TRACE}-{span}-01-what"), false);
    check_parent(&format!("ff-{TRACE}-{span}-01"), false);
    check_parent(&format!("00-{}-{span}-01", "0".repeat(32)), false);
    check_parent(&format!("00-{TRACE}-{}-01", "0".repeat(16)), false);
    check_parent(&format!("00-{}-{span}-01", TRACE.to_uppercase()), false);
    check_parent(&format!("00-+{}-{span}-01", &TRACE[1..]), false);
    check_parent(&format!("00-{}-{span}-01", &TRACE[1..]), false);
    check_parent(&format!("00-{TRACE}-{span}-1"), false);
    check_parent("", false);
    check_parent("nonsense", false);
}

#[test]
fn a_caller_s_state_goes_on_with_its_trace_and_not_without() {
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let state = |of: &[(&'static str, &str)]| {
        let context = parent_of(&headers(of));
        let span = context.span();
        (span.span_context().is_valid(), span.span_context().trace_state().header())
    };
    let both = [("traceparent", parent.as_str()), ("tracestate", STATE)];
    assert_eq!(state(&both), (true, STATE.to_owned()));
    let bad = [("traceparent", parent.as_str()), ("tracestate", "no state")];
    assert_eq!(state(&bad), (true, String::new()));
    assert_eq!(state(&[("traceparent", "bad"), ("tracestate", STATE)]), (false, String::new()));
    let twice = [("traceparent", parent.as_str()), ("traceparent", parent.as_str())];
    assert_eq!(state(&twice), (false, String::new()));
    let long = format!("v={}", "x".repeat(600));
    let long = [("traceparent", parent.as_str()), ("tracestate", long.as_str())];
    assert_eq!(state(&long), (true, String::new()));
}

#[test]
fn a_panic_is_logged_without_what_it_quotes() {
    let text = "the secret of Ann: `5`";
    let cut = std::panic::catch_unwind(|| text[1..2].len() + "é"[1..].len()).unwrap_err();
    let message = cut.downcast_ref::<String>().expect("a formatted message");
    assert!(message.contains('é') && !unquoted(message).contains('é'), "{message}");
    let read = || "none".parse::<u8>().map_err(|_| text).map(drop);
    let failed = std::panic::catch_unwind(|| read().expect("it is there")).unwrap_err();
    let message = failed.downcast_ref::<String>().expect("a formatted message");
    assert!(message.contains("Ann"));
    assert_eq!(unquoted(message), "it is there: ");
}
