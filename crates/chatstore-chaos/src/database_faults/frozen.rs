//! The processes of the database stop for a while, on a server of its own.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use chatstore_bench::error::Error;
use chatstore_bench::server::{Installation, with_installation};
use chatstore_sql::DatabaseKind;
use chatstore_testkit::server::{PostgresServer, Settings};

use super::ledger::{Outcome, Writers, all, check, slowest};
use super::{Arguments, Findings, REQUEST, conversations, figures};

/// How soon appends succeed again.
const RECOVERY: Duration = Duration::from_secs(2);

pub(super) async fn run(arguments: &Arguments) -> Result<Findings, Error> {
    let postgres =
        tokio::task::spawn_blocking(|| PostgresServer::start(Settings { durable: true })).await??;
    let databases = arguments.common.databases.on_postgres(postgres.url());
    let run = async |installation: &Installation| freeze(arguments, &postgres, installation).await;
    with_installation(&arguments.server, DatabaseKind::Postgres, &databases, run).await
}

async fn freeze(
    arguments: &Arguments,
    postgres: &PostgresServer,
    installation: &Installation,
) -> Result<Findings, Error> {
    let server = installation.start().await?;
    let written = conversations(&server, arguments.frozen_clients).await?;
    let writers = Writers::start(server.port(), installation.key(), &written);
    tokio::time::sleep(arguments.length()).await;
    let processes = processes_of(postgres)?;
    signal("-STOP", &processes)?;
    tokio::time::sleep(arguments.length()).await;
    // Those that were started meanwhile are children of a stopped process: there are none.
    signal("-CONT", &processes)?;
    let thawed = Instant::now();
    tokio::time::sleep(arguments.afterwards()).await;
    let ledgers = writers.finish().await?;
    let stored = all(&ledgers).filter(|append| append.outcome == Outcome::Stored && append.begun > thawed);
    let recovered = stored.map(|append| append.ended - thawed).min();
    let mut violations = check(server.client(), &ledgers).await?;
    let longest = slowest(&ledgers);
    violations.extend(arguments.bound(longest <= REQUEST, || format!("a request took {longest:?}")));
    let is_recovered = recovered.is_some_and(|after| after <= RECOVERY);
    violations.extend(arguments.bound(is_recovered, || format!("recovered after {recovered:?}")));
    server.stop().await?;
    let mut figures = figures(&ledgers);
    figures["clients"] = written.len().into();
    figures["recovered_after_ms"] = recovered.and_then(|after| u64::try_from(after.as_millis()).ok()).into();
    Ok(Findings { name: "database_frozen", figures, violations })
}

/// The server's first process and its children.
fn processes_of(postgres: &PostgresServer) -> Result<Vec<String>, Error> {
    let file = fs::read_to_string(postgres.data_dir().join("postmaster.pid"))?;
    let first = file.lines().next().ok_or("a file without a process id")?.trim().to_owned();
    let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children"))?;
    let mut processes = vec![first];
    processes.extend(children.split_whitespace().map(str::to_owned));
    Ok(processes)
}

fn signal(signal: &str, processes: &[String]) -> Result<(), Error> {
    // One of them may have ended by itself.
    Command::new("kill").arg(signal).args(processes).status()?;
    Ok(())
}
