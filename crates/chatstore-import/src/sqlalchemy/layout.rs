//! Whose tables they are, and which of their columns means what.

use std::collections::BTreeMap;

use chatstore_sql::{ForeignDatabase, ForeignRow, ForeignTable, ForeignValue};
use serde::Deserialize;

use super::SqlalchemyError;

/// An application whose tables can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// Users, conversations, messages and responses with integer keys beside UUIDs.
    ChatApp,
    /// Users by e-mail address and conversations by thread id.
    Pakton,
}

impl Schema {
    /// Every schema.
    pub const ALL: [Self; 2] = [Self::ChatApp, Self::Pakton];

    /// `chat-app` or `pakton`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatApp => "chat-app",
            Self::Pakton => "pakton",
        }
    }

    /// Reads its name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|schema| schema.as_str() == text)
    }

    const fn tables(self) -> &'static [Described] {
        match self {
            Self::ChatApp => &CHAT_APP,
            Self::Pakton => &PAKTON,
        }
    }
}

/// A table of theirs as their documents describe it.
#[derive(Debug)]
struct Described {
    name: &'static str,
    singular: &'static str,
    /// Columns without which nothing can be done.
    required: &'static [&'static str],
    /// Columns that are left empty where they are missing.
    optional: &'static [&'static str],
}

const CHAT_APP: [Described; 4] = [
    Described {
        name: "users",
        singular: "user",
        required: &["id"],
        optional: &[
            "username",
            "email",
            "hashed_password",
            "full_name",
            "is_active",
            "created_at",
            "updated_at",
        ],
    },
    Described {
        name: "conversations",
        singular: "conversation",
        required: &["id", "uuid"],
        optional: &["title", "default_model", "user_id", "created_at", "updated_at"],
    },
    Described {
        name: "messages",
        singular: "message",
        required: &["id", "conversation_id", "role", "content"],
        optional: &["uuid", "model", "created_at"],
    },
    Described {
        name: "responses",
        singular: "response",
        required: &["id", "message_id"],
        optional: &[
            "model_used",
            "tokens_prompt",
            "tokens_completion",
            "tokens_total",
            "completion_time_ms",
            "created_at",
        ],
    },
];

const PAKTON: [Described; 2] = [
    Described {
        name: "users",
        singular: "user",
        required: &["email"],
        optional: &["created_at", "updated_at"],
    },
    Described {
        name: "conversations",
        singular: "conversation",
        required: &["thread_id", "user_email"],
        optional: &["title", "last_message", "created_at", "updated_at"],
    },
];

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
            _ => &self.responses,
        }
    }
}

/// A table as it is there.
#[derive(Debug)]
pub(super) struct Layout {
    /// Its name in their documents.
    pub(super) name: &'static str,
    pub(super) table: ForeignTable,
    /// Their columns, and where each is.
    fields: Vec<(&'static str, Option<usize>)>,
}

impl Layout {
    pub(super) fn columns(&self) -> Vec<&str> {
        self.table.columns.iter().map(|column| column.name.as_str()).collect()
    }

    /// Where one of their columns is.
    pub(super) fn place(&self, field: &str) -> Option<usize> {
        self.fields.iter().find(|(name, _)| *name == field).and_then(|(_, place)| *place)
    }

    /// What one of their columns is called here.
    pub(super) fn column(&self, field: &str) -> Option<&str> {
        self.place(field).map(|place| self.table.columns[place].name.as_str())
    }

    /// The columns of theirs that are not there.
    pub(super) fn missing(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().filter(|(_, place)| place.is_none()).map(|(field, _)| *field)
    }

    /// The columns that their documents do not know.
    pub(super) fn unknown(&self) -> impl Iterator<Item = usize> {
        (0..self.table.columns.len())
            .filter(|index| !self.fields.iter().any(|(_, place)| *place == Some(*index)))
    }

    pub(super) fn value<'r>(&self, row: &'r [ForeignValue], field: &str) -> &'r ForeignValue {
        self.place(field).and_then(|place| row.get(place)).unwrap_or(&ForeignValue::Null)
    }
}

/// The tables of a schema.
#[derive(Debug)]
pub(super) struct Layouts {
    pub(super) schema: Schema,
    tables: Vec<Layout>,
}

impl Layouts {
    /// Finds the tables; of a schema that was not named, of the one that fits.
    pub(super) async fn find(
        database: &mut ForeignDatabase,
        schema: Option<Schema>,
        mapping: &Mapping,
    ) -> Result<Self, SqlalchemyError> {
        let mapped = match &mapping.schema {
            None => None,
            Some(name) => Some(Schema::parse(name).ok_or_else(|| {
                SqlalchemyError::Mapping(format!("schema is {name:?}; write \"chat-app\" or \"pakton\""))
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
        for schema in &candidates {
            match Self::of(database, *schema, mapping).await? {
                Ok(layouts) => return Ok(layouts),
                Err(reason) => reasons.push(format!("{}: {reason}", schema.as_str())),
            }
        }
        Err(SqlalchemyError::Unrecognised {
            place: database.place().to_owned(),
            reasons: reasons.join("; "),
            tables: database.table_names().await?.join(", "),
        })
    }

    /// The tables of one schema, or why they are not there.
    async fn of(
        database: &mut ForeignDatabase,
        schema: Schema,
        mapping: &Mapping,
    ) -> Result<Result<Self, String>, SqlalchemyError> {
        let mut tables = Vec::new();
        for described in schema.tables() {
            let names = mapping.table(described.name);
            let mut found = None;
            let candidates = match names.get("table") {
                Some(name) => vec![name.as_str()],
                None => vec![described.name, described.singular],
            };
            for name in &candidates {
                if found.is_none() {
                    found = database.table(name).await?;
                }
            }
            let Some(table) = found else {
                return Ok(Err(format!("it has no table {}", candidates[0])));
            };
            match layout(described, table, names) {
                Ok(layout) => tables.push(layout),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        let known: Vec<&str> = schema.tables().iter().map(|described| described.name).collect();
        for name in ["users", "conversations", "messages", "responses"] {
            if !mapping.table(name).is_empty() && !known.contains(&name) {
                return Ok(Err(format!(
                    "the mapping has a section {name}, which {} has not",
                    schema.as_str()
                )));
            }
        }
        Ok(Ok(Self { schema, tables }))
    }

    pub(super) fn get(&self, name: &str) -> &Layout {
        self.tables.iter().find(|layout| layout.name == name).unwrap_or(&self.tables[0])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Layout> {
        self.tables.iter()
    }
}

fn layout(
    described: &Described,
    table: ForeignTable,
    names: &BTreeMap<String, String>,
) -> Result<Layout, String> {
    let known = || described.required.iter().chain(described.optional).copied();
    if let Some(unknown) = names.keys().find(|name| *name != "table" && !known().any(|field| field == *name))
    {
        let fields: Vec<&str> = known().collect();
        return Err(format!(
            "the mapping names {}.{unknown}; its columns are {}",
            described.name,
            fields.join(", ")
        ));
    }
    let mut fields = Vec::new();
    for field in known() {
        let name = names.get(field).map_or(field, String::as_str);
        let place = table.columns.iter().position(|column| column.name == name);
        if place.is_none() && (names.contains_key(field) || described.required.contains(&field)) {
            let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
            return Err(format!(
                "its table {} has no column {name}, only {}",
                table.name,
                columns.join(", ")
            ));
        }
        fields.push((field, place));
    }
    Ok(Layout { name: described.name, table, fields })
}

/// Cuts the part of one table out of a joined row.
pub(super) fn part<'r>(row: &'r ForeignRow, from: usize, layout: &Layout) -> &'r [ForeignValue] {
    &row[from..from + layout.table.columns.len()]
}
