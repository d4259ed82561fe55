//! Databases with a conversation, and what tests ask the server behind the store's back.

use std::time::Duration;

use chatstore_model::{ConversationId, Message, NewConversation, NewMessage, NewUser, UserId, UserName};
use chatstore_sql::{Database, DatabaseOptions, Sql, StoreError, Via, WriteTx};
use chatstore_testkit::TestDatabase;
use tokio_postgres::{Client, Config, NoTls};

/// Longer than anything here takes.
pub(crate) const GENEROUS: Duration = Duration::from_secs(30);

const BACKEND: Sql = Sql::only_postgres("test.backend", "select pg_backend_pid()::bigint");

pub(crate) fn config(url: &str) -> Config {
    url.parse().unwrap()
}

pub(crate) fn port(url: &str) -> u16 {
    config(url).get_ports()[0]
}

/// The same database through another port.
pub(crate) fn through(url: &str, other: u16) -> String {
    url.replace(&format!(":{}/", port(url)), &format!(":{other}/"))
}

pub(crate) async fn open(url: &str, pool: usize) -> Database {
    Database::open(DatabaseOptions { pool, ..DatabaseOptions::new(url) }).await.unwrap()
}

/// A connection of another program.
pub(crate) async fn connect(case: &TestDatabase) -> Client {
    let (client, connection) = tokio_postgres::connect(&case.url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) async fn conversation(database: &Database) -> (UserId, ConversationId) {
    let name = UserName::new(format!("user {}", database.ids().uuid(database.clock().now()))).unwrap();
    let new = NewUser::named(name);
    let create = async move |tx: &mut WriteTx<'_>| {
        let owner = tx.users().create(&new).await?.id;
        let created = tx.conversations().create(owner, &NewConversation::titled("Trip")).await?;
        Ok::<_, StoreError>((owner, created.id))
    };
    database.write("create", create).await.unwrap()
}

pub(crate) async fn say(
    database: &Database,
    (owner, conversation): (UserId, ConversationId),
    text: &str,
) -> Result<Message, StoreError> {
    let new = NewMessage::user(text);
    let append =
        async move |tx: &mut WriteTx<'_>| tx.messages().append(Via::Owner(owner), conversation, &new).await;
    database.write_single("append", append).await
}

/// The same in a transaction.
pub(crate) async fn say_in_transaction(
    database: &Database,
    (owner, conversation): (UserId, ConversationId),
    text: &str,
) -> Result<Message, StoreError> {
    let new = NewMessage::user(text);
    let append =
        async move |tx: &mut WriteTx<'_>| tx.messages().append(Via::Owner(owner), conversation, &new).await;
    database.write("append", append).await
}

pub(crate) async fn count(database: &Database) -> Result<i64, StoreError> {
    database.read("count", async |tx| Ok(tx.statistics().counts().await?.messages)).await
}

/// The server's process behind a connection of the store.
pub(crate) async fn backend(database: &Database) -> i64 {
    let read =
        async |tx: &mut chatstore_sql::ReadTx<'_>| tx.query(&BACKEND, &[], |row| row.next::<i64>()).await;
    database.read("backend", read).await.unwrap()[0]
}
