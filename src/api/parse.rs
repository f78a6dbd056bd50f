//! From the wire to types that cannot be wrong. Every faulty field is collected before refusing.

use std::collections::BTreeMap;

use crate::error::{Failure, Reason, VIOLATIONS_MAX, Violation};
use crate::proto::v1 as pb;
use crate::types::{
    CollectionId, DocumentId, Metadata, RequestId, Seq, SessionId, TenantId, Timestamp, UserId,
};

/// The largest text of one part, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// The longest instructions, in bytes: the largest system prompts in use are a tenth of it.
pub const INSTRUCTIONS_BYTES_MAX: usize = 256 << 10;
/// The longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 64 << 10;
/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// The most labels of a session or turn.
pub const LABELS_MAX: usize = 64;
/// The longest key of a label, in bytes.
pub const LABEL_KEY_BYTES_MAX: usize = 64;
/// The longest value of a label, in bytes.
pub const LABEL_VALUE_BYTES_MAX: usize = 1 << 10;
/// The largest page.
pub const PAGE_SIZE_MAX: u32 = 1_000;
/// The page of a request that names no size.
pub const PAGE_SIZE_DEFAULT: u32 = 100;
/// The shortest time to live: below it a session would end under the hands of its backend.
pub const TTL_SECONDS_MIN: i64 = 60;
/// The longest time to live, 10 years.
pub const TTL_SECONDS_MAX: i64 = 10 * 366 * 24 * 3_600;
/// Years 1 to 9999, as RFC 3339 can write them, in seconds.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Collects what is wrong with a request.
#[derive(Debug, Default)]
pub struct Faults {
    found: Vec<Violation>,
    system_turns: usize,
}

impl Faults {
    /// Notes a faulty field; the request will be refused.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.found.push(Violation { field: field.into(), description: description.into() });
    }

    /// Notes a turn of the role `system`.
    pub fn add_system_turn(&mut self, field: impl Into<String>) {
        self.system_turns += 1;
        self.add(
            field,
            "must not be `system`: pin instructions on the session or send them with the request",
        );
    }

    /// Passes `value` on when nothing was wrong.
    ///
    /// # Errors
    /// `INVALID_REQUEST` with every faulty field; `SYSTEM_TURN` when there is no other fault.
    pub fn check<T>(self, value: Option<T>) -> Result<T, Failure> {
        if self.found.is_empty() {
            return Ok(value.expect("a value that is missing has been noted as a fault"));
        }
        if self.system_turns == self.found.len() {
            let message = self.found[0].description.clone();
            let failure = Failure::new(Reason::SystemTurn, format!("a role {message}"));
            let found = self.found.into_iter().take(VIOLATIONS_MAX);
            return Err(found.fold(failure, |f, fault| f.at(fault.field)));
        }
        Err(Failure::invalid(self.found))
    }

    /// Notes what is wrong with an id, under its field.
    fn id<T, E: std::fmt::Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.add(field, error.to_string())).ok()
    }

    /// A session id that must be there.
    pub fn session(&mut self, field: &str, text: &str) -> Option<SessionId> {
        self.id(field, SessionId::parse(text))
    }

    /// A session id that may be empty.
    pub fn optional_session(&mut self, field: &str, text: &str) -> Option<SessionId> {
        if text.is_empty() { None } else { self.session(field, text) }
    }

    /// A user id that may be empty.
    pub fn optional_user(&mut self, field: &str, text: &str) -> Option<UserId> {
        if text.is_empty() { None } else { self.id(field, UserId::parse(text)) }
    }

    /// A tenant id that may be empty.
    pub fn optional_tenant(&mut self, field: &str, text: &str) -> Option<TenantId> {
        if text.is_empty() { None } else { self.id(field, TenantId::parse(text)) }
    }

    /// A tenant id that must be there.
    pub fn tenant(&mut self, field: &str, text: &str) -> Option<TenantId> {
        self.id(field, TenantId::parse(text))
    }

    /// A collection id that must be there.
    pub fn collection(&mut self, field: &str, text: &str) -> Option<CollectionId> {
        self.id(field, CollectionId::parse(text))
    }

    /// A document id that must be there.
    pub fn document(&mut self, field: &str, text: &str) -> Option<DocumentId> {
        self.id(field, DocumentId::parse(text))
    }

    /// A request id, which may be empty.
    pub fn request_id(&mut self, text: &str) -> Option<RequestId> {
        if text.is_empty() {
            return None;
        }
        match uuid::Uuid::try_parse(text) {
            Ok(id) => Some(RequestId(id)),
            Err(_) => {
                self.add("request_id", "must be a UUID or empty");
                None
            }
        }
    }

    /// A seq; 0 is none.
    pub fn optional_seq(seq: u64) -> Option<Seq> {
        (seq > 0).then_some(Seq(seq))
    }

    /// A text with a limit in bytes.
    pub fn text(&mut self, field: &str, text: &str, bytes_max: usize) {
        if text.len() > bytes_max {
            self.add(field, format!("must be at most {bytes_max} bytes, is {}", text.len()));
        }
    }

    /// A text that must be there, with a limit in bytes.
    pub fn required_text(&mut self, field: &str, text: &str, bytes_max: usize) {
        if text.is_empty() {
            self.add(field, "must not be empty");
        }
        self.text(field, text, bytes_max);
    }

    /// Labels.
    pub fn metadata(&mut self, field: &str, metadata: &BTreeMap<String, String>) -> Metadata {
        if metadata.len() > LABELS_MAX {
            self.add(field, format!("must have at most {LABELS_MAX} entries"));
        }
        for (key, value) in metadata.iter().take(LABELS_MAX) {
            if key.is_empty() || key.len() > LABEL_KEY_BYTES_MAX {
                self.add(field, format!("keys must have 1 to {LABEL_KEY_BYTES_MAX} bytes"));
            }
            if value.len() > LABEL_VALUE_BYTES_MAX {
                let most = LABEL_VALUE_BYTES_MAX;
                self.add(format!("{field}[{key:.64}]"), format!("must be at most {most} bytes"));
            }
        }
        metadata.clone()
    }

    /// A moment, which may be missing.
    pub fn time(
        &mut self,
        field: &str,
        time: Option<&prost_types::Timestamp>,
    ) -> Option<Timestamp> {
        let time = time?;
        if !SECONDS.contains(&time.seconds) || !(0..1_000_000_000).contains(&time.nanos) {
            self.add(field, "must be a valid time of the years 1 to 9999");
            return None;
        }
        Some(Timestamp(time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000))
    }

    /// The border of a filter, which may be missing. What is finer than a millisecond is cut off
    /// the times of turns and documents, so that a border within one is the next one.
    pub fn border(
        &mut self,
        field: &str,
        time: Option<&prost_types::Timestamp>,
    ) -> Option<Timestamp> {
        let whole = self.time(field, time)?;
        let within = time.is_some_and(|time| time.nanos % 1_000_000 > 0);
        Some(Timestamp(whole.0 + i64::from(within)))
    }

    /// A time to live in milliseconds, which may be missing.
    pub fn ttl(&mut self, time: Option<&prost_types::Duration>) -> Option<u64> {
        let time = time?;
        if !(TTL_SECONDS_MIN..=TTL_SECONDS_MAX).contains(&time.seconds) || time.nanos < 0 {
            self.add("ttl", "must be 1 minute to 10 years");
            return None;
        }
        Some(time.seconds.unsigned_abs() * 1_000 + u64::from(time.nanos.unsigned_abs()) / 1_000_000)
    }

    /// The size of a page.
    pub fn page_size(&mut self, size: u32) -> u32 {
        if size > PAGE_SIZE_MAX {
            self.add("page_size", format!("must be at most {PAGE_SIZE_MAX}"));
        }
        if size == 0 { PAGE_SIZE_DEFAULT } else { size }
    }

    /// An enum of the wire; notes a number that it does not have.
    pub fn wire_enum<T: TryFrom<i32>>(&mut self, field: &str, value: i32) -> Option<T> {
        let parsed = T::try_from(value).ok();
        if parsed.is_none() {
            self.add(field, format!("`{value}` is no value of it"));
        }
        parsed
    }

    /// An IANA time zone; empty is UTC.
    pub fn time_zone(&mut self, name: &str) -> jiff::tz::TimeZone {
        if name.is_empty() {
            return jiff::tz::TimeZone::UTC;
        }
        jiff::tz::TimeZone::get(name).unwrap_or_else(|_| {
            self.add("time_zone", "must be an IANA time zone, for example `Europe/Zurich`");
            jiff::tz::TimeZone::UTC
        })
    }

    /// Shares in percent, and that of the documents, if it is given.
    pub fn shares(
        &mut self,
        field: &str,
        shares: &pb::Shares,
    ) -> Option<(crate::types::Shares, Option<u8>)> {
        let percent = |value: u32| u8::try_from(value.min(255)).unwrap_or(u8::MAX);
        let parsed = crate::types::Shares {
            summary_percent: percent(shares.summary_percent),
            recent_percent: percent(shares.recent_percent),
            retrieved_percent: percent(shares.retrieved_percent),
        };
        let documents = shares.documents_percent.map(percent);
        if parsed.fit(documents) {
            return Some((parsed, documents));
        }
        self.add(field, "must add up to at most 100 percent");
        None
    }
}
