//! Failures of the database: what the answer says, and what it hides.

use std::time::Duration;

use chatstore::sql::Sql;
use chatstore::{NewMessage, ReadTx, StoreError, Via, WriteTx};
use chatstore_testkit::{Backend, TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::support::{Person, Server, exchange, open, refusal};

/// Longer than anything here takes.
const GENEROUS: Duration = Duration::from_secs(60);

conformance!(
    an_unreachable_database_makes_every_route_unavailable,
    a_database_without_its_tables_is_reported_as_damaged,
    a_database_that_takes_no_writes_says_so,
);

/// Every route under `/api`, and a body that it accepts.
fn routes(conversation: &str) -> Vec<(&'static str, String, &'static str)> {
    let content = r#"{"content": "a"}"#;
    vec![
        ("POST", "/api/v1/conversations".to_owned(), "{}"),
        ("GET", "/api/v1/conversations".to_owned(), ""),
        ("GET", "/api/v1/conversations/count".to_owned(), ""),
        ("GET", conversation.to_owned(), ""),
        ("PATCH", conversation.to_owned(), r#"{"title": "a"}"#),
        ("GET", format!("{conversation}/messages"), ""),
        ("POST", format!("{conversation}/messages"), content),
        ("POST", format!("{conversation}/messages"), r#"{"messages": [{"content": "a"}]}"#),
        ("GET", format!("{conversation}/messages/1"), ""),
        ("PATCH", format!("{conversation}/messages/1"), content),
        ("POST", format!("{conversation}/replies"), content),
        ("GET", format!("{conversation}/messages/1/response"), ""),
        ("DELETE", format!("{conversation}/messages/1"), ""),
        ("DELETE", conversation.to_owned(), ""),
    ]
}

async fn with_one_reply(server: &Server) -> (Person, String) {
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    server.post(&ada, &format!("{conversation}/replies"), r#"{"content": "hello"}"#).await;
    (ada, conversation)
}

async fn an_unreachable_database_makes_every_route_unavailable(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, conversation) = with_one_reply(&server).await;
    server.store.close().await;
    let text = exchange(server.request(&ada, "GET", "/api/v1/conversations")).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/conversations

    503 Service Unavailable
    content-type: application/problem+json
    retry-after: 1

    {
      "detail": "the database is not available now; nothing was changed; try again",
      "request_id": "r-1",
      "status": 503,
      "title": "Unavailable",
      "type": "urn:chatstore:problem:unavailable"
    }
    "#) }
    for (method, path, body) in routes(&conversation) {
        let answer = server.send(&ada, method, &path, body).send().await.unwrap();
        assert_eq!(answer.status(), 503, "{method} {path}");
        assert_eq!(answer.headers()["retry-after"], "1", "{method} {path}");
    }
}

async fn a_database_without_its_tables_is_reported_as_damaged(case: TestDatabase) {
    const BREAK: [Sql; 2] = [
        Sql::same("break_conversations", "alter table conversations rename to broken_conversations"),
        Sql::same("break_messages", "alter table messages rename to broken_messages"),
    ];
    let server = Server::start(case).await;
    let (ada, conversation) = with_one_reply(&server).await;
    for sql in BREAK {
        server.store.write("break", async move |tx| tx.execute(&sql, &[]).await).await.unwrap();
    }
    let text = exchange(server.request(&ada, "GET", "/api/v1/conversations")).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/conversations

    503 Service Unavailable
    content-type: application/problem+json

    {
      "detail": "what the database holds is damaged; its operator has to repair it",
      "request_id": "r-1",
      "status": 503,
      "title": "Database damaged",
      "type": "urn:chatstore:problem:corrupt"
    }
    "#) }
    for (method, path, body) in routes(&conversation) {
        assert_eq!(refusal(server.send(&ada, method, &path, body)).await, (503, vec![]), "{method} {path}");
    }
}

async fn a_database_that_takes_no_writes_says_so(case: TestDatabase) {
    const REFUSE_WRITES: Sql = Sql::pair(
        "refuse_writes",
        "pragma query_only = on",
        "do $do$ begin execute format('alter database %I set default_transaction_read_only = on', \
         current_database()); end $do$",
    );
    let mut server = Server::start(case).await;
    let (ada, conversation) = with_one_reply(&server).await;
    let refused = server.store.write("refuse", async |tx| tx.execute(&REFUSE_WRITES, &[]).await).await;
    refused.unwrap();
    if server.store.kind() == chatstore::DatabaseKind::Postgres {
        // The setting is for connections that begin from now on.
        server.serve(open(&server.case).await).await;
    }
    let text = exchange(server.send(&ada, "POST", "/api/v1/conversations", "{}")).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/conversations
    {}

    503 Service Unavailable
    content-type: application/problem+json
    retry-after: 1

    {
      "detail": "the database takes no writes now, as a standby does; nothing was changed; try again",
      "request_id": "r-1",
      "status": 503,
      "title": "Read-only",
      "type": "urn:chatstore:problem:read-only"
    }
    "#) }
    // On SQLite the writer opens the file again after this, which takes the pragma back.
    if server.store.kind() == chatstore::DatabaseKind::Postgres {
        for (method, path, body) in routes(&conversation) {
            let expected = if method == "GET" { 200 } else { 503 };
            let answer = server.send(&ada, method, &path, body).send().await.unwrap();
            assert_eq!(answer.status(), expected, "{method} {path}");
        }
        let answer = server.anonymous("GET", "/readyz").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().contains_key("retry-after")), (503, true));
        assert!(answer.text().await.unwrap().contains("read_only"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_begun_for_a_client_that_hangs_up_is_done() {
    const WAITING: Sql = Sql::only_postgres(
        "test.waiting",
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    let server = Server::start(Backend::Postgres.database().await).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let id = conversation.rsplit('/').next().unwrap().parse().unwrap();
    let (owner, store) = (ada.id, server.store.clone());
    let (locked, is_locked) = oneshot::channel();
    let (release, released) = oneshot::channel();
    let mut signals = Some((locked, released));
    let holding = tokio::spawn(async move {
        let hold = async move |tx: &mut WriteTx<'_>| {
            tx.messages().append(Via::Owner(owner), id, &NewMessage::user("first")).await?;
            if let Some((locked, released)) = signals.take() {
                locked.send(()).unwrap();
                released.await.unwrap();
            }
            Ok::<_, StoreError>(())
        };
        store.write("hold", hold).await
    });
    is_locked.await.unwrap();

    // A transaction of several statements, which would be rolled back if it were broken off.
    let body = r#"{"messages": [{"content": "second"}, {"content": "third"}]}"#;
    let request = format!(
        "POST {conversation}/messages HTTP/1.1\r\nHost: chat\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        ada.key,
        body.len(),
    );
    let mut client = server.connect().await;
    client.write_all(request.as_bytes()).await.unwrap();
    let waiting = async || {
        let read = async |tx: &mut ReadTx<'_>| tx.query(&WAITING, &[], |row| row.next::<i64>()).await;
        server.store.read("waiting", read).await.unwrap()[0]
    };
    timeout(GENEROUS, async { while waiting().await == 0 {} }).await.unwrap();
    drop(client);
    // The server has noticed when it has answered others.
    for _ in 0..10 {
        server.get(&ada, &conversation).await;
    }
    release.send(()).unwrap();
    holding.await.unwrap().unwrap();
    let is_done = async { while server.get(&ada, &conversation).await["message_count"] != 3 {} };
    timeout(GENEROUS, is_done).await.unwrap();
}
