//! What a mapping file says: which tables and columns of a database are which of ours.
//!
//! A file has a section for each table, in it `table` and the fields. For a [schema](super::Schema) that is known, a
//! field is the name of a column, where that was renamed. For any other database it is an expression: a column, a value
//! within the JSON of a column, a constant, several columns joined, or the first of several that is not null.

mod expression;
mod node;

use std::collections::BTreeMap;

pub(super) use expression::{Expression, Filter, Join, TimeForm, ValueMap};
pub(super) use node::{Node, Value};

use super::SqlalchemyError;

/// The sections that a file may have.
const SECTIONS: [&str; 7] =
    ["users", "conversations", "messages", "documents", "members", "responses", "chats"];

/// What tables and columns are called, as a TOML file says it.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    /// The schema that it names, and where.
    pub(super) schema: Option<(String, usize)>,
    pub(super) sections: Vec<Section>,
    /// The name of a ready map, which takes the place of a file.
    pub(super) ready: Option<&'static str>,
    /// The ready map that a file changes, and where it says so.
    pub(super) base: Option<(String, usize)>,
}

/// What is said of a table.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) line: usize,
    pub(super) entries: Vec<(String, Node)>,
}

impl Mapping {
    /// Reads the file's text.
    ///
    /// # Errors
    /// [`SqlalchemyError::Mapping`] with the line that is wrong.
    pub fn parse(text: &str) -> Result<Self, SqlalchemyError> {
        Self::read(Node::parse(text).map_err(SqlalchemyError::Mapping)?)
    }

    /// Reads the text of a ready map.
    pub(super) fn parse_ready(text: &str) -> Result<Self, SqlalchemyError> {
        Self::read(Node::parse(text).map_err(SqlalchemyError::Mapping)?.without_lines())
    }

    fn read(node: Node) -> Result<Self, SqlalchemyError> {
        let mut mapping = Self::default();
        let Value::Table(entries) = node.value else {
            return Ok(mapping);
        };
        for (name, node) in entries {
            if name == "schema" {
                let schema = node.text("schema").map_err(SqlalchemyError::Mapping)?.to_owned();
                mapping.schema = Some((schema, node.line));
                continue;
            }
            if name == "base" {
                let base = node.text("base").map_err(SqlalchemyError::Mapping)?.to_owned();
                mapping.base = Some((base, node.line));
                continue;
            }
            let Some(known) = SECTIONS.into_iter().find(|known| *known == name) else {
                let problem = format!("there is no section {name}; the sections are {}", SECTIONS.join(", "));
                return Err(SqlalchemyError::Mapping(node.wrong(problem)));
            };
            let line = node.line;
            let Value::Table(entries) = node.value else {
                let problem =
                    node.wrong(format!("{name} is a section: write [{name}], and its fields below it"));
                return Err(SqlalchemyError::Mapping(problem));
            };
            mapping.sections.push(Section { name: known, line, entries });
        }
        Ok(mapping)
    }

    /// The map with the entries of another instead of its own.
    pub(super) fn changed_by(mut self, other: &Self) -> Self {
        for section in &other.sections {
            match self.sections.iter_mut().find(|known| known.name == section.name) {
                Some(known) => {
                    known.line = section.line;
                    known.entries.retain(|(name, _)| !section.entries.iter().any(|(other, _)| other == name));
                    known.entries.extend(section.entries.iter().cloned());
                }
                None => self.sections.push(section.clone()),
            }
        }
        self
    }

    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The names of columns by field, of a section that says nothing else.
    ///
    /// # Errors
    /// Which line says something else.
    pub(super) fn names(&self, name: &str) -> Result<BTreeMap<String, String>, String> {
        let entries = self.section(name).map(|section| section.entries.as_slice()).unwrap_or_default();
        let names = entries.iter().map(|(field, node)| {
            let name = node.text(&format!("{name}.{field}"))?;
            Ok((field.clone(), name.to_owned()))
        });
        names.collect()
    }
}
