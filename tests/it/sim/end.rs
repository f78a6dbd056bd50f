//! The end of a run: no more faults, all work done, and the record is as the model says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use keepsake::context::Format;
use keepsake::documents::DocumentFilter;
use keepsake::memory::{BuildRequest, Filter, Memory, Scope, Target};
use keepsake::record::{ChangeRow, Head, JobSet, JobState, SummaryRow, VectorRow, decode};
use keepsake::retrieve::PIECES_VERSION;
use keepsake::storage::{Batch, MemStore, Store as _};
use keepsake::summarize::{Span, frontier};
use keepsake::types::{Incarnation, Policy, Timestamp};
use tokio::time::sleep;

use super::call::{Name, question, session, tenant, user, words};
use super::client::{TENANTS, USERS};
use super::judge::judge;
use super::life::Life;
use super::look::BUDGETS;
use super::world::World;

const HOUR_MS: i64 = 3_600_000;
/// How often it is looked whether all work is done: for some days.
const LOOKS: usize = 60;

/// A row of a life: what follows the life in its key, and its value.
type Own = (Vec<u8>, Vec<u8>);

/// Rows of work that waits.
const WAITING: [&[u8]; 4] = [b"n", b"J", b"j", b"p"];

/// Waits until nothing waits any more.
pub async fn settle(world: &World) -> Result<(), String> {
    world.faulty.store(false, Relaxed);
    let mut left = Vec::new();
    for look in 0..LOOKS {
        let process = world.process().await;
        for number in 0..TENANTS {
            // What failed too often waits for an operator.
            let of = tenant(number);
            let dead = process.memory.list_jobs(&of, Some(JobState::Dead), None, 100).await;
            for job in dead.map_or_else(|_| Vec::new(), |page| page.items) {
                let _ = process.memory.retry_job(&of, &job.id).await;
            }
        }
        sleep(Duration::from_secs(70)).await;
        left.clear();
        for prefix in WAITING {
            left.extend(world.kept.rows(prefix).await);
        }
        if left.is_empty() {
            return Ok(());
        }
        if look > 1 {
            world.clock.jump(2 * HOUR_MS);
        }
    }
    let left = left.iter().map(|row| format!("{} ", row.key.escape_ascii()));
    Err(format!("work is left: {}", left.collect::<String>()))
}

/// The sessions that are there, by name.
fn lives(world: &World) -> BTreeMap<Name, Arc<Life>> {
    let model = world.model.lock().unwrap();
    let names = model.names().into_iter();
    names.filter_map(|name| Some((name.clone(), model.now(&name)?))).collect()
}

/// Holds every row of the store against the model.
pub async fn record(world: &World) -> Result<(), String> {
    let lives = lives(world);
    let known: BTreeMap<Incarnation, (&Name, &Arc<Life>)> =
        lives.iter().filter_map(|(name, life)| Some((life.incarnation?, (name, life)))).collect();
    let heads = world.kept.rows(b"S").await;
    if heads.len() != lives.len() {
        return Err(format!("{} heads of {} sessions", heads.len(), lives.len()));
    }
    for row in heads {
        let head: Head = decode(&row.value).map_err(|error| error.to_string())?;
        if head.jobs != JobSet::default() {
            return Err(format!("a job is noted that nobody does: {head:?}"));
        }
    }
    let mut of_life: BTreeMap<Incarnation, Vec<Own>> = BTreeMap::new();
    for row in world.kept.rows(b"").await {
        let life = row.key.get(1..17).filter(|_| row.key[0] == b'i');
        let said = words(&row.key).into_iter().chain(words(&row.value)).collect::<BTreeSet<_>>();
        if let Some(bytes) = life {
            let life = Incarnation(bytes.try_into().expect("16 bytes"));
            let Some((name, life_is)) = known.get(&life) else {
                return Err(format!("a row without owner: {}", row.key.escape_ascii()));
            };
            let stored = life_is.turns.values().map(|turn| (name.0, turn.word));
            let stored: BTreeSet<_> = stored.collect();
            if let Some(stray) = said.difference(&stored).next() {
                return Err(format!("{} still says {stray:?}", row.key.escape_ascii()));
            }
            of_life.entry(life).or_default().push((row.key[17..].to_vec(), row.value.to_vec()));
        } else if row.key[0] != b'S' && !said.is_empty() {
            return Err(format!("{} says {said:?}", row.key.escape_ascii()));
        }
    }
    for (life, (name, is)) in &known {
        let rows = of_life.remove(life).unwrap_or_default();
        whole(is, &rows).map_err(|why| format!("{name:?}: {why}"))?;
    }
    Ok(())
}

/// The rows of one life: every turn with what was made of it, nothing else.
fn whole(life: &Life, rows: &[Own]) -> Result<(), String> {
    let seqs = |letter: u8| -> BTreeSet<u64> {
        let of = rows.iter().filter(|(key, _)| key[0] == letter);
        of.map(|(key, _)| u64::from_be_bytes(*key.last_chunk::<8>().unwrap())).collect()
    };
    let stored: BTreeSet<u64> = life.turns.keys().copied().collect();
    let living: BTreeSet<u64> = life.living().map(|(seq, _)| seq).collect();
    let marked: BTreeSet<u64> = stored.difference(&living).copied().collect();
    for (letter, must) in [(b't', &stored), (b'd', &stored), (b'v', &living), (b'm', &marked)] {
        let is = seqs(letter);
        if is != *must {
            return Err(format!("rows `{}` are of {is:?}, not {must:?}", char::from(letter)));
        }
    }
    let changes = seqs(b'c');
    if changes != (1..=life.change).collect() {
        return Err(format!("change rows {changes:?} up to {}", life.change));
    }
    let externals = rows.iter().filter(|(key, _)| key[0] == b'x').count();
    if externals != life.external.len() {
        return Err(format!("{externals} external ids of {}", life.external.len()));
    }
    for (key, value) in rows {
        match key[0] {
            b'v' => {
                let row: VectorRow = decode(value).map_err(|error| error.to_string())?;
                if row.pieces_version != PIECES_VERSION || row.vectors.is_empty() {
                    return Err(format!("no vectors at {}", key.escape_ascii()));
                }
            }
            b'c' => {
                decode::<ChangeRow>(value).map_err(|error| error.to_string())?;
            }
            _ => {}
        }
    }
    summarized(&living, rows)
}

/// Summaries of one level do not overlap, and the frontier leaves no turn out between them.
fn summarized(living: &BTreeSet<u64>, rows: &[Own]) -> Result<(), String> {
    let mut spans: Vec<Span> = Vec::new();
    for (_, value) in rows.iter().filter(|(key, _)| key[0] == b's') {
        let row: SummaryRow = decode(value).map_err(|error| error.to_string())?;
        let span = row.summary.span;
        let inside = living.range(span.first_seq.0..=span.last_seq.0).count();
        if inside as u64 != row.summary.turns {
            return Err(format!("{span:?} is of {} turns, not {inside}", row.summary.turns));
        }
        spans.push(span);
    }
    for level in 0..=spans.iter().map(|span| span.level).max().unwrap_or(0) {
        let mut of: Vec<&Span> = spans.iter().filter(|span| span.level == level).collect();
        of.sort_unstable();
        if let Some(two) = of.windows(2).find(|two| two[0].last_seq >= two[1].first_seq) {
            return Err(format!("summaries overlap: {two:?}"));
        }
    }
    let on: Vec<Span> = frontier(&spans).into_iter().map(|at| spans[at]).collect();
    for two in on.windows(2) {
        let between = living.range(two[0].last_seq.0 + 1..two[1].first_seq.0).next();
        if between.is_some() {
            return Err(format!("turn {between:?} lies between {two:?}"));
        }
    }
    Ok(())
}

fn request(target: Target, query: String, budget: u32, as_of: Timestamp) -> BuildRequest {
    BuildRequest {
        target,
        query,
        model: String::new(),
        budget_tokens: Some(budget),
        reserve_tokens: 0,
        instructions: String::new(),
        filter: Filter::default(),
        as_of: Some(as_of),
        time_zone: jiff::tz::TimeZone::UTC,
        shares: None,
        documents_percent: None,
        format: Format::Neutral,
        explain: true,
        collections: Vec::new(),
        document_filter: DocumentFilter::default(),
    }
}

/// What a context says, or why there is none.
async fn told(memory: &Memory, of: u8, policy: &Policy, request: &BuildRequest) -> String {
    match memory.build_context(&tenant(of), policy, request.clone()).await {
        Ok(built) => format!(
            "{:?} {:?} {:?} {:?} {:?} {:?}",
            built.sessions,
            built.session_change,
            built.user_change,
            built.degraded,
            built.ranked.coverage,
            built.context
        ),
        Err(failure) => failure.to_string(),
    }
}

/// Reads every session once: one whose vectors are missing is noted then.
pub async fn read_all(world: &World, memory: &Memory) {
    for (name, _) in lives(world) {
        let session = Some(session(&name.1));
        let target =
            Target { session, user: None, scope: Scope::Session, deadline: None, hurried: false };
        let asked = request(target, String::new(), BUDGETS[0], Timestamp(0));
        told(memory, name.0, &Policy::initial(), &asked).await;
    }
}

/// The store without all that is derived from the turns, and the service over it once it has
/// derived that anew.
async fn rebuilt(world: &World, model: u64) -> Result<Memory, String> {
    let store = MemStore::new();
    let mut batch = Batch::new();
    for row in world.kept.rows(b"").await {
        let derived = row.key[0] == b'i' && [b'd', b'v'].contains(&row.key[17]);
        if !derived {
            batch = batch.put(row.key, row.value);
        }
    }
    store.commit(batch).await.map_err(|error| error.to_string())?;
    let memory = world.memory(Arc::new(store), model);
    read_all(world, &memory).await;
    while memory.embed_some().await.map_err(|failure| failure.to_string())? {}
    Ok(memory)
}

/// Every process gives the same bytes: the one that went through all, a new one, and one that
/// derives everything anew.
pub async fn answers(world: &World) -> Result<(), String> {
    let process = world.process().await;
    let warm = process.memory.clone();
    let cold = world.memory(process.store(), process.model);
    let rebuilt = rebuilt(world, process.model).await?;
    let as_of = Timestamp(warm.now().0 + 1_000);
    let mut targets: Vec<(u8, Target)> = Vec::new();
    for (name, life) in lives(world) {
        let own = Some(session(&name.1));
        let target = Target {
            session: own,
            user: None,
            scope: Scope::Session,
            deadline: None,
            hurried: false,
        };
        if life.user.is_some() && world.dice.per_mille(300) {
            targets.push((name.0, Target { scope: Scope::User, ..target.clone() }));
        }
        targets.push((name.0, target));
    }
    for of in 0..TENANTS {
        let who = USERS.map(|name| Some(user(name)));
        let all = who.map(|user| Target {
            session: None,
            user,
            scope: Scope::User,
            deadline: None,
            hurried: false,
        });
        targets.extend(all.map(|target| (of, target)));
    }
    for (of, target) in targets {
        let policy = warm.get_tenant(&tenant(of)).await.map_err(|f| f.to_string())?.policy;
        let query =
            if world.dice.per_mille(500) { question(world.dice.below(5)) } else { String::new() };
        let asked = request(target, query, *world.dice.one_of(&BUDGETS), as_of);
        let since = world.model.lock().unwrap().since();
        if let Ok(built) = warm.build_context(&tenant(of), &policy, asked.clone()).await {
            let model = world.model.lock().unwrap();
            judge(&model, of, since, &asked, &built).map_err(|why| format!("in the end, {why}"))?;
        }
        let first = told(&warm, of, &policy, &asked).await;
        world.model.lock().unwrap().saw(&first);
        for (other, what) in [(&*warm, "again"), (&cold, "a new process"), (&rebuilt, "rebuilt")] {
            let second = told(other, of, &policy, &asked).await;
            // A store that was written anew has other vectors' changes: only what is told counts.
            let same = match what {
                "rebuilt" => context_of(&first) == context_of(&second),
                _ => first == second,
            };
            if !same {
                return Err(format!("{what}: {asked:?}\n{first}\n{second}"));
            }
        }
    }
    Ok(())
}

fn context_of(told: &str) -> &str {
    told.find("Context {").map_or(told, |at| &told[at..])
}
