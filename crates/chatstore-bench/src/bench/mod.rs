//! `bench`: the store and what it is measured against, side by side in one run.
//!
//! To add a benchmark: a variant of [`Benchmark`], a file that measures it on both databases in
//! rounds (the store, its reference, the store, its reference …) and returns findings.

mod caches;
mod documents;
mod growth;
mod http;
mod read_callers;
mod reads;
mod write_callers;
mod writes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chatstore_bench::arguments::{Databases, ServerBinary};
use chatstore_bench::data::{Scale, Targets, documents as document_data, growth as growth_data, load};
use chatstore_bench::databases::{PostgresDatabase, SqliteOriginal};
use chatstore_bench::drive::Span;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_sql::DatabaseKind;
use clap::ValueEnum;

use crate::bare::pgbench::Pgbench;
use crate::kinds::{ReadKind, WriteKind};
use crate::report::{Finding, Report};

pub(crate) use write_callers::Writer;

use writes::OnPostgres;

/// Measure the store side by side with what it is compared to
///
/// Every figure comes with its reference, measured in the same run: other figures mean nothing on
/// a machine that also does other work.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The benchmarks to run, all when left out
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Benchmark>,
    /// How long each single measurement takes
    #[arg(long, default_value_t = 3.0, value_parser = chatstore_bench::arguments::positive_seconds)]
    seconds: f64,
    /// How often each measurement is repeated; the medians are reported
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How much data is loaded first
    #[arg(long, value_enum, default_value = "full")]
    scale: Scale,
    /// Write the figures, and what they were measured on, to this file
    #[arg(long)]
    json: Option<PathBuf>,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    databases: Databases,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Benchmark {
    /// Append a user's message
    W1,
    /// Record a model's reply
    W2,
    /// The newest 50 messages of a conversation
    R1,
    /// The 20 most recent conversations of a user
    R2,
    /// Documents created, read and found by what they contain
    Documents,
    /// W1 and R1 over the real server, by clients with an API key
    Http,
    /// Session checks and user look-ups over the real server, with Redis and without
    Caches,
    /// R1, R2 and W1 where there is little and where there is much
    Growth,
}

/// How long and how often.
#[derive(Debug, Clone, Copy)]
struct Pace {
    length: Duration,
    rounds: usize,
}

impl Pace {
    fn span(self) -> Span {
        Span::after_warming_up(self.length)
    }
}

/// Filled databases of one kind of data.
struct Filled {
    sqlite: Option<SqliteOriginal>,
    postgres: Option<PostgresDatabase>,
}

impl Arguments {
    /// Runs the benchmarks and prints what they found.
    pub(crate) async fn run(self) -> Result<(), Error> {
        let pace = Pace { length: Duration::from_secs_f64(self.seconds), rounds: self.rounds.max(1) };
        let mut report = Report::new(&self.settings());
        let chosen: Vec<Benchmark> =
            Benchmark::value_variants().iter().copied().filter(|benchmark| self.wants(*benchmark)).collect();
        if chosen.iter().any(|benchmark| *benchmark != Benchmark::Growth) {
            let statements = |kind| {
                let mut statements = load::statements(kind, self.scale).to_vec();
                statements.push(document_data::statement(kind, self.scale));
                statements
            };
            let filled = self.fill("work", statements).await?;
            let done = self.measure(&chosen, pace, &filled, &mut report).await;
            filled.remove().await?;
            done?;
        }
        if chosen.contains(&Benchmark::Growth) {
            let filled = self.fill("growth", |kind| growth_data::statements(kind, self.scale)).await?;
            let done = growth::measure(self.scale, pace, &filled, &mut report).await;
            filled.remove().await?;
            done?;
        }
        report.print();
        if let Some(path) = &self.json {
            report.write(path)?;
        }
        Ok(())
    }

    /// All when none is named; but without the server's program what needs it has to be asked for.
    fn wants(&self, benchmark: Benchmark) -> bool {
        if self.only.is_empty() {
            let needs_server = matches!(benchmark, Benchmark::Http | Benchmark::Caches);
            return !needs_server || self.server.given().is_some();
        }
        self.only.contains(&benchmark)
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({
            "scale": self.scale.as_str(),
            "seconds": self.seconds,
            "rounds": self.rounds,
        })
    }

    async fn fill(
        &self,
        purpose: &str,
        statements: impl Fn(DatabaseKind) -> Vec<String>,
    ) -> Result<Filled, Error> {
        progress::print(format_args!("loading the data ({purpose}, {})", self.scale.as_str()));
        let mut filled = Filled { sqlite: None, postgres: None };
        for kind in self.databases.backend.kinds() {
            let statements = statements(kind);
            match kind {
                DatabaseKind::Sqlite => {
                    let folder = self.databases.temporary_folder()?;
                    filled.sqlite = Some(SqliteOriginal::fill(folder, statements).await?);
                }
                DatabaseKind::Postgres => {
                    let server = self.databases.postgres.url()?;
                    filled.postgres = Some(PostgresDatabase::fill(server, purpose, &statements).await?);
                }
            }
        }
        Ok(filled)
    }

    async fn measure(
        &self,
        chosen: &[Benchmark],
        pace: Pace,
        filled: &Filled,
        report: &mut Report,
    ) -> Result<(), Error> {
        let targets = Arc::new(Targets::of(self.scale)?);
        if let Some(database) = &filled.postgres {
            report.version_of_postgres(database.url()).await?;
            let pgbench = Pgbench::new(self.databases.postgres.programs(), database.url())?;
            report.version("pgbench", pgbench.version()?);
            let bench = OnPostgres { pace, scale: self.scale, database, pgbench, targets: &targets };
            for benchmark in chosen {
                report.add_all(match benchmark.work() {
                    Some(Work::Write(kind)) => bench.write(kind).await?,
                    Some(Work::Read(kind)) => reads::on_postgres(kind, pace, database, &targets).await?,
                    Some(Work::Documents) => documents::on_postgres(self.scale, pace, database).await?,
                    Some(Work::Http) => {
                        let (kind, url) = (DatabaseKind::Postgres, database.url());
                        let over_http = http::OverHttp::new(self, kind, pace, url, Some(&bench.pgbench))?;
                        over_http.measure().await?
                    }
                    Some(Work::Caches) => {
                        let (kind, url) = (DatabaseKind::Postgres, database.url());
                        caches::Caches::new(self, kind, pace, url)?.measure().await?
                    }
                    None => Vec::new(),
                });
            }
        }
        if let Some(original) = &filled.sqlite {
            for benchmark in chosen {
                report.add_all(match benchmark.work() {
                    Some(Work::Write(kind)) => writes::on_sqlite(kind, pace, original, &targets).await?,
                    Some(Work::Read(kind)) => reads::on_sqlite(kind, pace, original, &targets).await?,
                    Some(Work::Documents) => documents::on_sqlite(self.scale, pace, original).await?,
                    Some(Work::Http) => {
                        let copy = original.copy()?;
                        let (kind, url) = (DatabaseKind::Sqlite, copy.url());
                        http::OverHttp::new(self, kind, pace, &url, None)?.measure().await?
                    }
                    Some(Work::Caches) => {
                        let copy = original.copy()?;
                        let (kind, url) = (DatabaseKind::Sqlite, copy.url());
                        caches::Caches::new(self, kind, pace, &url)?.measure().await?
                    }
                    None => Vec::new(),
                });
            }
        }
        Ok(())
    }
}

/// The operation that a benchmark repeats.
enum Work {
    Write(WriteKind),
    Read(ReadKind),
    Documents,
    Http,
    Caches,
}

impl Benchmark {
    /// None for the benchmark that compares several.
    const fn work(self) -> Option<Work> {
        match self {
            Self::W1 => Some(Work::Write(WriteKind::Append)),
            Self::W2 => Some(Work::Write(WriteKind::Reply)),
            Self::R1 => Some(Work::Read(ReadKind::Page)),
            Self::R2 => Some(Work::Read(ReadKind::List)),
            Self::Documents => Some(Work::Documents),
            Self::Http => Some(Work::Http),
            Self::Caches => Some(Work::Caches),
            Self::Growth => None,
        }
    }
}

impl Filled {
    async fn remove(self) -> Result<(), Error> {
        match self.postgres {
            Some(database) => database.remove().await,
            None => Ok(()),
        }
    }
}

/// What a benchmark found.
type Findings = Result<Vec<Finding>, Error>;
