use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Broken, Inline, Pool, Threads, Work, compute};

/// Every pool computes what it is given, and says when that broke.
async fn check(pool: &dyn Pool) {
    assert_eq!(compute(pool, || 6 * 7).await, Ok(42));
    let count = Arc::new(AtomicU32::new(0));
    let all = (0..20).map(|_| {
        let count = count.clone();
        compute(pool, move || count.fetch_add(1, Ordering::SeqCst))
    });
    let all = futures::future::join_all(all).await;
    let mut seen: Vec<u32> = all.into_iter().map(Result::unwrap).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn threads_compute_beside_the_caller() {
    check(&Threads).await;
    let here = std::thread::current().id();
    let there = compute(&Threads, || std::thread::current().id()).await;
    assert_ne!(there, Ok(here));
}

#[tokio::test]
async fn inline_work_is_done_by_the_caller() {
    check(&Inline).await;
    let here = std::thread::current().id();
    assert_eq!(compute(&Inline, || std::thread::current().id()).await, Ok(here));
}

#[tokio::test]
async fn work_that_panics_breaks_its_own_caller_alone() {
    let broken: Result<(), Broken> = compute(&Threads, || panic!("a test")).await;
    assert_eq!(broken, Err(Broken));
    assert_eq!(compute(&Threads, || 1).await, Ok(1));
}

#[tokio::test]
async fn work_that_a_pool_drops_is_told_as_broken() {
    struct Ended;
    impl Pool for Ended {
        fn begin(&self, work: Work) {
            drop(work);
        }
    }
    assert_eq!(compute(&Ended, || 1).await, Err(Broken));
}
