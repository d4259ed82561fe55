//! Invented revisions, and their traces in a database.

use chatstore_sql::migrate::{Graph, Migrator, Revision, RevisionFiles};
use chatstore_sql::{Database, DatabaseKind, DatabaseOptions, Sql};
use chatstore_testkit::TestDatabase;
use tokio_postgres::NoTls;

/// The files of a revision, which a case may change before they are parsed.
pub fn files(id: &str, revises: &[&str], more: &str) -> RevisionFiles {
    let description =
        format!("id = {id:?}\nslug = \"made_up\"\nmessage = \"made up\"\nrevises = {revises:?}\n{more}\n");
    let up = format!("create table t_{id} (id bigint not null primary key, name text);\n");
    let down = format!("drop table t_{id};\n");
    RevisionFiles {
        folder: format!("{id}_made_up").into(),
        description: description.into(),
        up_sqlite: Some(up.clone().into()),
        up_postgres: Some(up.into()),
        down_sqlite: Some(down.clone().into()),
        down_postgres: Some(down.into()),
    }
}

/// A revision that creates the table `t_<id>`; `more` is added to its `revision.toml`.
pub fn table(id: &str, revises: &[&str], more: &str) -> Revision {
    Revision::parse(files(id, revises, more)).unwrap()
}

/// A revision with these texts on both databases.
pub fn statements(id: &str, revises: &[&str], more: &str, up: &str, down: &str) -> Revision {
    let (up, down) = (up.to_owned(), down.to_owned());
    Revision::parse(RevisionFiles {
        up_sqlite: Some(up.clone().into()),
        up_postgres: Some(up.into()),
        down_sqlite: Some(down.clone().into()),
        down_postgres: Some(down.into()),
        ..files(id, revises, more)
    })
    .unwrap()
}

/// An index on a table of [`table`], built concurrently where that is possible.
pub fn index(id: &str, revises: &[&str], of: &str) -> Revision {
    let (up, down) = (format!("index ix_{id} on t_{of} (name);"), format!("index ix_{id};"));
    Revision::parse(RevisionFiles {
        up_sqlite: Some(format!("create {up}").into()),
        up_postgres: Some(format!("create {}", up.replace("index ix", "index concurrently ix")).into()),
        down_sqlite: Some(format!("drop {down}").into()),
        down_postgres: Some(format!("drop {}", down.replace("index ix", "index concurrently ix")).into()),
        ..files(id, revises, "transaction = false\ndestructive = false")
    })
    .unwrap()
}

/// A table and an index on it.
pub fn indexed() -> Vec<Revision> {
    vec![table("000000000001", &[], ""), index("000000000002", &["000000000001"], "000000000001")]
}

pub fn migrator(revisions: Vec<Revision>) -> Migrator {
    Migrator::new(Graph::new(revisions).unwrap(), "9.9.9")
}

pub fn ids(revisions: &[Revision]) -> Vec<&str> {
    revisions.iter().map(|revision| revision.id.as_str()).collect()
}

/// Everything in the schema but the history's rows, one line each.
/// A renamed table is quoted on SQLite, and dropped columns are counted on PostgreSQL: neither is a difference.
pub async fn schema(database: &Database) -> Vec<String> {
    const SCHEMA: Sql = Sql::pair(
        "test.schema",
        "select replace(replace(coalesce(sql, name), '\"', ''), char(10) || '  ', ' ') from sqlite_schema order by 1",
        "select concat_ws(' ', 'column', table_name, \
         row_number() over (partition by table_name order by ordinal_position), column_name, data_type, collation_name, \
         is_nullable) as line from information_schema.columns where table_schema = 'public' \
         union all select concat_ws(' ', 'index', indexdef, indisvalid) from pg_indexes \
         join pg_index on indexrelid = indexname::regclass where schemaname = 'public' \
         union all select concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)) \
         from pg_constraint where connamespace = 'public'::regnamespace order by 1",
    );
    lines(database, SCHEMA).await
}

/// The first column of a query.
pub async fn lines(database: &Database, sql: Sql) -> Vec<String> {
    let lines = database.read("lines", async move |tx| tx.query(&sql, &[], |row| row.next()).await);
    lines.await.unwrap()
}

/// The record of each revision, without times and durations.
pub async fn history(database: &Database) -> Vec<String> {
    const HISTORY: Sql = Sql::same(
        "test.history",
        "select revision || ' ' || slug || ' ' || sha256 || ' ' || application || ' ' || progress || \
         case when breaking then ' breaking' else '' end from chatstore_migrations order by 1",
    );
    lines(database, HISTORY).await
}

/// The log, in order.
pub async fn log(database: &Database) -> Vec<String> {
    const LOG: Sql = Sql::same(
        "test.log",
        "select action || ' ' || revision || ' ' || coalesce(detail, '') from chatstore_migrations_log \
         order by entry",
    );
    lines(database, LOG).await
}

/// A second database of the case, on which nothing was ever run.
pub async fn fresh(case: &TestDatabase) -> String {
    match case.database.kind() {
        DatabaseKind::Sqlite => case.url.replace("case.db", "fresh.db"),
        DatabaseKind::Postgres => {
            run_on_server(case, "drop schema public cascade; create schema public").await;
            case.url.clone()
        }
    }
}

/// Runs statements on the case's PostgreSQL database through another connection.
pub async fn run_on_server(case: &TestDatabase, sql: &str) {
    let (client, connection) = tokio_postgres::connect(case.server_url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
}

pub async fn open(url: &str) -> Database {
    Database::open(DatabaseOptions::new(url)).await.unwrap()
}

/// A database on which nothing was ever run, opened.
pub async fn open_fresh(case: &TestDatabase) -> Database {
    open(&fresh(case).await).await
}
