//! From one schema to another on PostgreSQL, which changes tables in place.

use std::collections::BTreeSet;

use crate::dialect::Dialect;
use crate::diff::{Alteration, SchemaChange};
use crate::model::{Check, Column, ColumnType, ForeignKey, Index, Indexed, SqlText, Table};
use crate::rename::mentions_identifier;
use crate::render;

const DIALECT: Dialect = Dialect::Postgres;

/// All statements of a change, in an order in which nothing is dropped that is still needed.
pub(crate) fn sql(change: &SchemaChange) -> String {
    let mut text = change.renames.statements().concat();
    let altered = change.altered();
    for alteration in &altered {
        rename_constraints(alteration, &mut text);
    }
    let keys = ForeignKeys::of(change, &altered);
    let among_dropped = loose_between(&change.dropped().collect::<Vec<_>>());
    for (table, key) in keys.dropped.iter().chain(&among_dropped) {
        text += &format!("alter table {table} drop constraint {};\n", key.name);
    }
    for alteration in &altered {
        for index in alteration.indexes.removed().chain(respelled_indexes(alteration)) {
            text += &render::drop_index(DIALECT, index);
        }
    }
    for table in change.dropped() {
        text += &format!("drop table {};\n", table.name);
    }
    for alteration in &altered {
        drop_parts(alteration, &mut text);
    }
    for alteration in &altered {
        alter(alteration, &mut text);
    }
    let created: Vec<&Table> = change.created().collect();
    let tables: Vec<Table> = created.iter().map(|table| without_forward(table, &created)).collect();
    text += &render::create_tables(DIALECT, &tables);
    for (table, key) in keys.added.iter().chain(&forward(&created)) {
        text += &format!("alter table {table} add {};\n", render::foreign_key(key));
    }
    for alteration in &altered {
        for index in alteration.indexes.added().chain(respelled_indexes(alteration)) {
            text += &render::create_index(DIALECT, &alteration.after.name, index);
        }
    }
    text
}

/// References to a table that comes later in the list.
fn forward<'t>(tables: &[&'t Table]) -> Vec<(&'t str, &'t ForeignKey)> {
    let mut keys = Vec::new();
    for (place, table) in tables.iter().enumerate() {
        let is_later = |key: &&ForeignKey| tables[place + 1..].iter().any(|later| later.name == key.parent);
        keys.extend(table.foreign_keys.iter().filter(is_later).map(|key| (table.name.as_str(), key)));
    }
    keys
}

/// A table as it is created before the tables that come later in the list.
fn without_forward(table: &Table, tables: &[&Table]) -> Table {
    let later = forward(tables);
    let mut first = table.clone();
    first.foreign_keys.retain(|key| !later.iter().any(|(of, other)| *of == table.name && *other == key));
    first
}

/// References that would keep the first tables of the list from being dropped before the others.
fn loose_between<'t>(dropped: &[&'t Table]) -> Vec<(&'t str, &'t ForeignKey)> {
    let backwards: Vec<&Table> = dropped.iter().rev().copied().collect();
    forward(&backwards)
}

fn rename_constraints(alteration: &Alteration<'_>, text: &mut String) {
    let table = &alteration.after.name;
    let mut rename = |old: &str, new: &str| {
        *text += &format!("alter table {table} rename constraint {old} to {new};\n");
    };
    let keys = alteration.primary_key.renamed.iter().chain(&alteration.uniques.renamed);
    keys.for_each(|(old, new)| rename(&old.name, &new.name));
    alteration.foreign_keys.renamed.iter().for_each(|(old, new)| rename(&old.name, &new.name));
    alteration.checks.renamed.iter().for_each(|(old, new)| rename(&old.name, &new.name));
    for (old, new) in &alteration.indexes.renamed {
        if old.method.is_known_to(DIALECT) {
            *text += &format!("alter index {} rename to {};\n", old.name, new.name);
        }
    }
}

/// The foreign keys to drop before and to add after everything else, each with its table. One that
/// stays is in both lists when the key it refers to is replaced or one of its columns changes its type.
struct ForeignKeys<'c> {
    dropped: Vec<(&'c str, &'c ForeignKey)>,
    added: Vec<(&'c str, &'c ForeignKey)>,
}

impl<'c> ForeignKeys<'c> {
    fn of(change: &'c SchemaChange, altered: &[Alteration<'c>]) -> Self {
        let mut keys = Self { dropped: Vec::new(), added: Vec::new() };
        for alteration in altered {
            let table = alteration.after.name.as_str();
            keys.dropped.extend(alteration.foreign_keys.removed().map(|key| (table, key)));
            keys.added.extend(alteration.foreign_keys.added().map(|key| (table, key)));
        }
        for table in &change.after.tables {
            let Some(before) = change.before.table(&table.name) else { continue };
            let renamed: Vec<&ForeignKey> = altered
                .iter()
                .filter(|alteration| alteration.after.name == table.name)
                .flat_map(|alteration| alteration.foreign_keys.renamed.iter().map(|(_, new)| *new))
                .collect();
            let stays = |key: &&ForeignKey| before.foreign_keys.contains(key) || renamed.contains(key);
            for key in table.foreign_keys.iter().filter(stays) {
                let is_loose = altered.iter().any(|alteration| {
                    let own = alteration.after.name == table.name && changes_type(alteration, &key.columns);
                    own || alteration.after.name == key.parent && moves_key(alteration, &key.parent_columns)
                });
                if is_loose {
                    keys.dropped.push((&table.name, key));
                    keys.added.push((&table.name, key));
                }
            }
        }
        keys
    }
}

fn changes_type(alteration: &Alteration<'_>, columns: &[String]) -> bool {
    changed_types(alteration).iter().any(|changed| columns.iter().any(|column| column == changed))
}

fn moves_key(alteration: &Alteration<'_>, columns: &[String]) -> bool {
    let wanted: BTreeSet<&String> = columns.iter().collect();
    let mut dropped = alteration.primary_key.removed().chain(alteration.uniques.removed());
    dropped.any(|key| key.columns.iter().collect::<BTreeSet<_>>() == wanted)
        || changes_type(alteration, columns)
}

/// Checks that stay although a column in them changes its type. PostgreSQL would keep the old type
/// in their text.
fn respelled_checks<'t>(alteration: &Alteration<'t>) -> impl Iterator<Item = &'t Check> {
    let added: Vec<&Check> = alteration.checks.added().collect();
    let changed = changed_types(alteration);
    let stay = alteration.after.checks.iter().filter(move |check| !added.contains(check));
    stay.filter(move |check| mentions(&check.condition, &changed))
}

/// The same for indexes.
fn respelled_indexes<'t>(alteration: &Alteration<'t>) -> impl Iterator<Item = &'t Index> {
    let added: Vec<&Index> = alteration.indexes.added().collect();
    let changed = changed_types(alteration);
    let stay = alteration.after.indexes.iter().filter(move |index| !added.contains(index));
    stay.filter(move |index| {
        let expressions = index.parts.iter().filter_map(|part| match &part.of {
            Indexed::Expression(expression) => Some(expression),
            Indexed::Column(_) => None,
        });
        expressions.chain(&index.predicate).any(|text| mentions(text, &changed))
    })
}

fn changed_types<'t>(alteration: &Alteration<'t>) -> Vec<&'t str> {
    let changed = alteration.columns.changed.iter().filter(|(old, new)| old.kind != new.kind);
    changed.map(|(_, new)| new.name.as_str()).collect()
}

fn mentions(text: &SqlText, columns: &[&str]) -> bool {
    columns.iter().any(|column| mentions_identifier(text.of(DIALECT), column))
}

/// Everything that is dropped; in all tables, before anything is added that may reuse a name.
fn drop_parts(alteration: &Alteration<'_>, text: &mut String) {
    let mut clauses = Vec::new();
    let drop = |name: &str| format!("drop constraint {name}");
    let checks = alteration.checks.removed().chain(respelled_checks(alteration));
    clauses.extend(checks.map(|check| drop(&check.name)));
    clauses.extend(alteration.uniques.removed().map(|key| drop(&key.name)));
    clauses.extend(alteration.primary_key.removed().map(|key| drop(&key.name)));
    clauses.extend(alteration.columns.gone.iter().map(|column| format!("drop column {}", column.name)));
    statement(alteration, &mut clauses, text);
}

fn alter(alteration: &Alteration<'_>, text: &mut String) {
    let mut clauses = Vec::new();
    let mut without_filler = Vec::new();
    for column in &alteration.columns.new {
        match filler(DIALECT, column) {
            None => clauses.push(format!("add column {}", render::column(DIALECT, column))),
            Some(filler) => {
                let filled = Column { default: Some(SqlText::Same(filler.to_owned())), ..(*column).clone() };
                clauses.push(format!("add column {}", render::column(DIALECT, &filled)));
                without_filler.push(format!("alter column {} drop default", column.name));
            }
        }
    }
    for (old, new) in &alteration.columns.changed {
        if old.kind != new.kind && old.default.is_some() {
            clauses.push(format!("alter column {} drop default", new.name));
        }
    }
    statement(alteration, &mut clauses, text);
    clauses.extend(without_filler);
    for (old, new) in &alteration.columns.changed {
        change_column(old, new, &mut clauses);
    }
    statement(alteration, &mut clauses, text);
    let added = |clause: String| format!("add {clause}");
    clauses.extend(alteration.primary_key.added().map(render::primary_key).map(added));
    clauses.extend(alteration.uniques.added().map(render::unique).map(added));
    let checks = alteration.checks.added().chain(respelled_checks(alteration));
    clauses.extend(checks.map(|check| render::check(DIALECT, check)).map(added));
    statement(alteration, &mut clauses, text);
}

fn statement(alteration: &Alteration<'_>, clauses: &mut Vec<String>, text: &mut String) {
    if clauses.is_empty() {
        return;
    }
    let table = &alteration.after.name;
    *text += &match &clauses[..] {
        [only] => format!("alter table {table} {only};\n"),
        several => format!("alter table {table}\n  {};\n", several.join(",\n  ")),
    };
    clauses.clear();
}

fn change_column(old: &Column, new: &Column, clauses: &mut Vec<String>) {
    let name = &new.name;
    if old.kind != new.kind {
        let collation = if new.kind == ColumnType::Text { " collate \"C\"" } else { "" };
        let kind = new.kind.sql_name(DIALECT);
        let value = old.kind.conversion_to(new.kind, DIALECT, name).unwrap_or_else(|| name.clone());
        clauses.push(format!("alter column {name} type {kind}{collation} using {value}"));
    }
    if old.default != new.default || old.kind != new.kind {
        match &new.default {
            Some(default) => clauses.push(format!("alter column {name} set default {}", default.of(DIALECT))),
            None if old.kind == new.kind => clauses.push(format!("alter column {name} drop default")),
            None => {}
        }
    }
    if old.nullable != new.nullable {
        let verb = if new.nullable { "drop" } else { "set" };
        clauses.push(format!("alter column {name} {verb} not null"));
    }
}

/// A value for existing rows when a column that may not be null is restored; the values it had are lost.
pub(crate) const fn filler(dialect: Dialect, column: &Column) -> Option<&'static str> {
    if column.nullable || column.default.is_some() {
        return None;
    }
    Some(match (column.kind, dialect) {
        (ColumnType::Text, _) => "''",
        (ColumnType::Json, _) => "'null'",
        (ColumnType::Int, _) | (ColumnType::Bool | ColumnType::Time, Dialect::Sqlite) => "0",
        (ColumnType::Bool, Dialect::Postgres) => "false",
        (ColumnType::Float, _) => "0.0",
        (ColumnType::Time, Dialect::Postgres) => "'1970-01-01T00:00:00Z'",
        (ColumnType::Bytes, Dialect::Sqlite) => "x''",
        (ColumnType::Bytes, Dialect::Postgres) => "''",
        (ColumnType::Uuid, Dialect::Sqlite) => "x'00000000000000000000000000000000'",
        (ColumnType::Uuid, Dialect::Postgres) => "'00000000-0000-0000-0000-000000000000'",
    })
}
