//! The findings of `doctor`.

use std::path::Path;

use chatstore_testkit::{Backend, TestDatabase, conformance};
use insta::assert_snapshot;
use serde_json::Value;

use crate::commands::{TOKEN_KEY, fresh_key};
use crate::program::{Finished, chatstore, finish, run};

conformance!(a_sound_database_passes_every_check, pending_revisions_are_reported);

fn doctor(folder: &Path, url: &str) -> Finished {
    let arguments = ["doctor", "--json", "--database-url", url];
    finish(chatstore(folder).env("CHATSTORE_TOKEN_KEY", fresh_key()).args(arguments))
}

/// The check of this name.
fn check(finished: &Finished, name: &str) -> Value {
    let checks: Value = serde_json::from_str(&finished.stdout).expect("the output is JSON");
    let found = checks.as_array().unwrap().iter().find(|check| check["check"] == name);
    found.unwrap_or_else(|| panic!("no check {name:?} in {checks}")).clone()
}

async fn a_sound_database_passes_every_check(case: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let finished = doctor(folder.path(), &case.url);
    let checks: Value = serde_json::from_str(&finished.stdout).expect("the output is JSON");
    let mut names = Vec::new();
    for check in checks.as_array().unwrap() {
        // The server of the tests does not wait for the disk, which is what this check is about.
        if check["check"] != "durability" {
            assert_eq!(check["status"], "ok", "{check}");
        }
        names.push(check["check"].as_str().unwrap());
    }
    let of_the_kind: &[&str] = if case.url.starts_with("sqlite") {
        &["completeness", "integrity", "foreign keys", "permissions"]
    } else {
        &["connection", "durability", "encoding", "writes"]
    };
    let of_both: (&[&str], &[&str]) =
        (&["configuration", "database", "schema"], &["token key", "seeded passwords"]);
    assert_eq!(names, [of_both.0, of_the_kind, of_both.1].concat());
}

async fn pending_revisions_are_reported(case: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let down = ["migrate", "downgrade", "base", "--allow-data-loss", "--database-url", &case.url];
    assert_eq!(run(folder.path(), &down).code, 0);
    let finished = doctor(folder.path(), &case.url);
    let schema = check(&finished, "schema");
    let names: Vec<String> = chatstore_sql::revisions().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(schema["found"], format!("pending: {}", names.join(", ")));
    assert_eq!(schema["todo"], "run `chatstore migrate upgrade`");
    let is_sqlite = case.url.starts_with("sqlite");
    assert_eq!(schema["status"], if is_sqlite { "warning" } else { "failed" });
    assert_eq!(finished.code, if is_sqlite { 0 } else { 1 });
    let current = run(folder.path(), &["migrate", "current", "--database-url", &case.url]);
    assert!(current.data().ends_with("pending"), "nothing was changed: {current:?}");
}

#[test]
fn a_missing_database_is_reported_and_not_created() {
    let folder = tempfile::tempdir().unwrap();
    assert_snapshot!(run(folder.path(), &["doctor"]).transcript(), @r"
    exit code 1
    --- stdout
    ok       configuration  the database comes from: default
    failed   database       there is no database chatstore.db
                            `chatstore migrate upgrade` creates one
    --- stderr
    ");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was created");
}

#[test]
fn invalid_settings_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chatstore.toml"), "pol = 3\n").unwrap();
    assert_snapshot!(run(folder.path(), &["doctor"]).transcript(), @r"
    exit code 1
    --- stdout
    failed   configuration  pol in chatstore.toml:1 is not a setting of chatstore
                            did you mean pool? `chatstore config default` prints all of them
    --- stderr
    ");
}

#[test]
fn ignored_settings_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["migrate", "upgrade"]);
    std::fs::write(folder.path().join(".env"), "POSTGRES_USER=ada\nPOSTGRES_PASSWORD=secret\n").unwrap();
    let finished = doctor(folder.path(), "sqlite://chatstore.db");
    let configuration = check(&finished, "configuration");
    assert_eq!(configuration["status"], "warning");
    assert_eq!(
        configuration["found"],
        "DATABASE_URL (flag --database-url) overrules POSTGRES_USER, POSTGRES_PASSWORD"
    );
    assert_eq!(finished.code, 0, "a warning is no failure");
}

#[test]
fn a_damaged_file_fails_the_integrity_check() {
    use std::os::unix::fs::FileExt as _;

    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["demo", "--no-serve"]).data();
    let path = folder.path().join("chatstore-demo.db");
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let pages = file.metadata().unwrap().len() / 4_096;
    assert!(pages > 40, "the sample fills some pages");
    // Behind the pages that say which tables there are.
    for page in pages / 4 * 3..pages {
        file.write_all_at(&[0xA5; 512], page * 4_096 + 1_024).unwrap();
    }
    drop(file);
    let finished = doctor(folder.path(), "sqlite://chatstore-demo.db");
    assert_eq!(finished.code, 1);
    let integrity = check(&finished, "integrity");
    assert_eq!(integrity["status"], "failed", "{integrity}");
    assert!(integrity["todo"].as_str().is_some_and(|todo| todo.contains("backup")), "{integrity}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dangling_reference_is_reported() {
    let case = Backend::Sqlite.database().await;
    let folder = tempfile::tempdir().unwrap();
    let url = case.url.as_str();
    run(folder.path(), &["user", "create", "--username", "ada", "--database-url", url]).data();
    run(folder.path(), &["key", "create", "--user", "ada", "--database-url", url]).data();
    case.database.close().await;
    let connection = rusqlite::Connection::open(url.strip_prefix("sqlite://").unwrap()).unwrap();
    connection.execute_batch("pragma foreign_keys = off; delete from users where username = 'ada';").unwrap();
    drop(connection);
    let finished = doctor(folder.path(), url);
    assert_eq!(finished.code, 1);
    let foreign_keys = check(&finished, "foreign keys");
    assert_eq!(foreign_keys["status"], "failed");
    let found =
        "rows of api_keys that refer to no row of users: 1; rows of logs that refer to no row of users: 2";
    assert_eq!(foreign_keys["found"], found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_doctor_says_of_an_encoding_is_what_serve_and_upgrade_refuse_it_with() {
    const WORDS: &str = "the database has the encoding SQL_ASCII, which cannot hold every text";
    let case = Backend::Postgres.external_database().await;
    let (server, name) = case.url.rsplit_once('/').unwrap();
    let url = format!("{server}/{name}_ascii");
    let (client, connection) = tokio_postgres::connect(&case.url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let create = format!("create database {name}_ascii encoding 'SQL_ASCII' template template0");
    client.batch_execute(&create).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let encoding = check(&doctor(folder.path(), &url), "encoding");
    assert_eq!((&encoding["status"], &encoding["found"]), (&Value::from("failed"), &Value::from(WORDS)));
    for command in [&["migrate", "upgrade"][..], &["serve"], &["user", "list"]] {
        let mut refused = chatstore(folder.path());
        refused.env("CHATSTORE_TOKEN_KEY", TOKEN_KEY).args(command).args(["--database-url", &url]);
        let refused = finish(&mut refused);
        assert_eq!(refused.code, 78, "{command:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(WORDS), "{command:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(encoding["todo"].as_str().unwrap()), "{}", refused.stderr);
    }
    client.batch_execute(&format!("drop database {name}_ascii with (force)")).await.unwrap();
}

#[test]
fn findings_are_in_a_column_whatever_the_names_of_the_checks() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["seed"]).data();
    let finished = run(folder.path(), &["doctor"]);
    let column = |finding: &str| {
        let line = finished.stdout.lines().find(|line| line.contains(finding));
        line.unwrap_or_else(|| panic!("{finding}: {}", finished.stdout)).find(finding)
    };
    let positions = ["the database comes from", "SQLite 3", "up to date", "unchanged: admin"].map(column);
    assert!(positions.iter().all(|position| *position == positions[0]), "{positions:?}: {}", finished.stdout);
}
