//! What a violated constraint means to callers, by what the schema says of it.

use crate::error::StoreError;
use crate::schema::{TABLES, Table};

/// What it means that the primary or unique key with this name was violated.
#[cfg(feature = "postgres")]
pub(super) fn taken_constraint(name: &str) -> Option<StoreError> {
    taken(|_, key, _| key == name)
}

/// The same for a key that is named by its columns: `users.email_key`, `api_keys.user_id, api_keys.id`.
#[cfg(feature = "sqlite")]
pub(super) fn taken_columns(names: &str) -> Option<StoreError> {
    taken(|table, _, columns| {
        let names = names.split(", ").map(|name| name.split_once('.'));
        names.eq(columns.iter().map(|&column| Some((table.name, column))))
    })
}

/// `is_violated` tells the key by its table, its name and its columns.
fn taken(is_violated: impl Fn(&Table, &str, &[&'static str]) -> bool) -> Option<StoreError> {
    TABLES.iter().find_map(|table| {
        let field = if is_violated(table, &format!("pk_{}", table.name), table.primary_key) {
            table.key_field
        } else {
            let uniques = table.uniques.iter().map(|key| (key.name, key.columns, Some(key.field)));
            let indexes = table.indexes.iter().map(|index| (index.name, index.columns, index.unique_field));
            let violated = uniques
                .chain(indexes.filter(|(_, _, field)| field.is_some()))
                .find(|(name, columns, _)| is_violated(table, name, columns));
            violated.and_then(|(_, _, field)| field)
        };
        Some(StoreError::AlreadyExists { entity: table.entity, field: field? })
    })
}

/// What it means that the check with this name was violated. Only the database can do some checks, because
/// two changes at once may each leave what the other takes.
pub(super) fn refused(name: &str) -> Option<StoreError> {
    let check = TABLES.iter().flat_map(|table| table.checks).find(|check| check.name == name)?;
    check.meaning.map(StoreError::InvalidState)
}

/// That a row of this table refers to something that does not exist.
#[cfg(feature = "postgres")]
pub(super) fn missing_of_table(name: Option<&str>) -> StoreError {
    missing(|table| Some(table.name) == name)
}

/// The same for a row of the table with whose word the name of a statement begins.
#[cfg(feature = "sqlite")]
pub(super) fn missing_of_statement(name: &str) -> StoreError {
    missing(|table| Some(table.repository) == name.split('.').next())
}

fn missing(is_of: impl Fn(&Table) -> bool) -> StoreError {
    let entity = TABLES.iter().find(|table| is_of(table)).map_or("row", |table| table.entity);
    StoreError::MissingReference { entity }
}
