//! One conversation: created, read, changed, deleted.

use std::time::Duration;

use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use reqwest::StatusCode;

use crate::support::{Server, exchange, exchanges, refusal, whole_exchange};

conformance!(
    a_conversation_is_created_with_every_field,
    a_taken_thread_id_is_a_conflict,
    a_conversation_is_read_by_uuid_and_by_short_id,
    a_change_keeps_absent_fields_and_clears_null_ones,
    an_empty_change_creates_no_revision,
    a_deleted_conversation_is_absent,
    null_is_refused_for_fields_that_cannot_be_cleared,
);

const CONVERSATIONS: &str = "/api/v1/conversations";

async fn a_conversation_is_created_with_every_field(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let body = r#"{"thread_id": "t/1", "title": "Trip 🚲", "default_model": "large-1", "last_message": "…", "metadata": {"b": [1.0, null], "a": "ü"}}"#;
    let created = whole_exchange(server.send(&ada, "POST", CONVERSATIONS, body)).await;
    allow_duplicates! { assert_snapshot!(created, @r#"
    POST /api/v1/conversations
    {"thread_id": "t/1", "title": "Trip 🚲", "default_model": "large-1", "last_message": "…", "metadata": {"b": [1.0, null], "a": "ü"}}

    201 Created
    content-type: application/json
    location: /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43
    etag: "1"

    {
      "archived_at": null,
      "created_at": "2026-03-01T12:00:00.000000Z",
      "default_model": "large-1",
      "head_seq": null,
      "id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "last_message": "…",
      "last_message_at": null,
      "last_seq": 0,
      "message_count": 0,
      "metadata": {
        "a": "ü",
        "b": [
          1,
          null
        ]
      },
      "owner_id": "019ca945-0a00-710a-adec-89025cc1beeb",
      "revision": 1,
      "role": "owner",
      "short_id": "1CYcKgdReYjG4CFCN2qReJ",
      "thread_id": "t/1",
      "title": "Trip 🚲",
      "updated_at": "2026-03-01T12:00:00.000000Z"
    }
    "#) }
}

async fn a_taken_thread_id_is_a_conflict(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    server.post(&ada, CONVERSATIONS, r#"{"thread_id": "t1"}"#).await;
    let other = server.conversation(&ada).await;
    let text = exchanges([
        server.send(&ada, "POST", CONVERSATIONS, r#"{"thread_id": "t1"}"#),
        server.send(&ada, "PATCH", &other, r#"{"thread_id": "t1"}"#),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/conversations
    {"thread_id": "t1"}

    409 Conflict
    content-type: application/problem+json

    {
      "detail": "a conversation with this thread_id exists already",
      "errors": [
        {
          "code": "not_allowed",
          "field": "thread_id",
          "message": "is taken"
        }
      ],
      "request_id": "r-1",
      "status": 409,
      "title": "Already exists",
      "type": "urn:chatstore:problem:already-exists"
    }
    ────
    PATCH /api/v1/conversations/019ca945-0a00-7775-9c77-01564f619afc
    {"thread_id": "t1"}

    409 Conflict
    content-type: application/problem+json

    {
      "detail": "a conversation with this thread_id exists already",
      "errors": [
        {
          "code": "not_allowed",
          "field": "thread_id",
          "message": "is taken"
        }
      ],
      "request_id": "r-1",
      "status": 409,
      "title": "Already exists",
      "type": "urn:chatstore:problem:already-exists"
    }
    ────
    "#) }
}

async fn a_conversation_is_read_by_uuid_and_by_short_id(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let created = server.post(&ada, CONVERSATIONS, r#"{"title": "Trip"}"#).await;
    let by_uuid = format!("{CONVERSATIONS}/{}", created["id"].as_str().unwrap());
    let by_short_id = format!("{CONVERSATIONS}/{}", created["short_id"].as_str().unwrap());
    assert_eq!(server.get(&ada, &by_uuid).await, created);
    let read = exchange(server.request(&ada, "GET", &by_short_id)).await;
    allow_duplicates! { assert_snapshot!(read, @r#"
    GET /api/v1/conversations/1CYcKgdReYjG4CFCN2qReJ

    200 OK
    content-type: application/json
    etag: "1"

    {
      "created_at": "2026-03-01T12:00:00.000000Z",
      "id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "last_seq": 0,
      "message_count": 0,
      "metadata": {},
      "owner_id": "019ca945-0a00-710a-adec-89025cc1beeb",
      "revision": 1,
      "role": "owner",
      "short_id": "1CYcKgdReYjG4CFCN2qReJ",
      "title": "Trip",
      "updated_at": "2026-03-01T12:00:00.000000Z"
    }
    "#) }
}

async fn a_change_keeps_absent_fields_and_clears_null_ones(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let body = r#"{"thread_id": "t1", "title": "Trip", "default_model": "large-1", "metadata": {"a": 1}}"#;
    let created = server.post(&ada, CONVERSATIONS, body).await;
    let path = format!("{CONVERSATIONS}/{}", created["id"].as_str().unwrap());
    server.case.clock.advance(Duration::from_secs(60));
    let body = r#"{"title": null, "thread_id": null, "last_message": "set", "metadata": {"b": 2}}"#;
    let changed = exchange(server.send(&ada, "PATCH", &path, body)).await;
    allow_duplicates! { assert_snapshot!(changed, @r#"
    PATCH /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43
    {"title": null, "thread_id": null, "last_message": "set", "metadata": {"b": 2}}

    200 OK
    content-type: application/json
    etag: "2"

    {
      "created_at": "2026-03-01T12:00:00.000000Z",
      "default_model": "large-1",
      "id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "last_message": "set",
      "last_seq": 0,
      "message_count": 0,
      "metadata": {
        "b": 2
      },
      "owner_id": "019ca945-0a00-710a-adec-89025cc1beeb",
      "revision": 2,
      "role": "owner",
      "short_id": "1CYcKgdReYjG4CFCN2qReJ",
      "updated_at": "2026-03-01T12:01:00.000000Z"
    }
    "#) }
}

async fn an_empty_change_creates_no_revision(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let before = server.get(&ada, &path).await;
    for request in [server.send(&ada, "PATCH", &path, "{}"), server.request(&ada, "PATCH", &path)] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["etag"], format!("\"{}\"", before["revision"]).as_str());
    }
    assert_eq!(server.get(&ada, &path).await, before);
}

async fn a_deleted_conversation_is_absent(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let text = exchanges([
        server.request(&ada, "DELETE", &path),
        server.request(&ada, "DELETE", &path),
        server.request(&ada, "GET", &path),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    DELETE /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43

    204 No Content
    ────
    DELETE /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43

    404 Not Found
    content-type: application/problem+json

    {
      "detail": "there is nothing here, or nothing that you may see",
      "request_id": "r-1",
      "status": 404,
      "title": "Not found",
      "type": "urn:chatstore:problem:not-found"
    }
    ────
    GET /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43

    404 Not Found
    content-type: application/problem+json

    {
      "detail": "there is nothing here, or nothing that you may see",
      "request_id": "r-1",
      "status": 404,
      "title": "Not found",
      "type": "urn:chatstore:problem:not-found"
    }
    ────
    "#) }
}

async fn null_is_refused_for_fields_that_cannot_be_cleared(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let wrong = |field: &str| (422, vec![(field.to_owned(), "wrong_type".to_owned())]);
    for (method, target, field) in [
        ("POST", CONVERSATIONS.to_owned(), "metadata"),
        ("PATCH", path.clone(), "metadata"),
        ("PATCH", format!("{path}/messages/1"), "content"),
        ("PATCH", format!("{path}/messages/1"), "used_documents"),
        ("PATCH", format!("{path}/messages/1"), "metadata"),
    ] {
        let body = format!(r#"{{"{field}": null}}"#);
        assert_eq!(
            refusal(server.send(&ada, method, &target, &body)).await,
            wrong(field),
            "{method} {target}"
        );
    }
}
