//! A change of the tables, and what the comparison must say about it.

use chatstore_migrate::model::{Schema, Table};
use chatstore_migrate::{Difference, Renames};

use super::tables::schema;

/// A change of the tables.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// What is changed.
    pub name: &'static str,
    /// Changes the parent and the child.
    pub make: fn(&mut Table, &mut Table),
    /// The renames to declare.
    pub renames: &'static [&'static str],
    /// Everything that the comparison must say.
    pub found: &'static [&'static str],
}

impl Change {
    pub fn difference(&self) -> Result<(Schema, Difference), String> {
        let mut after = schema();
        let [parent, child] = &mut after.tables[..] else { return Err("not two tables".to_owned()) };
        (self.make)(parent, child);
        let renames = Renames::parse(self.renames.iter().copied()).map_err(|error| error.to_string())?;
        let difference = Difference::between(&schema(), &after, &renames);
        Ok((after, difference.map_err(|error| error.to_string())?))
    }

    pub fn is_found(&self, difference: &Difference) -> Result<(), String> {
        let found = difference.up.descriptions();
        let is_all = found.len() == self.found.len()
            && self.found.iter().all(|line| found.iter().any(|it| it == line));
        if is_all { Ok(()) } else { Err(format!("{found:?} is found where {:?} is expected", self.found)) }
    }

    /// The name of a column after the change, with the name of its table; `None` when it is dropped.
    pub fn renamed(&self, column: &str) -> Option<String> {
        if self.found.contains(&format!("drop the column {column}").as_str()) {
            return None;
        }
        let (table, name) = column.split_once('.')?;
        for (old, new) in self.renames.iter().filter_map(|rename| rename.split_once(':')) {
            if old == table {
                return Some(format!("{new}.{name}"));
            }
            if old == column {
                return Some(format!("{table}.{new}"));
            }
        }
        Some(column.to_owned())
    }
}
