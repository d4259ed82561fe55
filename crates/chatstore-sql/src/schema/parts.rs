//! The parts of a declaration.

use chatstore_migrate::model::{self, Action, ColumnType, IndexPart, Indexed, Key, Method, SqlText, Storage};

use super::text::is_same;

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnType,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether it is null in a new row, until another statement sets it.
    pub later: bool,
}

/// A unique constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unique {
    /// Its name.
    pub name: &'static str,
    /// Its columns, in order.
    pub columns: &'static [&'static str],
    /// The field whose value is taken when it is violated.
    pub field: &'static str,
}

/// A reference to another table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [&'static str],
    /// The table it refers to.
    pub parent: &'static str,
    /// Columns there, which are a key.
    pub parent_columns: &'static [&'static str],
    /// What happens when the row there is deleted.
    pub on_delete: Action,
}

/// A check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// What must not be false, on both databases.
    pub condition: &'static str,
    /// What callers are told when it is violated; `None` when only a defect of ours can violate it.
    pub meaning: Option<&'static str>,
}

/// An index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// Its columns, in order, with ` desc` behind those that descend.
    pub columns: &'static [&'static str],
    /// Which rows it has; all of them unless there is one.
    pub predicate: Option<&'static str>,
    /// The field whose value is taken when two of its rows would be equal; `None` when they may be.
    pub unique_field: Option<&'static str>,
    /// What it is for.
    pub purpose: IndexPurpose,
}

/// What an index is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexPurpose {
    /// Order and ranges, on both databases.
    Order,
    /// Values that JSON contains; only on PostgreSQL.
    Containment,
}

/// A table.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What errors call a row of it.
    pub entity: &'static str,
    /// The word with which the names of its statements begin.
    pub repository: &'static str,
    /// Its columns, in order.
    pub columns: &'static [Column],
    /// The columns of its primary key, in order.
    pub primary_key: &'static [&'static str],
    /// The field whose value is taken when the primary key is violated; `None` when only a defect of
    /// ours can violate it.
    pub key_field: Option<&'static str>,
    /// Its unique constraints.
    pub uniques: &'static [Unique],
    /// Its references to other tables.
    pub foreign_keys: &'static [ForeignKey],
    /// Its checks.
    pub checks: &'static [Check],
    /// Its indexes.
    pub indexes: &'static [Index],
}

pub(super) const fn required(name: &'static str, kind: ColumnType) -> Column {
    Column { name, kind, nullable: false, later: false }
}

pub(super) const fn optional(name: &'static str, kind: ColumnType) -> Column {
    Column { name, kind, nullable: true, later: false }
}

pub(super) const fn later(name: &'static str, kind: ColumnType) -> Column {
    Column { name, kind, nullable: true, later: true }
}

pub(super) const fn unique(
    name: &'static str,
    columns: &'static [&'static str],
    field: &'static str,
) -> Unique {
    Unique { name, columns, field }
}

pub(super) const fn foreign_key(
    name: &'static str,
    columns: &'static [&'static str],
    parent: &'static str,
    parent_columns: &'static [&'static str],
    on_delete: Action,
) -> ForeignKey {
    ForeignKey { name, columns, parent, parent_columns, on_delete }
}

pub(super) const fn check(name: &'static str, condition: &'static str) -> Check {
    Check { name, condition, meaning: None }
}

pub(super) const fn index(
    name: &'static str,
    columns: &'static [&'static str],
    predicate: Option<&'static str>,
) -> Index {
    Index { name, columns, predicate, unique_field: None, purpose: IndexPurpose::Order }
}

pub(super) const fn containment_index(name: &'static str, columns: &'static [&'static str]) -> Index {
    Index { name, columns, predicate: None, unique_field: None, purpose: IndexPurpose::Containment }
}

impl Table {
    /// Whether it has a column of this name.
    pub(crate) const fn has_column(&self, name: &str) -> bool {
        self.column(name).is_some()
    }

    /// Whether it has a column of this name, which may be null.
    pub(crate) const fn has_optional_column(&self, name: &str) -> bool {
        matches!(self.column(name), Some(Column { nullable: true, .. }))
    }

    const fn column(&self, name: &str) -> Option<&Column> {
        let mut index = 0;
        while index < self.columns.len() {
            if is_same(self.columns[index].name, name) {
                return Some(&self.columns[index]);
            }
            index += 1;
        }
        None
    }

    /// The same for the migration engine.
    pub(super) fn model(&self) -> model::Table {
        model::Table {
            name: self.name.to_owned(),
            columns: self.columns.iter().map(Column::model).collect(),
            primary_key: Key { name: format!("pk_{}", self.name), columns: owned(self.primary_key) },
            uniques: self.uniques.iter().map(Unique::model).collect(),
            foreign_keys: self.foreign_keys.iter().map(ForeignKey::model).collect(),
            checks: self.checks.iter().map(Check::model).collect(),
            indexes: self.indexes.iter().map(Index::model).collect(),
            storage: Storage::ByPrimaryKey,
        }
    }
}

impl Column {
    fn model(&self) -> model::Column {
        let Self { name, kind, nullable, later: _ } = *self;
        model::Column { name: name.to_owned(), kind, nullable, default: None }
    }
}

impl Unique {
    fn model(&self) -> Key {
        Key { name: self.name.to_owned(), columns: owned(self.columns) }
    }
}

impl ForeignKey {
    fn model(&self) -> model::ForeignKey {
        model::ForeignKey {
            name: self.name.to_owned(),
            columns: owned(self.columns),
            parent: self.parent.to_owned(),
            parent_columns: owned(self.parent_columns),
            on_delete: self.on_delete,
            on_update: Action::NoAction,
        }
    }
}

impl Check {
    pub(super) const fn means(self, meaning: &'static str) -> Self {
        Self { meaning: Some(meaning), ..self }
    }

    fn model(&self) -> model::Check {
        model::Check { name: self.name.to_owned(), condition: SqlText::from(self.condition) }
    }
}

impl Index {
    /// No two of its rows are equal.
    pub(super) const fn unique_in(self, field: &'static str) -> Self {
        Self { unique_field: Some(field), ..self }
    }

    fn model(&self) -> model::Index {
        let (method, operator_class) = match self.purpose {
            IndexPurpose::Order => (Method::Btree, None),
            IndexPurpose::Containment => (Method::Gin, Some("jsonb_path_ops".to_owned())),
        };
        let part = |text: &&str| {
            let (column, descending) =
                text.strip_suffix(" desc").map_or((*text, false), |column| (column, true));
            let operator_class = operator_class.clone();
            IndexPart { of: Indexed::Column(column.to_owned()), descending, operator_class }
        };
        model::Index {
            name: self.name.to_owned(),
            parts: self.columns.iter().map(part).collect(),
            unique: self.unique_field.is_some(),
            predicate: self.predicate.map(SqlText::from),
            method,
        }
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
