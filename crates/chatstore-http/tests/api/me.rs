//! The current user.

use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};

use crate::support::{Server, answer, exchanges, outlines};

conformance!(
    users_read_and_change_themselves,
    fields_that_users_cannot_change_themselves_are_refused,
    an_erased_user_is_gone_with_their_key,
    a_service_reads_and_changes_the_user_it_acts_for,
);

const ME: &str = "/api/v1/users/me";

async fn users_read_and_change_themselves(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let text = exchanges([
        server.request(&ada, "GET", ME),
        server.send(
            &ada,
            "PATCH",
            ME,
            r#"{"username": null, "email": "Ada@Example.org", "full_name": "Ada L."}"#,
        ),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/users/me

    200 OK
    content-type: application/json

    {
      "created_at": "2026-03-01T12:00:00.000000Z",
      "email": null,
      "email_verified_at": null,
      "external_id": null,
      "external_namespace": null,
      "full_name": null,
      "id": "019ca945-0a00-710a-adec-89025cc1beeb",
      "is_active": true,
      "metadata": {},
      "must_change_password": false,
      "role": "user",
      "short_id": "1CYcKgdRe6VkxLyee5rhEJ",
      "updated_at": "2026-03-01T12:00:00.000000Z",
      "username": "ada"
    }
    ────
    PATCH /api/v1/users/me
    {"username": null, "email": "Ada@Example.org", "full_name": "Ada L."}

    200 OK
    content-type: application/json

    {
      "created_at": "2026-03-01T12:00:00.000000Z",
      "email": "Ada@Example.org",
      "email_verified_at": null,
      "external_id": null,
      "external_namespace": null,
      "full_name": "Ada L.",
      "id": "019ca945-0a00-710a-adec-89025cc1beeb",
      "is_active": true,
      "metadata": {},
      "must_change_password": false,
      "role": "user",
      "short_id": "1CYcKgdRe6VkxLyee5rhEJ",
      "updated_at": "2026-03-01T12:00:00.000000Z",
      "username": null
    }
    ────
    "#) }
    let changed = server.get(&ada, ME).await;
    assert_eq!(changed["email"], "Ada@Example.org");
    assert_eq!(answer(server.send(&ada, "PATCH", ME, "{}")).await.body, changed, "nothing to change");
}

async fn fields_that_users_cannot_change_themselves_are_refused(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, _eve) = (server.person("ada").await, server.person("eve").await);
    let before = server.get(&ada, ME).await;
    let text = outlines([
        server.send(&ada, "PATCH", ME, r#"{"role": "admin"}"#),
        server.send(&ada, "PATCH", ME, r#"{"password_hash": "x", "password": "y"}"#),
        server.send(
            &ada,
            "PATCH",
            ME,
            r#"{"is_active": true, "must_change_password": false, "metadata": {}}"#,
        ),
        server.send(&ada, "PATCH", ME, r#"{"username": "é", "email": "e", "full_name": "\u0000"}"#),
        server.send(&ada, "PATCH", ME, r#"{"username": "EVE"}"#),
        server.send(&ada, "PATCH", ME, r#"{"username": "anonymous"}"#),
        server.send(&ada, "PATCH", ME, r#"{"username": null}"#),
        server.send(&ada, "PATCH", ME, r#"{"username": "Ada"}"#),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    PATCH /api/v1/users/me {"role": "admin"} → 422 validation (role: unknown_field)
    PATCH /api/v1/users/me {"password_hash": "x", "password": "y"} → 422 validation (password: unknown_field) (password_hash: unknown_field)
    PATCH /api/v1/users/me {"is_active": true, "must_change_password": false, "metadata": {}} → 422 validation (is_active: unknown_field) (metadata: unknown_field) (must_change_password: unknown_field)
    PATCH /api/v1/users/me {"username": "é", "email": "e", "full_name": "\u0000"} → 422 validation (username: too_short) (email: invalid_format) (full_name: nul_character)
    PATCH /api/v1/users/me {"username": "EVE"} → 409 already-exists (username: not_allowed)
    PATCH /api/v1/users/me {"username": "anonymous"} → 409 already-exists (username: not_allowed)
    PATCH /api/v1/users/me {"username": null} → 409 conflict
    PATCH /api/v1/users/me {"username": "Ada"} → 200
    "#) }
    let after = server.get(&ada, ME).await;
    assert_eq!((&after["role"], &after["username"]), (&before["role"], &"Ada".into()));
}

async fn an_erased_user_is_gone_with_their_key(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada, eve) =
        (server.admin("root").await, server.person("ada").await, server.person("eve").await);
    let own = server.conversation(&ada).await;
    server.post(&ada, &format!("{own}/replies"), r#"{"content": "secret"}"#).await;
    let shared = server.conversation(&eve).await;
    server.share(&shared, &eve, &ada, chatstore::MemberRole::Editor).await;
    server.post(&eve, &format!("{shared}/messages"), r#"{"content": "of eve"}"#).await;
    server.post(&ada, &format!("{shared}/messages"), r#"{"content": "of ada"}"#).await;
    let text = outlines([
        server.request(&ada, "DELETE", ME),
        server.request(&ada, "GET", ME),
        server.request(&ada, "DELETE", ME),
        server.request(&root, "GET", &format!("/api/v1/users/{}", ada.id)),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @"
    DELETE /api/v1/users/me → 204
    GET /api/v1/users/me → 401 unauthenticated
    DELETE /api/v1/users/me → 401 unauthenticated
    GET /api/v1/users/019ca945-0a00-7917-98de-357e3da8cb43 → 404 not-found
    ") }
    let repaired = server.get(&eve, &shared).await;
    assert_eq!((&repaired["message_count"], &repaired["last_message"]), (&1.into(), &"of eve".into()));
    let members = server.get(&eve, &format!("{shared}/members")).await;
    assert_eq!(members["data"].as_array().unwrap().len(), 1);
    assert_eq!(server.store.operations().counts().await.unwrap().conversations, 1);
}

async fn a_service_reads_and_changes_the_user_it_acts_for(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada) = (server.admin("root").await, server.person("ada").await);
    let service = server.service(&root).await;
    let read = answer(server.act(&service, "name:ada", "GET", ME)).await;
    assert_eq!((read.status, read.body), (200, server.get(&ada, ME).await));
    let patch = |whom: &str, body: &'static str| {
        server.act(&service, whom, "PATCH", ME).header("Content-Type", "application/json").body(body)
    };
    let text = outlines([
        patch("name:ada", r#"{"full_name": "Ada L."}"#),
        patch("anonymous", r#"{"full_name": "Nobody"}"#),
        server.act(&service, "anonymous", "DELETE", ME),
        server.act(&service, "name:ada", "DELETE", ME),
        server.act(&service, "name:ada", "GET", ME),
        server.request(&ada, "GET", ME),
        server.request(&service, "GET", "/api/v1/users"),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    PATCH /api/v1/users/me [chatstore-user: name:ada] {"full_name": "Ada L."} → 200
    PATCH /api/v1/users/me [chatstore-user: anonymous] {"full_name": "Nobody"} → 409 conflict
    DELETE /api/v1/users/me [chatstore-user: anonymous] → 409 conflict
    DELETE /api/v1/users/me [chatstore-user: name:ada] → 204
    GET /api/v1/users/me [chatstore-user: name:ada] → 404 unknown-user
    GET /api/v1/users/me → 401 unauthenticated
    GET /api/v1/users → 200
    "#) }
}
