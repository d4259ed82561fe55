//! What a comparison of two schemas refuses to guess.

#![allow(clippy::unwrap_used, missing_docs, reason = "a case that meets the unexpected fails at once")]

use chatstore_migrate::model::{Column, ColumnType, Key, Schema, SqlText, Storage, Table};
use chatstore_migrate::{Dialect, DiffError, Difference, Renames};

fn column(name: &str, kind: ColumnType, nullable: bool) -> Column {
    Column { name: name.to_owned(), kind, nullable, default: None }
}

fn schema(columns: &[(&str, ColumnType, bool)]) -> Schema {
    let table = Table {
        name: "things".to_owned(),
        columns: columns.iter().map(|(name, kind, nullable)| column(name, *kind, *nullable)).collect(),
        primary_key: Key { name: "pk_things".to_owned(), columns: vec!["id".to_owned()] },
        uniques: Vec::new(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        indexes: Vec::new(),
        storage: Storage::ByPrimaryKey,
    };
    Schema { tables: vec![table] }
}

const ID: (&str, ColumnType, bool) = ("id", ColumnType::Uuid, false);

fn refusal(before: &Schema, after: &Schema) -> DiffError {
    Difference::between(before, after, &Renames::default()).unwrap_err()
}

#[test]
fn a_drop_beside_an_add_of_the_same_type_is_refused_until_it_is_said_what_it_is() {
    let (before, after) =
        (schema(&[ID, ("a", ColumnType::Text, true)]), schema(&[ID, ("b", ColumnType::Text, true)]));
    let refused = refusal(&before, &after);
    assert!(refused.to_string().contains("`--rename things.a:b`"), "{refused}");

    let renamed = Difference::between(&before, &after, &Renames::parse(["things.a:b"]).unwrap()).unwrap();
    assert_eq!(renamed.up.sql(Dialect::Postgres), "alter table things rename column a to b;\n");
    assert_eq!(renamed.down.sql(Dialect::Sqlite), "alter table things rename column b to a;\n");
    assert!(!renamed.up.loses_data());

    let replaced = Difference::between(&before, &after, &Renames::default().and_no_others()).unwrap();
    assert_eq!(replaced.up.descriptions(), ["drop the column things.a", "add the column things.b"]);
    assert!(replaced.up.loses_data() && replaced.down.loses_data());
}

#[test]
fn what_the_rows_that_are_there_cannot_have_is_refused() {
    let before = schema(&[ID]);
    let required = refusal(&before, &schema(&[ID, ("a", ColumnType::Int, false)]));
    assert_eq!(required, DiffError::NeedsDefault("things.a".to_owned()));
    let converted = refusal(&before, &schema(&[("id", ColumnType::Bytes, false)]));
    assert!(matches!(converted, DiffError::NoConversion { .. }), "{converted}");
}

#[test]
fn a_rename_of_what_is_not_there_or_is_not_well_formed_is_refused() {
    let schema = schema(&[ID]);
    let rename = |text: &str| Difference::between(&schema, &schema, &Renames::parse([text])?);
    assert_eq!(rename("things.a:b").unwrap_err(), DiffError::NothingToRename("things.a".to_owned()));
    assert_eq!(rename("stuff:things").unwrap_err(), DiffError::NothingToRename("stuff".to_owned()));
    for text in ["things", "a:", "things:a.b", "things.a:b.c"] {
        assert_eq!(rename(text).unwrap_err(), DiffError::Unreadable(text.to_owned()));
    }
}

#[test]
fn one_schema_is_one_json_text_and_the_order_of_columns_is_no_difference() {
    let mut schema = schema(&[ID, ("a", ColumnType::Json, true)]);
    schema.tables[0].columns[1].default = Some(SqlText::from("'{}'"));
    let text = schema.to_json().unwrap();
    assert_eq!(Schema::from_json(&text).unwrap(), schema);
    let mut other = schema.clone();
    other.tables[0].columns.reverse();
    assert!(Difference::between(&schema, &other, &Renames::default()).unwrap().is_empty());
}
