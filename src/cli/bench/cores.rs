//! Cores of their own for the server and for the load: on one machine, what sends a flood would
//! otherwise take the cores from what answers it.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::cli::Error;

/// The cores of this process in two halves.
#[derive(Debug, Clone, Copy)]
pub struct Halves {
    all: CpuSet,
    server: CpuSet,
    load: CpuSet,
}

impl Halves {
    /// Halves the cores; the server has the one more of an odd number.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is one core; [`Error::Internal`] where the system does not say.
    pub fn new() -> Result<Self, Error> {
        let all = sched_getaffinity(None)
            .map_err(|e| Error::Internal(format!("the system does not say its cores: {e}")))?;
        let (mut server, mut load) = (CpuSet::new(), CpuSet::new());
        let cores = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
        let count = all.count() as usize;
        if count < 2 {
            return Err(Error::Usage("--apart needs two cores".to_owned()));
        }
        for (place, core) in cores.enumerate() {
            let half = if place < count.div_ceil(2) { &mut server } else { &mut load };
            half.set(core);
        }
        Ok(Self { all, server, load })
    }

    /// Runs what starts the server, which inherits its cores.
    ///
    /// # Errors
    /// Those of `start`, and what the system says.
    pub fn with_servers<T>(&self, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        sched_setaffinity(None, &self.server)?;
        let started = start();
        sched_setaffinity(None, &self.all)?;
        started
    }

    /// Moves this thread, and those that it starts from now on, to the cores of the load.
    ///
    /// # Errors
    /// [`Error::Internal`] when the system refuses.
    pub fn move_to_loads(&self) -> Result<(), Error> {
        sched_setaffinity(None, &self.load)
            .map_err(|e| Error::Internal(format!("cannot choose cores: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use rustix::thread::{CpuSet, sched_getaffinity};

    use super::Halves;

    #[test]
    fn a_server_and_its_load_share_no_core_and_leave_none() {
        let Ok(halves) = Halves::new() else { return };
        let before = sched_getaffinity(None).unwrap();
        for core in 0..CpuSet::MAX_CPU {
            let halves = [halves.server.is_set(core), halves.load.is_set(core)];
            assert_eq!(before.is_set(core), halves != [false; 2], "core {core}");
            assert_ne!(halves, [true; 2], "core {core}");
        }
        let server = std::thread::spawn(move || {
            let inside = halves.with_servers(|| Ok(sched_getaffinity(None)?)).unwrap();
            assert_eq!(inside, halves.server);
            assert_eq!(sched_getaffinity(None).unwrap(), before, "given back");
            halves.move_to_loads().unwrap();
            std::thread::spawn(|| sched_getaffinity(None).unwrap()).join().unwrap()
        });
        assert_eq!(server.join().unwrap(), halves.load, "threads inherit it");
    }
}
