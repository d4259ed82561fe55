//! `backup`: a backup taken beside writers is a state that the store was in, and restores; one that is killed
//! leaves nothing that looks like a backup.
//!
//! Writers send batches of messages over HTTP and keep ledgers. Meanwhile the program backs up the database,
//! verifies and restores the backup; the restored file is held against the ledgers.

mod check;
mod program;
mod writer;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::random::Random;
use chatstore_bench::samples::{Latencies, median, rounded};
use chatstore_bench::server::{Installation, with_installation};
use serde_json::json;

use crate::experiment::{Common, Experiment, Recorder};

use check::Moment;
use program::Program;
use writer::{Sent, Writers};

/// How long writers are measured without a backup, before each one.
const IDLE: Duration = Duration::from_secs(2);

/// How often the size of the write-ahead log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Back up a SQLite database under writers, restore the backups, and kill some of them
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: ServerBinary,
    /// How many backups are taken and restored
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// How many backups and restores are killed
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// How many write at the same time
    #[arg(long, default_value_t = 32)]
    writers: usize,
    /// Messages of a kilobyte in the database before the first backup
    #[arg(long, default_value_t = 200_000)]
    messages: usize,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What was measured, one figure for each round.
#[derive(Default)]
struct Figures {
    seconds: Vec<f64>,
    wal_bytes_before: u64,
    wal_bytes_most: u64,
    acknowledged: usize,
    idle: Latencies,
    during: Latencies,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        let kind = recorder.kind;
        let run = async |installation: &Installation| self.run(installation, recorder).await;
        with_installation(&self.server, kind, &self.common.databases, run).await
    }
}

impl Arguments {
    async fn run(&self, installation: &Installation, recorder: &mut Recorder) -> Result<(), Error> {
        let database = installation.file().ok_or("a backup is of a file")?;
        let folder = self.common.databases.temporary_folder()?;
        let program = Program::new(self.server.path()?, folder.path(), database)?;
        program.fill(self.messages)?;
        let server = installation.start().await?;
        let writers = Writers::start(server.port(), installation.key(), self.writers).await?;
        let mut figures = Figures::default();
        let mut moments = Vec::with_capacity(self.rounds);
        for round in 1..=self.rounds {
            tokio::time::sleep(IDLE).await;
            let moment = back_up(&program, round, database, &mut figures).await?;
            progress::print(format_args!(
                "round {round}: {:.2} s, the log grew to {} MiB",
                figures.seconds[round - 1],
                figures.wal_bytes_most >> 20
            ));
            moments.push(moment);
        }
        let mut violations = self.kill(&program).await?;
        let ledger = writers.finish().await?;
        for moment in &moments {
            violations.extend(moment.judge(&ledger)?);
        }
        self.measure(&ledger, &moments, &mut figures);
        let size = fs::metadata(database)?.len();
        server.stop().await?;
        recorder.record("backup", self.line(size, figures), &violations);
        Ok(())
    }

    /// Kills backups and restores at random moments and looks at what they leave; everything is tried again.
    async fn kill(&self, program: &Program) -> Result<Vec<String>, Error> {
        let mut random = Random::new(self.common.seed);
        let mut violations = Vec::new();
        if self.kills == 0 {
            return Ok(violations);
        }
        let begun = Instant::now();
        program.back_up("whole.db")?;
        let backup_takes = begun.elapsed();
        let begun = Instant::now();
        program.restore("whole.db", "measured.db")?;
        let restore_takes = begun.elapsed();
        program.remove("measured.db")?;
        for number in 1..=self.kills {
            let (name, target) = (format!("killed-{number}.db"), format!("restored-{number}.db"));
            let after = |longest: Duration, random: &mut Random| {
                longest.mul_f64(random.below(10_000) as f64 / 10_000.0)
            };
            program.kill_backup(&name, after(backup_takes, &mut random)).await?;
            violations.extend(program.what_looks_complete(&name, "backup")?);
            program.kill_restore("whole.db", &target, after(restore_takes, &mut random)).await?;
            violations.extend(program.what_looks_complete(&target, "restore")?);
            for name in [name, target] {
                program.remove(&name)?;
            }
        }
        program.remove("whole.db")?;
        Ok(violations)
    }

    fn measure(&self, ledger: &[Sent], moments: &[Moment], figures: &mut Figures) {
        for sent in ledger.iter() {
            let Some(answered) = sent.acknowledged else { continue };
            figures.acknowledged += 1;
            let is_during = |moment: &Moment| answered >= moment.begun && sent.at <= moment.ended;
            let is_before = |moment: &Moment| sent.at >= moment.begun - IDLE && answered < moment.begun;
            if moments.iter().any(is_during) {
                figures.during.push(answered - sent.at);
            } else if moments.iter().any(is_before) {
                figures.idle.push(answered - sent.at);
            }
        }
    }

    fn line(&self, size: u64, mut figures: Figures) -> serde_json::Value {
        json!({
            "rounds": self.rounds,
            "kills": self.kills,
            "writers": self.writers,
            "seed": self.common.seed,
            "acknowledged_batches": figures.acknowledged,
            "database_mib": size >> 20,
            "backup_seconds_median": rounded(median(&figures.seconds)),
            "wal_mib_before": figures.wal_bytes_before >> 20,
            "wal_mib_most": figures.wal_bytes_most >> 20,
            "batch_ms_idle": figures.idle.summary(),
            "batch_ms_during_backup": figures.during.summary(),
            "batches_idle": figures.idle.count(),
            "batches_during_backup": figures.during.count(),
        })
    }
}

/// Takes a backup, verifies it, restores it and has the restored database examined.
async fn back_up(
    program: &Program,
    round: usize,
    database: &Path,
    figures: &mut Figures,
) -> Result<Moment, Error> {
    let (name, target) = (format!("backup-{round}.db"), format!("fresh-{round}.db"));
    let wal = database.with_extension("db-wal");
    let size = || fs::metadata(&wal).map_or(0, |wal| wal.len());
    figures.wal_bytes_before = figures.wal_bytes_before.max(size());
    let begun = Instant::now();
    let mut backup = program.begin_backup(&name)?;
    while backup.try_wait()?.is_none() {
        figures.wal_bytes_most = figures.wal_bytes_most.max(size());
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let ended = Instant::now();
    figures.seconds.push((ended - begun).as_secs_f64());
    program.verify(&name)?;
    program.restore(&name, &target)?;
    program.examine(&target)?;
    let moment = Moment::read(&program.path(&target), begun, ended)?;
    for name in [name, target] {
        program.remove(&name)?;
    }
    Ok(moment)
}
