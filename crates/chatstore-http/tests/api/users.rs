//! Users, as administrators and services see them.

use std::time::Duration;

use chatstore::UserId;
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use serde_json::Value;

use crate::support::{Person, Server, answer, at_once, exchange, outlines};

conformance!(
    a_user_is_created_with_every_field,
    a_taken_name_or_address_is_a_conflict,
    names_and_addresses_are_trimmed,
    every_wrong_field_of_a_user_is_named,
    users_are_listed_oldest_first_and_filtered,
    a_user_is_changed_and_erased,
    the_last_active_administrator_keeps_the_role,
    the_built_in_user_cannot_be_changed,
    a_user_is_found_or_created_by_address,
    one_of_sixteen_concurrent_puts_creates_the_user,
    a_service_administers_every_user_but_administrators,
);

const USERS: &str = "/api/v1/users";

fn path(person: &Person) -> String {
    format!("{USERS}/{}", person.id)
}

async fn a_user_is_created_with_every_field(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let body = r#"{"username": "Ada", "email": "Ada@Example.org", "full_name": "Ada L.", "role": "admin", "is_active": false, "must_change_password": true, "metadata": {"a": 1}}"#;
    let created = exchange(server.send(&root, "POST", USERS, body)).await;
    allow_duplicates! { assert_snapshot!(created, @r#"
    POST /api/v1/users
    {"username": "Ada", "email": "Ada@Example.org", "full_name": "Ada L.", "role": "admin", "is_active": false, "must_change_password": true, "metadata": {"a": 1}}

    201 Created
    content-type: application/json
    location: /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43

    {
      "created_at": "2026-03-01T12:00:00.000000Z",
      "email": "Ada@Example.org",
      "email_verified_at": "2026-03-01T12:00:00.000000Z",
      "external_id": null,
      "external_namespace": null,
      "full_name": "Ada L.",
      "id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "is_active": false,
      "metadata": {
        "a": 1
      },
      "must_change_password": true,
      "role": "admin",
      "short_id": "1CYcKgdReYjG4CFCN2qReJ",
      "updated_at": "2026-03-01T12:00:00.000000Z",
      "username": "Ada"
    }
    "#) }
    let bare = answer(server.send(&root, "POST", USERS, r#"{"email": "b@example.org"}"#)).await;
    assert_eq!(bare.status, 201);
    assert_eq!(server.get(&root, bare.header("location")).await, bare.body);
    let by_short_id = format!("{USERS}/{}", bare.body["short_id"].as_str().unwrap());
    assert_eq!(server.get(&root, &by_short_id).await, bare.body);
    for (field, expected) in [
        ("username", Value::Null),
        ("full_name", Value::Null),
        ("role", "user".into()),
        ("is_active", true.into()),
        ("must_change_password", false.into()),
        ("metadata", serde_json::json!({})),
    ] {
        assert_eq!(bare.body[field], expected, "{field} when left out");
    }
}

async fn names_and_addresses_are_trimmed(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let body = r#"{"username": "\u001f Ada L\t", "email": "\u00a0Ada@Example.org ", "full_name": " Ada "}"#;
    let ada = server.post(&root, USERS, body).await;
    assert_eq!((&ada["username"], &ada["email"]), (&"Ada L".into(), &"Ada@Example.org".into()));
    assert_eq!(ada["full_name"], " Ada ", "only names and addresses that must be unique are trimmed");
    let ada_path = format!("{USERS}/{}", ada["id"].as_str().unwrap());
    let text = outlines([
        server.send(&root, "POST", USERS, r#"{"username": "ada l\u3000"}"#),
        server.send(&root, "POST", USERS, r#"{"username": "other", "email": "\nada@example.ORG"}"#),
        server.send(&root, "POST", USERS, r#"{"username": " a\t", "email": "\t"}"#),
        server.send(&root, "POST", USERS, r#"{"username": "A\tda", "email": "a b@c.org"}"#),
        server.send(&root, "PUT", &format!("{USERS}/by-email/%20ada@example.org%09"), "{}"),
        server.send(&root, "PATCH", &ada_path, r#"{"username": " Ada B "}"#),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/users {"username": "ada l\u3000"} → 409 already-exists (username: not_allowed)
    POST /api/v1/users {"username": "other", "email": "\nada@example.ORG"} → 409 already-exists (email: not_allowed)
    POST /api/v1/users {"username": " a\t", "email": "\t"} → 422 validation (username: too_short) (email: invalid_format)
    POST /api/v1/users {"username": "A\tda", "email": "a b@c.org"} → 422 validation (username: invalid_format) (email: invalid_format)
    PUT /api/v1/users/by-email/%20ada@example.org%09 {} → 200
    PATCH /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 {"username": " Ada B "} → 200
    "#) }
    assert_eq!(server.get(&root, &ada_path).await["username"], "Ada B");
}

async fn a_taken_name_or_address_is_a_conflict(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let eve = server.person("eve").await;
    server.post(&root, USERS, r#"{"username": "Straße", "email": "a@example.org"}"#).await;
    let text = outlines([
        server.send(&root, "POST", USERS, r#"{"username": "STRASSE"}"#),
        server.send(&root, "POST", USERS, r#"{"username": "other", "email": "A@EXAMPLE.ORG"}"#),
        server.send(&root, "POST", USERS, r#"{"username": "anonymous"}"#),
        server.send(&root, "POST", USERS, r#"{"username": " Anonymous "}"#),
        server.send(&root, "PATCH", &path(&eve), r#"{"username": "strasse"}"#),
        server.send(&root, "PATCH", &path(&eve), r#"{"email": "A@example.org"}"#),
        server.send(&root, "PATCH", &path(&eve), r#"{"username": null}"#),
        server.send(&root, "PUT", &format!("{USERS}/by-email/new@example.org"), r#"{"username": "EVE"}"#),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/users {"username": "STRASSE"} → 409 already-exists (username: not_allowed)
    POST /api/v1/users {"username": "other", "email": "A@EXAMPLE.ORG"} → 409 already-exists (email: not_allowed)
    POST /api/v1/users {"username": "anonymous"} → 409 already-exists (username: not_allowed)
    POST /api/v1/users {"username": " Anonymous "} → 409 already-exists (username: not_allowed)
    PATCH /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 {"username": "strasse"} → 409 already-exists (username: not_allowed)
    PATCH /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 {"email": "A@example.org"} → 409 already-exists (email: not_allowed)
    PATCH /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 {"username": null} → 409 conflict
    PUT /api/v1/users/by-email/new@example.org {"username": "EVE"} → 409 already-exists (username: not_allowed)
    "#) }
    assert_eq!(server.get(&root, &path(&eve)).await["username"], "eve");
}

async fn every_wrong_field_of_a_user_is_named(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let wrong = r#"{"username": "ada", "email": "no", "full_name": 1, "role": "owner", "is_active": null, "must_change_password": 1, "metadata": [], "id": "x"}"#;
    let text = outlines([
        server.send(&root, "POST", USERS, "{}"),
        server.send(&root, "POST", USERS, wrong),
        server.send(&root, "POST", USERS, r#"{"username": "a\u0000bc", "email": "a@b.org"}"#),
        server.send(&root, "POST", USERS, r#"{"username": "a\u200bbc", "email": "a@b.org"}"#),
        server.send(&root, "POST", USERS, r#"{"username": "ab", "email": "a@b.org"}"#),
        server.send(&root, "POST", USERS, r#"{"username": "ada", "email": "a b@c.org"}"#),
        server.send(&root, "PATCH", &path(&root), wrong),
        server.request(&root, "GET", &format!("{USERS}/no-id")),
        server.request(&root, "GET", &format!("{USERS}/%00")),
        server.request(&root, "GET", &format!("{USERS}?role=owner&is_active=yes&limit=0&cursor=x&name=a")),
        server.request(&root, "PUT", &format!("{USERS}/by-email/nobody")),
        server.request(&root, "PUT", &format!("{USERS}/by-email/a%00@b.org")),
        server.send(
            &root,
            "PUT",
            &format!("{USERS}/by-email/a@b.org"),
            r#"{"role": "admin", "username": "a"}"#,
        ),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/users {} → 422 validation (username: required)
    POST /api/v1/users {"username": "ada", "email": "no", "full_name": 1, "role": "owner", "is_active": null, "must_change_password": 1, "metadata": [], "id": "x"} → 422 validation (email: invalid_format) (full_name: wrong_type) (role: not_allowed) (is_active: wrong_type) (must_change_password: wrong_type) (metadata: wrong_type) (id: unknown_field)
    POST /api/v1/users {"username": "a\u0000bc", "email": "a@b.org"} → 422 validation (username: nul_character)
    POST /api/v1/users {"username": "a\u200bbc", "email": "a@b.org"} → 422 validation (username: invalid_format)
    POST /api/v1/users {"username": "ab", "email": "a@b.org"} → 422 validation (username: too_short)
    POST /api/v1/users {"username": "ada", "email": "a b@c.org"} → 422 validation (email: invalid_format)
    PATCH /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb {"username": "ada", "email": "no", "full_name": 1, "role": "owner", "is_active": null, "must_change_password": 1, "metadata… → 422 validation (email: invalid_format) (full_name: wrong_type) (role: not_allowed) (is_active: wrong_type) (must_change_password: wrong_type) (metadata: wrong_type) (id: unknown_field)
    GET /api/v1/users/no-id → 404 not-found
    GET /api/v1/users/%00 → 422 validation (id: nul_character)
    GET /api/v1/users?role=owner&is_active=yes&limit=0&cursor=x&name=a → 422 validation (limit: out_of_range) (role: not_allowed) (is_active: not_allowed) (name: unknown_field)
    PUT /api/v1/users/by-email/nobody → 422 validation (email: invalid_format)
    PUT /api/v1/users/by-email/a%00@b.org → 422 validation (email: nul_character)
    PUT /api/v1/users/by-email/a@b.org {"role": "admin", "username": "a"} → 422 validation (username: too_short) (role: unknown_field)
    "#) }
}

/// The names in a list.
fn names(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap()).collect()
}

async fn users_are_listed_oldest_first_and_filtered(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    for (name, email) in [("zoe", "z@example.org"), ("ada", "a@example.org"), ("Bob", "b@example.org")] {
        server.case.clock.advance(Duration::from_secs(1));
        server.post(&root, USERS, &format!(r#"{{"username": "{name}", "email": "{email}"}}"#)).await;
    }
    server.post(&root, USERS, r#"{"username": "old", "role": "admin", "is_active": false}"#).await;
    for (query, expected) in [
        ("", vec!["root", "zoe", "ada", "Bob", "old"]),
        ("?role=admin", vec!["root", "old"]),
        ("?role=user&is_active=true", vec!["zoe", "ada", "Bob"]),
        ("?is_active=false", vec!["old"]),
        ("?username=BOB", vec!["Bob"]),
        ("?username=bob&role=admin", vec![]),
        ("?username=old&is_active=true", vec![]),
        ("?email=Z@Example.org", vec!["zoe"]),
        ("?email=z@example.org&username=zoe", vec!["zoe"]),
        ("?email=z@example.org&username=ada", vec![]),
        ("?email=z@example.org&username=nobody", vec![]),
        ("?username=anonymous", vec![]),
    ] {
        let page = server.get(&root, &format!("{USERS}{query}")).await;
        let mut listed = names(&page);
        // The last two were created at the same instant.
        listed.sort_by_key(|name| expected.iter().position(|one| one == name));
        assert_eq!(listed, expected, "{query}");
        assert!(page["next_cursor"].is_null(), "{query}");
    }
    let (mut met, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&root, &format!("{USERS}?role=user&limit=1{cursor}")).await;
        met.extend(names(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(met, ["zoe", "ada", "Bob"]);
    let refused = answer(server.request(&root, "GET", &format!("{USERS}?role=admin{cursor}"))).await;
    assert_eq!((refused.status, &refused.body["errors"][0]["field"]), (422, &"cursor".into()));
}

async fn a_user_is_changed_and_erased(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada) = (server.admin("root").await, server.person("ada").await);
    let conversation = server.conversation(&ada).await;
    server.case.clock.advance(Duration::from_secs(60));
    let body = r#"{"username": null, "email": "ada@example.org", "full_name": "Ada L.", "must_change_password": true, "metadata": {"a": 1}}"#;
    let changed = exchange(server.send(&root, "PATCH", &path(&ada), body)).await;
    allow_duplicates! { assert_snapshot!(changed, @r#"
    PATCH /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43
    {"username": null, "email": "ada@example.org", "full_name": "Ada L.", "must_change_password": true, "metadata": {"a": 1}}

    200 OK
    content-type: application/json

    {
      "created_at": "2026-03-01T12:00:00.000000Z",
      "email": "ada@example.org",
      "email_verified_at": "2026-03-01T12:01:00.000000Z",
      "external_id": null,
      "external_namespace": null,
      "full_name": "Ada L.",
      "id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "is_active": true,
      "metadata": {
        "a": 1
      },
      "must_change_password": true,
      "role": "user",
      "short_id": "1CYcKgdReYjG4CFCN2qReJ",
      "updated_at": "2026-03-01T12:01:00.000000Z",
      "username": null
    }
    "#) }
    let before = server.get(&root, &path(&ada)).await;
    assert_eq!(answer(server.send(&root, "PATCH", &path(&ada), "{}")).await.body, before);
    let text = outlines([
        server.send(&root, "PATCH", &path(&ada), r#"{"is_active": false}"#),
        server.request(&ada, "GET", &conversation),
        server.send(&root, "PATCH", &path(&ada), r#"{"is_active": true}"#),
        server.request(&ada, "GET", &conversation),
        server.request(&ada, "GET", USERS),
        server.send(&root, "PATCH", &path(&ada), r#"{"role": "admin"}"#),
        server.request(&ada, "GET", USERS),
        server.request(&root, "DELETE", &path(&ada)),
        server.request(&ada, "GET", &conversation),
        server.request(&root, "GET", &path(&ada)),
        server.request(&root, "DELETE", &path(&ada)),
        server.send(&root, "PATCH", &path(&ada), "{}"),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    PATCH /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 {"is_active": false} → 200
    GET /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba → 401 unauthenticated
    PATCH /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 {"is_active": true} → 200
    GET /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba → 403 password-change-required
    GET /api/v1/users → 403 password-change-required
    PATCH /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 {"role": "admin"} → 200
    GET /api/v1/users → 401 unauthenticated
    DELETE /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 → 204
    GET /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba → 401 unauthenticated
    GET /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 → 404 not-found
    DELETE /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 → 404 not-found
    PATCH /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 {} → 404 not-found
    "#) }
    assert_eq!(server.store.operations().counts().await.unwrap().conversations, 0);
}

async fn the_last_active_administrator_keeps_the_role(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, other) = (server.admin("root").await, server.admin("other").await);
    let text = outlines([
        server.send(&root, "PATCH", &path(&other), r#"{"is_active": false}"#),
        server.send(&root, "PATCH", &path(&root), r#"{"is_active": false}"#),
        server.send(&root, "PATCH", &path(&root), r#"{"role": "user"}"#),
        server.request(&root, "DELETE", &path(&root)),
        server.request(&root, "DELETE", "/api/v1/users/me"),
        server.send(
            &root,
            "PATCH",
            &path(&root),
            r#"{"role": "admin", "is_active": true, "full_name": "R"}"#,
        ),
        server.send(&root, "PATCH", &path(&other), r#"{"is_active": true}"#),
        server.request(&root, "DELETE", &path(&root)),
        server.request(&other, "DELETE", &path(&other)),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    PATCH /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 {"is_active": false} → 200
    PATCH /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb {"is_active": false} → 409 conflict
    PATCH /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb {"role": "user"} → 409 conflict
    DELETE /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb → 409 conflict
    DELETE /api/v1/users/me → 409 conflict
    PATCH /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb {"role": "admin", "is_active": true, "full_name": "R"} → 200
    PATCH /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 {"is_active": true} → 200
    DELETE /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb → 204
    DELETE /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 → 409 conflict
    "#) }
}

async fn the_built_in_user_cannot_be_changed(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let nil = format!("{USERS}/{}", UserId::ANONYMOUS);
    let text = outlines([
        server.send(&root, "PATCH", &nil, r#"{"full_name": "A"}"#),
        server.request(&root, "DELETE", &nil),
        server.send(&root, "POST", &format!("{nil}/api-keys"), "{}"),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    PATCH /api/v1/users/00000000-0000-0000-0000-000000000000 {"full_name": "A"} → 409 conflict
    DELETE /api/v1/users/00000000-0000-0000-0000-000000000000 → 409 conflict
    POST /api/v1/users/00000000-0000-0000-0000-000000000000/api-keys {} → 403 forbidden
    "#) }
}

async fn a_user_is_found_or_created_by_address(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let by_email = |email: &str| format!("{USERS}/by-email/{email}");
    let body = r#"{"username": "ada", "full_name": "Ada L.", "metadata": {"a": 1}}"#;
    let created = exchange(server.send(&root, "PUT", &by_email("Ada%2Bx%40Example.org"), body)).await;
    allow_duplicates! { assert_snapshot!(created, @r#"
    PUT /api/v1/users/by-email/Ada%2Bx%40Example.org
    {"username": "ada", "full_name": "Ada L.", "metadata": {"a": 1}}

    201 Created
    content-type: application/json
    location: /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43

    {
      "created_at": "2026-03-01T12:00:00.000000Z",
      "email": "Ada+x@Example.org",
      "email_verified_at": "2026-03-01T12:00:00.000000Z",
      "external_id": null,
      "external_namespace": null,
      "full_name": "Ada L.",
      "id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "is_active": true,
      "metadata": {
        "a": 1
      },
      "must_change_password": false,
      "role": "user",
      "short_id": "1CYcKgdReYjG4CFCN2qReJ",
      "updated_at": "2026-03-01T12:00:00.000000Z",
      "username": "ada"
    }
    "#) }
    let other = r#"{"username": "other", "full_name": "Other"}"#;
    let found = answer(server.send(&root, "PUT", &by_email("ADA+X@example.ORG"), other)).await;
    assert_eq!((found.status, found.header("location")), (200, ""));
    assert_eq!(found.body["email"], "Ada+x@Example.org", "as it was first typed");
    assert_eq!(found.body["username"], "ada", "unchanged by the body");
    assert_eq!(answer(server.request(&root, "PUT", &by_email("ada%2Bx@example.org"))).await.body, found.body);
}

async fn one_of_sixteen_concurrent_puts_creates_the_user(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let target = format!("{USERS}/by-email/ada@example.org");
    let answers = at_once((0..16).map(|_| server.send(&root, "PUT", &target, "{}"))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 15].as_slice(), &[201]].concat());
    assert!(answers.iter().all(|answer| answer.body == answers[0].body), "all answers show the same one");
    assert_eq!(names(&server.get(&root, &format!("{USERS}?role=admin")).await), ["root"]);
    assert_eq!(server.get(&root, USERS).await["data"].as_array().unwrap().len(), 2);
}

async fn a_service_administers_every_user_but_administrators(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada) = (server.admin("root").await, server.person("ada").await);
    let service = server.service(&root).await;
    let (of_ada, of_root) = (path(&ada), path(&root));
    let key = server.store.keys().list(root.id).await.unwrap()[0].id;
    let text = outlines([
        server.request(&service, "GET", USERS),
        server.request(&service, "GET", &of_root),
        server.send(&service, "POST", USERS, r#"{"username": "bob"}"#),
        server.send(&service, "POST", USERS, r#"{"username": "boss", "role": "admin"}"#),
        server.request(&service, "PUT", &format!("{USERS}/by-email/b@example.org")),
        server.send(&service, "PATCH", &of_ada, r#"{"full_name": "Ada"}"#),
        server.send(&service, "PATCH", &of_ada, r#"{"role": "admin"}"#),
        server.send(&service, "PATCH", &of_root, r#"{"full_name": "Root"}"#),
        server.request(&service, "DELETE", &of_root),
        server.request(&service, "GET", &format!("{of_root}/api-keys")),
        server.send(&service, "POST", &format!("{of_root}/api-keys"), "{}"),
        server.request(&service, "DELETE", &format!("{of_root}/api-keys/{key}")),
        server.send(&service, "POST", &format!("{of_ada}/api-keys"), r#"{"scope": "service"}"#),
        server.send(&service, "POST", &format!("{of_ada}/api-keys"), "{}"),
        server.request(&service, "GET", &format!("{of_ada}/api-keys")),
        server.act(&service, "name:ada", "GET", USERS),
        server.act(&service, "name:root", "GET", USERS),
        server.act(&service, "name:nobody", "GET", USERS),
        server.act(&service, "nobody", "GET", USERS),
        server.request(&service, "GET", "/api/v1/users/me"),
        server.request(&service, "DELETE", &of_ada),
    ])
    .await;
    let text = text.replace(&key.to_string(), "<key>");
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/users → 200
    GET /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb → 200
    POST /api/v1/users {"username": "bob"} → 201
    POST /api/v1/users {"username": "boss", "role": "admin"} → 403 forbidden
    PUT /api/v1/users/by-email/b@example.org → 201
    PATCH /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 {"full_name": "Ada"} → 200
    PATCH /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 {"role": "admin"} → 403 forbidden
    PATCH /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb {"full_name": "Root"} → 403 forbidden
    DELETE /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb → 403 forbidden
    GET /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb/api-keys → 403 forbidden
    POST /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb/api-keys {} → 403 forbidden
    DELETE /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb/api-keys/<key> → 403 forbidden
    POST /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43/api-keys {"scope": "service"} → 403 forbidden
    POST /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43/api-keys {} → 403 forbidden
    GET /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43/api-keys → 200
    GET /api/v1/users [chatstore-user: name:ada] → 200
    GET /api/v1/users [chatstore-user: name:root] → 200
    GET /api/v1/users [chatstore-user: name:nobody] → 200
    GET /api/v1/users [chatstore-user: nobody] → 200
    GET /api/v1/users/me → 422 validation (Chatstore-User: required)
    DELETE /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 → 204
    "#) }
}
