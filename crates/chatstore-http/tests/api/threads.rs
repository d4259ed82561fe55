//! Conversations by the application's own ids.

use std::time::Duration;

use chatstore::MemberRole;
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};

use crate::support::{Server, answer, at_once, exchange, outlines};

conformance!(
    a_thread_is_created_by_the_first_put_and_unchanged_by_the_next,
    one_of_sixteen_concurrent_puts_creates_the_thread,
    a_thread_is_changed_and_deleted,
    every_wrong_field_of_a_thread_is_named,
    a_thread_is_found_by_its_owner_only,
    one_thread_id_may_be_in_use_by_two_users,
);

const THREAD: &str = "/api/v1/threads/support%2F17";

async fn a_thread_is_created_by_the_first_put_and_unchanged_by_the_next(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let body =
        r#"{"title": "Support", "default_model": "large-1", "last_message": "Hello", "metadata": {"a": 1}}"#;
    let created = exchange(server.send(&ada, "PUT", THREAD, body)).await;
    allow_duplicates! { assert_snapshot!(created, @r#"
    PUT /api/v1/threads/support%2F17
    {"title": "Support", "default_model": "large-1", "last_message": "Hello", "metadata": {"a": 1}}

    201 Created
    content-type: application/json
    location: /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43
    etag: "1"

    {
      "created_at": "2026-03-01T12:00:00.000000Z",
      "default_model": "large-1",
      "id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "last_message": "Hello",
      "last_seq": 0,
      "message_count": 0,
      "metadata": {
        "a": 1
      },
      "owner_id": "019ca945-0a00-710a-adec-89025cc1beeb",
      "revision": 1,
      "role": "owner",
      "short_id": "1CYcKgdReYjG4CFCN2qReJ",
      "thread_id": "support/17",
      "title": "Support",
      "updated_at": "2026-03-01T12:00:00.000000Z"
    }
    "#) }
    let before = answer(server.request(&ada, "GET", THREAD)).await;
    assert_eq!((before.status, before.header("etag")), (200, "\"1\""));
    server.case.clock.advance(Duration::from_secs(60));
    let other = r#"{"title": "Another", "last_message": null, "metadata": {"b": 2}}"#;
    for request in [
        server.send(&ada, "PUT", THREAD, other),
        server.request(&ada, "PUT", THREAD),
        server.request(&ada, "PUT", THREAD).header("If-Match", "\"9\""),
    ] {
        let found = answer(request).await;
        assert_eq!((found.status, found.header("etag"), found.header("location")), (200, "\"1\"", ""));
        assert_eq!(found.body, before.body);
    }
    assert_eq!(answer(server.request(&ada, "GET", THREAD)).await.body, before.body);
    let path = format!("/api/v1/conversations/{}", before.body["id"].as_str().unwrap());
    assert_eq!(server.get(&ada, &path).await, before.body);
}

async fn one_of_sixteen_concurrent_puts_creates_the_thread(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let body = |number: usize| format!(r#"{{"title": "{number}"}}"#);
    let answers = at_once((0..16).map(|number| server.send(&ada, "PUT", THREAD, &body(number)))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 15].as_slice(), &[201]].concat());
    assert!(answers.iter().all(|answer| answer.body == answers[0].body), "all answers show the same one");
    assert_eq!(server.get(&ada, "/api/v1/conversations/count").await["count"], 1);
}

async fn a_thread_is_changed_and_deleted(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    server.send(&ada, "PUT", THREAD, r#"{"title": "Support", "metadata": {"a": 1}}"#).send().await.unwrap();
    server.case.clock.advance(Duration::from_secs(60));
    let body = r#"{"title": null, "default_model": "large-1", "last_message": "Thank you", "metadata": {}}"#;
    let changed = exchange(server.send(&ada, "PATCH", THREAD, body)).await;
    allow_duplicates! { assert_snapshot!(changed, @r#"
    PATCH /api/v1/threads/support%2F17
    {"title": null, "default_model": "large-1", "last_message": "Thank you", "metadata": {}}

    200 OK
    content-type: application/json
    etag: "2"

    {
      "created_at": "2026-03-01T12:00:00.000000Z",
      "default_model": "large-1",
      "id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "last_message": "Thank you",
      "last_seq": 0,
      "message_count": 0,
      "metadata": {},
      "owner_id": "019ca945-0a00-710a-adec-89025cc1beeb",
      "revision": 2,
      "role": "owner",
      "short_id": "1CYcKgdReYjG4CFCN2qReJ",
      "thread_id": "support/17",
      "updated_at": "2026-03-01T12:01:00.000000Z"
    }
    "#) }
    let unchanged = answer(server.send(&ada, "PATCH", THREAD, "{}")).await;
    assert_eq!((unchanged.status, unchanged.header("etag")), (200, "\"2\""));
    let text = outlines([
        server.request(&ada, "DELETE", THREAD),
        server.request(&ada, "GET", THREAD),
        server.request(&ada, "DELETE", THREAD),
        server.send(&ada, "PATCH", THREAD, "{}"),
        server.request(&ada, "PUT", THREAD),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @"
    DELETE /api/v1/threads/support%2F17 → 204
    GET /api/v1/threads/support%2F17 → 404 not-found
    DELETE /api/v1/threads/support%2F17 → 404 not-found
    PATCH /api/v1/threads/support%2F17 {} → 404 not-found
    PUT /api/v1/threads/support%2F17 → 201
    ") }
}

async fn every_wrong_field_of_a_thread_is_named(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let nul = "/api/v1/threads/a%00b";
    let (longest, too_long) = ("é".repeat(255), "é".repeat(256));
    let text = outlines([
        server.request(&ada, "GET", nul),
        server.request(&ada, "PUT", nul),
        server.send(&ada, "PATCH", nul, "{}"),
        server.request(&ada, "DELETE", nul),
        server.request(&ada, "PUT", "/api/v1/threads/a%0Ab"),
        server.request(&ada, "GET", "/api/v1/threads/a%0Ab"),
        server.request(&ada, "PUT", "/api/v1/threads/a%7Fb"),
        server.request(&ada, "PUT", "/api/v1/threads/%FF"),
        server.request(&ada, "GET", "/api/v1/threads/%FF"),
        server.request(&ada, "GET", "/api/v1/threads/"),
        server.request(&ada, "PUT", "/api/v1/threads/a/b"),
        server.send(&ada, "PUT", THREAD, r#"{"thread_id": "other", "metadata": null}"#),
        server.send(&ada, "PATCH", THREAD, r#"{"thread_id": "other", "title": 1, "metadata": null}"#),
        server.send(&ada, "PATCH", THREAD, r#"{"title": "a"}"#),
        server.request(&ada, "GET", &format!("{THREAD}?include=replies")),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/threads/a%00b → 422 validation (thread_id: nul_character)
    PUT /api/v1/threads/a%00b → 422 validation (thread_id: nul_character)
    PATCH /api/v1/threads/a%00b {} → 422 validation (thread_id: nul_character)
    DELETE /api/v1/threads/a%00b → 422 validation (thread_id: nul_character)
    PUT /api/v1/threads/a%0Ab → 422 validation (thread_id: invalid_format)
    GET /api/v1/threads/a%0Ab → 404 not-found
    PUT /api/v1/threads/a%7Fb → 422 validation (thread_id: invalid_format)
    PUT /api/v1/threads/%FF → 422 validation (thread_id: too_short)
    GET /api/v1/threads/%FF → 404 not-found
    GET /api/v1/threads/ → 404 not-found
    PUT /api/v1/threads/a/b → 404 not-found
    PUT /api/v1/threads/support%2F17 {"thread_id": "other", "metadata": null} → 422 validation (metadata: wrong_type) (thread_id: unknown_field)
    PATCH /api/v1/threads/support%2F17 {"thread_id": "other", "title": 1, "metadata": null} → 422 validation (title: wrong_type) (metadata: wrong_type) (thread_id: unknown_field)
    PATCH /api/v1/threads/support%2F17 {"title": "a"} → 404 not-found
    GET /api/v1/threads/support%2F17?include=replies → 422 validation (include: not_allowed)
    "#) }
    let of_length = async |thread: &str| answer(server.request(&ada, "PUT", thread)).await;
    let refused = of_length(&format!("/api/v1/threads/{too_long}")).await;
    assert_eq!(refused.status, 422);
    assert_eq!(
        (&refused.body["errors"][0]["field"], &refused.body["errors"][0]["code"]),
        (&"thread_id".into(), &"too_long".into())
    );
    let created = of_length(&format!("/api/v1/threads/{longest}")).await;
    assert_eq!((created.status, &created.body["thread_id"]), (201, &longest.into()));
}

async fn a_thread_is_found_by_its_owner_only(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let created = answer(server.request(&ada, "PUT", THREAD)).await;
    let path = created.header("location").to_owned();
    server.share(&path, &ada, &eve, MemberRole::Editor).await;
    assert_eq!(server.get(&eve, &path).await["role"], "editor");
    let text = outlines([
        server.request(&eve, "GET", THREAD),
        server.send(&eve, "PATCH", THREAD, r#"{"title": "a"}"#),
        server.request(&eve, "DELETE", THREAD),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/threads/support%2F17 → 404 not-found
    PATCH /api/v1/threads/support%2F17 {"title": "a"} → 404 not-found
    DELETE /api/v1/threads/support%2F17 → 404 not-found
    "#) }
    assert_eq!(server.get(&ada, THREAD).await, created.body);
}

async fn one_thread_id_may_be_in_use_by_two_users(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let of_ada = answer(server.send(&ada, "PUT", THREAD, r#"{"title": "of ada"}"#)).await;
    let of_eve = answer(server.send(&eve, "PUT", THREAD, r#"{"title": "of eve"}"#)).await;
    assert_eq!((of_ada.status, of_eve.status), (201, 201));
    assert_eq!(server.get(&ada, THREAD).await["title"], "of ada");
    assert_eq!(server.get(&eve, THREAD).await["title"], "of eve");
    assert_eq!(answer(server.request(&eve, "DELETE", THREAD)).await.status, 204);
    assert_eq!(server.get(&ada, THREAD).await, of_ada.body);
}
