//! The deadline of a call: a call that is not answered in time is answered with its own status.
//! tonic would answer it with CANCELLED and without details.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{HeaderMap, Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

use crate::api::status;
use crate::error::{Failure, Reason};

/// How long before the deadline the answer is given up, at the most: tonic does so at the deadline.
const LEAD_MAX: Duration = Duration::from_millis(2);

/// When the caller stops waiting, by the header `grpc-timeout` (gRPC over HTTP/2: digits and a
/// unit). `None`: never, or the header is malformed.
pub fn deadline(headers: &HeaderMap) -> Option<Instant> {
    Instant::now().checked_add(timeout(headers)?)
}

fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = Some(digits).filter(|digits| digits.len() <= 8)?.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Answers calls at their deadline with `DEADLINE_EXCEEDED`.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeadlineLayer;

impl<S> Layer<S> for DeadlineLayer {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Timed { inner }
    }
}

/// The service of [`DeadlineLayer`].
#[derive(Debug, Clone)]
pub struct Timed<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Timed<S>
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
        let timeout = timeout(request.headers());
        let end = timeout
            .and_then(|timeout| Instant::now().checked_add(timeout - LEAD_MAX.min(timeout / 2)));
        let answer = self.inner.call(request);
        Box::pin(async move {
            let Some(end) = end else { return answer.await };
            match tokio::time::timeout_at(end.into(), answer).await {
                Ok(answer) => answer,
                Err(_) => Ok(status::of(&exceeded()).into_http()),
            }
        })
    }
}

/// A call that was not answered in time.
pub(super) fn exceeded() -> Failure {
    let message = "the deadline passed before there was anything to answer";
    Failure::new(Reason::DeadlineExceeded, message)
}
