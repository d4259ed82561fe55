//! Connections to the database stay open and carry nothing any more. Then a single client comes, who would try one
//! after the other.

use std::time::{Duration, Instant};

use chatstore_bench::error::Error;
use chatstore_bench::server::{Installation, with_installation};
use chatstore_sql::DatabaseKind;
use chatstore_testkit::Proxy;

use super::ledger::{Writers, check, slowest};
use super::{Arguments, Findings, REQUEST, conversations, figures, port_of, through, trouble_after};

/// As many as there are connections to the database.
const CLIENTS: usize = 16;

/// How soon every append succeeds again.
const RECOVERY: Duration = Duration::from_secs(10);

pub(super) async fn run(arguments: &Arguments) -> Result<Findings, Error> {
    let run = async |installation: &Installation| silence(arguments, installation).await;
    with_installation(&arguments.server, DatabaseKind::Postgres, &arguments.common.databases, run).await
}

async fn silence(arguments: &Arguments, installation: &Installation) -> Result<Findings, Error> {
    let url = installation.database_url();
    let proxy = Proxy::start(port_of(url)?)?;
    let behind = arguments.reach(&through(url, proxy.port())?)?;
    let server = behind.start().await?;
    let written = conversations(&server, CLIENTS).await?;
    let other = conversations(&server, 1).await?;
    let writers = Writers::start(server.port(), behind.key(), &written);
    tokio::time::sleep(arguments.length()).await;
    let mut ledgers = writers.finish().await?;
    proxy.silence();
    let silenced = Instant::now();
    let single = Writers::start(server.port(), behind.key(), &other);
    tokio::time::sleep(arguments.afterwards()).await;
    ledgers.extend(single.finish().await?);
    let trouble = trouble_after(&ledgers, silenced);
    let mut violations = check(server.client(), &ledgers).await?;
    let longest = slowest(&ledgers);
    violations.extend(arguments.bound(longest <= REQUEST, || format!("a request took {longest:?}")));
    violations
        .extend(arguments.bound(trouble <= RECOVERY, || format!("failures until {trouble:?} after it")));
    server.stop().await?;
    let mut figures = figures(&ledgers);
    figures["last_failure_after_ms"] = u64::try_from(trouble.as_millis())?.into();
    Ok(Findings { name: "connections_silent", figures, violations })
}
