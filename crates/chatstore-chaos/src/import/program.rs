//! The program at work on an import.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chatstore_bench::error::Error;
use chatstore_bench::machine;
use serde_json::Value;

/// How often its memory is sampled.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(20);

/// A running import; killed when dropped.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    begun: Instant,
    output: PathBuf,
}

/// What a finished import did.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) elapsed: Duration,
    /// Rows of all tables.
    pub(super) read: u64,
    pub(super) added: u64,
    /// When, and how many KiB it took.
    resident: Vec<(Duration, u64)>,
}

impl Program {
    pub(super) fn start(binary: &Path, folder: &Path, target: &str, source: &str) -> Result<Self, Error> {
        let output = folder.join("report.json");
        let mut command = Command::new(fs::canonicalize(binary)?);
        command.args(["import", "sqlalchemy", "--json"]).current_dir(folder);
        command.env("DATABASE_URL", target).env("CHATSTORE_IMPORT_URL", source);
        command.stdin(Stdio::null()).stdout(File::create(&output)?).stderr(Stdio::null());
        let begun = Instant::now();
        Ok(Self { child: command.spawn()?, begun, output })
    }

    /// Waits for its end.
    pub(super) async fn finish(mut self) -> Result<Finished, Error> {
        let mut resident = Vec::new();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            resident.extend(machine::resident_kib(self.child.id()).map(|kib| (self.begun.elapsed(), kib)));
            tokio::time::sleep(SAMPLE_INTERVAL).await;
        };
        let elapsed = self.begun.elapsed();
        let text = fs::read_to_string(&self.output)?;
        if !status.success() {
            return Err(format!("the import ended with {status}: {text}").into());
        }
        let report: Value = serde_json::from_str(&text)?;
        let tables = report["tables"].as_object().ok_or("a report without tables")?;
        let sum = |field: &str| tables.values().filter_map(|table| table[field].as_u64()).sum();
        Ok(Finished { elapsed, read: sum("read"), added: sum("added"), resident })
    }

    /// Kills it at a moment; true when it had ended before.
    pub(super) async fn kill_after(mut self, moment: Duration) -> Result<bool, Error> {
        tokio::time::sleep(moment.saturating_sub(self.begun.elapsed())).await;
        let has_ended = self.child.try_wait()?.is_some();
        self.child.kill()?;
        self.child.wait()?;
        Ok(has_ended)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already in the usual case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// The most memory in each quarter of the time; empty where the system does not tell.
    pub(super) fn resident_by_quarter(&self) -> Vec<u64> {
        let quarter = |number: u32| {
            let of_quarter = self.resident.iter().filter(|(at, _)| {
                let place = at.as_secs_f64() / self.elapsed.as_secs_f64() * 4.0;
                (f64::from(number)..f64::from(number + 1)).contains(&place)
            });
            of_quarter.map(|(_, kib)| *kib).max()
        };
        (0..4).filter_map(quarter).collect()
    }
}
