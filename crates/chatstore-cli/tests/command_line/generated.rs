//! What the program prints about itself, and the checked-in files generated from it.

use crate::program::run;

fn printed(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let printed = run(folder.path(), arguments).data().to_owned();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is created");
    printed
}

/// Holds a checked-in file to what a command prints.
fn assert_fresh(checked_in: &str, file: &str, arguments: &[&str]) {
    let fresh = printed(arguments);
    assert!(
        checked_in.trim_end() == fresh,
        "{file} is stale; look at the difference after\n  cargo run -q -- {} > {file}",
        arguments.join(" ")
    );
}

#[test]
fn the_checked_in_schema_is_that_of_the_migrations() {
    assert_fresh(include_str!("../../../../docs/schema.md"), "docs/schema.md", &["schema"]);
}

#[test]
fn the_checked_in_example_of_an_env_file_has_the_defaults() {
    assert_fresh(include_str!("../../../../.env.example"), ".env.example", &["config", "default", "--env"]);
}

#[test]
fn the_checked_in_roles_are_those_that_the_program_prints() {
    let checked_in = include_str!("../../../../packaging/postgres/10-roles.sql");
    assert_fresh(checked_in, "packaging/postgres/10-roles.sql", &["migrate", "roles", "--sql"]);
}

#[test]
fn the_default_file_changes_no_value() {
    let folder = tempfile::tempdir().unwrap();
    let show = || run(folder.path(), &["config", "show", "--json"]).json();
    let without = show();
    let mut files = Vec::new();
    for (file, arguments) in
        [("chatstore.toml", &["config", "default"][..]), (".env", &["config", "default", "--env"])]
    {
        let path = folder.path().join(file);
        std::fs::write(&path, printed(arguments)).unwrap();
        let with = show();
        for (name, setting) in without.as_object().unwrap() {
            assert_eq!(with[name]["value"], setting["value"], "{name} in {file}");
            let place = if setting["value"].is_null() { "not set" } else { file };
            assert!(with[name]["source"].as_str().unwrap().starts_with(place), "{name} in {file}");
        }
        std::fs::remove_file(path).unwrap();
        files.push(file);
    }
    assert_eq!(files.len(), 2);
}

#[test]
fn the_diagram_has_every_table_and_relation() {
    let diagram = printed(&["schema", "--mermaid"]);
    assert!(diagram.starts_with("erDiagram\n"), "{diagram}");
    for line in [
        "    users {",
        "        uuid owner_id PK, FK",
        "        text username \"null\"",
        "    users ||--o{ conversations : \"owner_id\"",
        "    conversations ||--o{ messages : \"owner_id, conversation_id\"",
        "    users |o--o{ messages : \"sender_id\"",
        "    messages ||--o| responses : \"owner_id, message_id\"",
    ] {
        assert!(diagram.lines().any(|found| found == line), "{line} is not in\n{diagram}");
    }
}

#[test]
fn the_description_of_the_api_is_the_one_that_is_served() {
    let printed = printed(&["openapi"]);
    assert_eq!(printed, include_str!("../../../chatstore-http/openapi.json").trim_end());
}

#[test]
fn every_shell_completes_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]);
        assert!(script.contains("doctor"), "{shell}");
    }
}

#[test]
fn commands_without_settings_work_with_invalid_ones() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chatstore.toml"), "nonsense = 1\n").unwrap();
    for arguments in [&["openapi"][..], &["schema"], &["completions", "bash"], &["config", "default"]] {
        run(folder.path(), arguments).data();
    }
}

#[test]
fn a_closed_pipe_ends_a_command_quietly() {
    use std::process::Stdio;

    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::program::chatstore(folder.path());
    command.arg("openapi").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    drop(child.stdout.take());
    let finished = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&finished.stderr), "");
    assert_eq!(finished.status.code(), Some(0));
}
