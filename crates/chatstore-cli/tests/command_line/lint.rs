use std::path::{Path, PathBuf};

use serde_json::json;

use crate::program::{Finished, run};

fn lint(folder: &Path, arguments: &[&str]) -> Finished {
    run(folder, &[&["migrate", "lint"], arguments].concat())
}

/// Writes the folder of a revision; its path and its id.
fn revision(folder: &Path, message: &str) -> (PathBuf, String) {
    let written = run(folder, &["migrate", "revision", "-m", message, "--dir", "."]);
    let path = folder.join(written.data());
    let id = path.file_name().unwrap().to_str().unwrap().split('_').next().unwrap().to_owned();
    (path, id)
}

#[test]
fn the_revisions_of_this_version_have_no_hazard() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(lint(folder.path(), &[]).data(), "");
    let clean = lint(folder.path(), &["f3a9"]);
    assert_eq!((clean.data(), clean.stderr.as_str()), ("", "0 hazards in 1 revision\n"));
    assert_eq!(lint(folder.path(), &["f3a9", "--json"]).json(), json!({ "findings": [] }));
    lint(folder.path(), &["nowhere"]).assert_failed(2, "there is no revision nowhere");
    lint(folder.path(), &["--dir", "nowhere"]).assert_failed(66, "there is no directory nowhere");
}

#[test]
fn each_hazard_is_listed_with_its_revision_and_what_to_do_instead() {
    let folder = tempfile::tempdir().unwrap();
    let (_, first) = revision(folder.path(), "first");
    let (path, second) = revision(folder.path(), "second");
    let schema = std::fs::read_to_string(path.join("schema.json")).unwrap();
    let mut schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let users = schema["tables"].as_array_mut().unwrap().iter_mut().find(|it| it["name"] == "users").unwrap();
    users["columns"].as_array_mut().unwrap().retain(|column| column["name"] != "full_name");
    std::fs::write(path.join("schema.json"), schema.to_string()).unwrap();
    let sql = "alter table users drop column full_name;\ncreate index ix_users_role on users (role);\n";
    for dialect in ["sqlite", "pg"] {
        std::fs::write(path.join(format!("up.{dialect}.sql")), sql).unwrap();
    }

    let found = lint(folder.path(), &["--dir", "."]);
    assert_eq!((found.code, found.stderr.as_str()), (1, "2 hazards in 2 revisions\n"), "{found:?}");
    let lines: Vec<&str> = found.stdout.lines().collect();
    assert_eq!(lines[0], format!("{second} second: data-loss: users.full_name: the column is dropped"));
    assert!(lines[1].starts_with("  instead: drop it in a separate revision"), "{found:?}");
    assert!(lines[2].starts_with(&format!("{second} second: locking-index: users.role: ")), "{found:?}");

    let found = lint(folder.path(), &["--dir", ".", "--json", &second[..8]]);
    assert_eq!(found.code, 1, "{found:?}");
    let found: serde_json::Value = serde_json::from_str(&found.stdout).unwrap();
    let lost = &found["findings"][0];
    assert_eq!(lost["revision"], second.as_str());
    assert_eq!([&lost["slug"], &lost["hazard"], &lost["table"]], ["second", "data-loss", "users"]);
    assert_eq!(lost["column"], "full_name");
    assert!(lost["what"].is_string() && lost["instead"].is_string(), "{lost}");
    assert_eq!(found["findings"][1]["hazard"], "locking-index");

    let description = std::fs::read_to_string(path.join("revision.toml")).unwrap();
    let accept = |hazards: &str| {
        let text = format!("{description}allow = [{hazards}]\n");
        std::fs::write(path.join("revision.toml"), text).unwrap();
    };
    accept("\"data-loss\"");
    let left = lint(folder.path(), &["--dir", "."]);
    assert_eq!((left.code, left.stderr.as_str()), (1, "1 hazard in 2 revisions\n"), "{left:?}");
    accept("\"data-loss\", \"locking-index\"");
    assert_eq!(lint(folder.path(), &["--dir", "."]).data(), "", "both are wanted");
    accept("\"dataloss\"");
    lint(folder.path(), &["--dir", "."]).assert_failed(65, "unknown variant `dataloss`");
    accept("");

    assert_eq!(lint(folder.path(), &["--dir", ".", &first]).data(), "");
    std::fs::write(path.join("schema.json"), "{}").unwrap();
    lint(folder.path(), &["--dir", "."]).assert_failed(65, "cannot read the schema.json of the revision");
}
