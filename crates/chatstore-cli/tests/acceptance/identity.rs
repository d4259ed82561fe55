//! Logging in, as chatcore and chat_app do it: older hashes, sessions, tokens that rotate, the first users.

use chatstore::auth::PasswordHash;
use chatstore::{NewUser, UserName};
use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::support::{Answer, Application, Caller, text};

conformance!(
    k1_a_password_of_the_old_system_still_works,
    k4_a_session_has_its_last_activity_and_ends_when_it_is_ended,
    k4_refresh_tokens_rotate_and_reuse_ends_the_session,
    k10_the_first_users_are_seeded_once_and_choose_their_passwords,
    k14_sessions_are_stored_in_the_database_and_shared_by_servers,
    a1_a_user_with_a_hashed_password_logs_in_while_active,
    a8_users_who_log_in_work_as_themselves,
);

const PASSWORD: &str = "correct horse battery";

async fn log_in(application: &Application, name: &str, password: &str) -> Answer {
    let body = json!({"username": name, "password": password});
    application.post(&Caller::default(), "/auth/login", body).await
}

fn holder(tokens: &Value) -> Caller {
    Caller {
        id: text(&tokens["user"]["id"]).to_owned(),
        key: Some(text(&tokens["access_token"]).to_owned()),
        acting_for: None,
    }
}

async fn refresh(application: &Application, tokens: &Value) -> Answer {
    let body = json!({"refresh_token": tokens["refresh_token"]});
    application.post(&Caller::default(), "/auth/refresh", body).await
}

/// Ada, created by an administrator, with a password.
async fn ada(application: &Application) -> Value {
    let root = application.person_with("root", &["--role", "admin"]);
    let new = json!({"username": "ada", "email": "ada@example.org", "password": PASSWORD});
    application.post(&root, "/users", new).await.data(201);
    log_in(application, "ada", PASSWORD).await.data(200)
}

/// By Python's `hashlib.pbkdf2_hmac("sha256", b"correct horse battery", bytes(range(16)), 100000)`.
const OLD: &str =
    "000102030405060708090a0b0c0d0e0f:c8d122ecdb9477cd48a6b1750c5985c0b8b05158d040d20517ccdb49865de436";

async fn k1_a_password_of_the_old_system_still_works(case: TestDatabase) {
    let application = Application::start(case);
    let new = NewUser {
        password_hash: PasswordHash::known(OLD),
        ..NewUser::named(UserName::new("Straße").unwrap())
    };
    let user = application.case.database.write("old", async move |tx| tx.users().create(&new).await);
    let id = user.await.unwrap().id;
    log_in(&application, "Straße", "another password").await.refused(401, "invalid-credentials");
    log_in(&application, " STRASSE ", PASSWORD).await.data(200);
    let stored = application.case.database.read("new", async move |tx| tx.passwords().get(id).await);
    let (_, hash) = stored.await.unwrap().unwrap();
    assert!(hash.unwrap().expose().starts_with("$argon2id$"), "the login replaced it");
    log_in(&application, "straße", PASSWORD).await.data(200);
}

async fn k4_a_session_has_its_last_activity_and_ends_when_it_is_ended(case: TestDatabase) {
    let application = Application::start(case);
    let tokens = ada(&application).await;
    let other = log_in(&application, "ada", PASSWORD).await.data(200);
    let (session, phone) = (holder(&tokens), holder(&other));
    let list = application.get(&session, "/auth/sessions").await.data(200);
    let list = list["data"].as_array().unwrap();
    assert_eq!(list.len(), 2);
    for one in list {
        assert!(text(&one["last_activity"]) >= text(&one["created_at"]), "{one}");
        assert_eq!(one["ip"], "127.0.0.1");
        assert_eq!(one["current"], json!(one["id"] == tokens["session_id"]));
    }
    let path = format!("/auth/sessions/{}", text(&other["session_id"]));
    application.delete(&session, &path).await.done();
    application.get(&phone, "/users/me").await.refused(401, "unauthenticated");
    application.post(&session, "/auth/logout", json!({})).await.done();
    application.get(&session, "/users/me").await.refused(401, "unauthenticated");
}

async fn k4_refresh_tokens_rotate_and_reuse_ends_the_session(case: TestDatabase) {
    let application = Application::start(case);
    let first = ada(&application).await;
    let second = refresh(&application, &first).await.data(200);
    let lost = refresh(&application, &first).await.data(200);
    assert_eq!(lost["refresh_token"], second["refresh_token"], "the answer may have been lost");
    let third = refresh(&application, &second).await.data(200);
    application.get(&holder(&third), "/users/me").await.data(200);
    refresh(&application, &first).await.refused(401, "invalid-credentials");
    refresh(&application, &third).await.refused(401, "invalid-credentials");
    application.get(&holder(&third), "/users/me").await.refused(401, "unauthenticated");
}

async fn k10_the_first_users_are_seeded_once_and_choose_their_passwords(case: TestDatabase) {
    let application = Application::start(case);
    let seeded = application.run(&["seed", "--json"]).json();
    let rows = seeded.as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| text(&row["username"])).collect();
    assert_eq!(names, ["admin", "user2", "user3"]);
    let password = text(&rows[0]["password"]).to_owned();
    let admin = holder(&log_in(&application, "admin", &password).await.data(200));
    application.get(&admin, "/users").await.refused(403, "password-change-required");
    let change = json!({"current_password": password, "new_password": PASSWORD});
    application.post(&admin, "/auth/password", change).await.done();
    let admin = holder(&log_in(&application, "admin", PASSWORD).await.data(200));
    application.get(&admin, "/users").await.data(200);
    let again = application.run(&["seed"]);
    assert!(again.data().lines().all(|line| line.ends_with("exists")), "{again:?}");
    log_in(&application, "admin", PASSWORD).await.data(200);
}

async fn k14_sessions_are_stored_in_the_database_and_shared_by_servers(case: TestDatabase) {
    let mut application = Application::start(case);
    let tokens = ada(&application).await;
    application.stop();
    application.serve(&[]);
    application.get(&holder(&tokens), "/users/me").await.data(200);
    let next = refresh(&application, &tokens).await.data(200);
    assert_eq!(next["session_id"], tokens["session_id"]);
    application.get(&holder(&next), "/users/me").await.data(200);
}

async fn a1_a_user_with_a_hashed_password_logs_in_while_active(case: TestDatabase) {
    let application = Application::start(case);
    let root = application.person_with("root", &["--role", "admin"]);
    let new =
        json!({"username": "ada", "email": "ada@example.org", "full_name": "Ada L.", "password": PASSWORD});
    let created = application.post(&root, "/users", new).await.data(201);
    assert!(!created.to_string().contains("argon2"), "{created}");
    let by_address = json!({"email": "ADA@example.org", "password": PASSWORD});
    application.post(&Caller::default(), "/auth/login", by_address).await.data(200);
    let path = format!("/users/{}", text(&created["id"]));
    application.call(&root, "PATCH", &path, json!({"is_active": false})).await.data(200);
    log_in(&application, "ada", PASSWORD).await.refused(401, "invalid-credentials");
}

async fn a8_users_who_log_in_work_as_themselves(case: TestDatabase) {
    let application = Application::start_with(case, &[("CHATSTORE_OPEN_REGISTRATION", "on")]);
    let new = json!({"username": "ada", "email": "ada@example.org", "password": PASSWORD});
    application.post(&Caller::default(), "/auth/register", new).await.data(201);
    let ada = holder(&log_in(&application, "ada", PASSWORD).await.data(200));
    let path = application.conversation(&ada, json!({"title": "Trip"})).await;
    let said = application.say(&ada, &path, "hello").await;
    assert_eq!(said["sender_id"], json!(ada.id));
    application.get(&ada, "/usage").await.data(200);
    application.get(&ada, "/users").await.refused(403, "forbidden");
}
