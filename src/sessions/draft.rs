//! A commit in the making: what every plan of a session writes beside its own rows.

use serde::Serialize;

use crate::planted::{self, Bug};
use crate::record::{
    Answer, CHANGES_KEPT, ChangeRow, Head, RepeatRow, UserHead, Verb, encode, keys,
};
use crate::storage::{Batch, Revision};
use crate::types::{Change, RequestId, SessionId, TenantId, Timestamp, UserId};

/// A row with the revision it was read at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised<T> {
    /// The row.
    pub row: T,
    /// Its revision.
    pub revision: Revision,
}

/// The caller's promise that a request is one effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeat {
    /// The tenant that asks; an operator may ask about another one.
    pub tenant: TenantId,
    /// The verb.
    pub verb: Verb,
    /// The caller's id.
    pub request: RequestId,
    /// The hash of the parsed request.
    pub hash: [u8; 32],
}

/// A batch of one tenant, with the rows that go with every change.
#[derive(Debug)]
pub struct Draft {
    tenant: TenantId,
    batch: Batch,
    erases: bool,
}

impl Draft {
    /// An empty commit.
    pub fn new(tenant: TenantId) -> Self {
        Self { tenant, batch: Batch::default(), erases: false }
    }

    /// The commit as the store takes it.
    pub fn into_batch(self) -> Batch {
        self.batch
    }

    /// Has the commit made also while the disk is nearly full.
    pub fn vital(&mut self) {
        self.batch = std::mem::take(&mut self.batch).vital();
    }

    /// Says that what the commit removes, or has removed after it, must go from the files too.
    pub fn erase(&mut self, now: Timestamp) {
        self.erases = true;
        self.put(keys::last_deletion(), &now);
    }

    /// Whether it was said that something must go from the files.
    pub fn erases(&self) -> bool {
        self.erases
    }

    /// Writes a row.
    pub fn put(&mut self, key: Vec<u8>, row: &impl Serialize) {
        self.put_raw(key, encode(row));
    }

    /// Writes a value that is encoded already.
    pub fn put_raw(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.batch = std::mem::take(&mut self.batch).put(key, value);
    }

    /// Writes a key that says all itself.
    pub fn put_name(&mut self, key: Vec<u8>) {
        self.put_raw(key, Vec::new());
    }

    /// Removes a row; nothing when it is not there.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.batch = std::mem::take(&mut self.batch).delete(key);
    }

    /// Demands that a row is as it was read, or is still not there.
    pub fn expect(&mut self, key: Vec<u8>, revision: Option<Revision>) {
        let batch = std::mem::take(&mut self.batch);
        self.batch = match revision {
            Some(revision) => batch.revision(key, revision),
            None => batch.absent(key),
        };
    }

    /// The tenant that it is of.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Demands that a session's head is as it was read.
    pub fn expect_head(&mut self, session: &SessionId, head: Option<&Revised<Head>>) {
        if !planted::has(Bug::BlindCommit) {
            self.expect(keys::head(&self.tenant, session), head.map(|head| head.revision));
        }
    }

    /// Advances the change of a session and of its user, and writes both heads and change rows.
    pub fn touch(
        &mut self,
        session: &SessionId,
        head: &mut Head,
        row: &ChangeRow,
        user: Option<&Revised<UserHead>>,
        now: Timestamp,
    ) {
        head.updated_at = now;
        self.advance(session, head, row, user);
    }

    /// As [`Draft::touch`], for work behind the appends: for clients the session is untouched.
    pub fn advance(
        &mut self,
        session: &SessionId,
        head: &mut Head,
        row: &ChangeRow,
        user: Option<&Revised<UserHead>>,
    ) {
        head.change = head.change.next();
        let incarnation = head.incarnation;
        self.put(keys::change(incarnation, head.change), row);
        if let Some(old) = head.change.0.checked_sub(CHANGES_KEPT) {
            self.remove(keys::change(incarnation, Change(old)));
        }
        self.put(keys::head(&self.tenant, session), head);
        if let Some(name) = head.user.clone() {
            if head.change == Change(1) {
                self.put(keys::session_of_user(&self.tenant, &name, session), &incarnation);
            }
            self.touch_user(&name, session, user);
        }
    }

    /// Advances the change of a user, and writes its head and change row.
    pub fn touch_user(
        &mut self,
        name: &UserId,
        session: &SessionId,
        user: Option<&Revised<UserHead>>,
    ) {
        let key = keys::user(&self.tenant, name);
        self.expect(key.clone(), user.map(|user| user.revision));
        let change = user.map_or(Change(0), |user| user.row.change).next();
        self.put(key, &UserHead { change });
        self.put(keys::user_change(&self.tenant, name, change), session);
        if let Some(old) = change.0.checked_sub(CHANGES_KEPT) {
            self.remove(keys::user_change(&self.tenant, name, Change(old)));
        }
    }

    /// Writes the repeat row of a request, when it is one that can be repeated.
    pub fn remember(&mut self, repeat: Option<&Repeat>, answer: &Answer, now: Timestamp) {
        let Some(repeat) = repeat.filter(|_| !planted::has(Bug::DropRepeat)) else { return };
        let key = keys::repeat(&repeat.tenant, repeat.verb as u8, repeat.request);
        self.expect(key.clone(), None);
        self.put_name(keys::repeat_by_age(now, &key));
        let row = RepeatRow { request_hash: repeat.hash, answer: answer.clone(), at: now };
        self.put(key, &row);
    }
}
