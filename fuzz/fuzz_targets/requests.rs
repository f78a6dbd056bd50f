//! Requests: bytes, decoded as the server decodes them, to the real services over the engine in
//! memory. Each is answered, or refused with a reason; none is a fault of the service.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use keepsake::api::{Calls, MemoryApi, PageTokens, TenantApi};
use keepsake::chance::SystemChance;
use keepsake::clock::SystemClock;
use keepsake::embed::Hashed;
use keepsake::memory::{Memory, NewKey, NewTenant, Partitions};
use keepsake::proto::v1 as pb;
use keepsake::proto::v1::memory_service_server::MemoryService;
use keepsake::proto::v1::tenant_service_server::TenantService;
use keepsake::record::Scopes;
use keepsake::storage::MemStore;
use keepsake::telemetry::TenantTags;
use keepsake::types::{Policy, TenantId};
use libfuzzer_sys::fuzz_target;
use prost::Message;
use tokio::runtime::Runtime;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

/// How many requests come to one world: what is kept does not grow without end.
const REQUESTS_MAX: u32 = 500;

struct World {
    runtime: Runtime,
    memory: MemoryApi,
    tenants: TenantApi,
    key: String,
    requests: u32,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (clock, chance) = (Arc::new(SystemClock::new()), Arc::new(SystemChance));
        let partitions = Partitions::new(1 << 24);
        let memory = Memory::new(Arc::new(MemStore::new()), clock, chance, partitions, &[7; 32]);
        let memory = Arc::new(memory.with_embedder(Arc::new(Hashed::new())));
        let tenant = TenantId::parse("t").unwrap();
        let key = runtime.block_on(async {
            let new = NewTenant { tenant: tenant.clone(), policy: Policy::initial() };
            memory.create_tenant(&new, None).await.unwrap();
            let scopes = Scopes::READ.and(Scopes::WRITE).and(Scopes::ADMIN).and(Scopes::OPERATOR);
            let new = NewKey { display_name: "k".to_owned(), scopes, expires_at: None };
            memory.create_key(&tenant, &new, None).await.unwrap().secret.unwrap()
        });
        let (pages, tags) = (PageTokens::new(&[7; 32]), TenantTags::new(&[7; 32]));
        let calls = Calls { memory, pages, tags };
        let memory = MemoryApi::new(calls.clone(), pb::Durability::Memory);
        Self { runtime, memory, tenants: TenantApi::new(calls), key, requests: 0 }
    }

    /// The request of these bytes with the key; `None`: the bytes are no message.
    fn request<T: Message + Default>(&self, bytes: &[u8]) -> Option<Request<T>> {
        let mut request = Request::new(T::decode(bytes).ok()?);
        let value = format!("Bearer {}", self.key).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        Some(request)
    }
}

/// A refusal says why, and is none of the service's own faults.
fn check(refusal: Option<Status>) {
    let Some(status) = refusal else { return };
    let faults = [Code::Internal, Code::Unknown, Code::DataLoss, Code::Unavailable];
    assert!(!faults.contains(&status.code()), "{status}");
    assert!(status.get_error_details().error_info().is_some(), "no reason: {status}");
}

macro_rules! call {
    ($world:expr, $which:expr, $bytes:expr => $($number:literal $service:ident $verb:ident)*) => {
        match $which {
            $($number => {
                let Some(request) = $world.request($bytes) else { return };
                check($world.runtime.block_on($world.$service.$verb(request)).err());
            })*
            _ => {}
        }
    };
}

fn send(world: &World, which: u8, bytes: &[u8]) {
    call!(world, which % 25, bytes =>
        0 memory create_session
        1 memory get_session
        2 memory list_sessions
        3 memory update_session
        4 memory delete_session
        5 memory fork_session
        6 memory append_turns
        7 memory delete_turns
        8 memory list_turns
        9 memory list_summaries
        10 memory build_context
        11 memory search
        12 tenants create_tenant
        13 tenants get_tenant
        14 tenants list_tenants
        15 tenants update_tenant
        16 tenants create_api_key
        17 tenants list_api_keys
        18 tenants revoke_api_key
        19 tenants list_jobs
        20 tenants retry_job
        21 tenants get_erasure
        22 tenants erase_files
        23 tenants get_embedding
        24 tenants switch_embedding
    );
}

fuzz_target!(|requests: Vec<(u8, Vec<u8>)>| {
    WORLD.with_borrow_mut(|world| {
        if world.as_ref().is_none_or(|world| world.requests > REQUESTS_MAX) {
            *world = Some(World::new());
        }
        let world = world.as_mut().unwrap();
        for (which, bytes) in requests.iter().take(16) {
            world.requests += 1;
            send(world, *which, bytes);
        }
    });
});
