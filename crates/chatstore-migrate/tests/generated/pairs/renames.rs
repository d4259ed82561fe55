//! New names for what is in both schemas.

use chatstore_migrate::model::{Column, Schema, Table};

use super::parts::Parts;

/// The renames from the first schema to the second.
#[derive(Default)]
pub struct Names {
    tables: Vec<(String, String)>,
    /// The new name of the table, the old name of the column and the new one.
    columns: Vec<(String, String, String)>,
}

impl Names {
    /// New names for some of the tables and columns in both schemas; some swap their names.
    pub fn draw(parts: &mut Parts<'_>, before: &Schema, after: &Schema) -> Self {
        let mut names = Self::default();
        let both: Vec<_> = after.tables.iter().filter(|table| before.table(&table.name).is_some()).collect();
        if let ([first, .., last], true) = (&both[..], parts.random.percent(15)) {
            names.tables.push((first.name.clone(), last.name.clone()));
            names.tables.push((last.name.clone(), first.name.clone()));
        } else {
            for table in &both {
                if parts.random.percent(15) {
                    let name = parts.name("table_");
                    names.tables.push((table.name.clone(), name));
                }
            }
        }
        for table in both {
            let old = before.table(&table.name);
            let is_fixed = |table: &Table, column: &Column| {
                table.primary_key.columns == [column.name.clone()]
                    && table.uniques.iter().any(|key| key.columns.contains(&column.name))
            };
            let stays = |column: &&Column| {
                let is_there = |old: &Table| old.column(&column.name).is_some() && !is_fixed(old, column);
                old.is_some_and(is_there) && !is_fixed(table, column)
            };
            let columns: Vec<&Column> = table.columns.iter().filter(stays).collect();
            let table = names.table(&table.name).to_owned();
            if let ([one, .., other], true) = (&columns[..], parts.random.percent(15)) {
                names.columns.push((table.clone(), one.name.clone(), other.name.clone()));
                names.columns.push((table.clone(), other.name.clone(), one.name.clone()));
                continue;
            }
            for column in columns {
                if parts.random.percent(12) {
                    let name = parts.name("column_");
                    names.columns.push((table.clone(), column.name.clone(), name));
                }
            }
        }
        names
    }

    /// As they are written on the command line.
    pub fn texts(&self) -> Vec<String> {
        let tables = self.tables.iter().map(|(old, new)| format!("{old}:{new}"));
        tables.chain(self.columns.iter().map(|(table, old, new)| format!("{table}.{old}:{new}"))).collect()
    }

    pub fn table<'n>(&'n self, old: &'n str) -> &'n str {
        self.tables.iter().find(|(from, _)| from == old).map_or(old, |(_, new)| new)
    }

    pub fn column<'n>(&'n self, old: &'n str) -> &'n str {
        self.columns.iter().find(|(_, from, _)| from == old).map_or(old, |(_, _, new)| new)
    }

    /// A schema with the new names. Every name is one word and means one thing.
    pub fn apply(&self, schema: &Schema) -> Result<Schema, String> {
        let text = schema.to_json().map_err(|error| error.to_string())?;
        let mut renamed = String::with_capacity(text.len());
        let mut rest = text.as_str();
        let is_of_a_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        while let Some(next) = rest.chars().next() {
            let end = if is_of_a_word(next) {
                rest.find(|letter| !is_of_a_word(letter)).unwrap_or(rest.len())
            } else {
                next.len_utf8()
            };
            let (word, after) = rest.split_at(end);
            let is_quoted = renamed.ends_with('\'') || renamed.ends_with("it''s ");
            renamed.push_str(if is_quoted { word } else { self.column(self.table(word)) });
            rest = after;
        }
        Schema::from_json(&renamed).map_err(|error| error.to_string())
    }
}
