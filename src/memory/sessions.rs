//! CreateSession, GetSession, ListSessions, UpdateSession, DeleteSession.

use crate::chance::incarnation;
use crate::error::{Failure, Reason};
use crate::memory::{
    Answered, Memory, Page,
    rows::{repeat_of, revised},
    turns::PAGE_BYTES_MAX,
};
use crate::record::{Head, Verb, keys};
use crate::sessions::{Create, Update, plan_create, plan_delete_session, plan_update};
use crate::storage::{Batch, CommitError, Read, Revision, Row};
use crate::types::{RequestId, SessionId, TenantId, UserId};

impl Memory {
    /// Creates an empty session.
    ///
    /// # Errors
    /// `SESSION_EXISTS`, `TOO_MANY_SESSIONS`; `REQUEST_ID_REUSED` and what the store refuses.
    pub async fn create_session(
        &self,
        tenant: &TenantId,
        request: &Create,
        request_id: Option<RequestId>,
    ) -> Result<Answered, Failure> {
        let repeat = repeat_of(tenant, Verb::CreateSession, request_id, request);
        self.commit(repeat.as_ref(), || async {
            self.must_be_absent(tenant, &request.session).await?;
            let user = self.user_head(tenant, request.user.as_ref()).await?;
            let now = self.clock.now();
            let fresh = incarnation(now, self.chance.as_ref());
            Ok(plan_create(tenant, request, user.as_ref(), fresh, now, repeat.as_ref()))
        })
        .await
    }

    pub(super) async fn must_be_absent(
        &self,
        tenant: &TenantId,
        session: &SessionId,
    ) -> Result<(), Failure> {
        match self.get::<Head>(keys::head(tenant, session)).await? {
            Some(head) if head.row.has_ended(self.clock.now()) => {
                self.end_session(tenant, session).await?;
            }
            Some(_) => {
                let message = format!("session `{session}` exists already");
                return Err(Failure::new(Reason::SessionExists, message));
            }
            None => {}
        }
        self.room_for_session(tenant).await
    }

    /// The head of a session.
    ///
    /// # Errors
    /// `SESSION_NOT_FOUND`.
    pub async fn get_session(
        &self,
        tenant: &TenantId,
        session: &SessionId,
    ) -> Result<Head, Failure> {
        Ok(self.existing(tenant, session).await?.row)
    }

    /// A page of sessions in the order of ids, after `after`; ended ones are left out. It also ends
    /// at 4 MiB.
    ///
    /// # Errors
    /// What the store refuses.
    pub async fn list_sessions(
        &self,
        tenant: &TenantId,
        user: Option<&UserId>,
        after: Option<&str>,
        size: usize,
    ) -> Result<Page<(SessionId, Head)>, Failure> {
        let prefix = match user {
            Some(user) => keys::sessions_of_user(tenant, user),
            None => keys::heads(tenant),
        };
        let rows = self.page(&prefix, after, size + 1).await?;
        let mut more = rows.len() > size;
        let ids = rows.iter().take(size).map(|row| keys::last_id(&row.key));
        let ids: Vec<_> = ids.filter_map(|id| SessionId::parse(id).ok()).collect();
        let heads = ids.iter().map(|id| Read::get(keys::head(tenant, id))).collect();
        let now = self.clock.now();
        let (mut items, mut last, mut bytes) = (Vec::new(), None, 0);
        for (id, rows) in ids.iter().zip(self.read(heads).await?) {
            let size = rows.first().map_or(0, |row| row.value.len());
            if bytes > 0 && bytes + size > PAGE_BYTES_MAX {
                more = true;
                break;
            }
            bytes += size;
            last = Some(id.to_string());
            let head = revised::<Head>(&rows)?.filter(|head| !head.row.has_ended(now));
            items.extend(head.map(|head| (id.clone(), head.row)));
        }
        Ok(Page { items, last, more })
    }

    /// Up to `limit` rows under a prefix, after the one that ends in `after`.
    pub(super) async fn page(
        &self,
        prefix: &[u8],
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Row>, Failure> {
        let mut from = prefix.to_vec();
        if let Some(after) = after {
            from.extend_from_slice(after.as_bytes());
            from.push(0);
        }
        let read = Read::range(from, keys::after_prefix(prefix)).limit(limit);
        Ok(self.read(vec![read]).await?.remove(0))
    }

    /// Changes settings of a session.
    ///
    /// # Errors
    /// `SESSION_NOT_FOUND`; `REQUEST_ID_REUSED`, `CONTENTION` and what the store refuses.
    pub async fn update_session(
        &self,
        tenant: &TenantId,
        request: &Update,
        request_id: Option<RequestId>,
    ) -> Result<Answered, Failure> {
        let repeat = repeat_of(tenant, Verb::UpdateSession, request_id, request);
        self.commit(repeat.as_ref(), || async {
            let head = self.existing(tenant, &request.session).await?;
            let user = self.user_head(tenant, head.row.user.as_ref()).await?;
            let now = self.clock.now();
            Ok(plan_update(tenant, request, &head, user.as_ref(), now, repeat.as_ref()))
        })
        .await
    }

    /// Erases a session. When this returns, none of its rows is left.
    ///
    /// # Errors
    /// `SESSION_NOT_FOUND`; `REQUEST_ID_REUSED`, `CONTENTION` and what the store refuses.
    pub async fn delete_session(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        request_id: Option<RequestId>,
    ) -> Result<Answered, Failure> {
        let repeat = repeat_of(tenant, Verb::DeleteSession, request_id, session);
        let erased = std::sync::Mutex::new(None);
        let answered = self
            .commit(repeat.as_ref(), || async {
                let head = self.existing(tenant, session).await?;
                *erased.lock().expect("no holder panics") = Some(head.row.incarnation);
                let user = self.user_head(tenant, head.row.user.as_ref()).await?;
                let now = self.clock.now();
                let user = user.as_ref();
                Ok(plan_delete_session(tenant, session, &head, user, now, repeat.as_ref()))
            })
            .await?;
        self.partitions.drop_session(tenant, session);
        let incarnation = *erased.lock().expect("no holder panics");
        if let Some(incarnation) = incarnation.filter(|_| !answered.replayed) {
            self.purge(incarnation).await?;
        }
        Ok(answered)
    }

    /// Commits a batch that has no preconditions.
    pub(super) async fn commit_plain(&self, batch: Batch) -> Result<Revision, Failure> {
        match self.store.commit(batch).await {
            Ok(revision) => Ok(revision),
            Err(CommitError::Store(error)) => Err(super::rows::store_failure(error)),
            Err(CommitError::Conflict { .. }) => {
                Err(Failure::new(Reason::Contention, "the session changed meanwhile"))
            }
        }
    }
}
