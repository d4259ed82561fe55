//! The token key: created, found, refused, changed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use chatstore::auth::TokenKeys;
use chatstore_testkit::{Backend, TestDatabase, conformance};

use crate::commands::{Commands, OTHER_TOKEN_KEY, TOKEN_KEY, login, refresh, tokens, visit};
use crate::program::{Finished, Server, chatstore, finished, refuse, run};

const PASSWORD: &str = "correct horse battery";
const SERVE: [&str; 3] = ["serve", "--bind", "127.0.0.1:0"];
const KEY_FILE: &str = "chatstore.db.token-key";

conformance!(
    of_two_keys_the_first_signs_and_both_are_accepted,
    after_a_key_change_access_tokens_end_and_refresh_tokens_still_work,
    a_key_file_is_read_from_the_path_in_the_settings,
);

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn refused(folder: &Path, settings: &[(&str, &str)]) -> Finished {
    refuse(chatstore(folder).envs(settings.iter().copied()).args(SERVE))
}

#[test]
fn the_first_server_creates_a_private_key_and_the_next_one_keeps_it() {
    let folder = folder();
    assert_eq!(Server::start(folder.path(), &SERVE).stop(), Some(0));
    let path = folder.path().join(KEY_FILE);
    let created = std::fs::read_to_string(&path).unwrap();
    assert!(!TokenKeys::parse(&created).unwrap().is_weak());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (code, said) = Server::start(folder.path(), &SERVE).stop_and_tell();
    assert_eq!(code, Some(0));
    assert!(!said.contains(created.trim()), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), created);
}

#[test]
fn two_databases_have_different_keys() {
    let keys = [folder(), folder()].map(|folder| {
        run(folder.path(), &["demo", "--no-serve", "--file", "chatstore.db"]).data();
        std::fs::read_to_string(folder.path().join(KEY_FILE)).unwrap()
    });
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn one_of_many_concurrent_processes_creates_the_key() {
    let folder = folder();
    let begin = |_| {
        let mut command = chatstore(folder.path());
        let piped = std::process::Stdio::piped;
        command.args(["demo", "--no-serve", "--file", "chatstore.db"]).stdout(piped()).stderr(piped());
        command.spawn().unwrap()
    };
    let running: Vec<_> = (0..6).map(begin).collect();
    let ended: Vec<Finished> =
        running.into_iter().map(|child| finished(child.wait_with_output().unwrap())).collect();
    let created = ended.iter().filter(|ended| ended.stderr.contains("created the token key")).count();
    assert_eq!(created, 1, "{ended:?}");
    assert!(ended.iter().all(|ended| [0, 75].contains(&ended.code)), "{ended:?}");
    TokenKeys::parse(&std::fs::read_to_string(folder.path().join(KEY_FILE)).unwrap()).unwrap();
    assert!(!folder.path().join(format!("{KEY_FILE}.new")).exists());
}

#[test]
fn the_remains_of_a_killed_process_do_not_prevent_a_new_key() {
    let folder = folder();
    std::fs::write(folder.path().join(format!("{KEY_FILE}.new")), "half").unwrap();
    assert_eq!(Server::start(folder.path(), &SERVE).stop(), Some(0));
    let path = folder.path().join(KEY_FILE);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    TokenKeys::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
}

#[test]
fn a_key_file_that_others_can_access_is_refused() {
    let folder = folder();
    assert_eq!(Server::start(folder.path(), &SERVE).stop(), Some(0));
    let path = folder.path().join(KEY_FILE);
    for mode in [0o640, 0o604, 0o620] {
        set_mode(&path, mode);
        let refused = refused(folder.path(), &[]);
        refused.assert_failed(77, "is accessible to others than its owner");
        assert!(refused.stderr.contains("run `chmod 600 "), "{refused:?}");
    }
    run(folder.path(), &["stats"]).data();
    set_mode(&path, 0o400);
    assert_eq!(Server::start(folder.path(), &SERVE).stop(), Some(0));
}

#[test]
fn a_damaged_key_file_is_refused_and_left_as_it_is() {
    let folder = folder();
    run(folder.path(), &["migrate", "upgrade"]);
    let path = folder.path().join(KEY_FILE);
    for (text, message) in [("", "there is no token key"), ("c2VjcmV0c2VjcmV0", "has 12 bytes")] {
        std::fs::write(&path, text).unwrap();
        set_mode(&path, 0o600);
        let refused = refused(folder.path(), &[]);
        refused.assert_failed(78, message);
        assert!(refused.stderr.contains("restore it from a backup"), "{refused:?}");
        assert!(!refused.stderr.contains("c2Vj"), "{refused:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_database_has_one_key_whatever_path_leads_to_it() {
    let folder = folder();
    run(folder.path(), &["migrate", "upgrade"]);
    std::os::unix::fs::symlink("chatstore.db", folder.path().join("link.db")).unwrap();
    let by_link = [&SERVE[..], &["--database-url", "sqlite://link.db"]].concat();
    assert_eq!(Server::start(folder.path(), &by_link).stop(), Some(0));
    assert!(folder.path().join(KEY_FILE).exists());
    assert!(!folder.path().join("link.db.token-key").exists());
}

#[test]
fn a_database_in_memory_leaves_no_key() {
    let folder = folder();
    let in_memory = [&SERVE[..], &["--database-url", "sqlite://:memory:"]].concat();
    assert_eq!(Server::start(folder.path(), &in_memory).stop(), Some(0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_key_in_the_settings_is_used_and_no_file_is_created() {
    let folder = folder();
    let mut command = chatstore(folder.path());
    let server = Server::start_command(command.args(SERVE).env("CHATSTORE_TOKEN_KEY", TOKEN_KEY));
    assert_eq!(server.stop(), Some(0));
    assert!(!folder.path().join(KEY_FILE).exists());
}

#[test]
fn an_invalid_key_is_refused_with_its_source_and_not_shown() {
    let folder = folder();
    let refused = refused(folder.path(), &[("CHATSTORE_TOKEN_KEY", "c2VjcmV0c2VjcmV0")]);
    refused.assert_failed(78, "CHATSTORE_TOKEN_KEY (environment): a token key has 12 bytes and must have 32");
    assert!(!refused.stderr.contains("c2Vj"), "{refused:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was created");
}

#[test]
fn a_key_together_with_a_key_file_is_refused() {
    let folder = folder();
    std::fs::write(folder.path().join("chatstore.toml"), "token_key_file = 'key'\n").unwrap();
    let refused = refused(folder.path(), &[("CHATSTORE_TOKEN_KEY", TOKEN_KEY)]);
    let both =
        "both CHATSTORE_TOKEN_KEY (environment) and CHATSTORE_TOKEN_KEY_FILE (chatstore.toml:1) are set";
    refused.assert_failed(78, both);
}

#[test]
fn a_missing_key_file_exits_with_no_input() {
    let refused = refused(folder().path(), &[("CHATSTORE_TOKEN_KEY_FILE", "absent")]);
    refused.assert_failed(66, "cannot read the token key file absent");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_a_server_needs_a_key_and_other_commands_do_not() {
    let commands = Commands::on(Backend::Postgres.database().await);
    let refused = commands.refused(&[]);
    refused.assert_failed(78, "a server on PostgreSQL needs a token key, and none is set");
    assert!(refused.stderr.contains("`openssl rand -base64 32`"), "{refused:?}");
    commands.person("ada", PASSWORD);
    commands.run(&["key", "create", "--user", "ada"]).data();
    commands.run(&["seed"]).data();
    commands.run(&["user", "wrap-legacy"]).data();
    assert_eq!(commands.run(&["stats", "--json"]).json()["users"], 4);
}

async fn of_two_keys_the_first_signs_and_both_are_accepted(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.person("ada", PASSWORD);
    let server = commands.serve(&[]);
    let (of_the_old, _) = tokens(&server, "ada", PASSWORD).await;
    assert_eq!(server.stop(), Some(0));

    let both = format!("{OTHER_TOKEN_KEY}, {TOKEN_KEY}");
    let server = commands.serve(&[("CHATSTORE_TOKEN_KEY", &both)]);
    assert_eq!(visit(&server, &of_the_old).await, 200);
    let (of_the_new, _) = tokens(&server, "ada", PASSWORD).await;
    assert_eq!(server.stop(), Some(0));

    let server = commands.serve(&[("CHATSTORE_TOKEN_KEY", OTHER_TOKEN_KEY)]);
    assert_eq!(visit(&server, &of_the_new).await, 200);
    assert_eq!(visit(&server, &of_the_old).await, 401);
}

async fn after_a_key_change_access_tokens_end_and_refresh_tokens_still_work(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.person("ada", PASSWORD);
    let server = commands.serve(&[]);
    let (access, refresh_token) = tokens(&server, "ada", PASSWORD).await;
    assert_eq!(server.stop(), Some(0));
    let server = commands.serve(&[("CHATSTORE_TOKEN_KEY", OTHER_TOKEN_KEY)]);
    assert_eq!(visit(&server, &access).await, 401);
    assert_eq!(refresh(&server, &refresh_token).await, 200);
}

async fn a_key_file_is_read_from_the_path_in_the_settings(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.person("ada", PASSWORD);
    let path = commands.folder.path().join("secret");
    std::fs::write(&path, format!("{TOKEN_KEY}\n")).unwrap();
    set_mode(&path, 0o444);
    let server = commands.serve(&[("CHATSTORE_TOKEN_KEY", ""), ("CHATSTORE_TOKEN_KEY_FILE", "secret")]);
    let (access, _) = tokens(&server, "ada", PASSWORD).await;
    assert_eq!(server.stop(), Some(0));
    let server = commands.serve(&[]);
    assert_eq!(visit(&server, &access).await, 200, "it is the key that the file holds");
    assert_eq!(login(&server, "ada", PASSWORD).await.0, 200);
}
