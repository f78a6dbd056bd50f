//! The real binary while calls of the operating system fail under it: nothing is acknowledged that
//! is not there afterwards, and what failed is named.

use std::path::Path;
use std::time::Duration;

use keepsake::cli::Client;

use super::ENGINES;
use super::chance::{Chance, setting};
use super::rounds::copy_folder;
use super::server::{Ended, Server, Setup};
use super::strace::{self, Target};
use super::talk::{Op, Talk, is_cut, reason_of};

/// How often a write that the full disk refused is tried again: it is refused for a second.
const TRIES_MAX: usize = 30;

/// What a run of the script came to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It did not start, and said why.
    Refused,
    /// It ended while it served, and said why.
    Stopped,
    /// It refused writes to the end, since the disk was full.
    StayedFull,
    /// It did all it was asked, at once or when asked again.
    WentOn,
}

/// Says why a run went wrong.
type Wrong = String;

/// The sessions of the script.
fn talks() -> Vec<Talk> {
    vec![Talk::new("left", "ann"), Talk::new("right", "ann")]
}

/// Appends, a replacement, an erasure, a fork and a deletion, one after the other: each with the
/// session that it is for.
fn script(talks: &[Talk], step: u64, chance: &Chance) -> Option<(usize, Op)> {
    let id = chance.request_id();
    let texts = || vec![format!("step {step} of left"), format!("step {step} again")];
    Some(match step {
        0..3 => (0, Op::Append { id, texts: texts(), from: 0 }),
        3 => (0, Op::Append { id, texts: texts(), from: talks[0].living().pop()?.seq }),
        4 => (0, Op::Erase { id, seqs: vec![talks[0].living().first()?.seq] }),
        5 => (1, Op::Fork { id, source: "left".to_owned(), living: talks[0].living() }),
        6 => (1, Op::Append { id, texts: texts(), from: 0 }),
        7 => (1, Op::Delete { id }),
        8 => (0, Op::Append { id, texts: texts(), from: 0 }),
        _ => return None,
    })
}

/// Sends one write until it is answered. Gives how the run ends where it cannot go on: the server
/// is gone, or the disk stays full (a call fails in each thread, and an engine that is opened again
/// has new ones).
async fn send(client: &mut Client, talk: &mut Talk, op: Op) -> Result<Option<Outcome>, Wrong> {
    for _ in 0..TRIES_MAX {
        match talk.send(client, &op).await {
            Ok(()) => {
                *talk = talk.after(&op);
                return Ok(None);
            }
            Err(status) if reason_of(&status) == "DISK_FULL" => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(status) if is_cut(&status) || reason_of(&status) == "STORE_FAULT" => {
                talk.doubt = Some(op);
                return Ok(Some(Outcome::Stopped));
            }
            Err(status) => return Err(format!("{op:?} is refused: {status}")),
        }
    }
    Ok(Some(Outcome::StayedFull))
}

/// Runs the script on a server; what is not done at the end was not acknowledged.
async fn run(mut server: Server, talks: &mut [Talk], chance: &Chance) -> Result<Outcome, Wrong> {
    let (mut step, mut outcome) = (0, Outcome::WentOn);
    while let Some((at, op)) = script(talks, step, chance) {
        step += 1;
        if let Some(end) = send(&mut server.client, &mut talks[at], op).await? {
            outcome = end;
            break;
        }
    }
    if outcome != Outcome::Stopped {
        let status = server.stop().await;
        return Ok(if status.success() { outcome } else { Outcome::Stopped });
    }
    let status = tokio::task::spawn_blocking(move || server.process().wait()).await.unwrap();
    match status.success() {
        true => Err("it lost a write and ended as if all were well".to_owned()),
        false => Ok(outcome),
    }
}

/// Whether a log says in words what failed. A panic is no message.
fn is_named(log: &str, target: &Target) -> Result<(), Wrong> {
    if log.contains("panicked at") {
        return Err("it panicked".to_owned());
    }
    // A write on any file may be that of the message itself.
    if target.path.is_none() && target.call == "write" {
        return Ok(());
    }
    let named = log.lines().any(|line| line.starts_with("error: cannot "));
    if named { Ok(()) } else { Err("it does not say what failed".to_owned()) }
}

/// One run with one call that fails, on a folder like `before`, and a clean start after it.
async fn check(
    engine: &'static str,
    before: &Path,
    known: &[Talk],
    target: &Target,
    error: &str,
) -> Result<Outcome, Wrong> {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new(folder.path(), engine);
    if before.exists() {
        copy_folder(before, &setup.data());
    }
    let chance = Chance::new(target.when as u64);
    let failing = setup.under("strace", &target.failing(&setup.data(), error));
    let mut talks = known.to_vec();
    let ran = match failing.start().await {
        Ok(server) => run(server, &mut talks, &chance).await,
        Err(Ended { status, .. }) if status.success() => Err("it ended as if all were well".into()),
        Err(Ended { .. }) => Ok(Outcome::Refused),
    };
    let wrong = |why: String| format!("{why}\n{}", setup.log());
    let outcome = ran.map_err(wrong)?;
    if [Outcome::Refused, Outcome::Stopped].contains(&outcome) {
        is_named(&setup.log(), target).map_err(wrong)?;
    }
    let mut server = match setup.start().await {
        Ok(server) => server,
        Err(Ended { log, .. }) => return Err(format!("it starts no more\n{log}")),
    };
    for talk in &mut talks {
        talk.verify(&mut server.client).await;
    }
    assert!(server.stop().await.success());
    setup.doctor().map_err(|said| format!("the doctor says: {said}"))?;
    Ok(outcome)
}

/// A folder on which the script ran once, and what it holds.
async fn filled(engine: &'static str, folder: &Path) -> Vec<Talk> {
    let setup = Setup::new(folder, engine);
    let mut talks = talks();
    let ran = run(setup.started().await, &mut talks, &Chance::new(0)).await;
    assert_eq!(ran, Ok(Outcome::WentOn));
    talks
}

/// Every call of the script on files of the data folder.
async fn all_targets(engine: &'static str, before: &Path, known: &[Talk]) -> Vec<Target> {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new(folder.path(), engine);
    if before.exists() {
        copy_folder(before, &setup.data());
    }
    let log = folder.path().join("calls");
    let traced = setup.under("strace", &strace::listing(&log));
    let mut talks = known.to_vec();
    let ran = run(traced.started().await, &mut talks, &Chance::new(u64::MAX)).await;
    assert_eq!(ran, Ok(Outcome::WentOn));
    let text = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
    strace::targets(&text, &setup.data()).into_iter().collect()
}

/// Each call that opens, writes, syncs or renames a file fails once.
///
/// By default a seeded choice of them; all of them, with each error:
/// `KEEPSAKE_FAULTS_ALL=1 cargo test --test it crash::faults -- --nocapture`.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_call_fails_nothing_is_acknowledged_that_is_lost() {
    if !strace::is_there("the failing of each call") {
        return;
    }
    let all = setting("KEEPSAKE_FAULTS_ALL", 0) != 0;
    let chance = Chance::new(setting("KEEPSAKE_CRASH_SEED", 1));
    for engine in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let known = filled(engine, folder.path()).await;
        let (none, some) = (folder.path().join("none"), folder.path().join("data"));
        for (name, before, known) in [("a new folder", none, talks()), ("a full one", some, known)]
        {
            let targets = all_targets(engine, &before, &known).await;
            let (mut wrong, mut counts) = (Vec::new(), [0; 4]);
            let runs = targets.iter().flat_map(|target| ["ENOSPC", "EIO"].map(|e| (target, e)));
            let chosen: Vec<_> = runs.filter(|_| all || chance.below(16) == 0).collect();
            for (target, error) in &chosen {
                match check(engine, &before, &known, target, error).await {
                    Ok(outcome) => counts[outcome as usize] += 1,
                    Err(why) => wrong.push(format!("{target:?} {error}: {why}")),
                }
            }
            println!(
                "{engine}, {name}: {} of {} calls failed, each with ENOSPC or EIO: {} starts \
                 refused, {} servers stopped, {} refused writes, {} went on; {} wrong",
                chosen.len(),
                2 * targets.len(),
                counts[0],
                counts[1],
                counts[2],
                counts[3],
                wrong.len(),
            );
            assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
        }
    }
}
