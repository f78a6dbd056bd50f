//! Every stable reason of a refusal, and what a caller can do about it. Pure.
//! In: what went wrong in a verb. Out: a [`Failure`] that `api/status.rs` turns into a status.
//! Invariant: each reason has one kind, and stands in the table of `docs/errors.md`.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What a caller can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Mend the request: the same one fails again.
    Invalid,
    /// Name something that exists.
    Missing,
    /// Take another name: it is there already.
    Exists,
    /// Read again and decide again: something changed meanwhile.
    Conflict,
    /// Bring the system into another state first.
    Precondition,
    /// Send a valid credential.
    Unauthenticated,
    /// Use a credential with a wider scope.
    Denied,
    /// Send less, or later.
    Exhausted,
    /// Try again: it is passing.
    Unavailable,
    /// Give it more time.
    Deadline,
    /// Tell the operator: it is a fault of the service.
    Internal,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $kind:ident;)*) => {
        /// The stable reason of a failure: `ErrorInfo.reason` in the domain `keepsake`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason, in the order of the table of the docs.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The upper-case text that clients compare.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// What a caller can do about it.
            pub fn kind(self) -> Kind {
                match self {
                    $(Self::$name => Kind::$kind,)*
                }
            }
        }
    };
}

reasons! {
    /// One or more fields are faulty; `BadRequest` names each.
    InvalidRequest = "INVALID_REQUEST", Invalid;
    /// The bytes of a request are no message of its type.
    MessageMalformed = "MESSAGE_MALFORMED", Invalid;
    /// The only fault: a turn of the role `system`.
    SystemTurn = "SYSTEM_TURN", Invalid;
    /// The same `request_id` came before with another request.
    RequestIdReused = "REQUEST_ID_REUSED", Invalid;
    /// The session belongs to another user than the one given.
    UserMismatch = "USER_MISMATCH", Invalid;
    /// `replace_from_seq` or `at_seq` lies after the last turn.
    SeqOutOfRange = "SEQ_OUT_OF_RANGE", Invalid;
    /// No tokenizer is known for the model, and the policy names no fallback.
    UnknownModel = "UNKNOWN_MODEL", Invalid;
    /// The budget is above the policy's maximum.
    BudgetOverPolicy = "BUDGET_OVER_POLICY", Invalid;
    /// The instructions alone do not fit into the budget.
    InstructionsTooLarge = "INSTRUCTIONS_TOO_LARGE", Invalid;
    /// The instructions and the current exchange do not fit into the budget.
    CurrentExchangeTooLarge = "CURRENT_EXCHANGE_TOO_LARGE", Invalid;
    /// The page token is not one of this query of this tenant.
    PageTokenInvalid = "PAGE_TOKEN_INVALID", Invalid;
    /// The tenant's `tokenizer.json` cannot be used.
    TokenizerInvalid = "TOKENIZER_INVALID", Invalid;
    /// The bytes of a document cannot be read as its media type says.
    DocumentUnreadable = "DOCUMENT_UNREADABLE", Invalid;
    /// A part of a document does not begin where the one before ended.
    PartOutOfOrder = "PART_OUT_OF_ORDER", Invalid;
    /// The bytes of a document are not as many as its header says.
    BytesMismatch = "BYTES_MISMATCH", Invalid;
    /// One write is larger than a commit of the store may be.
    WriteTooLarge = "WRITE_TOO_LARGE", Invalid;
    /// There is no such session.
    SessionNotFound = "SESSION_NOT_FOUND", Missing;
    /// There is no such tenant.
    TenantNotFound = "TENANT_NOT_FOUND", Missing;
    /// There is no such API key.
    KeyNotFound = "KEY_NOT_FOUND", Missing;
    /// There is no such job.
    JobNotFound = "JOB_NOT_FOUND", Missing;
    /// There is no such collection of documents.
    CollectionNotFound = "COLLECTION_NOT_FOUND", Missing;
    /// There is no such document.
    DocumentNotFound = "DOCUMENT_NOT_FOUND", Missing;
    /// There is no such upload: it is whole, was replaced by another, or was given up.
    UploadNotFound = "UPLOAD_NOT_FOUND", Missing;
    /// No embedder of that key is served or prepared.
    EmbedderUnknown = "EMBEDDER_UNKNOWN", Missing;
    /// The session is there already.
    SessionExists = "SESSION_EXISTS", Exists;
    /// The tenant is there already.
    TenantExists = "TENANT_EXISTS", Exists;
    /// The version is not the expected one; the metadata of the error has the current one.
    VersionMismatch = "VERSION_MISMATCH", Conflict;
    /// Another stream began the same document anew: its parts count, not those of this stream.
    UploadReplaced = "UPLOAD_REPLACED", Conflict;
    /// Too many others changed the same thing at the same time.
    Contention = "CONTENTION", Conflict;
    /// No API key came with the call.
    KeyMissing = "KEY_MISSING", Unauthenticated;
    /// The API key is unknown, revoked or ended.
    KeyInvalid = "KEY_INVALID", Unauthenticated;
    /// The API key lacks the scope that the call needs.
    ScopeMissing = "SCOPE_MISSING", Denied;
    /// The embedder does not have all its vectors yet.
    EmbedderNotReady = "EMBEDDER_NOT_READY", Precondition;
    /// A worker holds the job; it is tried now.
    JobLeased = "JOB_LEASED", Precondition;
    /// The session holds as many turns as one may.
    SessionFull = "SESSION_FULL", Exhausted;
    /// The tenant holds as many API keys as one may.
    TooManyKeys = "TOO_MANY_KEYS", Exhausted;
    /// The tenant holds as many sessions as one may.
    TooManySessions = "TOO_MANY_SESSIONS", Exhausted;
    /// The tenant holds as many collections as one may.
    TooManyCollections = "TOO_MANY_COLLECTIONS", Exhausted;
    /// The document is larger, or comes in more parts, than one may.
    DocumentTooLarge = "DOCUMENT_TOO_LARGE", Exhausted;
    /// The tenant makes more calls a second than it may; try again after the time given.
    RateLimited = "RATE_LIMITED", Exhausted;
    /// Too much is asked of the node; try again after the time given.
    Overloaded = "OVERLOADED", Exhausted;
    /// The request is larger than one may be.
    MessageTooLarge = "MESSAGE_TOO_LARGE", Exhausted;
    /// The answer is larger than one may be.
    AnswerTooLarge = "ANSWER_TOO_LARGE", Exhausted;
    /// The disk is full: reads go on.
    DiskFull = "DISK_FULL", Exhausted;
    /// The server is stopping.
    ShuttingDown = "SHUTTING_DOWN", Unavailable;
    /// The embedder can embed nothing now.
    EmbedderFailed = "EMBEDDER_FAILED", Unavailable;
    /// The deadline passed before there was anything to answer.
    DeadlineExceeded = "DEADLINE_EXCEEDED", Deadline;
    /// The store failed; the log says how.
    StoreFault = "STORE_FAULT", Internal;
    /// A row of the store cannot be read by this version.
    RowUnreadable = "ROW_UNREADABLE", Internal;
    /// A fault of the service; the log says which.
    Internal = "INTERNAL", Internal;
}

/// One faulty field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field, for example `turns[3].parts[0].text`.
    pub field: String,
    /// What is wrong with it and what would be right.
    pub description: String,
}

/// A refusal: its reason, its message for the caller, and what helps to mend it. It is one pointer
/// wide, since every verb may give one.
#[derive(Debug)]
pub struct Failure(Box<Details>);

#[derive(Debug)]
struct Details {
    reason: Reason,
    message: String,
    violations: Vec<Violation>,
    metadata: Vec<(&'static str, String)>,
    retry_after: Option<Duration>,
    quota: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// A failure with the whole chain of its causes, as one line for people.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// The most faulty fields that are named.
pub const VIOLATIONS_MAX: usize = 32;

impl Failure {
    /// A failure with a message for the caller: lower case, no full stop, no content of turns.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            reason,
            message: message.into(),
            violations: Vec::new(),
            metadata: Vec::new(),
            retry_after: None,
            quota: None,
            source: None,
        }))
    }

    /// A bad request with its faulty fields, the first 32 of them: a client gets some kilobytes of
    /// details, beyond which it loses the code and the reason too.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let fields: Vec<_> = violations.iter().map(|v| format!("`{}`", v.field)).collect();
        let each = || fields.iter().zip(&violations).map(|(f, v)| format!("{f} {}", v.description));
        let message = match fields.len() {
            1 => each().collect(),
            n @ 2..=4 => format!("{n} faulty fields: {}", each().collect::<Vec<_>>().join("; ")),
            n if n <= 8 => format!("{n} faulty fields: {}", fields.join(", ")),
            n => format!("{n} faulty fields, the first ones: {}", fields[..8].join(", ")),
        };
        let mut failure = Self::new(Reason::InvalidRequest, message);
        failure.0.violations = violations;
        let more = failure.0.violations.len().saturating_sub(VIOLATIONS_MAX);
        if more > 0 {
            failure.0.violations.truncate(VIOLATIONS_MAX);
            failure = failure.with("more_faults", more);
        }
        failure
    }

    /// Adds a value that a program can read, under a lower-case key.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.0.metadata.push((key, value.to_string()));
        self
    }

    /// Names the faulty field of a failure with its own reason.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        let description = self.0.message.clone();
        self.0.violations.push(Violation { field: field.into(), description });
        self
    }

    /// Says after how long a retry makes sense.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Names the limit that was reached.
    #[must_use]
    pub fn over(mut self, subject: impl Into<String>) -> Self {
        self.0.quota = Some(subject.into());
        self
    }

    /// Keeps what caused it, for the log only.
    #[must_use]
    pub fn because(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// The stable reason.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The faulty fields; empty for failures of another kind.
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// Values that a program can read.
    pub fn metadata(&self) -> &[(&'static str, String)] {
        &self.0.metadata
    }

    /// After how long a retry makes sense, if that is known.
    pub fn retry_hint(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The subject of the limit that was reached, if one was.
    pub fn quota_subject(&self) -> Option<&str> {
        self.0.quota.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
