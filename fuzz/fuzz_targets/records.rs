//! Stored rows: what does not decode is refused, what decodes comes back the same, and an audit of
//! any rows comes to its end.
#![no_main]

use std::collections::BTreeMap;
use std::fmt::Debug;

use keepsake::audit::Audit;
use keepsake::record::{
    ApiKeyRow, ChangeRow, DerivedRow, Head, JobRow, PendingRow, PendingSession, RepeatRow,
    SummaryRow, TenantRow, UserHead, VectorRow, decode, encode, keys,
};
use keepsake::storage::{Revision, Row};
use keepsake::types::{Policy, Timestamp, Turn};
use libfuzzer_sys::fuzz_target;

/// A row that decodes is written as it was read.
macro_rules! check {
    ($bytes:expr => $($row:ty),*) => {
        $(if let Ok(row) = decode::<$row>($bytes) {
            let again = decode::<$row>(&encode(&row)).expect("what is written is read");
            // By their text: a number that is none equals nothing.
            assert_eq!(text(&row), text(&again));
        })*
    };
}

fn text(row: &impl Debug) -> String {
    format!("{row:?}")
}

fuzz_target!(|input: (Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>)| {
    let (bytes, rows) = input;
    check!(&bytes => ApiKeyRow, ChangeRow, DerivedRow, Head, JobRow, PendingRow, PendingSession,
        RepeatRow, SummaryRow, TenantRow, UserHead, VectorRow, Policy, Turn);
    let mut audit = Audit::new(Timestamp(0), true);
    for (key, value) in rows {
        keys::job_named_by(&key);
        keys::session_named_by(&key);
        keys::pending_named_by(&key);
        keys::incarnation_named_by(&key);
        keys::last_id(&key);
        if !key.is_empty() {
            let row = Row { key: key.into(), revision: Revision(1), value: value.into() };
            audit.row(&row);
        }
    }
    audit.end();
});
