//! From one schema to another on SQLite, which can change little of a table in place: for the rest, a new table
//! is built beside the old one and replaces it.
//!
//! While foreign keys are enforced, dropping the old table would delete the rows that refer to it.
//! They are switched off before the transaction begins, as a text requests that begins with
//! [`WITHOUT_FOREIGN_KEYS`]; before it ends, the text itself proves that no row was lost and that every
//! reference holds.

use crate::alter::filler;
use crate::dialect::Dialect;
use crate::diff::{Alteration, SchemaChange};
use crate::model::{Column, ColumnType, Table};
use crate::render;
use crate::syntax::statements;

/// The statement by which a text requests a transaction without foreign keys. Inside a transaction it does
/// nothing.
pub(crate) const WITHOUT_FOREIGN_KEYS: &str = "pragma foreign_keys = off";

const DIALECT: Dialect = Dialect::Sqlite;

const PROOF: &str = "\
create temp table proof (
  no_row_is_lost integer,
  references_hold integer,
  constraint no_row_is_lost check (no_row_is_lost),
  constraint references_hold check (references_hold)
) strict;
";

const END_OF_PROOF: &str = "\
insert into proof (references_hold)
  select not exists (select 1 from pragma_foreign_key_check);
drop table temp.proof;
";

/// Whether a text requests a transaction without foreign keys.
pub(crate) fn asks_for_no_foreign_keys(dialect: Dialect, text: &str) -> bool {
    let first = || statements::split(text).into_iter().next().unwrap_or_default();
    dialect == Dialect::Sqlite && first().trim() == WITHOUT_FOREIGN_KEYS
}

/// All statements of a change.
pub(crate) fn sql(change: &SchemaChange) -> String {
    let mut text = change.renames.statements().concat();
    let altered = change.altered();
    let rebuilt = rebuilt(change, &altered);
    let is_rebuilt = |table: &str| rebuilt.iter().any(|(_, after)| after.name == table);
    let in_place = || altered.iter().filter(|alteration| !is_rebuilt(&alteration.after.name));
    for alteration in &altered {
        let renamed = alteration.indexes.renamed.iter().map(|(old, _)| *old);
        for index in alteration.indexes.removed().chain(renamed) {
            // A rebuild drops the indexes of its table itself, but maybe too late for a table that takes the name.
            if !is_rebuilt(&alteration.after.name) || is_of_another(change, alteration.after, &index.name) {
                text += &render::drop_index(DIALECT, index);
            }
        }
    }
    for table in change.dropped() {
        text += &format!("drop table {};\n", table.name);
    }
    for alteration in in_place() {
        for column in &alteration.columns.new {
            text += &add_column(alteration.after, column);
        }
    }
    let is_proven = !rebuilt.is_empty() || change.dropped().next().is_some();
    if is_proven {
        text += PROOF;
        for (before, after) in &rebuilt {
            rebuild(before, after, &mut text);
        }
    }
    text += &render::create_tables(DIALECT, change.created());
    for alteration in in_place() {
        let renamed = alteration.indexes.renamed.iter().map(|(_, new)| *new);
        for index in alteration.indexes.added().chain(renamed) {
            text += &render::create_index(DIALECT, &alteration.after.name, index);
        }
    }
    if !is_proven {
        return text;
    }
    format!("{WITHOUT_FOREIGN_KEYS};\n{text}{END_OF_PROOF}")
}

/// Whether another table has an index of this name after the change.
fn is_of_another(change: &SchemaChange, table: &Table, index: &str) -> bool {
    let others = change.after.tables.iter().filter(|other| other.name != table.name);
    others.flat_map(|other| &other.indexes).any(|other| other.name == index)
}

/// The tables that cannot be changed in place.
fn rebuilt<'c>(change: &'c SchemaChange, altered: &[Alteration<'c>]) -> Vec<(&'c Table, &'c Table)> {
    let both = |after: &'c Table| Some((change.before.table(&after.name)?, after));
    let stays = change.after.tables.iter().filter_map(both);
    let must = |(_, after): &(&Table, &Table)| {
        let alteration = altered.iter().find(|alteration| alteration.after.name == after.name);
        alteration.is_some_and(needs_rebuild) || names_its_checks_by_old_names(change, after)
    };
    stays.filter(must).collect()
}

fn needs_rebuild(alteration: &Alteration<'_>) -> bool {
    let columns = &alteration.columns;
    !alteration.keeps_constraints()
        || !columns.gone.is_empty()
        || !columns.changed.is_empty()
        || columns.new.iter().any(|column| filler(DIALECT, column).is_some() || is_computed(column))
}

/// Whether a default is more than a literal; SQLite cannot add a column with such a default.
fn is_computed(column: &Column) -> bool {
    column.default.as_ref().is_some_and(|default| {
        let default = default.of(DIALECT);
        let is_quoted = default.starts_with('\'') || default.starts_with("x'") || default.starts_with("X'");
        let is_number = default.parse::<f64>().is_ok() || default.chars().all(char::is_alphanumeric);
        !is_quoted && !is_number || default.to_lowercase().starts_with("current_")
    })
}

/// Checks that are not declared keep the name that the table or column had when they were created.
fn names_its_checks_by_old_names(change: &SchemaChange, table: &Table) -> bool {
    table.columns.iter().any(|column| {
        let is_checked = matches!(column.kind, ColumnType::Bool | ColumnType::Json);
        is_checked && change.renames.concern(&table.name, &column.name)
    })
}

fn add_column(table: &Table, column: &Column) -> String {
    let check = render::implied_check(DIALECT, &table.name, column);
    let check = check.map(|check| format!(" {check}")).unwrap_or_default();
    format!("alter table {} add column {}{check};\n", table.name, render::column(DIALECT, column))
}

fn rebuild(before: &Table, after: &Table, text: &mut String) {
    let name = &after.name;
    let beside = format!("rebuilt_{name}");
    let mut columns = Vec::new();
    let mut values = Vec::new();
    for column in &after.columns {
        let value = match (before.column(&column.name), filler(DIALECT, column)) {
            (Some(old), _) => old
                .kind
                .conversion_to(column.kind, DIALECT, &old.name)
                .filter(|_| old.kind != column.kind)
                .unwrap_or_else(|| old.name.clone()),
            (None, Some(filler)) => filler.to_owned(),
            (None, None) => continue,
        };
        columns.push(column.name.as_str());
        values.push(value);
    }
    *text += &render::create_table(DIALECT, after, &beside);
    *text += &format!(
        "insert into {beside} ({})\n  select {}\n  from {name};\n",
        columns.join(", "),
        values.join(", ")
    );
    *text += &format!(
        "insert into proof (no_row_is_lost)\n  \
         select (select count(*) from {beside}) = (select count(*) from {name});\n"
    );
    *text += &format!("drop table {name};\nalter table {beside} rename to {name};\n");
    for index in &after.indexes {
        *text += &render::create_index(DIALECT, name, index);
    }
}
