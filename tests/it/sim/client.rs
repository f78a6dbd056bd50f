//! A client: it changes sessions, reads them, repeats itself, and does not always wait.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use keepsake::error::{Failure, Reason};
use keepsake::memory::{Memory, Scope};
use keepsake::record::Answer;
use keepsake::types::{Policy, Seq, TenantId};
use tokio::time::sleep;

use super::call::{Call, Change, Kind, Name, Said, session, tenant};
use super::dice::Dice;
use super::disk::CALL;
use super::world::World;

pub const TENANTS: u8 = 2;
pub const SESSIONS: [&str; 4] = ["s0", "s1", "s2", "s3"];
pub const USERS: [&str; 2] = ["ann", "bob"];

pub struct Client {
    pub world: Arc<World>,
    pub dice: Dice,
    made: Vec<Call>,
}

/// What became of a call, as its client sees it.
pub enum Outcome<T> {
    Answered(T),
    Refused(Reason),
    /// The client gave up, or the process died.
    Unknown,
}

/// Whether asking again may help.
fn passes(reason: Reason) -> bool {
    let reasons = [Reason::Overloaded, Reason::DiskFull, Reason::StoreFault, Reason::ShuttingDown];
    reasons.contains(&reason)
}

impl Client {
    pub fn new(world: Arc<World>, seed: u64, number: u64) -> Self {
        Self { world, dice: Dice::new(seed, &format!("client {number}")), made: Vec::new() }
    }

    pub async fn live(mut self, steps: u64) {
        for _ in 0..steps {
            let pause = match self.dice.below(10) {
                0..4 => 0,
                4..9 => self.dice.below(1_500),
                _ => self.dice.below(40_000),
            };
            sleep(Duration::from_millis(pause)).await;
            if self.world.model.lock().unwrap().verdict().is_err() {
                return;
            }
            self.step().await;
        }
    }

    pub fn name(&self) -> Name {
        let tenant = self.dice.below(u64::from(TENANTS)) as u8;
        (tenant, (*self.dice.one_of(&SESSIONS)).to_owned())
    }

    async fn step(&mut self) {
        let call = match self.dice.below(100) {
            0..36 => self.append(),
            36..45 => self.erase(),
            45..48 => self.plain(Change::Delete),
            48..52 => self.create(),
            52..56 => self.update(),
            56..62 => self.fork(),
            62..68 if !self.made.is_empty() => self.again(),
            68..70 => return self.key().await,
            70..72 => return self.policy().await,
            72..75 => return self.begin_anew().await,
            75..80 => return self.rush().await,
            _ => return self.look().await,
        };
        self.made.push(call.clone());
        self.change(&call).await;
    }

    /// Ends a session and begins it anew while work behind it may be under way.
    async fn begin_anew(&self) {
        let mut first = self.append();
        first.request = None;
        self.change(&first).await;
        sleep(Duration::from_millis(self.dice.below(30))).await;
        let end = Call { change: Change::Delete, ..first.clone() };
        self.change(&end).await;
        let Change::Append { expected, replace, .. } = &mut first.change else { return };
        (*expected, *replace) = (None, None);
        self.change(&first).await;
    }

    /// Changes a session while the past of its user is read, by several at the same time.
    async fn rush(&self) {
        let append = self.append();
        let mut erase = self.erase();
        erase.name.clone_from(&append.name);
        let name = append.name.clone();
        let late = Duration::from_millis(self.dice.below(20));
        let erased = async {
            sleep(late).await;
            self.change(&erase).await;
            self.look_at(&name, Scope::User).await;
        };
        let again = async {
            sleep(late / 2).await;
            self.look_at(&name, Scope::Session).await;
        };
        futures::join!(self.change(&append), self.look_at(&name, Scope::User), erased, again);
        self.look_at(&name, Scope::User).await;
    }

    fn plain(&self, change: Change) -> Call {
        let request = self.dice.per_mille(500).then(|| u128::from(self.world.number()));
        Call { name: self.name(), change, request }
    }

    /// A call that came before, or another one with its id.
    fn again(&self) -> Call {
        let known = self.dice.one_of(&self.made).clone();
        if known.request.is_some() && self.dice.per_mille(100) {
            let change = Change::Update { pinned: Some(self.world.number()), ttl_ms: None };
            let same = matches!(known.change, Change::Update { .. });
            return if same { Call { change, ..known } } else { known };
        }
        known
    }

    fn append(&self) -> Call {
        let count = match self.dice.below(10) {
            0..6 => self.dice.between(1, 3),
            6..9 => self.dice.between(2, 10),
            _ => self.dice.between(10, 40),
        };
        let kinds = [Kind::User, Kind::User, Kind::Assistant, Kind::Call, Kind::Result];
        let said = |_| Said {
            kind: *self.dice.one_of(&kinds),
            word: self.world.number(),
            external: self.dice.per_mille(200).then(|| self.dice.below(5) as u8),
        };
        let said = (0..count).map(said).collect();
        let user = match self.dice.below(10) {
            0..2 => None,
            2..9 => Some(USERS[0].to_owned()),
            _ => Some(USERS[1].to_owned()),
        };
        let change = Change::Append { user, said, expected: None, replace: None };
        let mut call = self.plain(change);
        let now = self.world.model.lock().unwrap().now(&call.name);
        let Change::Append { expected, replace, user, .. } = &mut call.change else {
            unreachable!("it was made above")
        };
        if let Some(life) = now {
            if self.dice.per_mille(900) {
                user.clone_from(&life.user);
            }
            if self.dice.per_mille(150) && life.last > 0 {
                *replace = Some(self.dice.between(life.last.saturating_sub(6).max(1), life.last));
            }
            if self.dice.per_mille(200) {
                *expected = Some(life.version + u64::from(self.dice.per_mille(150)));
            }
        } else if self.dice.per_mille(50) {
            (*expected, *replace) = (Some(self.dice.below(2)), Some(1));
        }
        call
    }

    fn erase(&self) -> Call {
        let mut call = self.plain(Change::Delete);
        let now = self.world.model.lock().unwrap().now(&call.name);
        let (last, version) = now.map_or((3, 0), |life| (life.last, life.version));
        let count = self.dice.between(1, 4);
        let seqs: BTreeSet<u64> = (0..count).map(|_| self.dice.between(1, last + 1)).collect();
        let expected = self.dice.per_mille(150).then_some(version);
        call.change = Change::Erase { seqs, expected };
        call
    }

    fn ttl_ms(&self) -> Option<u64> {
        let far = [20, 4_000, 60_000, 3_600_000, 40_000_000];
        self.dice.per_mille(500).then(|| *self.dice.one_of(&far))
    }

    fn create(&self) -> Call {
        let user = self.dice.per_mille(800).then(|| (*self.dice.one_of(&USERS)).to_owned());
        let pinned = self.world.number();
        self.plain(Change::Create { user, pinned, ttl_ms: self.ttl_ms() })
    }

    fn update(&self) -> Call {
        let pinned = self.dice.per_mille(700).then(|| self.world.number());
        let ttl_ms = self.dice.per_mille(400).then(|| self.ttl_ms());
        self.plain(Change::Update { pinned, ttl_ms })
    }

    fn fork(&self) -> Call {
        let mut call = self.plain(Change::Delete);
        let from = (*self.dice.one_of(&SESSIONS)).to_owned();
        let now = self.world.model.lock().unwrap().now(&(call.name.0, from.clone()));
        let last = now.map_or(0, |life| life.last);
        let at = self.dice.per_mille(600).then(|| self.dice.below(last + 2));
        // A session of two that has no name yet, more often than one that is there.
        if self.dice.per_mille(700) {
            call.name.1 = format!("f{}", self.dice.below(2));
        }
        call.change = Change::Fork { from, at };
        call
    }

    /// Asks until it is clear what became of it, when the call can be repeated.
    async fn change(&self, call: &Call) {
        for _ in 0..4 {
            let again = match self.attempt(call).await {
                Outcome::Answered(()) => false,
                Outcome::Refused(reason) => passes(reason),
                Outcome::Unknown => true,
            };
            if !again || (call.request.is_none() && self.dice.per_mille(600)) {
                return;
            }
            sleep(Duration::from_millis(self.dice.below(300))).await;
        }
    }

    async fn attempt(&self, call: &Call) -> Outcome<()> {
        let process = self.world.process().await;
        let memory = process.memory.clone();
        let policy = match self.policy_of(call.name.0).await {
            Outcome::Answered(policy) => policy,
            Outcome::Refused(reason) => return Outcome::Refused(reason),
            Outcome::Unknown => return Outcome::Unknown,
        };
        let id = self.world.number();
        self.world.model.lock().unwrap().begin(id, call);
        let done = CALL.scope(id, perform(&memory, &policy, call));
        let Some(done) = self.waited(&process, done).await else { return Outcome::Unknown };
        let done = done.map_err(|failure| failure.reason());
        let mut model = self.world.model.lock().unwrap();
        model.saw(&format!("{id} {done:?}"));
        model.answered(id, &done);
        done.map_or_else(Outcome::Refused, |_| Outcome::Answered(()))
    }

    /// What a future gives, unless the process dies or the client gives up first.
    pub async fn waited<T>(
        &self,
        process: &super::world::Process,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let faulty = self.world.faulty.load(Relaxed);
        let cut = faulty && self.dice.per_mille(self.world.mood.cuts);
        let patience = match cut {
            true => {
                let longest = *self.dice.one_of(&[400, 4_000, 40_000]);
                Duration::from_micros(self.dice.below(longest))
            }
            false => Duration::from_secs(1_000_000),
        };
        tokio::select! {
            biased;
            () = process.gone() => None,
            done = future => Some(done),
            () = sleep(patience) => None,
        }
    }

    /// The policy that a tenant's key gives; the key is another tenant's never.
    pub async fn policy_of(&self, number: u8) -> Outcome<Arc<Policy>> {
        let process = self.world.process().await;
        let (secret, version) = self.world.keys.lock().unwrap()[&number].clone();
        let caller = process.memory.authenticate(&secret);
        match self.waited(&process, caller).await {
            None => Outcome::Unknown,
            Some(Err(failure)) if passes(failure.reason()) => Outcome::Refused(failure.reason()),
            Some(Err(failure)) => {
                let text = format!("a good key was refused: {failure}");
                self.world.model.lock().unwrap().wrong(text);
                Outcome::Unknown
            }
            Some(Ok(caller)) => {
                if caller.tenant != tenant(number) || caller.policy.version < version {
                    let text = format!("the key of tenant {number} gave {caller:?}, not {version}");
                    self.world.model.lock().unwrap().wrong(text);
                }
                Outcome::Answered(caller.policy)
            }
        }
    }
}

async fn perform(memory: &Memory, policy: &Policy, call: &Call) -> Result<(Answer, bool), Failure> {
    let of: TenantId = tenant(call.name.0);
    let (name, id) = (session(&call.name.1), call.request_id());
    let answered = if let Some(request) = call.append() {
        memory.append(&of, policy, &request, id).await
    } else if let Some(request) = call.create() {
        memory.create_session(&of, &request, id).await
    } else if let Some(request) = call.update() {
        memory.update_session(&of, &request, id).await
    } else if let Some(request) = call.erase() {
        memory.delete_turns(&of, &request, id).await
    } else if let Change::Fork { from, at } = &call.change {
        memory.fork_session(&of, &session(from), at.map(Seq), &name, policy, id).await
    } else {
        memory.delete_session(&of, &name, id).await
    };
    answered.map(|answered| (answered.answer, answered.replayed))
}
