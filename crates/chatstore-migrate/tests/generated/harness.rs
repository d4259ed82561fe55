//! The parts of every trial: an empty database, two revisions, and the comparison of schemas and values.

use std::collections::BTreeMap;

use chatstore_migrate::model::Schema;
use chatstore_migrate::{Dialect, Difference, Revision, RevisionFiles, SchemaChange};
use chatstore_sql::{Database, DatabaseKind, DatabaseOptions, MigrationError, Migrations, Sql};
use tokio_postgres::NoTls;

/// The id of the revision that creates the first schema.
pub const FIRST: &str = "000000000001";
/// The id of the revision that changes it.
const SECOND: &str = "000000000002";

/// The PostgreSQL database at `url`, emptied, or one in memory when there is no URL.
pub async fn open_empty(url: Option<&str>) -> Result<Database, String> {
    if let Some(url) = url {
        empty(url).await.map_err(|error| format!("emptying the database: {error}"))?;
    }
    let options = DatabaseOptions { pool: 1, ..DatabaseOptions::new(url.unwrap_or("sqlite://:memory:")) };
    Database::open(options).await.map_err(|error| format!("opening: {error}"))
}

async fn empty(url: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("drop schema public cascade; create schema public").await
}

/// A revision with these texts, for SQLite and PostgreSQL, which cannot be undone.
pub fn first(up: [String; 2]) -> Result<Revision, String> {
    revision(FIRST, "[]", up, [String::new(), String::new()])
}

/// The revision after [`first`], generated from a difference.
pub fn second(difference: &Difference) -> Result<Revision, String> {
    let both =
        |change: &SchemaChange| [Dialect::Sqlite, Dialect::Postgres].map(|dialect| change.sql(dialect));
    revision(SECOND, &format!("[{FIRST:?}]"), both(&difference.up), both(&difference.down))
}

fn revision(id: &str, revises: &str, up: [String; 2], down: [String; 2]) -> Result<Revision, String> {
    let description = format!(
        "id = {id:?}\nslug = \"trial\"\nmessage = \"a trial\"\nrevises = {revises}\ndestructive = false\n"
    );
    let ([up_sqlite, up_postgres], [down_sqlite, down_postgres]) = (up, down);
    let files = RevisionFiles {
        folder: format!("{id}_trial").into(),
        description: description.into(),
        up_sqlite: Some(up_sqlite.into()),
        up_postgres: Some(up_postgres.into()),
        down_sqlite: Some(down_sqlite.into()),
        down_postgres: Some(down_postgres.into()),
    };
    Revision::parse(files).map_err(|error| error.to_string())
}

/// Compares with a database that has the schema and never had another.
pub async fn same_schema(migrations: &Migrations<'_>, schema: &Schema, place: &str) -> Result<(), String> {
    let described = |error: MigrationError| format!("reading the schema {place}: {error}");
    let fresh = migrations.catalog_of(schema.clone()).await.map_err(described)?;
    let found = fresh.deviations(&migrations.catalog().await.map_err(described)?);
    match found.first() {
        None => Ok(()),
        Some(first) => Err(format!("the schema {place} deviates {} times: {first}", found.len())),
    }
}

/// The values of columns by name, each with the id of its row.
pub type Values = BTreeMap<String, Vec<String>>;

pub fn same_values(expected: &Values, found: &Values, place: &str) -> Result<(), String> {
    for (column, values) in expected {
        let found = found.get(column).map_or(&[][..], Vec::as_slice);
        if found != values {
            return Err(format!("the values of {column} {place} are {found:?} where {values:?} is expected"));
        }
    }
    Ok(())
}

/// The values of one column.
pub async fn column_values(
    database: &Database,
    table: &str,
    column: &str,
    id: &str,
) -> Result<Vec<String>, String> {
    let spelled = match database.kind() {
        DatabaseKind::Sqlite => {
            format!("case typeof({column}) when 'blob' then hex({column}) else cast({column} as text) end")
        }
        DatabaseKind::Postgres => format!("cast({column} as text)"),
    };
    let sql = format!("select {id} || '=' || coalesce({spelled}, 'null') as line from {table} order by {id}");
    let sql = Sql::same("trial.values", sql.leak());
    let read = database.read("values", async move |tx| tx.query(&sql, &[], |row| row.next()).await);
    let rows: Vec<String> = read.await.map_err(|error| format!("reading {table}.{column}: {error}"))?;
    Ok(rows.iter().map(|row| plain(row)).collect())
}

/// Spells numbers of all types alike.
fn plain(row: &str) -> String {
    let row = row.trim_end_matches(".0");
    row.replace("=true", "=1").replace("=false", "=0")
}
