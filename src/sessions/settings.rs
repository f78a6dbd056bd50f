//! Planning the creation of a session and the change of its settings.

use serde::Serialize;

use crate::record::{Answer, ChangeRow, Head, JobSet, SessionKind, UserHead, keys};
use crate::sessions::{AppendPlan, Draft, Repeat, Revised};
use crate::types::{
    Change, Incarnation, Metadata, Seq, SessionId, TenantId, Timestamp, UserId, Version,
};

/// A request to create a session, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Create {
    /// Its id.
    pub session: SessionId,
    /// The user it belongs to.
    pub user: Option<UserId>,
    /// Instructions that stand first in each context.
    pub pinned_instructions: String,
    /// Free labels.
    pub metadata: Metadata,
    /// How long it lives after its last change, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// The declared kind.
    pub kind: SessionKind,
}

impl Create {
    /// The head of the session right after it was created.
    pub fn head(&self, incarnation: Incarnation, at: Timestamp) -> Head {
        Head {
            incarnation,
            user: self.user.clone(),
            version: Version(0),
            change: Change(1),
            last_seq: Seq(0),
            turns_living: 0,
            turns_stored: 0,
            pinned_instructions: self.pinned_instructions.clone(),
            metadata: self.metadata.clone(),
            created_at: at,
            updated_at: at,
            ttl_ms: self.ttl_ms,
            kind: self.kind,
            forked_from: None,
            tail_tokens: 0,
            summarized_to: Seq(0),
            jobs: JobSet::default(),
            appended_at: Timestamp(0),
        }
    }
}

/// A request to change settings, checked. `None`: as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Update {
    /// The session.
    pub session: SessionId,
    /// New instructions.
    pub pinned_instructions: Option<String>,
    /// New labels, in place of all.
    pub metadata: Option<Metadata>,
    /// A new time to live; `Some(None)`: until it is deleted.
    pub ttl_ms: Option<Option<u64>>,
    /// A new kind.
    pub kind: Option<SessionKind>,
}

/// Plans the creation of a session that does not exist.
pub fn plan_create(
    tenant: &TenantId,
    request: &Create,
    user: Option<&Revised<UserHead>>,
    fresh: Incarnation,
    now: Timestamp,
    repeat: Option<&Repeat>,
) -> AppendPlan {
    let mut draft = Draft::new(tenant.clone());
    draft.expect_head(&request.session, None);
    let mut head = Head { change: Change(0), ..request.head(fresh, now) };
    draft.touch(&request.session, &mut head, &ChangeRow::default(), user, now);
    if let Some(end) = head.expires_at() {
        draft.put(keys::session_end(end, tenant, &request.session), &fresh);
    }
    let answer = Answer::SessionCreated { at: now };
    draft.remember(repeat, &answer, now);
    AppendPlan { draft, answer }
}

/// Plans a change of settings. The row that files the session by its end is written anew when the
/// end moves; the sweep drops rows that no longer fit.
pub fn plan_update(
    tenant: &TenantId,
    request: &Update,
    head: &Revised<Head>,
    user: Option<&Revised<UserHead>>,
    now: Timestamp,
    repeat: Option<&Repeat>,
) -> AppendPlan {
    let mut draft = Draft::new(tenant.clone());
    draft.expect_head(&request.session, Some(head));
    let mut after = head.row.clone();
    if let Some(text) = &request.pinned_instructions {
        after.pinned_instructions.clone_from(text);
    }
    if let Some(metadata) = &request.metadata {
        after.metadata.clone_from(metadata);
    }
    if let Some(ttl_ms) = request.ttl_ms {
        after.ttl_ms = ttl_ms;
    }
    if let Some(kind) = request.kind {
        after.kind = kind;
    }
    draft.touch(&request.session, &mut after, &ChangeRow::default(), user, now);
    if let Some(end) = after.expires_at().filter(|_| request.ttl_ms.is_some()) {
        draft.put(keys::session_end(end, tenant, &request.session), &after.incarnation);
    }
    let answer = Answer::SessionUpdated { version: after.version, change: after.change, at: now };
    draft.remember(repeat, &answer, now);
    AppendPlan { draft, answer }
}
