//! Each kind of invalid input has a clear message and its documented exit code.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use chatstore_testkit::Backend;

use crate::program::{Finished, Server, chatstore, finish, run};

fn stats(folder: &Path, url: &str) -> Finished {
    run(folder, &["stats", "--database-url", url])
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn an_invalid_url_exits_with_the_configuration_code() {
    let folder = folder();
    stats(folder.path(), "chat.db").assert_failed(78, "it has no scheme");
    stats(folder.path(), "mysql://ada:secret@localhost/chat")
        .assert_failed(78, "the scheme mysql is unknown");
    stats(folder.path(), "sqlite:///absent.db").assert_failed(78, "write sqlite://absent.db");
    let masked = stats(folder.path(), "mysql://ada:secret@localhost/chat");
    assert!(!masked.stderr.contains("secret"), "{masked:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was created");
}

#[test]
fn a_file_in_a_missing_folder_cannot_be_created() {
    let url = "sqlite://no/such/folder/chat.db";
    run(folder().path(), &["migrate", "upgrade", "--database-url", url])
        .assert_failed(73, "the directory no/such/folder does not exist");
}

#[test]
fn an_unreachable_server_is_named() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = format!("postgresql://ada:secret@127.0.0.1:{port}/chat");
    let failed = stats(folder().path(), &url);
    failed.assert_failed(69, &format!("cannot reach the database at 127.0.0.1:{port}/chat"));
    assert!(!failed.stderr.contains("secret"), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_exits_with_no_permission() {
    let case = Backend::Postgres.database().await;
    let (credentials, host) = case.url.rsplit_once('@').unwrap();
    let (user, _) = credentials.rsplit_once(':').unwrap();
    let failed = stats(folder().path(), &format!("{user}:wrong-one@{host}"));
    failed.assert_failed(77, "no permission to use the database");
    assert!(!failed.stderr.contains("wrong-one"), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_exist_is_named() {
    let case = Backend::Postgres.database().await;
    let (server, _) = case.url.rsplit_once('/').unwrap();
    stats(folder().path(), &format!("{server}/absent"))
        .assert_failed(74, "\"absent\" does not exist; create it first");
}

#[test]
fn a_file_of_another_application_is_left_alone() {
    let folder = folder();
    let file = folder.path().join("other.db");
    std::fs::write(
        &file,
        "this is no database, it only looks like a file of a hundred bytes or so, which it is",
    )
    .unwrap();
    stats(folder.path(), "sqlite://other.db").assert_failed(74, "it is not a SQLite database");
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("this is no database"));
}

#[test]
fn a_read_only_file_exits_with_no_permission() {
    let folder = folder();
    run(folder.path(), &["migrate", "upgrade", "--database-url", "sqlite://chat.db"]).data();
    let before = std::fs::read(folder.path().join("chat.db")).unwrap();
    for (path, mode) in [(folder.path().join("chat.db"), 0o444), (folder.path().to_path_buf(), 0o555)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let copy =
        tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let program = copy.path().join("chatstore");
    std::fs::copy(env!("CARGO_BIN_EXE_chatstore"), &program).unwrap();
    let mut command = std::process::Command::new(program);
    command.current_dir(folder.path()).args([
        "user",
        "create",
        "--username",
        "ada",
        "--database-url",
        "sqlite://chat.db",
    ]);
    if runs_as_root() {
        command.uid(65_534).gid(65_534);
    }
    finish(&mut command).assert_failed(77, "no permission to use the database at chat.db");
    assert_eq!(std::fs::read(folder.path().join("chat.db")).unwrap(), before);
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Root can write files that are read-only for other users.
fn runs_as_root() -> bool {
    let id = std::process::Command::new("id").arg("-u").output().expect("id runs");
    id.stdout.trim_ascii() == b"0"
}

#[test]
fn a_missing_file_exits_with_no_input() {
    let folder = folder();
    run(folder.path(), &["import", "jsonl", "absent.jsonl"]).assert_failed(66, "cannot read absent.jsonl");
    assert!(!folder.path().join("chatstore.db").exists(), "no database is created for a missing file");
}

#[test]
fn a_second_server_of_one_file_names_its_owner() {
    let folder = folder();
    let first = Server::start(folder.path(), &["serve", "--bind", "127.0.0.1:0"]);
    let second = run(folder.path(), &["serve", "--bind", "127.0.0.1:0"]);
    second.assert_failed(75, "already serves this database");
    run(folder.path(), &["user", "create", "--username", "ada"]).data();
    assert_eq!(first.stop(), Some(0));
}

#[test]
fn an_address_in_use_is_named() {
    let folder = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(folder.path(), &["serve", "--bind", &address])
        .assert_failed(75, &format!("cannot listen on {address}"));
}

#[test]
fn a_malformed_env_file_exits_with_the_configuration_code() {
    let folder = folder();
    std::fs::write(folder.path().join(".env"), "DATABASE_URL\n").unwrap();
    finish(chatstore(folder.path()).arg("stats")).assert_failed(78, "cannot read .env");
}
