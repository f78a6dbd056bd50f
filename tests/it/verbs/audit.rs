//! Each damage that is planted in a sound store is found, and mended where it is derived.

use std::collections::BTreeSet;

use bytes::Bytes;
use keepsake::audit::{Audit, Check, Examined, Level};
use keepsake::catalog::Spot;
use keepsake::memory::NewKey;
use keepsake::record::{
    ChangeRow, DocumentHeader, Head, JobKind, JobRow, JobSet, Scopes, Slot, SummaryRow, UserHead,
    decode, document_keys, encode, keys,
};
use keepsake::sessions::{Create, DeleteTurns};
use keepsake::storage::{Read, Store as _};
use keepsake::types::{
    Change, Chunking, CollectionId, DocumentId, Generation, Incarnation, MediaType, Role, Seq,
    Timestamp, UserId,
};

use super::behind::{filled, head, settle, summaries};
use super::world::{World, append, of_session, request_id, said, session};

const QUESTION: &str = "Which workshop is in Kyoto?";

/// Sessions of all kinds: summarized, edited, forked, waiting, with an end; keys and repeats.
async fn sound() -> World {
    let mut world = World::embedding().await;
    world.policy.summaries.tail_high_tokens = Some(300);
    world.policy.summaries.tail_low_tokens = Some(60);
    world.keep_policy().await;
    filled(&world, "s", 0, 120).await;
    settle(&world).await;
    let mut request = append("s", "ann", &["An end."]);
    request.turns[0].external_id = "x1".into();
    world.append_as(&request, Some(request_id(1))).await.unwrap();
    request.turns = vec![said(Role::Assistant, "Another end.")];
    request.replace_from = Some(Seq(121));
    world.append(&request).await;
    let seqs = BTreeSet::from([Seq(5)]);
    let erase = DeleteTurns { session: session("s"), seqs, expected_version: None };
    world.memory.delete_turns(&world.tenant, &erase, None).await.unwrap();
    settle(&world).await;
    let (from, to) = (session("s"), session("f"));
    let (tenant, policy) = (&world.tenant, &world.policy);
    world.memory.fork_session(tenant, &from, None, &to, policy, None).await.unwrap();
    settle(&world).await;
    filled(&world, "s", 200, 3).await;
    let ends = Create {
        session: session("e"),
        user: Some(UserId::parse("ann").unwrap()),
        pinned_instructions: String::new(),
        metadata: Default::default(),
        ttl_ms: Some(90_000_000),
        kind: Default::default(),
    };
    world.memory.create_session(tenant, &ends, None).await.unwrap();
    let key = NewKey { display_name: "k".into(), scopes: Scopes::READ, expires_at: None };
    world.memory.create_key(tenant, &key, None).await.unwrap();
    document(&world, "d", true).await;
    document(&world, "half", false).await;
    world
}

/// A document of a collection, whole or still coming.
pub async fn document(world: &World, id: &str, whole: bool) {
    let spot = Spot {
        tenant: world.tenant.clone(),
        collection: CollectionId::parse("c").unwrap(),
        document: DocumentId::parse(id).unwrap(),
    };
    let header = DocumentHeader {
        title: String::new(),
        media: MediaType::Plain,
        metadata: Default::default(),
        chunking: Chunking::DEFAULT,
        created_at: None,
        bytes: 0,
    };
    let mut upload = world.memory.start_upload(spot, &header, None, None).await.unwrap();
    let text = Bytes::from_static(b"The workshop in Kyoto repairs umbrellas.");
    world.memory.keep_part(&mut upload, 0, text).await.unwrap();
    if whole {
        world.memory.finish_upload(&world.policy, &upload).await.unwrap();
    }
}

async fn examine(world: &World) -> Examined {
    let mut audit = Audit::new(world.memory.now(), true);
    world.store.rows(b"").await.iter().for_each(|row| audit.row(row));
    audit.end()
}

async fn mend(world: &World, found: Examined) {
    for batch in found.mends {
        world.store.commit(batch).await.unwrap();
    }
    for orphan in found.orphans {
        for row in world.store.rows(&keys::incarnation(orphan)).await {
            world.store.remove(row.key.to_vec()).await;
        }
    }
}

/// What the findings of a check say.
fn said_of(found: &Examined, check: Check) -> String {
    let findings = found.report.outcome(check).findings;
    findings.iter().map(|f| format!("{}: {}\n", f.subject, f.what)).collect()
}

fn all_said(found: &Examined) -> String {
    Check::ALL.iter().map(|check| said_of(found, *check)).collect()
}

/// Plants a damage, and sees it found by `check` alone, mended, and gone.
async fn check<F: Future<Output = ()>>(
    check: Check,
    says: &str,
    plant: impl FnOnce(&'static World, Incarnation) -> F,
) {
    // The damage borrows the world; a test may leave one behind.
    let world: &'static World = Box::leak(Box::new(sound().await));
    let before = world.build(of_session("s"), QUESTION).await;
    let life = head(world, "s").await.incarnation;
    plant(world, life).await;
    let found = examine(world).await;
    assert!(said_of(&found, check).contains(says), "{}", all_said(&found));
    for other in Check::ALL.iter().filter(|other| **other != check) {
        assert_eq!(said_of(&found, *other), "", "beside {says}");
    }
    let outcome = found.report.outcome(check);
    assert_eq!((outcome.level, outcome.mendable), (Level::Bad, true), "{says}");
    mend(world, found).await;
    let again = examine(world).await;
    assert_eq!(again.report.level(), Level::Ok, "mended: {}", all_said(&again));
    let restarted = world.restarted();
    restarted.memory.resume_purges().await.unwrap();
    restarted.memory.resume_embedding().await.unwrap();
    settle(&restarted).await;
    assert_eq!(examine(&restarted).await.report.level(), Level::Ok);
    let after = restarted.build(of_session("s"), QUESTION).await;
    assert_eq!(before.context.messages, after.context.messages, "{says}");
}

/// Changes the head of the session behind the back of the verbs.
async fn set_head(world: &World, change: impl FnOnce(&mut Head)) {
    let mut head = head(world, "s").await;
    change(&mut head);
    world.store.put(keys::head(&world.tenant, &session("s")), encode(&head)).await;
}

#[tokio::test]
async fn a_sound_store_is_found_sound() {
    let world = sound().await;
    let found = examine(&world).await;
    assert_eq!(found.report.level(), Level::Ok, "{}", all_said(&found));
    assert!(found.mends.iter().all(keepsake::storage::Batch::is_check) && found.orphans.is_empty());
    for check in Check::ALL.iter().filter(|check| **check != Check::Purges) {
        assert!(found.report.outcome(*check).looked_at > 0, "{}", check.text());
    }
}

#[tokio::test]
async fn wrong_numbers_of_a_head_are_found_and_counted_anew() {
    let turns = Check::Turns;
    check(turns, "by its head", |world, _| set_head(world, |head| head.turns_stored += 1)).await;
    check(turns, "living turns", |world, _| set_head(world, |head| head.turns_living -= 1)).await;
    check(turns, "last seq", |world, _| set_head(world, |head| head.last_seq = Seq(7))).await;
    check(turns, "a change lies", |world, _| set_head(world, |head| head.change = Change(3))).await;
    let marked =
        |world: &'static World, life| world.store.put(keys::mark(life, Seq(5)), encode(&Change(9)));
    check(turns, "gone is marked", marked).await;
}

#[tokio::test]
async fn derived_rows_that_lack_or_are_left_over_are_found() {
    let derived = Check::Derived;
    let lack = |world: &'static World, life| world.store.remove(keys::derived(life, Seq(3)));
    check(derived, "without its derived row", lack).await;
    let left = |world: &'static World, life: Incarnation| async move {
        let row = world.store.rows(&keys::derived(life, Seq(3))).await.remove(0);
        world.store.put(keys::derived(life, Seq(5)), row.value.to_vec()).await;
    };
    check(derived, "that is gone", left).await;
    let broken =
        |world: &'static World, life| world.store.put(keys::derived(life, Seq(3)), vec![3, 9]);
    check(derived, "cannot be read", broken).await;
}

#[tokio::test]
async fn vectors_that_should_not_be_there_and_waits_that_nobody_sees_are_found() {
    let vectors = Check::Vectors;
    for seq in [Seq(5), Seq(121)] {
        let left = |world: &'static World, life: Incarnation| async move {
            let row = world.store.rows(&keys::vectors(Slot::First, life, Seq(3))).await.remove(0);
            world.store.put(keys::vectors(Slot::First, life, seq), row.value.to_vec()).await;
        };
        check(vectors, "vectors of a turn that is gone or superseded", left).await;
    }
    let broken = |world: &'static World, life| {
        world.store.put(keys::vectors(Slot::First, life, Seq(3)), vec![9, 9])
    };
    check(vectors, "cannot be read", broken).await;
    let unlisted = |world: &'static World, life| {
        world.store.remove(keys::pending_session(&world.tenant, life))
    };
    check(vectors, "no list shows it", unlisted).await;
}

#[tokio::test]
async fn turns_without_vectors_are_told_and_queued() {
    let world = sound().await;
    let life = head(&world, "s").await.incarnation;
    world.store.remove(keys::vectors(Slot::First, life, Seq(3))).await;
    let found = examine(&world).await;
    assert_eq!(found.report.level(), Level::Warn);
    mend(&world, found).await;
    assert_eq!(world.store.rows(&keys::pending(life, Seq(3))).await.len(), 1);
    assert_eq!(examine(&world).await.report.level(), Level::Ok);
}

type Break = fn(&mut SummaryRow);

#[tokio::test]
async fn summaries_that_do_not_fit_are_dropped_and_made_anew() {
    let all = Check::Summaries;
    let broken = |world: &'static World, life: Incarnation| async move {
        let row = world.store.rows(&keys::summaries(life)).await.remove(0);
        world.store.put(row.key.to_vec(), vec![3, 200]).await;
    };
    check(all, "cannot be read", broken).await;
    let changes: [(&str, Break); 3] = [
        ("over turns that are gone", |row| row.summary.turns += 1),
        ("quotes a turn", |row| row.summary.lines[0].seq = Seq(5)),
        ("range is none", |row| row.summary.span.last_seq = Seq(0)),
    ];
    for (says, change) in changes {
        let plant = |world: &'static World, life: Incarnation| async move {
            let rows = summaries(world, life).await;
            let mut row = rows.into_iter().find(|row| !row.summary.lines.is_empty()).unwrap();
            let span = row.summary.span;
            change(&mut row);
            world.store.put(keys::summary(life, span.first_seq, span.level), encode(&row)).await;
        };
        check(all, says, plant).await;
    }
    let twice = |world: &'static World, life: Incarnation| async move {
        let mut row = summaries(world, life).await.remove(0);
        row.summary.lines.clear();
        row.summary.span.first_seq = row.summary.span.first_seq.next();
        row.summary.turns -= 1;
        let span = row.summary.span;
        world.store.put(keys::summary(life, span.first_seq, span.level), encode(&row)).await;
    };
    check(all, "over the same turns", twice).await;
    let after = |world, _| set_head(world, |head| head.summarized_to = Seq(1));
    check(all, "after the last one", after).await;
}

#[tokio::test]
async fn jobs_that_nobody_would_do_are_found() {
    let jobs = Check::Jobs;
    check(jobs, "is not there", |world, _| {
        set_head(world, |head| head.jobs = head.jobs.with(JobKind::Summarize))
    })
    .await;
    check(jobs, "does not know of", |world, _| {
        set_head(world, |head| head.jobs = JobSet::default())
    })
    .await;
    let unfiled = |world: &'static World, life: Incarnation| async move {
        let key = keys::job(&world.tenant, life, JobKind::SummarizeIdle);
        let row = world.store.rows(&key).await.remove(0);
        let job: JobRow = decode(&row.value).unwrap();
        world.store.remove(keys::job_by_due(job.due_at, &key)).await;
    };
    check(jobs, "no worker would find", unfiled).await;
    let left = |world: &'static World, life: Incarnation| async move {
        let key = keys::job(&world.tenant, life, JobKind::SummarizeIdle);
        let row = world.store.rows(&key).await.remove(0);
        let gone = Incarnation([7; 16]);
        let job = JobRow { incarnation: gone, ..decode(&row.value).unwrap() };
        let key = keys::job(&world.tenant, gone, JobKind::SummarizeIdle);
        world.store.put(key, encode(&job)).await;
    };
    check(jobs, "a session that is gone", left).await;
}

#[tokio::test]
async fn lists_that_lack_something_or_list_what_is_gone_are_found() {
    let ann = || UserId::parse("ann").unwrap();
    let listed = move |world: &World| keys::session_of_user(&world.tenant, &ann(), &session("s"));
    let lack = |world: &'static World, _| world.store.remove(listed(world));
    check(Check::Users, "list lacks it", lack).await;
    let other =
        |world: &'static World, _| world.store.put(listed(world), encode(&Incarnation([7; 16])));
    check(Check::Users, "is not the user's", other).await;
    let behind = |world: &'static World, _| {
        world.store.put(keys::user(&world.tenant, &ann()), encode(&UserHead { change: Change(2) }))
    };
    check(Check::Users, "behind its changes", behind).await;
    let unlisted = |world: &'static World, _| async move {
        let row = world.store.rows(&keys::keys_of_tenant(&world.tenant)).await.remove(0);
        world.store.remove(row.key.to_vec()).await;
    };
    check(Check::Tenants, "no list shows", unlisted).await;
    let forever = |world: &'static World, _| async move {
        let row = world.store.rows(b"r").await.remove(0);
        world.store.remove(row.key.to_vec()).await;
    };
    check(Check::Repeats, "never be forgotten", forever).await;
    let gone = |world: &'static World, _| async move {
        let repeat = keys::repeat(&world.tenant, b'a', request_id(99));
        world.store.put(keys::repeat_by_age(Timestamp(5), &repeat), Vec::new()).await;
    };
    check(Check::Repeats, "not there", gone).await;
    let endless = |world: &'static World, _| async move {
        let row = world.store.rows(b"e").await.remove(0);
        world.store.remove(row.key.to_vec()).await;
    };
    check(Check::Ends, "outlive", endless).await;
    let lost = |world: &'static World, life| world.store.remove(keys::external(life, "x1"));
    check(Check::ExternalIds, "another one", lost).await;
}

#[tokio::test]
async fn rows_that_belong_to_nobody_are_found_and_removed() {
    let orphan = |world: &'static World, _| async move {
        let key = keys::change(Incarnation([7; 16]), Change(1));
        world.store.put(key, encode(&ChangeRow::default())).await;
    };
    check(Check::Purges, "belong to no session", orphan).await;
    let doomed = |world: &'static World, life| world.store.put(keys::purge(life), Vec::new());
    check(Check::Purges, "marked to be removed", doomed).await;
}

type Plant = fn(&World, Incarnation) -> Vec<u8>;

#[tokio::test]
async fn what_only_a_person_can_mend_is_told_and_left_alone() {
    let policy = |world: &World| keys::policy(&world.tenant, 2);
    let plant: [(Check, Plant); 3] = [
        (Check::Rows, |_, life| keys::turn(life, Seq(3))),
        (Check::Rows, |world, _| keys::head(&world.tenant, &session("s"))),
        (Check::Rows, |_, _| b"?".to_vec()),
    ];
    for (check, key) in plant {
        let world = sound().await;
        let life = head(&world, "s").await.incarnation;
        let key = key(&world, life);
        world.store.put(key.clone(), vec![3, 200, 200]).await;
        let turns = world.store.rows(&keys::turn(life, Seq(1))[..18]).await.len();
        let found = examine(&world).await;
        let outcome = found.report.outcome(check);
        assert_eq!((outcome.level, outcome.mendable), (Level::Bad, false));
        mend(&world, found).await;
        let left = world.store.read(vec![Read::get(key)]).await.unwrap().remove(0);
        assert_eq!(left.len(), 1, "it is evidence");
        let now = world.store.rows(&keys::turn(life, Seq(1))[..18]).await.len();
        assert_eq!(now, turns, "turns are never touched");
    }
    let world = sound().await;
    world.store.remove(policy(&world)).await;
    let found = examine(&world).await;
    assert!(said_of(&found, Check::Tenants).contains("policy"), "{}", all_said(&found));
}

#[tokio::test]
async fn chunks_that_lack_and_contents_of_nobody_are_found() {
    let world = sound().await;
    let chunks: Vec<_> = world.store.rows(b"g").await;
    let chunk = chunks.iter().find(|row| row.key.get(17) == Some(&b'k')).unwrap();
    world.store.put(document_keys::chunk(Generation([7; 16]), 0), chunk.value.to_vec()).await;
    world.store.remove(chunk.key.to_vec()).await;
    let found = examine(&world).await;
    assert_eq!(found.report.level(), Level::Bad);
    let said = all_said(&found);
    assert!(said.contains("has 0 chunks of 1"), "{said}");
    let forgotten = document_keys::forgotten(Generation([7; 16]));
    let mends = found.mends.iter().flat_map(|batch| batch.writes());
    assert!(mends.into_iter().any(|(key, value)| *key == forgotten && value.is_some()));
}
