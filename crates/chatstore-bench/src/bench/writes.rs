//! W1 and W2: a message appended, a reply recorded.

use std::sync::Arc;

use chatstore_bench::data::{Scale, Targets};
use chatstore_bench::databases::{PostgresDatabase, SqliteOriginal};
use chatstore_bench::drive::{Kind, drive, drive_blocking};
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_sql::{Database, DatabaseKind, DatabaseOptions};

use super::write_callers::Writer;
use super::{Findings, Pace};
use crate::bare::pgbench::Pgbench;
use crate::bare::script::Script;
use crate::bare::sqlite_writes;
use crate::kinds::WriteKind;
use crate::report::{Figures, Finding, Series, Target};

/// How many callers at a time.
const CALLERS: [usize; 3] = [1, 16, 64];

/// The store beside `pgbench`, on one database.
pub(super) struct OnPostgres<'b> {
    pub(super) pace: Pace,
    pub(super) scale: Scale,
    pub(super) database: &'b PostgresDatabase,
    pub(super) pgbench: Pgbench,
    pub(super) targets: &'b Arc<Targets>,
}

impl OnPostgres<'_> {
    pub(super) async fn write(&self, kind: WriteKind) -> Findings {
        let script = Script::of(kind, self.scale)?;
        let database = Database::open(DatabaseOptions::new(self.database.url())).await?;
        let mut ours: [Series; 3] = Default::default();
        let mut reference: [Figures; 3] = Default::default();
        for round in 1..=self.pace.rounds {
            progress::print(format_args!("{} postgres round {round}", kind.experiment()));
            for (index, callers) in CALLERS.into_iter().enumerate() {
                let writers = Writer::many(callers, &database, kind, self.targets);
                ours[index].push(drive(self.pace.span(), writers).await?);
                reference[index].push(self.pgbench.run(&script, callers, self.pace.length).await?);
            }
        }
        database.close().await;
        Ok(postgres_findings(kind, &ours, &reference))
    }
}

fn postgres_findings(kind: WriteKind, ours: &[Series; 3], reference: &[Figures; 3]) -> Vec<Finding> {
    let finding = |callers: usize, rates: &Figures| {
        Finding::rate(kind.experiment(), DatabaseKind::Postgres, kind.what(), callers, rates)
    };
    let mut findings = Vec::new();
    for ((callers, ours), reference) in CALLERS.into_iter().zip(ours).zip(reference) {
        let target = match (kind, callers) {
            (WriteKind::Append, 1) => Some(Target::RatioAtLeast(0.95)),
            (WriteKind::Append, 16) => Some(Target::RatioAtLeast(1.0)),
            _ => None,
        };
        let finding = finding(callers, &ours.rates).beside("pgbench", reference).target(target);
        findings.push(finding.latencies(ours));
    }
    // `pgbench` gets worse beyond some number of clients, which is no merit of ours.
    let best = reference.iter().max_by(|one, other| one.median().total_cmp(&other.median()));
    if let Some(best) = best {
        findings.push(finding(CALLERS[2], &ours[2].rates).beside("pgbench's best", best));
    }
    findings
}

/// The store, one commit a write, and all writes in one transaction, each on a copy of its own.
pub(super) async fn on_sqlite(
    kind: WriteKind,
    pace: Pace,
    original: &SqliteOriginal,
    targets: &Arc<Targets>,
) -> Findings {
    let mut ours: [Series; 3] = Default::default();
    let (mut single, mut ceiling) = (Figures::default(), Figures::default());
    for round in 1..=pace.rounds {
        progress::print(format_args!("{} sqlite round {round}", kind.experiment()));
        for (index, callers) in CALLERS.into_iter().enumerate() {
            let copy = original.copy()?;
            let database = Database::open(DatabaseOptions::new(copy.url())).await?;
            let writers = Writer::many(callers, &database, kind, targets);
            ours[index].push(drive(pace.span(), writers).await?);
            database.close().await;
        }
        single.push(one_commit_each(kind, pace, original, targets).await?);
        let copy = original.copy()?;
        let path = copy.path().to_path_buf();
        let together =
            sqlite_writes::in_one_transaction(path, kind, Arc::clone(targets), pace.length).await?;
        ceiling.push(together);
    }
    Ok(sqlite_findings(kind, &ours, &single, &ceiling))
}

async fn one_commit_each(
    kind: WriteKind,
    pace: Pace,
    original: &SqliteOriginal,
    targets: &Arc<Targets>,
) -> Result<f64, Error> {
    let copy = original.copy()?;
    let mut writer = sqlite_writes::Writer::open(copy.path(), kind, Arc::clone(targets))?;
    let outcome = drive_blocking(pace.span(), Kind::Write, move || writer.write_and_commit()).await?;
    Ok(outcome.per_second())
}

fn sqlite_findings(kind: WriteKind, ours: &[Series; 3], single: &Figures, ceiling: &Figures) -> Vec<Finding> {
    let finding = |callers: usize, rates: &Figures| {
        Finding::rate(kind.experiment(), DatabaseKind::Sqlite, kind.what(), callers, rates)
    };
    let only_append = |target: Target| if kind == WriteKind::Append { Some(target) } else { None };
    let mut findings = Vec::new();
    for (callers, ours) in CALLERS.into_iter().zip(ours) {
        let target = if callers == 64 { only_append(Target::RatioAtLeast(2.4)) } else { None };
        let finding = finding(callers, &ours.rates).beside("rusqlite, a commit each", single).target(target);
        findings.push(finding.latencies(ours));
    }
    let most = &ours[2];
    findings.push(
        finding(64, &most.rates)
            .beside("rusqlite, one transaction", ceiling)
            .target(only_append(Target::RatioAtLeast(0.28))),
    );
    findings.push(
        Finding::time(kind.experiment(), DatabaseKind::Sqlite, "p99", 64, &most.p99)
            .target(only_append(Target::ValueAtMost(30.0))),
    );
    findings
}
