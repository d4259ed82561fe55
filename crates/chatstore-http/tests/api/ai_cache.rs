//! Cached responses of models.

use std::time::{Duration, Instant};

use chatstore::{ApiKeyScope, KeyRights, RequestHash, ResponseScope};
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use serde_json::json;

use crate::key_rights::limited;
use crate::support::{Server, answer, exchanges, outlines, refusal};

conformance!(
    a_response_is_cached_replaced_and_removed,
    a_response_is_not_found_after_its_time,
    a_response_is_found_by_its_user_alone_and_erased_with_them,
    what_every_user_finds_is_written_by_administrators_and_service_keys,
    what_is_wrong_with_a_response_is_answered_field_by_field,
    requests_that_mean_the_same_have_the_same_hash,
);

const ONE: &str = "/api/v1/ai-cache/one";
const HASH: &str = "/api/v1/ai-cache/hash";

async fn a_response_is_cached_replaced_and_removed(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let text = exchanges([
        server.request(&ada, "GET", ONE),
        server.send(&ada, "PUT", ONE, r#"{"value": {"b": 1.0, "a": [null]}}"#),
        server.send(&ada, "PUT", ONE, r#"{"value": null, "ttl_seconds": 86400}"#),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/ai-cache/one

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
    PUT /api/v1/ai-cache/one
    {"value": {"b": 1.0, "a": [null]}}

    200 OK
    content-type: application/json

    {
      "expires_at": "2026-03-01T13:00:00.000000Z",
      "hash": "one",
      "scope": "own",
      "stored": true
    }
    ────
    PUT /api/v1/ai-cache/one
    {"value": null, "ttl_seconds": 86400}

    200 OK
    content-type: application/json

    {
      "expires_at": "2026-03-02T12:00:00.000000Z",
      "hash": "one",
      "scope": "own",
      "stored": true
    }
    ────
    "#); }
    let found = server.get(&ada, ONE).await;
    assert_eq!(
        (&found["hash"], &found["scope"], &found["value"]),
        (&json!("one"), &json!("own"), &json!(null))
    );
    let expires_at = found["expires_at"].as_str().unwrap();
    assert!(("2026-03-02T11:59".."2026-03-02T12:00:01").contains(&expires_at), "{expires_at}");
    let removed = outlines([
        server.request(&ada, "GET", "/api/v1/ai-cache/two"),
        server.request(&ada, "HEAD", ONE),
        server.request(&ada, "DELETE", ONE),
        server.request(&ada, "DELETE", ONE),
        server.request(&ada, "GET", ONE),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(removed, @"
    GET /api/v1/ai-cache/two → 404 not-found
    HEAD /api/v1/ai-cache/one → 200
    DELETE /api/v1/ai-cache/one → 204
    DELETE /api/v1/ai-cache/one → 404 not-found
    GET /api/v1/ai-cache/one → 404 not-found
    "); }
}

async fn a_response_is_not_found_after_its_time(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let began = Instant::now();
    let put = server.send(&ada, "PUT", ONE, r#"{"value": "Seville", "ttl_seconds": 1}"#);
    assert_eq!(answer(put).await.body["stored"], true);
    while answer(server.request(&ada, "GET", ONE)).await.status == 200 {
        assert!(began.elapsed() < Duration::from_secs(20), "it is cached for ever");
    }
    assert!(began.elapsed() >= Duration::from_secs(1), "lost before its time");
}

async fn a_response_is_found_by_its_user_alone_and_erased_with_them(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve, root) =
        (server.person("ada").await, server.person("eve").await, server.admin("root").await);
    let service = server.service(&root).await;
    let put = server.act(&service, "name:ada", "PUT", ONE).header("Content-Type", "application/json");
    assert_eq!(answer(put.body(r#"{"value": "for Ada"}"#)).await.status, 200);
    assert_eq!(server.get(&ada, ONE).await["value"], "for Ada");
    let of_another = answer(server.request(&eve, "GET", ONE)).await;
    let absent = answer(server.request(&eve, "GET", "/api/v1/ai-cache/two")).await;
    assert_eq!((of_another.status, &of_another.body), (404, &absent.body));
    let text = outlines([
        server.request(&eve, "DELETE", ONE),
        server.request(&root, "GET", ONE),
        server.request(&root, "DELETE", ONE),
        server.act(&service, "name:eve", "GET", ONE),
        server.act(&service, "anonymous", "GET", ONE),
        server.request(&ada, "GET", &format!("{ONE}?scope=shared")),
        server.send(&eve, "PUT", ONE, r#"{"value": "for Eve"}"#),
        server.request(&service, "GET", ONE),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    DELETE /api/v1/ai-cache/one → 404 not-found
    GET /api/v1/ai-cache/one → 404 not-found
    DELETE /api/v1/ai-cache/one → 404 not-found
    GET /api/v1/ai-cache/one [chatstore-user: name:eve] → 404 not-found
    GET /api/v1/ai-cache/one [chatstore-user: anonymous] → 404 not-found
    GET /api/v1/ai-cache/one?scope=shared → 404 not-found
    PUT /api/v1/ai-cache/one {"value": "for Eve"} → 200
    GET /api/v1/ai-cache/one → 422 validation (Chatstore-User: required)
    "#); }
    assert_eq!(server.get(&ada, ONE).await["value"], "for Ada");
    assert_eq!(answer(server.request(&ada, "DELETE", "/api/v1/users/me")).await.status, 204);
    let cached = async |user| {
        let hash = RequestHash::new("one").unwrap();
        server.store.as_user(user).response_cache().get(&hash, ResponseScope::Own).await
    };
    assert_eq!(cached(ada.id).await, None);
    assert!(cached(eve.id).await.is_some());
}

async fn what_every_user_finds_is_written_by_administrators_and_service_keys(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, root) = (server.person("ada").await, server.admin("root").await);
    let service = server.service(&root).await;
    let rights = KeyRights { users: vec![ada.id], ..KeyRights::default() };
    let for_ada_only = limited(&server, root.id, ApiKeyScope::Service, rights).await;
    let shared = format!("{ONE}?scope=shared");
    let mut statuses = Vec::new();
    for (who, of_user) in [
        (&ada, None),
        (&for_ada_only, None),
        (&for_ada_only, Some("name:ada")),
        (&root, None),
        (&service, None),
        (&service, Some("name:ada")),
    ] {
        for (method, body) in [("PUT", r#"{"value": "for all"}"#), ("GET", ""), ("DELETE", "")] {
            let request = server.send(who, method, &shared, body);
            let request = match of_user {
                Some(name) => request.header("Chatstore-User", name),
                None => request,
            };
            let found = answer(request).await;
            statuses.push(found.status);
            if found.status == 200 && method == "GET" {
                assert_eq!(
                    (&found.body["value"], &found.body["scope"]),
                    (&json!("for all"), &json!("shared"))
                );
                assert_eq!(server.get(&ada, &shared).await["value"], "for all");
                assert_eq!(answer(server.request(&ada, "GET", ONE)).await.status, 404, "it is not their own");
            }
        }
    }
    let (refused, done) = ([403, 404, 403], [200, 200, 204]);
    assert_eq!(statuses, [refused, refused, refused, done, done, done].concat());
}

async fn what_is_wrong_with_a_response_is_answered_field_by_field(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let large = format!(r#"{{"value": "{}"}}"#, "x".repeat(262_143));
    let put = |body: &str| server.send(&ada, "PUT", ONE, body);
    let text = outlines([
        put("{}"),
        put(r#"{"value": 1, "ttl_seconds": 0}"#),
        put(r#"{"value": 1, "ttl_seconds": -1}"#),
        put(r#"{"value": 1, "ttl_seconds": 86401}"#),
        put(r#"{"value": 1, "ttl_seconds": 1.5}"#),
        put(r#"{"value": 1, "ttl_seconds": null}"#),
        put(r#"{"value": "\u0000", "scope": "shared"}"#),
        put(r#"{"value": 1e400}"#),
        put(r#"{"value": 12345678901234567890123}"#),
        server.send(&ada, "PUT", &format!("{ONE}?scope=all"), r#"{"value": 1}"#),
        server.send(&ada, "PUT", "/api/v1/ai-cache/.a", r#"{"value": 1}"#),
        server.request(&ada, "GET", "/api/v1/ai-cache/a%3Ab"),
        server.request(&ada, "DELETE", &format!("/api/v1/ai-cache/{}", "a".repeat(129))),
        server.request(&ada, "GET", "/api/v1/ai-cache/a%00"),
        server.request(&ada, "GET", HASH),
        server.send(&ada, "POST", HASH, r#"{"model": "", "parameters": {"a": "\u0000"}}"#),
        server.send(&ada, "POST", HASH, r#"{"model": "a", "messages": [], "parameters": 1e400}"#),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    PUT /api/v1/ai-cache/one {} → 422 validation (value: required)
    PUT /api/v1/ai-cache/one {"value": 1, "ttl_seconds": 0} → 422 validation (ttl_seconds: out_of_range)
    PUT /api/v1/ai-cache/one {"value": 1, "ttl_seconds": -1} → 422 validation (ttl_seconds: out_of_range)
    PUT /api/v1/ai-cache/one {"value": 1, "ttl_seconds": 86401} → 422 validation (ttl_seconds: out_of_range)
    PUT /api/v1/ai-cache/one {"value": 1, "ttl_seconds": 1.5} → 422 validation (ttl_seconds: wrong_type)
    PUT /api/v1/ai-cache/one {"value": 1, "ttl_seconds": null} → 422 validation (ttl_seconds: wrong_type)
    PUT /api/v1/ai-cache/one {"value": "\u0000", "scope": "shared"} → 422 validation (value: nul_character) (scope: unknown_field)
    PUT /api/v1/ai-cache/one {"value": 1e400} → 422 validation (value: out_of_range)
    PUT /api/v1/ai-cache/one {"value": 12345678901234567890123} → 422 validation (value: out_of_range)
    PUT /api/v1/ai-cache/one?scope=all {"value": 1} → 422 validation (scope: not_allowed)
    PUT /api/v1/ai-cache/.a {"value": 1} → 422 validation (hash: invalid_format)
    GET /api/v1/ai-cache/a%3Ab → 422 validation (hash: invalid_format)
    DELETE /api/v1/ai-cache/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa → 422 validation (hash: invalid_format)
    GET /api/v1/ai-cache/a%00 → 422 validation (hash: nul_character)
    GET /api/v1/ai-cache/hash → 405 method-not-allowed
    POST /api/v1/ai-cache/hash {"model": "", "parameters": {"a": "\u0000"}} → 422 validation (messages: required) (parameters: nul_character) (model: too_short)
    POST /api/v1/ai-cache/hash {"model": "a", "messages": [], "parameters": 1e400} → 422 validation (parameters: out_of_range)
    "#); }
    assert_eq!(refusal(put(&large)).await, (422, vec![("value".to_owned(), "too_long".to_owned())]));
}

async fn requests_that_mean_the_same_have_the_same_hash(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let hash = async |body: &str| {
        let found = answer(server.send(&ada, "POST", HASH, body)).await;
        assert_eq!(found.status, 200, "{}", found.body);
        found.body["hash"].as_str().unwrap().to_owned()
    };
    let messages = r#"[{"role": "user", "content": "hi"}]"#;
    // printf '{"messages":[{"content":"hi","role":"user"}],"model":"echo","parameters":{}}' | sha256sum
    let expected = "cda76ec748f1f2f1b1abaeb87bf6892b2574b4fccd564adb1cbcfa64bce969bd";
    for body in [
        format!(r#"{{"model": "echo", "messages": {messages}}}"#),
        format!(r#"{{"parameters": {{}}, "messages": {messages}, "model": "echo"}}"#),
        r#"{"model": "echo", "messages": [{"content": "hi", "role": "user"}]}"#.to_owned(),
    ] {
        assert_eq!(hash(&body).await, expected, "{body}");
    }
    let with = |parameters: &str| {
        format!(r#"{{"model": "echo", "messages": {messages}, "parameters": {parameters}}}"#)
    };
    let warm = hash(&with(r#"{"temperature": 1, "seed": 2}"#)).await;
    assert_eq!(hash(&with(r#"{"seed": 2.0, "temperature": 1.0}"#)).await, warm);
    assert_ne!(hash(&with(r#"{"seed": 2, "temperature": 0.5}"#)).await, warm);
    let large = json!({"model": "echo", "messages": ["x".repeat(2 * 1024 * 1024)]}).to_string();
    assert_eq!(hash(&large).await.len(), 64, "a request to a model may be large");
    let found = answer(server.send(&eve, "POST", HASH, &with("{}"))).await;
    assert_eq!(found.body["hash"], expected, "for every caller");
}
