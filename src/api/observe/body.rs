//! Bodies that are counted as they pass, and the end of an answer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};

use super::watch::Watch;

type Polled = Poll<Option<Result<Frame<Bytes>, Status>>>;

/// A request's body, whose bytes are counted.
pub(super) struct Counted {
    inner: Body,
    bytes: Arc<AtomicU64>,
}

impl Counted {
    pub(super) fn new(inner: Body, bytes: Arc<AtomicU64>) -> Self {
        Self { inner, bytes }
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.bytes.fetch_add(data.len() as u64, Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What watches an answer to its end. An answer without a message says how it ended in its headers,
/// every other in its trailers.
pub(super) struct Watched {
    watch: Option<Watch>,
}

impl Watched {
    pub(super) fn new(watch: Watch, headers: &HeaderMap) -> Self {
        match code(headers) {
            Some(code) => {
                watch.end(code);
                Self { watch: None }
            }
            None => Self { watch: Some(watch) },
        }
    }

    /// The body of the answer, which it goes with.
    pub(super) fn over(self, body: Body) -> Body {
        match self.watch {
            // Nobody asks a body that has nothing for its end.
            Some(watch) if body.is_end_stream() => {
                watch.end(Code::Unknown);
                body
            }
            Some(watch) => Body::new(Answer { inner: body, watch: Some(watch) }),
            None => body,
        }
    }
}

fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}

struct Answer {
    inner: Body,
    /// Gone once the call has ended; dropped with the body when the caller went before that.
    watch: Option<Watch>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        let Poll::Ready(frame) = &polled else { return polled };
        let ended = match frame {
            Some(Ok(frame)) => match (frame.data_ref(), frame.trailers_ref()) {
                (Some(data), _) => {
                    if let Some(watch) = &mut self.watch {
                        watch.answered(data.len() as u64);
                    }
                    None
                }
                (None, Some(trailers)) => Some(code(trailers).unwrap_or(Code::Unknown)),
                (None, None) => None,
            },
            Some(Err(status)) => Some(status.code()),
            // It ended without trailers, which no gRPC answer does.
            None => Some(Code::Unknown),
        };
        if let Some(code) = ended
            && let Some(watch) = self.watch.take()
        {
            watch.end(code);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
