//! What was imported, in a nutshell.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use chatstore_bench::error::Error;
use chatstore_model::{Timestamp, UserId};
use chatstore_sql::{Database, DatabaseOptions, Row, Sql, StoreError};
use uuid::Uuid;

const CONVERSATIONS: Sql = Sql::same(
    "experiment.conversations",
    "select id, message_count, thread_id, created_at, updated_at, revision from conversations \
     where owner_id = $1 order by id",
);

const MESSAGES: Sql = Sql::same(
    "experiment.messages",
    "select id, seq, content, created_at from messages where owner_id = $1 order by conversation_id, seq",
);

/// A digest of the conversations that belong to no other user, and one of their messages. Imported rows belong to the
/// built-in user, those of the writers do not.
pub(super) async fn imported_rows(url: &str) -> Result<(u64, u64), Error> {
    let database = Database::open(DatabaseOptions::new(url)).await?;
    let conversations = digest(&database, &CONVERSATIONS, |row, hasher| {
        hash_common(row, hasher)?;
        (row.next::<Timestamp>()?, row.next::<i64>()?).hash(hasher);
        Ok(())
    });
    let conversations = conversations.await?;
    let messages = digest(&database, &MESSAGES, hash_common).await?;
    database.close().await;
    Ok((conversations, messages))
}

fn hash_common(row: &Row<'_>, hasher: &mut DefaultHasher) -> Result<(), StoreError> {
    (row.next::<Uuid>()?, row.next::<i64>()?).hash(hasher);
    (row.next::<String>()?, row.next::<Timestamp>()?).hash(hasher);
    Ok(())
}

async fn digest(
    database: &Database,
    sql: &'static Sql,
    hash: fn(&Row<'_>, &mut DefaultHasher) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    let hasher = Arc::new(Mutex::new(DefaultHasher::new()));
    let hashing = Arc::clone(&hasher);
    let read = database.read("experiment", async move |tx| {
        *hashing.lock().unwrap_or_else(PoisonError::into_inner) = DefaultHasher::new();
        tx.query(sql, &[UserId::ANONYMOUS.into()], |row| {
            hash(row, &mut hashing.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
    });
    read.await.map(drop)?;
    let digest = hasher.lock().unwrap_or_else(PoisonError::into_inner).finish();
    Ok(digest)
}
