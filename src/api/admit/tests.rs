//! Answers that nobody reads.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use tokio::time::Instant;
use tonic::body::Body;

use super::{Admission, AdmitSettings, STALLED, STREAMS_MAX, Streams, answer::counted};
use crate::admission::{GateBounds, LimitBounds};
use crate::error::Failure;
use crate::types::TenantId;

fn admission() -> Arc<Admission> {
    let gate = GateBounds {
        limit: LimitBounds { min: 1, max: 1, initial: 1, tolerance: 2.0 },
        waiting_max: 1,
        wait_max: Duration::ZERO,
        wait_overloaded_max: Duration::ZERO,
        tenant_share_percent: 100,
    };
    Arc::new(Admission::new(
        &AdmitSettings {
            tenant_calls_per_second: 0,
            tenant_calls_burst: 0,
            reads: gate,
            writes: gate,
            request_bytes_max: 1 << 20,
            answer_bytes_max: 1 << 20,
        },
        1,
    ))
}

/// An answer of 900 KiB to a tenant.
async fn large(admission: &Arc<Admission>, tenant: &str) -> Result<Response<Body>, Failure> {
    let answer = Response::new(Body::new(Full::new(Bytes::from(vec![7; 900 << 10]))));
    counted(admission, &TenantId::parse(tenant).expect("it is an id"), answer, false).await
}

#[tokio::test]
async fn an_answer_of_which_nothing_is_read_makes_room_for_others() {
    let admission = admission();
    let mut first = large(&admission, "a").await.expect("there is room").into_body();
    let read = first.frame().await.expect("there is some").expect("it is sound");
    assert_eq!(read.into_data().expect("it is no trailer").len(), 64 << 10);
    assert_eq!(admission.figures().answer_bytes, 836 << 10, "what was read is not counted");
    assert_eq!(
        large(&admission, "b").await.expect_err("there is no room").quota_subject(),
        Some("answer_bytes")
    );
    let soon = Instant::now() + STALLED / 2;
    admission.shared().give_up_stalled(soon);
    assert_eq!(admission.figures().answer_bytes, 836 << 10, "it may be read yet");
    admission.shared().give_up_stalled(soon + STALLED);
    assert_eq!(admission.figures().answer_bytes, 0);
    let second = large(&admission, "b").await.expect("there is room again");
    let broken = first.frame().await.expect("it does not end as if it were whole");
    broken.expect_err("it is broken off");
    drop(first);
    assert_eq!(admission.figures().answer_bytes, 900 << 10, "nothing is given back twice");
    let whole = second.into_body().collect().await.expect("it is sound").to_bytes();
    assert_eq!(whole.len(), 900 << 10);
    drop(whole);
    assert_eq!(admission.figures().answer_bytes, 0);
}

#[test]
fn one_tenant_gets_a_share_of_the_streams_and_gives_them_back() {
    let streams = Streams::new(50);
    let [one, other, third] = ["one", "other", "third"].map(|id| TenantId::parse(id).unwrap());
    let mut places: Vec<_> = (0..STREAMS_MAX).map_while(|_| streams.enter(&one)).collect();
    assert_eq!(places.len(), STREAMS_MAX / 2);
    let others: Vec<_> = (0..STREAMS_MAX).map_while(|_| streams.enter(&other)).collect();
    assert_eq!(others.len(), STREAMS_MAX / 2);
    assert!(streams.enter(&third).is_none(), "all are taken");
    drop(places.pop());
    assert!(streams.enter(&other).is_none());
    let place = streams.enter(&third).expect("one is free again");
    assert!(streams.enter(&one).is_none(), "the third one has it");
    drop((place, others));
    assert!(streams.enter(&one).is_some());
}
