//! Revisions that are generated from two schemas, applied to tables with rows.

use chatstore_migrate_testkit::changes::{self, Promise, first, foreign_key, schema, second, try_change};
use chatstore_sql::migrate::model::{Indexed, Key, Schema};
use chatstore_sql::migrate::{Dialect, Difference, MigrationEvent, Renames, Revision, Target};
use chatstore_sql::{Database, DatabaseKind, MigrationError, Sql};
use chatstore_testkit::{TestDatabase, conformance};

use crate::migration_fixtures::{lines, migrator, open_fresh};

conformance!(
    each_kind_of_change_is_detected_and_applied_without_losing_a_row,
    ten_thousand_children_survive_their_parents_rebuild,
    a_rebuild_that_would_leave_a_loose_reference_is_undone,
    a_script_of_a_rebuild_keeps_every_row,
    an_index_by_which_a_table_refers_to_itself_is_still_seen,
);

const DOCUMENT: &str = include_str!("../../../../docs/migrations.md");

fn compared(after: &Schema) -> Difference {
    Difference::between(&schema(), after, &Renames::default()).unwrap()
}

const fn silent(_: &MigrationEvent<'_>) {}

async fn upgrade(database: &Database, revisions: Vec<Revision>) -> Result<Vec<Revision>, MigrationError> {
    database.migrations_by(migrator(revisions)).upgrade(Target::Heads, silent).await
}

async fn each_kind_of_change_is_detected_and_applied_without_losing_a_row(case: TestDatabase) {
    let url = (case.database.kind() == DatabaseKind::Postgres).then_some(case.url.as_str());
    let all = changes::all();
    assert_eq!(all.len(), 24);
    for change in all {
        let row = format!("\n| {} | yes |", change.name);
        assert!(DOCUMENT.contains(&row), "docs/migrations.md has a row for: {}", change.name);
        for (promise, held) in Promise::ALL.into_iter().zip(try_change(url, &change).await) {
            held.unwrap_or_else(|violation| panic!("{}: {promise:?}: {violation}", change.name));
        }
    }
}

const CHILDREN: Sql = Sql::same("test.children", "select cast(count(*) as text) from child");
const PARENTS: Sql = Sql::same("test.parents", "select cast(count(*) as text) from parent");
const FORGET: Sql = Sql::same("test.forget", "delete from parent where id = 1");

/// Foreign keys are enforced, also after a rebuild.
async fn assert_cascades(database: &Database) {
    database.write("forget", async move |tx| tx.execute(&FORGET, &[]).await).await.unwrap();
    assert_eq!(lines(database, CHILDREN).await, ["3"]);
}

async fn ten_thousand_children_survive_their_parents_rebuild(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let rows = "insert into child (id, parent_id, data) with recursive numbers (id) as \
                (select 6 union all select id + 1 from numbers where id < 10000) \
                select id, 1 + id % 3, '{}' from numbers;\n";
    upgrade(&database, vec![first(rows).unwrap()]).await.unwrap();
    let mut after = schema();
    after.tables[0].checks.clear();
    let difference = compared(&after);
    assert!(difference.up.sql(Dialect::Sqlite).contains("drop table parent;"));
    upgrade(&database, vec![first(rows).unwrap(), second(&difference).unwrap()]).await.unwrap();
    assert_eq!(lines(&database, CHILDREN).await, ["10000"]);
    assert_eq!(lines(&database, PARENTS).await, ["3"]);
}

async fn a_rebuild_that_would_leave_a_loose_reference_is_undone(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let rows = "update child set other_id = 99 where id = 5;\n";
    upgrade(&database, vec![first(rows).unwrap()]).await.unwrap();
    let mut after = schema();
    after.tables[1].foreign_keys.push(foreign_key("fk_child_other", "other_id"));
    let revisions = vec![first(rows).unwrap(), second(&compared(&after)).unwrap()];
    let error = upgrade(&database, revisions).await.unwrap_err().to_string();
    assert!(error.contains("references_hold") || error.contains("fk_child_other"), "{error}");
    let migrations = database.migrations_by(migrator(vec![first(rows).unwrap()]));
    let fresh = migrations.catalog_of(schema()).await.unwrap();
    assert_eq!(fresh.deviations(&migrations.catalog().await.unwrap()), []);
    assert_cascades(&database).await;
}

async fn a_script_of_a_rebuild_keeps_every_row(case: TestDatabase) {
    let database = open_fresh(&case).await;
    upgrade(&database, vec![first("").unwrap()]).await.unwrap();
    let mut after = schema();
    after.tables[0].uniques.clear();
    let migrations =
        database.migrations_by(migrator(vec![first("").unwrap(), second(&compared(&after)).unwrap()]));
    let script = chatstore_sql::migrate::Script::Upgrade(Target::Heads);
    let script = migrations.script(script).await.unwrap();
    match case.database.kind() {
        DatabaseKind::Sqlite => {
            let path = case.url.replace("case.db", "fresh.db");
            let client = rusqlite::Connection::open(path.trim_start_matches("sqlite://")).unwrap();
            client.execute_batch(&script).unwrap();
        }
        DatabaseKind::Postgres => crate::migration_fixtures::run_on_server(&case, &script).await,
    }
    let fresh = migrations.catalog_of(after).await.unwrap();
    assert_eq!(fresh.deviations(&migrations.catalog().await.unwrap()), []);
    assert_eq!(lines(&database, CHILDREN).await, ["5"]);
}

/// PostgreSQL proves references by the oldest index that will do, here not by that of the constraint.
async fn an_index_by_which_a_table_refers_to_itself_is_still_seen(case: TestDatabase) {
    let mut before = schema();
    let mut index = before.tables[0].indexes[0].clone();
    index.name = "ix_parent_id".to_owned();
    index.parts[0].of = Indexed::Column("id".to_owned());
    index.unique = true;
    before.tables[0].indexes.push(index);
    let mut after = before.clone();
    let parent = &mut after.tables[0];
    parent.primary_key.columns.push("name".to_owned());
    parent.uniques.push(Key { name: "uq_parent_id".to_owned(), columns: vec!["id".to_owned()] });
    parent.foreign_keys.push(foreign_key("fk_parent_parent", "size"));
    let difference = Difference::between(&before, &after, &Renames::default()).unwrap();
    let revisions = vec![
        first("create unique index ix_parent_id on parent (id);\nupdate parent set size = null;\n").unwrap(),
        second(&difference).unwrap(),
    ];
    let database = open_fresh(&case).await;
    upgrade(&database, revisions.clone()).await.unwrap();
    let migrations = database.migrations_by(migrator(revisions));
    let fresh = migrations.catalog_of(after).await.unwrap();
    assert_eq!(fresh.deviations(&migrations.catalog().await.unwrap()), []);
}
