//! What was found, by check.

use std::collections::BTreeMap;

/// How many findings of a check are kept; more are counted.
const FINDINGS_MAX: usize = 20;

/// How bad something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// All is as it must be.
    #[default]
    Ok,
    /// Nothing is wrong yet, or it mends itself.
    Warn,
    /// Something is wrong.
    Bad,
}

impl Level {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Each row is of a kind and an encoding that this version reads.
    Rows,
    /// Heads against their turns: how many there are, how many live, the last seq.
    Turns,
    /// What is derived from turns at append.
    Derived,
    /// Vectors and rows that wait for them, against turns.
    Vectors,
    /// Summaries against the turns that they cover.
    Summaries,
    /// Jobs against sessions, and against the list by time.
    Jobs,
    /// External ids against turns.
    ExternalIds,
    /// Users and the lists of their sessions, against sessions.
    Users,
    /// The list of sessions by their end.
    Ends,
    /// What deletions left behind.
    Purges,
    /// Repeats and their list by age.
    Repeats,
    /// Tenants, their policies and keys.
    Tenants,
    /// Documents and uploads against collections and contents.
    Documents,
}

impl Check {
    /// All checks, in the order in which they are told.
    pub const ALL: [Self; 13] = [
        Self::Rows,
        Self::Turns,
        Self::Derived,
        Self::Vectors,
        Self::Summaries,
        Self::Jobs,
        Self::ExternalIds,
        Self::Users,
        Self::Ends,
        Self::Purges,
        Self::Repeats,
        Self::Tenants,
        Self::Documents,
    ];

    /// Its name.
    pub fn text(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Turns => "turns",
            Self::Derived => "derived rows",
            Self::Vectors => "vectors",
            Self::Summaries => "summaries",
            Self::Jobs => "jobs",
            Self::ExternalIds => "external ids",
            Self::Users => "users",
            Self::Ends => "ends of sessions",
            Self::Purges => "purges",
            Self::Repeats => "repeats",
            Self::Tenants => "tenants and keys",
            Self::Documents => "documents",
        }
    }
}

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What it is about: `tenant/session`, an id, a key. Never content.
    pub subject: String,
    /// What is wrong.
    pub what: String,
    /// Whether it is mended by writing what is derived anew.
    pub mendable: bool,
}

/// What became of one check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many things were looked at.
    pub looked_at: u64,
    /// How many do not fit.
    pub count: u64,
    /// How bad the worst is.
    pub level: Level,
    /// Whether all that is wrong can be mended.
    pub mendable: bool,
    /// The first of them.
    pub findings: Vec<Finding>,
}

/// What was found, by check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    outcomes: BTreeMap<Check, Outcome>,
}

impl Report {
    /// What became of a check.
    pub fn outcome(&self, check: Check) -> Outcome {
        self.outcomes.get(&check).cloned().unwrap_or_default()
    }

    /// How bad the worst is.
    pub fn level(&self) -> Level {
        self.outcomes.values().map(|outcome| outcome.level).max().unwrap_or_default()
    }

    pub(super) fn looked_at(&mut self, check: Check) {
        self.outcomes.entry(check).or_default().looked_at += 1;
    }

    /// Something that a person has to look at.
    pub(super) fn bad(&mut self, check: Check, subject: String, what: &str) {
        self.note(check, Level::Bad, subject, what, false);
    }

    /// Something wrong that is derived, and can be derived anew.
    pub(super) fn mendable(&mut self, check: Check, subject: String, what: &str) {
        self.note(check, Level::Bad, subject, what, true);
    }

    /// Something that is no harm.
    pub(super) fn warn(&mut self, check: Check, subject: String, what: &str) {
        self.note(check, Level::Warn, subject, what, false);
    }

    fn note(&mut self, check: Check, level: Level, subject: String, what: &str, mendable: bool) {
        let outcome = self.outcomes.entry(check).or_default();
        if level == Level::Bad {
            outcome.mendable = mendable && (outcome.mendable || outcome.level < Level::Bad);
        }
        outcome.count += 1;
        outcome.level = outcome.level.max(level);
        if outcome.findings.len() < FINDINGS_MAX {
            let what = what.to_owned();
            outcome.findings.push(Finding { level, subject, what, mendable });
        }
    }
}
