//! Each kind of change of a table, applied to a parent and a child with rows, and undone.
//!
//! [`try_change`] compares the declared tables with those after a change of [`all`], and applies the generated SQL, with
//! foreign keys on.

mod change;
mod list;
mod tables;

use chatstore_migrate::model::Schema;
use chatstore_migrate::{Difference, Graph, Migrator, Target};
use chatstore_sql::{Database, Migrations, Sql};

use crate::harness::{self, FIRST, Values, column_values, same_schema, same_values};

pub use change::Change;
pub use list::all;
pub use tables::{first, foreign_key, schema};

/// What is promised of every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// The comparison finds it and nothing else.
    Detected,
    /// The tables are as if they had been created like that, and foreign keys are on.
    RightSchema,
    /// Every row is still there, with its values in all columns that stay.
    RowsKept,
    /// The way back leads to the tables and the rows from before.
    Undone,
}

impl Promise {
    /// All of them, in this order.
    pub const ALL: [Self; 4] = [Self::Detected, Self::RightSchema, Self::RowsKept, Self::Undone];
}

/// The outcome of a change: for each promise, in the order of [`Promise::ALL`], why it is broken if it is.
pub type Outcome = [Result<(), String>; Promise::ALL.len()];

/// Applies a change and undoes it, on the PostgreSQL database at `url`, whose contents are deleted, or in memory when
/// there is no URL.
pub async fn try_change(url: Option<&str>, change: &Change) -> Outcome {
    let (after, difference) = match change.difference() {
        Ok(found) => found,
        Err(error) => return std::array::from_fn(|_| Err(format!("comparing: {error}"))),
    };
    let detected = change.is_found(&difference);
    let [right_schema, rows_kept, undone] = match apply(url, change, &after, &difference).await {
        Ok(held) => held,
        Err(error) => std::array::from_fn(|_| Err(error.clone())),
    };
    [detected, right_schema, rows_kept, undone]
}

async fn apply(
    url: Option<&str>,
    change: &Change,
    after: &Schema,
    difference: &Difference,
) -> Result<[Result<(), String>; 3], String> {
    let graph =
        Graph::new(vec![first("")?, harness::second(difference)?]).map_err(|error| error.to_string())?;
    let database = harness::open_empty(url).await?;
    let migrations = database.migrations_by(Migrator::new(graph, "changes"));
    let held = apply_to(&database, &migrations, change, after).await;
    database.close().await;
    held
}

async fn apply_to(
    database: &Database,
    migrations: &Migrations<'_>,
    change: &Change,
    after: &Schema,
) -> Result<[Result<(), String>; 3], String> {
    let up = async |target, doing: &str| {
        migrations.upgrade(target, |_| {}).await.map_err(|error| format!("{doing}: {error}"))
    };
    up(Target::Revision(FIRST.to_owned()), "creating the tables").await?;
    let before = values(database, &schema()).await?;
    let kept: Values = before.into_iter().filter(|(column, _)| change.renamed(column).is_some()).collect();
    let renamed: Values =
        kept.iter().filter_map(|(column, values)| Some((change.renamed(column)?, values.clone()))).collect();
    up(Target::Heads, "applying").await?;
    let right_schema = match same_schema(migrations, after, "there").await {
        Ok(()) => orphans_are_refused(database).await,
        deviates => deviates,
    };
    let rows_kept = same_values(&renamed, &values(database, after).await?, "there");
    let undone = undo(database, migrations, &kept).await;
    Ok([right_schema, rows_kept, undone])
}

async fn undo(database: &Database, migrations: &Migrations<'_>, kept: &Values) -> Result<(), String> {
    let undone = migrations.downgrade(Target::Back(1), false, |_| {}).await;
    undone.map_err(|error| format!("undoing: {error}"))?;
    same_schema(migrations, &schema(), "back").await?;
    same_values(kept, &values(database, &schema()).await?, "back")?;
    children_go_with_their_parent(database).await
}

/// Foreign keys are on.
async fn orphans_are_refused(database: &Database) -> Result<(), String> {
    const ORPHAN: Sql =
        Sql::same("changes.orphan", "insert into child (id, parent_id, data) values (6, 99, '{}')");
    match database.write("orphan", async move |tx| tx.execute(&ORPHAN, &[]).await).await {
        Ok(_) => Err("a child without its parent is taken".to_owned()),
        Err(_) => Ok(()),
    }
}

async fn children_go_with_their_parent(database: &Database) -> Result<(), String> {
    const DELETE: Sql = Sql::same("changes.delete", "delete from parent where id = 1");
    let deleted = database.write("delete", async move |tx| tx.execute(&DELETE, &[]).await).await;
    deleted.map_err(|error| format!("deleting a parent: {error}"))?;
    let left = column_values(database, "child", "parent_id", "id").await?;
    match &left[..] {
        [_, _, _] => Ok(()),
        _ => Err(format!("of a parent's children and three others {left:?} are left")),
    }
}

async fn values(database: &Database, schema: &Schema) -> Result<Values, String> {
    let mut values = Values::new();
    for table in &schema.tables {
        for column in &table.columns {
            let found = column_values(database, &table.name, &column.name, "id").await?;
            values.insert(format!("{}.{}", table.name, column.name), found);
        }
    }
    Ok(values)
}
