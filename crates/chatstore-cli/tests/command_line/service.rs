//! What the settings of the HTTP API do.

use chatstore::sql::Sql;
use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::commands::{Commands, call, call_from, login, tokens};

const PASSWORD: &str = "correct horse battery";

conformance!(
    anyone_may_register_where_registration_is_open,
    requests_are_limited_where_a_limit_is_set,
    only_a_trusted_proxy_says_who_the_client_is,
    failed_logins_are_limited_unless_the_limit_is_off,
    expired_sessions_are_deleted,
);

async fn anyone_may_register_where_registration_is_open(case: TestDatabase) {
    let commands = Commands::on(case);
    let register = json!({"username": "ada", "password": PASSWORD});
    let server = commands.serve(&[]);
    assert_eq!(call(&server, "POST", "auth/register", None, register.clone()).await.0, 403);
    assert_eq!(server.stop(), Some(0));
    let server = commands.serve(&[("CHATSTORE_OPEN_REGISTRATION", "on")]);
    assert_eq!(call(&server, "POST", "auth/register", None, register).await.0, 201);
}

async fn requests_are_limited_where_a_limit_is_set(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.run(&["user", "create", "--username", "ada"]).data();
    let key = commands.run(&["key", "create", "--user", "ada"]).data().to_owned();
    let server = commands.serve(&[("CHATSTORE_RATE_LIMIT", "2")]);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(call(&server, "GET", "users/me", Some(&key), Value::Null).await.0);
    }
    assert_eq!(statuses, [200, 200, 429]);
}

async fn only_a_trusted_proxy_says_who_the_client_is(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.run(&["user", "create", "--username", "ada"]).data();
    let key = commands.run(&["key", "create", "--user", "ada"]).data().to_owned();
    for (proxies, expected) in [("192.0.2.0/24", 429), ("192.0.2.0/24, 127.0.0.1", 200)] {
        let settings = [("CHATSTORE_RATE_LIMIT", "1"), ("CHATSTORE_TRUSTED_PROXIES", proxies)];
        let server = commands.serve(&settings);
        let mut statuses = Vec::new();
        for client in ["203.0.113.1", "203.0.113.2"] {
            let client = Some(client);
            let (status, _) = call_from(&server, client, "GET", "users/me", Some(&key), Value::Null).await;
            statuses.push(status);
        }
        assert_eq!(statuses, [200, expected], "{proxies}");
        assert_eq!(server.stop(), Some(0));
    }
}

async fn failed_logins_are_limited_unless_the_limit_is_off(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.person("ada", PASSWORD);
    for (limit, expected) in [("2", [401, 401, 429]), ("0", [401, 401, 401])] {
        let server = commands.serve(&[("CHATSTORE_LOGIN_RATE_LIMIT", limit)]);
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(login(&server, "ada", "a password of another user").await.0);
        }
        assert_eq!(statuses, expected, "{limit}");
        assert_eq!(server.stop(), Some(0));
    }
}

async fn expired_sessions_are_deleted(case: TestDatabase) {
    const EXPIRE: Sql = Sql::same("test.expire", "update sessions set expires_at = created_at");
    let commands = Commands::on(case);
    commands.person("ada", PASSWORD);
    let sessions = || commands.run(&["stats", "--json"]).json()["sessions"].clone();
    assert_eq!(sessions(), 0);
    let server = commands.serve(&[]);
    tokens(&server, "ada", PASSWORD).await;
    tokens(&server, "ada", PASSWORD).await;
    assert_eq!(server.stop(), Some(0));
    assert_eq!(sessions(), 2);
    commands.case.database.write("test", async |tx| tx.execute(&EXPIRE, &[]).await).await.unwrap();
    let mut server = commands.serve(&[("CHATSTORE_LOG", "debug")]);
    server.wait_for("is deleted idempotency_keys=0 sessions=2");
    assert_eq!(sessions(), 0);
    assert_eq!(server.stop(), Some(0));
}
