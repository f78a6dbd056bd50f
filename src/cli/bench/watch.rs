//! What the server's process uses, as the operating system counts it.

use std::time::Duration;

use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessesToUpdate, Signal, System};

/// What a process used up to a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sample {
    /// CPU time of all its threads since its start.
    pub cpu: Duration,
    /// Memory that is resident, in bytes.
    pub rss_bytes: u64,
    /// Threads; 0 where the system does not say.
    pub threads: usize,
    /// Open files and sockets; 0 where the system does not say.
    pub files: usize,
}

/// A process that is watched.
pub struct Watch {
    system: System,
    pid: Pid,
}

impl Watch {
    /// Watches a process by its number.
    pub fn new(pid: u32) -> Self {
        Self { system: System::new(), pid: Pid::from_u32(pid) }
    }

    /// What it uses now; nothing when it has ended.
    pub fn sample(&mut self) -> Sample {
        let Some(process) = self.look() else { return Sample::default() };
        Sample {
            cpu: Duration::from_millis(process.accumulated_cpu_time()),
            rss_bytes: process.memory(),
            threads: process.tasks().map_or(0, |tasks| tasks.len()),
            files: process.open_files().unwrap_or(0),
        }
    }

    /// Asks it to end in order. `false`: it could not be asked.
    pub fn terminate(&mut self) -> bool {
        self.look().and_then(|process| process.kill_with(Signal::Term)).unwrap_or(false)
    }

    fn look(&mut self) -> Option<&Process> {
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory().with_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[self.pid]), true, what);
        self.system.process(self.pid)
    }
}

/// The machine in words: cores, their kind, memory.
pub fn machine() -> String {
    let mut system = System::new();
    system.refresh_memory();
    system.refresh_cpu_all();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kind = system.cpus().first().map_or("unknown", |cpu| cpu.brand()).to_owned();
    let gigabytes = system.total_memory() as f64 / f64::from(1 << 30);
    format!("{cores} cores ({kind}), {gigabytes:.0} GiB")
}
