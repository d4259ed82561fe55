//! The revisions create what is declared.

use chatstore_sql::migrate::model::{Column, ColumnType, Schema};
use chatstore_sql::migrate::{
    Dialect, Difference, Graph, Migrator, NewRevision, Renames, Target, read_folders,
};
use chatstore_sql::schema::declared;
use chatstore_sql::{revisions, snapshot};
use chatstore_testkit::Backend;

fn same(before: &Schema, after: &Schema) -> bool {
    Difference::between(before, after, &Renames::default().and_no_others()).unwrap().is_empty()
}

#[test]
fn the_first_revision_is_what_is_generated_from_nothing_and_the_built_in_user() {
    let first = &revisions().unwrap()[0];
    let schema = Schema::from_json(snapshot(&first.id).unwrap()).unwrap();
    let generated = Difference::between(&Schema::default(), &schema, &Renames::default()).unwrap();
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let (tables, user) = first.up(dialect).split_once("\ninsert into users (").unwrap();
        assert_eq!(tables, generated.up.sql(dialect), "{dialect:?}");
        assert!(user.contains("'anonymous'") && user.find(';') == Some(user.len() - 2), "{user}");
        assert_eq!(first.down(dialect).unwrap(), generated.down.sql(dialect), "{dialect:?}");
    }
}

/// The developer's loop: a column is declared, its revision generated and applied.
#[tokio::test]
async fn a_column_that_is_declared_is_generated_and_applied_without_an_edit() {
    let mut changed = declared();
    let table = changed.tables.iter_mut().find(|table| table.name == "conversations").unwrap();
    table.columns.push(Column {
        name: "colour".to_owned(),
        kind: ColumnType::Text,
        nullable: true,
        default: None,
    });
    let difference = Difference::between(&declared(), &changed, &Renames::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut all = revisions().unwrap();
    let newest = all.last().unwrap().id.clone();
    let new = NewRevision {
        id: "0123456789ab".to_owned(),
        message: "colours",
        revises: vec![newest.clone()],
        depends_on: Vec::new(),
        is_merge: false,
    };
    difference.write(&new.write(directory.path()).unwrap()).unwrap();
    all.extend(read_folders(directory.path()).unwrap());
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let case = backend.database().await;
        let migrator = Migrator::new(Graph::new(all.clone()).unwrap(), "test");
        let migrations = case.database.migrations_by(migrator);
        let before = migrations.catalog().await.unwrap();
        let expected = migrations.catalog_of(changed.clone()).await.unwrap();

        migrations.upgrade(Target::Head, |_| {}).await.unwrap();

        assert_eq!(expected.deviations(&migrations.catalog().await.unwrap()), []);
        migrations.downgrade(Target::from(newest.as_str()), true, |_| {}).await.unwrap();
        assert_eq!(before.deviations(&migrations.catalog().await.unwrap()), []);
    }
}

#[test]
fn the_newest_snapshot_is_the_declared_schema() {
    let newest = revisions().unwrap().pop().unwrap();
    let text = snapshot(&newest.id).unwrap();
    let schema = Schema::from_json(text).unwrap();
    assert!(same(&schema, &declared()), "run `chatstore migrate revision --autogenerate -m TEXT`");
    assert_eq!(schema.to_json().unwrap(), text, "one schema has one text");
}

#[tokio::test]
async fn all_revisions_one_after_the_other_create_the_declared_schema_on_both_databases() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let case = backend.database().await;
        let migrations = case.database.migrations().unwrap();
        assert_eq!(migrations.deviations_from_declared().await.unwrap(), []);
        assert!(!migrations.catalog_of(declared()).await.unwrap().is_empty());
        assert_eq!(migrations.drift().await.unwrap(), []);
    }
}
