//! The database that is upgraded, emptied and compared again and again.

use chatstore_bench::databases::TemporaryDatabase;
use chatstore_bench::error::Error;
use chatstore_sql::{Database, DatabaseKind, DatabaseOptions, ReadTx, Sql};
use tokio_postgres::NoTls;

/// Tables, indexes and whether those are complete, what is in the tables, and the history: one line each.
const CONTENTS: [Sql; 3] = [
    Sql::pair(
        "migrations.schema",
        "select coalesce(sql, name) from sqlite_schema where name not like 'chatstore%' order by 1",
        "select concat_ws(' ', 'column', table_name, column_name, data_type, is_nullable) as line \
         from information_schema.columns where table_schema = 'public' \
         union all select concat_ws(' ', indexdef, 'complete:', indisvalid and indisready) from pg_indexes \
         join pg_index on indexrelid = indexname::regclass where schemaname = 'public' order by 1",
    ),
    Sql::same(
        "migrations.rows",
        "select 'parents ' || count(*) || ' ' || count(name) from parents \
         union all select 'children ' || count(*) || ' ' || count(parent_id) from children \
         union all select 'notes ' || count(*) || ' ' || count(author) from notes order by 1",
    ),
    Sql::same(
        "migrations.history",
        "select revision || ' ' || progress || ' ' || sha256 || ' applied so often: ' || \
         (select count(*) from chatstore_migrations_log as log \
         where log.revision = chatstore_migrations.revision and action = 'upgrade') \
         from chatstore_migrations order by 1",
    ),
];

pub(super) struct Place(pub(super) TemporaryDatabase);

impl Place {
    pub(super) const fn kind(&self) -> DatabaseKind {
        self.0.kind()
    }

    pub(super) fn url(&self) -> &str {
        self.0.url()
    }

    /// Takes everything away.
    pub(super) async fn empty(&self) -> Result<(), Error> {
        match self.kind() {
            DatabaseKind::Sqlite => {
                for entry in std::fs::read_dir(self.0.folder())? {
                    std::fs::remove_file(entry?.path())?;
                }
            }
            DatabaseKind::Postgres => {
                let (client, connection) = tokio_postgres::connect(self.url(), NoTls).await?;
                tokio::spawn(connection);
                client.batch_execute("drop schema public cascade; create schema public").await?;
            }
        }
        Ok(())
    }

    /// What the database holds.
    pub(super) async fn contents(&self) -> Result<Vec<String>, Error> {
        let mut contents = Vec::new();
        for sql in CONTENTS {
            contents.extend(self.texts(sql).await?);
        }
        Ok(contents)
    }

    /// The same without the history, which knows more after every change.
    pub(super) async fn tables(&self) -> Result<Vec<String>, Error> {
        Ok([self.texts(CONTENTS[0]).await?, self.texts(CONTENTS[1]).await?].concat())
    }

    /// Where the database is not like one that was upgraded without a disturbance.
    pub(super) async fn differences(&self, expected: &[String]) -> Result<Vec<String>, Error> {
        let found = match self.contents().await {
            Ok(found) => found,
            Err(error) => return Ok(vec![error.to_string()]),
        };
        let missing =
            expected.iter().filter(|line| !found.contains(line)).map(|line| format!("lacks {line}"));
        let added = found.iter().filter(|line| !expected.contains(line)).map(|line| format!("has {line}"));
        Ok(missing.chain(added).collect())
    }

    /// How many revisions are applied, and how many are marked as begun outside a transaction.
    pub(super) async fn applied_and_marked(&self) -> Result<(usize, usize), Error> {
        const PROGRESS: Sql = Sql::same("migrations.progress", "select progress from chatstore_migrations");
        // Killed early enough, an upgrade has not even created the history.
        let progress = self.texts(PROGRESS).await.unwrap_or_default();
        let applied = progress.iter().filter(|progress| *progress == "applied").count();
        Ok((applied, progress.len() - applied))
    }

    /// Deadlocks that PostgreSQL had to end.
    pub(super) async fn deadlocks(&self) -> Result<i64, Error> {
        const DEADLOCKS: Sql = Sql::pair(
            "migrations.deadlocks",
            "select '0'",
            "select deadlocks::text from pg_stat_database where datname = current_database()",
        );
        Ok(self.texts(DEADLOCKS).await?.concat().parse()?)
    }

    async fn texts(&self, sql: Sql) -> Result<Vec<String>, Error> {
        let database =
            Database::open(DatabaseOptions { pool: 1, ..DatabaseOptions::new(self.url()) }).await?;
        let work = async move |tx: &mut ReadTx<'_>| tx.query(&sql, &[], |row| row.next()).await;
        let texts = database.read("texts", work).await;
        database.close().await;
        Ok(texts?)
    }
}
