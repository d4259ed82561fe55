//! Two servers share a pooler in transaction mode with two sessions. Each does something else, so that a statement
//! of one that is run under a name of the other shows: the first appends and reads, the second creates and deletes.

use std::time::Duration;

use chatstore_bench::client::Client;
use chatstore_bench::error::Error;
use chatstore_bench::server::{Installation, with_installation};
use chatstore_sql::DatabaseKind;
use chatstore_testkit::server::{Pooler, StartupOptions};
use tokio::task::JoinSet;

use super::ledger::{Outcome, Writers, check, count};
use super::{Arguments, Findings, conversations, figures, port_of, through};

const SESSIONS: usize = 2;
const WRITERS: usize = 4;
const READERS: usize = 4;
const DELETERS: usize = 4;

/// Of all starts together.
#[derive(Default)]
struct Totals {
    stored: usize,
    read: usize,
    deleted: usize,
}

pub(super) async fn run(arguments: &Arguments) -> Result<Findings, Error> {
    let run = async |installation: &Installation| share(arguments, installation).await;
    with_installation(&arguments.server, DatabaseKind::Postgres, &arguments.common.databases, run).await
}

async fn share(arguments: &Arguments, installation: &Installation) -> Result<Findings, Error> {
    let url = installation.database_url();
    let config: tokio_postgres::Config = url.parse()?;
    let user = config.get_user().ok_or("a URL without a user")?;
    let password = String::from_utf8(config.get_password().unwrap_or_default().to_vec())?;
    let (mut totals, mut violations) = (Totals::default(), Vec::new());
    let mut last = serde_json::Value::Null;
    for start in 0..arguments.starts {
        let options = if start % 2 == 0 { StartupOptions::Ignored } else { StartupOptions::Refused };
        let pooler = Pooler::start(port_of(url)?, user, &password, SESSIONS, options)?;
        let behind = arguments.reach(&through(url, pooler.port())?)?;
        let (first, second) = (behind.start().await?, behind.start().await?);
        let kept = conversations(&first, WRITERS).await?;
        let writers = Writers::start(first.port(), behind.key(), &kept);
        let mut tasks: JoinSet<Result<(usize, usize), Error>> = JoinSet::new();
        for number in 0..READERS {
            let (client, kept) = (first.client().clone(), kept[number % kept.len()].clone());
            tasks.spawn(read(client, kept, arguments.length()));
        }
        for _ in 0..DELETERS {
            tasks.spawn(create_and_delete(second.client().clone(), arguments.length()));
        }
        while let Some(done) = tasks.join_next().await {
            match done? {
                Ok((read, deleted)) => {
                    totals.read += read;
                    totals.deleted += deleted;
                }
                Err(error) => violations.push(format!("start {start}: {error}")),
            }
        }
        let ledgers = writers.finish().await?;
        violations.extend(check(first.client(), &ledgers).await?);
        let failed = count(&ledgers, Outcome::Refused) + count(&ledgers, Outcome::Unknown);
        if failed > 0 {
            violations.push(format!("start {start}: {failed} appends were not stored"));
        }
        totals.stored += count(&ledgers, Outcome::Stored);
        last = figures(&ledgers);
        first.stop().await?;
        second.stop().await?;
    }
    let mut figures = last;
    figures["stored"] = totals.stored.into();
    figures["read"] = totals.read.into();
    figures["deleted"] = totals.deleted.into();
    figures["starts"] = arguments.starts.into();
    Ok(Findings { name: "pooler", figures, violations })
}

/// Reads a conversation again and again, which has to be there.
async fn read(client: Client, conversation: String, length: Duration) -> Result<(usize, usize), Error> {
    let begun = std::time::Instant::now();
    let mut read = 0;
    let mut newest = 0;
    while begun.elapsed() < length {
        let count = client.message_count(&conversation).await?;
        if count < newest {
            return Err(format!("{conversation} had {newest} messages and has {count}").into());
        }
        newest = count;
        read += 1;
    }
    Ok((read, 0))
}

/// Creates conversations with a message, and deletes them.
async fn create_and_delete(client: Client, length: Duration) -> Result<(usize, usize), Error> {
    let begun = std::time::Instant::now();
    let mut deleted = 0;
    while begun.elapsed() < length {
        let conversation = client.create_conversation().await?;
        drop(client.append(&conversation, "for a moment").await);
        client.delete_conversation(&conversation).await?;
        deleted += 1;
    }
    Ok((0, deleted))
}
