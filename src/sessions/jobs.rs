//! Jobs as rows: queued with what caused them, leased, retried, dead.

use crate::planted::{self, Bug};
use crate::record::{Head, JobKind, JobRow, JobState, keys};
use crate::sessions::{Draft, Revised};
use crate::types::{SessionId, TenantId, Timestamp};

/// How long a lease lasts unless it is prolonged, in milliseconds: a worker that died is followed
/// by another within a minute.
pub const LEASE_MS: i64 = 60_000;

/// How often a job is tried: with the times between, for some two hours.
pub const ATTEMPTS_MAX: u32 = 12;

/// The longest time between two attempts, in milliseconds.
const BACKOFF_MS_MAX: i64 = 30 * 60_000;

/// How long to wait after so many failed attempts, in milliseconds: one second, doubled each time
/// up to half an hour, less up to a quarter of it by `jitter` (0 to 1), so that jobs that failed
/// together are not tried again together.
pub fn backoff_ms(attempts: u32, jitter: f64) -> i64 {
    let doubled = 1_000_i64 << attempts.saturating_sub(1).min(20);
    let longest = doubled.min(BACKOFF_MS_MAX);
    longest - (longest as f64 * 0.25 * jitter.clamp(0.0, 1.0)) as i64
}

/// Queues a job of a session unless it has one of the kind.
pub(super) fn queue_job(
    draft: &mut Draft,
    session: &SessionId,
    head: &mut Head,
    kind: JobKind,
    due_at: Timestamp,
    now: Timestamp,
) {
    if head.jobs.has(kind) {
        return;
    }
    head.jobs = head.jobs.with(kind);
    if planted::has(Bug::LoseJob) {
        return;
    }
    let job = JobRow {
        kind,
        session: session.clone(),
        incarnation: head.incarnation,
        state: JobState::Waiting,
        due_at,
        attempts: 0,
        last_reason: String::new(),
        created_at: now,
    };
    write(draft, None, &job);
}

/// Writes a job and files it by its time, in place of what it was before.
fn write(draft: &mut Draft, before: Option<&Revised<JobRow>>, job: &JobRow) {
    let key = keys::job(draft.tenant(), job.incarnation, job.kind);
    if let Some(before) = before {
        draft.expect(key.clone(), Some(before.revision));
        draft.remove(keys::job_by_due(before.row.due_at, &key));
    }
    if job.state != JobState::Dead {
        draft.put_name(keys::job_by_due(job.due_at, &key));
    }
    draft.put(key, job);
}

/// Plans that a worker takes or keeps a job until its lease ends. A lease that ended without the
/// job being done counts as an attempt; after the last one the job is dead, and `None` is given.
pub fn plan_leased(
    tenant: &TenantId,
    job: &Revised<JobRow>,
    now: Timestamp,
) -> (Draft, Option<JobRow>) {
    let given_up = job.row.state == JobState::Leased && job.row.due_at <= now;
    let attempts = job.row.attempts + u32::from(given_up);
    let dead = attempts >= ATTEMPTS_MAX;
    let next = JobRow {
        state: if dead { JobState::Dead } else { JobState::Leased },
        due_at: if dead { now } else { Timestamp(now.0.saturating_add(LEASE_MS)) },
        attempts,
        last_reason: if given_up { "GIVEN_UP".to_owned() } else { job.row.last_reason.clone() },
        ..job.row.clone()
    };
    let mut draft = Draft::new(tenant.clone());
    write(&mut draft, Some(job), &next);
    (draft, (!dead).then_some(next))
}

/// Plans that a job waits until `due_at`, with no attempt counted.
pub fn plan_due(tenant: &TenantId, job: &Revised<JobRow>, due_at: Timestamp) -> Draft {
    let next = JobRow { state: JobState::Waiting, due_at, ..job.row.clone() };
    let mut draft = Draft::new(tenant.clone());
    write(&mut draft, Some(job), &next);
    draft
}

/// Plans that an attempt failed: the job waits and is tried again, or is dead after the last one.
pub fn plan_failed(
    tenant: &TenantId,
    job: &Revised<JobRow>,
    reason: &str,
    jitter: f64,
    now: Timestamp,
) -> Draft {
    let attempts = job.row.attempts + 1;
    let dead = attempts >= ATTEMPTS_MAX;
    let wait = if dead { 0 } else { backoff_ms(attempts, jitter) };
    let next = JobRow {
        state: if dead { JobState::Dead } else { JobState::Waiting },
        due_at: Timestamp(now.0.saturating_add(wait)),
        attempts,
        last_reason: reason.to_owned(),
        ..job.row.clone()
    };
    let mut draft = Draft::new(tenant.clone());
    write(&mut draft, Some(job), &next);
    draft
}

/// Plans that an operator wants a job tried again now. A job that a worker holds is left to it:
/// `None`.
pub fn plan_retried(
    tenant: &TenantId,
    job: &Revised<JobRow>,
    now: Timestamp,
) -> Option<(Draft, JobRow)> {
    if job.row.state == JobState::Leased && job.row.due_at > now {
        return None;
    }
    let next = JobRow { state: JobState::Waiting, due_at: now, attempts: 0, ..job.row.clone() };
    let mut draft = Draft::new(tenant.clone());
    write(&mut draft, Some(job), &next);
    Some((draft, next))
}

/// Plans the end of a job: it is gone, and the session may have another of its kind. `tail_tokens`
/// is what the job found to be unsummarized. The change of the session stays: nothing that a
/// context shows is touched.
pub fn plan_done(
    tenant: &TenantId,
    job: &Revised<JobRow>,
    head: &Revised<Head>,
    tail_tokens: u64,
) -> Draft {
    let mut draft = Draft::new(tenant.clone());
    let session = &job.row.session;
    let key = keys::job(tenant, job.row.incarnation, job.row.kind);
    draft.expect(key.clone(), Some(job.revision));
    draft.expect_head(session, Some(head));
    draft.remove(keys::job_by_due(job.row.due_at, &key));
    draft.remove(key);
    let jobs = head.row.jobs.without(job.row.kind);
    draft.put(keys::head(tenant, session), &Head { jobs, tail_tokens, ..head.row.clone() });
    draft
}
