//! Filling a database by a few statements, which the database itself counts through.

use std::path::Path;

use chatstore_sql::{Database, DatabaseKind, DatabaseOptions, Direction};
use rusqlite::Connection;
use tokio_postgres::NoTls;

use super::dialect::{CONVERSATION_PREFIX, MESSAGE_PREFIX, USER_PREFIX, id, numbers, time, truth};
use super::{LONG, LONG_EVERY, SHORT, Scale, content};
use crate::error::Error;

/// Creates the schema of an empty database.
pub async fn migrate(url: &str) -> Result<(), Error> {
    let database = Database::open(DatabaseOptions::new(url)).await?;
    database.migrate(Direction::Upgrade).await?;
    database.close().await;
    Ok(())
}

/// Runs the statements on a migrated file and leaves it compact, analysed and without a log.
pub fn fill_sqlite(path: &Path, statements: &[String]) -> Result<(), Error> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "off")?;
    connection.pragma_update(None, "cache_size", -400_000)?;
    connection.execute_batch("begin immediate")?;
    for statement in statements {
        connection.execute_batch(statement)?;
    }
    connection.execute_batch("commit; analyze; pragma wal_checkpoint(truncate)")?;
    Ok(())
}

/// Runs the statements on a migrated database and analyses it.
pub async fn fill_postgres(url: &str, statements: &[String]) -> Result<(), Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    for statement in statements {
        client.batch_execute(statement).await?;
    }
    client.batch_execute("vacuum analyze").await?;
    client.batch_execute("checkpoint").await?;
    drop(client);
    Ok(connection.await??)
}

/// The statements that generate the data of a scale. Messages are inserted in order of time, one
/// conversation after the other, so that the pages of a clustered table are filled as in real use.
pub fn statements(kind: DatabaseKind, scale: Scale) -> [String; 3] {
    let (all, long, users) = (scale.conversations(), scale.long(), scale.users());
    let early = all * SHORT;
    let head = conversations(
        kind,
        all,
        &id(kind, USER_PREFIX, &format!("n % {users}")),
        &id(kind, CONVERSATION_PREFIX, "n"),
        &format!("case when (n / {users}) % {LONG_EVERY} = 0 then {LONG} else {SHORT} end"),
    );
    let place = format!("((n - {early}) % {long})");
    let placed = format!(
        "(select n, \
         case when n < {early} then n / {all} + 1 else {SHORT} + 1 + (n - {early}) / {long} end as seq, \
         case when n < {early} then n % {all} \
         else {place} % {users} + {users} * {LONG_EVERY} * ({place} / {users}) end as conversation \
         from {}) as placed",
        numbers(kind, scale.messages())
    );
    let message = messages(
        kind,
        &id(kind, USER_PREFIX, &format!("conversation % {users}")),
        &id(kind, CONVERSATION_PREFIX, "conversation"),
        &id(kind, MESSAGE_PREFIX, "n"),
        &placed,
    );
    [self::users(kind, users, 0), head, message]
}

/// Inserts users with the numbers from `first` on.
pub fn users(kind: DatabaseKind, count: u64, first: u64) -> String {
    format!(
        "insert into users (id, username, username_key, role, is_active, must_change_password, metadata, \
         created_at, updated_at) \
         select {id}, 'user-' || ({first} + n), 'user-' || ({first} + n), 'user', {yes}, {no}, '{{}}', {at}, {at} \
         from {numbers}",
        id = id(kind, USER_PREFIX, &format!("{first} + n")),
        yes = truth(kind, true),
        no = truth(kind, false),
        at = time(kind, "0"),
        numbers = numbers(kind, count),
    )
}

/// Inserts conversations from expressions over the number `n`.
pub fn conversations(kind: DatabaseKind, count: u64, owner: &str, id: &str, message_count: &str) -> String {
    format!(
        "insert into conversations (owner_id, id, title, last_seq, message_count, last_message, last_message_at, \
         revision, metadata, created_at, updated_at) \
         select {owner}, {id}, 'Conversation ' || n, {message_count}, {message_count}, '{preview}', {at}, 1, \
         '{{}}', {at}, {at} from {numbers}",
        preview = chatstore_model::preview(&content()),
        at = time(kind, "n"),
        numbers = numbers(kind, count),
    )
}

/// Inserts messages from expressions over the columns of `source`, `n` and `seq` among them.
pub(super) fn messages(
    kind: DatabaseKind,
    owner: &str,
    conversation: &str,
    id: &str,
    source: &str,
) -> String {
    format!(
        "insert into messages (owner_id, conversation_id, seq, id, role, content, used_documents, metadata, \
         created_at) \
         select {owner}, {conversation}, seq, {id}, case when seq % 2 = 1 then 'user' else 'assistant' end, \
         '{content}', '[]', '{{}}', {at} from {source} order by n",
        content = content(),
        at = time(kind, "n"),
    )
}
