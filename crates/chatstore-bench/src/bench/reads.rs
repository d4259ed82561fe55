//! R1 and R2: the newest messages of a conversation, the most recent conversations of a user.

use std::sync::Arc;

use chatstore_bench::data::Targets;
use chatstore_bench::databases::{PostgresDatabase, SqliteOriginal, url};
use chatstore_bench::drive::{Kind, Outcome, drive, drive_blocking};
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::random::Random;
use chatstore_sql::{Database, DatabaseKind, DatabaseOptions};

use super::read_callers::{Reader, Way};
use super::{Findings, Pace};
use crate::bare::postgres::BarePostgres;
use crate::bare::sqlite::{self, ReaderPool};
use crate::kinds::ReadKind;
use crate::report::{Figures, Finding, Series, Target};

/// How many callers at a time.
const CALLERS: [usize; 2] = [1, 16];

/// The store and a bare driver in turn.
#[derive(Default)]
struct Beside {
    ours: [Series; 2],
    bare: [Figures; 2],
}

impl Beside {
    fn push(&mut self, index: usize, ours: Outcome, bare: &Outcome) {
        self.ours[index].push(ours);
        self.bare[index].push(bare.per_second());
    }

    fn findings(&self, kind: ReadKind, backend: DatabaseKind, names: [&'static str; 2]) -> Vec<Finding> {
        let finding = |index: usize| {
            Finding::rate(kind.experiment(), backend, kind.what(), CALLERS[index], &self.ours[index].rates)
                .beside(names[index], &self.bare[index])
                .target(Some(Target::RatioAtLeast(0.85)))
                .latencies(&self.ours[index])
        };
        (0..CALLERS.len()).map(finding).collect()
    }
}

pub(super) async fn on_postgres(
    kind: ReadKind,
    pace: Pace,
    postgres: &PostgresDatabase,
    targets: &Arc<Targets>,
) -> Findings {
    let database = Database::open(DatabaseOptions::new(postgres.url())).await?;
    let (store, bare) =
        (Way::Store(database.clone()), Way::BarePostgres(BarePostgres::connect(postgres.url())?));
    let mut beside = Beside::default();
    for round in 1..=pace.rounds {
        progress::print(format_args!("{} postgres round {round}", kind.experiment()));
        for (index, callers) in CALLERS.into_iter().enumerate() {
            let read = |way| drive(pace.span(), Reader::many(callers, way, kind, kind.limit(), targets));
            beside.push(index, read(&store).await?, &read(&bare).await?);
        }
    }
    database.close().await;
    Ok(beside.findings(kind, DatabaseKind::Postgres, ["tokio-postgres", "tokio-postgres"]))
}

pub(super) async fn on_sqlite(
    kind: ReadKind,
    pace: Pace,
    original: &SqliteOriginal,
    targets: &Arc<Targets>,
) -> Findings {
    let database = Database::open(DatabaseOptions::new(url(&original.path()))).await?;
    let store = Way::Store(database.clone());
    let pool = Way::BareSqlite(Arc::new(ReaderPool::open(&original.path())?));
    let mut beside = Beside::default();
    for round in 1..=pace.rounds {
        progress::print(format_args!("{} sqlite round {round}", kind.experiment()));
        for (index, callers) in CALLERS.into_iter().enumerate() {
            let read = |way| drive(pace.span(), Reader::many(callers, way, kind, kind.limit(), targets));
            let ours = read(&store).await?;
            let bare = if callers == 1 {
                on_one_connection(kind, pace, original, targets).await?
            } else {
                read(&pool).await?
            };
            beside.push(index, ours, &bare);
        }
    }
    database.close().await;
    Ok(beside.findings(kind, DatabaseKind::Sqlite, ["rusqlite", "rusqlite, 4 connections"]))
}

/// The simplest program there could be: one thread with one connection.
async fn on_one_connection(
    kind: ReadKind,
    pace: Pace,
    original: &SqliteOriginal,
    targets: &Arc<Targets>,
) -> Result<Outcome, Error> {
    let reader = sqlite::Reader::open(&original.path())?;
    let (targets, limit) = (Arc::clone(targets), kind.limit());
    let mut random = Random::new(0);
    let read = move || {
        let found = match kind {
            ReadKind::Page => {
                let (owner, conversation) = targets.long[random.below(targets.long.len())];
                reader.page(owner, conversation, limit)?
            }
            ReadKind::List => reader.list(targets.users[random.below(targets.users.len())], limit)?,
        };
        if found < limit.rows() {
            return Err(format!("{found} rows where there are {}", limit.rows()).into());
        }
        Ok(())
    };
    drive_blocking(pace.span(), Kind::Read, read).await
}
