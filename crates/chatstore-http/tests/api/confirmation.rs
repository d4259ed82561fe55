//! What a stolen session or key must not do: it asks for the password again.

use std::time::Duration;

use chatstore::auth::Password;
use chatstore::{UserPatch, UserRole};
use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::login::{PASSWORD, confirm, confirmed, in_session, logged_in, login, member, status};
use crate::support::{Answer, Person, Server, answer};

conformance!(
    what_changes_who_a_user_is_asks_for_the_password_again,
    a_confirmation_is_for_one_session_or_key_and_five_minutes,
    a_user_without_a_password_and_a_service_are_not_asked,
    administrators_are_asked_for_their_own_account,
    wrong_confirmations_are_limited_like_logins,
    another_password_ends_confirmations_and_takes_the_keys_along_where_that_is_said,
    a_one_time_password_becomes_no_key,
    becoming_an_administrator_ends_the_keys_of_a_user,
    a_service_does_not_reach_the_keys_of_the_built_in_user,
    a_service_key_is_rotated_by_itself,
    a_user_rotates_a_key_in_a_session,
);

const ME: &str = "/api/v1/users/me";
const KEYS: &str = "/api/v1/auth/api-keys";
const ROTATE: &str = "/api/v1/auth/api-key/rotate";

fn kind(answer: &Answer) -> (u16, &str) {
    let text = answer.body["type"].as_str().unwrap_or_default();
    (answer.status, text.trim_start_matches("urn:chatstore:problem:"))
}

const REQUIRED: (u16, &str) = (403, "confirmation-required");

async fn what_changes_who_a_user_is_asks_for_the_password_again(case: TestDatabase) {
    let server = Server::start(case).await;
    let key = member(&server, "ada").await;
    let (session, _) = logged_in(&server, "ada").await;
    let change = |person: &Person, body: &str| server.send(person, "PATCH", ME, body);
    for person in [&key, &session] {
        for body in [r#"{"email": "ada@example.org"}"#, r#"{"full_name": "A", "email": "a@example.org"}"#] {
            assert_eq!(kind(&answer(change(person, body)).await), REQUIRED, "{body}");
        }
        assert_eq!(kind(&answer(server.request(person, "DELETE", ME)).await), REQUIRED);
        assert_eq!(answer(change(person, r#"{"full_name": "Ada", "username": "Ada"}"#)).await.status, 200);
        assert_eq!(answer(change(person, r#"{"email": null}"#)).await.status, 200, "there is none");
        let wrong = confirm(&server, person, "another password").await;
        assert_eq!(kind(&wrong), (401, "invalid-credentials"));
        assert_eq!(kind(&answer(server.request(person, "DELETE", ME)).await), REQUIRED);
        assert_eq!(confirm(&server, person, PASSWORD).await.status, 204);
        let changed = answer(change(person, r#"{"email": "ada@example.org"}"#)).await;
        assert_eq!((changed.status, &changed.body["email"]), (200, &json!("ada@example.org")));
        let cleared = answer(change(person, r#"{"email": null}"#)).await;
        assert_eq!((cleared.status, &cleared.body["email"]), (200, &Value::Null));
    }
    assert_eq!(answer(server.request(&key, "DELETE", ME)).await.status, 204);
    assert_eq!(login(&server, "ada", PASSWORD).await.status, 401);
}

async fn a_confirmation_is_for_one_session_or_key_and_five_minutes(case: TestDatabase) {
    let server = Server::start(case).await;
    let key = member(&server, "ada").await;
    let ((one, _), (two, _)) = (logged_in(&server, "ada").await, logged_in(&server, "ada").await);
    assert_eq!(confirm(&server, &one, PASSWORD).await.status, 204);
    let create = |person: &Person| server.send(person, "POST", KEYS, "{}");
    assert_eq!(answer(create(&one)).await.status, 201);
    assert_eq!(kind(&answer(create(&two)).await), REQUIRED, "another session");
    assert_eq!(kind(&answer(server.request(&key, "DELETE", ME)).await), REQUIRED, "a key");
    server.case.clock.advance(Duration::from_secs(299));
    assert_eq!(answer(create(&one)).await.status, 201);
    server.case.clock.advance(Duration::from_secs(1));
    assert_eq!(kind(&answer(create(&one)).await), REQUIRED);
    assert_eq!(confirm(&server, &one, PASSWORD).await.status, 204);
    assert_eq!(answer(create(&one)).await.status, 201);
}

async fn a_user_without_a_password_and_a_service_are_not_asked(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, bare) = (server.admin("root").await, server.person("bare").await);
    member(&server, "ada").await;
    let service = server.service(&root).await;
    let body = r#"{"email": "bare@example.org"}"#;
    assert_eq!(answer(server.send(&bare, "PATCH", ME, body)).await.status, 200);
    assert_eq!(answer(server.request(&bare, "DELETE", ME)).await.status, 204);
    let patch = server.send(&service, "PATCH", ME, r#"{"email": "ada@example.org"}"#);
    assert_eq!(answer(patch.header("Chatstore-User", "name:ada")).await.status, 200);
    assert_eq!(answer(server.act(&service, "name:ada", "DELETE", ME)).await.status, 204);
    let refused = confirm(&server, &service, PASSWORD).await;
    assert_eq!(kind(&refused), (403, "forbidden"), "a service has no password");
    let other = server.person("other").await;
    assert_eq!(kind(&confirm(&server, &other, PASSWORD).await), (401, "invalid-credentials"));
}

async fn administrators_are_asked_for_their_own_account(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada) = (server.admin("root").await, server.person("ada").await);
    server.admin("second").await;
    let session = in_session(&server, &root, "root").await;
    let (of_root, of_ada) = (format!("/api/v1/users/{}", root.id), format!("/api/v1/users/{}", ada.id));
    for person in [&root, &session] {
        let body = r#"{"email": "root@example.org"}"#;
        assert_eq!(kind(&answer(server.send(person, "PATCH", &of_root, body)).await), REQUIRED);
        assert_eq!(kind(&answer(server.request(person, "DELETE", &of_root)).await), REQUIRED);
        assert_eq!(answer(server.send(person, "PATCH", &of_root, r#"{"full_name": "R"}"#)).await.status, 200);
        let body = r#"{"email": "ada@example.org"}"#;
        assert_eq!(answer(server.send(person, "PATCH", &of_ada, body)).await.status, 200, "administration");
    }
    for target in [format!("{of_root}/api-keys"), format!("{of_ada}/api-keys")] {
        assert_eq!(kind(&answer(server.send(&session, "POST", &target, "{}")).await), REQUIRED);
    }
    assert_eq!(confirm(&server, &session, PASSWORD).await.status, 204);
    assert_eq!(answer(server.send(&session, "POST", &format!("{of_ada}/api-keys"), "{}")).await.status, 201);
    assert_eq!(answer(server.request(&session, "DELETE", &of_root)).await.status, 204);
}

async fn wrong_confirmations_are_limited_like_logins(case: TestDatabase) {
    let server = Server::start(case).await;
    member(&server, "ada").await;
    let (session, _) = logged_in(&server, "ada").await;
    for _ in 0..10 {
        assert_eq!(confirm(&server, &session, "another password").await.status, 401);
    }
    let limited = confirm(&server, &session, "another password").await;
    assert_eq!(kind(&limited), (429, "rate-limited"));
    assert_ne!(limited.header("retry-after"), "");
}

async fn another_password_ends_confirmations_and_takes_the_keys_along_where_that_is_said(case: TestDatabase) {
    let server = Server::start(case).await;
    let key = member(&server, "ada").await;
    assert_eq!(confirm(&server, &key, PASSWORD).await.status, 204);
    let change = |current: &str, new: &str, more: Value| {
        let mut body = json!({"current_password": current, "new_password": new});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.send(&key, "POST", "/api/v1/auth/password", &body.to_string())
    };
    assert_eq!(answer(change(PASSWORD, "staple of many horses", json!({}))).await.status, 204);
    assert_eq!(kind(&answer(server.request(&key, "DELETE", ME)).await), REQUIRED, "of the former password");
    let and_keys = json!({"api_keys": true});
    assert_eq!(answer(change("another password", PASSWORD, and_keys.clone())).await.status, 401);
    assert_eq!(status(&server, &key, "GET", ME).await, 200, "a wrong password takes nothing");
    assert_eq!(answer(change("staple of many horses", PASSWORD, and_keys)).await.status, 204);
    assert_eq!(status(&server, &key, "GET", ME).await, 401);
}

async fn a_one_time_password_becomes_no_key(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada) = (server.admin("root").await, server.person("ada").await);
    let service = server.service(&root).await;
    let set = async |person: &Person, must_change| {
        let password = Password::new(PASSWORD);
        server.store.auth().set_password(person.id, password, must_change).await.unwrap();
    };
    set(&ada, true).await;
    set(&root, true).await;
    let (session, _) = logged_in(&server, "ada").await;
    assert_eq!(confirm(&server, &session, PASSWORD).await.status, 204);
    let refused = answer(server.send(&session, "POST", KEYS, "{}")).await;
    assert_eq!(kind(&refused), (403, "password-change-required"));
    let key = server.store.keys().list(ada.id).await.unwrap()[0].id;
    let rotate = server.send(&session, "POST", &format!("{KEYS}/{key}/rotate"), "{}");
    assert_eq!(kind(&answer(rotate).await), (403, "password-change-required"));
    for target in [ME, "/api/v1/conversations", KEYS, "/api/v1/auth/sessions", "/api/v1/auth/api-key"] {
        let refused = answer(server.request(&ada, "GET", target)).await;
        assert_eq!(kind(&refused), (403, "password-change-required"), "a key from before: {target}");
    }
    let acting = answer(server.act(&service, "anonymous", "GET", "/api/v1/conversations")).await;
    assert_eq!(kind(&acting), (403, "password-change-required"), "an administrator's service key");
    let made = server.store.keys().create(ada.id, chatstore::ApiKeyScope::User, None, None).await;
    assert_eq!(made.unwrap_err().kind(), chatstore::ErrorKind::Conflict);
    for person in [&ada, &root] {
        set(person, false).await;
    }
    assert_eq!(status(&server, &ada, "GET", ME).await, 200, "the keys are good again");
}

async fn becoming_an_administrator_ends_the_keys_of_a_user(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada) = (server.admin("root").await, server.person("ada").await);
    let promote = |role: &str| {
        let body = json!({"role": role}).to_string();
        server.send(&root, "PATCH", &format!("/api/v1/users/{}", ada.id), &body)
    };
    assert_eq!(answer(promote("user")).await.status, 200);
    assert_eq!(status(&server, &ada, "GET", ME).await, 200);
    assert_eq!(answer(promote("admin")).await.status, 200);
    assert_eq!(status(&server, &ada, "GET", ME).await, 401);
    let eve = server.person("eve").await;
    let patch = UserPatch { role: Some(UserRole::Admin), ..UserPatch::default() };
    server.store.users().update(eve.id, patch).await.unwrap();
    assert_eq!(status(&server, &eve, "GET", ME).await, 401, "however it is done");
}

async fn a_service_does_not_reach_the_keys_of_the_built_in_user(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let built_in = Person { id: chatstore::UserId::ANONYMOUS, ..root.clone() };
    let (first, second) = (server.service(&built_in).await, server.service(&built_in).await);
    let keys = server.store.keys().list(built_in.id).await.unwrap();
    let target = format!("/api/v1/users/{}", built_in.id);
    for (method, path) in [
        ("GET", format!("{target}/api-keys")),
        ("POST", format!("{target}/api-keys")),
        ("DELETE", format!("{target}/api-keys/{}", keys[1].id)),
        ("PATCH", target.clone()),
        ("DELETE", target.clone()),
    ] {
        let refused = answer(server.send(&first, method, &path, "")).await;
        assert_eq!(kind(&refused), (403, "forbidden"), "{method} {path}");
    }
    let exported = server.act(&first, "anonymous", "GET", "/api/v1/users/me/export").send().await.unwrap();
    let exported = exported.text().await.unwrap();
    assert!(!exported.contains(&keys[1].id.to_string()) && !exported.contains("api_key\""), "{exported}");
    assert_eq!(status(&server, &second, "GET", "/api/v1/users").await, 200);
    let listed = server.get(&root, &format!("{target}/api-keys")).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 2, "an administrator does");
}

async fn a_service_key_is_rotated_by_itself(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada) = (server.admin("root").await, server.person("ada").await);
    let old = server.service(&root).await;
    let rotate = async |person: &Person, body: &str| {
        let rotated = answer(server.send(person, "POST", ROTATE, body)).await;
        assert_eq!(rotated.status, 200, "{}", rotated.body);
        (Person { key: rotated.body["key"].as_str().unwrap().to_owned(), ..old.clone() }, rotated.body)
    };
    let acts = async |person: &Person| {
        answer(server.act(person, "name:ada", "GET", "/api/v1/conversations")).await.status
    };
    let (lost, _) = rotate(&old, r#"{"overlap_seconds": 60}"#).await;
    let (new, shown) = rotate(&old, r#"{"overlap_seconds": 3600}"#).await;
    assert_eq!(shown["previous_expires_at"], "2026-03-01T12:01:00.000000Z", "its end is not put off");
    assert_eq!((acts(&old).await, acts(&lost).await, acts(&new).await), (200, 401, 200));
    server.case.clock.advance(Duration::from_secs(60));
    assert_eq!((acts(&old).await, acts(&new).await), (401, 200));
    let (newest, shown) = rotate(&new, "{}").await;
    assert_eq!(shown["previous_expires_at"], "2026-03-02T12:01:00.000000Z", "a day by default");
    assert_eq!((acts(&new).await, acts(&newest).await), (200, 200));
    let (last, _) = rotate(&newest, r#"{"overlap_seconds": 0}"#).await;
    assert_eq!((acts(&new).await, acts(&newest).await, acts(&last).await), (401, 401, 200));
    for (body, code) in [
        (r#"{"overlap_seconds": 604801}"#, "out_of_range"),
        (r#"{"overlap_seconds": -1}"#, "out_of_range"),
        (r#"{"overlap_seconds": "1"}"#, "wrong_type"),
    ] {
        let (status, errors) = crate::support::refusal(server.send(&last, "POST", ROTATE, body)).await;
        assert_eq!((status, errors), (422, vec![("overlap_seconds".to_owned(), code.to_owned())]), "{body}");
    }
    assert_eq!(kind(&answer(server.send(&ada, "POST", ROTATE, "{}")).await), (403, "forbidden"));
}

async fn a_user_rotates_a_key_in_a_session(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let (own, foreign) = (
        server.store.keys().list(ada.id).await.unwrap()[0].id,
        server.store.keys().list(eve.id).await.unwrap()[0].id,
    );
    let session = in_session(&server, &ada, "ada").await;
    let rotate = |person: &Person, id: &str| {
        server.send(person, "POST", &format!("{KEYS}/{id}/rotate"), r#"{"overlap_seconds": 0}"#)
    };
    assert_eq!(kind(&answer(rotate(&session, &own.to_string())).await), REQUIRED);
    assert_eq!(
        kind(&answer(rotate(&ada, &own.to_string())).await),
        (403, "forbidden"),
        "a key makes no keys"
    );
    let session = confirmed(&server, &ada, "ada").await;
    for id in [foreign.to_string(), "00000000-0000-7000-8000-000000000001".to_owned(), "no-id".to_owned()] {
        assert_eq!(kind(&answer(rotate(&session, &id)).await), (404, "not-found"), "{id}");
    }
    let rotated = answer(rotate(&session, &own.short())).await;
    assert_eq!((rotated.status, &rotated.body["id"]), (200, &json!(own.to_string())));
    let new = Person { id: ada.id, key: rotated.body["key"].as_str().unwrap().to_owned() };
    assert_eq!((status(&server, &ada, "GET", ME).await, status(&server, &new, "GET", ME).await), (401, 200));
    assert_eq!(status(&server, &eve, "GET", ME).await, 200);
}
