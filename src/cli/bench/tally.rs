//! What became of calls: how many, how long they took, why they were refused.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use tonic::Status;
use tonic_types::StatusExt;

use crate::cli::error::code_of;
use crate::proto::v1;

/// Digits of a time that count: a percentile is at most a thousandth off.
const DIGITS: u8 = 3;

/// The longest time that is told apart, in microseconds: an hour, longer than any deadline.
const TIME_MAX_MICROS: u64 = 3_600_000_000;

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// AppendTurns of one turn.
    Append,
    /// BuildContext of one session.
    Context,
    /// Search in a collection of documents.
    Search,
    /// BuildContext with a collection of documents.
    Passages,
}

impl Operation {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Context => "context",
            Self::Search => "search",
            Self::Passages => "passages",
        }
    }
}

/// How long calls took, in microseconds.
#[derive(Debug, Clone)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        let times = Histogram::new_with_max(TIME_MAX_MICROS, DIGITS);
        Self(times.expect("the bounds and digits are allowed"))
    }
}

impl Times {
    fn note(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros);
    }

    fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    /// How many were noted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time in milliseconds that `percent` of the calls did not exceed; 0 of none.
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        self.0.value_at_percentile(percent) as f64 / 1e3
    }

    /// The longest time, in milliseconds.
    pub fn max_ms(&self) -> f64 {
        self.0.max() as f64 / 1e3
    }
}

/// What became of the calls of a row. Those sent during the warm-up are not in it.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Calls that were answered, by what they do.
    pub done: BTreeMap<Operation, Times>,
    /// Calls that were refused or failed, by what they do and why.
    pub refused: BTreeMap<(Operation, String), Times>,
    /// Answers and refusals that came while the row was measured, those of calls of the warm-up
    /// included: what the server got done, however late calls come back after the end.
    pub ended: (u64, u64),
    /// Calls of an open loop that were never sent, because too many were under way.
    pub unsent: u64,
    /// How late calls of an open loop were sent: the load generator's own fault.
    pub late: Times,
    /// Contexts that lacked something, by what.
    pub degraded: BTreeMap<&'static str, u64>,
    /// Tokens of all contexts.
    pub used_tokens: u64,
    /// Turns in scope of contexts that are searched by meaning, and those that have their vectors.
    pub coverage: (u64, u64),
}

impl Tally {
    /// Notes an answer or a refusal.
    pub fn note<T>(&mut self, operation: Operation, time: Duration, answer: &Result<T, Status>) {
        let times = match answer {
            Ok(_) => self.done.entry(operation).or_default(),
            Err(status) => self.refused.entry((operation, why(status))).or_default(),
        };
        times.note(time);
    }

    /// Notes that an answer or a refusal came while the row was measured.
    pub fn note_end(&mut self, is_answer: bool) {
        self.ended.0 += u64::from(is_answer);
        self.ended.1 += u64::from(!is_answer);
    }

    /// Notes what a context holds and lacks.
    pub fn note_context(&mut self, context: &v1::BuildContextResponse) {
        self.used_tokens += u64::from(context.used_tokens);
        for lack in context.degraded() {
            *self.degraded.entry(lack.as_str_name()).or_default() += 1;
        }
        if let Some(vectors) = &context.vectors {
            self.coverage.0 += vectors.turns;
            self.coverage.1 += vectors.turns_embedded;
        }
    }

    /// Notes how late a call of an open loop was sent.
    pub fn note_late(&mut self, late: Duration) {
        self.late.note(late);
    }

    /// Adds what another thread noted.
    pub fn add(&mut self, other: &Self) {
        for (operation, times) in &other.done {
            self.done.entry(*operation).or_default().add(times);
        }
        for (key, times) in &other.refused {
            self.refused.entry(key.clone()).or_default().add(times);
        }
        for (lack, count) in &other.degraded {
            *self.degraded.entry(lack).or_default() += count;
        }
        self.ended.0 += other.ended.0;
        self.ended.1 += other.ended.1;
        self.unsent += other.unsent;
        self.late.add(&other.late);
        self.used_tokens += other.used_tokens;
        self.coverage.0 += other.coverage.0;
        self.coverage.1 += other.coverage.1;
    }

    /// How many calls were answered.
    pub fn done_count(&self) -> u64 {
        self.done.values().map(Times::count).sum()
    }

    /// How many calls were refused or failed.
    pub fn refused_count(&self) -> u64 {
        self.refused.values().map(Times::count).sum()
    }

    /// The times of all calls that were answered.
    pub fn all_done(&self) -> Times {
        let mut all = Times::default();
        self.done.values().for_each(|times| all.add(times));
        all
    }

    /// The times of all calls that were refused.
    pub fn all_refused(&self) -> Times {
        let mut all = Times::default();
        self.refused.values().for_each(|times| all.add(times));
        all
    }
}

/// The code of a refusal, and its reason when it gives one.
fn why(status: &Status) -> String {
    let code = code_of(status);
    match status.get_details_error_info() {
        Some(info) => format!("{code} {}", info.reason),
        None => code.to_owned(),
    }
}
