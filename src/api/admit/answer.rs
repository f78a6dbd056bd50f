//! An answer on its way: bytes that nobody has read yet take room, and room is limited.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

use crate::api::admit::Admission;
use crate::error::Failure;
use crate::types::TenantId;

/// What is handed to the connection at a time: a copy of its own, so that the rest can be given up
/// whatever the connection still holds. An answer up to this size is handed over whole.
const PIECE_BYTES: usize = 64 << 10;

/// What the connection has not asked for yet.
pub(super) struct Rest {
    tenant: TenantId,
    bytes: Bytes,
    /// When some of it was taken last.
    taken_at: Instant,
    given_up: bool,
}

impl Rest {
    /// Drops the rest when nothing of it was taken for so long; says what room is free then.
    pub(super) fn give_up(&mut self, now: Instant, after: Duration) -> Option<(TenantId, u64)> {
        if self.bytes.is_empty() || now.saturating_duration_since(self.taken_at) < after {
            return None;
        }
        self.given_up = true;
        let bytes = std::mem::take(&mut self.bytes).len() as u64;
        Some((self.tenant.clone(), bytes))
    }
}

/// Bytes that the connection holds; their room is free when it has sent them.
struct Piece {
    admission: Arc<Admission>,
    tenant: TenantId,
    bytes: Bytes,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.admission.give_back_answer_bytes(&self.tenant, self.bytes.len() as u64);
    }
}

/// The body of an answer.
struct Unread {
    admission: Arc<Admission>,
    rest: Arc<Mutex<Rest>>,
    /// What comes behind the message.
    trailers: Body,
}

/// Makes an answer ready while its call still has its place, and counts it. An answer for which
/// there is no room is refused, unless it is short or tells of a change (`always`).
pub(super) async fn counted(
    admission: &Arc<Admission>,
    tenant: &TenantId,
    answer: Response<Body>,
    always: bool,
) -> Result<Response<Body>, Failure> {
    if answer.headers().contains_key("grpc-status") {
        return Ok(answer);
    }
    let (parts, mut body) = answer.into_parts();
    let bytes = match body.frame().await {
        Some(Ok(frame)) => match frame.into_data() {
            Ok(bytes) => bytes,
            // Trailers alone.
            Err(frame) => return Ok(Response::from_parts(parts, only(Ok(frame)))),
        },
        Some(Err(status)) => return Ok(Response::from_parts(parts, only(Err(status)))),
        None => return Ok(Response::from_parts(parts, Body::empty())),
    };
    let always = always || bytes.len() <= PIECE_BYTES;
    admission.take_answer_bytes(tenant, bytes.len() as u64, always)?;
    let is_large = bytes.len() > PIECE_BYTES;
    let (tenant, taken_at) = (tenant.clone(), Instant::now());
    let rest = Arc::new(Mutex::new(Rest { tenant, bytes, taken_at, given_up: false }));
    if is_large {
        admission.watch_unread(&rest);
    }
    let body = Unread { admission: admission.clone(), rest, trailers: body };
    Ok(Response::from_parts(parts, Body::new(body)))
}

fn only(frame: Result<Frame<Bytes>, Status>) -> Body {
    Body::new(http_body_util::StreamBody::new(futures::stream::iter([frame])))
}

impl Unread {
    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().expect("no holder panics")
    }

    /// The next piece; `None`: there is none any more.
    fn piece(&self) -> Result<Option<Bytes>, Status> {
        let mut rest = self.rest();
        if rest.given_up {
            return Err(Status::resource_exhausted("nobody read the answer"));
        }
        if rest.bytes.is_empty() {
            return Ok(None);
        }
        let bytes = match rest.bytes.len() {
            0..=PIECE_BYTES => std::mem::take(&mut rest.bytes),
            _ => Bytes::copy_from_slice(&rest.bytes.split_to(PIECE_BYTES)),
        };
        rest.taken_at = Instant::now();
        let (admission, tenant) = (self.admission.clone(), rest.tenant.clone());
        Ok(Some(Bytes::from_owner(Piece { admission, tenant, bytes })))
    }
}

impl http_body::Body for Unread {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.piece() {
            Ok(Some(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Ok(None) => Pin::new(&mut self.trailers).poll_frame(cx),
            Err(status) => Poll::Ready(Some(Err(status))),
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let (tenant, bytes) = {
            let mut rest = self.rest();
            (rest.tenant.clone(), std::mem::take(&mut rest.bytes).len() as u64)
        };
        if bytes > 0 {
            self.admission.give_back_answer_bytes(&tenant, bytes);
        }
    }
}
