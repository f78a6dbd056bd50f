//! Jobs: taken when they are due, kept by a heartbeat, done, tried again, or dead.

use std::time::Duration;

use crate::error::{Failure, Reason};
use crate::memory::{
    Memory, Page,
    rows::{revised, store_failure, unreadable},
};
use crate::record::{JobKind, JobRow, JobState, decode, keys};
use crate::sessions::{
    ATTEMPTS_MAX, Draft, LEASE_MS, Revised, plan_failed, plan_leased, plan_retried,
};
use crate::storage::{CommitError, Read};
use crate::telemetry::{JobOutcome, job_ended};
use crate::types::{Incarnation, TenantId, Timestamp};

/// How many due jobs one look reads: those that others hold by now are passed over.
const DUE_MAX: usize = 16;
/// How many jobs of a tenant are read at a time when only some states are wanted.
const PAGE_JOBS: usize = 1_000;

/// A job with its id in the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id: the incarnation of its session and its kind.
    pub id: String,
    /// The job.
    pub row: JobRow,
}

/// What became of one look for jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worked {
    /// A job was worked on: look again.
    Some,
    /// None is due before this moment; `None`: there is no job at all.
    Idle(Option<Timestamp>),
}

impl Job {
    fn new(row: JobRow) -> Self {
        let hex: String = row.incarnation.0.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { id: format!("{hex}-{}", row.kind as u8 as char), row }
    }

    /// The incarnation and the kind that an id names; `None` when it is none.
    fn parse(id: &str) -> Option<(Incarnation, JobKind)> {
        let (hex, kind) = id.split_once('-')?;
        let mut bytes = [0; 16];
        if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) || kind.len() != 1 {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
        }
        Some((Incarnation(bytes), JobKind::of(kind.as_bytes()[0])?))
    }
}

impl Memory {
    /// Works on one job that is due.
    ///
    /// # Errors
    /// What the store refuses. A job that fails is no error: it is tried again, or dead.
    pub async fn work_some(&self) -> Result<Worked, Failure> {
        let (from, _) = keys::jobs_until(Timestamp(0));
        let all = Read::range(from, keys::after_prefix(b"j")).limit(DUE_MAX);
        let rows = self.read(vec![all]).await?.remove(0);
        let now = self.now();
        for row in &rows {
            let Some((due, tenant, incarnation, kind)) = keys::job_named_by(&row.key) else {
                continue;
            };
            if due > now {
                return Ok(Worked::Idle(Some(due)));
            }
            let key = keys::job(&tenant, incarnation, kind);
            let job = self.get::<JobRow>(key).await?;
            let job = job.filter(|job| job.row.due_at == due && job.row.state != JobState::Dead);
            let Some(job) = job else {
                // The session is gone, or the job moved: nothing is filed here any more.
                let mut draft = Draft::new(tenant);
                draft.expect(row.key.to_vec(), Some(row.revision));
                draft.remove(row.key.to_vec());
                self.commit_job(draft).await?;
                continue;
            };
            if let Some(leased) = self.lease(&tenant, &job).await? {
                self.work(&tenant, leased).await?;
            }
            return Ok(Worked::Some);
        }
        match rows.len() == DUE_MAX {
            true => Ok(Worked::Some),
            false => Ok(Worked::Idle(None)),
        }
    }

    /// Takes or keeps a job; `None`: another worker was faster, or it is dead now.
    async fn lease(
        &self,
        tenant: &TenantId,
        job: &Revised<JobRow>,
    ) -> Result<Option<Revised<JobRow>>, Failure> {
        let (draft, leased) = plan_leased(tenant, job, self.now());
        match self.store.commit(draft.into_batch()).await {
            Ok(revision) => {
                if leased.is_none() {
                    job_ended(JobOutcome::Dead);
                }
                Ok(leased.map(|row| Revised { row, revision }))
            }
            Err(CommitError::Conflict { .. }) => Ok(None),
            Err(CommitError::Store(error)) => Err(store_failure(error)),
        }
    }

    /// Works on a leased job and keeps the lease until that ends.
    async fn work(&self, tenant: &TenantId, job: Revised<JobRow>) -> Result<(), Failure> {
        let lease = tokio::sync::Mutex::new(job);
        let worked = {
            let working = self.summarize_session(tenant, &lease);
            tokio::pin!(working);
            loop {
                let beat = Duration::from_millis(LEASE_MS.unsigned_abs() / 3);
                tokio::select! {
                    biased;
                    worked = &mut working => break worked,
                    () = tokio::time::sleep(beat) => self.prolong(tenant, &lease).await?,
                }
            }
        };
        let Err(failure) = worked else {
            job_ended(JobOutcome::Done);
            return Ok(());
        };
        let reason = failure.reason();
        if reason == Reason::ShuttingDown {
            return Err(failure);
        }
        let job = lease.into_inner();
        // Who looks for it finds its session by the id; the log names none.
        let id = Job::new(job.row.clone()).id;
        tracing::warn!(
            reason = reason.text(),
            job = id,
            attempts = job.row.attempts + 1,
            "a job failed: {failure}"
        );
        let jitter = f64::from(self.chance.secret32()[0]) / 255.0;
        let last = job.row.attempts + 1 >= ATTEMPTS_MAX;
        let draft = plan_failed(tenant, &job, reason.text(), jitter, self.now());
        self.commit_job(draft).await?;
        job_ended(if last { JobOutcome::Dead } else { JobOutcome::Failed });
        Ok(())
    }

    /// Prolongs a lease, unless the work is committing just now.
    async fn prolong(
        &self,
        tenant: &TenantId,
        lease: &tokio::sync::Mutex<Revised<JobRow>>,
    ) -> Result<(), Failure> {
        let Ok(mut job) = lease.try_lock() else { return Ok(()) };
        if let Some(longer) = self.lease(tenant, &job).await? {
            *job = longer;
        }
        Ok(())
    }

    /// Commits a change of a job; nothing when somebody else changed it meanwhile.
    pub(super) async fn commit_job(&self, draft: Draft) -> Result<(), Failure> {
        match self.store.commit(draft.into_batch()).await {
            Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
            Err(CommitError::Store(error)) => Err(store_failure(error)),
        }
    }

    /// A page of a tenant's jobs after `after`, in the order of ids; with `state` only those in it.
    ///
    /// # Errors
    /// What the store refuses.
    pub async fn list_jobs(
        &self,
        tenant: &TenantId,
        state: Option<JobState>,
        after: Option<&str>,
        size: usize,
    ) -> Result<Page<Job>, Failure> {
        let prefix = keys::jobs_of_tenant(tenant);
        let from = match after.and_then(Job::parse) {
            Some((incarnation, kind)) => {
                let mut after = keys::job(tenant, incarnation, kind);
                after.push(0);
                after
            }
            None => prefix.clone(),
        };
        let all = Read::range(from, keys::after_prefix(&prefix)).limit(PAGE_JOBS);
        let rows = self.read(vec![all]).await?.remove(0);
        let (mut items, mut last) = (Vec::new(), None);
        for row in &rows {
            if items.len() == size {
                return Ok(Page { items, last, more: true });
            }
            let job = Job::new(decode(&row.value).map_err(unreadable)?);
            last = Some(job.id.clone());
            if state.is_none_or(|state| state == job.row.state) {
                items.push(job);
            }
        }
        Ok(Page { items, last, more: rows.len() == PAGE_JOBS })
    }

    /// Makes a job due now, with its attempts forgotten.
    ///
    /// # Errors
    /// `JOB_NOT_FOUND`; `JOB_LEASED` while a worker holds it; `CONTENTION` and what the store
    /// refuses.
    pub async fn retry_job(&self, tenant: &TenantId, id: &str) -> Result<Job, Failure> {
        let missing = || Failure::new(Reason::JobNotFound, format!("no job `{id:.64}`"));
        let (incarnation, kind) = Job::parse(id).ok_or_else(missing)?;
        let key = keys::job(tenant, incarnation, kind);
        let rows = self.read(vec![Read::get(key)]).await?.remove(0);
        let job = revised::<JobRow>(&rows)?.ok_or_else(missing)?;
        let leased = || Failure::new(Reason::JobLeased, "a worker holds the job");
        let (draft, next) = plan_retried(tenant, &job, self.now()).ok_or_else(leased)?;
        match self.store.commit(draft.into_batch()).await {
            Ok(_) => Ok(Job::new(next)),
            Err(CommitError::Conflict { .. }) => {
                Err(Failure::new(Reason::Contention, "the job changed meanwhile")
                    .retry_after(Duration::from_millis(50)))
            }
            Err(CommitError::Store(error)) => Err(store_failure(error)),
        }
    }
}
