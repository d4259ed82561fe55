//! Registration, login and the change of a password.

use std::time::Duration;

use chatstore::UserPatch;
use chatstore::auth::Password;
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Answer, CONVERSATIONS, Person, Server, answer, exchange, outlines, refusal};

conformance!(
    a_login_returns_tokens_that_authenticate,
    names_and_addresses_log_in_in_any_spelling,
    every_failed_login_is_answered_alike,
    registration_is_closed_by_default,
    a_registered_user_is_an_ordinary_user_who_can_log_in,
    a_password_that_breaks_a_rule_is_refused_by_its_field,
    an_administrator_creates_users_with_passwords_and_sees_no_hash,
    a_changed_password_ends_all_sessions,
    a_required_password_change_comes_before_anything_else,
    a_service_key_cannot_manage_credentials,
    an_idempotency_key_is_ignored_on_routes_with_secrets,
);

pub(crate) const PASSWORD: &str = "correct horse battery";
const OTHER: &str = "staple of many horses";
pub(crate) const LOGIN: &str = "/api/v1/auth/login";
const ME: &str = "/api/v1/users/me";

/// Sends JSON without credentials.
pub(crate) fn post(server: &Server, target: &str, body: &Value) -> RequestBuilder {
    server.anonymous("POST", target).header("Content-Type", "application/json").body(body.to_string())
}

/// A user with a password and a key.
pub(crate) async fn member(server: &Server, name: &str) -> Person {
    let person = server.person(name).await;
    server.store.auth().set_password(person.id, Password::new(PASSWORD), false).await.unwrap();
    person
}

pub(crate) async fn login(server: &Server, name: &str, password: &str) -> Answer {
    answer(post(server, LOGIN, &json!({"username": name, "password": password}))).await
}

/// Logs in and goes on with the access token in place of the key.
pub(crate) async fn logged_in(server: &Server, name: &str) -> (Person, Value) {
    let found = login(server, name, PASSWORD).await;
    assert_eq!(found.status, 200, "{}", found.body);
    let user = &found.body["user"];
    let id = user["id"].as_str().unwrap().parse().unwrap();
    (Person { id, key: found.body["access_token"].as_str().unwrap().to_owned() }, found.body)
}

/// A person in a session instead of with a key, who gets a password for it.
pub(crate) async fn in_session(server: &Server, person: &Person, name: &str) -> Person {
    server.store.auth().set_password(person.id, Password::new(PASSWORD), false).await.unwrap();
    logged_in(server, name).await.0
}

/// Shows the password again.
pub(crate) async fn confirm(server: &Server, person: &Person, password: &str) -> Answer {
    let body = json!({"password": password}).to_string();
    answer(server.send(person, "POST", "/api/v1/auth/confirm", &body)).await
}

/// A person in a session with a confirmed password.
pub(crate) async fn confirmed(server: &Server, person: &Person, name: &str) -> Person {
    let session = in_session(server, person, name).await;
    assert_eq!(confirm(server, &session, PASSWORD).await.status, 204);
    session
}

pub(crate) async fn status(server: &Server, person: &Person, method: &str, target: &str) -> u16 {
    answer(server.request(person, method, target)).await.status
}

async fn a_login_returns_tokens_that_authenticate(case: TestDatabase) {
    let server = Server::start(case).await;
    member(&server, "ada").await;
    let found = login(&server, "ada", PASSWORD).await;
    assert_eq!(found.status, 200);
    let tokens = &found.body;
    assert_eq!(
        (tokens["token_type"].as_str(), tokens["expires_in"].as_i64(), tokens["refresh_expires_in"].as_i64()),
        (Some("Bearer"), Some(600), Some(14 * 24 * 60 * 60))
    );
    assert_eq!(tokens["user"]["username"], "ada");
    let names: Vec<&String> = tokens.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "access_token",
            "expires_in",
            "refresh_expires_in",
            "refresh_token",
            "session_id",
            "token_type",
            "user"
        ]
    );

    let person =
        Person { key: tokens["access_token"].as_str().unwrap().to_owned(), ..server.person("x-y").await };
    assert_eq!(server.get(&person, ME).await["username"], "ada");
    server.conversation(&person).await;
    server.case.clock.advance(Duration::from_secs(600));
    assert_eq!(status(&server, &person, "GET", ME).await, 401, "ten minutes later");
}

async fn names_and_addresses_log_in_in_any_spelling(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = member(&server, "Straße").await;
    let patch = UserPatch {
        email: chatstore::Change::Set(chatstore::Email::new("Ada@Example.org").unwrap()),
        ..UserPatch::default()
    };
    server.store.users().update(ada.id, patch).await.unwrap();
    for body in [
        json!({"username": "Straße", "password": PASSWORD}),
        json!({"username": " STRASSE ", "password": PASSWORD}),
        json!({"username": "ada@example.ORG", "password": PASSWORD}),
        json!({"email": "ada@example.ORG", "password": PASSWORD}),
        json!({"username": "\tada@example.org\u{1f}", "password": PASSWORD}),
        json!({"email": "\u{3000}ada@example.org ", "password": PASSWORD}),
    ] {
        assert_eq!(answer(post(&server, LOGIN, &body)).await.status, 200, "{body}");
    }
    for body in
        [json!({"email": "Straße", "password": PASSWORD}), json!({"username": "ada", "password": PASSWORD})]
    {
        assert_eq!(answer(post(&server, LOGIN, &body)).await.status, 401, "{body}");
    }
    for (body, field) in [
        (json!({"password": PASSWORD}), ("username", "required")),
        (json!({"username": "a", "email": "a@b", "password": ""}), ("email", "not_allowed")),
        (json!({"username": "ada"}), ("password", "required")),
        (json!({"username": "ada", "password": 1}), ("password", "wrong_type")),
        (json!({"username": "a\u{0}", "password": ""}), ("username", "nul_character")),
        (json!({"username": "ada", "password": "a\u{0}"}), ("password", "nul_character")),
    ] {
        let expected = vec![(field.0.to_owned(), field.1.to_owned())];
        assert_eq!(refusal(post(&server, LOGIN, &body)).await, (422, expected), "{body}");
    }
}

async fn every_failed_login_is_answered_alike(case: TestDatabase) {
    let server = Server::start(case).await;
    member(&server, "ada").await;
    let disabled = member(&server, "bob").await;
    let patch = UserPatch { is_active: Some(false), ..UserPatch::default() };
    server.store.users().update(disabled.id, patch).await.unwrap();
    let erased = member(&server, "eve").await;
    server.store.users().erase(erased.id).await.unwrap();
    server.person("nopassword").await;
    let text = exchange(post(&server, LOGIN, &json!({"username": "nobody", "password": PASSWORD}))).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/auth/login
    {"password":"correct horse battery","username":"nobody"}

    401 Unauthorized
    content-type: application/problem+json
    www-authenticate: Bearer

    {
      "detail": "name and password, or the token, are not those of a user",
      "request_id": "r-1",
      "status": 401,
      "title": "Invalid credentials",
      "type": "urn:chatstore:problem:invalid-credentials"
    }
    "#) }
    let unknown = login(&server, "nobody", PASSWORD).await;
    for (name, password) in [
        ("ada", "another password"),
        ("ada", ""),
        ("ada", &"x".repeat(5_000)),
        ("bob", PASSWORD),
        ("eve", PASSWORD),
        ("nopassword", PASSWORD),
        ("anonymous", PASSWORD),
        ("", ""),
    ] {
        let failed = login(&server, name, password).await;
        assert_eq!((failed.status, &failed.body), (401, &unknown.body), "{name}");
        assert_eq!(failed.headers["content-length"], unknown.headers["content-length"], "{name}");
    }
}

async fn registration_is_closed_by_default(case: TestDatabase) {
    let server = Server::start_with(case, chatstore_http::router).await;
    let body = json!({"username": "ada", "password": PASSWORD});
    let refused = answer(post(&server, "/api/v1/auth/register", &body)).await;
    assert_eq!(
        (refused.status, refused.body["type"].as_str()),
        (403, Some("urn:chatstore:problem:registration-closed"))
    );
    assert_eq!(server.store.users().find_by_username("ada").await.unwrap(), None);
}

async fn a_registered_user_is_an_ordinary_user_who_can_log_in(case: TestDatabase) {
    let server = Server::start(case).await;
    let body =
        json!({"username": "ada", "email": "ada@example.org", "password": PASSWORD, "full_name": "Ada L."});
    let created = answer(post(&server, "/api/v1/auth/register", &body)).await;
    assert_eq!((created.status, created.header("location")), (201, ME));
    assert_eq!(created.body["role"], "user");
    assert!(!created.body.to_string().contains("argon2"), "{}", created.body);
    let (ada, _) = logged_in(&server, "ada").await;
    assert_eq!(server.get(&ada, ME).await["full_name"], "Ada L.");

    for (body, expected) in [
        (json!({"username": "ADA", "password": PASSWORD}), (409, "username", "not_allowed")),
        (json!({"username": "anonymous", "password": PASSWORD}), (409, "username", "not_allowed")),
        (json!({"password": PASSWORD}), (422, "username", "required")),
        (json!({"username": "eve", "password": PASSWORD, "role": "admin"}), (422, "role", "unknown_field")),
        (
            json!({"username": "eve", "password": PASSWORD, "is_active": true}),
            (422, "is_active", "unknown_field"),
        ),
        (json!({"username": "eve"}), (422, "password", "required")),
    ] {
        let (status, errors) = refusal(post(&server, "/api/v1/auth/register", &body)).await;
        let (field, code) = errors[0].clone();
        assert_eq!((status, field.as_str(), code.as_str()), expected, "{body}");
    }
}

async fn a_password_that_breaks_a_rule_is_refused_by_its_field(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = member(&server, "ada.lovelace").await;
    let long = "知".repeat(342);
    for (password, code) in [
        ("eleven char", "too_short"),
        (long.as_str(), "too_long"),
        ("passwordpassword", "not_allowed"),
        ("Ada.Lovelace", "not_allowed"),
        (PASSWORD, "not_allowed"),
    ] {
        let body = json!({"current_password": PASSWORD, "new_password": password}).to_string();
        let (status, errors) = refusal(server.send(&ada, "POST", "/api/v1/auth/password", &body)).await;
        assert_eq!((status, errors), (422, vec![("new_password".to_owned(), code.to_owned())]), "{password}");
    }
    let body = json!({"username": "ada.lovelace2", "password": "ada.lovelace2"});
    let (status, errors) = refusal(post(&server, "/api/v1/auth/register", &body)).await;
    assert_eq!((status, errors), (422, vec![("password".to_owned(), "not_allowed".to_owned())]));
    assert_eq!(login(&server, "ada.lovelace", PASSWORD).await.status, 200, "nothing was changed");
}

async fn an_administrator_creates_users_with_passwords_and_sees_no_hash(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let body = json!({"username": "ada", "password": PASSWORD, "must_change_password": true});
    let created = answer(server.send(&root, "POST", "/api/v1/users", &body.to_string())).await;
    assert_eq!((created.status, &created.body["must_change_password"]), (201, &json!(true)));
    let list = answer(server.request(&root, "GET", "/api/v1/users")).await;
    for text in [created.body.to_string(), list.body.to_string()] {
        assert!(!text.contains("argon2") && !text.contains("hash"), "{text}");
    }
    assert_eq!(login(&server, "ada", PASSWORD).await.status, 200);
    let weak = json!({"username": "eve", "password": "short"});
    let (status, errors) = refusal(server.send(&root, "POST", "/api/v1/users", &weak.to_string())).await;
    assert_eq!((status, errors), (422, vec![("password".to_owned(), "too_short".to_owned())]));
}

async fn a_changed_password_ends_all_sessions(case: TestDatabase) {
    let server = Server::start(case).await;
    let key = member(&server, "ada").await;
    let (one, tokens) = logged_in(&server, "ada").await;
    let (two, _) = logged_in(&server, "ada").await;
    let change = |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new}).to_string();
        server.send(&one, "POST", "/api/v1/auth/password", &body)
    };
    let wrong = answer(change("another password", OTHER)).await;
    let kind = wrong.body["type"].as_str();
    assert_eq!((wrong.status, kind), (401, Some("urn:chatstore:problem:invalid-credentials")));
    assert_eq!(status(&server, &one, "GET", ME).await, 200, "a wrong password ends no session");

    assert_eq!(answer(change(PASSWORD, OTHER)).await.status, 204);
    for session in [&one, &two] {
        assert_eq!(status(&server, session, "GET", ME).await, 401);
    }
    let refreshed = post(&server, "/api/v1/auth/refresh", &json!({"refresh_token": tokens["refresh_token"]}));
    assert_eq!(answer(refreshed).await.status, 401);
    assert_eq!(status(&server, &key, "GET", ME).await, 200, "API keys stay valid");
    assert_eq!(login(&server, "ada", PASSWORD).await.status, 401);
    assert_eq!(login(&server, "ada", OTHER).await.status, 200);
}

async fn a_required_password_change_comes_before_anything_else(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    server.store.auth().set_password(root.id, Password::new(PASSWORD), true).await.unwrap();
    let (session, tokens) = logged_in(&server, "root").await;
    assert_eq!(tokens["user"]["must_change_password"], true);
    for (method, target) in [
        ("GET", CONVERSATIONS),
        ("POST", CONVERSATIONS),
        ("PATCH", ME),
        ("DELETE", ME),
        ("GET", "/api/v1/users"),
    ] {
        let refused = answer(server.request(&session, method, target)).await;
        let kind = refused.body["type"].as_str();
        assert_eq!(
            (refused.status, kind),
            (403, Some("urn:chatstore:problem:password-change-required")),
            "{target}"
        );
    }
    for (method, target) in [("GET", ME), ("GET", "/api/v1/auth/sessions"), ("GET", "/api/v1/auth/api-keys")]
    {
        assert_eq!(status(&server, &session, method, target).await, 200, "{target}");
    }
    for (method, target) in [("GET", CONVERSATIONS), ("GET", ME), ("GET", "/api/v1/auth/api-keys")] {
        let refused = answer(server.request(&root, method, target)).await;
        assert_eq!(refused.status, 403, "a key of a user with a one-time password: {target}");
    }
    let body = json!({"current_password": PASSWORD, "new_password": OTHER}).to_string();
    assert_eq!(answer(server.send(&session, "POST", "/api/v1/auth/password", &body)).await.status, 204);
    let again = login(&server, "root", OTHER).await;
    assert_eq!(again.body["user"]["must_change_password"], false);
}

async fn a_service_key_cannot_manage_credentials(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    member(&server, "ada").await;
    let service = server.service(&root).await;
    let body = json!({"username": "ada", "password": PASSWORD}).to_string();
    let text = outlines([
        server.send(&service, "POST", LOGIN, &body),
        server.send(&service, "POST", "/api/v1/auth/register", &body),
        server.send(&service, "POST", "/api/v1/auth/refresh", "{}"),
        server.act(&service, "name:ada", "POST", "/api/v1/auth/logout"),
        server.act(&service, "name:ada", "GET", "/api/v1/auth/sessions"),
        server.send(&root, "POST", "/api/v1/auth/logout", ""),
        server.send(&root, "POST", "/api/v1/auth/logout-all", ""),
        server.send(&root, "POST", "/api/v1/auth/logout", r#"{"x": 1}"#),
        server.anonymous("POST", LOGIN).header("Chatstore-User", "name:ada"),
        server
            .anonymous("POST", LOGIN)
            .header("Authorization", "Bearer expired")
            .header("Content-Type", "application/json")
            .body(body),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/auth/login {"password":"correct horse battery","username":"ada"} → 403 forbidden
    POST /api/v1/auth/register {"password":"correct horse battery","username":"ada"} → 403 forbidden
    POST /api/v1/auth/refresh {} → 403 forbidden
    POST /api/v1/auth/logout [chatstore-user: name:ada] → 403 forbidden
    GET /api/v1/auth/sessions [chatstore-user: name:ada] → 403 forbidden
    POST /api/v1/auth/logout → 409 conflict
    POST /api/v1/auth/logout-all → 204
    POST /api/v1/auth/logout {"x": 1} → 422 validation (x: unknown_field)
    POST /api/v1/auth/login [chatstore-user: name:ada] → 403 forbidden
    POST /api/v1/auth/login {"password":"correct horse battery","username":"ada"} → 200
    "#); }
}

async fn an_idempotency_key_is_ignored_on_routes_with_secrets(case: TestDatabase) {
    let server = Server::start(case).await;
    member(&server, "ada").await;
    let body = json!({"username": "ada", "password": PASSWORD});
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let found = answer(post(&server, LOGIN, &body).header("Idempotency-Key", "once")).await;
        assert_eq!((found.status, found.header("idempotency-replayed")), (200, ""));
        sessions.push(found.body["session_id"].clone());
    }
    assert_ne!(sessions[0], sessions[1]);
}
