//! `open`: several processes open the same fresh SQLite file at once.
//!
//! Each is this program again, with a hidden command. It waits for a line, opens the file, creates
//! the schema and appends a message; whatever fails is a violation, and so is a message missing
//! afterwards.

use std::path::Path;
use std::time::{Duration, Instant};

use chatstore_bench::databases::url;
use chatstore_bench::error::Error;
use chatstore_model::{NewConversation, NewMessage, NewUser, UserName};
use chatstore_sql::{Database, DatabaseOptions, Direction, Via};
use serde_json::json;

use crate::experiment::{Experiment, Recorder};
use crate::processes::{self, Process};

/// Let several processes open one fresh SQLite file at the same moment
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many fresh files, one after the other
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// How many processes at once
    #[arg(long, default_value_t = 8)]
    processes: usize,
}

/// Be one of the processes
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// The file's URL
    url: String,
    /// Which of the processes this is
    number: usize,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        let mut violations = Vec::new();
        let mut longest = Duration::ZERO;
        for round in 1..=self.rounds {
            let folder = tempfile::tempdir()?;
            let file = folder.path().join("fresh.db");
            let begun = Instant::now();
            violations.extend(self.open_at_once(&file)?);
            longest = longest.max(begun.elapsed());
            let missing = count_what_is_missing(&file, self.processes).await;
            violations.extend(missing.map_err(|error| format!("round {round}: {error}")).err());
        }
        let figures = json!({
            "rounds": self.rounds,
            "processes": self.processes,
            "slowest_round_ms": u64::try_from(longest.as_millis()).unwrap_or(u64::MAX),
        });
        recorder.record("open", figures, &violations);
        Ok(())
    }
}

impl Arguments {
    /// What went wrong in each process.
    fn open_at_once(&self, file: &Path) -> Result<Vec<String>, Error> {
        let mut processes = Vec::with_capacity(self.processes);
        for number in 0..self.processes {
            processes.push(Process::start(&["open-one", &url(file), &number.to_string()])?);
        }
        processes::run_at_once(processes)
    }
}

impl One {
    /// Opens, migrates and appends a message.
    pub(crate) async fn run(self) -> Result<(), Error> {
        processes::wait_for_the_others()?;
        let database = Database::open(DatabaseOptions::new(self.url)).await?;
        database.migrate(Direction::Upgrade).await?;
        let user = NewUser::named(UserName::new(format!("process-{}", self.number))?);
        let write = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
            let owner = tx.users().create(&user).await?.id;
            let conversation =
                tx.conversations().create(owner, &NewConversation::titled("At once")).await?.id;
            let message = NewMessage::user("hello");
            tx.messages().append(Via::Owner(owner), conversation, &message).await
        };
        database.write("open_one", write).await?;
        database.close().await;
        Ok(())
    }
}

async fn count_what_is_missing(file: &Path, processes: usize) -> Result<(), Error> {
    let database = Database::open(DatabaseOptions::new(url(file))).await?;
    let read = async |tx: &mut chatstore_sql::ReadTx<'_>| tx.statistics().counts().await;
    let counts = database.read("counts", read).await;
    database.close().await;
    let counts = counts?;
    let expected = i64::try_from(processes)?;
    let found = [counts.users, counts.conversations, counts.messages];
    if found == [expected; 3] {
        return Ok(());
    }
    Err(format!("{found:?} users, conversations and messages instead of {expected} each").into())
}
