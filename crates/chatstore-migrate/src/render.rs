//! A schema as SQL, in the style of the revisions: lower case, one clause a line.

use std::fmt::Write as _;

use crate::dialect::Dialect;
use crate::model::{Check, Column, ColumnType, ForeignKey, Index, Indexed, Key, Storage, Table};

/// Tables with their indexes, with a blank line between them.
pub(crate) fn create_tables<'t>(dialect: Dialect, tables: impl IntoIterator<Item = &'t Table>) -> String {
    let texts: Vec<String> =
        tables.into_iter().map(|table| create_table_with_indexes(dialect, table)).collect();
    texts.join("\n")
}

fn create_table_with_indexes(dialect: Dialect, table: &Table) -> String {
    let mut text = create_table(dialect, table, &table.name);
    for index in &table.indexes {
        text += &create_index(dialect, &table.name, index);
    }
    text
}

/// A table under a name that may differ from its own.
pub(crate) fn create_table(dialect: Dialect, table: &Table, name: &str) -> String {
    let mut lines: Vec<String> = table.columns.iter().map(|each| column(dialect, each)).collect();
    lines.push(primary_key(&table.primary_key));
    lines.extend(table.uniques.iter().map(unique));
    lines.extend(table.foreign_keys.iter().map(foreign_key));
    lines.extend(table.checks.iter().map(|each| check(dialect, each)));
    lines.extend(table.columns.iter().filter_map(|each| implied_check(dialect, &table.name, each)));
    let end = match (dialect, table.storage) {
        (Dialect::Sqlite, Storage::ByPrimaryKey) => " strict, without rowid",
        (Dialect::Sqlite, Storage::ByRowid) => " strict",
        (Dialect::Postgres, _) => "",
    };
    format!("create table {name} (\n  {}\n){end};\n", lines.join(",\n  "))
}

/// A column as it is written in the definition of a table.
pub(crate) fn column(dialect: Dialect, column: &Column) -> String {
    let mut text = format!("{} {}", column.name, column.kind.sql_name(dialect));
    if dialect == Dialect::Postgres && column.kind == ColumnType::Text {
        text += " collate \"C\"";
    }
    if !column.nullable {
        text += " not null";
    }
    if let Some(default) = &column.default {
        // Without parentheses, SQLite accepts only a literal.
        let default = default.of(dialect);
        let is_literal = default.starts_with('\'') || default.chars().all(char::is_alphanumeric);
        let _ = if is_literal {
            write!(text, " default {default}")
        } else {
            write!(text, " default ({default})")
        };
    }
    text
}

pub(crate) fn primary_key(key: &Key) -> String {
    format!("constraint {} primary key ({})", key.name, key.columns.join(", "))
}

pub(crate) fn unique(key: &Key) -> String {
    format!("constraint {} unique ({})", key.name, key.columns.join(", "))
}

pub(crate) fn check(dialect: Dialect, check: &Check) -> String {
    format!("constraint {} check ({})", check.name, check.condition.of(dialect))
}

/// The check of a type that the database lacks.
pub(crate) fn implied_check(dialect: Dialect, table: &str, column: &Column) -> Option<String> {
    let name = &column.name;
    let condition = match (dialect, column.kind) {
        (Dialect::Sqlite, ColumnType::Bool) => format!("{name} in (0, 1)"),
        (Dialect::Sqlite, ColumnType::Json) => format!("json_valid({name})"),
        _ => return None,
    };
    Some(format!("constraint ck_{table}_{name} check ({condition})"))
}

pub(crate) fn foreign_key(key: &ForeignKey) -> String {
    let before_parent = if key.columns.len() > 1 { "\n    " } else { " " };
    let mut text = format!(
        "constraint {} foreign key ({}){before_parent}references {} ({})",
        key.name,
        key.columns.join(", "),
        key.parent,
        key.parent_columns.join(", ")
    );
    for (event, action) in [("delete", key.on_delete), ("update", key.on_update)] {
        if let Some(clause) = action.clause() {
            let _ = write!(text, " on {event} {clause}");
        }
    }
    text
}

/// Empty for a dialect that has no such index.
pub(crate) fn create_index(dialect: Dialect, table: &str, index: &Index) -> String {
    if !index.method.is_known_to(dialect) {
        return String::new();
    }
    let parts: Vec<String> = index
        .parts
        .iter()
        .map(|part| {
            let mut text = match &part.of {
                Indexed::Column(name) => name.clone(),
                Indexed::Expression(expression) => format!("({})", expression.of(dialect)),
            };
            if let (Some(class), Dialect::Postgres) = (&part.operator_class, dialect) {
                let _ = write!(text, " {class}");
            }
            if part.descending {
                text += " desc";
            }
            text
        })
        .collect();
    let unique = if index.unique { "unique " } else { "" };
    let method = match (dialect, index.method.is_known_to(Dialect::Sqlite)) {
        (Dialect::Postgres, false) => format!(" using {}", index.method.as_str()),
        _ => String::new(),
    };
    let predicate =
        index.predicate.as_ref().map(|text| format!(" where {}", text.of(dialect))).unwrap_or_default();
    format!("create {unique}index {} on {table}{method} ({}){predicate};\n", index.name, parts.join(", "))
}

/// Empty for a dialect that has no such index.
pub(crate) fn drop_index(dialect: Dialect, index: &Index) -> String {
    if !index.method.is_known_to(dialect) {
        return String::new();
    }
    format!("drop index {};\n", index.name)
}
