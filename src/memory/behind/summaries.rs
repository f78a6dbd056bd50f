//! Summaries of a session: what is due is planned on the copy in memory, made, and committed with
//! the head as precondition.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::Mutex;

use crate::context::{LAYOUT_VERSION, count_lines};
use crate::error::{Failure, Reason};
use crate::memory::{Memory, Page, partition::Partition, partitions::Shared, rows::unreadable};
use crate::planted::{self, Bug};
use crate::pool::{Pool, compute};
use crate::record::{ChangeRow, Head, JobKind, JobRow, SummaryMethod, SummaryRow, decode, keys};
use crate::sessions::{
    Draft, LEASE_MS, Revised, Summarized, marks, plan_done, plan_due, plan_summary, rests_at,
};
use crate::storage::{Batch, Read};
use crate::summarize::{
    Span, Step, Summary, TurnSize, condense, frontier, next, summarize, tokens_of,
};
use crate::telemetry::summarized;
use crate::tokens::Tokenizer;
use crate::types::{Change, Policy, SessionId, TenantId, Timestamp, Turn};

/// How many summaries one lease makes; what is left is due again at once, behind other jobs.
const STEPS_MAX: usize = 64;

/// What counts the tokens of summaries while they are made, whatever the model of the tenant is: a
/// changed policy changes no summary.
const SUMMARY_TOKENIZER: &str = "o200k_base";

/// What a look at a session found.
struct Look {
    /// The change of the copy that was looked at.
    at: Change,
    /// The summary that is due, made.
    made: Option<Summary>,
    /// How many tokens of living turns no summary covers, that one not counted.
    tail_tokens: u64,
}

impl Memory {
    /// Makes the summaries that a session's job is for, and ends the job.
    pub(super) async fn summarize_session(
        &self,
        tenant: &TenantId,
        lease: &Mutex<Revised<JobRow>>,
    ) -> Result<(), Failure> {
        let job = lease.lock().await.row.clone();
        let policy = self.get_tenant(tenant).await?.policy;
        for _ in 0..STEPS_MAX {
            let found = self.partition(tenant, &job.session, &policy.retrieval.language).await?;
            let found = found.filter(|(head, _)| head.incarnation == job.incarnation);
            let Some((head, copy)) = found else { return self.forget_job(tenant, lease).await };
            let idle = job.kind == JobKind::SummarizeIdle;
            if idle && let Some(due) = rests_at(&head, &policy.summaries, self.now()) {
                let lease = lease.lock().await;
                return self.commit_job(plan_due(tenant, &lease, due)).await;
            }
            let look = look(self.pool.as_ref(), copy, policy.clone(), idle).await?;
            let Some(made) = look.made else {
                if self.end_job(tenant, lease, look.at, look.tail_tokens).await? {
                    return Ok(());
                }
                continue;
            };
            let tokenizers = self.tokenizers(tenant, &policy);
            let counts = tokenizers
                .iter()
                .map(|tokenizer| (tokenizer.key().to_owned(), count_lines(&made, tokenizer)));
            let row = SummaryRow {
                layout_version: LAYOUT_VERSION,
                counts: counts.collect(),
                summary: made,
                method: SummaryMethod::Extractive,
                created_at: self.now(),
            };
            self.keep_summary(tenant, &job, look.at, row).await?;
        }
        let lease = lease.lock().await;
        self.commit_job(plan_due(tenant, &lease, self.now())).await
    }

    /// Commits a summary that was made at a change, when since then turns were only appended and
    /// embedded: then the session still calls for the same.
    async fn keep_summary(
        &self,
        tenant: &TenantId,
        job: &JobRow,
        at: Change,
        mut row: SummaryRow,
    ) -> Result<(), Failure> {
        if planted::has(Bug::OverlapSummaries) {
            row.summary.span.first_seq.0 = row.summary.span.first_seq.0.saturating_sub(1).max(1);
        }
        let session = &job.session;
        let covered: u64 = match row.summary.span.level {
            0 => row.summary.source_tokens,
            _ => 0,
        };
        let planned = AtomicBool::new(false);
        let planned_now = &planned;
        let found = self
            .behind(tenant, session, job.incarnation, |head, user| {
                let row = row.clone();
                async move {
                    let grew = self.only_grew(&head.row, at).await?;
                    planned_now.store(grew, Relaxed);
                    if !grew {
                        return Ok(Draft::new(tenant.clone()));
                    }
                    let tail_tokens = head.row.tail_tokens.saturating_sub(covered);
                    let (head, user) = (&head, user.as_ref());
                    Ok(plan_summary(tenant, &Summarized { session, head, user, row, tail_tokens }))
                }
            })
            .await?;
        if found && planned.into_inner() {
            summarized();
        }
        Ok(())
    }

    /// Whether nothing but appends, vectors and settings came after a change.
    async fn only_grew(&self, head: &Head, since: Change) -> Result<bool, Failure> {
        if head.change == since {
            return Ok(true);
        }
        let range = Read::range(
            keys::change(head.incarnation, since.next()),
            keys::change(head.incarnation, head.change.next()),
        );
        let rows = self.read(vec![range]).await?.remove(0);
        let mut grew = rows.len() as u64 == head.change.0.saturating_sub(since.0);
        for row in &rows {
            let row: ChangeRow = decode(&row.value).map_err(unreadable)?;
            grew &= row.superseded_from.is_none() && row.erased.is_empty() && !row.summaries;
        }
        Ok(grew)
    }

    /// Ends a job that found nothing due at a change. `false`: the session changed meanwhile.
    async fn end_job(
        &self,
        tenant: &TenantId,
        lease: &Mutex<Revised<JobRow>>,
        at: Change,
        tail_tokens: u64,
    ) -> Result<bool, Failure> {
        let job = lease.lock().await;
        let same = AtomicBool::new(false);
        let found = self
            .behind(tenant, &job.row.session, job.row.incarnation, |head, _| {
                let is_same = head.row.change == at;
                same.store(is_same, Relaxed);
                let draft = match is_same {
                    true => plan_done(tenant, &job, &head, tail_tokens),
                    false => Draft::new(tenant.clone()),
                };
                async move { Ok(draft) }
            })
            .await?;
        Ok(!found || same.into_inner())
    }

    /// Removes a job whose session is gone. One that has ended and is still there keeps it: should
    /// the clock be set back, the session lives, and has its job.
    async fn forget_job(
        &self,
        tenant: &TenantId,
        lease: &Mutex<Revised<JobRow>>,
    ) -> Result<(), Failure> {
        let job = lease.lock().await;
        let head = self.get::<Head>(keys::head(tenant, &job.row.session)).await?;
        if head.is_some_and(|head| head.row.incarnation == job.row.incarnation) {
            let later = Timestamp(self.now().0.saturating_add(LEASE_MS));
            return self.commit_job(plan_due(tenant, &job, later)).await;
        }
        let key = keys::job(tenant, job.row.incarnation, job.row.kind);
        let by_due = keys::job_by_due(job.row.due_at, &key);
        self.commit_plain(Batch::new().delete(by_due).delete(key)).await.map(drop)
    }

    /// A page of a session's summaries with whether each is on the frontier, after the one that
    /// `after` names.
    ///
    /// # Errors
    /// `SESSION_NOT_FOUND` and what the store refuses.
    pub async fn list_summaries(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        after: Option<&str>,
        size: usize,
    ) -> Result<Page<(SummaryRow, bool)>, Failure> {
        let incarnation = self.existing(tenant, session).await?.row.incarnation;
        let rows = self.read(vec![Read::prefix(keys::summaries(incarnation))]).await?.remove(0);
        let rows: Vec<SummaryRow> = rows
            .iter()
            .map(|row| decode(&row.value).map_err(unreadable))
            .collect::<Result<_, _>>()?;
        let spans: Vec<Span> = rows.iter().map(|row| row.summary.span).collect();
        let on = frontier(&spans);
        // The summary that is named may be gone: the page begins with what follows its place.
        let place = |span: &Span| (span.first_seq.0, span.level);
        let after = after.and_then(|name| name.split_once('-'));
        let after = after.and_then(|(seq, level)| Some((seq.parse().ok()?, level.parse().ok()?)));
        let start = after.map_or(0, |after| spans.partition_point(|span| place(span) <= after));
        let end = rows.len().min(start + size);
        let last = end.checked_sub(1).map(|at| place(&spans[at]));
        let last = last.map(|(seq, level)| format!("{seq}-{level}"));
        let more = end < rows.len();
        let items = rows.into_iter().enumerate().take(end).skip(start);
        let items = items.map(|(at, row)| (row, on.contains(&at))).collect();
        Ok(Page { items, last, more })
    }
}

/// Looks which summary of a session is due, and makes it.
async fn look(
    pool: &dyn Pool,
    copy: Shared,
    policy: Arc<Policy>,
    idle: bool,
) -> Result<Look, Failure> {
    let looked = compute(pool, move || {
        let copy = copy.read().expect("no writer panics");
        look_at(&copy, &policy, idle)
    });
    looked.await.map_err(|error| {
        Failure::new(Reason::Internal, "a session cannot be summarized").because(error)
    })
}

fn look_at(copy: &Partition, policy: &Policy, idle: bool) -> Look {
    let sizes: Vec<TurnSize> = copy.turns().iter().map(size).collect();
    let spans: Vec<Span> = copy.summaries().iter().map(|row| row.summary.span).collect();
    let marks = marks(&policy.summaries);
    let step = match policy.summaries.off {
        true => None,
        // What is due anyway comes first, so that the order of jobs changes no span.
        false => next(&sizes, &spans, &marks, false)
            .or_else(|| if idle { next(&sizes, &spans, &marks, true) } else { None }),
    };
    let made = step.map(|step| make(copy, &step, policy));
    let covered = |turn: &&TurnSize| spans.iter().any(|span| span.holds(turn.seq));
    let tail = sizes.iter().filter(|turn| !covered(turn)).map(|turn| turn.tokens);
    Look { at: copy.change(), made, tail_tokens: tail.sum() }
}

fn size(turn: &Turn) -> TurnSize {
    TurnSize { seq: turn.seq, tokens: tokens_of(turn), role: turn.role, group: turn.group() }
}

/// Makes the summary of a step, on the copy that the step was planned on.
fn make(copy: &Partition, step: &Step, policy: &Policy) -> Summary {
    let tokenizer = Tokenizer::builtin(SUMMARY_TOKENIZER).expect("it is built in");
    let (span, language) = (step.span(), policy.retrieval.language.as_str());
    match step {
        Step::Leaf { .. } => {
            let turns = copy.turns().iter().filter(|turn| span.holds(turn.seq));
            summarize(span, &turns.collect::<Vec<_>>(), language, &tokenizer)
        }
        Step::Merge { children, .. } => {
            let rows = copy.summaries().iter().map(|row| &row.summary);
            let children = rows.filter(|row| children.contains(&row.span));
            condense(span, &children.collect::<Vec<_>>(), language, &tokenizer)
        }
    }
}
