//! Which tables and columns have another name. A comparison cannot know, so the caller says so.

use crate::error::DiffError;
use crate::model::{Indexed, Schema};
use crate::syntax::tokens::tokens;

/// Tables and columns that are renamed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renames {
    /// Tables: the old name and the new one.
    tables: Vec<(String, String)>,
    /// Columns: the new name of the table, the old name of the column and the new one.
    columns: Vec<(String, String, String)>,
    /// Nothing else is a rename, even if it looks like one.
    is_complete: bool,
}

impl Renames {
    /// Reads `old:new` for tables and `table.old:new` for columns, where the table has its new name.
    ///
    /// # Errors
    /// [`DiffError::Unreadable`].
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, DiffError> {
        let mut renames = Self::default();
        for text in texts {
            let unreadable = || DiffError::Unreadable(text.to_owned());
            let (old, new) = text.split_once(':').ok_or_else(unreadable)?;
            if old.is_empty() || new.is_empty() {
                return Err(unreadable());
            }
            match old.split_once('.') {
                None if !new.contains('.') => renames.tables.push((old.to_owned(), new.to_owned())),
                None => return Err(unreadable()),
                Some((table, old)) => {
                    let new = new.strip_prefix(&format!("{table}.")).unwrap_or(new);
                    if new.contains('.') {
                        return Err(unreadable());
                    }
                    renames.columns.push((table.to_owned(), old.to_owned(), new.to_owned()));
                }
            }
        }
        Ok(renames)
    }

    /// Treats everything else that looks like a rename as a drop and an add.
    #[must_use]
    pub fn and_no_others(mut self) -> Self {
        self.is_complete = true;
        self
    }

    pub(crate) const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The way back.
    pub(crate) fn inverse(&self) -> Self {
        let new_name = |table: &str| {
            let renamed = self.tables.iter().find(|(_, new)| new == table);
            renamed.map_or_else(|| table.to_owned(), |(old, _)| old.clone())
        };
        Self {
            tables: self.tables.iter().map(|(old, new)| (new.clone(), old.clone())).collect(),
            columns: self
                .columns
                .iter()
                .map(|(table, old, new)| (new_name(table), new.clone(), old.clone()))
                .collect(),
            is_complete: true,
        }
    }

    /// The same for both databases. Tables come first, because renames of columns use the new names of tables.
    pub(crate) fn statements(&self) -> Vec<String> {
        let tables = in_order(&self.tables).into_iter();
        let tables = tables.map(|(old, new)| format!("alter table {old} rename to {new};\n"));
        let columns = self.columns_in_order().into_iter();
        let columns =
            columns.map(|(table, old, new)| format!("alter table {table} rename column {old} to {new};\n"));
        tables.chain(columns).collect()
    }

    fn columns_in_order(&self) -> Vec<(String, String, String)> {
        let mut tables: Vec<&String> = self.columns.iter().map(|(table, _, _)| table).collect();
        tables.sort_unstable();
        tables.dedup();
        let of = |table: &String| {
            let own = self.columns.iter().filter(|(of, _, _)| of == table);
            let pairs: Vec<_> = own.map(|(_, old, new)| (old.clone(), new.clone())).collect();
            let steps = in_order(&pairs).into_iter();
            steps.map(|(old, new)| (table.clone(), old, new)).collect::<Vec<_>>()
        };
        tables.into_iter().flat_map(of).collect()
    }

    pub(crate) fn descriptions(&self) -> Vec<String> {
        let tables = self.tables.iter().map(|(old, new)| format!("rename the table {old} to {new}"));
        let columns =
            self.columns.iter().map(|(table, old, new)| format!("rename the column {table}.{old} to {new}"));
        tables.chain(columns).collect()
    }

    /// Whether the table or the column is renamed.
    pub(crate) fn concern(&self, table: &str, column: &str) -> bool {
        self.tables.iter().any(|(_, new)| new == table) || self.is_column(table, column)
    }

    /// Whether the column is renamed.
    pub(crate) fn is_column(&self, table: &str, column: &str) -> bool {
        self.columns.iter().any(|(of, _, new)| of == table && new == column)
    }

    /// The schema with all new names, except those of constraints and indexes.
    pub(crate) fn apply(&self, schema: &Schema) -> Result<Schema, DiffError> {
        let mut renamed = schema.clone();
        for (old, new) in &in_order(&self.tables) {
            if old != new && renamed.table(old).is_some() && renamed.table(new).is_some() {
                return Err(taken(old, new));
            }
            let table = renamed.tables.iter_mut().find(|table| table.name == *old);
            table.ok_or_else(|| DiffError::NothingToRename(old.clone()))?.name.clone_from(new);
            let keys = renamed.tables.iter_mut().flat_map(|table| &mut table.foreign_keys);
            for key in keys.filter(|key| key.parent == *old) {
                key.parent.clone_from(new);
            }
        }
        for (table, old, new) in &self.columns_in_order() {
            rename_column(&mut renamed, table, old, new)?;
        }
        Ok(renamed)
    }
}

/// The steps of renames that take effect together: what takes the name of something that is renamed too has a
/// temporary name in between.
fn in_order(renames: &[(String, String)]) -> Vec<(String, String)> {
    let meanwhile = |old: &str| format!("renamed_{old}");
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for (old, new) in renames {
        if renames.iter().any(|(other, _)| other == new) && old != new {
            first.push((old.clone(), meanwhile(old)));
            last.push((meanwhile(old), new.clone()));
        } else {
            last.insert(0, (old.clone(), new.clone()));
        }
    }
    first.into_iter().chain(last).collect()
}

fn taken(old: &str, new: &str) -> DiffError {
    DiffError::NameTaken { old: old.to_owned(), new: new.to_owned() }
}

fn rename_column(schema: &mut Schema, name: &str, old: &str, new: &str) -> Result<(), DiffError> {
    let missing = || DiffError::NothingToRename(format!("{name}.{old}"));
    let rename = |column: &mut String| {
        if column == old {
            new.clone_into(column);
        }
    };
    let rename_text = |text: &str| rename_identifier(text, old, new);
    let table = schema.tables.iter_mut().find(|table| table.name == name).ok_or_else(missing)?;
    if old != new && table.column(new).is_some() {
        return Err(taken(&format!("{name}.{old}"), new));
    }
    let column = table.columns.iter_mut().find(|column| column.name == old).ok_or_else(missing)?;
    new.clone_into(&mut column.name);
    table.primary_key.columns.iter_mut().for_each(rename);
    table.uniques.iter_mut().flat_map(|key| &mut key.columns).for_each(rename);
    table.foreign_keys.iter_mut().flat_map(|key| &mut key.columns).for_each(rename);
    for check in &mut table.checks {
        check.condition = check.condition.map(rename_text);
    }
    for index in &mut table.indexes {
        index.predicate = index.predicate.as_ref().map(|predicate| predicate.map(rename_text));
        for part in &mut index.parts {
            match &mut part.of {
                Indexed::Column(column) => rename(column),
                Indexed::Expression(expression) => *expression = expression.map(rename_text),
            }
        }
    }
    let keys = schema.tables.iter_mut().flat_map(|table| &mut table.foreign_keys);
    keys.filter(|key| key.parent == name).flat_map(|key| &mut key.parent_columns).for_each(rename);
    Ok(())
}

/// Replaces a name where it is a whole word, also in double quotes.
fn rename_identifier(text: &str, old: &str, new: &str) -> String {
    let quoted = |name: &str| format!("\"{name}\"");
    let (old_quoted, new_quoted) = (quoted(old), quoted(new));
    let renamed = |token| match token {
        token if token == old => new,
        token if token == old_quoted => &new_quoted,
        token => token,
    };
    tokens(text).into_iter().map(renamed).collect()
}

/// Whether a name occurs as a whole word outside of quotes.
pub(crate) fn mentions_identifier(text: &str, name: &str) -> bool {
    rename_identifier(text, name, "") != text
}

#[cfg(test)]
mod tests {
    use super::rename_identifier;

    #[test]
    fn a_name_is_replaced_as_a_word_outside_of_quotes() {
        let text = "role in ('role', 'it''s role') and role_id > 0 and lower(role) <> \"role\"";
        let renamed = "kind in ('role', 'it''s role') and role_id > 0 and lower(kind) <> \"kind\"";
        assert_eq!(rename_identifier(text, "role", "kind"), renamed);
    }
}
