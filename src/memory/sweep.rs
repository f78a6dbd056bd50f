//! What ends by itself: purges that were begun, sessions past their time, old repeats.

use crate::error::Failure;
use crate::memory::Memory;
use crate::planted::{self, Bug};
use crate::record::{Head, keys};
use crate::sessions::{AppendPlan, Draft, Revised, plan_delete_session};
use crate::storage::{Batch, CommitError, Read, Row};
use crate::types::{Incarnation, SessionId, TenantId, Timestamp};

/// How many rows a purge removes in one commit: a few milliseconds of the writer.
pub const PURGE_ROWS_MAX: usize = 2_048;
/// How long a repeat is known, in milliseconds: 72 hours.
pub const REPEATS_KEPT_MS: i64 = 72 * 3_600 * 1_000;
/// How many old rows one round of the sweep looks at.
const SWEEP_ROWS_MAX: usize = 1_024;

impl Memory {
    /// Removes every row of an incarnation, and its purge row with the last of them.
    pub(super) async fn purge(&self, incarnation: Incarnation) -> Result<(), Failure> {
        if planted::has(Bug::ForgetPurge) {
            return self
                .commit_plain(Batch::new().delete(keys::purge(incarnation)))
                .await
                .map(drop);
        }
        self.remove_rows(keys::incarnation(incarnation), keys::purge(incarnation)).await
    }

    /// Removes every row of a prefix, and with the last of them the row `mark`, which says that
    /// there are some. It goes on behind what it removed: to look for the next rows at the start
    /// again would pass by all that was removed, each time.
    pub(super) async fn remove_rows(&self, prefix: Vec<u8>, mark: Vec<u8>) -> Result<(), Failure> {
        let end = keys::after_prefix(&prefix);
        let mut from = prefix.clone();
        loop {
            let page = Read::range(from.clone(), end.clone()).limit(PURGE_ROWS_MAX);
            let rows = self.read(vec![page]).await?.remove(0);
            let mut next = prefix.clone();
            if rows.len() == PURGE_ROWS_MAX
                && let Some(last) = rows.last()
            {
                next = last.key.to_vec();
                next.push(0);
            }
            let at_end = next == prefix;
            let before = Read::range(prefix.clone(), from.clone()).limit(1);
            let is_last =
                at_end && (from == prefix || self.read(vec![before]).await?[0].is_empty());
            let has_some = !rows.is_empty();
            let mut batch = rows.into_iter().fold(Batch::new(), |batch, row| batch.delete(row.key));
            if is_last {
                batch = batch.delete(mark.clone());
            }
            if has_some || is_last {
                self.commit_plain(batch.vital()).await?;
            }
            if is_last {
                return Ok(());
            }
            from = next;
        }
    }

    /// Finishes what a deletion or a fork before the last stop left behind. Call it before serving.
    ///
    /// # Errors
    /// What the store refuses.
    pub async fn resume_purges(&self) -> Result<u64, Failure> {
        let rows = self.read(vec![Read::prefix(keys::purges())]).await?.remove(0);
        let mut purged = 0;
        for incarnation in rows.iter().filter_map(|row| keys::incarnation_named_by(&row.key)) {
            self.purge(incarnation).await?;
            purged += 1;
        }
        Ok(purged)
    }

    /// Ends a session that is past its time.
    pub(super) async fn end_session(
        &self,
        tenant: &TenantId,
        session: &SessionId,
    ) -> Result<(), Failure> {
        let Some(head) = self.get::<Head>(keys::head(tenant, session)).await? else {
            return Ok(());
        };
        if !head.row.has_ended(self.clock.now()) {
            return Ok(());
        }
        self.end_this(tenant, session, &head).await.map(drop)
    }

    /// Ends a session as it was read. `false`: somebody else changed or ended it, or changed its
    /// user; the next look decides again.
    async fn end_this(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        head: &Revised<Head>,
    ) -> Result<bool, Failure> {
        let user = self.user_head(tenant, head.row.user.as_ref()).await?;
        let now = self.clock.now();
        let AppendPlan { draft, .. } =
            plan_delete_session(tenant, session, head, user.as_ref(), now, None);
        match self.store.commit(draft.into_batch()).await {
            Ok(_) => {
                self.erasure.note(true, now);
                self.partitions.drop_session(tenant, session);
                self.purge(head.row.incarnation).await?;
                Ok(true)
            }
            Err(CommitError::Conflict { .. }) => Ok(false),
            Err(CommitError::Store(error)) => Err(super::rows::store_failure(error)),
        }
    }

    /// One round: ends sessions past their time, forgets repeats older than 72 hours, and removes
    /// what deletions and forks left behind whose end failed or was not waited for. Gives how many
    /// rows it looked at; 0: there is nothing to do by now.
    ///
    /// # Errors
    /// What the store refuses.
    pub async fn sweep(&self) -> Result<usize, Failure> {
        let now = self.clock.now();
        self.backlog.note_doubtful(now);
        self.sweep_vectors().await?;
        let swept = self.sweep_sessions(now).await? + self.sweep_repeats(now).await?;
        Ok(swept + self.sweep_purges().await?)
    }

    /// Those of forks that are under way are left alone.
    pub(super) async fn sweep_purges(&self) -> Result<usize, Failure> {
        let all = Read::prefix(keys::purges()).limit(SWEEP_ROWS_MAX);
        let rows = self.read(vec![all]).await?.remove(0);
        let mut purged = 0;
        for row in &rows {
            let Some(incarnation) = keys::incarnation_named_by(&row.key) else { continue };
            let by_fork = !row.value.is_empty();
            if by_fork && (self.forks.has(incarnation) || !self.claim(row).await?) {
                continue;
            }
            self.purge(incarnation).await?;
            purged += 1;
        }
        Ok(purged)
    }

    /// Takes the copies of a fork whose caller has gone. Its last commit may still be under way:
    /// whichever comes first, the other one conflicts. `false`: they are a session by now.
    async fn claim(&self, row: &Row) -> Result<bool, Failure> {
        if planted::has(Bug::ForgetFork) {
            return Ok(false);
        }
        let batch = Batch::new().revision(row.key.clone(), row.revision);
        match self.store.commit(batch.put(row.key.clone(), Vec::new())).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict { .. }) => Ok(false),
            Err(CommitError::Store(error)) => Err(super::rows::store_failure(error)),
        }
    }

    async fn sweep_sessions(&self, now: Timestamp) -> Result<usize, Failure> {
        let (from, to) = keys::ends_until(now);
        let rows = self.read(vec![Read::range(from, to).limit(SWEEP_ROWS_MAX)]).await?.remove(0);
        for row in &rows {
            let Some((tenant, session)) = keys::session_named_by(&row.key) else { continue };
            let head = self.get::<Head>(keys::head(&tenant, &session)).await?;
            let mut draft = Draft::new(tenant.clone());
            draft.remove(row.key.to_vec());
            if let Some(head) = &head
                && let Some(end) = head.row.expires_at()
            {
                if head.row.has_ended(now) {
                    if !self.end_this(&tenant, &session, head).await? {
                        continue;
                    }
                } else {
                    draft.put(keys::session_end(end, &tenant, &session), &head.row.incarnation);
                }
            }
            self.commit_plain(draft.into_batch()).await?;
        }
        Ok(rows.len())
    }

    async fn sweep_repeats(&self, now: Timestamp) -> Result<usize, Failure> {
        let (from, to) = keys::repeats_before(Timestamp(now.0.saturating_sub(REPEATS_KEPT_MS)));
        let rows = self.read(vec![Read::range(from, to).limit(SWEEP_ROWS_MAX)]).await?.remove(0);
        let batch = rows.iter().fold(Batch::new(), |batch, row| {
            batch.delete(keys::repeat_named_by(&row.key)).delete(row.key.clone())
        });
        if !rows.is_empty() {
            self.commit_plain(batch.vital()).await?;
        }
        Ok(rows.len())
    }
}
