//! The tables that are changed, and their rows.

use chatstore_migrate::model::{
    Action, Check, Column, ColumnType, ForeignKey, Index, IndexPart, Indexed, Key, Method, Schema, SqlText,
    Storage, Table,
};
use chatstore_migrate::{Dialect, Revision};

use crate::harness;

/// Three parents and five children, of which one has no second parent.
const ROWS: [&str; 8] = [
    "insert into parent (id, name, size, note, flag, kind) values (1, 'one', 10, null, FLAG, 'a')",
    "insert into parent (id, name, size, note, flag, kind) values (2, 'two', null, 'second', FLAG, 'b')",
    "insert into parent (id, name, size, note, flag, kind) values (3, 'three', 30, '', FLAG, 'a')",
    "insert into child (id, parent_id, other_id, data) values (1, 1, 1, '{\"a\":1}')",
    "insert into child (id, parent_id, other_id, data) values (2, 1, 2, '{}')",
    "insert into child (id, parent_id, other_id, data) values (3, 2, null, '[]')",
    "insert into child (id, parent_id, other_id, data) values (4, 3, 3, '1')",
    "insert into child (id, parent_id, other_id, data) values (5, 3, 1, 'null')",
];

/// A parent and a child that is deleted with it.
#[must_use]
pub fn schema() -> Schema {
    use ColumnType::{Bool, Int, Json, Text};
    let parent = Table {
        name: "parent".to_owned(),
        columns: vec![
            column("id", Int, false, None),
            column("name", Text, false, None),
            column("size", Int, true, None),
            column("note", Text, true, None),
            column("flag", Bool, false, None),
            column("kind", Text, false, Some("'a'")),
        ],
        primary_key: key("pk_parent", &["id"]),
        uniques: vec![key("uq_parent_name", &["name"])],
        foreign_keys: Vec::new(),
        checks: vec![check("ck_parent_name", "length(name) <= 50"), check("ck_parent_size", "size > 0")],
        indexes: vec![
            index("ix_parent_kind", &[of_column("kind")], None),
            index("ix_parent_size", &[of_column("size")], Some("size is not null")),
            index("ix_parent_lower", &[of_expression("lower(name)")], None),
        ],
        storage: Storage::ByPrimaryKey,
    };
    let child = Table {
        name: "child".to_owned(),
        columns: vec![
            column("id", Int, false, None),
            column("parent_id", Int, true, None),
            column("other_id", Int, true, None),
            column("data", Json, false, None),
        ],
        primary_key: key("pk_child", &["id"]),
        uniques: Vec::new(),
        foreign_keys: vec![foreign_key("fk_child_parent", "parent_id")],
        checks: Vec::new(),
        indexes: vec![in_data("jsonb_path_ops")],
        storage: Storage::ByPrimaryKey,
    };
    Schema { tables: vec![parent, child] }
}

/// The revision that creates the tables with their rows, and runs more statements.
///
/// # Errors
/// When it is not well-formed.
pub fn first(more: &str) -> Result<Revision, String> {
    let of = |dialect, truth: &str| {
        let rows = ROWS.join(";\n").replace("FLAG", truth);
        format!("{}\n{rows};\n{more}", schema().create(dialect))
    };
    harness::first([of(Dialect::Sqlite, "1"), of(Dialect::Postgres, "true")])
}

pub fn column(name: &str, kind: ColumnType, nullable: bool, default: Option<&str>) -> Column {
    Column { name: name.to_owned(), kind, nullable, default: default.map(SqlText::from) }
}

fn names(columns: &[&str]) -> Vec<String> {
    columns.iter().map(|name| (*name).to_owned()).collect()
}

pub fn key(name: &str, columns: &[&str]) -> Key {
    Key { name: name.to_owned(), columns: names(columns) }
}

pub fn check(name: &str, condition: &str) -> Check {
    Check { name: name.to_owned(), condition: SqlText::from(condition) }
}

/// To the parent, with which the child is deleted.
#[must_use]
pub fn foreign_key(name: &str, column: &str) -> ForeignKey {
    ForeignKey {
        name: name.to_owned(),
        columns: names(&[column]),
        parent: "parent".to_owned(),
        parent_columns: names(&["id"]),
        on_delete: Action::Cascade,
        on_update: Action::NoAction,
    }
}

pub fn index(name: &str, of: &[Indexed], predicate: Option<&str>) -> Index {
    let part = |of: &Indexed| IndexPart { of: of.clone(), descending: false, operator_class: None };
    Index {
        name: name.to_owned(),
        parts: of.iter().map(part).collect(),
        unique: false,
        predicate: predicate.map(SqlText::from),
        method: Method::Btree,
    }
}

pub fn of_column(name: &str) -> Indexed {
    Indexed::Column(name.to_owned())
}

pub fn of_expression(text: &str) -> Indexed {
    Indexed::Expression(SqlText::from(text))
}

pub fn in_data(class: &str) -> Index {
    let mut index = index("ix_child_data", &[of_column("data")], None);
    index.method = Method::Gin;
    index.parts[0].operator_class = Some(class.to_owned());
    index
}
