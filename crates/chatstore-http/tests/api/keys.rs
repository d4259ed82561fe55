//! API keys: users' own, and those that administrators create for others.

use std::time::Duration;

use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use serde_json::Value;

use crate::login::{confirmed, in_session};
use crate::support::{Person, Server, answer, exchange, outlines};

conformance!(
    a_key_is_shown_once,
    a_revoked_key_is_refused_at_once,
    a_key_expires_at_its_time,
    keys_are_listed_oldest_first,
    every_wrong_field_of_a_key_is_named,
    a_service_has_no_keys_to_manage,
    keys_create_no_keys,
    an_administrator_manages_the_keys_of_others,
    only_an_administrator_can_have_a_service_key,
    an_idempotency_key_is_ignored_where_a_secret_is_created,
);

const KEYS: &str = "/api/v1/auth/api-keys";
const ME: &str = "/api/v1/users/me";

/// The holder of a new key.
fn holder(of: &Person, created: &Value) -> Person {
    Person { id: of.id, key: created["key"].as_str().unwrap().to_owned() }
}

async fn a_key_is_shown_once(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let session = confirmed(&server, &ada, "ada").await;
    let body = r#"{"name": "laptop", "expires_at": "2026-03-02T01:00:00+01:00"}"#;
    let created = exchange(server.send(&session, "POST", KEYS, body)).await;
    let text =
        created.split("\"key\": \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    let listed = server.get(&ada, KEYS).await;
    let keys = listed["data"].as_array().unwrap();
    let laptop = keys.iter().find(|key| key["name"] == "laptop").unwrap();
    let (id, prefix) = (laptop["id"].as_str().unwrap(), laptop["prefix"].as_str().unwrap());
    let shown = created.replace(&text, "<key>").replace(id, "<id>").replace(prefix, "<prefix>");
    allow_duplicates! { assert_snapshot!(shown, @r#"
    POST /api/v1/auth/api-keys
    {"name": "laptop", "expires_at": "2026-03-02T01:00:00+01:00"}

    201 Created
    content-type: application/json
    location: /api/v1/auth/api-keys/<id>

    {
      "created_at": "2026-03-01T12:00:00.000000Z",
      "expires_at": "2026-03-02T00:00:00.000000Z",
      "id": "<id>",
      "key": "<key>",
      "last_used_at": null,
      "name": "laptop",
      "prefix": "<prefix>",
      "previous_expires_at": null,
      "rights": {
        "addresses": null,
        "namespace": null,
        "provision": null,
        "read_only": false,
        "routes": null,
        "users": null
      },
      "scope": "user",
      "user_id": "019ca945-0a00-710a-adec-89025cc1beeb"
    }
    "#) }
    assert!(text.starts_with(laptop["prefix"].as_str().unwrap()) && text.starts_with("cs_"));
    assert!(laptop.get("key").is_none() && !listed.to_string().contains(&text), "never again");
    assert_eq!(server.get(&Person { key: text, ..ada.clone() }, ME).await["username"], "ada");
    let bare = server.post(&session, KEYS, "{}").await;
    assert_eq!(
        (&bare["name"], &bare["expires_at"], &bare["scope"]),
        (&Value::Null, &Value::Null, &"user".into())
    );
}

async fn a_revoked_key_is_refused_at_once(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let created = server.post(&confirmed(&server, &ada, "ada").await, KEYS, "{}").await;
    let (second, path) = (holder(&ada, &created), format!("{KEYS}/{}", created["id"].as_str().unwrap()));
    let text = outlines([
        server.request(&second, "GET", ME),
        server.request(&eve, "DELETE", &path),
        server.request(&second, "GET", ME),
        server.request(&ada, "DELETE", &path),
        server.request(&second, "GET", ME),
        server.request(&ada, "DELETE", &format!("{KEYS}/no-id")),
        server.request(&ada, "DELETE", &format!("{KEYS}/%00")),
    ])
    .await;
    let id = created["id"].as_str().unwrap();
    allow_duplicates! { assert_snapshot!(text.replace(id, "<key>"), @"
    GET /api/v1/users/me → 200
    DELETE /api/v1/auth/api-keys/<key> → 404 not-found
    GET /api/v1/users/me → 200
    DELETE /api/v1/auth/api-keys/<key> → 204
    GET /api/v1/users/me → 401 unauthenticated
    DELETE /api/v1/auth/api-keys/no-id → 404 not-found
    DELETE /api/v1/auth/api-keys/%00 → 422 validation (id: nul_character)
    ") }
    assert_eq!(server.get(&ada, KEYS).await["data"].as_array().unwrap().len(), 1, "it is in no list");
    let last = server.get(&ada, KEYS).await["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(answer(server.request(&ada, "DELETE", &format!("{KEYS}/{last}"))).await.status, 204);
    assert_eq!(answer(server.request(&ada, "GET", ME)).await.status, 401, "the key of the request itself");
}

async fn a_key_expires_at_its_time(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let session = confirmed(&server, &ada, "ada").await;
    let created = server.post(&session, KEYS, r#"{"expires_at": "2026-03-01T12:00:10Z"}"#).await;
    let short = holder(&ada, &created);
    assert_eq!(answer(server.request(&short, "GET", ME)).await.status, 200);
    server.case.clock.advance(Duration::from_secs(10));
    assert_eq!(answer(server.request(&short, "GET", ME)).await.status, 401);
    assert_eq!(answer(server.request(&ada, "GET", ME)).await.status, 200);
}

async fn keys_are_listed_oldest_first(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada) = (server.admin("root").await, server.person("ada").await);
    let session = confirmed(&server, &ada, "ada").await;
    for name in ["one", "two", "three"] {
        server.case.clock.advance(Duration::from_secs(1));
        server.post(&session, KEYS, &format!(r#"{{"name": "{name}"}}"#)).await;
    }
    for (person, list) in [(&ada, KEYS.to_owned()), (&root, format!("/api/v1/users/{}/api-keys", ada.id))] {
        let (mut met, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = server.get(person, &format!("{list}?limit=1{cursor}")).await;
            met.extend(page["data"].as_array().unwrap().iter().map(|key| key["name"].clone()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(met, [Value::Null, "one".into(), "two".into(), "three".into()], "{list}");
    }
}

async fn every_wrong_field_of_a_key_is_named(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada) = (server.admin("root").await, server.person("ada").await);
    let of_ada = format!("/api/v1/users/{}/api-keys", ada.id);
    let (root, ada) = (confirmed(&server, &root, "root").await, confirmed(&server, &ada, "ada").await);
    let mut text = String::new();
    for body in [
        r#"{"expires_at": "2026-03-01T12:00:00Z"}"#,
        r#"{"expires_at": "2000-01-01T00:00:00Z"}"#,
        r#"{"expires_at": "tomorrow", "name": ""}"#,
        r#"{"expires_at": 1, "name": 1}"#,
        r#"{"name": "a\u0000"}"#,
        r#"{"scope": "service", "key": "cs_x"}"#,
    ] {
        text += &outlines([server.send(&ada, "POST", KEYS, body), server.send(&root, "POST", &of_ada, body)])
            .await;
    }
    text += &outlines([
        server.send(&root, "POST", &of_ada, r#"{"scope": "admin"}"#),
        server.request(&ada, "GET", &format!("{KEYS}?limit=201&cursor=x")),
        server.request(&root, "GET", &format!("{of_ada}?limit=201&order=asc")),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/auth/api-keys {"expires_at": "2026-03-01T12:00:00Z"} → 422 validation (expires_at: out_of_range)
    POST /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43/api-keys {"expires_at": "2026-03-01T12:00:00Z"} → 422 validation (expires_at: out_of_range)
    POST /api/v1/auth/api-keys {"expires_at": "2000-01-01T00:00:00Z"} → 422 validation (expires_at: out_of_range)
    POST /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43/api-keys {"expires_at": "2000-01-01T00:00:00Z"} → 422 validation (expires_at: out_of_range)
    POST /api/v1/auth/api-keys {"expires_at": "tomorrow", "name": ""} → 422 validation (expires_at: invalid_format) (name: too_short)
    POST /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43/api-keys {"expires_at": "tomorrow", "name": ""} → 422 validation (expires_at: invalid_format) (name: too_short)
    POST /api/v1/auth/api-keys {"expires_at": 1, "name": 1} → 422 validation (name: wrong_type) (expires_at: wrong_type)
    POST /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43/api-keys {"expires_at": 1, "name": 1} → 422 validation (name: wrong_type) (expires_at: wrong_type)
    POST /api/v1/auth/api-keys {"name": "a\u0000"} → 422 validation (name: nul_character)
    POST /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43/api-keys {"name": "a\u0000"} → 422 validation (name: nul_character)
    POST /api/v1/auth/api-keys {"scope": "service", "key": "cs_x"} → 422 validation (key: unknown_field) (scope: unknown_field)
    POST /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43/api-keys {"scope": "service", "key": "cs_x"} → 422 validation (key: unknown_field)
    POST /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43/api-keys {"scope": "admin"} → 422 validation (scope: not_allowed)
    GET /api/v1/auth/api-keys?limit=201&cursor=x → 422 validation (limit: out_of_range)
    GET /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43/api-keys?limit=201&order=asc → 422 validation (limit: out_of_range) (order: unknown_field)
    "#) }
    let of_length = async |length: usize| {
        let body = format!(r#"{{"name": "{}"}}"#, "é".repeat(length));
        answer(server.send(&ada, "POST", KEYS, &body)).await.status
    };
    assert_eq!((of_length(100).await, of_length(101).await), (201, 422));
}

async fn a_service_has_no_keys_to_manage(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, _ada) = (server.admin("root").await, server.person("ada").await);
    let service = server.service(&root).await;
    let path = format!("{KEYS}/no-id");
    let text = outlines([
        server.request(&service, "GET", KEYS),
        server.send(&service, "POST", KEYS, "{"),
        server.request(&service, "DELETE", &path),
        server.act(&service, "name:ada", "GET", KEYS),
        server.act(&service, "name:ada", "POST", KEYS),
        server.act(&service, "name:ada", "DELETE", &path),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @"
    GET /api/v1/auth/api-keys → 403 forbidden
    POST /api/v1/auth/api-keys { → 403 forbidden
    DELETE /api/v1/auth/api-keys/no-id → 403 forbidden
    GET /api/v1/auth/api-keys [chatstore-user: name:ada] → 403 forbidden
    POST /api/v1/auth/api-keys [chatstore-user: name:ada] → 403 forbidden
    DELETE /api/v1/auth/api-keys/no-id [chatstore-user: name:ada] → 403 forbidden
    ") }
}

async fn keys_create_no_keys(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada) = (server.admin("root").await, server.person("ada").await);
    let service = server.service(&root).await;
    let session = in_session(&server, &ada, "ada").await;
    let own = server.store.keys().list(ada.id).await.unwrap()[0].id;
    let (of_ada, of_root, of_built_in) = (
        format!("/api/v1/users/{}/api-keys", ada.id),
        format!("/api/v1/users/{}/api-keys", root.id),
        format!("/api/v1/users/{}/api-keys", chatstore::UserId::ANONYMOUS),
    );
    for (person, target) in [
        (&ada, KEYS.to_owned()),
        (&ada, format!("{KEYS}/{own}/rotate")),
        (&root, KEYS.to_owned()),
        (&root, of_ada.clone()),
        (&root, of_root.clone()),
        (&root, of_built_in.clone()),
        (&service, KEYS.to_owned()),
        (&service, of_ada.clone()),
        (&service, of_root.clone()),
        (&service, of_built_in.clone()),
    ] {
        for body in ["{}", r#"{"expires_at": "2026-03-02T00:00:00Z", "scope": "user"}"#] {
            let refused = answer(server.send(person, "POST", &target, body)).await;
            assert_eq!(refused.status, 403, "{target} {body}: {}", refused.body);
        }
    }
    assert_eq!(server.store.keys().list(ada.id).await.unwrap().len(), 1);
    let refused = answer(server.send(&session, "POST", KEYS, "{}")).await;
    let kind = refused.body["type"].as_str();
    assert_eq!((refused.status, kind), (403, Some("urn:chatstore:problem:confirmation-required")));
}

async fn an_administrator_manages_the_keys_of_others(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada, eve) =
        (server.admin("root").await, server.person("ada").await, server.person("eve").await);
    let of = |person: &Person| format!("/api/v1/users/{}/api-keys", person.id);
    let root = confirmed(&server, &root, "root").await;
    let created = answer(server.send(&root, "POST", &of(&ada), r#"{"name": "of ada"}"#)).await;
    assert_eq!(created.status, 201);
    let id = created.body["id"].as_str().unwrap();
    assert_eq!(created.header("location"), format!("{}/{id}", of(&ada)));
    assert_eq!(
        (&created.body["user_id"], &created.body["scope"]),
        (&ada.id.to_string().into(), &"user".into())
    );
    let second = holder(&ada, &created.body);
    let absent = "/api/v1/users/00000000-0000-7000-8000-000000000001/api-keys";
    let text = outlines([
        server.request(&second, "GET", ME),
        server.request(&root, "DELETE", &format!("{}/{id}", of(&eve))),
        server.request(&second, "GET", ME),
        server.request(&root, "DELETE", &format!("{}/{id}", of(&ada))),
        server.request(&second, "GET", ME),
        server.request(&root, "GET", absent),
        server.send(&root, "POST", absent, "{}"),
        server.request(&root, "DELETE", &format!("{absent}/{id}")),
        server.request(&eve, "GET", &of(&eve)),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text.replace(id, "<id>"), @"
    GET /api/v1/users/me → 200
    DELETE /api/v1/users/019ca945-0a00-7534-a6a6-b7fd0b63d0ba/api-keys/<id> → 404 not-found
    GET /api/v1/users/me → 200
    DELETE /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43/api-keys/<id> → 204
    GET /api/v1/users/me → 401 unauthenticated
    GET /api/v1/users/00000000-0000-7000-8000-000000000001/api-keys → 404 not-found
    POST /api/v1/users/00000000-0000-7000-8000-000000000001/api-keys {} → 404 not-found
    DELETE /api/v1/users/00000000-0000-7000-8000-000000000001/api-keys/<id> → 404 not-found
    GET /api/v1/users/019ca945-0a00-7534-a6a6-b7fd0b63d0ba/api-keys → 403 forbidden
    ") }
    assert_eq!(server.get(&root, &of(&ada)).await["data"].as_array().unwrap().len(), 1);
}

async fn only_an_administrator_can_have_a_service_key(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada) = (server.admin("root").await, server.person("ada").await);
    let of = |person: &Person| format!("/api/v1/users/{}/api-keys", person.id);
    let root = confirmed(&server, &root, "root").await;
    let created = server.post(&root, &of(&root), r#"{"scope": "service", "name": "backend"}"#).await;
    assert_eq!((&created["scope"], &created["user_id"]), (&"service".into(), &root.id.to_string().into()));
    let service = holder(&root, &created);
    assert_eq!(answer(server.act(&service, "name:ada", "GET", ME)).await.body["username"], "ada");
    let text = outlines([
        server.send(&root, "POST", &of(&ada), r#"{"scope": "service"}"#),
        server.send(&service, "POST", &of(&root), r#"{"scope": "service"}"#),
        server.send(&service, "POST", &of(&ada), r#"{"scope": "service"}"#),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43/api-keys {"scope": "service"} → 422 validation (scope: not_allowed)
    POST /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb/api-keys {"scope": "service"} → 403 forbidden
    POST /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43/api-keys {"scope": "service"} → 403 forbidden
    "#) }
}

async fn an_idempotency_key_is_ignored_where_a_secret_is_created(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada) = (server.admin("root").await, server.person("ada").await);
    let of_ada = format!("/api/v1/users/{}/api-keys", ada.id);
    let (root, ada) = (confirmed(&server, &root, "root").await, confirmed(&server, &ada, "ada").await);
    for (person, path) in [(&ada, KEYS), (&root, of_ada.as_str())] {
        for value in ["k1", "no key", &"a".repeat(256)] {
            let post = || server.send(person, "POST", path, "{}").header("Idempotency-Key", value);
            let (first, second) = (answer(post()).await, answer(post()).await);
            assert_eq!((first.status, second.status), (201, 201), "{path}");
            assert_ne!(first.body["id"], second.body["id"], "{path}");
            assert_eq!(second.header("idempotency-replayed"), "", "{path}");
        }
    }
}
