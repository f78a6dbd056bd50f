//! What a call does to a session, written apart from the service.

use std::collections::{BTreeMap, BTreeSet};

use keepsake::record::{Answer, Head};
use keepsake::types::{self, Incarnation, Seq, Timestamp, Version};

use super::call::{Call, Change, Kind, Said, pinned};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub kind: Kind,
    pub word: u64,
    pub external: Option<u8>,
    pub superseded: bool,
}

/// One life of a session at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Life {
    pub incarnation: Option<Incarnation>,
    pub user: Option<String>,
    pub turns: BTreeMap<u64, Turn>,
    /// The seqs of external ids, which outlive their turns.
    pub external: BTreeMap<u8, u64>,
    pub last: u64,
    pub version: u64,
    pub change: u64,
    /// The last change that was not of vectors alone.
    pub shown_change: u64,
    pub pinned: Option<u64>,
    pub ttl_ms: Option<u64>,
    pub ends_at: Option<Timestamp>,
}

impl Life {
    pub fn living(&self) -> impl Iterator<Item = (u64, &Turn)> {
        self.turns.iter().filter(|(_, turn)| !turn.superseded).map(|(seq, turn)| (*seq, turn))
    }

    /// The groups of tool calls among some turns: each turn with the first one of its group.
    fn groups(&self, seqs: &[u64]) -> BTreeMap<u64, u64> {
        let (mut groups, mut leader) = (BTreeMap::new(), None);
        for seq in seqs {
            leader = match (self.turns[seq].kind, leader) {
                (Kind::Result, Some(leader)) => Some(leader),
                (Kind::Result | Kind::Call, _) => Some(*seq),
                (Kind::User | Kind::Assistant, _) => None,
            };
            groups.insert(*seq, leader.unwrap_or(*seq));
        }
        groups
    }

    fn erase(&mut self, wanted: &BTreeSet<u64>) -> Vec<u64> {
        let all: Vec<u64> = self.turns.keys().copied().collect();
        let living = self.living().map(|(seq, _)| seq).collect();
        let mut erased = BTreeSet::new();
        for seqs in [living, all] {
            let groups = self.groups(&seqs);
            let hit: BTreeSet<_> = wanted.iter().filter_map(|seq| groups.get(seq)).collect();
            erased.extend(groups.iter().filter(|(_, g)| hit.contains(g)).map(|(seq, _)| *seq));
        }
        self.turns.retain(|seq, _| !erased.contains(seq));
        erased.into_iter().collect()
    }

    fn append(&mut self, said: &[Said], replace: Option<u64>) -> Answer {
        let (mut outcome, mut new) = (Vec::new(), BTreeMap::new());
        for said in said {
            if let Some(seq) = said.external.and_then(|id| self.external.get(&id)) {
                outcome.push((Seq(*seq), true));
                continue;
            }
            self.last += 1;
            outcome.push((Seq(self.last), false));
            self.external.extend(said.external.map(|id| (id, self.last)));
            let Said { kind, word, external } = *said;
            new.insert(self.last, Turn { kind, word, external, superseded: false });
        }
        let mut superseded = 0;
        if !new.is_empty() {
            for (_, turn) in self.turns.range_mut(replace.unwrap_or(u64::MAX)..) {
                superseded += u64::from(!turn.superseded);
                turn.superseded = true;
            }
            self.turns.extend(new);
            self.version += 1;
            self.change += 1;
        }
        Answer::Appended {
            version: Version(self.version),
            change: types::Change(self.change),
            turns: outcome,
            superseded,
        }
    }

    /// The turns up to `at`, as a session of their own.
    fn forked(&self, at: u64) -> Self {
        let turns: BTreeMap<u64, Turn> = self
            .living()
            .filter(|(seq, _)| *seq <= at)
            .map(|(s, turn)| (s, turn.clone()))
            .collect();
        let external = self.external.iter().filter(|(_, seq)| turns.contains_key(seq));
        Self {
            external: external.map(|(id, seq)| (*id, *seq)).collect(),
            last: turns.keys().last().copied().unwrap_or(0),
            version: u64::from(!turns.is_empty()),
            change: 1,
            turns,
            incarnation: None,
            ..self.clone()
        }
    }

    fn forked_answer(&self) -> Answer {
        Answer::SessionForked {
            turns: self.turns.len() as u64,
            last_seq: Seq(self.last),
            version: Version(self.version),
            change: types::Change(1),
            at: Timestamp(0),
        }
    }

    /// What a call makes of a session (of its source, for a fork), and its answer; or why it may
    /// not take effect. `at` is where a fork ends that names no turn.
    pub fn after(
        call: &Call,
        before: Option<&Self>,
        source: Option<&Self>,
        at: u64,
    ) -> Result<(Option<Self>, Answer), String> {
        let mut life = before.cloned().unwrap_or_default();
        let must_exist = || before.map(drop).ok_or("there is no such session");
        let version_is = |expected: &Option<u64>| match expected {
            Some(expected) if *expected != life.version => Err("the version is another one"),
            _ => Ok(()),
        };
        let answer = match &call.change {
            Change::Append { user, said, expected, replace } => {
                version_is(expected)?;
                if before.is_none() {
                    life.user.clone_from(user);
                } else if user.is_some() && life.user != *user {
                    return Err("the session is another user's".to_owned());
                }
                if replace.is_some_and(|from| from > life.last) {
                    return Err("nothing can be replaced there".to_owned());
                }
                life.append(said, *replace)
            }
            Change::Create { user, pinned, ttl_ms } => {
                if before.is_some() {
                    return Err("the session exists".to_owned());
                }
                life.user.clone_from(user);
                (life.pinned, life.ttl_ms, life.change) = (Some(*pinned), *ttl_ms, 1);
                Answer::SessionCreated { at: Timestamp(0) }
            }
            Change::Update { pinned, ttl_ms } => {
                must_exist()?;
                life.pinned = pinned.or(life.pinned);
                life.ttl_ms = ttl_ms.unwrap_or(life.ttl_ms);
                life.change += 1;
                let (version, change) = (Version(life.version), types::Change(life.change));
                Answer::SessionUpdated { version, change, at: Timestamp(0) }
            }
            Change::Erase { seqs, expected } => {
                must_exist()?;
                version_is(expected)?;
                let seqs: Vec<Seq> = life.erase(seqs).into_iter().map(Seq).collect();
                life.version += u64::from(!seqs.is_empty());
                life.change += u64::from(!seqs.is_empty());
                let (version, change) = (Version(life.version), types::Change(life.change));
                Answer::TurnsErased { seqs, version, change, at: Timestamp(0) }
            }
            Change::Delete => {
                must_exist()?;
                let turns = life.turns.len() as u64;
                return Ok((None, Answer::SessionDeleted { turns, at: Timestamp(0) }));
            }
            Change::Fork { .. } => {
                if before.is_some() {
                    return Err("the session exists".to_owned());
                }
                life = source.ok_or("there is nothing to fork")?.forked(at);
                life.forked_answer()
            }
        };
        if life.change != before.map_or(0, |before| before.change) {
            life.shown_change = life.change;
        }
        Ok((Some(life), answer))
    }

    /// How a head differs from what it must be.
    pub fn differs(&self, tenant: u8, head: &Head) -> Option<String> {
        let pinned = self.pinned.map(|number| pinned(tenant, number)).unwrap_or_default();
        let user = head.user.as_ref().map(|user| user.as_str());
        let is = (user, head.version.0, head.change.0, head.last_seq.0, head.ttl_ms);
        let must = (self.user.as_deref(), self.version, self.change, self.last, self.ttl_ms);
        let living = (head.turns_living, head.turns_stored);
        let counted = (self.living().count() as u64, self.turns.len() as u64);
        let same = is == must && living == counted && head.pinned_instructions == pinned;
        (!same).then(|| format!("the head is {head:?} where it must be of {self:?}"))
    }
}
