//! `stats`: how much is stored.

use chatstore::operations::{Counts, MarkedCounts, TableDigest};
use chatstore_redis::{Redis, RedisOptions};
use clap::Args;
use serde::Serialize;

use super::{print, print_json};
use crate::config::Config;
use crate::database;
use crate::error::CliError;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Also read every row and print a digest of each table: equal digests mean equal databases
    #[arg(long)]
    digest: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown {
    users: i64,
    conversations: i64,
    messages: i64,
    responses: i64,
    members: i64,
    documents: i64,
    sessions: i64,
    logs: i64,
    being_deleted: ShownMarked,
    database: ShownDatabase,
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<ShownRedis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digests: Option<Vec<ShownDigest>>,
}

/// What is deleted for every reader, and whose rows are not gone yet.
#[derive(Serialize)]
struct ShownMarked {
    conversations: i64,
    users: i64,
}

#[derive(Serialize)]
struct ShownDatabase {
    kind: &'static str,
    size_bytes: u64,
    revision: Option<String>,
}

/// The Redis of the settings. What a server asked it is in the metrics of that server.
#[derive(Serialize)]
struct ShownRedis {
    place: String,
    is_up: bool,
}

#[derive(Serialize)]
struct ShownDigest {
    table: &'static str,
    rows: u64,
    sha256: String,
}

pub(crate) async fn run(config: &Config, arguments: Arguments) -> Result<(), CliError> {
    let store = database::open_existing(config).await?;
    let Counts { users, conversations, messages, responses, members, documents, sessions, logs } =
        store.operations().counts().await?;
    let MarkedCounts { users: marked_users, conversations: marked_conversations } =
        store.operations().being_deleted().await?;
    let status = store.operations().migration_status().await?;
    let digests = if arguments.digest { Some(store.operations().digests().await?) } else { None };
    let shown = Shown {
        users,
        conversations,
        messages,
        responses,
        members,
        documents,
        sessions,
        logs,
        being_deleted: ShownMarked { conversations: marked_conversations, users: marked_users },
        database: ShownDatabase {
            kind: store.kind().as_str(),
            size_bytes: store.operations().size_bytes().await?,
            revision: status.applied().last().map(|(revision, _)| revision.id.clone()),
        },
        redis: match &config.redis {
            Some(options) => Some(shown_redis(options).await),
            None => None,
        },
        digests: digests.map(|digests| digests.into_iter().map(shown_digest).collect()),
    };
    store.close().await;
    if arguments.json {
        return print_json(&shown);
    }
    print_table(&shown);
    Ok(())
}

async fn shown_redis(options: &RedisOptions) -> ShownRedis {
    ShownRedis { place: options.place(), is_up: Redis::probe(options).await.is_ok() }
}

fn shown_digest(digest: TableDigest) -> ShownDigest {
    ShownDigest { table: digest.table, rows: digest.rows, sha256: digest.sha256 }
}

fn print_table(shown: &Shown) {
    let counts = [
        ("users", shown.users),
        ("conversations", shown.conversations),
        ("messages", shown.messages),
        ("responses", shown.responses),
        ("members", shown.members),
        ("documents", shown.documents),
        ("sessions", shown.sessions),
        ("logs", shown.logs),
    ];
    for (name, count) in counts {
        print(format_args!("{name:<21}{count:>12}"));
    }
    let ShownMarked { conversations, users } = shown.being_deleted;
    if conversations + users > 0 {
        print(format_args!("being deleted: {conversations} conversations, {users} users"));
    }
    print(format_args!("{:<21}{:>12}", "bytes", shown.database.size_bytes));
    print(format_args!("{:<21}{:>12}", "database", shown.database.kind));
    print(format_args!("{:<21}{:>12}", "revision", shown.database.revision.as_deref().unwrap_or("none")));
    if let Some(ShownRedis { place, is_up }) = &shown.redis {
        let state = if *is_up { "answers" } else { "does not answer" };
        print(format_args!("{:<21}{place} {state}", "redis"));
    }
    for digest in shown.digests.iter().flatten() {
        print(format_args!("{:<21}{:>12}  {}", digest.table, digest.rows, digest.sha256));
    }
}
