//! `migrations`: many processes upgrade at once, and upgrades are killed.
//!
//! Three experiments, each with one line of JSON; `--kills 0` and the like leave one out. Their revisions have, among
//! other things, indexes that PostgreSQL builds outside a transaction. `migrate_up_and_down` goes back and up again with
//! rows in the tables, `migrate_at_once` lets processes upgrade an empty database at the same moment, and
//! `migrate_killed` kills an upgrade at a random moment and upgrades again. Afterwards the database must be like one that
//! a single process upgraded without a disturbance.

mod place;
mod revisions;

use std::time::{Duration, Instant};

use chatstore_bench::databases::TemporaryDatabase;
use chatstore_bench::error::Error;
use chatstore_bench::random::Random;
use chatstore_sql::migrate::{Graph, Migrator, Target};
use chatstore_sql::{Database, DatabaseKind, DatabaseOptions};
use serde_json::json;

use crate::experiment::{Common, Experiment, Recorder};
use crate::processes::{self, Process};

use place::Place;

/// Upgrade from many processes at once, and kill upgrades; look for what is lost, undone or done twice
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many processes upgrade at once
    #[arg(long, default_value_t = 20)]
    processes: usize,
    /// How many empty SQLite databases they upgrade, one after the other
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// How many empty PostgreSQL databases
    #[arg(long, default_value_t = 50)]
    postgres_rounds: u32,
    /// How many upgrades are killed
    #[arg(long, default_value_t = 200)]
    kills: u32,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Be one of the processes
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// The database
    url: String,
}

impl One {
    /// Upgrades to the head.
    pub(crate) async fn run(self) -> Result<(), Error> {
        processes::wait_for_the_others()?;
        let database = Database::open(DatabaseOptions { pool: 1, ..DatabaseOptions::new(self.url) }).await?;
        database.migrations_by(migrator()?).upgrade(Target::Head, |_| {}).await?;
        database.close().await;
        Ok(())
    }
}

fn migrator() -> Result<Migrator, Error> {
    let migrator = Migrator::new(Graph::new(revisions::all()?)?, env!("CARGO_PKG_VERSION"));
    Ok(migrator.data_steps(revisions::STEPS))
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        let databases = &self.common.databases;
        let place = Place(TemporaryDatabase::create(recorder.kind, databases, "migrations").await?);
        let done = self.run(&place, recorder).await;
        place.0.remove().await?;
        done
    }
}

impl Arguments {
    async fn run(&self, place: &Place, recorder: &mut Recorder) -> Result<(), Error> {
        let rounds = match place.kind() {
            DatabaseKind::Sqlite => self.rounds,
            DatabaseKind::Postgres => self.postgres_rounds,
        };
        // PostgreSQL's server meets a database of this kind for the first time here.
        upgrade_alone(place).await?;
        let (expected, first) = upgrade_alone(place).await?;
        let alone = first.min(upgrade_alone(place).await?.1);
        up_and_down(place, recorder).await?;
        if rounds > 0 {
            self.at_once(place, &expected, rounds, recorder).await?;
        }
        if self.kills > 0 {
            self.killed(place, &expected, alone, recorder).await?;
        }
        Ok(())
    }

    async fn at_once(
        &self,
        place: &Place,
        expected: &[String],
        rounds: u32,
        recorder: &mut Recorder,
    ) -> Result<(), Error> {
        let mut violations = Vec::new();
        let mut longest = Duration::ZERO;
        for round in 1..=rounds {
            place.empty().await?;
            let mut started = Vec::with_capacity(self.processes);
            for _ in 0..self.processes {
                started.push(Process::start(&["migrate-one", place.url()])?);
            }
            let begun = Instant::now();
            let failures = processes::run_at_once(started)?;
            longest = longest.max(begun.elapsed());
            let found = place.differences(expected).await?;
            violations.extend(failures.into_iter().chain(found).map(|text| format!("round {round}: {text}")));
        }
        let figures = json!({
                "rounds": rounds,
                "processes": self.processes,
                "revisions": revisions::COUNT,
                "deadlocks": place.deadlocks().await?,
                "slowest_round_ms": u64::try_from(longest.as_millis())?,
        });
        recorder.record("migrate_at_once", figures, &violations);
        Ok(())
    }

    async fn killed(
        &self,
        place: &Place,
        expected: &[String],
        alone: Duration,
        recorder: &mut Recorder,
    ) -> Result<(), Error> {
        let mut random = Random::new(self.common.seed);
        let mut violations = Vec::new();
        let latest = usize::try_from(alone.as_micros())?.max(1);
        let (mut rounds, mut too_late, mut partly, mut interrupted) = (0, 0, 0, 0);
        while rounds < self.kills {
            place.empty().await?;
            let mut victim = Process::start(&["migrate-one", place.url()])?;
            victim.wait_until_ready()?;
            victim.go()?;
            tokio::time::sleep(Duration::from_micros(random.below(latest) as u64)).await;
            if !victim.kill()? {
                too_late += 1;
                continue;
            }
            rounds += 1;
            let (applied, marked) = place.applied_and_marked().await?;
            partly += u32::from(applied > 0 && applied < revisions::COUNT);
            interrupted += u32::from(marked > 0);
            let again = processes::run_at_once(vec![Process::start(&["migrate-one", place.url()])?])?;
            let found = place.differences(expected).await?;
            violations.extend(again.into_iter().chain(found).map(|text| format!("round {rounds}: {text}")));
        }
        let figures = json!({
                "rounds": self.kills,
                "seed": self.common.seed,
                "had_ended_already": too_late,
                "some_but_not_all_applied": partly,
                "in_a_step_outside_a_transaction": interrupted,
                "undisturbed_ms": u64::try_from(alone.as_millis())?,
        });
        recorder.record("migrate_killed", figures, &violations);
        Ok(())
    }
}

/// Goes back from the head by every number of revisions and up again, with rows in the tables.
async fn up_and_down(place: &Place, recorder: &mut Recorder) -> Result<(), Error> {
    let expected = place.tables().await?;
    let mut violations = Vec::new();
    for steps in 1..=revisions::COUNT {
        let database =
            Database::open(DatabaseOptions { pool: 1, ..DatabaseOptions::new(place.url()) }).await?;
        let migrations = database.migrations_by(migrator()?);
        migrations.downgrade(Target::Back(steps), true, |_| {}).await?;
        migrations.upgrade(Target::Head, |_| {}).await?;
        database.close().await;
        let found = place.tables().await?;
        let lines = found.iter().filter(|line| !expected.contains(line));
        violations.extend(lines.map(|line| format!("{steps} down and up again: {line}")));
        violations
            .extend((found.len() != expected.len()).then(|| format!("{steps} down and up again: lines")));
    }
    let figures = json!({
        "rounds": revisions::COUNT,
        "revisions": revisions::COUNT,
    });
    recorder.record("migrate_up_and_down", figures, &violations);
    Ok(())
}

/// What an upgrade by one process turns an empty database into, and how long the process takes.
async fn upgrade_alone(place: &Place) -> Result<(Vec<String>, Duration), Error> {
    place.empty().await?;
    let mut process = Process::start(&["migrate-one", place.url()])?;
    process.wait_until_ready()?;
    let begun = Instant::now();
    process.go()?;
    match process.failure()? {
        Some(failure) => Err(failure.into()),
        None => Ok((place.contents().await?, begun.elapsed())),
    }
}
