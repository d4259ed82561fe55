//! Failures of the database: what the answer says, and what it hides.

use chatstore::sql::Sql;
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};

use crate::support::{Person, Server, exchange, open, refusal};

conformance!(
    an_unreachable_database_makes_every_route_unavailable,
    a_damaged_database_is_an_internal_error,
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

async fn a_damaged_database_is_an_internal_error(case: TestDatabase) {
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

    500 Internal Server Error
    content-type: application/problem+json

    {
      "detail": "the request failed; the server's log says why",
      "request_id": "r-1",
      "status": 500,
      "title": "Internal error",
      "type": "urn:chatstore:problem:internal"
    }
    "#) }
    for (method, path, body) in routes(&conversation) {
        assert_eq!(refusal(server.send(&ada, method, &path, body)).await, (500, vec![]), "{method} {path}");
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
    for (method, path, body) in routes(&conversation) {
        let expected = if method == "GET" { 200 } else { 503 };
        let answer = server.send(&ada, method, &path, body).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{method} {path}");
    }
}
