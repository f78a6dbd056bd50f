//! `strace` as what lets calls of the operating system fail: found, its flags, what it wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

/// The calls that can fail, as `strace` names them.
pub const CALLS: &[&str] =
    &["openat", "write", "pwrite64", "fdatasync", "fsync", "rename", "renameat", "renameat2"];

/// One call of a run: the how manieth of its kind that a thread makes, on a file or on any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    pub call: String,
    /// `None`: the name of the file is another one in each run.
    pub path: Option<String>,
    pub when: usize,
}

/// Whether `strace` can be had; says aloud when it cannot.
pub fn is_there(test: &str) -> bool {
    let mut ask = Command::new("strace");
    ask.args(["-f", "--seccomp-bpf", "-o", "/dev/null", "true"]);
    let works = ask.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !works {
        println!("SKIPPED {test}: there is no `strace` that may trace (apt-get install strace)");
    }
    works
}

/// The flags that write every call which can fail to `log`, with the files they are made on. The
/// process stays the child of the test: `strace` hangs on it from the side.
pub fn listing(log: &Path) -> Vec<String> {
    let calls = format!("trace={}", CALLS.join(","));
    flags(&["-D", "-f", "-y", "--seccomp-bpf", "-o", &log.to_string_lossy(), "-e", &calls])
}

/// The flags that do `what` (`error=EIO`, `delay_enter=300000`, …) to calls.
pub fn injecting(call: &str, path: Option<&str>, what: &str) -> Vec<String> {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{what}"));
    let mut all = flags(&["-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", &trace]);
    all.extend(flags(&["-e", &inject]));
    all.extend(path.iter().flat_map(|path| flags(&["-P", path])));
    all
}

impl Target {
    /// The flags that let it fail.
    pub fn failing(&self, data: &Path, error: &str) -> Vec<String> {
        let what = format!("error={error}:when={}", self.when);
        let path = self.path.as_ref().map(|path| data.join(path).to_string_lossy().into_owned());
        injecting(&self.call, path.as_deref(), &what)
    }
}

fn flags(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Every call on files of `data` that a log of [`listing`] holds.
pub fn targets(log: &str, data: &Path) -> BTreeSet<Target> {
    let data = data.to_string_lossy();
    let mut of_thread: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut on_file: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    let mut targets = BTreeSet::new();
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((call, arguments)) = rest.trim_start().split_once('(') else { continue };
        if !CALLS.contains(&call) {
            continue;
        }
        let nth = of_thread.entry((thread, call)).or_default();
        *nth += 1;
        let Some((_, path)) = arguments.split_once(&*data) else { continue };
        let path = path.split(['"', '>']).next().unwrap_or_default().trim_start_matches('/');
        let on_this = on_file.entry((thread, call, path)).or_default();
        *on_this += 1;
        let call = call.to_owned();
        targets.insert(match path.contains(".tmp") {
            true => Target { call, path: None, when: *nth },
            false => Target { call, path: Some(path.to_owned()), when: *on_this },
        });
    }
    targets
}
