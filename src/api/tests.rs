//! Statuses say what their table says, and page tokens fit what they were issued for.

use std::time::{Duration, Instant};

use http::{HeaderMap, Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::api::{DeadlineLayer, PageTokens, deadline::deadline, status};
use crate::error::{Failure, Reason, Violation};

/// The name of a code as gRPC documents write it.
fn name(code: Code) -> String {
    let camel = format!("{code:?}");
    let mut name = String::new();
    for letter in camel.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_uppercase());
    }
    name
}

#[test]
fn the_table_of_errors_holds_every_reason_with_its_code() {
    let table = include_str!("../../docs/errors.md");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let written: Vec<Vec<String>> = rows
        .map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect())
        .collect();
    let wanted: Vec<_> = Reason::ALL
        .iter()
        .map(|reason| (reason.text(), name(status::of(&Failure::new(*reason, "")).code())))
        .collect();
    let found: Vec<_> = written.iter().map(|row| (row[1].as_str(), row[2].clone())).collect();
    assert_eq!(found, wanted);
    for row in &written {
        assert_eq!(row.len(), 6, "{row:?}");
        assert!(!row[3].is_empty() && !row[4].is_empty(), "{row:?}");
    }
}

#[test]
fn a_status_carries_every_detail_of_its_failure() {
    let failure = Failure::new(Reason::Overloaded, "too much")
        .with("writes", 7)
        .at("turns")
        .over("writes")
        .retry_after(Duration::from_millis(100));
    let status = status::of(&failure);
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "too much"));
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("OVERLOADED", "keepsake"));
    assert_eq!(info.metadata["writes"], "7");
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "turns");
    assert_eq!(details.quota_failure().unwrap().violations[0].subject, "writes");
    let retry = details.retry_info().unwrap().retry_delay;
    assert_eq!(retry, Some(Duration::from_millis(100)));
}

#[test]
fn what_caused_a_failure_stays_in_the_log() {
    let failure = Failure::new(Reason::StoreFault, "the store failed")
        .because(std::io::Error::other("sector 7 of /dev/sda"));
    let status = status::of(&failure);
    assert!(!format!("{status:?}").contains("sector"));
    let details = status.get_error_details();
    assert!(details.retry_info().is_none() && details.quota_failure().is_none());
}

#[test]
fn many_faulty_fields_are_named_by_the_first_ones() {
    let violation = |n| Violation { field: format!("f{n}"), description: "is bad".into() };
    let one = Failure::invalid(vec![violation(0)]);
    assert_eq!(one.to_string(), "`f0` is bad");
    let many = Failure::invalid((0..20).map(violation).collect());
    assert!(many.to_string().starts_with("20 faulty fields, the first ones: `f0`, `f1`"));
    let details = status::of(&many).get_error_details();
    assert_eq!(details.bad_request().unwrap().field_violations.len(), 20);
}

#[test]
fn a_page_token_opens_what_it_was_issued_for() {
    let tokens = PageTokens::new(&[7; 32]);
    let token = tokens.issue(&["t", "turns", "s"], Some("12"));
    let open = |tokens: &PageTokens, bound: &[&str]| tokens.open(bound, &token).ok().flatten();
    assert_eq!(open(&tokens, &["t", "turns", "s"]).as_deref(), Some("12"));
    assert_eq!(open(&tokens, &["u", "turns", "s"]), None);
    assert_eq!(open(&tokens, &["t", "turns", "r"]), None);
    assert_eq!(open(&tokens, &["tt", "urns", "s"]), None, "borders between parts count");
    assert_eq!(open(&PageTokens::new(&[8; 32]), &["t", "turns", "s"]), None);
    assert_eq!(tokens.issue(&["t"], None), "");
    assert_eq!(tokens.open(&["t"], "").unwrap(), None);
}

#[test]
fn no_changed_byte_of_a_page_token_opens_it() {
    let tokens = PageTokens::new(&[7; 32]);
    let token = tokens.issue(&["t"], Some("session-1"));
    for at in 0..token.len() {
        let mut bent = token.clone().into_bytes();
        bent[at] = if bent[at] == b'x' { b'y' } else { b'x' };
        let bent = String::from_utf8(bent).unwrap();
        let failure = tokens.open(&["t"], &bent).unwrap_err();
        assert_eq!(failure.reason(), Reason::PageTokenInvalid);
    }
}

/// The whole milliseconds that a `grpc-timeout` leaves; `None`: it is none.
#[track_caller]
fn check_timeout(text: &str, wanted_ms: Option<u128>) {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-timeout", text.parse().unwrap());
    let before = Instant::now();
    let left = deadline(&headers).map(|deadline| deadline.duration_since(before));
    assert_eq!(left.map(|left| (left.as_millis() + 500) / 1_000 * 1_000), wanted_ms, "{text}");
}

#[test]
fn a_timeout_is_digits_and_a_unit() {
    check_timeout("2H", Some(7_200_000));
    check_timeout("3M", Some(180_000));
    check_timeout("4S", Some(4_000));
    check_timeout("5000m", Some(5_000));
    check_timeout("6000000u", Some(6_000));
    check_timeout("99999999n", Some(0));
    check_timeout("99999999H", Some(359_999_996_400_000));
    for text in ["", "5", "S", "123456789S", "-1S", "1x", "1.5S"] {
        check_timeout(text, None);
    }
    assert_eq!(deadline(&HeaderMap::new()), None);
}

/// The status that a call with a timeout of 20 ms gets from a service that answers or does not.
async fn timed(answers: bool) -> Option<Status> {
    let service = service_fn(move |_: Request<()>| async move {
        if !answers {
            std::future::pending::<()>().await;
        }
        Ok::<_, std::convert::Infallible>(Response::new(Body::default()))
    });
    let request = Request::builder().header("grpc-timeout", "20m").body(()).unwrap();
    let answer = DeadlineLayer.layer(service).oneshot(request).await.unwrap();
    Status::from_header_map(answer.headers())
}

#[tokio::test]
async fn a_call_that_is_not_answered_in_time_says_so() {
    assert!(timed(true).await.is_none(), "an answer passes as it is");
    let begun = Instant::now();
    let status = timed(false).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(15));
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "DEADLINE_EXCEEDED");
}
