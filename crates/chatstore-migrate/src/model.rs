//! A schema as plain values: what is declared, and what a revision's `schema.json` contains.
//!
//! Two schemas are compared by value, so nothing in here depends on a database. What a dialect needs in
//! addition, such as SQLite's checks of truth values and JSON, is not declared but rendered.

use serde::{Deserialize, Serialize};

use crate::dialect::Dialect;

/// The closed set of column types; their spelling in each dialect is in `docs/sql-dialect.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// A UUID.
    Uuid,
    /// Text, compared by bytes.
    Text,
    /// A truth value.
    Bool,
    /// A 64-bit integer.
    Int,
    /// A 64-bit floating-point number.
    Float,
    /// Bytes.
    Bytes,
    /// JSON.
    Json,
    /// An instant.
    Time,
}

impl ColumnType {
    /// Its name in SQL.
    pub(crate) const fn sql_name(self, dialect: Dialect) -> &'static str {
        match (dialect, self) {
            (Dialect::Sqlite, Self::Uuid | Self::Bytes) => "blob",
            (Dialect::Sqlite, Self::Text | Self::Json) | (Dialect::Postgres, Self::Text) => "text",
            (Dialect::Sqlite, Self::Bool | Self::Int | Self::Time) => "integer",
            (Dialect::Sqlite, Self::Float) => "real",
            (Dialect::Postgres, Self::Uuid) => "uuid",
            (Dialect::Postgres, Self::Bool) => "boolean",
            (Dialect::Postgres, Self::Int) => "bigint",
            (Dialect::Postgres, Self::Float) => "double precision",
            (Dialect::Postgres, Self::Bytes) => "bytea",
            (Dialect::Postgres, Self::Json) => "jsonb",
            (Dialect::Postgres, Self::Time) => "timestamptz",
        }
    }

    /// The SQL that converts a value to another type; `None` where there is no conversion on both databases.
    pub(crate) fn conversion_to(self, to: Self, dialect: Dialect, value: &str) -> Option<String> {
        use ColumnType::{Bool, Float, Int, Json, Text};
        let kind = to.sql_name(dialect);
        match (self, to, dialect) {
            (Json, Text, Dialect::Sqlite) | (Text, Json, Dialect::Sqlite) | (Bool, Int, Dialect::Sqlite) => {
                Some(value.to_owned())
            }
            (Float, Int, Dialect::Sqlite) => Some(format!("cast(round({value}) as integer)")),
            (Bool, Int, Dialect::Postgres) => Some(format!("cast(cast({value} as integer) as bigint)")),
            (Int, Bool, _) => Some(format!("{value} <> 0")),
            (Int, Float | Text, _)
            | (Float, Int | Text, _)
            | (Json, Text, _)
            | (Text, Int | Float | Json, _) => Some(format!("cast({value} as {kind})")),
            _ => None,
        }
    }
}

/// SQL that a schema contains: a default, a check, a predicate or an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SqlText {
    /// One text for both databases.
    Same(String),
    /// A text for each.
    Different {
        /// SQLite's.
        sqlite: String,
        /// PostgreSQL's.
        postgres: String,
    },
}

impl SqlText {
    /// The text for a dialect.
    #[must_use]
    pub fn of(&self, dialect: Dialect) -> &str {
        match (self, dialect) {
            (Self::Same(text), _) => text,
            (Self::Different { sqlite, .. }, Dialect::Sqlite) => sqlite,
            (Self::Different { postgres, .. }, Dialect::Postgres) => postgres,
        }
    }

    pub(crate) fn map(&self, change: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Same(text) => Self::Same(change(text)),
            Self::Different { sqlite, postgres } => {
                Self::Different { sqlite: change(sqlite), postgres: change(postgres) }
            }
        }
    }
}

impl From<&str> for SqlText {
    fn from(text: &str) -> Self {
        Self::Same(text.to_owned())
    }
}

/// All tables, parents before children.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// The tables.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Its primary key.
    pub primary_key: Key,
    /// Its unique constraints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uniques: Vec<Key>,
    /// Its references to other tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_keys: Vec<ForeignKey>,
    /// Its checks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Its indexes, without those of its constraints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Index>,
    /// How SQLite stores it.
    #[serde(default)]
    pub storage: Storage,
}

/// How SQLite stores the rows of a table, whose types it checks in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// By the primary key (`without rowid`).
    #[default]
    ByPrimaryKey,
    /// By a number of its own.
    ByRowid,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Whether it may be null.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nullable: bool,
    /// The value when an insert gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<SqlText>,
}

/// A primary key or a unique constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// What must not be false.
    pub condition: SqlText,
}

/// What happens to a row when the row it refers to is deleted or its key is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The statement is refused at its end.
    #[default]
    NoAction,
    /// The statement is refused at once.
    Restrict,
    /// The same is done to it.
    Cascade,
    /// Its reference becomes null.
    SetNull,
    /// Its columns get their defaults.
    SetDefault,
}

impl Action {
    /// As SQL writes it; `None` for the default.
    pub(crate) const fn clause(self) -> Option<&'static str> {
        match self {
            Self::NoAction => None,
            Self::Restrict => Some("restrict"),
            Self::Cascade => Some("cascade"),
            Self::SetNull => Some("set null"),
            Self::SetDefault => Some("set default"),
        }
    }

    const fn is_usual(&self) -> bool {
        matches!(self, Self::NoAction)
    }
}

/// A reference to another table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignKey {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table it refers to.
    pub parent: String,
    /// Columns there, which are a key.
    pub parent_columns: Vec<String>,
    /// When the row there is deleted.
    #[serde(default, skip_serializing_if = "Action::is_usual")]
    pub on_delete: Action,
    /// When the key there is changed.
    #[serde(default, skip_serializing_if = "Action::is_usual")]
    pub on_update: Action,
}

/// How PostgreSQL builds an index. SQLite has only the first, and creates no index where another is
/// declared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// For order and ranges.
    #[default]
    Btree,
    /// For equality alone.
    Hash,
    /// For values within a value.
    Gin,
    /// For overlapping values.
    Gist,
    /// For large tables whose rows are stored in order.
    Brin,
}

impl Method {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Btree => "btree",
            Self::Hash => "hash",
            Self::Gin => "gin",
            Self::Gist => "gist",
            Self::Brin => "brin",
        }
    }

    const fn is_usual(&self) -> bool {
        matches!(self, Self::Btree)
    }

    /// Whether a dialect has it.
    pub(crate) const fn is_known_to(self, dialect: Dialect) -> bool {
        matches!((self, dialect), (Self::Btree, _) | (_, Dialect::Postgres))
    }
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its parts, in order.
    pub parts: Vec<IndexPart>,
    /// Whether it forbids equal rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
    /// Which rows it contains; all of them by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<SqlText>,
    /// How PostgreSQL builds it.
    #[serde(default, skip_serializing_if = "Method::is_usual")]
    pub method: Method,
}

/// A part of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexPart {
    /// A column or an expression.
    pub of: Indexed,
    /// Whether it descends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub descending: bool,
    /// How PostgreSQL compares it, such as `jsonb_path_ops`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_class: Option<String>,
}

/// A column or an expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Indexed {
    /// A column, by its name.
    Column(String),
    /// An expression, without parentheses around it.
    Expression(SqlText),
}

impl Schema {
    /// A table by its name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// As `schema.json` contains it: equal schemas have the same text.
    ///
    /// # Errors
    /// None that these values can cause.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads a `schema.json`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

impl Table {
    /// A column by its name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
