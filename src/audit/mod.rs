//! Whether the rows of a store fit each other, and what mends those that are derived. Pure.
//! In: every row, in the order of the keys. Out: what does not fit, by check, and the writes that
//! mend it.
//! Invariant: no write touches a turn, a tenant, a key or a repeat; a store that is mended once is
//! found sound the next time, but for what only a person can mend.

mod fits;
mod life;
mod lists;
mod report;
mod shelves;
mod spans;

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;

use crate::record::{Head, JobKind, JobRow, decode, keys};
use crate::storage::{Batch, Row};
use crate::types::{Incarnation, SessionId, TenantId, Timestamp};

pub use report::{Check, Finding, Level, Outcome, Report};

use life::Life;
use lists::Lists;
use shelves::Shelves;

/// The first key of what an incarnation holds.
const LIFE: u8 = b'i';

/// Looks at the rows of a store.
pub struct Audit {
    now: Timestamp,
    /// Whether turns are to have vectors.
    embeds: bool,
    report: Report,
    owners: BTreeMap<Incarnation, Owner>,
    jobs: BTreeMap<(Incarnation, JobKind), Job>,
    lists: Lists,
    shelves: Shelves,
    life: Option<Life>,
    /// The lives that have rows, with whether turns of theirs wait for vectors.
    lives: BTreeMap<Incarnation, bool>,
    mends: Vec<Batch>,
    /// Whether rows cannot be read: what seems to belong to nobody may belong to one of them.
    has_losses: bool,
}

/// The session that a life belongs to.
struct Owner {
    tenant: TenantId,
    session: SessionId,
    head: Head,
}

impl Owner {
    fn name(&self) -> String {
        format!("{}/{}", self.tenant, self.session)
    }
}

/// A job, and its tenant.
struct Job {
    tenant: TenantId,
    row: JobRow,
}

/// What was found, and how to mend it.
pub struct Examined {
    /// What was found.
    pub report: Report,
    /// The writes that mend what can be mended, in an order in which they can be made.
    pub mends: Vec<Batch>,
    /// Lives whose rows belong to nobody: all under them is to be removed.
    pub orphans: BTreeSet<Incarnation>,
}

impl Audit {
    /// Has seen no row. `embeds`: turns are to have vectors, or to wait for them.
    pub fn new(now: Timestamp, embeds: bool) -> Self {
        Self {
            now,
            embeds,
            report: Report::default(),
            owners: BTreeMap::new(),
            jobs: BTreeMap::new(),
            lists: Lists::default(),
            shelves: Shelves::default(),
            life: None,
            lives: BTreeMap::new(),
            mends: Vec::new(),
            has_losses: false,
        }
    }

    /// Takes the next row; rows come in the order of their keys.
    pub fn row(&mut self, row: &Row) {
        self.report.looked_at(Check::Rows);
        if row.key.first() == Some(&LIFE) {
            self.row_of_life(row);
            return;
        }
        self.end_life();
        let known = match row.key.first() {
            Some(b'S') => self.head(row),
            Some(b'J') => self.job(row),
            Some(b'C' | b'c' | b'F' | b'f' | b'g' | b'l' | b'q') => self.of_documents(row),
            _ => self.lists.row(row, &mut self.report),
        };
        if !known {
            self.unreadable(row);
        }
    }

    fn of_documents(&mut self, row: &Row) -> bool {
        let taken = self.shelves.row(row);
        taken.into_iter().for_each(|check| self.report.looked_at(check));
        taken.is_some()
    }

    fn unreadable(&mut self, row: &Row) {
        self.has_losses = true;
        let subject = row.key.escape_ascii().to_string();
        self.report.bad(Check::Rows, subject, "is no row that this version writes");
    }

    fn head(&mut self, row: &Row) -> bool {
        let Some((tenant, session)) = two_ids(&row.key) else { return false };
        let (tenant, session) = (TenantId::parse(tenant), SessionId::parse(session));
        let (Ok(tenant), Ok(session)) = (tenant, session) else { return false };
        let Some(head) = value::<Head>(row) else { return false };
        let incarnation = head.incarnation;
        let owner = Owner { tenant, session, head };
        let name = owner.name();
        if let Some(other) = self.owners.insert(incarnation, owner) {
            self.report.bad(Check::Turns, name, &format!("shares its turns with {}", other.name()));
        }
        true
    }

    fn job(&mut self, row: &Row) -> bool {
        let Some(job) = value::<JobRow>(row) else { return false };
        let key = row.key.get(1..).unwrap_or_default();
        let end = key.iter().position(|byte| *byte == 0).unwrap_or_default();
        let tenant = std::str::from_utf8(&key[..end]).ok().and_then(|t| TenantId::parse(t).ok());
        let Some(tenant) = tenant else { return false };
        if keys::job(&tenant, job.incarnation, job.kind) != row.key[..] {
            return false;
        }
        self.jobs.insert((job.incarnation, job.kind), Job { tenant, row: job });
        true
    }

    fn row_of_life(&mut self, row: &Row) {
        let Some(incarnation) = row.key.get(1..17).and_then(|bytes| bytes.try_into().ok()) else {
            self.unreadable(row);
            return;
        };
        let incarnation = Incarnation(incarnation);
        if self.life.as_ref().is_none_or(|life| life.incarnation != incarnation) {
            self.end_life();
            self.life = Some(Life::new(incarnation));
        }
        let known = self.life.as_mut().is_some_and(|life| life.row(row));
        if !known {
            self.unreadable(row);
        }
    }

    /// Holds a life that is whole now against its head.
    fn end_life(&mut self) {
        let Some(life) = self.life.take() else { return };
        self.lives.insert(life.incarnation, life.waits());
        let Some(owner) = self.owners.get(&life.incarnation) else { return };
        let batch = life.fit(owner, self.embeds, self.now, &mut self.report, &mut self.jobs);
        self.mends.extend(batch);
    }

    /// Holds the lists against what they list, after the last row.
    pub fn end(mut self) -> Examined {
        self.end_life();
        for owner in self.owners.values().filter(|o| !self.lives.contains_key(&o.head.incarnation))
        {
            // A session without a turn has at least the row of its creation.
            let life = Life::new(owner.head.incarnation);
            let batch = life.fit(owner, self.embeds, self.now, &mut self.report, &mut self.jobs);
            self.mends.extend(batch);
        }
        let jobs = self.jobs();
        let orphans = self.orphans();
        let Self { lists, shelves, owners, lives, mut report, mut mends, has_losses, .. } = self;
        let lists = lists.fit(&owners, &lives, &mut report);
        let shelves = shelves.fit(&mut report);
        if has_losses {
            return Examined { report, mends, orphans: BTreeSet::new() };
        }
        mends.extend([jobs, lists, shelves]);
        Examined { report, mends, orphans }
    }

    /// Lives that neither a session nor a purge stands for.
    fn orphans(&mut self) -> BTreeSet<Incarnation> {
        let mut orphans = BTreeSet::new();
        for incarnation in self.lives.keys() {
            let owned = self.owners.contains_key(incarnation);
            if owned || self.lists.purges.contains_key(incarnation) {
                continue;
            }
            let what = "its rows belong to no session, and nothing is about to remove them";
            self.report.mendable(Check::Purges, hex(*incarnation), what);
            orphans.insert(*incarnation);
        }
        orphans
    }

    /// Holds the jobs against their sessions and against the list by time.
    fn jobs(&mut self) -> Batch {
        let filed = std::mem::take(&mut self.lists.filed);
        let mut batch = Batch::new();
        for ((incarnation, kind), job) in &self.jobs {
            self.report.looked_at(Check::Jobs);
            let key = keys::job(&job.tenant, *incarnation, *kind);
            let by_due = keys::job_by_due(job.row.due_at, &key);
            if !self.owners.contains_key(incarnation) {
                let what = "a job for a session that is gone";
                self.report.mendable(Check::Jobs, hex(*incarnation), what);
                batch = batch.delete(key).delete(by_due);
                continue;
            }
            let name = format!("{}/{}", job.tenant, job.row.session);
            if job.row.state == crate::record::JobState::Dead {
                let what = format!("gave up, last {}: `keepsake jobs retry`", job.row.last_reason);
                self.report.warn(Check::Jobs, name, &what);
            } else if !filed.contains(&by_due) {
                self.report.mendable(Check::Jobs, name, "a job that no worker would find");
                batch = batch.put(by_due, Vec::new());
            }
        }
        batch
    }
}

/// The two ids of a key: a letter, an id, NUL, an id.
fn two_ids(key: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(key.get(1..)?).ok()?.split_once('\0')
}

/// The value of a row, when it is one.
fn value<T: DeserializeOwned>(row: &Row) -> Option<T> {
    decode(&row.value).ok()
}

fn hex(incarnation: Incarnation) -> String {
    incarnation.0.iter().map(|byte| format!("{byte:02x}")).collect()
}
