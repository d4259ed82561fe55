//! `backup`, `backup verify` and `restore`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use chatstore_testkit::Backend;
use serde_json::Value;

use crate::commands::{Commands, TOKEN_KEY};
use crate::program::{Server, chatstore, finish, run};

const SERVE: [&str; 3] = ["serve", "--bind", "127.0.0.1:0"];

/// A folder with a database of sample conversations and a token key.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["demo", "--no-serve", "--file", "chatstore.db"]).data();
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

fn digests(folder: &Path, database: &str) -> Value {
    let url = format!("sqlite://{database}");
    run(folder, &["stats", "--digest", "--json", "--database-url", &url]).json()["digests"].clone()
}

fn restore_to<'a>(database: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["restore", "monday.db", "--database-url", database], rest].concat()
}

#[test]
fn a_backup_beside_a_running_server_becomes_an_equal_database() {
    let folder = folder();
    let folder = folder.path();
    let server = Server::start(folder, &SERVE);
    let backup = run(folder, &["backup", "monday.db", "--json"]).json();
    assert_eq!(run(folder, &["backup", "verify", "monday.db", "--json"]).json(), backup);
    let restored = run(folder, &restore_to("sqlite://fresh.db", &["--json"])).json();
    assert_eq!(restored["sha256"], backup["sha256"]);
    assert_eq!(restored["database"], "fresh.db");
    assert_eq!(restored["rows"]["conversations"], 41);
    assert_eq!(digests(folder, "fresh.db"), digests(folder, "chatstore.db"));
    assert_eq!(run(folder, &["doctor", "--database-url", "sqlite://fresh.db"]).code, 0);
    assert_eq!(server.stop(), Some(0));
    let own = Server::start(folder, &[&SERVE[..], &["--database-url", "sqlite://fresh.db"]].concat());
    assert_eq!(own.stop(), Some(0));
}

#[test]
fn what_was_done_is_told_in_a_line() {
    let folder = folder();
    let folder = folder.path();
    let told = |arguments: &[&str]| run(folder, arguments).data().to_owned();
    let backed_up = told(&["backup", "monday.db"]);
    assert!(backed_up.starts_with("backed up monday.db: "), "{backed_up}");
    let verified = told(&["backup", "verify", "monday.db"]);
    assert_eq!(verified, backed_up.replace("backed up", "verified"));
    let restored = told(&restore_to("sqlite://fresh.db", &[]));
    assert_eq!(restored, backed_up.replace("backed up monday.db", "restored monday.db to fresh.db"));
}

#[test]
fn a_backup_is_verified_without_settings_and_a_database() {
    let folder = folder();
    run(folder.path(), &["backup", "monday.db"]).data();
    let elsewhere = tempfile::tempdir().unwrap();
    for name in ["monday.db", "monday.db.sha256"] {
        fs::copy(folder.path().join(name), elsewhere.path().join(name)).unwrap();
    }
    fs::write(elsewhere.path().join("chatstore.toml"), "nonsense = 1\n").unwrap();
    run(elsewhere.path(), &["backup", "verify", "monday.db"]).data();
    assert_eq!(names(elsewhere.path()), ["chatstore.toml", "monday.db", "monday.db.sha256"]);
}

#[test]
fn nothing_that_exists_is_overwritten() {
    let folder = folder();
    let folder = folder.path();
    run(folder, &["backup", "monday.db"]).data();
    let before = fs::read(folder.join("monday.db")).unwrap();
    run(folder, &["backup", "monday.db"]).assert_failed(73, "monday.db exists");
    assert_eq!(fs::read(folder.join("monday.db")).unwrap(), before);
    let present = run(folder, &["restore", "monday.db"]);
    present.assert_failed(73, "chatstore.db exists");
    run(folder, &["backup", "chatstore.db"]).assert_failed(73, "chatstore.db exists");
    run(folder, &["stats"]).data();
}

#[test]
fn a_damaged_or_incomplete_backup_is_not_restored() {
    let folder = folder();
    let folder = folder.path();
    run(folder, &["backup", "monday.db"]).data();
    let restore = restore_to("sqlite://fresh.db", &[]);
    let record = fs::read(folder.join("monday.db.sha256")).unwrap();
    fs::remove_file(folder.join("monday.db.sha256")).unwrap();
    run(folder, &["backup", "verify", "monday.db"]).assert_failed(66, "there is no monday.db.sha256");
    run(folder, &restore).assert_failed(66, "there is no monday.db.sha256");
    fs::write(folder.join("monday.db.sha256"), record).unwrap();
    let mut bytes = fs::read(folder.join("monday.db")).unwrap();
    bytes[9_000] ^= 1;
    fs::write(folder.join("monday.db"), bytes).unwrap();
    let damaged = "monday.db is damaged: its checksum is not the one in its record";
    run(folder, &["backup", "verify", "monday.db"]).assert_failed(74, damaged);
    run(folder, &restore).assert_failed(74, damaged);
    assert!(!names(folder).iter().any(|name| name.starts_with("fresh.db") && !name.ends_with(".lock")));
}

#[test]
fn a_backup_of_a_newer_version_is_refused() {
    let folder = folder();
    let folder = folder.path();
    let connection = rusqlite::Connection::open(folder.join("chatstore.db")).unwrap();
    let newer = "insert into chatstore_migrations (revision, slug, sha256, applied_at, breaking) \
        values ('ffffffffffff', 'newer', '', 1, 1)";
    connection.execute(newer, ()).unwrap();
    drop(connection);
    run(folder, &["backup", "monday.db"]).data();
    run(folder, &["backup", "verify", "monday.db"]).assert_failed(78, "ffffffffffff");
    run(folder, &restore_to("sqlite://fresh.db", &[])).assert_failed(78, "ffffffffffff");
}

#[test]
fn a_running_server_prevents_a_restore_even_when_its_file_was_removed() {
    let folder = folder();
    let folder = folder.path();
    run(folder, &["backup", "monday.db"]).data();
    let server = Server::start(folder, &SERVE);
    run(folder, &["restore", "monday.db"]).assert_failed(73, "chatstore.db exists");
    fs::remove_file(folder.join("chatstore.db")).unwrap();
    let refused = run(folder, &["restore", "monday.db"]);
    refused.assert_failed(73, "chatstore.db-wal exists");
    assert!(refused.stderr.contains("stop the server"), "{refused:?}");
    drop(server);
    for name in names(folder).iter().filter(|name| name.starts_with("chatstore.db-")) {
        fs::remove_file(folder.join(name)).unwrap();
    }
    run(folder, &["restore", "monday.db"]).data();
    run(folder, &["doctor"]).data();
}

#[test]
fn the_token_key_is_copied_only_when_that_is_asked_for() {
    let folder = folder();
    let folder = folder.path();
    let key = fs::read(folder.join("chatstore.db.token-key")).unwrap();
    run(folder, &["backup", "monday.db"]).data();
    assert!(!names(folder).contains(&"monday.db.token-key".to_owned()));
    run(folder, &restore_to("sqlite://fresh.db", &["--with-token-key"]))
        .assert_failed(66, "there is no token key file monday.db.token-key");
    run(folder, &["backup", "tuesday.db", "--with-token-key"]).data();
    let copied = folder.join("tuesday.db.token-key");
    assert_eq!(fs::read(&copied).unwrap(), key);
    assert_eq!(fs::metadata(&copied).unwrap().permissions().mode() & 0o777, 0o600);
    let restore = ["restore", "tuesday.db", "--database-url", "sqlite://fresh.db"];
    run(folder, &restore).data();
    assert!(!names(folder).contains(&"fresh.db.token-key".to_owned()));
    fs::remove_file(folder.join("fresh.db")).unwrap();
    run(folder, &[&restore[..], &["--with-token-key"]].concat()).data();
    assert_eq!(fs::read(folder.join("fresh.db.token-key")).unwrap(), key);
}

#[test]
fn a_failed_backup_takes_its_token_key_back() {
    let folder = folder();
    let folder = folder.path();
    fs::write(folder.join("monday.db"), "mine").unwrap();
    run(folder, &["backup", "monday.db", "--with-token-key"]).assert_failed(73, "monday.db exists");
    assert!(!names(folder).contains(&"monday.db.token-key".to_owned()));
}

#[test]
fn a_token_key_in_the_settings_is_not_copied() {
    let folder = folder();
    let mut command = chatstore(folder.path());
    command.env("CHATSTORE_TOKEN_KEY", TOKEN_KEY).args(["backup", "monday.db", "--with-token-key"]);
    finish(&mut command).assert_failed(78, "CHATSTORE_TOKEN_KEY is set");
    assert!(!names(folder.path()).contains(&"monday.db".to_owned()));
}

#[test]
fn only_a_database_in_a_file_is_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let in_memory = ["--database-url", "sqlite://:memory:"];
    for command in ["backup", "restore"] {
        let refused = run(folder.path(), &[&[command, "monday.db"], &in_memory[..]].concat());
        refused.assert_failed(2, "the database is in memory");
    }
    run(folder.path(), &["backup", "monday.db"]).assert_failed(66, "there is no database chatstore.db");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_its_own_tools_are_named() {
    let commands = Commands::on(Backend::Postgres.database().await);
    for command in ["backup", "restore"] {
        let refused = commands.run(&[command, "monday.db"]);
        refused.assert_failed(2, "is on a PostgreSQL server");
        assert!(refused.stderr.contains("use pg_dump and pg_restore"), "{refused:?}");
        assert!(refused.stderr.contains("docs/operations.md"), "{refused:?}");
    }
    assert_eq!(names(commands.folder.path()), [""; 0]);
}

#[test]
fn a_copy_of_a_file_in_use_without_its_log_is_named() {
    let folder = folder();
    let folder = folder.path();
    let completeness = |database: &str| {
        let url = format!("sqlite://{database}");
        let checks = run(folder, &["doctor", "--json", "--database-url", &url]).json();
        let found = checks.as_array().unwrap().iter().find(|check| check["check"] == "completeness").cloned();
        found.expect("the check was made")["status"].as_str().unwrap().to_owned()
    };
    let serve = |database: &str| {
        let url = format!("sqlite://{database}");
        Server::start(folder, &[&SERVE[..], &["--database-url", &url]].concat())
    };
    let warning = "a copy of one that was in use, without the -wal";
    assert_eq!(completeness("chatstore.db"), "ok");
    fs::copy(folder.join("chatstore.db"), folder.join("stopped.db")).unwrap();
    let server = serve("chatstore.db");
    fs::copy(folder.join("chatstore.db"), folder.join("copy.db")).unwrap();
    for name in ["whole.db", "whole.db-wal"] {
        fs::copy(folder.join(name.replace("whole", "chatstore")), folder.join(name)).unwrap();
    }
    run(folder, &["backup", "monday.db"]).data();
    run(folder, &restore_to("sqlite://restored.db", &[])).data();
    assert_eq!(completeness("chatstore.db"), "ok", "beside the server");
    drop(server);
    assert_eq!(completeness("chatstore.db"), "ok", "the server was killed");
    for complete in ["stopped.db", "whole.db", "restored.db"] {
        assert_eq!(completeness(complete), "ok", "{complete}");
    }
    assert_eq!(completeness("copy.db"), "warning");
    assert_eq!(completeness("copy.db"), "warning", "it stays so");
    let (code, said) = serve("copy.db").stop_and_tell();
    assert_eq!(code, Some(0));
    assert!(said.contains(warning), "{said}");
    assert_eq!(completeness("copy.db"), "ok", "a server stopped cleanly");
    let (_, said) = serve("copy.db").stop_and_tell();
    assert!(!said.contains(warning), "{said}");
}
