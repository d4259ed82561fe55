//! `database-faults`: what becomes of requests when the database, its connections or its clients fail.
//!
//! Clients with ledgers append, each to a conversation of its own, and meanwhile something goes wrong. Nothing that
//! was acknowledged is lost, the others keep their throughput, requests end in time, and all is well again soon.

mod few;
mod frozen;
mod hang_up;
mod ledger;
mod locked;
mod pooler;
mod silent;

use std::time::{Duration, Instant};

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::server::{Installation, Server, USER};
use chatstore_sql::DatabaseKind;
use serde_json::{Value, json};

use crate::experiment::{Bounds, Common, Experiment, Recorder};
use ledger::{Ledger, Outcome, count, slowest};

/// The part of their throughput that clients keep while others are in trouble.
const SHARE: f64 = 0.8;

/// How long a request may take: 5 seconds, and some for a busy machine.
const REQUEST: Duration = Duration::from_millis(6_000);

/// Let database and clients fail in several ways
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The faults; all of them when none is named
    #[arg(long, value_enum)]
    only: Vec<Fault>,
    /// How often each is repeated
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// How long each fault lasts, and the time before it
    #[arg(long, default_value_t = 10.0, value_parser = chatstore_bench::arguments::positive_seconds)]
    seconds: f64,
    /// How long clients go on after the database or its connections have failed
    #[arg(long, default_value_t = 15.0, value_parser = chatstore_bench::arguments::positive_seconds)]
    after: f64,
    /// Clients of a frozen database
    #[arg(long, default_value_t = 128)]
    frozen_clients: usize,
    /// Clients that append to a locked conversation
    #[arg(long, default_value_t = 32)]
    locked_clients: usize,
    /// Starts of two servers behind a pooler
    #[arg(long, default_value_t = 10)]
    starts: usize,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Fault {
    /// The processes of the database stop for a while
    Frozen,
    /// Another program holds the lock of a conversation to which many clients append
    Locked,
    /// Clients hang up before they are answered
    HangUp,
    /// Connections to the database stay open and carry nothing
    Silent,
    /// The database allows fewer connections than the server wants
    Few,
    /// Two servers share a pooler in transaction mode
    Pooler,
}

const ALL: [Fault; 6] =
    [Fault::Frozen, Fault::Locked, Fault::HangUp, Fault::Silent, Fault::Few, Fault::Pooler];

/// What one fault showed.
struct Findings {
    name: &'static str,
    figures: Value,
    violations: Vec<String>,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        let chosen = if self.only.is_empty() { &ALL[..] } else { &self.only[..] };
        for _ in 0..self.rounds.max(1) {
            for fault in chosen {
                // All others are about connections to a server.
                if recorder.kind == DatabaseKind::Postgres || *fault == Fault::HangUp {
                    self.run_one(*fault, recorder).await?;
                }
            }
        }
        Ok(())
    }
}

impl Arguments {
    async fn run_one(&self, fault: Fault, recorder: &mut Recorder) -> Result<(), Error> {
        progress::print(format_args!("database-faults {fault:?} {}", recorder.kind.as_str()));
        let rounds = match fault {
            Fault::Frozen => vec![frozen::run(self).await?],
            Fault::Locked => vec![locked::run(self).await?],
            Fault::HangUp => hang_up::run(self, recorder.kind).await?,
            Fault::Silent => vec![silent::run(self).await?],
            Fault::Few => vec![few::run(self).await?],
            Fault::Pooler => vec![pooler::run(self).await?],
        };
        for findings in rounds {
            let mut figures = findings.figures;
            figures["seed"] = self.common.seed.into();
            figures["bounds"] = self.bounds.apply().into();
            recorder.record(findings.name, figures, &findings.violations);
        }
        Ok(())
    }

    fn length(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    fn afterwards(&self) -> Duration {
        Duration::from_secs_f64(self.after)
    }

    /// The program with the database of another installation, reached in another way.
    fn reach(&self, url: &str) -> Result<Installation, Error> {
        Installation::over(self.server.path()?, url, USER, self.common.databases.temporary_folder()?)
    }

    /// The violation of a bound, where bounds apply.
    fn bound(&self, is_kept: bool, otherwise: impl FnOnce() -> String) -> Option<String> {
        (self.bounds.apply() && !is_kept).then(otherwise)
    }
}

/// Creates conversations for clients.
async fn conversations(server: &Server, count: usize) -> Result<Vec<String>, Error> {
    let mut created = Vec::with_capacity(count);
    for _ in 0..count {
        created.push(server.client().create_conversation().await?);
    }
    Ok(created)
}

/// The figures that all faults have in common.
fn figures(ledgers: &[Ledger]) -> Value {
    json!({
        "stored": count(ledgers, Outcome::Stored),
        "refused": count(ledgers, Outcome::Refused),
        "unknown": count(ledgers, Outcome::Unknown),
        "slowest_ms": slowest(ledgers).as_millis(),
    })
}

/// How long after an instant the last append ended that was not stored.
fn trouble_after(ledgers: &[Ledger], instant: Instant) -> Duration {
    let failed = ledger::all(ledgers).filter(|append| append.outcome != Outcome::Stored);
    failed.map(|append| append.ended.saturating_duration_since(instant)).max().unwrap_or_default()
}

/// A database's URL through another port of the loopback interface.
fn through(url: &str, port: u16) -> Result<String, Error> {
    let own = port_of(url)?;
    Ok(url.replace(&format!(":{own}/"), &format!(":{port}/")))
}

fn port_of(url: &str) -> Result<u16, Error> {
    let config: tokio_postgres::Config = url.parse()?;
    Ok(config.get_ports().first().copied().unwrap_or(5432))
}

/// Another program's connection to a database.
async fn connect(url: &str) -> Result<tokio_postgres::Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
