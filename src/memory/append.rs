//! AppendTurns: two trips to the store, three when external ids or a replacement are to be read.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::chance::incarnation;
use crate::context::{LAYOUT_VERSION, measure};
use crate::error::Failure;
use crate::memory::{
    Answered, Memory,
    rows::{repeat_of, revised, unreadable},
};
use crate::planted::{self, Bug};
use crate::record::{Answer, DerivedRow, Head, SummaryRow, UserHead, Verb, decode, keys};
use crate::retrieve::{ANALYSIS_VERSION, analyse};
use crate::sessions::{Append, AppendFound, AppendPlan, Behind, Repeat, Revised, plan_append};
use crate::storage::{Read, Row};
use crate::summarize::Span;
use crate::tokens::Tokenizer;
use crate::types::{Incarnation, Part, Policy, RequestId, Seq, SessionId, TenantId, Turn};

/// Notes, when a call ends without an answer, that turns of a session may wait for vectors: a
/// commit goes on when its caller has gone.
pub(super) struct Noted<'a> {
    pub(super) memory: &'a Memory,
    pub(super) of: (&'a TenantId, &'a SessionId),
    pub(super) life: Mutex<Option<Incarnation>>,
}

impl Noted<'_> {
    /// Says which life of the session may be written now; gives the one before.
    pub(super) fn set(&self, life: Option<Incarnation>) -> Option<Incarnation> {
        std::mem::replace(&mut *self.life.lock().expect("no holder panics"), life)
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        if let Some(life) = self.set(None)
            && self.memory.spaces.embeds()
            && !planted::has(Bug::ForgetCut)
        {
            let (tenant, session) = self.of;
            self.memory.backlog.doubt((tenant, life, session), self.memory.now());
        }
    }
}

impl Memory {
    /// Appends turns, all or none; the session is created when it does not exist.
    ///
    /// # Errors
    /// As [`plan_append`]; `REQUEST_ID_REUSED`, `CONTENTION`, and what the store refuses.
    pub async fn append(
        &self,
        tenant: &TenantId,
        policy: &Policy,
        request: &Append,
        request_id: Option<RequestId>,
    ) -> Result<Answered, Failure> {
        let repeat = repeat_of(tenant, Verb::AppendTurns, request_id, request);
        let tokenizers = self.tokenizers(tenant, policy);
        let name = request.user.as_ref().map_or(request.session.as_str(), |user| user.as_str());
        let turn = self.stripes.lock(tenant.as_str(), name).await;
        let noted = Noted { memory: self, of: (tenant, &request.session), life: Mutex::default() };
        let forgets = planted::has(Bug::RepeatAfterDelete);
        let repeat = match forgets && self.head(tenant, &request.session).await?.is_none() {
            true => None,
            false => repeat,
        };
        let answered = self
            .commit(repeat.as_ref(), || async {
                let planning =
                    self.planned_append(tenant, request, policy, &tokenizers, repeat.as_ref());
                let (plan, of) = planning.await?;
                noted.set(Some(of));
                Ok(plan)
            })
            .await?;
        drop(turn);
        if let (Some(incarnation), Some(range)) = (noted.set(None), new_turns(&answered))
            && self.spaces.embeds()
        {
            self.backlog.note((tenant, incarnation, &request.session), range, self.now());
            self.beside_session((tenant, &request.session), range.0);
        }
        Ok(answered)
    }

    async fn planned_append(
        &self,
        tenant: &TenantId,
        request: &Append,
        policy: &Policy,
        tokenizers: &[Tokenizer],
        repeat: Option<&Repeat>,
    ) -> Result<(AppendPlan, Incarnation), Failure> {
        let found = self.found_for_append(tenant, request).await?;
        let now = self.clock.now();
        let fresh = incarnation(now, self.chance.as_ref());
        let embeds = self.spaces.embeds();
        let of = found.head.as_ref().map_or(fresh, |head| head.row.incarnation);
        let (tenant, request, repeat) = (tenant.clone(), request.clone(), repeat.cloned());
        let (retrieval, summaries) = (policy.retrieval.clone(), policy.summaries);
        let parts = request.turns.iter().flat_map(|turn| &turn.parts);
        let bytes = parts.map(Part::bytes).sum();
        let tokenizers = tokenizers.to_vec();
        let plan = self.heavy.run(self.pool.as_ref(), bytes, move |unwanted| {
            let derive = |turn: &Turn| match unwanted() {
                // Nobody waits for the plan any more.
                true => DerivedRow::default(),
                false => derive(turn, &retrieval.language, &tokenizers),
            };
            let behind = Behind { derive: &derive, embeds, summaries: &summaries };
            plan_append(&tenant, &request, &found, fresh, now, repeat.as_ref(), &behind)
        });
        Ok((plan.await?, of))
    }

    async fn found_for_append(
        &self,
        tenant: &TenantId,
        request: &Append,
    ) -> Result<AppendFound, Failure> {
        let mut reads = vec![Read::get(keys::head(tenant, &request.session))];
        reads.extend(request.user.as_ref().map(|user| Read::get(keys::user(tenant, user))));
        let rows = self.read(reads).await?;
        let mut head = revised::<Head>(&rows[0])?;
        let mut user = rows.get(1).map(|rows| revised::<UserHead>(rows)).transpose()?.flatten();
        if head.as_ref().is_some_and(|head| head.row.has_ended(self.clock.now())) {
            self.end_session(tenant, &request.session).await?;
            head = None;
        }
        let Some(head) = head else {
            self.room_for_session(tenant).await?;
            user = self.user_head(tenant, request.user.as_ref()).await?;
            return Ok(AppendFound { user, ..AppendFound::default() });
        };
        if request.user.is_none() || head.row.user != request.user {
            user = self.user_head(tenant, head.row.user.as_ref()).await?;
        }
        let (external, living_from) = self.known_of(request, &head).await?;
        let summaries = match request.replace_from {
            Some(from) => self.spans_reaching(&head.row, from).await?,
            None => Vec::new(),
        };
        Ok(AppendFound { head: Some(head), user, external, living_from, summaries })
    }

    /// What the summaries of a session cover; empty when none was made of `seq` or later turns.
    pub(super) async fn spans_reaching(&self, head: &Head, seq: Seq) -> Result<Vec<Span>, Failure> {
        if head.summarized_to < seq {
            return Ok(Vec::new());
        }
        let rows = self.read(vec![Read::prefix(keys::summaries(head.incarnation))]).await?;
        let span = |row: &Row| {
            decode::<SummaryRow>(&row.value).map(|row| row.summary.span).map_err(unreadable)
        };
        rows[0].iter().map(span).collect()
    }

    /// The seqs of external ids that are known, and the living turns from `replace_from` on.
    async fn known_of(
        &self,
        request: &Append,
        head: &Revised<Head>,
    ) -> Result<(BTreeMap<String, Seq>, Vec<Seq>), Failure> {
        let incarnation = head.row.incarnation;
        let named = request.turns.iter().map(|turn| &turn.external_id).filter(|id| !id.is_empty());
        let ids: Vec<&String> = named.collect();
        let mut reads: Vec<_> =
            ids.iter().map(|id| Read::get(keys::external(incarnation, id))).collect();
        if let Some(from) = request.replace_from {
            let until = keys::turn(incarnation, Seq(u64::MAX));
            reads.push(Read::range(keys::turn(incarnation, from), until));
            let until = keys::mark(incarnation, Seq(u64::MAX));
            reads.push(Read::range(keys::mark(incarnation, from), until));
        }
        if reads.is_empty() {
            return Ok((BTreeMap::new(), Vec::new()));
        }
        let rows = self.read(reads).await?;
        let mut external = BTreeMap::new();
        for (id, rows) in ids.iter().zip(&rows) {
            if let Some(row) = rows.first() {
                external.insert((*id).clone(), decode(&row.value).map_err(unreadable)?);
            }
        }
        let stored = rows.get(ids.len()).map(Vec::as_slice).unwrap_or_default();
        let marked = rows.get(ids.len() + 1).map(Vec::as_slice).unwrap_or_default();
        let marked: std::collections::BTreeSet<_> =
            marked.iter().filter_map(|row| seq_of(&row.key)).collect();
        let living = stored.iter().filter_map(|row| seq_of(&row.key));
        Ok((external, living.filter(|seq| !marked.contains(seq)).collect()))
    }

    /// The tokenizers that turns of a tenant are counted with at append: of its default model and
    /// of its own models. One that cannot be made is left out; a context then says so.
    pub(super) fn tokenizers(&self, tenant: &TenantId, policy: &Policy) -> Vec<Tokenizer> {
        let names = policy.models.iter().map(|model| &model.name);
        let mut tokenizers: Vec<Tokenizer> = Vec::new();
        for name in std::iter::once(&policy.model_default).chain(names) {
            if let Ok(model) = self.model(tenant, policy, name)
                && tokenizers.iter().all(|known| known.key() != model.tokenizer.key())
            {
                tokenizers.push(model.tokenizer);
            }
        }
        tokenizers
    }
}

/// The seqs of the turns that an append made, the end exclusive.
fn new_turns(answered: &Answered) -> Option<(Seq, Seq)> {
    let Answer::Appended { turns, .. } = &answered.answer else { return None };
    let mut new = turns.iter().filter(|(_, existed)| !answered.replayed && !existed);
    let first = new.next()?.0;
    Some((first, new.next_back().map_or(first, |(last, _)| *last).next()))
}

/// The seq at the end of a key.
pub(super) fn seq_of(key: &[u8]) -> Option<Seq> {
    let tail = key.last_chunk::<8>()?;
    Some(Seq(u64::from_be_bytes(*tail)))
}

/// Everything that is derived from a turn at append.
pub(super) fn derive(turn: &Turn, language: &str, tokenizers: &[Tokenizer]) -> DerivedRow {
    DerivedRow {
        analysis_version: ANALYSIS_VERSION,
        layout_version: LAYOUT_VERSION,
        terms: analyse(turn, language),
        counts: tokenizers
            .iter()
            .map(|tokenizer| (tokenizer.key().to_owned(), measure(turn, tokenizer)))
            .collect(),
    }
}
