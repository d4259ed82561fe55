//! `pgbench`, the load generator that comes with PostgreSQL, as a reference.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chatstore_bench::error::Error;
use tempfile::TempDir;
use tokio_postgres::config::Host;

use super::script::Script;

/// Threads of `pgbench`.
const THREADS: usize = 2;

/// The first message number of a run; the next run begins `RUN` further on.
const FIRST_COUNTER: u64 = 1_000_000_000_000_000;
const RUN: u64 = 10_000_000_000;

/// Runs scripts against one database.
#[derive(Debug)]
pub(crate) struct Pgbench {
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
    folder: TempDir,
    runs: AtomicU64,
}

impl Pgbench {
    /// `pgbench` of the PostgreSQL in `programs`, else the one on PATH, against the database at `url`.
    pub(crate) fn new(programs: Option<&Path>, url: &str) -> Result<Self, Error> {
        let program = programs.map_or_else(|| PathBuf::from("pgbench"), |folder| folder.join("pgbench"));
        let folder = tempfile::tempdir()?;
        Ok(Self { program, environment: environment(url)?, folder, runs: AtomicU64::new(0) })
    }

    /// Its version, in its own words.
    pub(crate) fn version(&self) -> Result<String, Error> {
        let output = Command::new(&self.program).arg("--version").output();
        let output = output.map_err(|error| self.cannot_run(&error))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Scripts a second that all `clients` together complete. The first second, in which the server
    /// prepares everything for its new connections, does not count.
    pub(crate) async fn run(&self, script: &Script, clients: usize, length: Duration) -> Result<f64, Error> {
        let file = self.folder.path().join("script.sql");
        fs::write(&file, &script.text)?;
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let seconds = length.as_secs().max(1) + 1;
        let mut command = Command::new(&self.program);
        command.args(["-M", "prepared", "-n", "-c", &clients.to_string()]);
        command.args([
            "-j",
            &clients.min(THREADS).to_string(),
            "-T",
            &seconds.to_string(),
            "--progress",
            "1",
        ]);
        command.arg("-f").arg(&file);
        command.args(["-D", &format!("counter={}", FIRST_COUNTER + run * RUN)]);
        for (name, value) in &script.variables {
            command.args(["-D", &format!("{name}={value}")]);
        }
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        let output = tokio::task::spawn_blocking(move || command.output()).await?;
        let output = output.map_err(|error| self.cannot_run(&error))?;
        let (report, progress) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let failed = !output.status.success() || progress.contains("aborted");
        let rate = if failed { None } else { rate(&progress, &report) };
        rate.ok_or_else(|| format!("pgbench failed: {report}{progress}").into())
    }

    fn cannot_run(&self, error: &std::io::Error) -> Error {
        format!("cannot run {}: {error}; `cargo xtask bench` finds it", self.program.display()).into()
    }
}

/// The rate of the seconds behind the first; of a run too short for that, the whole run's.
fn rate(progress: &str, report: &str) -> Option<f64> {
    let number_before =
        |text: &str, word: &str| -> Option<f64> { text.split(word).next()?.rsplit(' ').next()?.parse().ok() };
    let seconds: Vec<f64> = progress
        .lines()
        .filter(|line| line.starts_with("progress: "))
        .skip(1)
        .filter_map(|line| number_before(line, " tps"))
        .collect();
    if seconds.is_empty() {
        let line = report.lines().rfind(|line| line.starts_with("tps = "))?;
        return line.trim_start_matches("tps = ").split(' ').next()?.parse().ok();
    }
    #[expect(clippy::cast_precision_loss, reason = "a number of seconds")]
    let count = seconds.len() as f64;
    Some(seconds.iter().sum::<f64>() / count)
}

/// The server's address for a program of PostgreSQL. In the environment, because every user can
/// read the arguments of a process.
fn environment(url: &str) -> Result<Vec<(&'static str, String)>, Error> {
    let config: tokio_postgres::Config = url.parse()?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let mut environment = vec![("PGHOST", host), ("PGPORT", port.to_string())];
    for (name, value) in [("PGUSER", config.get_user()), ("PGDATABASE", config.get_dbname())] {
        environment.extend(value.map(|value| (name, value.to_owned())));
    }
    if let Some(password) = config.get_password() {
        environment.push(("PGPASSWORD", String::from_utf8(password.to_vec())?));
    }
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_second_does_not_count() {
        let progress = "progress: 1.0 s, 100.0 tps, lat 0.3 ms stddev 0.1, 0 failed\n\
                        progress: 2.0 s, 300.0 tps, lat 0.3 ms stddev 0.1, 0 failed\n\
                        progress: 3.0 s, 500.0 tps, lat 0.3 ms stddev 0.1, 0 failed\n";
        assert_eq!(rate(progress, ""), Some(400.0));
    }

    #[test]
    fn a_run_without_progress_counts_as_a_whole() {
        let report = "latency average = 1 ms\ntps = 250.500000 (without initial connection time)\n";
        assert_eq!(rate("", report), Some(250.5));
        assert_eq!(rate("", ""), None);
    }
}
