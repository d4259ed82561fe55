//! What the system knows of this process.

use std::fmt::Result;

use super::exposition::Exposition;

/// What the system knows of this process; nothing where it is not Linux.
#[derive(Debug, Default)]
pub(super) struct Process {
    #[cfg(target_os = "linux")]
    known: Option<linux::Known>,
}

impl Process {
    /// As it is now.
    pub(super) fn read() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            known: linux::Known::read(),
        }
    }

    #[cfg(target_os = "linux")]
    pub(super) fn encode(&self, exposition: &mut Exposition<'_>) -> Result {
        match &self.known {
            Some(known) => known.encode(exposition),
            None => Ok(()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn encode(&self, _exposition: &mut Exposition<'_>) -> Result {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt::Result;
    use std::fs;

    use rustix::param::{clock_ticks_per_second, page_size};
    use rustix::process::{Resource, getrlimit};

    use crate::metrics::catalog::{
        PROCESS_CPU, PROCESS_DESCRIPTORS, PROCESS_DESCRIPTORS_MAX, PROCESS_MEMORY, PROCESS_START,
        PROCESS_THREADS,
    };
    use crate::metrics::exposition::Exposition;

    #[derive(Debug)]
    pub(super) struct Known {
        memory_bytes: u64,
        processor_seconds: f64,
        threads: u64,
        started_at: f64,
        descriptors: usize,
        max_descriptors: Option<u64>,
    }

    impl Known {
        /// `None` where `/proc` is not mounted.
        pub(super) fn read() -> Option<Self> {
            let stat = fs::read_to_string("/proc/self/stat").ok()?;
            // What comes first is the name of the program, which may contain anything.
            let (_, fields) = stat.rsplit_once(')')?;
            let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
            // As proc(5) numbers them, from the one behind the name, which is the third.
            let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
            let ticks = clock_ticks_per_second() as f64;
            let boot = fs::read_to_string("/proc/stat").ok()?;
            let booted_at = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim();
            Some(Self {
                memory_bytes: field(24)? * page_size() as u64,
                processor_seconds: (field(14)? + field(15)?) as f64 / ticks,
                threads: field(20)?,
                started_at: booted_at.parse::<f64>().ok()? + field(22)? as f64 / ticks,
                // The one that is open for the count is among them.
                descriptors: fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1),
                max_descriptors: getrlimit(Resource::Nofile).current,
            })
        }

        pub(super) fn encode(&self, exposition: &mut Exposition<'_>) -> Result {
            exposition.gauge(&PROCESS_MEMORY, self.memory_bytes)?;
            exposition.counter(&PROCESS_CPU, self.processor_seconds)?;
            exposition.gauge(&PROCESS_DESCRIPTORS, self.descriptors)?;
            exposition.gauge(
                &PROCESS_DESCRIPTORS_MAX,
                self.max_descriptors.map_or(f64::INFINITY, |maximum| maximum as f64),
            )?;
            exposition.gauge(&PROCESS_THREADS, self.threads)?;
            exposition.gauge(&PROCESS_START, self.started_at)
        }
    }
}
