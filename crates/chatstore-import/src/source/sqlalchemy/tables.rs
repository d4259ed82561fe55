//! Finds the tables of a schema, and which of their columns means what.

use std::collections::BTreeMap;

use chatstore_sql::{ExternalDatabase, ExternalTable};
use serde::Deserialize;

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

/// What tables and columns are called in a database that has renamed them, as a TOML file says it:
/// a section for each table, in it `table` and the columns, each with its name in that database.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    schema: Option<String>,
    #[serde(default)]
    users: BTreeMap<String, String>,
    #[serde(default)]
    conversations: BTreeMap<String, String>,
    #[serde(default)]
    messages: BTreeMap<String, String>,
    #[serde(default)]
    responses: BTreeMap<String, String>,
    #[serde(default)]
    chats: BTreeMap<String, String>,
    #[serde(default)]
    documents: BTreeMap<String, String>,
}

impl Mapping {
    /// Reads the file's text.
    ///
    /// # Errors
    /// [`SqlalchemyError::Mapping`] with the line that is wrong.
    pub fn parse(text: &str) -> Result<Self, SqlalchemyError> {
        toml::from_str(text).map_err(|error| SqlalchemyError::Mapping(error.to_string()))
    }

    fn table(&self, name: &str) -> &BTreeMap<String, String> {
        match name {
            "users" => &self.users,
            "conversations" => &self.conversations,
            "messages" => &self.messages,
            "chats" => &self.chats,
            "documents" => &self.documents,
            _ => &self.responses,
        }
    }
}

/// The tables of a database.
#[derive(Debug)]
pub(super) struct Tables(pub(super) Vec<Layout>);

impl Tables {
    pub(super) fn get(&self, name: &str) -> &Layout {
        self.0.iter().find(|layout| layout.name == name).unwrap_or(&self.0[0])
    }
}

/// Finds the tables; of a schema that was not named, of the one that fits.
pub(super) async fn find(
    database: &mut ExternalDatabase,
    schema: Option<Schema>,
    mapping: &Mapping,
) -> Result<(Schema, Tables), SqlalchemyError> {
    let mapped = match &mapping.schema {
        None => None,
        Some(name) => Some(Schema::parse(name).ok_or_else(|| {
            let names = Schema::ALL.map(Schema::as_str).join(", ");
            SqlalchemyError::Mapping(format!("schema is {name:?}; it is one of {names}"))
        })?),
    };
    if let (Some(asked), Some(mapped)) = (schema, mapped)
        && asked != mapped
    {
        return Err(SqlalchemyError::Mapping(format!(
            "it is for the schema {}, but {} was asked for",
            mapped.as_str(),
            asked.as_str()
        )));
    }
    let candidates = schema.or(mapped).map_or(Schema::ALL.to_vec(), |schema| vec![schema]);
    let mut reasons = Vec::new();
    for schema in candidates {
        match tables_of(database, schema, mapping).await? {
            Ok(tables) => return Ok((schema, tables)),
            Err(reason) => reasons.push(format!("{}: {reason}", schema.as_str())),
        }
    }
    Err(SqlalchemyError::Unrecognized {
        place: database.place().to_owned(),
        reasons: reasons.join("; "),
        tables: database.table_names().await?.join(", "),
    })
}

/// The tables of one schema, or why they are not there.
async fn tables_of(
    database: &mut ExternalDatabase,
    schema: Schema,
    mapping: &Mapping,
) -> Result<Result<Tables, String>, SqlalchemyError> {
    let mut tables = Vec::new();
    for description in schema.tables() {
        let names = mapping.table(description.name);
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
        match layout(description, table, names) {
            Ok(layout) => tables.push(layout),
            Err(reason) => return Ok(Err(reason)),
        }
    }
    let is_known = |name: &str| schema.tables().iter().any(|description| description.name == name);
    for name in ["users", "conversations", "messages", "responses", "chats", "documents"] {
        if !mapping.table(name).is_empty() && !is_known(name) {
            let schema = schema.as_str();
            return Ok(Err(format!("the mapping has a section {name}, which {schema} does not have")));
        }
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
