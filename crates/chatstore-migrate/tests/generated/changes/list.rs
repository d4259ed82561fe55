//! The changes themselves.

use chatstore_migrate::model::{Action, ColumnType, SqlText, Table};

use super::change::Change;
use super::tables::{check, column, foreign_key, in_data, index, key, of_column, of_expression};

const fn change(
    name: &'static str,
    found: &'static [&'static str],
    make: fn(&mut Table, &mut Table),
) -> Change {
    Change { name, make, renames: &[], found }
}

/// Every kind of change once.
#[must_use]
pub fn all() -> Vec<Change> {
    use ColumnType::{Float, Int, Text};
    vec![
        change("add a nullable column", &["add the column parent.extra"], |parent, _| {
            parent.columns.push(column("extra", Int, true, None))
        }),
        change("add a not-null column with a default", &["add the column parent.extra"], |parent, _| {
            parent.columns.push(column("extra", Text, false, Some("'it''s'")));
        }),
        change("drop a column", &["drop the column parent.note"], |parent, _| {
            parent.columns.retain(|column| column.name != "note");
        }),
        Change {
            name: "rename a column",
            make: |parent, _| parent.columns[3].name = "remark".to_owned(),
            renames: &["parent.note:remark"],
            found: &["rename the column parent.note to remark"],
        },
        Change {
            name: "rename a table",
            make: |parent, child| {
                parent.name = "ancestor".to_owned();
                child.foreign_keys[0].parent = "ancestor".to_owned();
            },
            renames: &["parent:ancestor"],
            found: &["rename the table parent to ancestor"],
        },
        change("widen a text length check", &["change the check parent.ck_parent_name"], |parent, _| {
            parent.checks[0] = check("ck_parent_name", "length(name) <= 200");
        }),
        change(
            "widen an integer (to float: there is one type of integers)",
            &["change the column parent.size"],
            |parent, _| parent.columns[2].kind = Float,
        ),
        change("set not null", &["change the column child.parent_id"], |_, child| {
            child.columns[1].nullable = false
        }),
        change("drop not null", &["change the column parent.flag"], |parent, _| {
            parent.columns[4].nullable = true
        }),
        change("change a default", &["change the column parent.kind"], |parent, _| {
            parent.columns[5].default = Some(SqlText::from("'b'"));
        }),
        change(
            "add a unique constraint",
            &["add the unique constraint child.uq_child_parent"],
            |_, child| {
                child.uniques.push(key("uq_child_parent", &["parent_id", "id"]));
            },
        ),
        change(
            "drop a unique constraint",
            &["drop the unique constraint parent.uq_parent_name"],
            |parent, _| parent.uniques.clear(),
        ),
        change("add a check", &["add the check parent.ck_parent_kind"], |parent, _| {
            parent.checks.push(check("ck_parent_kind", "kind in ('a', 'b')"));
        }),
        change("change a check's text", &["change the check parent.ck_parent_size"], |parent, _| {
            parent.checks[1] = check("ck_parent_size", "size >= 10");
        }),
        change("drop a check", &["drop the check parent.ck_parent_size"], |parent, _| {
            parent.checks.truncate(1)
        }),
        change("add a foreign key", &["add the foreign key child.fk_child_other"], |_, child| {
            child.foreign_keys.push(foreign_key("fk_child_other", "other_id"));
        }),
        change(
            "change a foreign key's action",
            &["change the foreign key child.fk_child_parent"],
            |_, child| {
                child.foreign_keys[0].on_delete = Action::Restrict;
            },
        ),
        change("add an index", &["add the index parent.ix_parent_note"], |parent, _| {
            parent.indexes.push(index("ix_parent_note", &[of_column("note")], None));
        }),
        change("change an index's columns", &["change the index parent.ix_parent_kind"], |parent, _| {
            parent.indexes[0] = index("ix_parent_kind", &[of_column("kind"), of_column("id")], None);
        }),
        change("add an index's predicate", &["change the index parent.ix_parent_kind"], |parent, _| {
            parent.indexes[0].predicate = Some(SqlText::from("kind <> 'b'"));
        }),
        change("change an index's predicate", &["change the index parent.ix_parent_size"], |parent, _| {
            parent.indexes[1].predicate = Some(SqlText::from("size > 10"));
        }),
        change("change an index's expression", &["change the index parent.ix_parent_lower"], |parent, _| {
            parent.indexes[2] = index("ix_parent_lower", &[of_expression("upper(name)")], None);
        }),
        change("change an index's operator class", &["change the index child.ix_child_data"], |_, child| {
            child.indexes[0] = in_data("jsonb_ops")
        }),
        change(
            "change a primary key",
            &["change the primary key parent.pk_parent", "add the unique constraint parent.uq_parent_id"],
            |parent, _| {
                parent.primary_key = key("pk_parent", &["id", "name"]);
                // The child refers to it.
                parent.uniques.push(key("uq_parent_id", &["id"]));
            },
        ),
    ]
}
