//! The program at work on an import.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chatstore_bench::error::Error;
use chatstore_bench::machine;
use tempfile::TempDir;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(5);

/// A running import; killed when dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    begun: Instant,
    messages: PathBuf,
    _folder: TempDir,
}

/// How an import ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) elapsed: Duration,
    /// The maximum memory that it held.
    pub(crate) peak_kib: u64,
    /// What it said, unless it succeeded.
    pub(crate) failure: Option<String>,
}

impl Program {
    /// Starts an import of JSON lines.
    pub(crate) fn start(binary: &Path, target: &str, file: &Path) -> Result<Self, Error> {
        // One time for all, so that all import the same rows.
        Self::start_with(&["jsonl", "--base-time", "2026-03-01T12:00:00Z"], binary, target, file)
    }

    /// Starts an import of the format that the arguments name.
    pub(crate) fn start_with(
        arguments: &[&str],
        binary: &Path,
        target: &str,
        file: &Path,
    ) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let messages = folder.path().join("messages");
        let mut command = Command::new(fs::canonicalize(binary)?);
        command.arg("import").args(arguments).arg("--json").arg(file);
        command.current_dir(folder.path()).env("DATABASE_URL", target);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&messages)?);
        Ok(Self { child: command.spawn()?, begun: Instant::now(), messages, _folder: folder })
    }

    /// Waits for its end.
    pub(crate) async fn finish(mut self) -> Result<Ended, Error> {
        let mut peak_kib = 0;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            peak_kib = self.peak_kib().max(peak_kib);
            tokio::time::sleep(INTERVAL).await;
        };
        let elapsed = self.begun.elapsed();
        let said = fs::read_to_string(&self.messages)?;
        let failure = (!status.success()).then(|| format!("an import ended with {status}: {said}"));
        Ok(Ended { elapsed, peak_kib, failure })
    }

    /// Kills it at a moment; the maximum memory that it held.
    pub(crate) async fn kill_after(mut self, moment: Duration) -> Result<u64, Error> {
        tokio::time::sleep(moment.saturating_sub(self.begun.elapsed())).await;
        let peak_kib = self.peak_kib();
        self.child.kill()?;
        self.child.wait()?;
        Ok(peak_kib)
    }

    fn peak_kib(&self) -> u64 {
        machine::peak_resident_kib(self.child.id()).unwrap_or(0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already in the usual case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
