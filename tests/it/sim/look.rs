//! What clients read, against what there was at the moments of the call.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use keepsake::context::{Context, Format};
use keepsake::documents::DocumentFilter;
use keepsake::error::{Failure, Reason};
use keepsake::memory::{
    BuildRequest, Filter, NewKey, PolicyChange, Scope, SearchRequest, SummaryChange, Target,
    TurnPage,
};
use keepsake::record::Scopes;
use keepsake::types::{Policy, RequestId};
use tokio::time::Instant;

use super::call::{Name, question, session, tenant, user, words};
use super::client::{Client, Outcome, USERS};
use super::judge::{Seen, judge};
use super::life::Life;
use super::model::Since;

pub const BUDGETS: [u32; 5] = [90, 300, 900, 2_600, 9_000];

/// What may be refused of a read whatever there is.
fn passes(reason: Reason) -> bool {
    [Reason::StoreFault, Reason::ShuttingDown].contains(&reason)
}

impl Client {
    pub async fn look(&self) {
        let name = self.name();
        let Outcome::Answered(policy) = self.policy_of(name.0).await else { return };
        match self.dice.below(30) {
            0..7 => self.list(&name).await,
            7..9 => self.get(&name).await,
            9..11 => self.sessions(name.0).await,
            11..16 => self.search(&name, &policy).await,
            _ => {
                let target = self.target(&name);
                self.build(&name, &policy, target).await;
            }
        }
    }

    /// Builds a context of a session, or of all its user's.
    pub async fn look_at(&self, name: &Name, scope: Scope) {
        let Outcome::Answered(policy) = self.policy_of(name.0).await else { return };
        let own = Some(session(&name.1));
        let target = Target { session: own, user: None, scope, deadline: None, hurried: false };
        self.build(name, &policy, target).await;
    }

    /// A read with the moment it began; `None`: nobody knows what it gave.
    async fn read<T>(
        &self,
        future: impl Future<Output = Result<T, Failure>>,
        allowed: &[Reason],
    ) -> Option<T> {
        let process = self.world.process().await;
        match self.waited(&process, future).await? {
            Ok(given) => Some(given),
            Err(failure) => {
                let reason = failure.reason();
                if !passes(reason) && !allowed.contains(&reason) {
                    self.wrong(format!("a read was refused: {failure}"));
                }
                None
            }
        }
    }

    fn wrong(&self, what: String) {
        self.world.model.lock().unwrap().wrong(what);
    }

    fn since(&self) -> Since {
        self.world.model.lock().unwrap().since()
    }

    async fn list(&self, name: &Name) {
        let process = self.world.process().await;
        let since = self.since();
        let page = TurnPage {
            session: session(&name.1),
            after: None,
            size: 1_000,
            superseded: false,
            newest_first: self.dice.per_mille(300),
        };
        let of = tenant(name.0);
        let listed = process.memory.list_turns(&of, &page);
        let listed = self.read(listed, &[Reason::SessionNotFound]).await;
        let mut model = self.world.model.lock().unwrap();
        let seen = Seen::of(&model, name, since);
        let Some((turns, more)) = listed else { return };
        let seqs: BTreeSet<u64> = turns.iter().map(|(turn, _)| turn.seq.0).collect();
        let said = words(format!("{turns:?}").as_bytes());
        model.saw(&format!("listed {seqs:?}"));
        let whole = seen.must.is_subset(&seqs) && seqs.is_subset(&seen.may);
        if more || !whole || seqs.len() != turns.len() || !said.is_subset(&seen.words) {
            model.wrong(format!("listed {seqs:?} of {name:?}: {:?}", seen.views));
        }
    }

    async fn get(&self, name: &Name) {
        let process = self.world.process().await;
        let since = self.since();
        let of = tenant(name.0);
        let id = session(&name.1);
        let got = process.memory.get_session(&of, &id);
        let got = self.read(got, &[Reason::SessionNotFound]).await;
        let mut model = self.world.model.lock().unwrap();
        let views = model.views(name, since);
        let Some(head) = got else { return };
        let fits = |life: &Arc<Life>| life.differs(name.0, &head).is_none();
        if !views.iter().flatten().any(fits) {
            model.wrong(format!("got {head:?} of {name:?}: {views:?}"));
        }
    }

    async fn sessions(&self, of: u8) {
        let process = self.world.process().await;
        let since = self.since();
        let who = self.dice.per_mille(600).then(|| *self.dice.one_of(&USERS));
        let id = who.map(user);
        let tenant = tenant(of);
        let listed = process.memory.list_sessions(&tenant, id.as_ref(), None, 100);
        let Some(listed) = self.read(listed, &[]).await else { return };
        let mut model = self.world.model.lock().unwrap();
        let listed: BTreeSet<String> = listed.items.iter().map(|(id, _)| id.to_string()).collect();
        for name in model.names().into_iter().filter(|name| name.0 == of) {
            let seen = Seen::of(&model, &name, since);
            let there = |view: &Option<Arc<Life>>| view.is_some();
            let (must, may) = match who {
                Some(who) => seen.is_of(who),
                None => (seen.views.iter().all(there), seen.views.iter().any(there)),
            };
            let is = listed.contains(&name.1);
            if (must && !is) || (is && !may) {
                model.wrong(format!("listed {listed:?} of {who:?}; {name:?}: {:?}", seen.views));
            }
        }
    }

    fn target(&self, name: &Name) -> Target {
        let deadline = self.dice.per_mille(200).then(|| {
            let left = Duration::from_micros(self.dice.below(60_000));
            (Instant::now() + left).into_std()
        });
        match self.dice.below(10) {
            0..5 => Target {
                session: Some(session(&name.1)),
                user: None,
                scope: Scope::Session,
                deadline,
                hurried: false,
            },
            5..8 => Target {
                session: Some(session(&name.1)),
                user: None,
                scope: Scope::User,
                deadline,
                hurried: false,
            },
            _ => {
                let who: &str = self.dice.one_of::<&str>(&USERS);
                let who = Some(user(who));
                Target { session: None, user: who, scope: Scope::User, deadline, hurried: false }
            }
        }
    }

    async fn search(&self, name: &Name, policy: &Policy) {
        let process = self.world.process().await;
        let (since, target) = (self.since(), self.target(name));
        let request = SearchRequest {
            target: target.clone(),
            query: question(self.dice.below(5)),
            top_k: 10,
            filter: Filter::default(),
            as_of: None,
            explain: false,
            collections: Vec::new(),
            document_filter: DocumentFilter::default(),
        };
        let of = tenant(name.0);
        let found = process.memory.search(&of, policy, request);
        let Some(found) = self.read(found, &[]).await else { return };
        let mut model = self.world.model.lock().unwrap();
        for hit in &found.turns {
            let seen = Seen::of(&model, &(name.0, hit.session.to_string()), since);
            let said = words(format!("{:?}", hit.turn).as_bytes());
            if !seen.may.contains(&hit.turn.seq.0) || !said.is_subset(&seen.words) {
                model.wrong(format!("found {:?} in {}: {:?}", hit.turn, hit.session, seen.views));
            }
        }
    }

    async fn build(&self, name: &Name, policy: &Policy, target: Target) {
        let process = self.world.process().await;
        let since = self.since();
        let formats = [Format::Neutral, Format::Neutral, Format::OpenAiChat];
        let query =
            if self.dice.per_mille(500) { question(self.dice.below(5)) } else { String::new() };
        let request = BuildRequest {
            target,
            query,
            model: String::new(),
            budget_tokens: Some(*self.dice.one_of(&BUDGETS)),
            reserve_tokens: if self.dice.per_mille(200) { 20 } else { 0 },
            instructions: String::new(),
            filter: Filter::default(),
            as_of: None,
            time_zone: jiff::tz::TimeZone::UTC,
            shares: None,
            documents_percent: None,
            format: *self.dice.one_of(&formats),
            explain: false,
            collections: Vec::new(),
            document_filter: DocumentFilter::default(),
        };
        let of = tenant(name.0);
        let built = process.memory.build_context(&of, policy, request.clone());
        let small = [Reason::CurrentExchangeTooLarge, Reason::InstructionsTooLarge];
        let Some(built) = self.read(built, &small).await else { return };
        let mut model = self.world.model.lock().unwrap();
        model.saw(&format!("{:?} {:?}", built.context.messages, built.session_change));
        if let Err(why) = judge(&model, name.0, since, &request, &built) {
            model.wrong(format!("{why}\nthe request: {request:?}\n{:?}", built.context));
        }
        drop(model);
        self.prefix(name.0, since, policy, &request, &built.context);
    }

    /// The prefix of a session's contexts depends on session, policy and budget alone.
    fn prefix(&self, of: u8, since: Since, policy: &Policy, asked: &BuildRequest, is: &Context) {
        let (Scope::Session, Some(session), Format::Neutral) =
            (asked.target.scope, &asked.target.session, asked.format)
        else {
            return;
        };
        let mut model = self.world.model.lock().unwrap();
        let views = model.views(&(of, session.to_string()), since);
        let (Some(Some(life)), Some(last)) = (views.first(), is.breakpoints.last()) else { return };
        let shown = |view: &Option<Arc<Life>>| view.as_ref().map(|life| life.shown_change);
        if !views.iter().all(|view| shown(view) == shown(&views[0])) {
            return;
        }
        let budget = (asked.budget_tokens, asked.reserve_tokens, policy.version);
        let state = (life.incarnation, life.shown_change, asked.query.is_empty());
        let key = format!("{of} {session} {state:?} {budget:?}");
        let messages = usize::try_from(last.message_index).unwrap_or(0) + 1;
        let prefix = format!("{:?}", &is.messages[..messages.min(is.messages.len())]);
        let mut known = self.world.prefixes.lock().unwrap();
        let before = known.entry(key).or_insert_with(|| prefix.clone());
        if *before != prefix {
            model.wrong(format!("another prefix of {session}: {before}\n{prefix}"));
        }
    }

    /// A key is made, works, is revoked, and works no more.
    pub async fn key(&self) {
        let number = self.name().0;
        let of = tenant(number);
        let process = self.world.process().await;
        let memory = process.memory.clone();
        let id = RequestId(uuid::Uuid::from_u128(u128::from(self.world.number())));
        let scopes = Scopes::READ.and(Scopes::WRITE);
        let new = NewKey { display_name: "a key".to_owned(), scopes, expires_at: None };
        let created = memory.create_key(&of, &new, Some((&of, id)));
        let refused = [Reason::Overloaded, Reason::DiskFull];
        let Some(created) = self.read(created, &refused).await else { return };
        let Some(secret) = created.secret else { return };
        let invalid = [Reason::KeyInvalid];
        match self.waited(&process, memory.authenticate(&secret)).await {
            Some(Ok(caller)) if caller.tenant == of => {}
            Some(Err(failure)) if passes(failure.reason()) => {}
            None => {}
            Some(other) => self.wrong(format!("a new key gave {other:?}")),
        }
        let revoked = memory.revoke_key(&of, &created.row.key_id, None);
        if self.read(revoked, &refused).await.is_none() {
            return;
        }
        if let Some(caller) = self.read(memory.authenticate(&secret), &invalid).await {
            self.wrong(format!("a revoked key gave {caller:?}"));
        }
    }

    pub async fn policy(&self) {
        let number = self.name().0;
        let of = tenant(number);
        let process = self.world.process().await;
        let summaries = SummaryChange {
            tail_high_tokens: Some(*self.dice.one_of(&[150, 300, 1_200])),
            tail_low_tokens: Some(60),
            idle_minutes: Some(*self.dice.one_of(&[1, 30, 360])),
            off: None,
        };
        let turns = *self.dice.one_of(&[0, 3, 200]);
        let retrieved_turns_max = self.dice.per_mille(300).then_some(turns);
        let change = PolicyChange { summaries, retrieved_turns_max, ..PolicyChange::default() };
        let memory = process.memory.clone();
        let updated = memory.update_tenant(&of, &change, None);
        let refused = [Reason::Overloaded, Reason::DiskFull];
        if let Some((tenant, _)) = self.read(updated, &refused).await {
            let mut keys = self.world.keys.lock().unwrap();
            let known = keys.get_mut(&number).expect("every tenant has a key");
            known.1 = known.1.max(tenant.policy.version);
        }
    }
}
