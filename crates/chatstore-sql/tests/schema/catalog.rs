//! A schema as either database tells it, in words that both share.

use std::collections::BTreeMap;

/// The pattern of the names of the tables of the history; no tables of the data model.
pub const HISTORY: &str = "chatstore_migrations%";

#[derive(Debug, Default)]
pub struct Table {
    pub columns: Vec<Column>,
    pub primary_key: Key,
    pub uniques: Vec<Key>,
    pub indexes: Vec<Index>,
    pub foreign_keys: Vec<ForeignKey>,
    /// Texts of checks by their names.
    pub checks: BTreeMap<String, String>,
}

#[derive(Debug)]
pub struct Column {
    pub name: String,
    /// As the database spells it.
    pub kind: String,
    pub nullable: bool,
    pub collation: Option<String>,
}

#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub name: String,
    pub columns: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Index {
    pub name: String,
    /// With ` desc` behind those that descend.
    pub columns: Vec<String>,
    pub predicate: Option<String>,
    /// How it is built, unless by order.
    pub method: Option<String>,
    pub is_unique: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignKey {
    pub name: String,
    pub columns: Vec<String>,
    pub parent: String,
    pub parent_columns: Vec<String>,
    pub on_delete: String,
    pub on_update: String,
}

pub type Catalog = BTreeMap<String, Table>;

/// Keys, indexes and foreign keys, one line each, in order.
pub fn lines(catalog: &Catalog) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, table) in catalog {
        let key = &table.primary_key;
        lines.push(format!("{name}: primary key {} ({})", key.name, key.columns.join(", ")));
        for key in &table.uniques {
            lines.push(format!("{name}: unique {} ({})", key.name, key.columns.join(", ")));
        }
        for index in &table.indexes {
            let predicate = index.predicate.as_ref().map(|text| format!(" where {text}")).unwrap_or_default();
            let method = index.method.as_ref().map(|text| format!(" using {text}")).unwrap_or_default();
            let columns = index.columns.join(", ");
            let unique = if index.is_unique { "unique " } else { "" };
            lines.push(format!("{name}: {unique}index {}{method} ({columns}){predicate}", index.name));
        }
        for key in &table.foreign_keys {
            lines.push(format!(
                "{name}: foreign key {} ({}) to {} ({}) delete {} update {}",
                key.name,
                key.columns.join(", "),
                key.parent,
                key.parent_columns.join(", "),
                key.on_delete,
                key.on_update
            ));
        }
    }
    lines.sort_unstable();
    lines
}
