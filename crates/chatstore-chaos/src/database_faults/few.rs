//! The database allows fewer connections than the server wants.

use chatstore_bench::error::Error;
use chatstore_bench::server::{Installation, with_installation};
use chatstore_sql::DatabaseKind;

use super::ledger::{Outcome, Writers, check, count};
use super::{Arguments, Findings, connect, conversations, figures};

const ALLOWED: usize = 3;
const CLIENTS: usize = 32;

pub(super) async fn run(arguments: &Arguments) -> Result<Findings, Error> {
    let run = async |installation: &Installation| limit(arguments, installation).await;
    with_installation(&arguments.server, DatabaseKind::Postgres, &arguments.common.databases, run).await
}

async fn limit(arguments: &Arguments, installation: &Installation) -> Result<Findings, Error> {
    let url = installation.database_url();
    let other = connect(url).await?;
    let role = format!("few_{}", std::process::id());
    let create = format!(
        "create role {role} login password 'few' connection limit {ALLOWED}; \
         grant all on all tables in schema public to {role}"
    );
    other.batch_execute(&create).await?;
    let (_, place) = url.split_once('@').ok_or("a URL without a user")?;
    let limited = arguments.reach(&format!("postgresql://{role}:few@{place}"))?;
    let server = limited.start().await?;
    let written = conversations(&server, CLIENTS).await?;
    let writers = Writers::start(server.port(), limited.key(), &written);
    tokio::time::sleep(arguments.length()).await;
    let ledgers = writers.finish().await?;
    let mut violations = check(server.client(), &ledgers).await?;
    let failed = count(&ledgers, Outcome::Refused) + count(&ledgers, Outcome::Unknown);
    if failed > 0 {
        violations.push(format!("{failed} appends were not stored"));
    }
    server.stop().await?;
    other.batch_execute(&format!("drop owned by {role}; drop role {role}")).await?;
    let mut figures = figures(&ledgers);
    figures["connections_allowed"] = ALLOWED.into();
    figures["clients"] = CLIENTS.into();
    Ok(Findings { name: "connections_few", figures, violations })
}
