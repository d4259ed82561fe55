//! What a violated constraint means to callers.

use super::TABLES;

/// Entity and field of the primary or unique key with this name.
#[cfg(feature = "postgres")]
pub(crate) fn taken_constraint(name: &str) -> Option<(&'static str, &'static str)> {
    let primary = name.strip_prefix("pk_");
    TABLES.iter().find_map(|table| {
        if primary == Some(table.name) {
            return table.key_field.map(|field| (table.entity, field));
        }
        let unique = table.uniques.iter().find(|unique| unique.name == name)?;
        Some((table.entity, unique.field))
    })
}

/// The same for a key that is named by its columns: `users.email_key`, `api_keys.user_id, api_keys.id`.
#[cfg(feature = "sqlite")]
pub(crate) fn taken_columns(columns: &str) -> Option<(&'static str, &'static str)> {
    TABLES.iter().find_map(|table| {
        let is_named = |key: &[&'static str]| {
            let names = columns.split(", ").map(|column| column.split_once('.'));
            names.eq(key.iter().map(|&column| Some((table.name, column))))
        };
        if is_named(table.primary_key) {
            return table.key_field.map(|field| (table.entity, field));
        }
        let unique = table.uniques.iter().find(|unique| is_named(unique.columns))?;
        Some((table.entity, unique.field))
    })
}

/// What callers are told about the violation of a check.
pub(crate) fn meaning_of_check(name: &str) -> Option<&'static str> {
    TABLES.iter().flat_map(|table| table.checks).find(|check| check.name == name)?.meaning
}

/// What a row of this table is.
#[cfg(feature = "postgres")]
pub(crate) fn entity_of_table(name: Option<&str>) -> &'static str {
    TABLES.iter().find(|table| Some(table.name) == name).map_or(UNKNOWN, |table| table.entity)
}

/// What the table is about with whose word the name of a statement begins.
#[cfg(feature = "sqlite")]
pub(crate) fn entity_of_statement(name: &str) -> &'static str {
    let repository = name.split('.').next();
    TABLES.iter().find(|table| Some(table.repository) == repository).map_or(UNKNOWN, |table| table.entity)
}

/// A row of a table that is not declared.
const UNKNOWN: &str = "row";
