//! Vectors and summaries are made behind the appends: in order, once, and again after any stop.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use keepsake::embed::Scripted;
use keepsake::error::Reason;
use keepsake::memory::{Built, Degraded, Target, Worked};
use keepsake::record::{
    Head, JobKind, JobRow, JobState, PendingRow, Slot, SummaryRow, VectorRow, decode, keys,
};
use keepsake::sessions::{ATTEMPTS_MAX, DeleteTurns, LEASE_MS};
use keepsake::summarize::frontier;
use keepsake::types::{Incarnation, RetrievalMode, Role, Seq, SummaryPolicy};

use super::world::{HOUR_MS, START, World, append, of_session, said, session};

/// A sentence that a summary may keep, with a word of its own.
pub fn sentence(n: usize) -> String {
    let place = ["Lisbon", "Oslo", "Kyoto", "Quito", "Perth"][n % 5];
    format!("I bought a workshop, w{n}w, in {place}.")
}

pub async fn filled(world: &World, name: &str, from: usize, count: usize) {
    let words: Vec<String> = (from..from + count).map(sentence).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    world.append(&append(name, "ann", &words)).await;
}

/// Does all that is behind the appends and due by now.
pub async fn settle(world: &World) {
    while world.memory.embed_some().await.unwrap() {}
    while world.memory.work_some().await.unwrap() == Worked::Some {}
}

pub async fn head(world: &World, name: &str) -> Head {
    world.memory.get_session(&world.tenant, &session(name)).await.unwrap()
}

/// Every vector row and summary row of a life, by what follows the incarnation in its key.
async fn made(world: &World, life: Incarnation) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let rows = world.store.rows(&keys::incarnation(life)).await;
    let own = rows.iter().map(|row| (row.key[17..].to_vec(), row.value.to_vec()));
    own.filter(|(key, _)| [b'v', b's'].contains(&key[0])).collect()
}

pub async fn summaries(world: &World, life: Incarnation) -> Vec<SummaryRow> {
    let rows = world.store.rows(&keys::summaries(life)).await;
    rows.iter().map(|row| decode(&row.value).unwrap()).collect()
}

/// Small marks, so that few turns make several levels of summaries.
fn eager(world: &mut World) {
    world.policy.summaries = SummaryPolicy {
        tail_high_tokens: Some(200),
        tail_low_tokens: Some(60),
        ..SummaryPolicy::default()
    };
}

async fn eager_world() -> World {
    let mut world = World::embedding().await;
    eager(&mut world);
    world.keep_policy().await;
    world
}

#[tokio::test]
async fn turns_are_found_by_words_at_once_and_by_meaning_once_they_are_embedded() {
    let world = World::embedding().await;
    filled(&world, "s", 0, 30).await;
    let query = "Which workshop went to Kyoto?";
    let built = world.build(of_session("s"), query).await;
    assert!(built.degraded.contains(&Degraded::VectorsPending));
    assert_eq!(built.ranked.coverage.map(|c| (c.turns, c.turns_embedded)), Some((30, 0)));
    let pending = world.memory.pending_vectors(head(&world, "s").await.incarnation).await.unwrap();
    assert_eq!((pending.turns, pending.oldest), (30, Some(START)));
    settle(&world).await;
    let built = world.build(of_session("s"), query).await;
    assert_eq!(built.degraded, []);
    assert_eq!(built.ranked.coverage.map(|c| (c.turns, c.turns_embedded)), Some((30, 30)));
    let life = head(&world, "s").await.incarnation;
    assert_eq!(world.memory.pending_vectors(life).await.unwrap().turns, 0);
    assert_eq!(world.store.rows(&keys::pending_sessions()).await.len(), 0);
    assert_eq!(world.memory.embedding_lag(), (0, None));
}

#[tokio::test]
async fn an_answer_is_the_same_from_a_copy_that_was_brought_up_and_from_one_that_was_loaded() {
    let world = eager_world().await;
    filled(&world, "s", 0, 40).await;
    world.build(of_session("s"), "Kyoto?").await;
    settle(&world).await;
    let warm = world.build(of_session("s"), "Which tools went to Kyoto?").await;
    let restarted = world.restarted();
    let cold = restarted.build(of_session("s"), "Which tools went to Kyoto?").await;
    assert_eq!(warm.context, cold.context);
    assert_eq!(warm.session_change, cold.session_change);
    assert!(!summaries(&world, head(&world, "s").await.incarnation).await.is_empty());
}

#[tokio::test]
async fn vectors_that_come_while_an_answer_is_worked_out_change_nothing_retrieved_for_it() {
    let world = World::embedding().await;
    filled(&world, "s", 0, 60).await;
    settle(&world).await;
    world.clock.advance(HOUR_MS);
    // The answer and the next question come at once: neither has its vectors when it is asked.
    let latest = "Bring the workshop of Kyoto to mind, with all its tools.";
    world.append(&append("s", "ann", &[latest, latest, "Which workshop is in Kyoto?"])).await;
    let first = world.build(of_session("s"), "").await;
    assert_eq!(first.degraded, [], "the latest exchange is not waited for");
    settle(&world).await;
    let second = world.build(of_session("s"), "").await;
    assert_eq!(second.context, first.context);
    let hits = |built: &Built| -> Vec<(Seq, f64)> {
        built.ranked.hits.iter().map(|hit| (hit.seq, hit.score)).collect()
    };
    assert_eq!(hits(&second), hits(&first));
    // With the next question they take part.
    world.clock.advance(HOUR_MS);
    world.append(&append("s", "ann", &["And which one is in Perth?"])).await;
    let third = world.build(of_session("s"), "").await;
    assert_eq!(third.ranked.coverage.map(|c| (c.turns, c.turns_embedded)), Some((63, 63)));
}

#[tokio::test]
async fn work_behind_a_session_is_no_change_that_clients_see() {
    let world = eager_world().await;
    filled(&world, "s", 0, 40).await;
    let before = head(&world, "s").await;
    world.clock.advance(HOUR_MS);
    settle(&world).await;
    let after = head(&world, "s").await;
    assert!(after.change > before.change);
    assert_eq!((after.version, after.updated_at), (before.version, before.updated_at));
}

#[tokio::test]
async fn a_policy_of_words_alone_asks_for_no_vector_and_lacks_none() {
    let mut world = World::embedding().await;
    world.policy.retrieval_mode = RetrievalMode::Words;
    filled(&world, "s", 0, 30).await;
    let built = world.build(of_session("s"), "Which workshop went to Kyoto?").await;
    assert_eq!((built.degraded, built.ranked.coverage), (vec![], None));
}

#[tokio::test]
async fn an_embedder_that_fails_leaves_words_and_says_so() {
    let scripted = Scripted::new();
    let world = World::with_embedder(scripted.clone()).await;
    filled(&world, "s", 0, 30).await;
    scripted.fail();
    let failure = world.memory.embed_some().await.unwrap_err();
    assert_eq!(failure.reason(), Reason::EmbedderFailed);
    let built = world.build(of_session("s"), "Which workshop went to Kyoto?").await;
    assert!(built.degraded.contains(&Degraded::Vector));
    assert!(!built.ranked.hits.is_empty(), "words are enough");
    scripted.mend();
    settle(&world).await;
    let built = world.build(of_session("s"), "Which workshop went to Kyoto?").await;
    assert_eq!(built.degraded, []);
}

#[tokio::test]
async fn an_embedder_that_hangs_does_not_hold_an_answer_up() {
    let scripted = Scripted::new();
    let world = World::with_embedder(scripted.clone()).await;
    filled(&world, "s", 0, 30).await;
    settle(&world).await;
    scripted.hang();
    let mut target = of_session("s");
    target.deadline = Some(Instant::now() + Duration::from_millis(100));
    let built = world.build(target, "Which workshop went to Kyoto?").await;
    assert!(built.degraded.contains(&Degraded::Vector));
    assert!(!built.ranked.hits.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_for_whose_place_others_wait_goes_by_words_soon() {
    let scripted = Scripted::new();
    let world = World::with_embedder(scripted.clone()).await;
    filled(&world, "s", 0, 30).await;
    settle(&world).await;
    scripted.hang();
    let mut took = Vec::new();
    for hurried in [false, true] {
        let (target, begun) = (Target { hurried, ..of_session("s") }, tokio::time::Instant::now());
        let built = world.build(target, "Which workshop went to Kyoto?").await;
        assert!(built.degraded.contains(&Degraded::Vector));
        took.push(begun.elapsed());
    }
    assert!(took[1] * 50 < took[0], "{took:?}");
}

#[tokio::test]
async fn turns_that_another_embedder_embedded_are_embedded_anew() {
    let world = World::embedding().await;
    filled(&world, "s", 0, 20).await;
    settle(&world).await;
    let life = head(&world, "s").await.incarnation;
    let scripted = Scripted::new();
    let other = world.restarted_with(scripted.clone());
    let built = other.build(of_session("s"), "Which workshop went to Kyoto?").await;
    assert!(built.degraded.contains(&Degraded::VectorsPending));
    settle(&other).await;
    let built = other.build(of_session("s"), "Which workshop went to Kyoto?").await;
    assert_eq!(built.degraded, []);
    let rows = world.store.rows(&keys::vectors(Slot::First, life, Seq(1))).await;
    let row: VectorRow = decode(&rows[0].value).unwrap();
    assert_ne!(row.embedder, keepsake::embed::Embedder::key(&keepsake::embed::Hashed::new()));
}

#[tokio::test]
async fn the_newest_turns_are_embedded_first() {
    let world = World::embedding().await;
    filled(&world, "s", 0, 40).await;
    assert!(world.memory.embed_some().await.unwrap());
    let life = head(&world, "s").await.incarnation;
    let first = keys::vectors(Slot::First, life, Seq(0));
    let rows = world.store.rows(&first[..18]).await;
    let seqs: BTreeSet<u64> =
        rows.iter().map(|row| u64::from_be_bytes(*row.key.last_chunk::<8>().unwrap())).collect();
    assert_eq!(seqs, (25..=40).collect());
}

#[tokio::test]
async fn an_erased_or_superseded_turn_waits_for_nothing_and_leaves_no_vector() {
    let world = World::embedding().await;
    filled(&world, "s", 0, 20).await;
    world.memory.embed_some().await.unwrap();
    let seqs = [2, 19].map(Seq).into_iter().collect();
    let request = DeleteTurns { session: session("s"), seqs, expected_version: None };
    world.memory.delete_turns(&world.tenant, &request, None).await.unwrap();
    let mut edit = append("s", "ann", &["I stay here."]);
    edit.replace_from = Some(Seq(10));
    world.append(&edit).await;
    settle(&world).await;
    let life = head(&world, "s").await.incarnation;
    let made: Vec<u64> = made(&world, life)
        .await
        .keys()
        .filter(|key| key[0] == b'v')
        .map(|key| u64::from_be_bytes(*key.last_chunk::<8>().unwrap()))
        .collect();
    assert_eq!(made, [1, 3, 4, 5, 6, 7, 8, 9, 21]);
}

#[tokio::test]
pub async fn turns_are_embedded_also_when_their_caller_has_gone_before_the_answer() {
    let world = World::embedding().await;
    world.store.silence();
    let gone = append("s", "ann", &["I bought a workshop."]);
    assert!(world.append_as(&gone, None).now_or_never().is_none());
    world.store.mend();
    settle(&world).await;
    let life = head(&world, "s").await.incarnation;
    assert_eq!(world.memory.pending_vectors(life).await.unwrap().turns, 1);
    world.clock.advance(60_000);
    world.memory.sweep().await.unwrap();
    settle(&world).await;
    assert_eq!(world.memory.pending_vectors(life).await.unwrap().turns, 0);
}

#[tokio::test]
async fn a_fork_takes_vectors_along_and_what_waits_still_waits() {
    let world = World::embedding().await;
    filled(&world, "s", 0, 20).await;
    world.memory.embed_some().await.unwrap();
    let (from, to) = (session("s"), session("f"));
    let forked = world.memory.fork_session(&world.tenant, &from, None, &to, &world.policy, None);
    forked.await.unwrap();
    let life = head(&world, "f").await.incarnation;
    let waiting = world.memory.pending_vectors(life).await.unwrap();
    assert_eq!(waiting.turns, 4);
    settle(&world).await;
    let own = made(&world, head(&world, "s").await.incarnation).await;
    assert_eq!(made(&world, life).await, own);
}

#[tokio::test]
async fn a_node_without_a_model_says_so_to_who_wants_vectors_alone() {
    let mut world = World::new().await;
    world.policy.retrieval_mode = RetrievalMode::Vectors;
    filled(&world, "s", 0, 30).await;
    let built = world.build(of_session("s"), "Which workshop went to Kyoto?").await;
    assert!(built.degraded.contains(&Degraded::Vector));
}

/// Which effect of the background the process dies at, and on which side of it.
#[derive(Debug, Clone, Copy)]
enum Stop {
    Before(i64),
    After(i64),
}

/// A history of two users in several sessions with edits, each part followed by its background
/// work, in which the process dies at most once. Gives what was made, by session.
async fn history(stop: Option<Stop>) -> (BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>, i64, bool) {
    let mut world = eager_world().await;
    let mut done = 0;
    let mut died = false;
    for part in 0..4 {
        for (name, count) in [("a", 64), ("b", 24), ("c", 24)] {
            filled(&world, name, part * count, count).await;
        }
        if part == 2 {
            let seqs = [3, 30].map(Seq).into_iter().collect();
            let request = DeleteTurns { session: session("a"), seqs, expected_version: None };
            world.memory.delete_turns(&world.tenant, &request, None).await.unwrap();
            let mut edit = append("b", "ann", &["I sold all of it."]);
            edit.replace_from = Some(Seq(25));
            world.append(&edit).await;
        }
        if part == 3 {
            world.clock.advance(7 * HOUR_MS);
        }
        let commits = world.store.commits();
        match stop {
            Some(Stop::Before(at)) if !died => world.store.break_after(at - done),
            Some(Stop::After(at)) if !died => world.store.lose_after(at - done),
            _ => {}
        }
        let work = async || -> Result<(), Reason> {
            while world.memory.embed_some().await.map_err(|failure| failure.reason())? {}
            while world.memory.work_some().await.map_err(|failure| failure.reason())?
                == Worked::Some
            {}
            Ok(())
        };
        if work().await.is_err() {
            died = true;
            world = world.restarted();
            eager(&mut world);
            world.memory.resume_embedding().await.unwrap();
            // What the dead process held is free when its lease has ended.
            world.clock.advance(LEASE_MS);
            settle(&world).await;
        }
        world.store.mend();
        done += world.store.commits() - commits;
    }
    let mut all = BTreeMap::new();
    for name in ["a", "b", "c"] {
        let life = head(&world, name).await.incarnation;
        let mut rows = made(&world, life).await;
        for (key, value) in &mut rows {
            if key[0] == b's' {
                let row: SummaryRow = decode(value).unwrap();
                *value = format!("{:?}", row.summary).into_bytes();
            }
        }
        all.insert(name.to_owned(), rows);
        assert_eq!(head(&world, name).await.jobs, Default::default(), "no job is left");
    }
    for prefix in [b"n", b"J", b"j"] {
        assert_eq!(world.store.rows(prefix).await.len(), 0, "nothing waits");
    }
    (all, done, died)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_between_any_two_steps_makes_the_same_vectors_and_summaries_once() {
    let (expected, commits, _) = history(None).await;
    assert!(expected["a"].keys().any(|key| key[0] == b's' && *key.last().unwrap() > 0), "levels");
    let stops = (0..commits).flat_map(|at| [Stop::Before(at), Stop::After(at)]);
    let stops: Vec<Stop> = stops.collect();
    assert!(stops.len() >= 200, "only {} points", stops.len());
    for stop in stops {
        let (made, _, died) = history(Some(stop)).await;
        assert!(died, "{stop:?}");
        assert!(made == expected, "{stop:?}");
    }
}

#[tokio::test]
async fn a_job_that_always_fails_is_dead_after_its_attempts_and_can_be_retried() {
    let world = eager_world().await;
    filled(&world, "s", 0, 60).await;
    while world.memory.embed_some().await.unwrap() {}
    let life = head(&world, "s").await.incarnation;
    // A turn that does not decode fails every look at the session.
    let turn = world.store.rows(&keys::turn(life, Seq(3))).await.remove(0);
    world.store.put(turn.key.to_vec(), vec![9]).await;
    let world = {
        let restarted = world.restarted();
        restarted.memory.resume_embedding().await.unwrap();
        restarted
    };
    // The job for a session that rests fails beside it.
    for _ in 0..3 * ATTEMPTS_MAX {
        world.clock.advance(HOUR_MS);
        world.memory.work_some().await.unwrap();
    }
    let key = keys::job(&world.tenant, life, JobKind::Summarize);
    let job: JobRow = decode(&world.store.rows(&key).await[0].value).unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Dead, ATTEMPTS_MAX));
    assert_eq!(job.last_reason, "ROW_UNREADABLE");
    let page = world.memory.list_jobs(&world.tenant, Some(JobState::Dead), None, 10).await.unwrap();
    assert_eq!(page.items.len(), 2);
    world.store.put(turn.key.to_vec(), turn.value.to_vec()).await;
    for job in page.items {
        world.memory.retry_job(&world.tenant, &job.id).await.unwrap();
    }
    settle(&world).await;
    assert!(!summaries(&world, life).await.is_empty());
}

#[tokio::test]
async fn a_job_that_is_held_is_taken_by_nobody_else_until_its_lease_ends() {
    let world = eager_world().await;
    filled(&world, "s", 0, 60).await;
    while world.memory.embed_some().await.unwrap() {}
    // The worker dies right after it took the job.
    world.store.break_after(1);
    assert!(world.memory.work_some().await.is_err());
    let world = world.restarted();
    assert!(matches!(world.memory.work_some().await.unwrap(), Worked::Idle(Some(_))));
    world.clock.advance(LEASE_MS);
    assert_eq!(world.memory.work_some().await.unwrap(), Worked::Some);
    let rows = summaries(&world, head(&world, "s").await.incarnation).await;
    let spans: Vec<_> = rows.iter().map(|row| row.summary.span).collect();
    assert!(!frontier(&spans).is_empty());
}

#[tokio::test]
async fn the_work_of_a_deleted_session_is_forgotten() {
    let world = eager_world().await;
    filled(&world, "s", 0, 60).await;
    world.memory.delete_session(&world.tenant, &session("s"), None).await.unwrap();
    settle(&world).await;
    world.clock.advance(24 * HOUR_MS);
    settle(&world).await;
    for prefix in [b"i", b"n", b"J", b"j"] {
        assert_eq!(world.store.rows(prefix).await.len(), 0);
    }
    // A new life under the same name is embedded by itself.
    let mut request = append("s", "ann", &[]);
    request.turns = vec![said(Role::User, "hello again, my workshop")];
    world.append(&request).await;
    settle(&world).await;
    assert_eq!(made(&world, head(&world, "s").await.incarnation).await.len(), 1);
}

#[tokio::test]
async fn turns_that_wait_do_so_since_they_were_appended() {
    let world = World::embedding().await;
    filled(&world, "s", 0, 1).await;
    world.clock.advance(HOUR_MS);
    filled(&world, "s", 1, 1).await;
    let life = head(&world, "s").await.incarnation;
    let row = world.store.rows(&keys::pending(life, Seq(1))).await.remove(0);
    assert_eq!(decode::<PendingRow>(&row.value).unwrap().since, START);
    assert_eq!(world.memory.embedding_lag(), (1, Some(START)));
    let restarted = world.restarted();
    restarted.memory.resume_embedding().await.unwrap();
    assert_eq!(restarted.memory.embedding_lag(), (1, Some(START)));
}

#[tokio::test]
async fn more_sessions_than_memory_knows_are_embedded_all_the_same() {
    let world = World::embedding().await;
    for n in 0..10_050 {
        world.append(&append(&format!("s{n}"), "", &["I bought a workshop in Oslo."])).await;
    }
    let world = world.restarted();
    world.memory.resume_embedding().await.unwrap();
    while world.memory.embed_some().await.unwrap() {}
    assert_eq!(world.store.rows(&keys::pending_sessions()).await.len(), 0);
}

#[tokio::test]
async fn all_turns_that_wait_are_counted() {
    let world = World::embedding().await;
    filled(&world, "s", 0, 1).await;
    world.clock.advance(HOUR_MS);
    filled(&world, "s", 1, 10_400).await;
    let life = head(&world, "s").await.incarnation;
    let pending = world.memory.pending_vectors(life).await.unwrap();
    assert_eq!((pending.turns, pending.oldest), (10_401, Some(START)));
}

#[tokio::test]
async fn a_large_append_keeps_no_other_call_from_its_answer() {
    let world = World::embedding().await;
    filled(&world, "other", 0, 4).await;
    let text = "the lamp at the pier was lit before the storm came, they say; ".repeat(8_000);
    let large = append("s", "ann", &[&text, &text]);
    let appending = world.append(&large);
    tokio::pin!(appending);
    let other = async { head(&world, "other").await.turns_living };
    tokio::select! {
        biased;
        _ = &mut appending => panic!("the large append held the other call up"),
        turns = other => assert_eq!(turns, 4),
    }
    appending.await;
    assert_eq!(head(&world, "s").await.turns_living, 2);
}
