//! Random pairs of schemas with rows, migrated from one to the other and back.
//!
//! [`try_pair`] draws two schemas and rows of the first, migrates a database by the SQL that is generated between the
//! two, and compares what it has with a database that was made of the schema at once. The same number draws the same
//! pair on both database systems.

mod change;
mod fit;
mod parts;
mod random;
mod renames;
mod rows;

use std::collections::BTreeMap;

use chatstore_sql::migrate::model::{Column, Schema};
use chatstore_sql::migrate::{
    Dialect, Difference, Graph, Migrator, Renames, Revision, RevisionFiles, Target,
};
use chatstore_sql::{Database, DatabaseKind, DatabaseOptions, Migrations, Sql};
use tokio_postgres::NoTls;

use parts::{Parts, id_of};
use random::Random;
use renames::Names;

const FIRST: &str = "000000000001";
const SECOND: &str = "000000000002";

/// What was compared in a pair that held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// Changes from one schema to the other.
    pub changes: usize,
    /// Values in columns that both schemas have, each compared on the way there and on the way back.
    pub values: usize,
}

struct Pair {
    before: Schema,
    /// The second schema as long as everything has the name that it has in the first.
    changed: Schema,
    after: Schema,
    names: Names,
}

/// The column in a schema, when there is one.
fn stays<'s>(schema: &'s Schema, table: &str, column: &str) -> Option<&'s Column> {
    schema.table(table)?.column(column)
}

fn draw(seed: u64) -> Result<Pair, String> {
    let mut random = Random::new(seed);
    let mut parts = Parts::new(&mut random);
    let mut before = parts.schema();
    let all = before.clone();
    fit::fit(&mut before, &all);
    let changed = change::change(&mut parts, &before);
    let names = Names::draw(&mut parts, &before, &changed);
    let after = names.apply(&changed)?;
    Ok(Pair { before, changed, after, names })
}

/// Migrates from one schema of the pair with this number to the other and back, on the PostgreSQL database at `url`,
/// of which nothing stays, or in memory when there is none.
///
/// # Errors
/// What is not as it should be.
pub async fn try_pair(url: Option<&str>, seed: u64) -> Result<Compared, String> {
    let pair = draw(seed)?;
    let given = pair.names.texts();
    let renames = Renames::parse(given.iter().map(String::as_str)).map_err(|error| error.to_string())?;
    let difference = Difference::between(&pair.before, &pair.after, &renames.and_no_others())
        .map_err(|error| format!("comparing: {error}"))?;
    if let Some(url) = url {
        empty(url).await.map_err(|error| format!("emptying the database: {error}"))?;
    }
    let options = DatabaseOptions { pool: 1, ..DatabaseOptions::new(url.unwrap_or("sqlite://:memory:")) };
    let database = Database::open(options).await.map_err(|error| format!("opening: {error}"))?;
    let outcome = migrate(&database, &pair, &difference).await;
    database.close().await;
    let values = outcome?;
    Ok(Compared { changes: difference.up.descriptions().len(), values })
}

async fn migrate(database: &Database, pair: &Pair, difference: &Difference) -> Result<usize, String> {
    let revisions = vec![first(pair)?, second(difference)?];
    let graph = Graph::new(revisions).map_err(|error| error.to_string())?;
    let migrations = database.migrations_by(Migrator::new(graph, "pairs"));
    let up = async |target, doing: &str| {
        migrations.upgrade(target, |_| {}).await.map_err(|error| format!("{doing}: {error}"))
    };
    up(Target::Revision(FIRST.to_owned()), "making the first schema").await?;
    same_schema(&migrations, &pair.before, "at first").await?;
    let expected = values(database, pair, false).await?;
    up(Target::Heads, "applying").await?;
    same_schema(&migrations, &pair.after, "there").await?;
    same_values(&expected, &values(database, pair, true).await?, "there")?;
    let undone = migrations.downgrade(Target::Back(1), true, |_| {}).await;
    undone.map_err(|error| format!("undoing: {error}"))?;
    same_schema(&migrations, &pair.before, "back").await?;
    same_values(&expected, &values(database, pair, false).await?, "back")?;
    Ok(expected.values().map(Vec::len).sum())
}

async fn same_schema(migrations: &Migrations<'_>, schema: &Schema, place: &str) -> Result<(), String> {
    let told = |error: chatstore_sql::MigrationError| format!("reading the schema {place}: {error}");
    let fresh = migrations.realise(schema.clone()).await.map_err(told)?;
    let found = fresh.deviations(&migrations.catalog().await.map_err(told)?);
    match found.first() {
        None => Ok(()),
        Some(first) => Err(format!("the schema {place} deviates {} times: {first}", found.len())),
    }
}

type Values = BTreeMap<String, Vec<String>>;

fn same_values(expected: &Values, found: &Values, place: &str) -> Result<(), String> {
    for (column, values) in expected {
        let found = found.get(column).map_or(&[][..], Vec::as_slice);
        if found != values {
            return Err(format!("the values of {column} {place} are {found:?} where {values:?} is expected"));
        }
    }
    Ok(())
}

/// What is in the columns that both schemas have, by their first names, each value beside its row's id.
async fn values(database: &Database, pair: &Pair, is_after: bool) -> Result<Values, String> {
    let mut values = Values::new();
    for table in &pair.before.tables {
        for column in &table.columns {
            if stays(&pair.changed, &table.name, &column.name).is_none() {
                continue;
            }
            let id = id_of(&table.name);
            let [from, name, id] = if is_after {
                [pair.names.table(&table.name), pair.names.column(&column.name), pair.names.column(&id)]
            } else {
                [table.name.as_str(), column.name.as_str(), id.as_str()]
            };
            let spelled = match database.kind() {
                DatabaseKind::Sqlite => {
                    format!("case typeof({name}) when 'blob' then hex({name}) else cast({name} as text) end")
                }
                DatabaseKind::Postgres => format!("cast({name} as text)"),
            };
            let sql = format!(
                "select {id} || '=' || coalesce({spelled}, 'null') as line from {from} order by {id}"
            );
            let sql = Sql::same("pairs.values", sql.leak());
            let read =
                database.read("values", async move |tx| tx.query(&sql, &[], |row| row.get(0)).await).await;
            let rows: Vec<String> = read.map_err(|error| format!("reading {from}.{name}: {error}"))?;
            values.insert(
                format!("{}.{}", table.name, column.name),
                rows.iter().map(|row| plain(row)).collect(),
            );
        }
    }
    Ok(values)
}

/// A number is the same whatever its type spells it.
fn plain(row: &str) -> String {
    let row = row.trim_end_matches(".0");
    row.replace("=true", "=1").replace("=false", "=0")
}

fn first(pair: &Pair) -> Result<Revision, String> {
    let mut loose = pair.before.clone();
    loose.tables.iter_mut().for_each(|table| table.foreign_keys.clear());
    let references = Difference::between(&loose, &pair.before, &Renames::default());
    let references = references.map_err(|error| error.to_string())?.up.sql(Dialect::Postgres);
    let rows = |dialect| rows::insert(&pair.before, &pair.changed, dialect);
    let sqlite = pair.before.create(Dialect::Sqlite) + &rows(Dialect::Sqlite);
    let sqlite = format!("pragma foreign_keys = off;\n{sqlite}");
    let postgres = loose.create(Dialect::Postgres) + &rows(Dialect::Postgres) + &references;
    revision(FIRST, "[]", [sqlite, postgres], [String::new(), String::new()])
}

fn second(difference: &Difference) -> Result<Revision, String> {
    let both = |change: &chatstore_sql::migrate::SchemaChange| {
        [Dialect::Sqlite, Dialect::Postgres].map(|dialect| change.sql(dialect))
    };
    revision(SECOND, &format!("[{FIRST:?}]"), both(&difference.up), both(&difference.down))
}

fn revision(id: &str, revises: &str, up: [String; 2], down: [String; 2]) -> Result<Revision, String> {
    let description = format!(
        "id = {id:?}\nslug = \"drawn\"\nmessage = \"drawn\"\nrevises = {revises}\nloses_data = false\n"
    );
    let ([up_sqlite, up_postgres], [down_sqlite, down_postgres]) = (up, down);
    let files = RevisionFiles {
        folder: format!("{id}_drawn").into(),
        description: description.into(),
        up_sqlite: Some(up_sqlite.into()),
        up_postgres: Some(up_postgres.into()),
        down_sqlite: Some(down_sqlite.into()),
        down_postgres: Some(down_postgres.into()),
    };
    Revision::parse(files).map_err(|error| error.to_string())
}

async fn empty(url: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("drop schema public cascade; create schema public").await
}
