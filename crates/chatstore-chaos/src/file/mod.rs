//! `file`: what is done to the files of a running server's SQLite database is noticed before anything more is acknowledged.
//!
//! Writers append over HTTP and keep ledgers. At a random moment a file is removed, moved, replaced or overwritten. What is
//! sent after that must not be acknowledged; the server is then asked to stop, what was put in place must be what it was,
//! and what was acknowledged must be in the file that was open, wherever it is.

mod fault;
mod full_disk;
mod judge;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::random::Random;
use chatstore_bench::server::{Installation, Server, with_installation};
use chatstore_sql::DatabaseKind;
use clap::ValueEnum as _;
use serde_json::json;
use tokio::task::JoinSet;

use crate::experiment::{Common, Experiment, Recorder};

use fault::Fault;
use writer::{Sent, Writer};

/// Writers that share a conversation.
const WRITERS_EACH: usize = 4;

/// The fault comes this many milliseconds after the writers began, at the earliest …
const EARLIEST_MS: usize = 100;

/// … and up to this many later, so that it meets checkpoints too.
const SPREAD_MS: usize = 900;

/// How long the writers go on after the fault.
const AFTERWARDS: Duration = Duration::from_millis(300);

/// Remove, move, replace and overwrite the files of a running server, and fill its disk
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: ServerBinary,
    /// Only this fault
    #[arg(long, value_enum)]
    only: Option<Fault>,
    /// How often each fault happens
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// How many write at the same time
    #[arg(long, default_value_t = 16)]
    writers: usize,
    /// Also fill a disk of 64 MiB, which is mounted for it and so needs root
    #[arg(long)]
    full_disk: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        let mut random = Random::new(self.common.seed);
        let faults = Fault::value_variants().iter().copied();
        for fault in faults.filter(|fault| self.only.is_none_or(|only| only == *fault)) {
            let (mut violations, mut acknowledged, mut late) = (Vec::new(), 0, 0);
            for number in 1..=self.rounds {
                let round = self.round(fault, &mut random).await?;
                acknowledged += round.acknowledged;
                late += round.late;
                let named = round.violations.into_iter();
                violations.extend(named.map(|violation| format!("{fault:?}, round {number}: {violation}")));
            }
            progress::print(format_args!(
                "{fault:?}: {acknowledged} acknowledged, {} violations",
                violations.len()
            ));
            let figures = json!({
                "fault": format!("{fault:?}"),
                "rounds": self.rounds,
                "writers": self.writers,
                "seed": self.common.seed,
                "acknowledged": acknowledged,
                "refused_afterwards": late,
            });
            recorder.record("file", figures, &violations);
        }
        if self.full_disk {
            full_disk::run(&self.server, &self.common.databases, recorder).await?;
        }
        Ok(())
    }
}

struct Round {
    acknowledged: usize,
    /// What was sent after the fault.
    late: usize,
    violations: Vec<String>,
}

impl Arguments {
    async fn round(&self, fault: Fault, random: &mut Random) -> Result<Round, Error> {
        let run = async |installation: &Installation| {
            let file = installation.file().ok_or("the database is no file")?;
            self.round_on(installation, file, fault, random).await
        };
        with_installation(&self.server, DatabaseKind::Sqlite, &self.common.databases, run).await
    }

    async fn round_on(
        &self,
        installation: &Installation,
        file: &Path,
        fault: Fault,
        random: &mut Random,
    ) -> Result<Round, Error> {
        let server = installation.start().await?;
        let mut conversations = Vec::new();
        for _ in 0..self.writers.div_ceil(WRITERS_EACH) {
            conversations.push(server.client().create_conversation().await?);
        }
        let prepared = fault.prepare(file)?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = self.start_writers(&server, conversations, &stop);
        tokio::time::sleep(Duration::from_millis((EARLIEST_MS + random.below(SPREAD_MS + 1)) as u64)).await;
        prepared.happen()?;
        let visible_at = Instant::now();
        tokio::time::sleep(AFTERWARDS).await;
        stop.store(true, Ordering::Relaxed);
        let mut sent: Vec<Sent> = Vec::new();
        while let Some(ledger) = writers.join_next().await {
            sent.extend(ledger?);
        }
        let mut violations = judge::late(&sent, visible_at);
        let status = reqwest::get(format!("http://127.0.0.1:{}/readyz", server.port())).await?.status();
        if status.as_u16() != 503 {
            violations.push(format!("/readyz answers {status}"));
        }
        server.stop().await?;
        violations.extend(prepared.judge(&sent)?);
        let acknowledged = sent.iter().filter(|sent| sent.is_stored()).count();
        let late = sent.iter().filter(|sent| sent.sent_at > visible_at).count();
        Ok(Round { acknowledged, late, violations })
    }

    fn start_writers(
        &self,
        server: &Server,
        conversations: Vec<String>,
        stop: &Arc<AtomicBool>,
    ) -> JoinSet<Vec<Sent>> {
        let mut writers = JoinSet::new();
        for number in 0..self.writers {
            let writer = Writer {
                client: server.client().clone(),
                conversation: conversations[number / WRITERS_EACH].clone(),
                name: format!("writer {number}"),
                stop: Arc::clone(stop),
            };
            writers.spawn(writer.run());
        }
        writers
    }
}
