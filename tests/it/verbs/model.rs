//! Random edits of a few sessions against a model of them that is written apart.

use std::collections::{BTreeMap, BTreeSet};

use keepsake::error::Reason;
use keepsake::memory::TurnPage;
use keepsake::record::Answer;
use keepsake::sessions::{Append, DeleteTurns, NewTurn};
use keepsake::storage::MemStore;
use keepsake::storage::fjall::FjallStore;
use keepsake::storage::sled::SledStore;
use keepsake::types::{Part, Role, Seq};
use proptest::prelude::*;

use super::world::{World, append, of_session, of_user, said, session};

const NAMES: [&str; 3] = ["s0", "s1", "s2"];
const USERS: [&str; 2] = ["ann", "bob"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    User,
    Assistant,
    Call,
    Result,
}

/// What is done, with numbers that are taken modulo what is there.
#[derive(Debug, Clone)]
enum Step {
    Append { at: usize, user: usize, turns: Vec<(Kind, Option<u8>)>, replace: Option<u64> },
    Erase { at: usize, seqs: Vec<u64> },
    Fork { from: usize, to: usize, at: u64 },
    Delete { at: usize },
}

#[derive(Debug, Clone)]
struct Kept {
    kind: Kind,
    superseded: bool,
    words: String,
}

#[derive(Debug, Clone, Default)]
struct Life {
    user: String,
    turns: BTreeMap<u64, Kept>,
    external: BTreeMap<u8, u64>,
    last: u64,
    version: u64,
}

impl Life {
    fn living(&self) -> Vec<u64> {
        self.turns.iter().filter(|(_, turn)| !turn.superseded).map(|(seq, _)| *seq).collect()
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
        let mut erased = BTreeSet::new();
        for seqs in [self.living(), all] {
            let groups = self.groups(&seqs);
            let hit: BTreeSet<_> = wanted.iter().filter_map(|seq| groups.get(seq)).collect();
            erased.extend(groups.iter().filter(|(_, g)| hit.contains(g)).map(|(seq, _)| *seq));
        }
        self.turns.retain(|seq, _| !erased.contains(seq));
        self.version += u64::from(!erased.is_empty());
        erased.into_iter().collect()
    }
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        Just(Kind::User),
        Just(Kind::User),
        Just(Kind::Assistant),
        Just(Kind::Call),
        Just(Kind::Result)
    ];
    let turn = (kind, prop::option::weighted(0.3, 0u8..6));
    let replace = prop::option::weighted(0.3, 0u64..50);
    let appended = (0usize..3, 0usize..2, prop::collection::vec(turn, 1..5), replace);
    prop_oneof![
        6 => appended
            .prop_map(|(at, user, turns, replace)| Step::Append { at, user, turns, replace }),
        2 => (0usize..3, prop::collection::vec(0u64..50, 1..4))
            .prop_map(|(at, seqs)| Step::Erase { at, seqs }),
        1 => (0usize..3, 0usize..3, 0u64..50)
            .prop_map(|(from, to, at)| Step::Fork { from, to, at }),
        1 => (0usize..3).prop_map(|at| Step::Delete { at }),
    ]
}

fn new_turn(kind: Kind, external: Option<u8>, words: &str) -> NewTurn {
    let role = match kind {
        Kind::User => Role::User,
        Kind::Assistant | Kind::Call => Role::Assistant,
        Kind::Result => Role::Tool,
    };
    let mut turn = said(role, words);
    let text = Part::Text(words.to_owned());
    match kind {
        Kind::User | Kind::Assistant => {}
        Kind::Call => {
            turn.parts.push(Part::ToolCall {
                id: "c".into(),
                name: "look".into(),
                arguments: "{}".into(),
            });
        }
        Kind::Result => {
            turn.parts =
                vec![Part::ToolResult { call_id: "c".into(), parts: vec![text], is_error: false }];
        }
    }
    turn.external_id = external.map(|id| format!("x{id}")).unwrap_or_default();
    turn
}

/// The service and its model, step by step.
struct Pair {
    world: World,
    lives: BTreeMap<&'static str, Life>,
    words: u64,
}

impl Pair {
    async fn take(&mut self, step: &Step) {
        match step {
            Step::Append { at, user, turns, replace } => {
                self.append(NAMES[*at], USERS[*user], turns, *replace).await;
            }
            Step::Erase { at, seqs } => self.erase(NAMES[*at], seqs).await,
            Step::Fork { from, to, at } => self.fork(NAMES[*from], NAMES[*to], *at).await,
            Step::Delete { at } => self.delete(NAMES[*at]).await,
        }
    }

    async fn append(
        &mut self,
        name: &'static str,
        user: &str,
        turns: &[(Kind, Option<u8>)],
        replace: Option<u64>,
    ) {
        let life = self.lives.get(name).cloned();
        let user = life.as_ref().map_or(user, |life| life.user.as_str()).to_owned();
        let mut life = life.unwrap_or_else(|| Life { user: user.clone(), ..Life::default() });
        let replace = replace.filter(|_| life.last > 0).map(|from| 1 + from % life.last);
        let mut request = Append { replace_from: replace.map(Seq), ..append(name, &user, &[]) };
        let (mut wanted, mut new) = (Vec::new(), BTreeMap::new());
        for (kind, external) in turns {
            self.words += 1;
            let words = format!("word{}z of the {kind:?}", self.words);
            request.turns.push(new_turn(*kind, *external, &words));
            if let Some(seq) = external.and_then(|id| life.external.get(&id)) {
                wanted.push((Seq(*seq), true));
                continue;
            }
            life.last += 1;
            wanted.push((Seq(life.last), false));
            life.external.extend(external.map(|id| (id, life.last)));
            new.insert(life.last, Kept { kind: *kind, superseded: false, words });
        }
        let mut superseded = 0;
        if !new.is_empty() {
            for (_, turn) in life.turns.range_mut(replace.unwrap_or(u64::MAX)..) {
                superseded += u64::from(!turn.superseded);
                turn.superseded = true;
            }
            life.version += 1;
            life.turns.extend(new);
        }
        let answer = self.world.append(&request).await.answer;
        let Answer::Appended { version, turns, superseded: found, .. } = answer else {
            panic!("an append was answered by {answer:?}");
        };
        assert_eq!((version.0, turns, found), (life.version, wanted, superseded));
        self.lives.insert(name, life);
    }

    async fn erase(&mut self, name: &'static str, seqs: &[u64]) {
        let Some(life) = self.lives.get_mut(name) else { return };
        let wanted: BTreeSet<u64> = seqs.iter().map(|seq| 1 + seq % (life.last + 1)).collect();
        let erased = life.erase(&wanted);
        let request = DeleteTurns {
            session: session(name),
            seqs: wanted.into_iter().map(Seq).collect(),
            expected_version: None,
        };
        let memory = &self.world.memory;
        let answer = memory.delete_turns(&self.world.tenant, &request, None).await.unwrap().answer;
        let Answer::TurnsErased { seqs, version, .. } = answer else {
            panic!("an erasure was answered by {answer:?}");
        };
        let seqs: Vec<u64> = seqs.iter().map(|seq| seq.0).collect();
        assert_eq!((seqs, version.0), (erased, life.version));
    }

    async fn fork(&mut self, from: &'static str, to: &'static str, at: u64) {
        let source = self.lives.get(from).cloned();
        let at = source.as_ref().map(|life| at % (life.last + 1)).filter(|at| *at > 0);
        let (from, new) = (session(from), session(to));
        let memory = &self.world.memory;
        let answered = memory
            .fork_session(&self.world.tenant, &from, at.map(Seq), &new, &self.world.policy, None)
            .await;
        let taken = self.lives.contains_key(to);
        let Some(source) = source.filter(|_| !taken) else {
            let wanted = if taken { Reason::SessionExists } else { Reason::SessionNotFound };
            assert_eq!(answered.unwrap_err().reason(), wanted);
            return;
        };
        let mut life = Life { user: source.user.clone(), ..Life::default() };
        for seq in source.living().into_iter().filter(|seq| at.is_none_or(|at| *seq <= at)) {
            life.turns.insert(seq, source.turns[&seq].clone());
            life.last = seq;
        }
        let copied = |seq: &u64| life.turns.contains_key(seq);
        life.external = source.external.into_iter().filter(|(_, seq)| copied(seq)).collect();
        life.version = u64::from(!life.turns.is_empty());
        let answer = answered.unwrap().answer;
        let Answer::SessionForked { turns, last_seq, version, .. } = answer else {
            panic!("a fork was answered by {answer:?}");
        };
        let wanted = (life.turns.len() as u64, life.last, life.version);
        assert_eq!((turns, last_seq.0, version.0), wanted);
        self.lives.insert(to, life);
    }

    async fn delete(&mut self, name: &'static str) {
        let memory = &self.world.memory;
        let answered = memory.delete_session(&self.world.tenant, &session(name), None).await;
        match self.lives.remove(name) {
            Some(life) => {
                let answer = answered.unwrap().answer;
                let stored = life.turns.len() as u64;
                assert!(matches!(answer, Answer::SessionDeleted { turns, .. } if turns == stored));
            }
            None => assert_eq!(answered.unwrap_err().reason(), Reason::SessionNotFound),
        }
    }

    /// Compares everything that can be read with the model, with copies in memory and without.
    async fn compare(&self) {
        let cold = self.world.restarted();
        for name in NAMES {
            self.compare_record(name).await;
            self.compare_context(&cold, name).await;
        }
        for user in USERS {
            let warm = self.world.build(of_user(user, None, None), "which word?").await;
            let cold = cold.build(of_user(user, None, None), "which word?").await;
            assert_eq!((&warm.context, &warm.sessions), (&cold.context, &cold.sessions));
            assert_eq!(warm.user_change, cold.user_change);
            let lives = self.lives.iter().filter(|(_, life)| life.user == user);
            let ids: Vec<_> = lives.map(|(name, _)| session(name)).collect();
            assert_eq!(warm.sessions, ids);
        }
    }

    async fn compare_record(&self, name: &str) {
        let (memory, tenant) = (&self.world.memory, &self.world.tenant);
        let head = memory.get_session(tenant, &session(name)).await;
        let Some(life) = self.lives.get(name) else {
            assert_eq!(head.unwrap_err().reason(), Reason::SessionNotFound);
            return;
        };
        let head = head.unwrap();
        let living = life.living();
        assert_eq!((head.version.0, head.last_seq.0), (life.version, life.last));
        assert_eq!(head.turns_living, living.len() as u64);
        assert_eq!(head.turns_stored, life.turns.len() as u64);
        for superseded in [false, true] {
            let page = TurnPage {
                session: session(name),
                after: None,
                size: 1_000,
                superseded,
                newest_first: false,
            };
            let (listed, more) = memory.list_turns(tenant, &page).await.unwrap();
            let listed: Vec<_> = listed
                .iter()
                .map(|(turn, old)| (turn.seq.0, *old, turn.searchable_text()))
                .collect();
            let kept = life.turns.iter().filter(|(_, turn)| superseded || !turn.superseded);
            let wanted: Vec<_> =
                kept.map(|(seq, turn)| (*seq, turn.superseded, turn.words.clone())).collect();
            assert_eq!((listed, more), (wanted, false));
        }
    }

    /// What is shown and what is not are the living turns, none twice; nothing else is there.
    async fn compare_context(&self, cold: &World, name: &str) {
        for budget in [100, 400] {
            let warm = self.world.try_build(of_session(name), "which?", Some(budget)).await;
            let cold = cold.try_build(of_session(name), "which?", Some(budget)).await;
            let (warm, cold) = match (warm, cold) {
                (Ok(warm), Ok(cold)) => (warm, cold),
                (Err(warm), Err(cold)) => {
                    assert_eq!(warm.to_string(), cold.to_string());
                    continue;
                }
                _ => panic!("copies in memory and the record differ"),
            };
            assert_eq!(warm.context, cold.context);
            assert_eq!(warm.session_change, cold.session_change);
            let empty = Life::default();
            let life = self.lives.get(name).unwrap_or(&empty);
            let living = life.living();
            let items = warm.context.sections.iter().flat_map(|section| &section.items);
            let shown = items.filter(|item| item.source.is_some());
            let mut spans: Vec<_> = shown.map(|item| (item.first_seq.0, item.last_seq.0)).collect();
            for range in &warm.context.not_shown {
                spans.push((range.first_seq.0, range.last_seq.0));
                let inside = living
                    .iter()
                    .filter(|seq| (range.first_seq.0..=range.last_seq.0).contains(seq));
                assert_eq!(inside.count() as u64, range.turns);
            }
            for seq in &living {
                let times = spans.iter().filter(|(a, b)| (a..=b).contains(&seq)).count();
                assert_eq!(times, 1, "turn {seq} of {living:?}: {:#?}", warm.context);
            }
            let sent = format!("{:?}", warm.context.messages);
            for turn in life.turns.values().filter(|turn| turn.superseded) {
                assert!(!sent.contains(&turn.words), "{} is superseded", turn.words);
            }
        }
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..Default::default() }
}

fn run(steps: &[Step], world: impl Future<Output = World>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut pair = Pair { world: world.await, lives: BTreeMap::new(), words: 0 };
        for step in steps {
            pair.take(step).await;
            pair.compare().await;
        }
    });
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn sessions_are_as_their_model_says(steps in prop::collection::vec(step(), 1..16)) {
        run(&steps, World::over(MemStore::new()));
    }
}

proptest! {
    #![proptest_config(cases(4))]

    #[test]
    fn sessions_on_disk_are_as_their_model_says(steps in prop::collection::vec(step(), 4..12)) {
        let folder = tempfile::tempdir().unwrap();
        run(&steps, World::over(FjallStore::open(folder.path()).unwrap()));
    }

    #[test]
    fn sessions_on_sled_are_as_their_model_says(steps in prop::collection::vec(step(), 4..12)) {
        let folder = tempfile::tempdir().unwrap();
        run(&steps, World::over(SledStore::open(folder.path()).unwrap()));
    }
}
