//! The rows beside sessions: tenants and keys, users, repeats, and the lists of all of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::{Check, Owner, Report, two_ids, value};
use crate::record::{
    ApiKeyRow, ErasedRow, PendingSession, RepeatRow, SpacesRow, TenantRow, UserHead, encode, keys,
};
use crate::storage::{Batch, Row};
use crate::types::{Change, Incarnation, KeyId, Policy, SessionId, TenantId, Timestamp, UserId};

/// What lists of all kinds hold.
#[derive(Default)]
pub(super) struct Lists {
    tenants: BTreeMap<TenantId, u64>,
    policies: BTreeSet<(TenantId, u64)>,
    keys: BTreeMap<KeyId, TenantId>,
    keys_listed: BTreeSet<(TenantId, KeyId)>,
    users: BTreeMap<(TenantId, UserId), Change>,
    user_changes: BTreeMap<(TenantId, UserId), Change>,
    sessions_listed: BTreeMap<(TenantId, UserId, SessionId), Incarnation>,
    repeats: BTreeMap<Vec<u8>, Timestamp>,
    repeats_listed: BTreeSet<Vec<u8>>,
    ends: BTreeMap<(TenantId, SessionId), Timestamp>,
    waiting: BTreeMap<Incarnation, (TenantId, SessionId)>,
    pub(super) filed: BTreeSet<Vec<u8>>,
    /// Whether each is the purge of a deletion, not of a fork.
    pub(super) purges: BTreeMap<Incarnation, bool>,
}

/// The first id of a key, and what comes after its NUL.
fn id_and_rest(key: &[u8]) -> Option<(&str, &[u8])> {
    let key = key.get(1..)?;
    let end = key.iter().position(|byte| *byte == 0)?;
    Some((std::str::from_utf8(&key[..end]).ok()?, &key[end + 1..]))
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

impl Lists {
    /// Takes a row. `false`: it is none that this version writes.
    pub(super) fn row(&mut self, row: &Row, report: &mut Report) -> bool {
        let taken = match row.key.first() {
            Some(b'T' | b'P' | b'K' | b'k') => self.tenant(row),
            Some(b'U' | b'u' | b'w') => self.user(row),
            Some(b'R' | b'r') => self.repeat(row),
            _ => self.other(row),
        };
        if let Some(check) = taken {
            report.looked_at(check);
        }
        taken.is_some()
    }

    fn tenant(&mut self, row: &Row) -> Option<Check> {
        let key = &row.key;
        match key.first()? {
            b'T' => {
                let tenant = TenantId::parse(std::str::from_utf8(&key[1..]).ok()?).ok()?;
                self.tenants.insert(tenant, value::<TenantRow>(row)?.policy_version);
            }
            b'P' => {
                let (tenant, version) = id_and_rest(key)?;
                value::<Policy>(row)?;
                self.policies.insert((TenantId::parse(tenant).ok()?, number(version)?));
            }
            b'K' => {
                let api_key = value::<ApiKeyRow>(row)?;
                self.keys.insert(api_key.key_id, api_key.tenant);
            }
            _ => {
                let (tenant, id) = two_ids(key)?;
                self.keys_listed.insert((TenantId::parse(tenant).ok()?, KeyId::parse(id).ok()?));
            }
        }
        Some(Check::Tenants)
    }

    fn user(&mut self, row: &Row) -> Option<Check> {
        let (tenant, rest) = id_and_rest(&row.key)?;
        let tenant = TenantId::parse(tenant).ok()?;
        if row.key.first() == Some(&b'U') {
            let user = UserId::parse(std::str::from_utf8(rest).ok()?).ok()?;
            self.users.insert((tenant, user), value::<UserHead>(row)?.change);
            return Some(Check::Users);
        }
        let end = rest.iter().position(|byte| *byte == 0)?;
        let user = UserId::parse(std::str::from_utf8(&rest[..end]).ok()?).ok()?;
        let rest = &rest[end + 1..];
        if row.key.first() == Some(&b'u') {
            let session = SessionId::parse(std::str::from_utf8(rest).ok()?).ok()?;
            self.sessions_listed.insert((tenant, user, session), value(row)?);
        } else {
            value::<SessionId>(row)?;
            // The rows come in order: the last one counts.
            self.user_changes.insert((tenant, user), Change(number(rest)?));
        }
        Some(Check::Users)
    }

    fn repeat(&mut self, row: &Row) -> Option<Check> {
        if row.key.first() == Some(&b'R') {
            self.repeats.insert(row.key.to_vec(), value::<RepeatRow>(row)?.at);
        } else {
            row.key.get(9)?;
            self.repeats_listed.insert(row.key.to_vec());
        }
        Some(Check::Repeats)
    }

    fn other(&mut self, row: &Row) -> Option<Check> {
        let key = &row.key;
        match key.first()? {
            b'e' => {
                let session = keys::session_named_by(key)?;
                let end = number(key.get(1..9)?)? ^ (1 << 63);
                value::<Incarnation>(row)?;
                // The first one counts: the sweep looks there first.
                self.ends.entry(session).or_insert(Timestamp(end as i64));
                Some(Check::Ends)
            }
            b'n' => {
                let (tenant, incarnation) = keys::pending_named_by(key)?;
                let session = value::<PendingSession>(row)?.session;
                self.waiting.insert(incarnation, (tenant, session));
                Some(Check::Vectors)
            }
            b'p' => {
                let incarnation = keys::incarnation_named_by(key)?;
                self.purges.insert(incarnation, row.value.is_empty());
                Some(Check::Purges)
            }
            b'E' => {
                match key.get(1..)? {
                    b"d" => drop(value::<Timestamp>(row)?),
                    b"f" => drop(value::<ErasedRow>(row)?),
                    b"e" => drop(value::<String>(row)?),
                    b"m" => drop(value::<SpacesRow>(row)?),
                    _ => return None,
                }
                Some(Check::Purges)
            }
            b'j' => {
                keys::job_named_by(key)?;
                self.filed.insert(key.to_vec());
                Some(Check::Jobs)
            }
            _ => None,
        }
    }

    /// Holds the lists against what they list; gives what mends them.
    pub(super) fn fit(
        &self,
        owners: &BTreeMap<Incarnation, Owner>,
        lives: &BTreeMap<Incarnation, bool>,
        report: &mut Report,
    ) -> Batch {
        self.fit_tenants(report);
        let mut batch = self.fit_keys(report, Batch::new());
        batch = self.fit_users(owners, report, batch);
        batch = self.fit_repeats(report, batch);
        batch = self.fit_ends(owners, report, batch);
        batch = self.fit_waiting(owners, lives, report, batch);
        self.fit_purges(owners, report, batch)
    }

    fn fit_tenants(&self, report: &mut Report) {
        for (tenant, version) in &self.tenants {
            if !self.policies.contains(&(tenant.clone(), *version)) {
                report.bad(Check::Tenants, tenant.to_string(), "its policy is not there");
            }
        }
        for (key, tenant) in &self.keys {
            if !self.tenants.contains_key(tenant) {
                report.bad(Check::Tenants, key.to_string(), "a key of a tenant that is not there");
            }
        }
    }

    fn fit_keys(&self, report: &mut Report, mut batch: Batch) -> Batch {
        for (key, tenant) in &self.keys {
            if !self.keys_listed.contains(&(tenant.clone(), key.clone())) {
                report.mendable(Check::Tenants, key.to_string(), "a key that no list shows");
                batch = batch.put(keys::key_of_tenant(tenant, key), Vec::new());
            }
        }
        for (tenant, key) in &self.keys_listed {
            if self.keys.get(key) != Some(tenant) {
                report.mendable(Check::Tenants, key.to_string(), "a listed key is not there");
                batch = batch.delete(keys::key_of_tenant(tenant, key));
            }
        }
        batch
    }

    fn fit_users(
        &self,
        owners: &BTreeMap<Incarnation, Owner>,
        report: &mut Report,
        mut batch: Batch,
    ) -> Batch {
        for ((tenant, user, session), incarnation) in &self.sessions_listed {
            let owner = owners.get(incarnation);
            let same = owner.is_some_and(|owner| {
                owner.tenant == *tenant
                    && owner.session == *session
                    && owner.head.user.as_ref() == Some(user)
            });
            if !same {
                let what = format!("lists the session {session}, which is not the user's");
                report.mendable(Check::Users, format!("{tenant}/{user}"), &what);
                batch = batch.delete(keys::session_of_user(tenant, user, session));
            }
        }
        let mut heads = BTreeMap::new();
        for owner in owners.values() {
            let Some(user) = &owner.head.user else { continue };
            let (tenant, session) = (&owner.tenant, &owner.session);
            let listed = (tenant.clone(), user.clone(), session.clone());
            if self.sessions_listed.get(&listed) != Some(&owner.head.incarnation) {
                report.mendable(Check::Users, owner.name(), "its user's list lacks it");
                let key = keys::session_of_user(tenant, user, session);
                batch = batch.put(key, encode(&owner.head.incarnation));
            }
            heads.insert((tenant.clone(), user.clone()), ());
        }
        for (name, ()) in heads {
            let last = self.user_changes.get(&name).copied().unwrap_or_default();
            let known = self.users.get(&name).copied();
            if known.is_none_or(|known| known < last) {
                let what = "the head of the user is behind its changes";
                report.mendable(Check::Users, format!("{}/{}", name.0, name.1), what);
                let head = UserHead { change: last.next() };
                batch = batch.put(keys::user(&name.0, &name.1), encode(&head));
            }
        }
        batch
    }

    fn fit_repeats(&self, report: &mut Report, mut batch: Batch) -> Batch {
        let listed = |repeat: &Vec<u8>, at: &Timestamp| keys::repeat_by_age(*at, repeat);
        for (repeat, at) in &self.repeats {
            let by_age = listed(repeat, at);
            if !self.repeats_listed.contains(&by_age) {
                let what = "would never be forgotten";
                report.mendable(Check::Repeats, repeat.escape_ascii().to_string(), what);
                batch = batch.put(by_age, Vec::new());
            }
        }
        for by_age in &self.repeats_listed {
            let repeat = keys::repeat_named_by(by_age);
            if self.repeats.get(&repeat).is_none_or(|at| listed(&repeat, at) != *by_age) {
                let what = "is listed by age and not there";
                report.mendable(Check::Repeats, repeat.escape_ascii().to_string(), what);
                batch = batch.delete(by_age.clone());
            }
        }
        batch
    }

    /// A session that ends must be found by the sweep at its end, or before: the sweep moves it on.
    fn fit_ends(
        &self,
        owners: &BTreeMap<Incarnation, Owner>,
        report: &mut Report,
        mut batch: Batch,
    ) -> Batch {
        for owner in owners.values() {
            let Some(end) = owner.head.expires_at() else { continue };
            let name = (owner.tenant.clone(), owner.session.clone());
            if self.ends.get(&name).is_none_or(|listed| *listed > end) {
                report.mendable(Check::Ends, owner.name(), "would outlive its end");
                let key = keys::session_end(end, &owner.tenant, &owner.session);
                batch = batch.put(key, encode(&owner.head.incarnation));
            }
        }
        batch
    }

    fn fit_waiting(
        &self,
        owners: &BTreeMap<Incarnation, Owner>,
        lives: &BTreeMap<Incarnation, bool>,
        report: &mut Report,
        mut batch: Batch,
    ) -> Batch {
        for (incarnation, owner) in owners {
            let waits = lives.get(incarnation).copied().unwrap_or_default();
            if waits && !self.waiting.contains_key(incarnation) {
                report.mendable(Check::Vectors, owner.name(), "waits, and no list shows it");
                let row = PendingSession { session: owner.session.clone() };
                let key = keys::pending_session(&owner.tenant, *incarnation);
                batch = batch.put(key, encode(&row));
            }
        }
        for (incarnation, (tenant, session)) in &self.waiting {
            if !owners.contains_key(incarnation) {
                let what = "is listed as waiting for vectors and is gone";
                report.mendable(Check::Vectors, format!("{tenant}/{session}"), what);
                batch = batch.delete(keys::pending_session(tenant, *incarnation));
            }
        }
        batch
    }

    fn fit_purges(
        &self,
        owners: &BTreeMap<Incarnation, Owner>,
        report: &mut Report,
        mut batch: Batch,
    ) -> Batch {
        for incarnation in self.purges.keys() {
            match owners.get(incarnation) {
                Some(owner) => {
                    let what = "lives, and its rows are marked to be removed";
                    report.mendable(Check::Purges, owner.name(), what);
                    batch = batch.delete(keys::purge(*incarnation));
                }
                None => {
                    let what = "was deleted: its rows go at the next start";
                    report.warn(Check::Purges, super::hex(*incarnation), what);
                }
            }
        }
        batch
    }
}
