//! What runs beside the calls until the server stops: embedding, jobs, the sweep, gauges. Calls go
//! first: each piece of work asks admission before it begins.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::documents::Documents;
use crate::admission::{Figures, Refused};
use crate::api::Admission;
use crate::documents::EmbeddedIndex;
use crate::error::{Failure, chain};
use crate::memory::{Erasing, Filled, Memory, Worked};
use crate::telemetry;

/// How often sessions past their time and old repeats are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How many rounds of the sweep follow each other: about a hundred thousand rows.
const SWEEP_ROUNDS_MAX: usize = 100;
/// How often jobs are looked for: a summary may be late by this much.
const JOBS_EVERY: Duration = Duration::from_secs(1);
/// How often the index of documents is written down: a commit of it costs some 50 ms.
const TEND_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether files must be rid of what was deleted, and the longest pause
/// after that failed.
const ERASE_LOOK_EVERY: Duration = Duration::from_secs(60);
const ERASE_RETRY_MAX: Duration = Duration::from_secs(3_600);
/// How often gauges are set: more often than anybody collects them.
const OBSERVE_EVERY: Duration = Duration::from_secs(5);
/// How often the log has what embedding cost each tenant.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// How long to wait after a failure before trying again: the first time, and at the most.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// How often the index of documents is asked whether it is behind, and how long it is left alone at
/// the most after it could not be brought up to date: a server that comes back is told soon.
const BEHIND_EVERY: Duration = Duration::from_secs(2);
const BEHIND_RETRY_MAX: Duration = Duration::from_secs(10);

/// Starts all of them; each ends soon after `stopped` turns true. Gauges are set while somebody
/// collects them.
pub(super) fn start(
    memory: &Arc<Memory>,
    documents: &Documents,
    admission: &Arc<Admission>,
    stopped: &watch::Receiver<bool>,
    collected: bool,
) -> Vec<JoinHandle<()>> {
    let (m, a, s) = (|| memory.clone(), || admission.clone(), || stopped.clone());
    let mut tasks = vec![
        tokio::spawn(sweep(m(), a(), s())),
        tokio::spawn(embed(m(), a(), s())),
        tokio::spawn(embed(m(), a(), s())),
        tokio::spawn(work(m(), a(), s())),
        tokio::spawn(forget(a(), s())),
        tokio::spawn(report(m(), s())),
        tokio::spawn(tend(m(), s())),
        tokio::spawn(erase(m(), s())),
        tokio::spawn(requeue(m(), s())),
        tokio::spawn(fill(m(), a(), s())),
    ];
    if let Documents::Embedded(index) = documents {
        tasks.push(tokio::spawn(write_down(index.clone(), s())));
    }
    if collected {
        tasks.push(tokio::spawn(observe(m(), documents.clone(), a(), s())));
    }
    tasks
}

/// Embeds turns that wait, until the stop.
async fn embed(memory: Arc<Memory>, admission: Arc<Admission>, mut stopped: watch::Receiver<bool>) {
    let mut pause = RETRY_FIRST;
    loop {
        // A stop does not wait for texts that are being embedded: their rows are still there.
        let embed_some = async {
            admission.background().await;
            // Turns first: their sessions are being talked in.
            Ok::<_, Failure>(memory.embed_some().await? || memory.embed_chunks().await?)
        };
        let worked = tokio::select! {
            worked = embed_some => worked,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        let idle = match worked {
            Ok(true) => {
                pause = RETRY_FIRST;
                continue;
            }
            Ok(false) => None,
            Err(failure) => {
                let (reason, why) = (failure.reason().text(), chain(&failure));
                tracing::warn!(reason, "embedding failed: {why}");
                pause = (pause * 2).min(RETRY_MAX);
                Some(pause)
            }
        };
        tokio::select! {
            () = rest(idle) => {}
            () = memory.more_to_embed(), if idle.is_none() => {}
            () = memory.more_chunks(), if idle.is_none() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

/// Queues documents again whose vectors another embedder made: at the start, and after a switch.
async fn requeue(memory: Arc<Memory>, mut stopped: watch::Receiver<bool>) {
    let mut pause = RETRY_FIRST;
    loop {
        let queued = tokio::select! {
            queued = memory.requeue_documents() => queued,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        match queued {
            Ok(documents) => {
                if documents > 0 {
                    tracing::info!(documents, "another embedder: their chunks are looked through");
                }
                pause = RETRY_FIRST;
                tokio::select! {
                    () = memory.switched() => continue,
                    _ = stopped.wait_for(|stop| *stop) => return,
                }
            }
            Err(failure) => {
                let reason = failure.reason().text();
                tracing::warn!(reason, "documents cannot be queued for vectors: {failure}");
                pause = (pause * 2).min(RETRY_MAX);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

/// Gives what is in the record its vectors of the embedder that does not serve, until the stop.
async fn fill(memory: Arc<Memory>, admission: Arc<Admission>, mut stopped: watch::Receiver<bool>) {
    let mut pause = RETRY_FIRST;
    loop {
        let fill_some = async {
            admission.background().await;
            memory.fill_some().await
        };
        let filled = tokio::select! {
            filled = fill_some => filled,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        let idle = match filled {
            Ok(Filled::Some) => {
                pause = RETRY_FIRST;
                continue;
            }
            Ok(Filled::All) => None,
            Err(failure) => {
                let reason = failure.reason().text();
                tracing::warn!(reason, "the other embedder is not prepared further: {failure}");
                pause = (pause * 2).min(RETRY_MAX);
                Some(pause)
            }
        };
        tokio::select! {
            () = rest(idle) => {}
            () = memory.more_to_fill(), if idle.is_none() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

/// Brings the index of documents to where the record is, at the start and whenever it was left
/// behind, until the stop.
async fn tend(memory: Arc<Memory>, mut stopped: watch::Receiver<bool>) {
    let mut pause = RETRY_FIRST;
    loop {
        // A stop does not wait for a server that is slow: the next start compares.
        let mended = tokio::select! {
            mended = memory.reconcile_documents() => mended,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        let idle = match mended {
            Ok(_) => {
                pause = RETRY_FIRST;
                BEHIND_EVERY
            }
            Err(error) => {
                tracing::warn!("the index of documents cannot be brought up to date: {error}");
                pause = (pause * 2).min(BEHIND_RETRY_MAX);
                pause
            }
        };
        tokio::select! {
            () = tokio::time::sleep(idle) => {}
            () = memory.documents_behind() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

/// Writes down what the index of documents holds in memory only, until the stop and once more then:
/// what is not written is taken from the record at the next start.
async fn write_down(index: EmbeddedIndex, mut stopped: watch::Receiver<bool>) {
    let mut pause = TEND_EVERY;
    loop {
        let stops = tokio::select! {
            () = tokio::time::sleep(pause) => false,
            _ = stopped.wait_for(|stop| *stop) => true,
        };
        pause = match index.tend().await {
            Ok(()) => TEND_EVERY,
            Err(error) => {
                tracing::warn!("the index of documents cannot be written: {error}");
                (pause * 2).min(RETRY_MAX)
            }
        };
        if stops {
            return;
        }
    }
}

/// Rids files of what was deleted when it is time, and when somebody asks for it, until the stop.
async fn erase(memory: Arc<Memory>, mut stopped: watch::Receiver<bool>) {
    let mut pause = None;
    loop {
        // Deletions come meanwhile: looked at again.
        let left = memory.erases_in().unwrap_or(ERASE_LOOK_EVERY).min(ERASE_LOOK_EVERY);
        tokio::select! {
            () = tokio::time::sleep(pause.unwrap_or(left)) => {}
            () = memory.asked_to_erase() => pause = Some(Duration::ZERO),
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        let is_due = memory.erases_in().is_some_and(|left| left.is_zero());
        if pause.is_none() && !is_due {
            continue;
        }
        let erased = tokio::select! {
            erased = memory.erase_from_files() => erased,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        let later = || Some((pause.unwrap_or_default() * 2).clamp(RETRY_MAX, ERASE_RETRY_MAX));
        pause = match erased {
            Ok(Erasing::Done) => {
                telemetry::erasure_ended("done");
                let before = memory.files_state().erased_before.map(|at| at.0);
                tracing::info!(before_unix_ms = before, "the files hold nothing deleted before");
                None
            }
            Ok(Erasing::Never) => None,
            Ok(Erasing::Held) => {
                telemetry::erasure_ended("held");
                let by = memory.files_state().held_by;
                tracing::warn!(by, "the files still hold what was deleted");
                later()
            }
            Err(failure) => {
                telemetry::erasure_ended("failed");
                let reason = failure.reason().text();
                tracing::warn!(reason, "the files cannot be rid of what was deleted: {failure}");
                later()
            }
        };
    }
}

/// Forgets the rates of tenants that have been quiet, until the stop.
async fn forget(admission: Arc<Admission>, mut stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(OBSERVE_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => admission.forget_quiet_tenants(),
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

/// Reports what embedding cost each tenant, until the stop and once more then.
async fn report(memory: Arc<Memory>, mut stopped: watch::Receiver<bool>) {
    loop {
        let stops = tokio::select! {
            () = tokio::time::sleep(REPORT_EVERY) => false,
            _ = stopped.wait_for(|stop| *stop) => true,
        };
        memory.report_spending();
        if stops {
            return;
        }
    }
}

/// Sets the gauges that nobody sets by doing something, until the stop.
async fn observe(
    memory: Arc<Memory>,
    documents: Documents,
    admission: Arc<Admission>,
    mut stopped: watch::Receiver<bool>,
) {
    let process = metrics_process::Collector::default();
    let mut ticks = tokio::time::interval(OBSERVE_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        process.collect();
        telemetry::tasks(tokio::runtime::Handle::current().metrics().num_alive_tasks());
        telemetry::observe_log();
        note_admission(&admission.figures());
        documents.observe();
        if let Err(failure) = memory.observe().await {
            tracing::warn!(reason = failure.reason().text(), "jobs cannot be read: {failure}");
        }
    }
}

fn note_admission(figures: &Figures) {
    for (name, lane) in [("reads", &figures.reads), ("writes", &figures.writes)] {
        let (in_flight, waiting) = (lane.in_flight.iter().sum(), lane.waiting.iter().sum());
        telemetry::admission_lane(name, lane.limit, in_flight, waiting);
    }
    for (cause, calls) in Refused::ALL.into_iter().zip(figures.refused) {
        telemetry::admission_refused(cause.text(), calls);
    }
    telemetry::admission_bytes("requests", figures.request_bytes);
    telemetry::admission_bytes("answers", figures.answer_bytes);
}

/// Waits for a time; for ever without one.
async fn rest(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Works on jobs that are due, until the stop.
async fn work(memory: Arc<Memory>, admission: Arc<Admission>, mut stopped: watch::Receiver<bool>) {
    let mut pause = JOBS_EVERY;
    loop {
        admission.background().await;
        match memory.work_some().await {
            Ok(Worked::Some) if *stopped.borrow() => return,
            Ok(Worked::Some) => continue,
            Ok(Worked::Idle(_)) => pause = JOBS_EVERY,
            Err(failure) => {
                tracing::warn!(reason = failure.reason().text(), "jobs cannot be read: {failure}");
                pause = (pause * 2).min(RETRY_MAX);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

async fn sweep(memory: Arc<Memory>, admission: Arc<Admission>, mut stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        for _ in 0..SWEEP_ROUNDS_MAX {
            admission.background().await;
            let swept =
                async { Ok::<_, Failure>(memory.sweep().await? + memory.sweep_documents().await?) };
            match swept.await {
                Ok(0) => break,
                Ok(_) => {}
                Err(failure) => {
                    tracing::warn!(reason = failure.reason().text(), "the sweep failed: {failure}");
                    break;
                }
            }
        }
    }
}
