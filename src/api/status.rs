//! The only place where a failure becomes a gRPC status, with its `google.rpc` details.

use std::error::Error;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::error::{Failure, Kind};
use crate::telemetry::note_reason;

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "keepsake";

fn code(kind: Kind) -> Code {
    match kind {
        Kind::Invalid => Code::InvalidArgument,
        Kind::Missing => Code::NotFound,
        Kind::Exists => Code::AlreadyExists,
        Kind::Conflict => Code::Aborted,
        Kind::Precondition => Code::FailedPrecondition,
        Kind::Unauthenticated => Code::Unauthenticated,
        Kind::Denied => Code::PermissionDenied,
        Kind::Exhausted => Code::ResourceExhausted,
        Kind::Unavailable => Code::Unavailable,
        Kind::Deadline => Code::DeadlineExceeded,
        Kind::Internal => Code::Internal,
    }
}

/// The status of a failure. What caused it goes to the log, not to the client.
pub fn of(failure: &Failure) -> Status {
    let reason = failure.reason();
    note_reason(reason.text());
    if reason.kind() == Kind::Internal {
        tracing::error!(reason = reason.text(), causes = causes(failure), "{failure}");
    }
    let mut details = ErrorDetails::new();
    let metadata = failure.metadata().iter().map(|(key, value)| ((*key).into(), value.clone()));
    details.set_error_info(
        reason.text(),
        DOMAIN,
        metadata.collect::<std::collections::HashMap<_, _>>(),
    );
    for violation in failure.violations() {
        details.add_bad_request_violation(&violation.field, &violation.description);
    }
    if let Some(after) = failure.retry_hint() {
        details.set_retry_info(Some(after));
    }
    if let Some(subject) = failure.quota_subject() {
        details.add_quota_failure_violation(subject, failure.to_string());
    }
    Status::with_error_details(code(reason.kind()), failure.to_string(), details)
}

/// The chain of causes, for the log.
fn causes(failure: &Failure) -> String {
    let mut causes = Vec::new();
    let mut cause = failure.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    causes.join(": ")
}
