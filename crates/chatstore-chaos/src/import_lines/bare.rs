//! The references: the rows that an import stored are stored again in an empty database, by nothing but the database's own
//! means.

use std::pin::pin;
use std::time::Instant;

use chatstore_bench::databases::TemporaryDatabase;
use chatstore_bench::drivers::connect;
use chatstore_bench::error::Error;
use chatstore_sql::DatabaseKind;
use chatstore_sql::schema::{TABLES, Table};
use futures_util::{SinkExt as _, TryStreamExt as _};
use rusqlite::params_from_iter;
use rusqlite::types::Value;
use tokio_postgres::{Client, NoTls};

/// What an import of lines fills, parents first.
const FILLED: [&str; 2] = ["conversations", "messages"];

/// Rows of one transaction on SQLite, and of one statement of several rows.
const BATCH: usize = 1_000;

/// Copies the rows: by `COPY`, on SQLite by a loop of inserts; the seconds that storing them takes.
pub(super) async fn copy(from: &TemporaryDatabase, to: &TemporaryDatabase) -> Result<f64, Error> {
    if from.kind() == DatabaseKind::Sqlite {
        let (from, to) = (from.file().to_owned(), to.file().to_owned());
        return tokio::task::spawn_blocking(move || {
            let (from, to) = (connect(&from)?, connect(&to)?);
            FILLED.iter().map(|table| insert_each(&from, &to, table)).sum()
        })
        .await?;
    }
    let (from, to) = (connect_postgres(from.url()).await?, connect_postgres(to.url()).await?);
    let mut seconds = 0.0;
    for table in FILLED {
        let names = names(table)?;
        let text = format!("copy {table} ({names}) to stdout (format binary)");
        let rows: Vec<_> = from.copy_out(&text).await?.try_collect().await?;
        let begun = Instant::now();
        let mut sink = pin!(to.copy_in(&format!("copy {table} ({names}) from stdin (format binary)")).await?);
        for row in rows {
            sink.feed(row).await?;
        }
        sink.close().await?;
        seconds += begun.elapsed().as_secs_f64();
    }
    Ok(seconds)
}

/// Stores the rows of PostgreSQL by inserts of many rows each, all in one transaction; the seconds that it takes.
pub(super) async fn multi_row(from: &TemporaryDatabase, to: &TemporaryDatabase) -> Result<f64, Error> {
    let (from, to) = (connect_postgres(from.url()).await?, connect_postgres(to.url()).await?);
    let mut seconds = 0.0;
    for table in FILLED {
        let names = names(table)?;
        let quoted: Vec<String> =
            names.split(", ").map(|name| format!("quote_nullable({name}::text)")).collect();
        let rows =
            from.query(&format!("select concat_ws(', ', {}) from {table}", quoted.join(", ")), &[]).await?;
        let mut statements = Vec::new();
        for rows in rows.chunks(BATCH) {
            let rows: Result<Vec<String>, _> =
                rows.iter().map(|row| row.try_get::<_, &str>(0).map(|row| format!("({row})"))).collect();
            statements.push(format!("insert into {table} ({names}) values {}", rows?.join(", ")));
        }
        let begun = Instant::now();
        to.batch_execute("begin").await?;
        for statement in statements {
            to.batch_execute(&statement).await?;
        }
        to.batch_execute("commit").await?;
        seconds += begun.elapsed().as_secs_f64();
    }
    Ok(seconds)
}

fn insert_each(from: &rusqlite::Connection, to: &rusqlite::Connection, table: &str) -> Result<f64, Error> {
    let names = names(table)?;
    let count = names.split(", ").count();
    let mut select = from.prepare(&format!("select {names} from {table}"))?;
    let read = |row: &rusqlite::Row<'_>| (0..count).map(|index| row.get(index)).collect();
    let rows = select.query_map([], read)?.collect::<Result<Vec<Vec<Value>>, _>>()?;
    let places = vec!["?"; count].join(", ");
    let mut insert = to.prepare(&format!("insert into {table} ({names}) values ({places})"))?;
    let begun = Instant::now();
    for rows in rows.chunks(BATCH) {
        to.execute_batch("begin immediate")?;
        for row in rows {
            insert.execute(params_from_iter(row))?;
        }
        to.execute_batch("commit")?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

async fn connect_postgres(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with the client.
    tokio::spawn(connection);
    Ok(client)
}

fn names(table: &str) -> Result<String, Error> {
    let declared: &Table =
        TABLES.iter().find(|declared| declared.name == table).ok_or("the schema has other tables")?;
    let names: Vec<&str> = declared.columns.iter().map(|column| column.name).collect();
    Ok(names.join(", "))
}
