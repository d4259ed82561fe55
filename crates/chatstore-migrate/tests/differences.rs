//! What a comparison of two schemas refuses to guess.

#![allow(clippy::unwrap_used, missing_docs, reason = "a case that meets the unexpected fails at once")]

use chatstore_migrate::model::{
    Action, Column, ColumnType, ForeignKey, Index, IndexPart, Indexed, Key, Method, Schema, SqlText, Storage,
    Table,
};
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
fn a_drop_with_an_add_of_the_same_type_is_refused_until_it_is_called_a_rename_or_not() {
    let (before, after) =
        (schema(&[ID, ("a", ColumnType::Text, true)]), schema(&[ID, ("b", ColumnType::Text, true)]));
    let refused = refusal(&before, &after);
    assert!(refused.to_string().contains("`--rename things.a:b`"), "{refused}");

    let renamed = Difference::between(&before, &after, &Renames::parse(["things.a:b"]).unwrap()).unwrap();
    assert_eq!(renamed.up.sql(Dialect::Postgres), "alter table things rename column a to b;\n");
    assert_eq!(renamed.down.sql(Dialect::Sqlite), "alter table things rename column b to a;\n");
    assert!(!renamed.up.is_destructive());

    let replaced = Difference::between(&before, &after, &Renames::default().and_no_others()).unwrap();
    assert_eq!(replaced.up.descriptions(), ["drop the column things.a", "add the column things.b"]);
    assert!(replaced.up.is_destructive() && replaced.down.is_destructive());
}

#[test]
fn what_existing_rows_cannot_have_is_refused() {
    let before = schema(&[ID]);
    let required = refusal(&before, &schema(&[ID, ("a", ColumnType::Int, false)]));
    assert_eq!(required, DiffError::NeedsDefault("things.a".to_owned()));
    let converted = refusal(&before, &schema(&[("id", ColumnType::Bytes, false)]));
    assert!(matches!(converted, DiffError::NoConversion { .. }), "{converted}");
}

#[test]
fn a_rename_of_something_absent_or_not_well_formed_is_refused() {
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

fn two_tables() -> Schema {
    let mut schema = schema(&[ID, ("a", ColumnType::Text, true), ("b", ColumnType::Text, true)]);
    let mut other = schema.tables[0].clone();
    other.name = "others".to_owned();
    other.primary_key.name = "pk_others".to_owned();
    schema.tables.push(other);
    schema
}

fn index(name: &str) -> Index {
    let of = Indexed::Column("a".to_owned());
    Index {
        name: name.to_owned(),
        parts: vec![IndexPart { of, descending: false, operator_class: None }],
        unique: false,
        predicate: None,
        method: Method::Btree,
    }
}

fn refers(parent: &str) -> ForeignKey {
    ForeignKey {
        name: format!("fk_{parent}"),
        columns: vec!["id".to_owned()],
        parent: parent.to_owned(),
        parent_columns: vec!["id".to_owned()],
        on_delete: Action::NoAction,
        on_update: Action::NoAction,
    }
}

/// The texts occur in this order.
fn assert_in_order(sql: &str, texts: &[&str]) {
    let places: Vec<Option<usize>> = texts.iter().map(|text| sql.find(text)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{texts:?} in {sql}");
}

#[test]
fn names_are_swapped_by_a_third_one() {
    let before = two_tables();
    let renames = Renames::parse(["things:others", "others:things", "things.a:b", "things.b:a"]).unwrap();
    let swapped = Difference::between(&before, &before, &renames).unwrap();
    let sql = swapped.up.sql(Dialect::Sqlite);
    assert_in_order(&sql, &["things rename to renamed_things", "renamed_things rename to others"]);
    assert_in_order(&sql, &["rename column a to renamed_a", "rename column renamed_a to b"]);
}

#[test]
fn a_rename_to_a_name_in_use_is_refused() {
    let mut after = two_tables();
    after.tables.remove(1);
    let renames = Renames::parse(["things:others"]).unwrap().and_no_others();
    let refused = Difference::between(&two_tables(), &after, &renames).unwrap_err();
    assert_eq!(refused, DiffError::NameTaken { old: "things".to_owned(), new: "others".to_owned() });
}

#[test]
fn an_index_name_is_free_before_another_table_takes_it() {
    let (mut before, mut after) = (two_tables(), two_tables());
    before.tables[1].indexes.push(index("ix_a"));
    before.tables[0].indexes.push(index("ix_b"));
    after.tables[0].indexes.push(index("ix_a"));
    after.tables[0].columns[1].nullable = false;
    after.tables[1].columns[1].nullable = false;
    let moved = Difference::between(&before, &after, &Renames::default()).unwrap();
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        assert_in_order(&moved.up.sql(dialect), &["drop index ix_a;", "create index ix_a on things"]);
    }
}

#[test]
fn tables_that_refer_to_each_other_are_created_and_dropped() {
    let mut both = two_tables();
    both.tables[0].foreign_keys.push(refers("others"));
    both.tables[1].foreign_keys.push(refers("things"));
    let made = Difference::between(&Schema::default(), &both, &Renames::default()).unwrap();
    let (up, down) = (made.up.sql(Dialect::Postgres), made.down.sql(Dialect::Postgres));
    assert_in_order(
        &up,
        &["create table things", "create table others", "alter table things add constraint fk_others"],
    );
    assert_in_order(
        &down,
        &["alter table things drop constraint fk_others", "drop table others", "drop table things"],
    );
}

#[test]
fn sqlite_proves_its_references_after_a_drop_and_rebuilds_for_a_computed_default() {
    let mut fewer = two_tables();
    fewer.tables.remove(1);
    let dropped = Difference::between(&two_tables(), &fewer, &Renames::default()).unwrap();
    let sql = dropped.up.sql(Dialect::Sqlite);
    assert_in_order(&sql, &["pragma foreign_keys = off", "drop table others", "pragma_foreign_key_check"]);

    let mut more = fewer.clone();
    let mut computed = column("c", ColumnType::Text, false);
    computed.default = Some(SqlText::from("lower('X')"));
    more.tables[0].columns.push(computed);
    let added = Difference::between(&fewer, &more, &Renames::default()).unwrap();
    assert!(added.up.sql(Dialect::Sqlite).contains("create table rebuilt_things"));
}

#[test]
fn a_second_key_of_the_same_columns_is_refused() {
    let mut after = schema(&[ID]);
    after.tables[0].uniques.push(Key { name: "uq_things".to_owned(), columns: vec!["id".to_owned()] });
    assert_eq!(refusal(&schema(&[ID]), &after), DiffError::SameKey("things.uq_things".to_owned()));
}

#[test]
fn a_rename_at_which_sqlite_fails_is_refused() {
    let mut before = schema(&[ID, ("a", ColumnType::Text, true)]);
    let columns = vec!["id".to_owned(), "a".to_owned()];
    before.tables[0].uniques.push(Key { name: "uq_things".to_owned(), columns });
    let mut after = before.clone();
    after.tables[0].columns[0].name = "key".to_owned();
    after.tables[0].primary_key.columns[0] = "key".to_owned();
    after.tables[0].uniques[0].columns[0] = "key".to_owned();
    let renames = Renames::parse(["things.id:key"]).unwrap();
    let refused = Difference::between(&before, &after, &renames).unwrap_err();
    assert_eq!(refused, DiffError::RenameOfKey("things.key".to_owned()));
}
