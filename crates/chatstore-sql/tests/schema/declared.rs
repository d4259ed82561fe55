//! The revisions make what is declared.

use chatstore_sql::migrate::model::Schema;
use chatstore_sql::migrate::{Dialect, Difference, Renames};
use chatstore_sql::schema::declared;
use chatstore_sql::{revisions, snapshot};
use chatstore_testkit::Backend;

fn same(before: &Schema, after: &Schema) -> bool {
    Difference::between(before, after, &Renames::default().and_no_others()).unwrap().is_empty()
}

#[test]
fn the_first_revision_is_what_the_first_snapshot_is_in_sql() {
    let first = &revisions().unwrap()[0];
    let schema = Schema::from_json(snapshot(&first.id).unwrap()).unwrap();
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let (tables, _) = first.up(dialect).split_once("\ninsert into users").unwrap();
        assert_eq!(tables, schema.create(dialect), "{dialect:?}");
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
async fn all_revisions_one_after_the_other_make_the_declared_schema_on_both_databases() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let case = backend.database().await;
        let migrations = case.database.migrations().unwrap();
        assert_eq!(migrations.deviations_from_declared().await.unwrap(), []);
        assert!(!migrations.realise(declared()).await.unwrap().is_empty());
        assert_eq!(migrations.drift().await.unwrap(), []);
    }
}
