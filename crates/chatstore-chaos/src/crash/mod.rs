//! `crash`: an acknowledged write survives the sudden death of the server.
//!
//! Writers append messages over HTTP and keep a ledger of the answers. At a random moment
//! the server is killed; after its restart everything is read back and held against the ledgers.
//! After the last round all rounds are checked once more.

pub(crate) mod check;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::client::Client;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::random::Random;
use chatstore_bench::server::{Installation, Server, with_installation};
use rusqlite::Connection;
use serde_json::json;
use tokio::task::JoinSet;

use crate::experiment::{Common, Experiment, Recorder};

use check::{Conversation, Operation, Tally};
use writer::Writer;

/// Writers that share a conversation, so that they also compete for its numbers.
const WRITERS_EACH: usize = 4;

/// The server is killed this many milliseconds after the writers began, at the earliest …
const EARLIEST_KILL_MS: usize = 300;

/// … and up to this many later.
const KILL_SPREAD_MS: usize = 1_700;

/// Kill the server under load, again and again, and look for what is lost or doubled
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: ServerBinary,
    /// How often the server is killed
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// How many write at the same time
    #[arg(long, default_value_t = 32)]
    writers: usize,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What one round wrote.
struct Round {
    conversations: Vec<String>,
    operations: Vec<Operation>,
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
        let mut random = Random::new(self.common.seed);
        let mut rounds = Vec::with_capacity(self.rounds);
        let mut ready_after = Duration::ZERO;
        let mut violations = Vec::new();
        let mut server = installation.start().await?;
        for number in 1..=self.rounds {
            let round = self.write_until_killed(server, number, &mut random).await?;
            server = installation.start().await?;
            ready_after = ready_after.max(server.ready_after());
            rounds.push(round);
            let tally = check(server.client(), &rounds[number - 1..]).await?;
            progress::print(format_args!(
                "{} round {number}: {} acknowledged, {} unknown, {} violations, ready after {} ms",
                recorder.kind.as_str(),
                tally.acknowledged,
                tally.unknown,
                tally.violations.len(),
                server.ready_after().as_millis()
            ));
            violations.extend(tally.violations);
        }
        let mut total = check(server.client(), &rounds).await?;
        violations.append(&mut total.violations);
        server.kill()?;
        if let Some(file) = installation.file() {
            violations.extend(damage(file)?);
        }
        let figures = json!({
            "rounds": self.rounds,
            "writers": self.writers,
            "seed": self.common.seed,
            "acknowledged": total.acknowledged,
            "refused": total.refused,
            "unknown": total.unknown,
            "reasons": total.reasons,
            "ready_ms_max": u64::try_from(ready_after.as_millis()).unwrap_or(u64::MAX),
        });
        recorder.record("crash", figures, &violations);
        Ok(())
    }

    async fn write_until_killed(
        &self,
        server: Server,
        round: usize,
        random: &mut Random,
    ) -> Result<Round, Error> {
        let mut conversations = Vec::new();
        for _ in 0..self.writers.div_ceil(WRITERS_EACH) {
            conversations.push(server.client().create_conversation().await?);
        }
        let shared = Arc::new(conversations.clone());
        let killed = Arc::new(AtomicBool::new(false));
        let begun = Instant::now();
        let mut writers = JoinSet::new();
        for number in 0..self.writers {
            let writer = Writer {
                client: server.client().clone(),
                conversations: Arc::clone(&shared),
                name: format!("round {round}, writer {number}"),
                random: Random::new(random.next_u64()),
                begun,
                killed: Arc::clone(&killed),
            };
            writers.spawn(writer.run());
        }
        let delay = EARLIEST_KILL_MS + random.below(KILL_SPREAD_MS + 1);
        tokio::time::sleep(Duration::from_millis(delay as u64)).await;
        server.kill()?;
        killed.store(true, Ordering::Relaxed);
        let operations = writers.join_all().await.concat();
        Ok(Round { conversations, operations })
    }
}

/// Reads everything of some rounds back and holds it against the ledgers.
async fn check(client: &Client, rounds: &[Round]) -> Result<Tally, Error> {
    let (mut operations, mut conversations) = (Vec::new(), Vec::new());
    for round in rounds {
        operations.extend_from_slice(&round.operations);
        for id in &round.conversations {
            conversations.push(Conversation {
                id: id.clone(),
                messages: client.read_back(id).await?,
                message_count: client.message_count(id).await?,
            });
        }
    }
    Ok(check::check(&operations, &conversations))
}

/// What SQLite itself finds wrong with its file.
fn damage(file: &Path) -> Result<Vec<String>, Error> {
    let connection = Connection::open(file)?;
    let mut violations = Vec::new();
    let integrity: String = connection.query_row("pragma integrity_check", (), |row| row.get(0))?;
    if integrity != "ok" {
        violations.push(format!("integrity check: {integrity}"));
    }
    let dangling: i64 =
        connection.query_row("select count(*) from pragma_foreign_key_check", (), |row| row.get(0))?;
    if dangling > 0 {
        violations.push(format!("{dangling} rows refer to something that does not exist"));
    }
    Ok(violations)
}
