//! The statuses that tonic makes by itself, corrected: a message that is too large or cannot be
//! decoded is the caller's fault and has a reason like every other refusal.

use http::Response;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::api::{MESSAGE_BYTES_MAX, REQUEST_BYTES_MAX, status};
use crate::error::{Failure, Reason};

/// How the messages of statuses begin that mean: these bytes are no message.
const MALFORMED: [&str; 4] = [
    "failed to decode Protobuf message",
    "protocol error",
    "Unexpected EOF",
    "Error decompressing",
];
/// How the message of a status begins that means: compressed, but too large when it is not.
const TOO_LARGE: &str = "Error decompressing: size limit";

/// The answer, or what it should have been. What Keepsake itself refuses has details, and stays.
pub fn corrected(answer: Response<Body>) -> Response<Body> {
    if !answer.headers().contains_key("grpc-status") {
        return answer;
    }
    let made = Status::from_header_map(answer.headers());
    let failure = made
        .filter(|made| made.details().is_empty())
        .and_then(|made| failure(&made, REQUEST_BYTES_MAX));
    match failure {
        Some(failure) => status::of(&failure).into_http(),
        None => answer,
    }
}

/// The status of a message of a stream that could not be read, or what it should have been.
pub(super) fn corrected_message(made: Status) -> Status {
    match failure(&made, MESSAGE_BYTES_MAX).filter(|_| made.details().is_empty()) {
        Some(failure) => status::of(&failure),
        None => made,
    }
}

fn failure(made: &Status, bytes_max: usize) -> Option<Failure> {
    let message = made.message();
    match made.code() {
        Code::ResourceExhausted if !message.starts_with(TOO_LARGE) => None,
        Code::OutOfRange | Code::ResourceExhausted => {
            let message = format!("a request may have at most {bytes_max} bytes");
            Some(Failure::new(Reason::MessageTooLarge, message).over("request_bytes"))
        }
        Code::Internal if MALFORMED.iter().any(|begin| message.starts_with(begin)) => {
            let message = format!("the request is no message of its type: {message:.200}");
            Some(Failure::new(Reason::MessageMalformed, message))
        }
        _ => None,
    }
}
