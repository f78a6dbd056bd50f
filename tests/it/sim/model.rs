//! What must be true, told by the commits in their order and by what calls answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keepsake::clock::Clock as _;
use keepsake::error::Reason;
use keepsake::memory::REPEATS_KEPT_MS;
use keepsake::record::{Answer, ChangeRow, Head, UserHead, decode, keys};
use keepsake::storage::Batch;
use keepsake::types::{Incarnation, Timestamp};
use tokio::sync::Notify;

use super::call::{Call, Change, Name, session, tenant, timeless};
use super::life::Life;
use super::ports::JumpingClock;

/// Monday, 1 January 2024, 00:00 UTC.
pub const START: Timestamp = Timestamp(1_704_067_200_000);

/// Many times the commits of any run.
const COMMITS_MAX: u64 = 20_000;

/// Since when a call runs.
#[derive(Debug, Clone, Copy)]
pub struct Since {
    pub index: u64,
    pub time: Timestamp,
}

struct Begun {
    call: Call,
    since: Since,
    /// The answer that its effect calls for.
    effect: Option<Answer>,
}

type State = Option<Arc<Life>>;

/// A call that took effect: itself, its answer, when.
type Known = (Call, Answer, Timestamp);

pub struct Model {
    clock: Arc<JumpingClock>,
    index: u64,
    pasts: BTreeMap<Name, Vec<(u64, State)>>,
    user_changes: BTreeMap<(u8, String), u64>,
    calls: BTreeMap<u64, Begun>,
    repeats: BTreeMap<(u8, u8, u128), Known>,
    lives: BTreeSet<Incarnation>,
    forks: BTreeSet<Incarnation>,
    trace: blake3::Hasher,
    wrong: Option<String>,
    found: Arc<Notify>,
}

/// The tenant's number and the session that a key of a head names.
fn head_name(key: &[u8]) -> Option<Name> {
    let mut ids = std::str::from_utf8(key.strip_prefix(b"S")?).ok()?.split('\0');
    let tenant = ids.next()?.strip_prefix('t')?.parse().ok()?;
    Some((tenant, ids.next()?.to_owned()))
}

fn puts(batch: &Batch, letter: u8) -> impl Iterator<Item = (&[u8], &[u8])> {
    let put = batch.writes().filter_map(|(key, value)| Some((key.as_ref(), value?.as_ref())));
    put.filter(move |(key, _)| key.first() == Some(&letter))
}

impl Model {
    pub fn new(clock: Arc<JumpingClock>) -> Self {
        Self {
            clock,
            index: 0,
            pasts: BTreeMap::new(),
            user_changes: BTreeMap::new(),
            calls: BTreeMap::new(),
            repeats: BTreeMap::new(),
            lives: BTreeSet::new(),
            forks: BTreeSet::new(),
            trace: blake3::Hasher::new(),
            wrong: None,
            found: Arc::new(Notify::new()),
        }
    }

    /// Notes that something is not as it must be; the first such thing counts.
    pub fn wrong(&mut self, what: String) {
        self.wrong.get_or_insert(what);
        self.found.notify_one();
    }

    /// Told when something is not as it must be.
    pub fn found(&self) -> Arc<Notify> {
        self.found.clone()
    }

    pub fn verdict(&self) -> Result<(), String> {
        self.wrong.clone().map_or(Ok(()), Err)
    }

    /// Adds something that happened to the trace.
    pub fn saw(&mut self, what: &str) {
        self.trace.update(what.as_bytes()).update(b"\n");
    }

    pub fn trace(&self) -> String {
        self.trace.finalize().to_hex().to_string()
    }

    pub fn since(&self) -> Since {
        Since { index: self.index, time: self.clock.now() }
    }

    pub fn begin(&mut self, id: u64, call: &Call) -> Since {
        let since = self.since();
        self.calls.insert(id, Begun { call: call.clone(), since, effect: None });
        since
    }

    /// All sessions there ever were.
    pub fn names(&self) -> Vec<Name> {
        self.pasts.keys().cloned().collect()
    }

    pub fn now(&self, name: &Name) -> State {
        self.pasts.get(name).and_then(|past| past.last()?.1.clone())
    }

    /// What a session was at the moments since; `None`: there was none, or it had ended.
    pub fn views(&self, name: &Name, since: Since) -> Vec<State> {
        let past = self.pasts.get(name).map(Vec::as_slice).unwrap_or_default();
        let later = past.partition_point(|(index, _)| *index <= since.index);
        let mut views = match later.checked_sub(1) {
            None => vec![None],
            Some(first) => vec![past[first].1.clone()],
        };
        views.extend(past[later..].iter().map(|(_, state)| state.clone()));
        let now = self.clock.now();
        let ended = |state: &State, at: Timestamp| {
            state.as_ref().and_then(|life| life.ends_at).is_some_and(|end| end <= at)
        };
        if views.iter().any(|state| ended(state, now)) {
            views.retain(|state| !ended(state, since.time));
            views.push(None);
        }
        views
    }

    /// A batch was written by a call, or by work behind the calls.
    pub fn committed(&mut self, call: Option<u64>, batch: &Batch) {
        self.index += 1;
        if self.index > COMMITS_MAX {
            self.wrong("work goes on for ever".to_owned());
        }
        self.trace.update(&call.unwrap_or(0).to_le_bytes());
        for (key, value) in batch.writes() {
            self.trace.update(key).update(value.map_or(b"-", |value| value.as_ref()));
        }
        for (key, value) in puts(batch, b'p') {
            if value == keepsake::sessions::FORK_MARK {
                self.forks.extend(keys::incarnation_named_by(key));
            }
        }
        let heads: Vec<(Name, Option<Head>)> = batch
            .writes()
            .filter_map(|(key, value)| {
                Some((head_name(key)?, value.map(|value| decode::<Head>(value).unwrap())))
            })
            .collect();
        for (name, head) in &heads {
            self.head(call, name, head.as_ref(), batch);
        }
        if heads.is_empty() {
            self.without_head(call, batch);
        }
        self.user_heads(batch);
        self.owners(batch, heads.is_empty());
    }

    fn head(&mut self, call: Option<u64>, name: &Name, head: Option<&Head>, batch: &Batch) {
        let before = self.now(name);
        let own = call.and_then(|id| Some((id, self.calls.get(&id)?.call.clone())));
        let own = own.filter(|(_, call)| {
            call.name == *name && (head.is_some() != matches!(call.change, Change::Delete))
        });
        let after = match (own, head) {
            (Some((id, call)), _) => self.effect(id, &call, before.as_deref(), head),
            (None, None) => {
                let now = self.clock.now();
                let end = before.as_ref().and_then(|life| life.ends_at);
                if end.is_none_or(|end| end > now) {
                    self.wrong(format!("{name:?} was ended at {now:?}: {before:?}"));
                }
                None
            }
            (None, Some(head)) => self.behind(name, before.as_deref(), head, batch),
        };
        let after = after.map(Arc::new);
        if before != after {
            self.pasts.entry(name.clone()).or_default().push((self.index, after));
        }
    }

    /// A call takes effect: now it is clear what it does and answers.
    fn effect(
        &mut self,
        id: u64,
        call: &Call,
        before: Option<&Life>,
        head: Option<&Head>,
    ) -> Option<Life> {
        let (mut source, mut at) = (None, 0);
        if let Change::Fork { from, at: asked } = &call.change {
            let from = (call.name.0, from.clone());
            source = self.now(&from);
            at = head.and_then(|head| head.forked_from.as_ref()).map_or(0, |(_, seq)| seq.0);
            let since = self.calls[&id].since;
            let fits = |state: State| state.is_some_and(|life| life.last == at);
            let lasted = self.views(&from, since).into_iter().any(fits);
            if asked.map_or(!lasted, |asked| asked != at) {
                self.wrong(format!("{call:?} forked up to `{at}`"));
            }
        }
        let (mut after, answer) = match Life::after(call, before, source.as_deref(), at) {
            Ok(done) => done,
            Err(why) => {
                self.wrong(format!("{call:?} took effect, but {why}: {before:?}"));
                return before.cloned();
            }
        };
        if let (Some(life), Some(head)) = (&mut after, head) {
            self.fit(call, before, life, head);
        }
        self.remember(id, call, answer);
        after
    }

    /// Compares a head with what it must be, and learns from it what the model cannot know.
    fn fit(&mut self, call: &Call, before: Option<&Life>, life: &mut Life, head: &Head) {
        match before {
            Some(before) if before.incarnation != Some(head.incarnation) => {
                self.wrong(format!("{call:?} changed the life of a session"));
            }
            None if !self.lives.insert(head.incarnation) => {
                self.wrong(format!("{call:?} gave a life again"));
            }
            _ => {}
        }
        if let Change::Fork { from, .. } = &call.change {
            // Settings are those of the source when it was first read; its state now is checked.
            let from = (call.name.0, from.clone());
            let seen = self.pasts.get(&from).into_iter().flatten().filter_map(|(_, s)| s.as_ref());
            let text = |life: &Life| {
                life.pinned.map(|n| super::call::pinned(call.name.0, n)).unwrap_or_default()
            };
            let same = |life: &&Arc<Life>| {
                text(life) == head.pinned_instructions && life.ttl_ms == head.ttl_ms
            };
            if let Some(seen) = seen.rev().find(same) {
                (life.pinned, life.ttl_ms) = (seen.pinned, seen.ttl_ms);
            }
        }
        life.incarnation = Some(head.incarnation);
        life.ends_at = head.expires_at();
        if let Some(difference) = life.differs(call.name.0, head) {
            self.wrong(format!("after {call:?} {difference}"));
        }
    }

    fn remember(&mut self, id: u64, call: &Call, answer: Answer) {
        let begun = self.calls.get_mut(&id).expect("a call is begun before it commits");
        // It is kept from when it was planned, and the clock may have jumped since.
        let planned = begun.since.time;
        if begun.effect.replace(answer.clone()).is_some() {
            self.wrong(format!("{call:?} took effect twice"));
        }
        let Some(request) = call.request else { return };
        let key = (call.name.0, call.verb() as u8, request);
        let known = self.repeats.insert(key, (call.clone(), answer, planned));
        // A clock that was set back since may have been there already: then it was forgotten.
        let ever = self.clock.ever();
        if known.is_some_and(|(_, _, at)| ever.0 < at.0.saturating_add(REPEATS_KEPT_MS)) {
            self.wrong(format!("a repeat took effect again: {call:?}"));
        }
    }

    /// Work behind the calls changes nothing that a client sees.
    fn behind(
        &mut self,
        name: &Name,
        before: Option<&Life>,
        head: &Head,
        batch: &Batch,
    ) -> Option<Life> {
        let Some(before) = before.filter(|life| life.incarnation == Some(head.incarnation)) else {
            self.wrong(format!("late work wrote into another life of {name:?}: {head:?}"));
            return before.cloned();
        };
        let mut life = before.clone();
        let key = keys::change(head.incarnation, head.change);
        let row = batch.writes().find(|(written, _)| written.as_ref() == key.as_slice());
        let row = row.and_then(|(_, value)| decode::<ChangeRow>(value?).ok());
        if let Some(row) = row {
            life.change += 1;
            if row.summaries || row.embedded.is_empty() {
                life.shown_change = life.change;
            }
        }
        let made = |key: &[u8]| key.len() > 17 && [b'v', b's', b't', b'm'].contains(&key[17]);
        let touches = batch.writes().any(|(key, _)| key.first() == Some(&b'i') && made(key));
        if touches && life.change == before.change {
            self.wrong(format!("{name:?} was changed without a change number"));
        }
        if let Some(difference) = life.differs(name.0, head) {
            self.wrong(format!("after work behind {name:?} {difference}"));
        }
        Some(life)
    }

    /// An append of known turns, or an erasure of none, writes no head.
    fn without_head(&mut self, call: Option<u64>, batch: &Batch) {
        let Some(id) = call else { return };
        let Some(call) = self.calls.get(&id).map(|begun| begun.call.clone()) else { return };
        let key = keys::head(&tenant(call.name.0), &session(&call.name.1));
        if !batch.preconditions().iter().any(|p| p.key().as_ref() == key.as_slice()) {
            return;
        }
        let before = self.now(&call.name);
        match Life::after(&call, before.as_deref(), None, 0) {
            Ok((after, answer)) if after.as_ref() == before.as_deref() => {
                self.remember(id, &call, answer);
            }
            _ => self.wrong(format!("{call:?} came to an end without effect")),
        }
    }

    /// A user's change advances by one with each change of its sessions.
    fn user_heads(&mut self, batch: &Batch) {
        for (key, value) in puts(batch, b'U') {
            let ids = String::from_utf8_lossy(&key[1..]).into_owned();
            let (of, name) = ids.split_once('\0').expect("the key of a user has two ids");
            let of = of.trim_start_matches('t').parse().expect("a tenant of the run");
            let name = (of, name.trim_end_matches('\0').to_owned());
            let change = decode::<UserHead>(value).unwrap().change.0;
            let before = self.user_changes.insert(name.clone(), change).unwrap_or(0);
            if change != before + 1 {
                self.wrong(format!("the change of user {name:?} went from {before} to {change}"));
            }
        }
    }

    /// Every row of a life belongs to a session that is there, or to a fork under way.
    fn owners(&mut self, batch: &Batch, without_head: bool) {
        let living = |model: &Self, life: Incarnation| {
            let states = model.pasts.values().filter_map(|past| past.last());
            states.filter_map(|(_, s)| s.as_ref()).any(|now| now.incarnation == Some(life))
        };
        for (key, _) in puts(batch, b'i') {
            let life = Incarnation(*key[1..].first_chunk::<16>().expect("keys of a life name it"));
            let by_fork = self.forks.contains(&life);
            if !by_fork && !living(self, life) {
                self.wrong(format!("a row was written for a life that is over: {life:?}"));
            } else if !by_fork && without_head && key[17] != b'n' {
                self.wrong(format!("a row was written without its head: {}", key.escape_ascii()));
            }
        }
        for (key, value) in batch.writes() {
            if value.is_none() && key.first() == Some(&b'p') {
                keys::incarnation_named_by(key).map(|life| self.forks.remove(&life));
            }
        }
    }

    /// A call was answered: with its effect, as a repeat, or with a refusal that has its reason.
    pub fn answered(&mut self, id: u64, outcome: &Result<(Answer, bool), Reason>) {
        let begun = &self.calls[&id];
        let (call, since, effect) = (begun.call.clone(), begun.since, begun.effect.clone());
        let known = call.request.and_then(|request| {
            self.repeats.get(&(call.name.0, call.verb() as u8, request)).cloned()
        });
        match outcome {
            Ok((answer, false)) if effect == Some(timeless(answer)) => {}
            Ok((answer, true)) => {
                let same = |(first, told, _): &Known| *first == call && *told == timeless(answer);
                if !known.as_ref().is_some_and(same) {
                    self.wrong(format!("{call:?} was answered as a repeat: {answer:?}, {known:?}"));
                }
            }
            Ok((answer, false)) => {
                self.wrong(format!("{call:?} was answered {answer:?}, its effect: {effect:?}"));
            }
            Err(reason) => {
                let purged = matches!(call.change, Change::Delete);
                let open = [Reason::StoreFault, Reason::ShuttingDown].contains(reason) || purged;
                if effect.is_some() && !open {
                    self.wrong(format!("{call:?} was refused ({reason:?}) and took effect"));
                } else if !self.justified(&call, *reason, since, known.as_ref()) {
                    let views = self.views(&call.name, since);
                    self.wrong(format!("{call:?} was refused ({reason:?}): {views:?}"));
                }
            }
        }
    }

    fn justified(&self, call: &Call, reason: Reason, since: Since, known: Option<&Known>) -> bool {
        let views = self.views(&call.name, since);
        let any = |holds: &dyn Fn(&Life) -> bool| views.iter().flatten().any(|life| holds(life));
        match (reason, &call.change) {
            (Reason::Overloaded | Reason::DiskFull, _)
            | (Reason::StoreFault | Reason::ShuttingDown, _) => true,
            (Reason::RequestIdReused, _) => known.is_some_and(|(first, ..)| first != call),
            (Reason::SessionNotFound, Change::Fork { from, .. }) => {
                self.views(&(call.name.0, from.clone()), since).contains(&None)
            }
            (Reason::SessionNotFound, _) => views.contains(&None),
            (Reason::SessionExists, _) => any(&|_| true),
            (Reason::UserMismatch, Change::Append { user, .. }) => any(&|life| life.user != *user),
            (
                Reason::VersionMismatch,
                Change::Append { expected, .. } | Change::Erase { expected, .. },
            ) => {
                let absent = views.contains(&None) && *expected != Some(0);
                absent || any(&|life| Some(life.version) != *expected)
            }
            (Reason::SeqOutOfRange, Change::Append { replace, .. }) => {
                views.contains(&None) || any(&|life| Some(life.last) < *replace)
            }
            (Reason::SeqOutOfRange, Change::Fork { from, at }) => {
                let views = self.views(&(call.name.0, from.clone()), since);
                views.iter().flatten().any(|life| Some(life.last) < *at)
            }
            _ => false,
        }
    }
}
