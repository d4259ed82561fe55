use std::path::Path;
use std::process::Stdio;

use chatstore::operations::Revision;
use chatstore::sql::Sql;
use chatstore_sql::revisions;
use chatstore_testkit::{TestDatabase, conformance};
use serde_json::json;

use crate::commands::TOKEN_KEY;
use crate::program::{Finished, Server, chatstore, finish, run};

conformance!(
    the_tables_go_down_and_up_again,
    twenty_processes_may_upgrade_an_empty_database_at_once,
    a_script_is_printed_and_not_run,
    the_lists_are_of_revisions,
    what_was_changed_by_hand_is_listed_as_drift,
    a_table_of_the_applications_own_is_named_and_is_no_drift,
    a_stamp_is_written_and_nothing_run,
    a_stamp_that_the_tables_contradict_is_refused,
    the_log_lists_what_was_done_and_what_failed,
    a_database_that_was_never_migrated_has_an_empty_log,
    an_edited_revision_is_named_by_verify_and_upgrade,
    a_server_stops_at_an_unknown_revision_only_when_it_is_breaking,
    the_setting_says_what_is_done_about_pending_revisions,
    a_target_that_does_not_fit_is_a_usage_error,
);

const FIRST: &str = "f3a91c07d2b4";

fn migrate(case: &TestDatabase, arguments: &[&str]) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &[&["migrate"], arguments, &["--database-url", &case.url]].concat())
}

async fn execute(case: &TestDatabase, sql: Sql) {
    case.database.write("test", async move |tx| tx.execute(&sql, &[]).await).await.unwrap();
}

/// What `current` prints where no revision is applied.
fn all_pending() -> String {
    let line = |revision: &Revision| format!("{} {} pending", revision.id, revision.slug);
    revisions().unwrap().iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The URL of a database on which nothing was ever run.
async fn fresh(case: &TestDatabase) -> String {
    if case.url.starts_with("sqlite") {
        return case.url.replace("case.db", "fresh.db");
    }
    execute(case, Sql::only_postgres("test.drop", "drop schema public cascade")).await;
    execute(case, Sql::only_postgres("test.create", "create schema public")).await;
    case.url.clone()
}

async fn the_tables_go_down_and_up_again(case: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    assert!(migrate(&case, &["upgrade"]).stderr.contains("nothing to apply"));
    assert!(migrate(&case, &["current"]).data().contains("f3a91c07d2b4 first_schema applied "));
    migrate(&case, &["downgrade", "base"])
        .assert_failed(1, "undoing a revision deletes what its tables hold");
    assert!(
        migrate(&case, &["downgrade", "base", "--allow-data-loss"]).stderr.contains("undone f3a91c07d2b4")
    );
    assert!(migrate(&case, &["downgrade", "--allow-data-loss"]).stderr.contains("nothing to undo"));
    assert_eq!(migrate(&case, &["current"]).data(), all_pending());
    if case.url.starts_with("postgresql") {
        let serve = ["serve", "--bind", "127.0.0.1:0", "--database-url", &case.url];
        let refused = finish(chatstore(folder.path()).env("CHATSTORE_TOKEN_KEY", TOKEN_KEY).args(serve));
        refused.assert_failed(78, "lacks the revision f3a91c07d2b4");
    }
    assert!(migrate(&case, &["upgrade"]).stderr.contains("applied f3a91c07d2b4"));
    let current = migrate(&case, &["current", "--json"]).json();
    assert_eq!(current["revisions"][0]["id"], FIRST);
    assert_eq!(current["revisions"][0]["application"], env!("CARGO_PKG_VERSION"));
}

async fn twenty_processes_may_upgrade_an_empty_database_at_once(case: TestDatabase) {
    let url = fresh(&case).await;
    let folder = tempfile::tempdir().unwrap();
    let start = |_| {
        let mut command = chatstore(folder.path());
        command.args(["migrate", "upgrade", "head", "--database-url", &url]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = (0..20).map(start).collect();
    let ended: Vec<_> = running.into_iter().map(|child| child.wait_with_output().unwrap()).collect();

    let said: Vec<_> = ended.iter().map(|output| String::from_utf8_lossy(&output.stderr)).collect();
    assert!(ended.iter().all(|output| output.status.success()), "{said:?}");
    assert_eq!(said.iter().filter(|said| said.contains("applied f3a91c07d2b4")).count(), 1, "{said:?}");
}

async fn a_script_is_printed_and_not_run(case: TestDatabase) {
    let url = fresh(&case).await;
    let folder = tempfile::tempdir().unwrap();
    let script = run(folder.path(), &["migrate", "upgrade", "--sql", "--database-url", &url]);
    let script = script.data();
    assert!(script.contains("create table users") && script.contains("insert into chatstore_migrations"));
    let plan = run(folder.path(), &["migrate", "plan", "--database-url", &url]);
    assert_eq!(plan.data().lines().next(), Some("f3a91c07d2b4 first_schema"));
    if let Some(file) = url.strip_prefix("sqlite://") {
        assert!(!Path::new(file).exists(), "printing makes no file");
    }
    run(folder.path(), &["migrate", "upgrade", "--database-url", &url]).data();
    let down = run(folder.path(), &["migrate", "downgrade", "base", "--sql", "--database-url", &url]);
    assert!(down.data().contains("drop table users;"));
    let nothing = run(folder.path(), &["migrate", "upgrade", "--sql", "--database-url", &url]);
    assert_eq!(nothing.data(), "");
    assert!(nothing.stderr.contains("nothing to do"));
}

async fn the_lists_are_of_revisions(case: TestDatabase) {
    let history = migrate(&case, &["history", "--json"]).json();
    let newest_first = history["revisions"].as_array().unwrap();
    assert_eq!(newest_first.last().unwrap()["id"], FIRST);
    assert_eq!(migrate(&case, &["heads", "--json"]).json(), json!({"revisions": [newest_first[0]]}));
    let newest = newest_first[0]["id"].as_str().unwrap();
    assert!(migrate(&case, &["heads"]).data().starts_with(newest));
    assert_eq!(migrate(&case, &["branches"]).data(), "");
    assert_eq!(migrate(&case, &["plan", "--json"]).json(), json!({"revisions": []}));
    assert!(
        migrate(&case, &["show", "f3a9"]).data().contains("-- down.pg.sql\ndrop table idempotency_keys;")
    );
    let verified = migrate(&case, &["verify"]);
    assert_eq!(verified.data(), "");
    let applied = format!("{} applied revisions, identical to those of this version\n", newest_first.len());
    assert_eq!(verified.stderr, applied);
}

async fn a_stamp_is_written_and_nothing_run(case: TestDatabase) {
    assert!(migrate(&case, &["stamp", "base"]).stderr.contains("stamped f3a91c07d2b4"));
    assert_eq!(migrate(&case, &["current"]).data(), all_pending());
    migrate(&case, &["upgrade"]).assert_failed(1, "applying the revision f3a91c07d2b4 (first_schema) failed");
    assert!(migrate(&case, &["stamp", "heads", "--sql"]).data().contains("insert into chatstore_migrations"));
    assert!(migrate(&case, &["stamp", "heads"]).stderr.contains("stamped f3a91c07d2b4"));
    assert!(migrate(&case, &["stamp", "heads"]).stderr.contains("nothing to stamp"));
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["user", "create", "--username", "ada", "--database-url", &case.url]).data();
}

async fn a_stamp_that_the_tables_contradict_is_refused(case: TestDatabase) {
    const TABLE: Sql = Sql::same("test.other", "create table users (id integer primary key, login text)");
    let refuse = |target: &str, deviation: &str| {
        let refused = migrate(&case, &["stamp", target]);
        refused.assert_failed(1, "the tables are not those of the revisions that would be recorded:\n  ");
        refused.assert_failed(1, deviation);
        refused.assert_failed(1, "give chatstore a database of its own");
    };
    refuse(FIRST, "is not expected");
    assert!(!migrate(&case, &["current"]).data().contains("pending"));
    migrate(&case, &["downgrade", "base", "--allow-data-loss"]).data();

    refuse("heads", "the table users is missing");
    execute(&case, TABLE).await;
    migrate(&case, &["upgrade"]).assert_failed(1, "if the tables are another program's");
    refuse("heads", "the column users.username is missing");
    refuse(FIRST, "the column users.username is missing");

    assert_eq!(migrate(&case, &["current"]).data(), all_pending());
}

async fn the_log_lists_what_was_done_and_what_failed(case: TestDatabase) {
    migrate(&case, &["stamp", "base"]).data();
    migrate(&case, &["upgrade"]).assert_failed(1, "applying the revision f3a91c07d2b4 (first_schema) failed");
    migrate(&case, &["stamp", "heads"]).data();
    migrate(&case, &["downgrade", "--allow-data-loss"]).data();

    let entries = migrate(&case, &["log", "--json"]).json();

    let of = |key: &str| entries.as_array().unwrap().iter().map(|it| it[key].clone()).collect::<Vec<_>>();
    let all = revisions().unwrap().len();
    let each = |action: &'static str| vec![action; all];
    let expected =
        [vec!["downgrade"], each("stamp"), vec!["failed"], each("stamp"), each("upgrade")].concat();
    assert_eq!(of("action"), expected);
    let failed = &entries[1 + all];
    assert_eq!(failed["revision"], FIRST);
    assert!(failed["detail"].as_str().unwrap().contains("(first_schema) failed: "), "{entries}");
    assert_eq!(of("application"), vec![env!("CARGO_PKG_VERSION"); expected.len()]);
    let details = of("detail");
    assert_eq!(details[1], "as applied");
    assert!(details[0].is_null() && of("duration_ms")[0].is_u64() && of("duration_ms")[1].is_null());
    assert!(of("at").iter().all(|at| at.as_str().unwrap().ends_with('Z')), "{entries}");

    let table = migrate(&case, &["log"]);
    let lines: Vec<&str> = table.data().lines().collect();
    assert!(lines[0].starts_with("at ") && lines[0].ends_with("detail"), "{table:?}");
    assert!(lines[1].contains("  downgrade  "), "{table:?}");
    assert!(lines[2 + all].contains("  failed     f3a91c07d2b4 first_schema  "), "{table:?}");
    assert!(lines[2 + all].contains("already exists"), "{table:?}");
}

async fn a_database_that_was_never_migrated_has_an_empty_log(case: TestDatabase) {
    let url = fresh(&case).await;
    let folder = tempfile::tempdir().unwrap();
    let log = run(folder.path(), &["migrate", "log", "--database-url", &url]);
    assert_eq!((log.data(), log.stderr.as_str()), ("", "the database has no log: it was never migrated\n"));
    let log = run(folder.path(), &["migrate", "log", "--json", "--database-url", &url]);
    assert_eq!(log.json(), json!([]));
}

async fn an_edited_revision_is_named_by_verify_and_upgrade(case: TestDatabase) {
    execute(
        &case,
        Sql::same("test.edit", "update chatstore_migrations set sha256 = substr(sha256, 2) || '0'"),
    )
    .await;
    for arguments in [&["verify"][..], &["upgrade"], &["plan"], &["downgrade", "--allow-data-loss"]] {
        let named = "the revision f3a91c07d2b4 was applied with a different text";
        migrate(&case, arguments).assert_failed(78, named);
    }
    assert!(migrate(&case, &["current"]).data().contains("f3a91c07d2b4 first_schema edited"));
    migrate(&case, &["stamp", "heads"]).data();
    migrate(&case, &["verify"]).data();
}

async fn a_server_stops_at_an_unknown_revision_only_when_it_is_breaking(case: TestDatabase) {
    const NEWER: Sql = Sql::same(
        "test.newer",
        "insert into chatstore_migrations (revision, slug, sha256, applied_at) \
         select 'abcdef012345', 'newer', sha256, applied_at from chatstore_migrations \
         where revision = 'f3a91c07d2b4'",
    );
    const BREAKING: Sql = Sql::pair(
        "test.breaking",
        "update chatstore_migrations set breaking = 1 where slug = 'newer'",
        "update chatstore_migrations set breaking = true where slug = 'newer'",
    );
    let folder = tempfile::tempdir().unwrap();
    let serve = ["serve", "--bind", "127.0.0.1:0", "--database-url", &case.url];
    execute(&case, NEWER).await;

    migrate(&case, &["upgrade"]).assert_failed(78, "abcdef012345, which this version does not know");
    let command = || {
        let mut command = chatstore(folder.path());
        command.env("CHATSTORE_TOKEN_KEY", TOKEN_KEY).args(serve);
        command
    };
    assert_eq!(Server::start_command(&mut command()).stop(), Some(0));

    execute(&case, BREAKING).await;
    finish(&mut command()).assert_failed(78, "abcdef012345, which this version does not know");
}

async fn the_setting_says_what_is_done_about_pending_revisions(case: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let create = |setting: &str| {
        let arguments = ["user", "create", "--username", "ada", "--database-url", &case.url];
        finish(chatstore(folder.path()).env("CHATSTORE_MIGRATE", setting).args(arguments))
    };
    migrate(&case, &["downgrade", "base", "--allow-data-loss"]).data();

    create("never").assert_failed(78, "must be auto, check or off");
    create("check").assert_failed(78, "lacks the revision f3a91c07d2b4 (first_schema)");
    create("off").assert_failed(74, "are the tables migrated?");
    create("auto").data();
}

async fn a_target_that_does_not_fit_is_a_usage_error(case: TestDatabase) {
    migrate(&case, &["upgrade", "nowhere"]).assert_failed(2, "there is no revision nowhere");
    migrate(&case, &["upgrade", "+3"]).assert_failed(2, "steps requested: 3; steps left: 0");
    migrate(&case, &["upgrade", "base"]).assert_failed(2, "an upgrade goes forward");
    migrate(&case, &["downgrade", "heads", "--allow-data-loss"]).assert_failed(2, "a downgrade goes back");
    migrate(&case, &["stamp", "+1"]).assert_failed(2, "a stamp names a revision");
}

#[test]
fn revisions_and_merges_are_written_as_folders() {
    let folder = tempfile::tempdir().unwrap();
    let at = |arguments: &[&str]| run(folder.path(), &[&["migrate"], arguments].concat());
    at(&["revision", "-m", "Add notes"]).assert_failed(66, "no directory crates/chatstore-sql/migrations");
    let dir = ["--dir", "."];
    let write = |arguments: &[&str]| {
        let written = at(&[arguments, &dir].concat()).data().to_owned();
        let id = written.trim_start_matches("./").split('_').next().unwrap().to_owned();
        assert!(Path::new(&folder.path().join(&written)).join("up.pg.sql").is_file(), "{written}");
        id
    };
    let root = write(&["revision", "-m", "Add notes"]);
    let left = write(&["revision", "-m", "left"]);
    let right = write(&["revision", "-m", "right", "--revises", &root[..6], "--depends-on", &left]);
    let refused = at(&["revision", "-m", "which", "--dir", "."]);
    refused.assert_failed(2, "there are 2 heads");
    assert!(refused.stderr.contains("hint: or name the revisions it comes after with --revises"));
    at(&["merge", "-m", "x", &root, &left, "--dir", "."]).assert_failed(2, "is not a head");
    at(&["merge", "-m", "x", &left, &left, "--dir", "."]).assert_failed(2, "named twice");
    let merge = write(&["merge", "-m", "both", &left, &right]);
    let description = folder.path().join(format!("{merge}_both")).join("revision.toml");
    let description = std::fs::read_to_string(description).unwrap();
    assert!(description.contains(&format!("revises = [\"{left}\", \"{right}\"]\ndestructive = false")));
    write(&["revision", "-m", "one head again"]);
    std::fs::write(folder.path().join(format!("{merge}_both/revision.toml")), "id = 1").unwrap();
    at(&["revision", "-m", "x", "--dir", "."]).assert_failed(65, &format!("{merge}_both is not well-formed"));
}

async fn what_was_changed_by_hand_is_listed_as_drift(case: TestDatabase) {
    assert!(migrate(&case, &["check"]).stderr.contains("the revisions create the declared schema"));
    assert!(
        migrate(&case, &["drift"]).stderr.contains("the database contains what its applied revisions create")
    );
    execute(&case, Sql::same("test.add_column", "alter table messages add column note text")).await;
    let drift = migrate(&case, &["drift"]);
    drift.assert_failed(1, "the database differs from what its applied revisions create:");
    assert!(drift.stderr.contains("\n  the column messages.note is not expected\n"), "{}", drift.stderr);
}

async fn a_table_of_the_applications_own_is_named_and_is_no_drift(case: TestDatabase) {
    execute(&case, Sql::same("test.create", "create table desk_tickets (id text primary key)")).await;
    execute(&case, Sql::same("test.index", "create index ix_desk on desk_tickets (id)")).await;
    let drift = migrate(&case, &["drift"]);
    assert_eq!(drift.code, 0, "{drift:?}");
    assert!(drift.stderr.contains("not ours: the table desk_tickets\n"), "{}", drift.stderr);
    assert!(drift.stderr.contains("the database contains what its applied revisions create"));
    execute(&case, Sql::same("test.add_column", "alter table messages add column note text")).await;
    let drift = migrate(&case, &["drift"]);
    drift.assert_failed(1, "the database differs from what its applied revisions create:");
    assert!(!drift.stderr.contains("desk_tickets is not expected"), "{}", drift.stderr);
}

#[test]
fn a_revision_is_generated_from_the_newest_snapshot_to_the_declared_schema() {
    let folder = tempfile::tempdir().unwrap();
    let at = |arguments: &[&str]| {
        let dir = ["--autogenerate", "-m", "all", "--dir", "."];
        run(folder.path(), &[&["migrate", "revision"][..], &dir, arguments].concat())
    };
    let revision = folder.path().join(at(&[]).data());
    let read = |file: &str| std::fs::read_to_string(revision.join(file)).unwrap();
    assert!(read("up.pg.sql").starts_with("create table users (\n  id uuid not null,\n"));
    assert!(read("down.sqlite.sql").contains("drop table users;\n"));
    assert!(at(&[]).stderr.contains("nothing to generate"));

    let older = read("schema.json").replace("\"full_name\"", "\"whole_name\"");
    std::fs::write(revision.join("schema.json"), older).unwrap();
    let refused = at(&[]);
    refused.assert_failed(2, "add `--rename users.whole_name:full_name`");
    let renamed = folder.path().join(at(&["--rename", "users.whole_name:full_name"]).data());
    let up = std::fs::read_to_string(renamed.join("up.sqlite.sql")).unwrap();
    assert_eq!(up, "alter table users rename column whole_name to full_name;\n");
    let description = std::fs::read_to_string(renamed.join("revision.toml")).unwrap();
    assert!(description.ends_with("destructive = false\n"), "{description}");
}

#[test]
fn a_check_creates_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let checked = run(folder.path(), &["migrate", "check"]);
    assert!(checked.stderr.contains("the revisions create the declared schema"), "{}", checked.stderr);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
