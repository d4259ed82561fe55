//! What happens to a server when its SQLite file is moved, linked, damaged or put back without its log.

use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use reqwest::Client;

use crate::commands::login;
use crate::program::{Server, chatstore, refuse, run};

const FILE: &str = "chatstore.db";
const SERVE: [&str; 3] = ["serve", "--bind", "127.0.0.1:0"];

fn create_user(folder: &Path, name: &str) {
    run(folder, &["user", "create", "--username", name]).data();
}

fn users(folder: &Path) -> serde_json::Value {
    run(folder, &["stats", "--json"]).json()["users"].clone()
}

async fn ready(server: &Server) -> u16 {
    Client::new().get(format!("{}/readyz", server.origin)).send().await.unwrap().status().as_u16()
}

async fn problem(server: &Server) -> (u16, String) {
    let (status, problem) = login(server, "ada", "a password of another user").await;
    (status, problem["type"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_hard_link_leads_to_the_same_lock() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::start(folder.path(), &SERVE);
    std::fs::hard_link(folder.path().join(FILE), folder.path().join("link.db")).unwrap();
    std::os::unix::fs::symlink(FILE, folder.path().join("symbolic.db")).unwrap();
    for link in ["link.db", "symbolic.db"] {
        let url = format!("sqlite://{link}");
        let mut second = chatstore(folder.path());
        let refused = refuse(second.args(SERVE).args(["--database-url", &url]));
        refused.assert_failed(75, &format!("process {} already serves this database", first.id()));
    }
    assert_eq!(first.stop(), Some(0));
    assert_eq!(Server::start(folder.path(), &SERVE).stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_file_was_moved_answers_503_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &SERVE);
    create_user(folder.path(), "ada");
    assert_eq!(ready(&server).await, 200);

    std::fs::rename(folder.path().join(FILE), folder.path().join("moved.db")).unwrap();

    assert_eq!(problem(&server).await, (503, "urn:chatstore:problem:unavailable".to_owned()));
    assert_eq!(ready(&server).await, 503);
    let line = server.wait_for("the database file was removed or moved away");
    assert!(line.contains("ERROR") && line.contains("restore a backup, then restart"), "{line}");
    let line = server.wait_for("every acknowledged write is in the file that was open");
    assert!(line.contains("/proc/"), "{line}");
    let (code, said) = server.stop_and_tell();
    assert_eq!(code, Some(0));
    assert_eq!(said.matches("the database file was removed or moved away; nothing").count(), 1, "{said}");
    std::fs::rename(folder.path().join("moved.db"), folder.path().join(FILE)).unwrap();
    let _ = std::fs::remove_file(folder.path().join("chatstore.db-wal"));
    let _ = std::fs::remove_file(folder.path().join("chatstore.db-shm"));
    assert_eq!(users(folder.path()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_answered_for() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["demo", "--file", FILE, "--no-serve"]).data();
    let path = folder.path().join(FILE);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let pages = file.metadata().unwrap().len() / 4_096;
    // Behind the pages that say which tables there are.
    for page in pages / 4 * 3..pages {
        file.write_all_at(&[0xA5; 512], page * 4_096 + 1_024).unwrap();
    }
    drop(file);

    let server = Server::start(folder.path(), &SERVE);

    assert_eq!(ready(&server).await, 503);
    assert_eq!(problem(&server).await, (503, "urn:chatstore:problem:corrupt".to_owned()));
    let (code, said) = server.stop_and_tell();
    assert_eq!(code, Some(0));
    let errors: Vec<&str> =
        said.lines().filter(|line| line.contains("the database file is damaged;")).collect();
    assert_eq!(errors.len(), 1, "{said}");
    assert!(errors[0].contains("chatstore doctor") && errors[0].contains("chatstore restore"), "{said}");
}

/// A server is killed, a backup from before is put in the place of its file, and the log stays.
fn backup_beside_the_log_of_a_killed_server(put: impl FnOnce(&Path, &Path)) {
    let folder = tempfile::tempdir().unwrap();
    let (file, backup) = (folder.path().join(FILE), folder.path().join("backup.db"));
    create_user(folder.path(), "ada");
    run(folder.path(), &["backup", "backup.db"]).data();
    let backed_up = std::fs::read(&backup).unwrap();
    let server = Server::start(folder.path(), &SERVE);
    for name in ["bob", "eve", "zoe"] {
        create_user(folder.path(), name);
    }
    drop(server);
    put(&backup, &file);

    for arguments in [&SERVE[..], &["stats"]] {
        let mut command = chatstore(folder.path());
        refuse(command.args(arguments)).assert_failed(74, "chatstore.db-wal belongs to another file");
    }

    assert!(std::fs::read(&file).unwrap() == backed_up, "it stays as it is");
    std::fs::remove_file(folder.path().join("chatstore.db-wal")).unwrap();
    assert_eq!(users(folder.path()), 1);
}

#[test]
fn a_log_is_not_put_into_a_backup_that_was_moved_over_the_file() {
    backup_beside_the_log_of_a_killed_server(|backup, file| std::fs::rename(backup, file).unwrap());
}

#[test]
fn a_log_is_not_put_into_a_backup_that_was_copied_over_the_file() {
    backup_beside_the_log_of_a_killed_server(|backup, file| {
        std::fs::copy(backup, file).unwrap();
    });
}

#[test]
fn a_killed_server_goes_on_with_its_log_and_so_does_a_copy_of_both_files() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &SERVE);
    for name in ["ada", "bob"] {
        create_user(folder.path(), name);
    }
    drop(server);
    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for name in [FILE, "chatstore.db-wal"] {
        let copied =
            std::process::Command::new("cp").arg("-a").arg(folder.path().join(name)).arg(&copy).status();
        assert!(copied.unwrap().success());
    }
    assert_eq!(users(&copy), 2);
    assert_eq!(users(folder.path()), 2);
}

#[test]
fn the_doctor_looks_at_the_permissions_of_the_files() {
    let folder = tempfile::tempdir().unwrap();
    create_user(folder.path(), "ada");
    let permissions = || {
        let checks = run(folder.path(), &["doctor", "--json"]);
        let checks: serde_json::Value = serde_json::from_str(&checks.stdout).unwrap();
        checks.as_array().unwrap().iter().find(|check| check["check"] == "permissions").unwrap().clone()
    };
    assert_eq!(permissions()["status"], "ok");
    let readable = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path().join(FILE), readable).unwrap();
    let found = permissions();
    assert_eq!(found["status"], "warning");
    assert!(found["todo"].as_str().unwrap().starts_with("run `chmod 600 "), "{found}");
}
