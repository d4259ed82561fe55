//! Finds the tables of a schema, and which of their columns means what.

use std::collections::BTreeMap;

use chatstore_sql::{ExternalDatabase, ExternalTable};

use super::mapping::Mapping;
use super::{Schema, SqlalchemyError};
use crate::source::row::Layout;

/// A table as the documents of its application describe it.
#[derive(Debug)]
pub(super) struct TableDescription {
    pub(super) name: &'static str,
    pub(super) singular: &'static str,
    /// Columns without which nothing can be done.
    pub(super) required: &'static [&'static str],
    /// Columns that are left empty where they are missing.
    pub(super) optional: &'static [&'static str],
}

/// The tables of a database.
#[derive(Debug)]
pub(super) struct Tables(pub(super) Vec<Layout>);

impl Tables {
    pub(super) fn get(&self, name: &str) -> &Layout {
        self.0.iter().find(|layout| layout.name == name).unwrap_or(&self.0[0])
    }
}

/// The schema that is asked for, by the command or by the mapping.
pub(super) fn asked(schema: Option<Schema>, mapping: &Mapping) -> Result<Option<Schema>, SqlalchemyError> {
    let Some((name, line)) = &mapping.schema else { return Ok(schema) };
    let wrong = |problem| Err(SqlalchemyError::Mapping(format!("line {line}: {problem}")));
    let Some(mapped) = Schema::parse(name) else {
        let names = Schema::ALL.map(Schema::as_str).join(", ");
        return wrong(format!("schema is {name:?}; it is one of {names}, or left out"));
    };
    match schema {
        Some(asked) if asked != mapped => {
            wrong(format!("it is for the schema {}, but {} was asked for", mapped.as_str(), asked.as_str()))
        }
        _ => Ok(Some(mapped)),
    }
}

/// Finds the tables of one of these schemas; else why each does not fit.
pub(super) async fn find(
    database: &ExternalDatabase,
    candidates: &[Schema],
    mapping: &Mapping,
) -> Result<Result<(Schema, Tables), Vec<String>>, SqlalchemyError> {
    let mut reasons = Vec::new();
    for schema in candidates {
        match tables_of(database, *schema, mapping).await? {
            Ok(tables) => return Ok(Ok((*schema, tables))),
            Err(reason) => reasons.push(format!("{}: {reason}", schema.as_str())),
        }
    }
    Ok(Err(reasons))
}

/// The tables of one schema, or why they are not there.
async fn tables_of(
    database: &ExternalDatabase,
    schema: Schema,
    mapping: &Mapping,
) -> Result<Result<Tables, String>, SqlalchemyError> {
    let mut tables = Vec::new();
    for description in schema.tables() {
        let names = match mapping.names(description.name) {
            Ok(names) => names,
            Err(reason) => return Ok(Err(reason)),
        };
        let candidates = match names.get("table") {
            Some(name) => vec![name.as_str()],
            None => vec![description.name, description.singular],
        };
        let mut found = None;
        for name in &candidates {
            if found.is_none() {
                found = database.table(name).await?;
            }
        }
        let Some(table) = found else {
            return Ok(Err(format!("it has no table {}", candidates[0])));
        };
        match layout(description, table, &names) {
            Ok(layout) => tables.push(layout),
            Err(reason) => return Ok(Err(reason)),
        }
    }
    let is_known = |name: &str| schema.tables().iter().any(|description| description.name == name);
    if let Some(section) = mapping.sections.iter().find(|section| !is_known(section.name)) {
        let (name, schema) = (section.name, schema.as_str());
        return Ok(Err(format!("the mapping has a section {name}, which {schema} does not have")));
    }
    Ok(Ok(Tables(tables)))
}

fn layout(
    description: &TableDescription,
    table: ExternalTable,
    names: &BTreeMap<String, String>,
) -> Result<Layout, String> {
    let known = || description.required.iter().chain(description.optional).copied();
    if let Some(unknown) = names.keys().find(|name| *name != "table" && !known().any(|field| field == *name))
    {
        let fields: Vec<&str> = known().collect();
        return Err(format!(
            "the mapping names {}.{unknown}; its columns are {}",
            description.name,
            fields.join(", ")
        ));
    }
    let mut fields = Vec::new();
    for field in known() {
        let name = names.get(field).map_or(field, String::as_str);
        let place = table.columns.iter().position(|column| column.name == name);
        if place.is_none() && (names.contains_key(field) || description.required.contains(&field)) {
            let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
            return Err(format!(
                "its table {} has no column {name}, only {}",
                table.name,
                columns.join(", ")
            ));
        }
        fields.push((field, place));
    }
    Ok(Layout { name: description.name, table, fields })
}
