//! Another program holds the lock of a conversation to which many clients append.

use std::time::Instant;

use chatstore_bench::error::Error;
use chatstore_bench::samples::rounded;
use chatstore_bench::server::{Installation, with_installation};
use chatstore_sql::DatabaseKind;

use super::ledger::{Writers, check, rate, slowest};
use super::{Arguments, Findings, REQUEST, SHARE, connect, conversations, figures};

/// Clients with conversations that are not locked.
const OTHERS: usize = 8;

pub(super) async fn run(arguments: &Arguments) -> Result<Findings, Error> {
    let run = async |installation: &Installation| lock(arguments, installation).await;
    with_installation(&arguments.server, DatabaseKind::Postgres, &arguments.common.databases, run).await
}

async fn lock(arguments: &Arguments, installation: &Installation) -> Result<Findings, Error> {
    let server = installation.start().await?;
    let key = installation.key();
    let [locked] = &conversations(&server, 1).await?[..] else { return Err("one conversation".into()) };
    let others = Writers::start(server.port(), key, &conversations(&server, OTHERS).await?);
    tokio::time::sleep(arguments.length() / 10).await;
    let begun = Instant::now();
    tokio::time::sleep(arguments.length()).await;
    let before_lock = Instant::now();
    let other = connect(installation.database_url()).await?;
    let lock = format!("begin; select from conversations where id = '{locked}' for update");
    other.batch_execute(&lock).await?;
    let waiting = Writers::start(server.port(), key, &vec![locked.clone(); arguments.locked_clients]);
    let since = Instant::now();
    tokio::time::sleep(arguments.length()).await;
    let until = Instant::now();
    other.batch_execute("rollback").await?;
    let waiting = waiting.finish().await?;
    let others = others.finish().await?;

    let (before, during) = (rate(&others, begun, before_lock), rate(&others, since, until));
    let mut violations = check(server.client(), &others).await?;
    violations.extend(check(server.client(), &waiting).await?);
    let share = during / before;
    violations
        .extend(arguments.bound(share >= SHARE, || format!("others kept {share:.2} of their throughput")));
    let longest = slowest(&waiting).max(slowest(&others));
    violations.extend(arguments.bound(longest <= REQUEST, || format!("a request took {longest:?}")));
    server.stop().await?;
    let mut figures = figures(&others);
    figures["of_the_locked"] = super::figures(&waiting);
    figures["others_per_second_before"] = before.round().into();
    figures["others_per_second_during"] = during.round().into();
    figures["ratio"] = rounded(share).into();
    figures["clients"] = arguments.locked_clients.into();
    Ok(Findings { name: "conversation_locked", figures, violations })
}
