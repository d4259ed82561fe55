//! The reference: a loop that inserts as many messages and does nothing else.

use std::path::{Path, PathBuf};
use std::time::Instant;

use chatstore_bench::data::dialect::{CONVERSATION_PREFIX, USER_PREFIX, id};
use chatstore_bench::data::{content, conversation_id, load, user_id};
use chatstore_bench::drivers::{connect, statement};
use chatstore_bench::error::Error;
use chatstore_bench::random::Random;
use chatstore_sql::DatabaseKind;
use rusqlite::params;
use tokio_postgres::NoTls;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::source;

/// Messages of one transaction.
const BATCH: u64 = 1_000;

/// Messages a second, into conversations that are there already.
pub(super) async fn messages_per_second(
    kind: DatabaseKind,
    url: &str,
    file: &Path,
    messages: u64,
) -> Result<f64, Error> {
    let heads = heads(kind, messages);
    let elapsed = match kind {
        DatabaseKind::Sqlite => {
            let file = file.to_owned();
            tokio::task::spawn_blocking(move || sqlite(file, &heads, messages)).await??
        }
        DatabaseKind::Postgres => {
            load::fill_postgres(url, &heads).await?;
            postgres(url, messages).await?
        }
    };
    Ok(messages as f64 / elapsed)
}

/// Users and conversations.
fn heads(kind: DatabaseKind, messages: u64) -> [String; 2] {
    let conversations = source::conversations(messages);
    let users = source::users(conversations);
    let owner = id(kind, USER_PREFIX, &format!("n % {users}"));
    let conversation = id(kind, CONVERSATION_PREFIX, "n");
    [load::users(kind, users, 0), load::conversations(kind, conversations, &owner, &conversation, "0")]
}

/// The row with this number.
struct Row {
    owner: Uuid,
    conversation: Uuid,
    seq: i64,
    id: Uuid,
}

impl Row {
    fn of(number: u64, messages: u64, random: &mut Random) -> Result<Self, Error> {
        let conversations = source::conversations(messages);
        let conversation = number / (messages / conversations).max(1) % conversations;
        let owner = conversation % source::users(conversations);
        Ok(Self {
            owner: user_id(owner)?.uuid(),
            conversation: conversation_id(conversation)?.uuid(),
            seq: i64::try_from(number)? + 1,
            id: Uuid::from_u64_pair(random.next_u64(), random.next_u64()),
        })
    }
}

fn sqlite(file: PathBuf, heads: &[String], messages: u64) -> Result<f64, Error> {
    let connection = connect(&file)?;
    for head in heads {
        connection.execute_batch(head)?;
    }
    let insert = statement("messages.insert")?.sqlite();
    let text = content();
    let nothing: Option<&str> = None;
    let mut random = Random::new(1);
    let begun = Instant::now();
    let mut number = 0;
    while number < messages {
        connection.execute_batch("begin immediate")?;
        for number in number..(number + BATCH).min(messages) {
            let row = Row::of(number, messages, &mut random)?;
            let (owner, conversation) = (row.owner.as_bytes(), row.conversation.as_bytes());
            connection.prepare_cached(insert)?.execute(params![
                owner,
                conversation,
                row.seq,
                row.id.as_bytes(),
                nothing,
                "user",
                text,
                nothing,
                nothing,
                nothing,
                "[]",
                "{}",
                0,
                nothing,
                nothing
            ])?;
        }
        connection.execute_batch("commit")?;
        number += BATCH;
    }
    Ok(begun.elapsed().as_secs_f64())
}

async fn postgres(url: &str, messages: u64) -> Result<f64, Error> {
    let (mut client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    // The driver has no JSON and no times without further features.
    let insert = statement("messages.insert")?
        .postgres()
        .replace("$11, $12, $13, $14, $15", "'[]', '{}', now(), null, null");
    let insert = client.prepare(&insert).await?;
    let text = content();
    let (no_sender, nothing, no_count) = (None::<Uuid>, None::<&str>, None::<i64>);
    let mut random = Random::new(1);
    let begun = Instant::now();
    let mut number = 0;
    while number < messages {
        let transaction = client.transaction().await?;
        for number in number..(number + BATCH).min(messages) {
            let row = Row::of(number, messages, &mut random)?;
            let values: [&(dyn ToSql + Sync); 10] = [
                &row.owner,
                &row.conversation,
                &row.seq,
                &row.id,
                &no_sender,
                &"user",
                &text,
                &nothing,
                &nothing,
                &no_count,
            ];
            transaction.execute(&insert, &values).await?;
        }
        transaction.commit().await?;
        number += BATCH;
    }
    let elapsed = begun.elapsed().as_secs_f64();
    drop(client);
    connection.await??;
    Ok(elapsed)
}
