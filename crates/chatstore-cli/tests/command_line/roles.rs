//! The roles that `migrate roles` prints, on a real server.

use chatstore_testkit::Backend;
use tokio_postgres::{Client, NoTls};

use crate::commands::TOKEN_KEY;
use crate::program::{Server, chatstore, finish, run};

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_can_do_its_work_and_no_more() {
    let case = Backend::Postgres.external_database().await;
    let (_, place) = case.url.rsplit_once('@').unwrap();
    let prefix = place.rsplit_once('/').unwrap().1.replace('-', "_");
    let folder = tempfile::tempdir().unwrap();
    let printed = run(folder.path(), &["migrate", "roles", "--sql", "--prefix", &prefix]);
    let superuser = connect(&case.url).await;
    for _ in 0..2 {
        superuser.batch_execute(printed.data()).await.unwrap();
    }
    let url_of = async |role: &str| {
        let name = format!("{prefix}_{role}");
        superuser.batch_execute(&format!("alter role {name} password 'secret'")).await.unwrap();
        format!("postgresql://{name}:secret@{place}")
    };
    let (migrator, server, reader) =
        (url_of("migrator").await, url_of("server").await, url_of("reader").await);

    let upgrade = |url: &str| run(folder.path(), &["migrate", "upgrade", "--database-url", url]);
    assert_ne!(upgrade(&server).code, 0, "a server creates no tables");
    upgrade(&migrator).data();
    let drift = run(folder.path(), &["migrate", "drift", "--database-url", &migrator]);
    assert_eq!(drift.code, 0, "{drift:?}");
    let owners = superuser
        .query("select distinct tableowner::text from pg_tables where schemaname = 'public'", &[])
        .await
        .unwrap();
    assert_eq!(owners.len(), 1);
    assert_eq!(owners[0].get::<_, String>(0), format!("{prefix}_owner"));

    let mut serve = chatstore(folder.path());
    serve.envs([
        ("CHATSTORE_TOKEN_KEY", TOKEN_KEY),
        ("DATABASE_URL", &server),
        ("CHATSTORE_METRICS_BIND", "off"),
    ]);
    let serving = Server::start_command(serve.args(["serve", "--bind", "127.0.0.1:0"]));
    let mut create = chatstore(folder.path());
    create.env("DATABASE_URL", &server).args(["user", "create", "--username", "ada"]);
    finish(&mut create).data();
    assert_eq!(reqwest::get(format!("{}/readyz", serving.origin)).await.unwrap().status(), 200);
    assert_eq!(serving.stop(), Some(0));

    let as_server = connect(&server).await;
    for forbidden in [
        "create table mine (a int)",
        "drop table users",
        "alter table users add column a int",
        "truncate users",
        "create schema mine",
        "create role mine",
        "copy users to program 'true'",
        "select pg_read_file('/etc/passwd')",
    ] {
        let refused = as_server.batch_execute(forbidden).await.unwrap_err();
        let code = refused.code().map(|code| code.code().to_owned());
        assert_eq!(code.as_deref(), Some("42501"), "{forbidden}: {refused}");
    }
    drop(as_server);

    let as_reader = connect(&reader).await;
    let refusal = async |statement: &str| {
        let refused = as_reader.batch_execute(statement).await.unwrap_err();
        refused.code().map(|code| code.code().to_owned())
    };
    let none_yet = refusal("select count(*) from messages").await;
    assert_eq!(
        none_yet.as_deref(),
        Some("42501"),
        "tables of a later upgrade are not readable by themselves"
    );
    superuser.batch_execute(printed.data()).await.unwrap();
    let names = as_reader.query("select username from users where username = 'ada'", &[]).await.unwrap();
    assert_eq!(names.len(), 1);
    as_reader.batch_execute("select count(*) from messages").await.unwrap();
    for forbidden in [
        "select password_hash from users",
        "select * from users",
        "select * from sessions",
        "select key_hash from api_keys",
        "select * from refresh_tokens",
        "select * from idempotency_keys",
    ] {
        assert_eq!(refusal(forbidden).await.as_deref(), Some("42501"), "{forbidden}");
    }
    assert_eq!(
        refusal("delete from messages").await.as_deref(),
        Some("25006"),
        "a session of the reader only reads"
    );
    as_reader.batch_execute("set default_transaction_read_only to off").await.unwrap();
    for forbidden in ["delete from messages", "update users set role = 'admin'", "create table mine (a int)"]
    {
        assert_eq!(refusal(forbidden).await.as_deref(), Some("42501"), "{forbidden}");
    }
    drop(as_reader);
    superuser
        .batch_execute(&format!(
            "drop owned by {prefix}_reader, {prefix}_server, {prefix}_migrator, {prefix}_owner cascade; \
             drop role {prefix}_reader, {prefix}_server, {prefix}_migrator, {prefix}_owner"
        ))
        .await
        .unwrap();
}

#[test]
fn the_names_of_roles_need_no_quotes() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["Chat", "1chat", "a b", "a;drop", "a\"", ""] {
        assert_eq!(run(folder.path(), &["migrate", "roles", "--sql", "--prefix", name]).code, 2, "{name}");
    }
    let printed = run(folder.path(), &["migrate", "roles", "--sql"]);
    assert!(printed.data().contains("create role chatstore_server login;"), "{printed:?}");
}
