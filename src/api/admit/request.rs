//! The arrival of a request: whole, in time, within its limit, before a place is taken for it. One
//! who sends slowly holds no place.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tonic::body::Body;

use crate::api::{REQUEST_BYTES_MAX, admit::Admission};
use crate::error::{Failure, Reason};
use crate::types::TenantId;

/// A request of more bytes than this is much at a time: no turn that somebody typed.
pub const BULK_BYTES: usize = 64 << 10;
/// How long a request may take to arrive: 16 MiB at half a megabyte a second.
pub const ARRIVAL_MAX: Duration = Duration::from_secs(30);
/// How long the rest of a refused request is waited for.
const DRAIN_MAX: Duration = Duration::from_secs(1);
/// What stands before each message: whether it is compressed, and its length.
const FRAME_BYTES: usize = 5;

/// A request that has arrived, and the room that it takes.
pub(super) struct Arrived {
    pub(super) bytes: Bytes,
    pub(super) room: Room,
}

/// Room for the bytes of a request; free again when this is dropped. Small requests take none: how
/// many of them there are is limited.
pub(super) struct Room {
    admission: Arc<Admission>,
    tenant: TenantId,
    bytes: u64,
}

impl Room {
    fn grow(&mut self, to: usize) -> Result<(), Failure> {
        let more = (to as u64).saturating_sub(self.bytes);
        if to > BULK_BYTES && more > 0 {
            self.admission.take_request_bytes(&self.tenant, more)?;
            self.bytes += more;
        }
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.admission.give_back_request_bytes(&self.tenant, self.bytes);
        }
    }
}

fn too_large() -> Failure {
    let message = format!("a request may have at most {REQUEST_BYTES_MAX} bytes");
    Failure::new(Reason::MessageTooLarge, message).over("request_bytes")
}

/// Waits for a whole request.
pub(super) async fn arrive(
    admission: &Arc<Admission>,
    tenant: &TenantId,
    body: Body,
) -> Result<Arrived, Failure> {
    let room = Room { admission: admission.clone(), tenant: tenant.clone(), bytes: 0 };
    let whole = tokio::time::timeout(ARRIVAL_MAX, collect(room, body)).await;
    whole.unwrap_or_else(|_| {
        let message = format!("the request has not arrived within {} s", ARRIVAL_MAX.as_secs());
        Err(Failure::new(Reason::DeadlineExceeded, message))
    })
}

/// Reads what still comes of a small request that is refused by its headers. Where the answer comes
/// first the rest is an error of the stream, and a connection on which these are many is ended,
/// with the calls of others that may share it.
pub(super) async fn drain(mut body: Body) {
    let rest = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > BULK_BYTES {
                return;
            }
        }
    };
    // Who sends so slowly is refused without it.
    let _ = tokio::time::timeout(DRAIN_MAX, rest).await;
}

async fn collect(mut room: Room, mut body: Body) -> Result<Arrived, Failure> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // The caller went away, or its connection broke.
        let frame = frame.map_err(|_| {
            Failure::new(Reason::MessageMalformed, "the request ended before it was whole")
        })?;
        let Ok(bytes) = frame.into_data() else { continue };
        if first.is_empty() && all.is_empty() {
            first = bytes;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&bytes);
        }
        let so_far = if all.is_empty() { &first[..] } else { &all[..] };
        if is_too_large(so_far) {
            return Err(too_large());
        }
        room.grow(so_far.len())?;
    }
    let bytes = if all.is_empty() { first } else { all.freeze() };
    if told_bytes(&bytes).is_none_or(|told| told + FRAME_BYTES != bytes.len()) {
        return Err(Failure::new(Reason::MessageMalformed, "a request is one whole message"));
    }
    Ok(Arrived { bytes, room })
}

/// How long the message is, by what stands before it.
fn told_bytes(so_far: &[u8]) -> Option<usize> {
    let told = so_far.get(1..FRAME_BYTES)?.try_into().ok()?;
    Some(u32::from_be_bytes(told) as usize)
}

/// Whether a request is too large, by the length that stands before it or by what has come.
fn is_too_large(so_far: &[u8]) -> bool {
    told_bytes(so_far).is_some_and(|told| told > REQUEST_BYTES_MAX)
        || so_far.len() > REQUEST_BYTES_MAX + FRAME_BYTES
}
