//! The differences between two schemas, compared by value.
//!
//! The order of columns and of constraints makes no difference, because PostgreSQL adds columns at
//! the end.

use std::collections::BTreeSet;

use crate::dialect::Dialect;
use crate::error::DiffError;
use crate::model::{Check, Column, ForeignKey, Index, Key, Schema, Storage, Table};
use crate::rename::Renames;

/// The change from one schema to another, and back.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The way forward.
    pub up: SchemaChange,
    /// The way back.
    pub down: SchemaChange,
}

impl Difference {
    /// Compares two schemas.
    ///
    /// # Errors
    /// [`DiffError`].
    pub fn between(before: &Schema, after: &Schema, renames: &Renames) -> Result<Self, DiffError> {
        refuse_same_keys(after)?;
        let up = SchemaChange::between(before, after, renames)?;
        up.refuse_guesses()?;
        up.refuse_missing_defaults()?;
        let down = SchemaChange::between(after, before, &renames.inverse())?;
        Ok(Self { up, down })
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.up.descriptions().is_empty()
    }
}

/// A change in one direction between two schemas.
#[derive(Debug, Clone)]
pub struct SchemaChange {
    pub(crate) renames: Renames,
    /// With the new names of tables and columns.
    pub(crate) before: Schema,
    pub(crate) after: Schema,
}

impl SchemaChange {
    fn between(before: &Schema, after: &Schema, renames: &Renames) -> Result<Self, DiffError> {
        let change = Self { renames: renames.clone(), before: renames.apply(before)?, after: after.clone() };
        for table in change.before.tables.iter().filter(|table| table.storage == Storage::ByPrimaryKey) {
            let key = &table.primary_key.columns;
            let Some(column) = key.first().filter(|_| key.len() == 1) else { continue };
            let is_shared = table.uniques.iter().any(|unique| unique.columns.contains(column));
            if is_shared && change.renames.is_column(&table.name, column) {
                return Err(DiffError::RenameOfKey(format!("{}.{column}", table.name)));
            }
        }
        for alteration in change.altered() {
            for (old, new) in &alteration.columns.changed {
                let is_possible = [Dialect::Sqlite, Dialect::Postgres].into_iter().all(|dialect| {
                    old.kind == new.kind || old.kind.conversion_to(new.kind, dialect, "").is_some()
                });
                if !is_possible {
                    let column = format!("{}.{}", alteration.after.name, new.name);
                    return Err(DiffError::NoConversion { column, from: old.kind, to: new.kind });
                }
            }
        }
        Ok(change)
    }

    /// Whether it deletes a table or a column.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        self.dropped().next().is_some()
            || self.altered().iter().any(|alteration| !alteration.columns.gone.is_empty())
    }

    /// What it does, one line each, in order.
    #[must_use]
    pub fn descriptions(&self) -> Vec<String> {
        let mut lines = self.renames.descriptions();
        lines.extend(self.dropped().map(|table| format!("drop the table {}", table.name)));
        for alteration in self.altered() {
            alteration.describe(&mut lines);
        }
        lines.extend(self.created().map(|table| format!("create the table {}", table.name)));
        lines
    }

    /// Children before parents.
    pub(crate) fn dropped(&self) -> impl Iterator<Item = &Table> {
        self.before.tables.iter().rev().filter(|table| self.after.table(&table.name).is_none())
    }

    /// Parents before children.
    pub(crate) fn created(&self) -> impl Iterator<Item = &Table> {
        self.after.tables.iter().filter(|table| self.before.table(&table.name).is_none())
    }

    /// Tables that stay and differ.
    pub(crate) fn altered(&self) -> Vec<Alteration<'_>> {
        let taken = Taken::of(&self.before);
        let both = |after| Some(Alteration::between(self.before.table(&Table::name(after))?, after, &taken));
        self.after.tables.iter().filter_map(both).filter(|alteration| !alteration.is_empty()).collect()
    }

    fn refuse_guesses(&self) -> Result<(), DiffError> {
        if self.renames.is_complete() {
            return Ok(());
        }
        for gone in self.dropped() {
            let kinds = |table: &Table| table.columns.iter().map(|column| column.kind).collect::<Vec<_>>();
            let alike = self.created().find(|new| kinds(new) == kinds(gone));
            if let Some(new) = alike {
                return Err(DiffError::MayBeRename {
                    dropped: format!("the table {}", gone.name),
                    added: format!("the table {}", new.name),
                    rename: format!("{}:{}", gone.name, new.name),
                });
            }
        }
        for alteration in self.altered() {
            let table = &alteration.after.name;
            for gone in &alteration.columns.gone {
                let alike = alteration.columns.new.iter().find(|new| new.kind == gone.kind);
                if let Some(new) = alike {
                    return Err(DiffError::MayBeRename {
                        dropped: format!("the column {table}.{}", gone.name),
                        added: format!("the column {table}.{}", new.name),
                        rename: format!("{table}.{}:{}", gone.name, new.name),
                    });
                }
            }
        }
        Ok(())
    }

    fn refuse_missing_defaults(&self) -> Result<(), DiffError> {
        for alteration in self.altered() {
            let is_without = |column: &&&Column| !column.nullable && column.default.is_none();
            if let Some(column) = alteration.columns.new.iter().find(is_without) {
                return Err(DiffError::NeedsDefault(format!("{}.{}", alteration.after.name, column.name)));
            }
        }
        Ok(())
    }
}

fn refuse_same_keys(schema: &Schema) -> Result<(), DiffError> {
    for table in &schema.tables {
        for (place, key) in table.uniques.iter().enumerate() {
            let mut others = table.uniques[..place].iter().chain([&table.primary_key]);
            if others.any(|other| other.columns == key.columns) {
                return Err(DiffError::SameKey(format!("{}.{}", table.name, key.name)));
            }
        }
    }
    Ok(())
}

/// Anything that has a name in a schema.
pub(crate) trait Named: Clone + PartialEq {
    fn name(&self) -> String;
    fn rename(&mut self, name: String);
}

macro_rules! named {
    ($($kind:ty),*) => {
        $(impl Named for $kind {
            fn name(&self) -> String {
                self.name.clone()
            }

            fn rename(&mut self, name: String) {
                self.name = name;
            }
        })*
    };
}

named!(Table, Column, Key, ForeignKey, Check, Index);

/// Two lists compared by name.
#[derive(Debug)]
pub(crate) struct Sides<'t, T> {
    pub(crate) gone: Vec<&'t T>,
    pub(crate) new: Vec<&'t T>,
    pub(crate) changed: Vec<(&'t T, &'t T)>,
    /// The same except for the name.
    pub(crate) renamed: Vec<(&'t T, &'t T)>,
}

impl<'t, T: Named> Sides<'t, T> {
    fn between(before: &'t [T], after: &'t [T]) -> Self {
        let named = |list: &'t [T], name: String| list.iter().find(|each| each.name() == name);
        let mut sides = Self { gone: Vec::new(), new: Vec::new(), changed: Vec::new(), renamed: Vec::new() };
        for old in before {
            match named(after, old.name()) {
                None => sides.gone.push(old),
                Some(new) if new != old => sides.changed.push((old, new)),
                Some(_) => {}
            }
        }
        sides.new = after.iter().filter(|new| named(before, new.name()).is_none()).collect();
        sides
    }

    /// Moves what differs only in its name from the gone and the new to the renamed.
    fn pair_renamed(mut self, is_taken: impl Fn(&str) -> bool) -> Self {
        for old in std::mem::take(&mut self.gone) {
            let is_same = |new: &&T| {
                if is_taken(&new.name()) {
                    return false;
                }
                let mut renamed = old.clone();
                renamed.rename(new.name());
                renamed == **new
            };
            match self.new.iter().position(is_same) {
                Some(place) => self.renamed.push((old, self.new.remove(place))),
                None => self.gone.push(old),
            }
        }
        self
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.new.is_empty() && self.changed.is_empty() && self.renamed.is_empty()
    }

    /// What exists before and not afterwards, or not in the same form.
    pub(crate) fn removed(&self) -> impl Iterator<Item = &'t T> {
        self.gone.iter().copied().chain(self.changed.iter().map(|(old, _)| *old))
    }

    /// What exists afterwards and not before, or not in the same form.
    pub(crate) fn added(&self) -> impl Iterator<Item = &'t T> {
        self.new.iter().copied().chain(self.changed.iter().map(|(_, new)| *new))
    }

    fn describe(&self, what: &str, table: &str, lines: &mut Vec<String>) {
        let mut add = |verb: &str, one: &T| lines.push(format!("{verb} the {what} {table}.{}", one.name()));
        self.gone.iter().for_each(|old| add("drop", old));
        self.changed.iter().for_each(|(_, new)| add("change", new));
        self.new.iter().for_each(|new| add("add", new));
        for (old, new) in &self.renamed {
            lines.push(format!("rename the {what} {table}.{} to {}", old.name(), new.name()));
        }
    }
}

/// Names that are in use before the change, so that nothing can be renamed to them. The names of indexes and of
/// constraints with an index are unique in the whole schema, those of other constraints in their table.
struct Taken<'t>(BTreeSet<&'t str>);

impl<'t> Taken<'t> {
    fn of(schema: &'t Schema) -> Self {
        let names = schema.tables.iter().flat_map(|table| {
            let keys = table.uniques.iter().chain([&table.primary_key]).map(|key| &key.name);
            keys.chain(table.indexes.iter().map(|index| &index.name)).chain([&table.name])
        });
        Self(names.map(String::as_str).collect())
    }

    fn in_schema(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    fn in_table(&self, table: &Table, name: &str) -> bool {
        self.in_schema(name)
            || table.foreign_keys.iter().any(|key| key.name == name)
            || table.checks.iter().any(|check| check.name == name)
    }
}

/// A table that stays and differs.
#[derive(Debug)]
pub(crate) struct Alteration<'t> {
    pub(crate) before: &'t Table,
    pub(crate) after: &'t Table,
    pub(crate) columns: Sides<'t, Column>,
    pub(crate) primary_key: Sides<'t, Key>,
    pub(crate) uniques: Sides<'t, Key>,
    pub(crate) foreign_keys: Sides<'t, ForeignKey>,
    pub(crate) checks: Sides<'t, Check>,
    pub(crate) indexes: Sides<'t, Index>,
}

impl<'t> Alteration<'t> {
    fn between(before: &'t Table, after: &'t Table, taken: &Taken<'_>) -> Self {
        let is_taken = |name: &str| taken.in_table(before, name);
        let key = |table: &'t Table| std::slice::from_ref(&table.primary_key);
        Self {
            before,
            after,
            columns: Sides::between(&before.columns, &after.columns),
            primary_key: Sides::between(key(before), key(after)).pair_renamed(is_taken),
            uniques: Sides::between(&before.uniques, &after.uniques).pair_renamed(is_taken),
            foreign_keys: Sides::between(&before.foreign_keys, &after.foreign_keys).pair_renamed(is_taken),
            checks: Sides::between(&before.checks, &after.checks).pair_renamed(is_taken),
            indexes: Sides::between(&before.indexes, &after.indexes).pair_renamed(is_taken),
        }
    }

    fn is_empty(&self) -> bool {
        self.columns.is_empty() && self.keeps_constraints() && self.indexes.is_empty()
    }

    /// Whether nothing but columns and indexes differs.
    pub(crate) fn keeps_constraints(&self) -> bool {
        self.primary_key.is_empty()
            && self.uniques.is_empty()
            && self.foreign_keys.is_empty()
            && self.checks.is_empty()
            && self.before.storage == self.after.storage
    }

    fn describe(&self, lines: &mut Vec<String>) {
        let table = &self.after.name;
        self.columns.describe("column", table, lines);
        self.primary_key.describe("primary key", table, lines);
        self.uniques.describe("unique constraint", table, lines);
        self.foreign_keys.describe("foreign key", table, lines);
        self.checks.describe("check", table, lines);
        self.indexes.describe("index", table, lines);
        if self.before.storage != self.after.storage {
            lines.push(format!("change how SQLite stores the table {table}"));
        }
    }
}
