//! Limits of what is kept for a tenant.

use std::sync::Arc;

use keepsake::chance::SystemChance;
use keepsake::clock::ManualClock;
use keepsake::error::{Failure, Reason};
use keepsake::memory::{KEYS_MAX, Memory, NewKey, NewTenant, Partitions};
use keepsake::record::{Scopes, SessionKind, keys};
use keepsake::sessions::{Append, Create, NewTurn};
use keepsake::storage::{Batch, MemStore, Store as _};
use keepsake::types::{
    KeyId, Metadata, Part, Policy, Role, SessionId, Status, TenantId, Timestamp,
};

struct Tenants {
    store: Arc<MemStore>,
    clock: Arc<ManualClock>,
    memory: Memory,
}

async fn tenants(names: &[&str]) -> Tenants {
    let (store, clock) = (Arc::new(MemStore::new()), Arc::new(ManualClock::new(Timestamp(1))));
    let (chance, partitions) = (Arc::new(SystemChance), Partitions::new(1 << 20));
    let memory = Memory::new(store.clone(), clock.clone(), chance, partitions, &[1; 32]);
    let memory = memory.with_sessions_max(2);
    for name in names {
        let new = NewTenant { tenant: tenant(name), policy: Policy::initial() };
        memory.create_tenant(&new, None).await.unwrap();
    }
    Tenants { store, clock, memory }
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

impl Tenants {
    async fn create(&self, name: &str, session: &str) -> Result<(), Failure> {
        let create = Create {
            session: SessionId::parse(session).unwrap(),
            user: None,
            pinned_instructions: String::new(),
            metadata: Metadata::new(),
            ttl_ms: None,
            kind: SessionKind::Seen,
        };
        self.memory.create_session(&tenant(name), &create, None).await.map(drop)
    }

    async fn append(&self, name: &str, session: &str) -> Result<(), Failure> {
        let turn = NewTurn {
            role: Role::User,
            name: String::new(),
            parts: vec![Part::Text("hello".into())],
            created_at: None,
            external_id: String::new(),
            metadata: Metadata::new(),
            status: Status::Complete,
        };
        let append = Append {
            session: SessionId::parse(session).unwrap(),
            user: None,
            turns: vec![turn],
            expected_version: None,
            replace_from: None,
        };
        self.memory.append(&tenant(name), &Policy::initial(), &append, None).await.map(drop)
    }
}

#[track_caller]
fn full(done: Result<(), Failure>) {
    let failure = done.unwrap_err();
    let found = (failure.reason(), failure.quota_subject());
    assert_eq!(found, (Reason::TooManySessions, Some("sessions")));
}

#[tokio::test]
async fn a_tenant_that_is_full_of_sessions_makes_no_more_until_some_are_gone() {
    let all = tenants(&["a", "b"]).await;
    all.create("a", "1").await.unwrap();
    all.append("a", "2").await.unwrap();
    full(all.create("a", "3").await);
    full(all.append("a", "3").await);
    all.append("a", "1").await.unwrap();
    let again = all.create("a", "1").await.unwrap_err();
    assert_eq!(again.reason(), Reason::SessionExists, "it is not a new one");
    all.create("b", "3").await.unwrap();
    let gone = SessionId::parse("2").unwrap();
    all.memory.delete_session(&tenant("a"), &gone, None).await.unwrap();
    all.clock.advance(10_000);
    all.append("a", "3").await.unwrap();
    full(all.create("a", "4").await);
}

#[tokio::test]
async fn a_tenant_has_ten_thousand_keys_at_the_most() {
    let all = tenants(&["a"]).await;
    let named =
        |n: usize| keys::key_of_tenant(&tenant("a"), &KeyId::parse(&format!("k{n}")).unwrap());
    let rows = (1..KEYS_MAX).fold(Batch::new(), |batch, n| batch.put(named(n), Vec::<u8>::new()));
    all.store.commit(rows).await.unwrap();
    let key = NewKey { display_name: String::new(), scopes: Scopes::READ, expires_at: None };
    all.memory.create_key(&tenant("a"), &key, None).await.unwrap();
    let failure = all.memory.create_key(&tenant("a"), &key, None).await.unwrap_err();
    let found = (failure.reason(), failure.quota_subject());
    assert_eq!(found, (Reason::TooManyKeys, Some("keys")));
}
