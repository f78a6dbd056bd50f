//! Why a command failed: what a person reads, and the exit code that a script reads.

use std::io;

use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The exit code of a command that did all it was asked.
pub const EXIT_OK: u8 = 0;
/// The exit code of a failure that is nobody's mistake, here or in the server.
pub const EXIT_INTERNAL: u8 = 1;
/// The exit code of bad flags, bad input files and INVALID_ARGUMENT.
pub const EXIT_USAGE: u8 = 2;
/// The exit code when the server cannot be reached or answers UNAVAILABLE.
pub const EXIT_UNAVAILABLE: u8 = 3;
/// The exit code of UNAUTHENTICATED and PERMISSION_DENIED.
pub const EXIT_DENIED: u8 = 4;
/// The exit code of NOT_FOUND.
pub const EXIT_NOT_FOUND: u8 = 5;
/// The exit code of ABORTED, ALREADY_EXISTS and FAILED_PRECONDITION.
pub const EXIT_CONFLICT: u8 = 6;
/// The exit code of RESOURCE_EXHAUSTED.
pub const EXIT_EXHAUSTED: u8 = 7;
/// The exit code of DEADLINE_EXCEEDED.
pub const EXIT_DEADLINE: u8 = 8;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line, the client's settings or an input file are at fault.
    #[error("{0}")]
    Usage(String),
    /// The server cannot be reached.
    #[error("cannot connect to `{address}`: {}", innermost(.source))]
    Connect {
        /// Where to.
        address: String,
        /// Why not.
        source: tonic::transport::Error,
    },
    /// The server refused or failed.
    #[error("{}", .0.message())]
    Status(Box<Status>),
    /// A file could not be read or written.
    #[error("cannot {verb} `{path}`: {source}")]
    File {
        /// What was tried: `read`, `write`.
        verb: &'static str,
        /// Which file.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Whoever read the output has closed it: the command ends in silence.
    #[error("the output was closed")]
    ClosedPipe,
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
    /// A server of this process could not be started, or ended badly.
    #[error("{0}")]
    Internal(String),
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Output(error),
        }
    }
}

impl Error {
    /// The exit code that says what kind of failure this is. A closed pipe is none.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::ClosedPipe => EXIT_OK,
            Self::Usage(_) => EXIT_USAGE,
            Self::File { .. } => EXIT_USAGE,
            Self::Connect { .. } => EXIT_UNAVAILABLE,
            Self::Output(_) | Self::Internal(_) => EXIT_INTERNAL,
            Self::Status(status) => exit_code_of(status),
        }
    }

    /// The failure as a JSON object: `code`, `message`, `exit_code`, and from the server also
    /// `reason`, `metadata`, `fields`, `retry_after_ms` and `quotas`, each where given.
    pub fn to_json(&self) -> Value {
        let mut object = json!({
            "code": self.code(), "message": self.to_string(), "exit_code": self.exit_code(),
        });
        if let Self::Status(status) = self {
            add_details(&mut object, status);
        }
        object
    }

    /// The failure in lines for a person: the message with its reason, then each faulty field.
    pub fn to_text(&self) -> String {
        let mut text = format!("error: {self}");
        let Self::Status(status) = self else { return text };
        if status.message().is_empty() {
            text.push_str(status.code().description());
        }
        let details = status.get_error_details();
        if let Some(info) = details.error_info() {
            text.push_str(&format!(" ({})", info.reason));
        }
        for field in details.bad_request().iter().flat_map(|bad| &bad.field_violations) {
            text.push_str(&format!("\n  {}: {}", field.field, field.description));
        }
        for quota in details.quota_failure().iter().flat_map(|quota| &quota.violations) {
            text.push_str(&format!("\n  {}: {}", quota.subject, quota.description));
        }
        if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
            text.push_str(&format!("\n  try again after {} ms", delay.as_millis()));
        }
        text
    }

    fn code(&self) -> String {
        match self {
            Self::Usage(_) | Self::File { .. } => "USAGE".to_owned(),
            Self::Connect { .. } => "UNAVAILABLE".to_owned(),
            Self::ClosedPipe | Self::Output(_) | Self::Internal(_) => "INTERNAL".to_owned(),
            Self::Status(status) => code_name(effective_code(status)).to_owned(),
        }
    }
}

fn add_details(object: &mut Value, status: &Status) {
    let details = status.get_error_details();
    if let Some(info) = details.error_info() {
        object["reason"] = json!(info.reason);
        object["metadata"] = json!(info.metadata);
    }
    if let Some(bad) = details.bad_request() {
        let field = |f: &tonic_types::FieldViolation| {
            let (name, why) = (&f.field, &f.description);
            json!({"field": name, "description": why})
        };
        object["fields"] = bad.field_violations.iter().map(field).collect();
    }
    if let Some(quota) = details.quota_failure() {
        let violation = |v: &tonic_types::QuotaViolation| {
            let (whose, why) = (&v.subject, &v.description);
            json!({"subject": whose, "description": why})
        };
        object["quotas"] = quota.violations.iter().map(violation).collect();
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        object["retry_after_ms"] = json!(delay.as_millis());
    }
}

/// The innermost reason: the outer ones of a transport say only that it failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut reason = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

/// Whether the connection failed, not the server: tonic calls that UNKNOWN or CANCELLED.
fn is_of_transport(status: &Status) -> bool {
    let source = std::error::Error::source(status);
    source.is_some_and(|source| source.is::<tonic::transport::Error>())
}

/// tonic reports its own deadline as CANCELLED; a caller of a command cancels nothing.
fn effective_code(status: &Status) -> Code {
    match status.code() {
        Code::Cancelled if status.message() == "Timeout expired" => Code::DeadlineExceeded,
        Code::Unknown | Code::Cancelled if is_of_transport(status) => Code::Unavailable,
        code => code,
    }
}

/// The name of the code of an answer, as the contract writes it.
pub(super) fn code_of(status: &Status) -> &'static str {
    code_name(effective_code(status))
}

/// The exit code of an answer of the server.
pub fn exit_code_of(status: &Status) -> u8 {
    match effective_code(status) {
        Code::Ok => EXIT_OK,
        Code::InvalidArgument | Code::OutOfRange => EXIT_USAGE,
        Code::Unavailable => EXIT_UNAVAILABLE,
        Code::Unauthenticated | Code::PermissionDenied => EXIT_DENIED,
        Code::NotFound => EXIT_NOT_FOUND,
        Code::Aborted | Code::AlreadyExists | Code::FailedPrecondition => EXIT_CONFLICT,
        Code::ResourceExhausted => EXIT_EXHAUSTED,
        Code::DeadlineExceeded => EXIT_DEADLINE,
        Code::Cancelled | Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => {
            EXIT_INTERNAL
        }
    }
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
