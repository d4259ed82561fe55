//! Files with secrets: who may own and reach them, and what the program creates.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use serde_json::Value;

use crate::commands::TOKEN_KEY;
use crate::program::{Finished, Server, chatstore, finish, refuse, run};

const SERVE: [&str; 3] = ["serve", "--bind", "127.0.0.1:0"];
const KEY_FILE: &str = "chatstore.db.token-key";

/// A user of the machine who is neither root nor this one.
const STRANGER: u32 = 65_534;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn refused(folder: &Path, settings: &[(&str, &str)]) -> Finished {
    refuse(chatstore(folder).envs(settings.iter().copied()).args(SERVE))
}

/// Whether files can be given to another user, which root alone may do. Says so when not.
#[allow(clippy::print_stderr, reason = "a part that is left out is named")]
fn can_give_away(path: &Path) -> bool {
    let given = chown(path, Some(STRANGER), None).is_ok();
    if !given {
        eprintln!("skipped: only root can give a file to another user");
    }
    given
}

#[test]
fn every_file_of_a_database_is_created_for_its_owner_alone() {
    let folder = folder();
    // A shell in which everybody may do everything with new files.
    let line = format!(
        "umask 000 && exec {} serve --bind 127.0.0.1:0",
        chatstore(folder.path()).get_program().display()
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &line]).current_dir(folder.path()).env_clear();
    let server = Server::start_command(&mut command);
    let names = ["chatstore.db", "chatstore.db-wal", "chatstore.db-shm", KEY_FILE];
    for name in names {
        assert_eq!(mode(&folder.path().join(name)), 0o600, "{name}");
    }
    let backup = "umask 000 && exec \"$0\" backup copy.db --with-token-key";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", backup]).arg(chatstore(folder.path()).get_program());
    let taken = finish(command.current_dir(folder.path()).env_clear());
    assert_eq!(taken.code, 0, "{taken:?}");
    for name in ["copy.db", "copy.db.sha256", "copy.db.token-key"] {
        assert_eq!(mode(&folder.path().join(name)), 0o600, "{name}");
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_database_that_others_can_reach_is_named_by_serve_and_doctor() {
    let folder = folder();
    run(folder.path(), &["migrate", "upgrade"]);
    set_mode(&folder.path().join("chatstore.db"), 0o644);
    let (code, said) = Server::start(folder.path(), &SERVE).stop_and_tell();
    assert_eq!(code, Some(0));
    let found = "chatstore.db is accessible to others than its owner (mode 0644)";
    assert!(said.contains("WARN") && said.contains(found) && said.contains("chmod 600"), "{said}");
    let doctor = run(folder.path(), &["doctor", "--json"]);
    let checks: Vec<Value> = serde_json::from_str(&doctor.stdout).unwrap();
    let permissions = checks.iter().find(|check| check["check"] == "permissions").unwrap();
    assert_eq!(permissions["status"], "warning");
    assert!(permissions["found"].as_str().unwrap().contains(found), "{permissions}");

    set_mode(&folder.path().join("chatstore.db"), 0o600);
    set_mode(folder.path(), 0o777);
    let doctor = run(folder.path(), &["doctor"]);
    assert!(doctor.stdout.contains("every user may replace files in"), "{doctor:?}");
}

#[test]
fn a_token_key_that_another_user_controls_is_refused() {
    let folder = folder();
    assert_eq!(Server::start(folder.path(), &SERVE).stop(), Some(0));
    let (path, moved) = (folder.path().join(KEY_FILE), folder.path().join("elsewhere"));
    fs::rename(&path, &moved).unwrap();
    symlink(&moved, &path).unwrap();
    refused(folder.path(), &[]).assert_failed(77, "is a symbolic link");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(folder.path(), &[]).assert_failed(77, "is not a regular file");
    fs::remove_dir(&path).unwrap();
    fs::rename(&moved, &path).unwrap();
    if can_give_away(&path) {
        refused(folder.path(), &[]).assert_failed(77, "belongs to the user with the id 65534");
    }
}

#[test]
fn a_configured_key_file_may_be_read_by_others_but_not_be_theirs() {
    let folder = folder();
    let (file, link) = (folder.path().join("key"), folder.path().join("link"));
    fs::write(&file, TOKEN_KEY).unwrap();
    symlink(&file, &link).unwrap();
    let configured = [("CHATSTORE_TOKEN_KEY_FILE", "link")];
    for mode in [0o444, 0o644, 0o440, 0o600] {
        set_mode(&file, mode);
        let mut command = chatstore(folder.path());
        let server = Server::start_command(command.envs(configured).args(SERVE));
        assert_eq!(server.stop(), Some(0), "{mode:o}: as orchestrators mount secrets");
    }
    for mode in [0o602, 0o620, 0o666] {
        set_mode(&file, mode);
        let refused = refused(folder.path(), &configured);
        refused.assert_failed(77, "can be written by others than its owner");
    }
    set_mode(&file, 0o600);
    if can_give_away(&file) {
        refused(folder.path(), &configured).assert_failed(77, "belongs to the user with the id 65534");
        chown(&file, Some(0), None).unwrap();
        std::os::unix::fs::lchown(&link, Some(STRANGER), None).unwrap();
        refused(folder.path(), &configured).assert_failed(77, "is a symbolic link that belongs to the user");
    }
}

#[test]
fn a_file_of_settings_that_another_user_controls_is_refused() {
    let folder = folder();
    for (name, text) in [(".env", "CHATSTORE_POOL=3\n"), ("chatstore.toml", "pool = 3\n")] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        for mode in [0o600, 0o640, 0o644, 0o664] {
            set_mode(&path, mode);
            run(folder.path(), &["config", "show"]).data();
        }
        for mode in [0o666, 0o602] {
            set_mode(&path, mode);
            let refused = run(folder.path(), &["config", "show"]);
            refused.assert_failed(77, "can be written by every user");
            assert!(refused.stderr.contains("chmod o-w"), "{refused:?}");
        }
        set_mode(&path, 0o600);
        if can_give_away(&path) {
            let refused = run(folder.path(), &["config", "show"]);
            refused.assert_failed(77, "belongs to the user with the id 65534");
        }
        fs::remove_file(&path).unwrap();
    }
    fs::write(folder.path().join("mine"), "CHATSTORE_POOL=3\n").unwrap();
    symlink("mine", folder.path().join(".env")).unwrap();
    run(folder.path(), &["config", "show"]).assert_failed(77, ".env is a symbolic link");
}

#[test]
fn what_is_created_follows_no_link_and_overwrites_nothing() {
    let folder = folder();
    let victim = folder.path().join("victim");
    fs::write(&victim, "of another program").unwrap();
    run(folder.path(), &["migrate", "upgrade"]);
    for name in [&format!("{KEY_FILE}.new"), "copy.db.lock", "copy.db.partial", "copy.db.sha256.partial"] {
        symlink(&victim, folder.path().join(name)).unwrap();
    }
    assert_eq!(Server::start(folder.path(), &SERVE).stop(), Some(0));
    run(folder.path(), &["backup", "copy.db"]);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "of another program");
}
