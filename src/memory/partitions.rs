//! Copies of sessions in memory, kept true by `change`, least recently used first out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

use moka::sync::Cache as Kept;

use crate::error::Failure;
use crate::memory::{
    Memory,
    append::seq_of,
    partition::{Derivation, Loaded, Partition},
    rows::{revised, unreadable},
};
use crate::planted::{self, Bug};
use crate::pool::compute;
use crate::record::{ChangeRow, DerivedRow, Head, Slot, SummaryRow, VectorRow, decode, keys};
use crate::retrieve::TurnVectors;
use crate::storage::{Read, Row};
use crate::telemetry::{Cache, cache_asked};
use crate::types::{Change, Incarnation, Seq, SessionId, TenantId, UserId};

/// A copy that readers and the bringing up to date share.
pub type Shared = Arc<RwLock<Partition>>;

/// How many users' lists of sessions are kept: a list is a few kilobytes.
const USERS_MAX: u64 = 10_000;

/// Which sessions a user has at a change of the user, each with the life and the change that it had
/// then at the least: what is kept of a session in memory may be older, when one that was slow to
/// bring it up put it back.
struct UserView {
    change: Change,
    sessions: BTreeMap<SessionId, (Incarnation, Change)>,
}

impl UserView {
    fn fits(&self, session: &SessionId, copy: &Shared, language: &str) -> bool {
        let copy = copy.read().expect("no writer panics");
        let known = self.sessions.get(session);
        let same = copy.language() == language;
        same && (planted::has(Bug::StaleUserCopy)
            || known.is_some_and(|(life, change)| {
                copy.incarnation() == *life && copy.change() >= *change
            }))
    }
}

/// The copies in memory, bounded by bytes.
pub struct Partitions {
    sessions: Kept<(TenantId, SessionId), Shared>,
    users: Kept<(TenantId, UserId), Arc<UserView>>,
}

impl Partitions {
    /// No copies yet, and room for `bytes_max`.
    pub fn new(bytes_max: u64) -> Self {
        let bytes = |_: &(TenantId, SessionId), copy: &Shared| {
            let bytes = copy.read().map_or(0, |copy| copy.bytes());
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self {
            sessions: Kept::builder().max_capacity(bytes_max).weigher(bytes).build(),
            users: Kept::new(USERS_MAX),
        }
    }

    /// How many copies there are, and how many bytes they take.
    pub(super) fn size(&self) -> (u64, u64) {
        self.sessions.run_pending_tasks();
        (self.sessions.entry_count(), self.sessions.weighted_size())
    }

    /// Forgets the copy of a session.
    pub(super) fn drop_session(&self, tenant: &TenantId, session: &SessionId) {
        self.sessions.invalidate(&copy_key(tenant, session));
    }

    /// Forgets everything, as a restart does.
    pub fn clear(&self) {
        self.sessions.invalidate_all();
        self.users.invalidate_all();
    }
}

/// Under what a copy is kept.
fn copy_key(tenant: &TenantId, session: &SessionId) -> (TenantId, SessionId) {
    let tenant = match planted::has(Bug::ForgetTenant) {
        true => TenantId::parse("any").expect("it is an id"),
        false => tenant.clone(),
    };
    (tenant, session.clone())
}

/// The rows of turns, derived rows and vectors of the same range.
struct TurnRows<'a> {
    turns: &'a [Row],
    derived: &'a [Row],
    vectors: &'a [Row],
}

/// Rows by the seqs at the ends of their keys.
pub(super) fn by_seq(rows: &[Row]) -> BTreeMap<Seq, &Row> {
    rows.iter().filter_map(|row| Some((seq_of(&row.key)?, row))).collect()
}

fn loaded_of(
    rows: &TurnRows<'_>,
    marked: &BTreeSet<Seq>,
    by: Derivation<'_>,
) -> Result<Vec<Loaded>, Failure> {
    let (turns, derived, vectors) = (rows.turns, by_seq(rows.derived), by_seq(rows.vectors));
    let mut loaded = Vec::with_capacity(turns.len());
    for row in turns {
        let Some(seq) = seq_of(&row.key).filter(|seq| !marked.contains(seq)) else { continue };
        let turn = decode(&row.value).map_err(unreadable)?;
        // A derived row that does not decode is derived again: the turn is the record.
        let derived = derived.get(&seq).and_then(|row| decode::<DerivedRow>(&row.value).ok());
        let vectors = vectors.get(&seq).and_then(|row| decode::<VectorRow>(&row.value).ok());
        loaded.push(Loaded::new(turn, derived, vectors, by));
    }
    Ok(loaded)
}

fn summaries_of(rows: &[Row]) -> Result<Vec<SummaryRow>, Failure> {
    rows.iter().map(|row| decode(&row.value).map_err(unreadable)).collect()
}

/// One step of bringing a copy up.
struct Step {
    change: Change,
    appended: Vec<Loaded>,
    embedded: Vec<(Seq, TurnVectors)>,
}

fn all(key: impl Fn(Incarnation, Seq) -> Vec<u8>, incarnation: Incarnation) -> Read {
    Read::range(key(incarnation, Seq(0)), key(incarnation, Seq(u64::MAX)))
}

impl Memory {
    /// The head of a session and a copy that is at least as new; `None`: there is no such session.
    pub(super) async fn partition(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        language: &str,
    ) -> Result<Option<(Head, Shared)>, Failure> {
        let Some(head) = self.head(tenant, session).await? else { return Ok(None) };
        let head = head.row;
        let copy = self.partitions.sessions.get(&copy_key(tenant, session));
        if let Some(copy) = copy
            && self.bring_up(tenant, session, &head, &copy, language).await?
        {
            cache_asked(Cache::Partitions, true);
            return Ok(Some((head, copy)));
        }
        cache_asked(Cache::Partitions, false);
        self.load(tenant, session, language).await
    }

    /// Brings a copy up to a head. `false`: it cannot be, load it again.
    async fn bring_up(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        head: &Head,
        copy: &Shared,
        language: &str,
    ) -> Result<bool, Failure> {
        let (incarnation, from) = {
            let copy = copy.read().expect("no writer panics");
            if !self.is_served(copy.embedder()) || copy.language() != language {
                return Ok(false);
            }
            (copy.incarnation(), copy.change())
        };
        if incarnation != head.incarnation && !planted::has(Bug::ForgetTenant) {
            return Ok(false);
        }
        if from >= head.change {
            return Ok(true);
        }
        let changes = Read::range(
            keys::change(incarnation, from.next()),
            keys::change(incarnation, head.change.next()),
        );
        let rows = self.read(vec![changes]).await?.remove(0);
        if rows.len() as u64 != head.change.0 - from.0 {
            return Ok(false);
        }
        let mut steps = Vec::with_capacity(rows.len());
        let mut summaries = false;
        for (row, change) in rows.iter().zip(from.0 + 1..) {
            let row: ChangeRow = decode(&row.value).map_err(unreadable)?;
            let superseded = row.superseded_from.is_some() && !planted::has(Bug::StaleReplace);
            if superseded || !row.erased.is_empty() {
                return Ok(false);
            }
            summaries |= row.summaries;
            let appended = self.appended_by(incarnation, &row, language).await?;
            let embedded = self.embedded_by(incarnation, &row.embedded).await?;
            steps.push(Step { change: Change(change), appended, embedded });
        }
        let summaries = match summaries {
            true => match self.summaries_at(tenant, session, head).await? {
                Some(summaries) => Some(summaries),
                None => return Ok(false),
            },
            false => None,
        };
        {
            let mut copy = copy.write().expect("no writer panics");
            let is_behind = copy.change() < head.change;
            for Step { change, appended, embedded } in steps {
                if change > copy.change() {
                    copy.advance(change, appended, embedded);
                }
            }
            if let Some(summaries) = summaries.filter(|_| is_behind) {
                copy.take_summaries(summaries);
            }
            copy.take_settings(head);
        }
        // The cache weighs a copy when it is put in.
        self.partitions.sessions.insert(copy_key(tenant, session), copy.clone());
        Ok(true)
    }

    async fn appended_by(
        &self,
        incarnation: Incarnation,
        row: &ChangeRow,
        language: &str,
    ) -> Result<Vec<Loaded>, Failure> {
        let Some((first, last)) = row.appended else { return Ok(Vec::new()) };
        let range = |key: fn(Incarnation, Seq) -> Vec<u8>| {
            Read::range(key(incarnation, first), key(incarnation, last.next()))
        };
        let rows = self.read(vec![range(keys::turn), range(keys::derived)]).await?;
        // Vectors come with changes of their own.
        let rows = TurnRows { turns: &rows[0], derived: &rows[1], vectors: &[] };
        loaded_of(&rows, &BTreeSet::new(), Derivation { language, embedder: None })
    }

    /// The vectors that a change gave, as far as they are still stored.
    async fn embedded_by(
        &self,
        incarnation: Incarnation,
        seqs: &[Seq],
    ) -> Result<Vec<(Seq, TurnVectors)>, Failure> {
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        let Some(space) = self.spaces.serving() else { return Ok(Vec::new()) };
        let get = |seq: &Seq| Read::get(keys::vectors(space.slot, incarnation, *seq));
        let rows = self.read(seqs.iter().map(get).collect()).await?;
        let by = Derivation { language: "", embedder: Some(space.embedder.key()) };
        let rows = seqs.iter().zip(&rows).filter_map(|(seq, rows)| Some((*seq, rows.first()?)));
        let vectors = rows.filter_map(|(seq, row)| {
            Some((seq, by.vectors(decode::<VectorRow>(&row.value).ok()?)?))
        });
        Ok(vectors.collect())
    }

    /// The summaries of a session at a head; `None`: the head has changed meanwhile.
    async fn summaries_at(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        head: &Head,
    ) -> Result<Option<Vec<SummaryRow>>, Failure> {
        let summaries = Read::prefix(keys::summaries(head.incarnation));
        let rows = self.read(vec![Read::get(keys::head(tenant, session)), summaries]).await?;
        let now = revised::<Head>(&rows[0])?;
        let same = now.is_some_and(|now| {
            now.row.incarnation == head.incarnation && now.row.change == head.change
        });
        if same { summaries_of(&rows[1]).map(Some) } else { Ok(None) }
    }

    /// Whether vectors of an embedder are those that questions are compared with now.
    fn is_served(&self, embedder: Option<&str>) -> bool {
        match embedder {
            Some(key) => self.spaces.serves(key),
            None => !self.spaces.embeds(),
        }
    }

    async fn load(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        language: &str,
    ) -> Result<Option<(Head, Shared)>, Failure> {
        // One loader at a time: the others then find its copy.
        let _turn = self.stripes.lock(tenant.as_str(), &format!("load {session}")).await;
        let Some(head) = self.head(tenant, session).await? else { return Ok(None) };
        let key = copy_key(tenant, session);
        if let Some(copy) = self.partitions.sessions.get(&key) {
            let known = {
                let copy = copy.read().expect("no writer panics");
                let fits = self.is_served(copy.embedder()) && copy.language() == language;
                (copy.incarnation(), copy.change(), fits)
            };
            if known.0 == head.row.incarnation && known.1 >= head.row.change && known.2 {
                return Ok(Some((head.row, copy)));
            }
        }
        let incarnation = head.row.incarnation;
        let space = self.spaces.serving();
        let slot = space.as_ref().map_or(Slot::First, |space| space.slot);
        let rows = self
            .read(vec![
                Read::get(keys::head(tenant, session)),
                all(keys::turn, incarnation),
                all(keys::derived, incarnation),
                all(keys::mark, incarnation),
                all(|life, seq| keys::vectors(slot, life, seq), incarnation),
                Read::prefix(keys::summaries(incarnation)),
            ])
            .await?;
        // The head of the same snapshot says which change the rows are at.
        let at = revised::<Head>(&rows[0])?.filter(|at| at.row.incarnation == incarnation);
        let Some(at) = at else { return Ok(None) };
        let language = language.to_owned();
        let embedder = space.map(|space| space.embedder.key().to_owned());
        let partition = compute(self.pool.as_ref(), move || {
            let marked = rows[3].iter().filter_map(|row| seq_of(&row.key)).collect();
            let by = Derivation { language: &language, embedder: embedder.as_deref() };
            let turns = TurnRows { turns: &rows[1], derived: &rows[2], vectors: &rows[4] };
            let loaded = loaded_of(&turns, &marked, by)?;
            Ok::<_, Failure>(Partition::new(&at.row, loaded, summaries_of(&rows[5])?, by))
        });
        let partition = partition.await.expect("loading does not panic")?;
        if self.spaces.embeds() && !partition.turns_without_vectors().is_empty() {
            // Most of them wait already; those that do not (the embedder is another one than at the
            // append) are made to.
            self.backlog.note_missing((tenant, incarnation, session), self.now());
        }
        let shared = Arc::new(RwLock::new(partition));
        self.partitions.sessions.insert(key, shared.clone());
        Ok(Some((head.row, shared)))
    }

    /// Copies of all sessions of a user, in the order of their ids, and the user's change.
    pub(super) async fn user_partitions(
        &self,
        tenant: &TenantId,
        user: &UserId,
        language: &str,
    ) -> Result<(Change, Vec<(SessionId, Shared)>), Failure> {
        let Some(head) = self.user_head(tenant, Some(user)).await? else {
            return Ok((Change(0), Vec::new()));
        };
        let change = head.row.change;
        let key = (tenant.clone(), user.clone());
        let view = self.partitions.users.get(&key);
        let touched = match &view {
            Some(view) if view.change >= change => BTreeSet::new(),
            Some(view) => match self.touched(tenant, user, view.change, change).await? {
                Some(touched) => touched,
                None => self.sessions_of(tenant, user).await?,
            },
            None => self.sessions_of(tenant, user).await?,
        };
        let known = view.iter().flat_map(|view| view.sessions.keys()).cloned();
        let ids: BTreeSet<SessionId> = known.chain(touched.iter().cloned()).collect();
        let (mut copies, mut sessions) = (Vec::with_capacity(ids.len()), BTreeMap::new());
        for session in ids {
            let fits = |copy: &Shared| {
                view.as_ref().is_some_and(|view| view.fits(&session, copy, language))
            };
            let kept = self.partitions.sessions.get(&copy_key(tenant, &session));
            let served =
                |copy: &Shared| self.is_served(copy.read().expect("no writer panics").embedder());
            let kept =
                kept.filter(|copy| !touched.contains(&session) && fits(copy) && served(copy));
            let copy = match kept {
                Some(copy) => {
                    cache_asked(Cache::Partitions, true);
                    Some(copy)
                }
                None => self.partition(tenant, &session, language).await?.map(|(_, copy)| copy),
            };
            let now = self.clock.now();
            let in_scope = |copy: &Shared| {
                let copy = copy.read().expect("no writer panics");
                copy.is_of(user) && !copy.has_ended(now)
            };
            if let Some(copy) = copy.filter(in_scope) {
                let at = {
                    let copy = copy.read().expect("no writer panics");
                    (copy.incarnation(), copy.change())
                };
                sessions.insert(session.clone(), at);
                copies.push((session, copy));
            }
        }
        if view.is_none_or(|view| view.change < change) {
            self.partitions.users.insert(key, Arc::new(UserView { change, sessions }));
        }
        Ok((change, copies))
    }

    /// The sessions that changes of a user touched; `None`: too far back.
    async fn touched(
        &self,
        tenant: &TenantId,
        user: &UserId,
        from: Change,
        to: Change,
    ) -> Result<Option<BTreeSet<SessionId>>, Failure> {
        let range = Read::range(
            keys::user_change(tenant, user, from.next()),
            keys::user_change(tenant, user, to.next()),
        );
        let rows = self.read(vec![range]).await?.remove(0);
        if rows.len() as u64 != to.0 - from.0 {
            return Ok(None);
        }
        let sessions = rows.iter().map(|row| decode(&row.value).map_err(unreadable));
        sessions.collect::<Result<_, _>>().map(Some)
    }

    /// All sessions of a user.
    async fn sessions_of(
        &self,
        tenant: &TenantId,
        user: &UserId,
    ) -> Result<BTreeSet<SessionId>, Failure> {
        let prefix = Read::prefix(keys::sessions_of_user(tenant, user));
        let rows = self.read(vec![prefix]).await?.remove(0);
        let ids = rows.iter().filter_map(|row| SessionId::parse(keys::last_id(&row.key)).ok());
        Ok(ids.collect())
    }
}
