//! The text of a mapping as a tree whose parts know their lines.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and its line.
#[derive(Debug, Clone)]
pub(in crate::source::sqlalchemy) struct Node {
    pub(in crate::source::sqlalchemy) line: usize,
    pub(in crate::source::sqlalchemy) value: Value,
}

/// What a mapping can say.
#[derive(Debug, Clone)]
pub(in crate::source::sqlalchemy) enum Value {
    Text(String),
    Flag(bool),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
    /// A number or a date, of which a mapping has none.
    Other(&'static str),
}

impl Node {
    /// Reads the text; of a text that is no TOML, what the parser says, which has the line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let table = DeTable::parse(text).map_err(|error| error.to_string())?;
        Ok(Self { line: 1, value: table_value(table.get_ref(), text) })
    }

    /// The node of a text that is not the user's, whose lines say nothing to them.
    pub(super) fn without_lines(self) -> Self {
        let value = match self.value {
            Value::List(nodes) => Value::List(nodes.into_iter().map(Self::without_lines).collect()),
            Value::Table(entries) => {
                Value::Table(entries.into_iter().map(|(name, node)| (name, node.without_lines())).collect())
            }
            other => other,
        };
        Self { line: 0, value }
    }

    /// What kind of value it is, for a message.
    pub(in crate::source::sqlalchemy) const fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "a text",
            Value::Flag(_) => "a truth value",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other(kind) => kind,
        }
    }

    /// The text that it is.
    ///
    /// # Errors
    /// That it is none; `what` says what it should be.
    pub(in crate::source::sqlalchemy) fn text(&self, what: &str) -> Result<&str, String> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.wrong(format!("{what} is a text like \"id\", not {}", self.kind()))),
        }
    }

    /// The texts of a list, or one text alone.
    ///
    /// # Errors
    /// That it is neither.
    pub(in crate::source::sqlalchemy) fn texts(&self, what: &str) -> Result<Vec<String>, String> {
        match &self.value {
            Value::Text(text) => Ok(vec![text.clone()]),
            Value::List(nodes) => nodes.iter().map(|node| node.text(what).map(str::to_owned)).collect(),
            _ => Err(self.wrong(format!("{what} is a list of texts, not {}", self.kind()))),
        }
    }

    /// A message about this line.
    pub(in crate::source::sqlalchemy) fn wrong(&self, problem: impl std::fmt::Display) -> String {
        format!("line {}: {problem}", self.line)
    }
}

fn node(value: &Spanned<DeValue<'_>>, text: &str, line: usize) -> Node {
    let value = match value.get_ref() {
        DeValue::String(string) => Value::Text(string.as_ref().to_owned()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| node(item, text, line_of(item.span().start, text)));
            Value::List(items.collect())
        }
        DeValue::Table(table) => table_value(table, text),
        DeValue::Integer(_) | DeValue::Float(_) => Value::Other("a number"),
        DeValue::Datetime(_) => Value::Other("a date"),
    };
    Node { line, value }
}

/// The entries in the order of their lines.
fn table_value(table: &DeTable<'_>, text: &str) -> Value {
    let mut entries: Vec<(String, Node)> = table
        .iter()
        .map(|(name, value)| {
            let line = line_of(name.span().start, text);
            (name.get_ref().as_ref().to_owned(), node(value, text, line))
        })
        .collect();
    entries.sort_by_key(|(_, node)| node.line);
    Value::Table(entries)
}

fn line_of(position: usize, text: &str) -> usize {
    let before = text.as_bytes().get(..position).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
