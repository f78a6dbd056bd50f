//! The keys of `src/ARCHITECTURE.md`. One letter, then ids that end with a NUL, then numbers.

use crate::record::{JobKind, Slot};
use crate::types::{
    Change, Incarnation, KeyId, RequestId, Seq, SessionId, TenantId, Timestamp, UserId,
};

/// A key of the store.
pub type Key = Vec<u8>;

struct Builder(Key);

impl Builder {
    fn new(kind: u8) -> Self {
        let mut key = Vec::with_capacity(64);
        key.push(kind);
        Self(key)
    }

    fn id(mut self, id: &str) -> Self {
        self.0.extend_from_slice(id.as_bytes());
        self.0.push(0);
        self
    }

    fn last(mut self, bytes: &[u8]) -> Key {
        self.0.extend_from_slice(bytes);
        self.0
    }

    fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Keeps the order of moments before 1970.
    fn time(self, time: Timestamp) -> Self {
        self.number((time.0 as u64) ^ (1 << 63))
    }
}

/// `T tenant`.
pub fn tenant(tenant: &TenantId) -> Key {
    Builder::new(b'T').last(tenant.as_str().as_bytes())
}

/// The prefix of all tenants.
pub fn tenants() -> Key {
    vec![b'T']
}

/// `P tenant NUL version`.
pub fn policy(tenant: &TenantId, version: u64) -> Key {
    Builder::new(b'P').id(tenant.as_str()).number(version).0
}

/// `K key`.
pub fn api_key(key: &KeyId) -> Key {
    Builder::new(b'K').last(key.as_str().as_bytes())
}

/// `k tenant NUL key`.
pub fn key_of_tenant(tenant: &TenantId, key: &KeyId) -> Key {
    Builder::new(b'k').id(tenant.as_str()).last(key.as_str().as_bytes())
}

/// The prefix of a tenant's keys.
pub fn keys_of_tenant(tenant: &TenantId) -> Key {
    Builder::new(b'k').id(tenant.as_str()).0
}

/// `S tenant NUL session`.
pub fn head(tenant: &TenantId, session: &SessionId) -> Key {
    Builder::new(b'S').id(tenant.as_str()).last(session.as_str().as_bytes())
}

/// The prefix of a tenant's sessions.
pub fn heads(tenant: &TenantId) -> Key {
    Builder::new(b'S').id(tenant.as_str()).0
}

/// The prefix of all sessions of all tenants.
pub fn all_heads() -> Key {
    vec![b'S']
}

/// The tenant and the session that a key of [`head`] names; `None` when it is no such key.
pub fn head_named_by(head: &[u8]) -> Option<(TenantId, SessionId)> {
    let (tenant, session) = tenant_and_rest(head.get(1..)?)?;
    Some((tenant, SessionId::parse(std::str::from_utf8(session).ok()?).ok()?))
}

/// `U tenant NUL user`.
pub fn user(tenant: &TenantId, user: &UserId) -> Key {
    Builder::new(b'U').id(tenant.as_str()).last(user.as_str().as_bytes())
}

/// `u tenant NUL user NUL session`.
pub fn session_of_user(tenant: &TenantId, user: &UserId, session: &SessionId) -> Key {
    let key = Builder::new(b'u').id(tenant.as_str()).id(user.as_str());
    key.last(session.as_str().as_bytes())
}

/// The prefix of a user's sessions.
pub fn sessions_of_user(tenant: &TenantId, user: &UserId) -> Key {
    Builder::new(b'u').id(tenant.as_str()).id(user.as_str()).0
}

/// `w tenant NUL user NUL change`.
pub fn user_change(tenant: &TenantId, user: &UserId, change: Change) -> Key {
    Builder::new(b'w').id(tenant.as_str()).id(user.as_str()).number(change.0).0
}

fn of_incarnation(incarnation: Incarnation, part: u8) -> Builder {
    let mut key = Builder::new(b'i');
    key.0.extend_from_slice(&incarnation.0);
    key.0.push(part);
    key
}

/// The prefix of everything that belongs to an incarnation of a session.
pub fn incarnation(incarnation: Incarnation) -> Key {
    Builder::new(b'i').last(&incarnation.0)
}

/// `i inc t seq`.
pub fn turn(incarnation: Incarnation, seq: Seq) -> Key {
    of_incarnation(incarnation, b't').number(seq.0).0
}

/// `i inc d seq`.
pub fn derived(incarnation: Incarnation, seq: Seq) -> Key {
    of_incarnation(incarnation, b'd').number(seq.0).0
}

/// `i inc m seq`.
pub fn mark(incarnation: Incarnation, seq: Seq) -> Key {
    of_incarnation(incarnation, b'm').number(seq.0).0
}

/// `i inc x external id`.
pub fn external(incarnation: Incarnation, external_id: &str) -> Key {
    of_incarnation(incarnation, b'x').last(external_id.as_bytes())
}

/// `i inc c change`.
pub fn change(incarnation: Incarnation, change: Change) -> Key {
    of_incarnation(incarnation, b'c').number(change.0).0
}

/// `i inc n seq`.
pub fn pending(incarnation: Incarnation, seq: Seq) -> Key {
    of_incarnation(incarnation, b'n').number(seq.0).0
}

/// `i inc v seq`, and `i inc y seq` of the second slot.
pub fn vectors(slot: Slot, incarnation: Incarnation, seq: Seq) -> Key {
    of_incarnation(incarnation, slot.letter()).number(seq.0).0
}

/// `i inc s first level`.
pub fn summary(incarnation: Incarnation, first: Seq, level: u8) -> Key {
    let mut key = of_incarnation(incarnation, b's').number(first.0).0;
    key.push(level);
    key
}

/// The prefix of all summaries of an incarnation.
pub fn summaries(incarnation: Incarnation) -> Key {
    of_incarnation(incarnation, b's').0
}

/// `n tenant NUL inc`.
pub fn pending_session(tenant: &TenantId, incarnation: Incarnation) -> Key {
    Builder::new(b'n').id(tenant.as_str()).last(&incarnation.0)
}

/// The prefix of all sessions with turns that wait for vectors.
pub fn pending_sessions() -> Key {
    vec![b'n']
}

/// The tenant and the incarnation that a key of [`pending_session`] names; `None` when it is no
/// such key.
pub fn pending_named_by(key: &[u8]) -> Option<(TenantId, Incarnation)> {
    tenant_and_rest(key.get(1..)?)
        .and_then(|(tenant, rest)| Some((tenant, Incarnation(rest.try_into().ok()?))))
}

/// `J tenant NUL inc kind`.
pub fn job(tenant: &TenantId, incarnation: Incarnation, kind: JobKind) -> Key {
    let mut key = Builder::new(b'J').id(tenant.as_str()).last(&incarnation.0);
    key.push(kind as u8);
    key
}

/// The prefix of a tenant's jobs.
pub fn jobs_of_tenant(tenant: &TenantId) -> Key {
    Builder::new(b'J').id(tenant.as_str()).0
}

/// `j due` and then the whole key of the job, without its letter.
pub fn job_by_due(due: Timestamp, job: &[u8]) -> Key {
    Builder::new(b'j').time(due).last(&job[1..])
}

/// The keys of jobs that are due at or before `at`: from, to (exclusive).
pub fn jobs_until(at: Timestamp) -> (Key, Key) {
    (vec![b'j'], Builder::new(b'j').time(Timestamp(at.0.saturating_add(1))).0)
}

/// The moment and the job that a key of [`job_by_due`] names; `None` when it is no such key.
pub fn job_named_by(by_due: &[u8]) -> Option<(Timestamp, TenantId, Incarnation, JobKind)> {
    let due = u64::from_be_bytes(by_due.get(1..9)?.try_into().ok()?) ^ (1 << 63);
    let (tenant, incarnation, kind) = job_parts(by_due.get(9..)?)?;
    Some((Timestamp(due as i64), tenant, incarnation, kind))
}

/// The incarnation and the kind that the rest of a key of [`job`] names.
fn job_parts(rest: &[u8]) -> Option<(TenantId, Incarnation, JobKind)> {
    let (tenant, rest) = tenant_and_rest(rest)?;
    let (kind, incarnation) = rest.split_last()?;
    Some((tenant, Incarnation(incarnation.try_into().ok()?), JobKind::of(*kind)?))
}

fn tenant_and_rest(rest: &[u8]) -> Option<(TenantId, &[u8])> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let tenant = TenantId::parse(std::str::from_utf8(&rest[..end]).ok()?).ok()?;
    Some((tenant, &rest[end + 1..]))
}

/// `R tenant NUL verb request`.
pub fn repeat(tenant: &TenantId, verb: u8, request: RequestId) -> Key {
    let mut key = Builder::new(b'R').id(tenant.as_str());
    key.0.push(verb);
    key.last(request.0.as_bytes())
}

/// `r time` and then the whole key of the repeat, without its letter.
pub fn repeat_by_age(at: Timestamp, repeat: &[u8]) -> Key {
    Builder::new(b'r').time(at).last(&repeat[1..])
}

/// The keys of repeats older than `at`: from, to (exclusive).
pub fn repeats_before(at: Timestamp) -> (Key, Key) {
    (vec![b'r'], Builder::new(b'r').time(at).0)
}

/// The key of the repeat that a key of [`repeat_by_age`] names.
pub fn repeat_named_by(by_age: &[u8]) -> Key {
    let mut key = vec![b'R'];
    key.extend_from_slice(&by_age[9..]);
    key
}

/// `e time tenant NUL session`.
pub fn session_end(at: Timestamp, tenant: &TenantId, session: &SessionId) -> Key {
    Builder::new(b'e').time(at).id(tenant.as_str()).last(session.as_str().as_bytes())
}

/// The keys of sessions that end at or before `at`: from, to (exclusive).
pub fn ends_until(at: Timestamp) -> (Key, Key) {
    (vec![b'e'], Builder::new(b'e').time(Timestamp(at.0.saturating_add(1))).0)
}

/// The tenant and the session that a key of [`session_end`] names; `None` when it is no such key.
pub fn session_named_by(end: &[u8]) -> Option<(TenantId, SessionId)> {
    let rest = std::str::from_utf8(end.get(9..)?).ok()?;
    let (tenant, session) = rest.split_once('\0')?;
    Some((TenantId::parse(tenant).ok()?, SessionId::parse(session).ok()?))
}

/// `p inc`.
pub fn purge(incarnation: Incarnation) -> Key {
    Builder::new(b'p').last(&incarnation.0)
}

/// The prefix of all purges.
pub fn purges() -> Key {
    vec![b'p']
}

/// The incarnation that a key of [`purge`] names; `None` when it is no such key.
pub fn incarnation_named_by(purge: &[u8]) -> Option<Incarnation> {
    purge.get(1..)?.try_into().ok().map(Incarnation)
}

/// `E d`.
pub fn last_deletion() -> Key {
    vec![b'E', b'd']
}

/// `E f`.
pub fn erased_files() -> Key {
    vec![b'E', b'f']
}

/// `E e`.
pub fn documents_embedder() -> Key {
    vec![b'E', b'e']
}

/// `E m`.
pub fn spaces() -> Key {
    vec![b'E', b'm']
}

/// The id at the end of a key, after the last NUL or the letter; empty when it is no text.
pub fn last_id(key: &[u8]) -> &str {
    let start = key.iter().rposition(|b| *b == 0).unwrap_or(0) + 1;
    key.get(start..).and_then(|id| std::str::from_utf8(id).ok()).unwrap_or_default()
}

/// The first key after all keys that begin with `prefix`.
pub fn after_prefix(prefix: &[u8]) -> Key {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    end
}
