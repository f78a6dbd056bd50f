//! How long contexts and appends take inside the process: no socket, no client.
//!
//! `cargo bench --bench context` measures; `cargo test --bench context` runs everything once on
//! tiny input. Criterion's middle number is the figure that the README gives.

mod words;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion};
use jiff::tz::TimeZone;
use keepsake::chance::SystemChance;
use keepsake::clock::SystemClock;
use keepsake::context::{self, Format, Input, TurnView, measure};
use keepsake::documents::DocumentFilter;
use keepsake::embed::{EmbedError, Embedder, Urgency};
use keepsake::memory::{
    BuildRequest, Caller, Filter, Memory, NewKey, NewTenant, Partitions, Scope, SearchRequest,
    Target, Worked,
};
use keepsake::record::Scopes;
use keepsake::retrieve::{
    Indexed, Mode, Query, Request, SessionIndex, Source, TurnTerms, Weights, analyse, rank,
};
use keepsake::sessions::{Append, NewTurn};
use keepsake::storage::fjall::FjallStore;
use keepsake::storage::{MemStore, Store};
use keepsake::tokens::{Model, Models};
use keepsake::types::{Part, Policy, Seq, SessionId, TenantId, Timestamp, Turn, UserId};
use tokio::runtime::Runtime;

const BUDGET_TOKENS: u32 = 4_000;
const AS_OF: Timestamp = Timestamp(1_790_000_000_000);
const QUERY: &str = "Which train to Lisbon did I book for my sister on Friday?";
/// Turns of one append while a session is filled.
const FILL_TURNS: usize = 500;

/// The verbs over one store, with a key that opens them.
struct Service {
    store: Arc<dyn Store>,
    memory: Memory,
    secret: String,
    caller: Caller,
}

fn memory_over(store: &Arc<dyn Store>) -> Memory {
    let (clock, chance) = (Arc::new(SystemClock::new()), Arc::new(SystemChance));
    Memory::new(store.clone(), clock, chance, Partitions::new(1 << 30), &[7; 32])
        .with_embedder(Arc::new(Chance384))
}

/// Vectors as long as those of the built-in model, in no time and without meaning.
struct Chance384;

#[async_trait]
impl Embedder for Chance384 {
    async fn embed(&self, _: Urgency, texts: Vec<String>) -> Result<Vec<Vec<f32>>, EmbedError> {
        let vector = |text: &String| {
            let mut bytes = [0; 384];
            blake3::Hasher::new().update(text.as_bytes()).finalize_xof().fill(&mut bytes);
            let vector = bytes.map(|byte| f32::from(byte) - 127.5);
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            vector.map(|x| x / length).to_vec()
        };
        Ok(texts.iter().map(vector).collect())
    }

    fn key(&self) -> &str {
        "chance-384"
    }

    fn dimensions(&self) -> usize {
        384
    }

    fn covers(&self, _: &str) -> bool {
        true
    }
}

async fn service(store: Arc<dyn Store>) -> Service {
    let memory = memory_over(&store);
    let tenant = TenantId::parse("bench").expect("it is an id");
    let new = NewTenant { tenant: tenant.clone(), policy: Policy::initial() };
    memory.create_tenant(&new, None).await.expect("the store is empty");
    let scopes = Scopes::READ.and(Scopes::WRITE);
    let key = NewKey { display_name: String::new(), scopes, expires_at: None };
    let created = memory.create_key(&tenant, &key, None).await.expect("the tenant is there");
    let secret = created.secret.expect("it is a new key");
    let caller = memory.authenticate(&secret).await.expect("the key is right");
    Service { store, memory, secret, caller }
}

fn session(name: &str) -> SessionId {
    SessionId::parse(name).expect("it is an id")
}

fn append_of(session: &SessionId, user: Option<&UserId>, turns: Vec<NewTurn>) -> Append {
    Append {
        session: session.clone(),
        user: user.cloned(),
        turns,
        expected_version: None,
        replace_from: None,
    }
}

impl Service {
    async fn append(&self, session: &SessionId, user: Option<&UserId>, turns: Vec<NewTurn>) {
        let append = append_of(session, user, turns);
        let Caller { tenant, policy, .. } = &self.caller;
        self.memory.append(tenant, policy, &append, None).await.expect("it is taken");
    }

    async fn fill(&self, session: &SessionId, user: Option<&UserId>, seed: u64, count: usize) {
        for turns in words::turns(seed, count).chunks(FILL_TURNS) {
            self.append(session, user, turns.to_vec()).await;
        }
        // What is behind the appends is done: contexts have vectors and summaries.
        while self.memory.embed_some().await.expect("it embeds") {}
        while self.memory.work_some().await.expect("it works") == Worked::Some {}
    }

    async fn context(&self, memory: &Memory, target: Target) {
        let request = BuildRequest {
            target,
            query: QUERY.to_owned(),
            model: String::new(),
            budget_tokens: Some(BUDGET_TOKENS),
            reserve_tokens: 0,
            instructions: "You help with the household. Be brief.".to_owned(),
            filter: Filter::default(),
            as_of: Some(AS_OF),
            time_zone: TimeZone::UTC,
            shares: None,
            documents_percent: None,
            format: Format::OpenAiChat,
            explain: false,
            collections: Vec::new(),
            document_filter: DocumentFilter::default(),
        };
        let Caller { tenant, policy, .. } = &self.caller;
        let built = memory.build_context(tenant, policy, request).await.expect("it fits");
        assert!(built.context.used_tokens <= BUDGET_TOKENS);
        black_box(built.context.payload_json.len());
    }

    async fn search(&self, target: Target) {
        let request = SearchRequest {
            target,
            query: QUERY.to_owned(),
            top_k: 50,
            explain: false,
            filter: Filter::default(),
            as_of: Some(AS_OF),
            collections: Vec::new(),
            document_filter: DocumentFilter::default(),
        };
        let Caller { tenant, policy, .. } = &self.caller;
        let found = self.memory.search(tenant, policy, request).await.expect("it is searched");
        black_box(found.turns.len());
    }
}

fn of_session(session: &SessionId) -> Target {
    Target {
        session: Some(session.clone()),
        user: None,
        scope: Scope::Session,
        deadline: None,
        hurried: false,
    }
}

fn of_user(user: &UserId) -> Target {
    Target {
        session: None,
        user: Some(user.clone()),
        scope: Scope::User,
        deadline: None,
        hurried: false,
    }
}

/// The two engines: in memory, and on disk in `folder`.
fn engines(folder: &Path) -> [(&'static str, Arc<dyn Store>); 2] {
    let disk = FjallStore::open(folder).expect("the folder is new");
    [("memory", Arc::new(MemStore::new())), ("fjall", Arc::new(disk))]
}

/// Whether this is a run as a test: `cargo bench` passes `--bench`.
fn is_test() -> bool {
    !std::env::args().any(|argument| argument == "--bench")
}

fn sizes() -> &'static [usize] {
    if is_test() { &[12] } else { &[100, 500, 1_000, 10_000] }
}

/// One call of the service a time: warm, cold, searched, authenticated.
fn calls(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime, engine: &str, on: &Service) {
    for &size in sizes() {
        let id = session(&format!("s{size}"));
        runtime.block_on(on.fill(&id, None, 1, size));
        let target = || of_session(&id);
        group.bench_function(BenchmarkId::new(format!("warm/{engine}"), size), |bench| {
            bench.iter(|| runtime.block_on(on.context(&on.memory, target())));
        });
        // A new `Memory` has no copies: as after a restart, or after the copy made room for others.
        group.bench_function(BenchmarkId::new(format!("cold/{engine}"), size), |bench| {
            let fresh = || memory_over(&on.store);
            let build = |memory: Memory| {
                runtime.block_on(on.context(&memory, target()));
                memory
            };
            bench.iter_batched(fresh, build, BatchSize::PerIteration);
        });
        group.bench_function(BenchmarkId::new(format!("search/{engine}"), size), |bench| {
            bench.iter(|| runtime.block_on(on.search(target())));
        });
    }
    group.bench_function(format!("authenticate/{engine}"), |bench| {
        bench.iter(|| runtime.block_on(on.memory.authenticate(black_box(&on.secret))));
    });
}

/// Contexts of a user without a session: 20 sessions.
fn users(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime, engine: &str, on: &Service) {
    for &size in sizes() {
        let user = UserId::parse(&format!("u{size}")).expect("it is an id");
        for part in 0..20 {
            let id = session(&format!("u{size}.{part}"));
            runtime.block_on(on.fill(&id, Some(&user), 100 + part, size.div_ceil(20)));
        }
        group.bench_function(BenchmarkId::new(format!("user warm/{engine}"), size), |bench| {
            bench.iter(|| runtime.block_on(on.context(&on.memory, of_user(&user))));
        });
    }
}

/// Appends of two turns, one caller: to a session of up to 20,000 turns, to a new one each time,
/// and to one of 500 and more that is asked after each.
fn appends(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    engine: &str,
    on: &Service,
) {
    let id = session("appended");
    runtime.block_on(on.fill(&id, None, 3, if is_test() { 12 } else { 500 }));
    let two = words::turns(4, 2);
    let mut appended = 0_u64;
    group.bench_function(format!("append 2 turns/{engine}"), |bench| {
        bench.iter(|| {
            appended += 1;
            // A session has room for 100,000 turns.
            let id = session(&format!("long{}", appended / 10_000));
            runtime.block_on(on.append(&id, None, two.clone()));
        });
    });
    let mut count = 0_u64;
    group.bench_function(format!("append 2 turns, new session/{engine}"), |bench| {
        bench.iter(|| {
            count += 1;
            let id = session(&format!("new{count}"));
            runtime.block_on(on.append(&id, None, two.clone()));
        });
    });
    group.bench_function(format!("append 2 turns, then context/{engine}"), |bench| {
        let target = || of_session(&id);
        bench.iter(|| {
            runtime.block_on(async {
                on.append(&id, None, two.clone()).await;
                on.context(&on.memory, target()).await;
            });
        });
    });
}

/// A turn as the record holds it.
fn recorded(place: usize, new: NewTurn) -> Turn {
    let at = new.created_at.unwrap_or_default();
    Turn {
        seq: Seq(place as u64 + 1),
        role: new.role,
        name: new.name,
        parts: new.parts,
        created_at: at,
        committed_at: at,
        external_id: new.external_id,
        metadata: new.metadata,
        status: new.status,
    }
}

/// What the pure rooms do of a call, apart: ranking, and building with rendering.
fn parts(group: &mut BenchmarkGroup<'_, WallTime>, model: &Model) {
    for &size in sizes() {
        let new = words::turns(1, size).into_iter().enumerate();
        let turns: Vec<Turn> = new.map(|(place, turn)| recorded(place, turn)).collect();
        let terms: Vec<TurnTerms> = turns.iter().map(|turn| analyse(turn, "")).collect();
        let index = SessionIndex::build(turns.iter().zip(&terms).map(|(turn, terms)| Indexed {
            seq: turn.seq,
            role: turn.role,
            speaker: &turn.name,
            created_at: turn.created_at,
            terms,
        }));
        let ranked = || {
            let query =
                Query { text: QUERY, previous_user_text: None, as_of: AS_OF, ..Query::default() };
            rank(&Request {
                sources: &[Source { index: &index, horizon: None, words_from: None }],
                query,
                filter: &|_, _| true,
                hits_max: 200,
                weights: &Weights::DEFAULT,
                mode: Mode::Hybrid,
                vector: None,
                explain: false,
            })
        };
        group.bench_function(BenchmarkId::new("rank", size), |bench| bench.iter(ranked));
        let counts: Vec<_> = turns.iter().map(|turn| measure(turn, &model.tokenizer)).collect();
        let pairs = turns.iter().zip(&counts);
        let views: Vec<_> = pairs.map(|(turn, counts)| TurnView { turn, counts }).collect();
        let hits: Vec<context::Hit> = ranked()
            .hits
            .into_iter()
            .map(|hit| context::Hit {
                source: hit.source,
                seq: hit.seq,
                score: hit.score,
                passage: hit.passage,
            })
            .collect();
        for (name, format) in [("neutral", Format::Neutral), ("openai", Format::OpenAiChat)] {
            let built = || build(model, format, &views, &hits);
            group.bench_function(BenchmarkId::new(format!("build/{name}"), size), |bench| {
                bench.iter(built);
            });
        }
    }
}

fn build(model: &Model, format: Format, turns: &[TurnView<'_>], hits: &[context::Hit]) -> u32 {
    let input = Input {
        model,
        format,
        budget_tokens: BUDGET_TOKENS,
        reserve_tokens: 0,
        instructions: None,
        pinned: None,
        shares: Policy::initial().shares,
        sources: &[context::Source { turns }],
        session: Some(0),
        summaries: &[],
        hits,
        length_price: 1.0,
        retrieved_turns_max: 200,
        documents: &[],
        passages: &[],
        passages_max: 200,
        documents_percent: None,
        query: Some(QUERY),
        as_of: AS_OF,
        time_zone: &TimeZone::UTC,
    };
    context::build(&input).expect("it fits").used_tokens
}

/// What an append derives from one turn of 40 words: terms, and counts by one tokenizer.
fn derived(group: &mut BenchmarkGroup<'_, WallTime>, model: &Model) {
    let mut new = words::turns(5, 1).remove(0);
    new.parts = vec![Part::Text(words::text(&mut words::Numbers::new(6), 40))];
    let turn = recorded(0, new);
    group.bench_function("analyse a turn", |bench| bench.iter(|| analyse(&turn, "")));
    group.bench_function("count a turn", |bench| {
        bench.iter(|| measure(&turn, &model.tokenizer));
    });
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let runtime = Runtime::new().expect("threads can be made");
    let model = Models::new().resolve(&Policy::initial(), "gpt-4o").expect("it is built in");
    let mut pure = criterion.benchmark_group("part");
    parts(&mut pure, &model);
    derived(&mut pure, &model);
    pure.finish();
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (engine, store) in engines(folder.path()) {
        let on = runtime.block_on(service(store));
        let mut group = criterion.benchmark_group("context");
        calls(&mut group, &runtime, engine, &on);
        users(&mut group, &runtime, engine, &on);
        group.finish();
        let mut group = criterion.benchmark_group("write");
        appends(&mut group, &runtime, engine, &on);
        group.finish();
        runtime.block_on(on.store.close()).expect("the store closes");
    }
    criterion.final_summary();
}
