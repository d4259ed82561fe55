//! Random pairs of schemas with rows, migrated from one to the other and back.
//!
//! [`try_pair`] draws two schemas and rows of the first, migrates a database with the SQL that is generated between
//! the two, and compares it with a database that was created with the second schema. The same number draws the same
//! pair on both database systems.

mod change;
mod fit;
mod parts;
mod random;
mod renames;
mod rows;

use chatstore_migrate::model::Schema;
use chatstore_migrate::{Dialect, Difference, Graph, Migrator, Renames, Revision, Target};
use chatstore_sql::Database;

use crate::harness::{self, FIRST, Values, column_values, same_schema, same_values};

use parts::{Parts, id_of, stays};
use random::Random;
use renames::Names;

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
    /// The second schema, still with the names of the first.
    changed: Schema,
    after: Schema,
    names: Names,
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
/// whose contents are deleted, or in memory when there is no URL.
///
/// # Errors
/// The first deviation.
pub async fn try_pair(url: Option<&str>, seed: u64) -> Result<Compared, String> {
    let pair = draw(seed)?;
    let given = pair.names.texts();
    let renames = Renames::parse(given.iter().map(String::as_str)).map_err(|error| error.to_string())?;
    let difference = Difference::between(&pair.before, &pair.after, &renames.and_no_others())
        .map_err(|error| format!("comparing: {error}"))?;
    let database = harness::open_empty(url).await?;
    let outcome = migrate(&database, &pair, &difference).await;
    database.close().await;
    let values = outcome?;
    Ok(Compared { changes: difference.up.descriptions().len(), values })
}

async fn migrate(database: &Database, pair: &Pair, difference: &Difference) -> Result<usize, String> {
    let revisions = vec![first(pair)?, harness::second(difference)?];
    let graph = Graph::new(revisions).map_err(|error| error.to_string())?;
    let migrations = database.migrations_by(Migrator::new(graph, "pairs"));
    let up = async |target, doing: &str| {
        migrations.upgrade(target, |_| {}).await.map_err(|error| format!("{doing}: {error}"))
    };
    up(Target::Revision(FIRST.to_owned()), "creating the first schema").await?;
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

/// The values of the columns that both schemas have, by their first names, each with the id of its row.
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
            let found = column_values(database, from, name, id).await?;
            values.insert(format!("{}.{}", table.name, column.name), found);
        }
    }
    Ok(values)
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
    harness::first([sqlite, postgres])
}
