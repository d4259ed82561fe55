//! What `migrate` refuses: with the documented exit code and a clear message, leaving nothing half done.

use std::path::Path;

use chatstore::sql::Sql;
use chatstore_testkit::{Backend, TestDatabase, conformance};

use crate::program::{Finished, run};

conformance!(a_foreign_history_is_a_configuration_error, a_revision_that_fails_is_named_and_leaves_nothing,);

fn migrate(folder: &Path, arguments: &[&str]) -> Finished {
    run(folder, &[&["migrate"], arguments].concat())
}

fn on(url: &str, arguments: &[&str]) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    migrate(folder.path(), &[arguments, &["--database-url", url]].concat())
}

async fn execute(case: &TestDatabase, statements: &[Sql]) {
    let statements = statements.to_vec();
    let run = async move |tx: &mut chatstore::WriteTx<'_>| {
        for sql in &statements {
            tx.execute(sql, &[]).await?;
        }
        Ok::<_, chatstore::StoreError>(())
    };
    case.database.write("test", run).await.unwrap();
}

/// Writes the folder of a revision that does nothing.
fn revision(folder: &Path, id: &str, slug: &str, more: &str) {
    let path = folder.join(format!("{id}_{slug}"));
    std::fs::create_dir(&path).unwrap();
    let description = format!("id = {id:?}\nslug = {slug:?}\nmessage = \"m\"\n{more}\n");
    std::fs::write(path.join("revision.toml"), description).unwrap();
    for file in ["up.sqlite.sql", "up.pg.sql"] {
        std::fs::write(path.join(file), "").unwrap();
    }
}

const A: &str = "00000000000a";
const B: &str = "00000000000b";

async fn a_foreign_history_is_a_configuration_error(case: TestDatabase) {
    let others = "delete from chatstore_migrations where revision <> 'f3a91c07d2b4'";
    let unknown = "update chatstore_migrations set revision = 'abcdef012345'";
    execute(&case, &[Sql::same("test.others", others), Sql::same("test.unknown", unknown)]).await;
    for command in [&["upgrade"][..], &["downgrade", "--allow-data-loss"], &["verify"], &["plan"], &["drift"]]
    {
        on(&case.url, command).assert_failed(78, "history begins with the revision abcdef012345, and none");
    }
    let columns = Sql::same("test.foreign", "alter table chatstore_migrations rename column sha256 to md5");
    execute(&case, &[columns]).await;
    for command in [&["upgrade"][..], &["stamp", "heads"], &["current"], &["upgrade", "--sql"]] {
        let refused = on(&case.url, command);
        refused.assert_failed(78, "has other columns than the history of chatstore");
        refused.assert_failed(78, "use a separate database for chatstore");
    }
}

async fn a_revision_that_fails_is_named_and_leaves_nothing(case: TestDatabase) {
    on(&case.url, &["downgrade", "base", "--allow-data-loss"]).data();
    execute(&case, &[Sql::same("test.in_the_way", "create table messages (id bigint)")]).await;

    let failed = on(&case.url, &["upgrade"]);
    failed.assert_failed(1, "applying the revision f3a91c07d2b4 (first_schema) failed");
    failed.assert_failed(
        1,
        "\nhint: the revision was rolled back; if the tables are another program's, give chatstore a database",
    );

    execute(&case, &[Sql::same("test.out_of_the_way", "drop table messages")]).await;
    assert!(on(&case.url, &["upgrade"]).stderr.contains("applied f3a91c07d2b4"), "nothing of it was left");
    on(&case.url, &["drift"]).data();
}

#[test]
fn folders_that_do_not_fit_together_are_bad_data() {
    let refused = |folders: &[(&str, &str, &str)], expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        for (id, slug, more) in folders {
            revision(folder.path(), id, slug, more);
        }
        let before = std::fs::read_dir(folder.path()).unwrap().count();
        for command in [&["lint"][..], &["revision", "-m", "next"], &["merge", "-m", "both", A, B]] {
            let refused = migrate(folder.path(), &[command, &["--dir", "."]].concat());
            refused.assert_failed(65, expected);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), before, "nothing is written");
    };
    let root = (A, "root", "revises = []");
    let on_a = "revises = [\"00000000000a\"]";
    refused(&[(B, "orphan", on_a)], "00000000000b (orphan) builds on 00000000000a, which does not exist");
    refused(
        &[(A, "egg", "revises = [\"00000000000b\"]"), (B, "hen", on_a)],
        "build on each other in a circle; remove one of these links",
    );
    refused(&[root, (A, "copy", "revises = []")], "two folders have the revision 00000000000a");
    refused(&[root, (B, "mistyped", "revise = []")], "00000000000b_mistyped is not well-formed");
    let both = "revises = []\nlabels = [\"notes\"]";
    refused(&[(A, "one", both), (B, "other", both)], "the label notes is on the revisions");
}

#[test]
fn a_name_of_no_revision_or_of_several_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    revision(folder.path(), A, "root", "revises = []");
    revision(folder.path(), B, "next", "revises = [\"00000000000a\"]");
    let lint = |name| migrate(folder.path(), &["lint", name, "--dir", "."]);
    lint("0000").assert_failed(2, "0000 matches the revisions 00000000000a (root), 00000000000b (next)");
    lint("f").assert_failed(2, "there is no revision f");
    migrate(folder.path(), &["revision", "-m", "...", "--dir", "."]).assert_failed(2, "no letter or digit");
}

#[test]
#[cfg(target_os = "linux")]
fn a_directory_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let refused = migrate(folder.path(), &["revision", "-m", "next", "--dir", "/proc/self/fdinfo"]);
    refused.assert_failed(73, "below /proc/self/fdinfo");
}

#[test]
fn a_file_that_is_not_a_database_is_reported_as_damaged_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = "this is no database, it only looks like a file of a hundred bytes or so, which it is";
    std::fs::write(folder.path().join("other.db"), text).unwrap();
    let refused = migrate(folder.path(), &["upgrade", "--database-url", "sqlite://other.db"]);
    refused.assert_failed(74, "it is not a SQLite database");
    assert_eq!(std::fs::read_to_string(folder.path().join("other.db")).unwrap(), text);
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgresql://ada:secret@127.0.0.1:{port}/chat");
    for command in [&["upgrade"][..], &["current"], &["log"], &["check"]] {
        on(&url, command).assert_failed(69, &format!("cannot reach the database at 127.0.0.1:{port}/chat"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_permission_for_the_tables_is_told_what_to_do() {
    let case = Backend::Postgres.database().await;
    on(&case.url, &["downgrade", "base", "--allow-data-loss"]).data();
    let create = "create role command_line_reader login password 'reads'";
    let look = "grant select on chatstore_migrations, chatstore_migrations_log to command_line_reader";
    execute(&case, &[Sql::only_postgres("test.role", create), Sql::only_postgres("test.grant", look)]).await;
    let (_, place) = case.url.split_once('@').unwrap();
    let url = format!("postgresql://command_line_reader:reads@{place}");

    let (upgraded, stamped) = (on(&url, &["upgrade"]), on(&url, &["stamp", "heads"]));

    let (drop_owned, drop_role) = ("drop owned by command_line_reader", "drop role command_line_reader");
    let drop =
        [Sql::only_postgres("test.drop_owned", drop_owned), Sql::only_postgres("test.drop_role", drop_role)];
    execute(&case, &drop).await;
    upgraded.assert_failed(77, "no permission for applying the revision f3a91c07d2b4 (first_schema)");
    stamped.assert_failed(77, "no permission for creating a scratch database");
    upgraded.assert_failed(77, "grant it to this user, or connect as a user who has it");
    assert!(on(&case.url, &["current"]).data().contains("f3a91c07d2b4 first_schema pending"));
}
