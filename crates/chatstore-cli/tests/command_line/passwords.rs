//! Passwords at the command line, and what they are good for over HTTP.

use chatstore::auth::PasswordHash;
use chatstore::sql::Sql;
use chatstore_testkit::{Backend, TestDatabase, conformance};
use serde_json::json;

use crate::commands::{Commands, login, refresh, tokens, visit};

const PASSWORD: &str = "correct horse battery";
const OTHER: &str = "staple of another stable";

/// The PBKDF2 hash of [`PASSWORD`] by Django 5.2.19.
const LEGACY: &str = "pbkdf2_sha256$1000$seasaltseasalt$cfcKhhxcNxLiYkdI3PmwvC7bkgo8NgNRqnZO52mB1Rg=";

conformance!(
    a_user_is_created_with_a_password_and_logs_in,
    setting_a_password_replaces_the_old_one_and_ends_sessions,
    a_password_that_must_be_changed_allows_nothing_else,
    a_password_comes_from_a_terminal_or_by_a_flag,
    a_password_that_breaks_a_rule_is_refused_and_not_shown,
    legacy_hashes_are_wrapped_once_and_their_passwords_still_work,
);

async fn a_user_is_created_with_a_password_and_logs_in(case: TestDatabase) {
    let commands = Commands::on(case);
    let create = ["user", "create", "--username", "ada", "--password-stdin", "--must-change", "--json"];
    let user = commands.run_with_input(&format!("{PASSWORD}\r\n"), &create).json();
    assert_eq!(user["must_change_password"], true);
    commands.run(&["user", "create", "--username", "bob"]).data();
    let server = commands.serve(&[]);
    assert_eq!(login(&server, "ada", PASSWORD).await.0, 200);
    assert_eq!(login(&server, "ada", OTHER).await.0, 401);
    assert_eq!(login(&server, "bob", "").await.0, 401, "without the flag there is no password");
    let unused = commands.run(&["user", "create", "--username", "eve", "--must-change"]);
    assert_eq!(unused.code, 2, "{unused:?}");
}

async fn setting_a_password_replaces_the_old_one_and_ends_sessions(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.person("ada", PASSWORD);
    let server = commands.serve(&[]);
    let (_, refresh_token) = tokens(&server, "ada", PASSWORD).await;
    let set = commands.run_with_input(OTHER, &["user", "set-password", "ADA", "--password-stdin"]);
    assert_eq!(set.data(), "");
    let said = "the password of ADA is set, and all sessions of the user have ended";
    assert!(set.stderr.contains(said), "{set:?}");
    assert_eq!(refresh(&server, &refresh_token).await, 401);
    assert_eq!(login(&server, "ada", PASSWORD).await.0, 401);
    let (access, _) = tokens(&server, "ada", OTHER).await;
    assert_eq!(visit(&server, &access).await, 200);
    let absent = commands.run_with_input(OTHER, &["user", "set-password", "bob", "--password-stdin"]);
    absent.assert_failed(1, "there is no user \"bob\"");
}

async fn a_password_that_must_be_changed_allows_nothing_else(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.person("ada", PASSWORD);
    let set = ["user", "set-password", "ada", "--password-stdin", "--must-change"];
    commands.run_with_input(OTHER, &set).data();
    let server = commands.serve(&[]);
    let (access, _) = tokens(&server, "ada", OTHER).await;
    let call = async |method: &str, path: &str, body| {
        crate::commands::call(&server, method, path, Some(&access), body).await.0
    };
    assert_eq!(call("POST", "conversations", json!({})).await, 403);
    let change = json!({"current_password": OTHER, "new_password": PASSWORD});
    assert_eq!(call("POST", "auth/password", change).await, 204);
    let (access, _) = tokens(&server, "ada", PASSWORD).await;
    let created = crate::commands::call(&server, "POST", "conversations", Some(&access), json!({})).await;
    assert_eq!(created.0, 201, "{created:?}");
}

async fn a_password_comes_from_a_terminal_or_by_a_flag(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.person("ada", PASSWORD);
    let refused = commands.run_with_input(OTHER, &["user", "set-password", "ada"]);
    refused.assert_failed(2, "there is no terminal to ask for the password");
    assert!(refused.stderr.contains("--password-stdin"), "{refused:?}");
    let argument = commands.run(&["user", "set-password", "ada", "--password", OTHER]);
    assert_eq!(argument.code, 2, "every user of the machine can read arguments: {argument:?}");
}

async fn a_password_that_breaks_a_rule_is_refused_and_not_shown(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.person("ada", PASSWORD);
    let too_long = "word after word ".repeat(200);
    for (password, rule) in [
        ("hunter2hunt", "password: must have at least 12 characters"),
        ("", "password: must have at least 12 characters"),
        ("passwordpassword", "password: is one of the most common passwords"),
        (&too_long, "password: must have at most 256 characters"),
    ] {
        let set = ["user", "set-password", "ada", "--password-stdin"];
        let create = ["user", "create", "--username", "bob", "--password-stdin"];
        for arguments in [&set[..], &create] {
            let refused = commands.run_with_input(password, arguments);
            refused.assert_failed(65, rule);
            assert!(password.is_empty() || !refused.stderr.contains(password), "{refused:?}");
        }
    }
    assert_eq!(commands.run(&["stats", "--json"]).json()["users"], 1);
    let server = commands.serve(&[]);
    assert_eq!(login(&server, "ada", PASSWORD).await.0, 200);
}

async fn legacy_hashes_are_wrapped_once_and_their_passwords_still_work(case: TestDatabase) {
    const IMPORT: Sql =
        Sql::same("test.import", "update users set password_hash = $1 where username in ('ada', 'bob')");
    const HASHES: Sql =
        Sql::same("test.hashes", "select password_hash from users where password_hash is not null");
    let commands = Commands::on(case);
    for name in ["ada", "bob", "carl"] {
        commands.person(name, PASSWORD);
    }
    let legacy = PasswordHash::known(LEGACY).unwrap();
    let imported =
        async move |tx: &mut chatstore::WriteTx<'_>| tx.execute(&IMPORT, &[legacy.expose().into()]).await;
    commands.case.database.write("test", imported).await.unwrap();

    let wrapped = commands.run(&["user", "wrap-legacy", "--json"]);
    assert_eq!(wrapped.json(), json!({"wrapped": 2}));
    assert!(wrapped.stderr.contains("wrapping: 100 %"), "{wrapped:?}");
    let hashes = commands
        .case
        .database
        .read("test", async |tx| tx.query(&HASHES, &[], |row| row.next::<String>()).await);
    let hashes = hashes.await.unwrap();
    assert!(hashes.iter().all(|hash| hash != LEGACY), "{hashes:?}");
    let again = commands.run(&["user", "wrap-legacy"]);
    assert_eq!(again.data(), "0 PBKDF2 hashes are now Argon2id hashes of them");

    let server = commands.serve(&[]);
    for name in ["ada", "carl"] {
        assert_eq!(login(&server, name, PASSWORD).await.0, 200, "{name}");
    }
    assert_eq!(login(&server, "bob", OTHER).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_a_password_is_asked_for_twice() {
    let commands = Commands::on(Backend::Sqlite.database().await);
    commands.person("ada", PASSWORD);
    let set = ["user", "set-password", "ada"];
    let (code, said) =
        commands.run_at_terminal(&set, &[("New password: ", OTHER), ("Repeat the password: ", PASSWORD)]);
    assert_eq!(code, Some(65), "{said}");
    assert!(said.contains("the two passwords differ"), "{said}");
    let (code, said) =
        commands.run_at_terminal(&set, &[("New password: ", OTHER), ("Repeat the password: ", OTHER)]);
    assert_eq!(code, Some(0), "{said}");
    let server = commands.serve(&[]);
    assert_eq!(login(&server, "ada", PASSWORD).await.0, 401);
    assert_eq!(login(&server, "ada", OTHER).await.0, 200);
}
