//! Revisions that are generated from two schemas, applied to tables with rows.

use chatstore_migrate::model::{Indexed, Key, Schema};
use chatstore_migrate::{
    Dialect, Difference, Graph, MigrationEvent, Migrator, Renames, Revision, Script, Target,
};
use chatstore_sql::{Database, DatabaseKind, DatabaseOptions, MigrationError, Sql};
use chatstore_testkit::{TestDatabase, conformance};
use tokio_postgres::NoTls;

use crate::changes::{first, foreign_key, schema};
use crate::harness::{open_empty, second};

conformance!(
    ten_thousand_children_survive_their_parents_rebuild,
    a_rebuild_that_would_leave_a_loose_reference_is_undone,
    a_script_of_a_rebuild_keeps_every_row,
    an_index_by_which_a_table_refers_to_itself_is_still_seen,
);

fn compared(after: &Schema) -> Difference {
    Difference::between(&schema(), after, &Renames::default()).unwrap()
}

const fn silent(_: &MigrationEvent<'_>) {}

fn migrator(revisions: Vec<Revision>) -> Migrator {
    Migrator::new(Graph::new(revisions).unwrap(), "9.9.9")
}

/// A database on which nothing was ever run.
async fn open_fresh(case: &TestDatabase) -> Database {
    match case.database.kind() {
        DatabaseKind::Sqlite => {
            let options = DatabaseOptions::new(case.url.replace("case.db", "fresh.db"));
            Database::open(options).await.unwrap()
        }
        DatabaseKind::Postgres => open_empty(Some(&case.url)).await.unwrap(),
    }
}

async fn lines(database: &Database, sql: Sql) -> Vec<String> {
    let lines = database.read("lines", async move |tx| tx.query(&sql, &[], |row| row.next()).await);
    lines.await.unwrap()
}

async fn upgrade(database: &Database, revisions: Vec<Revision>) -> Result<Vec<Revision>, MigrationError> {
    database.migrations_by(migrator(revisions)).upgrade(Target::Heads, silent).await
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
    let script = migrations.script(Script::Upgrade(Target::Heads)).await.unwrap();
    match case.database.kind() {
        DatabaseKind::Sqlite => {
            let path = case.url.replace("case.db", "fresh.db");
            let client = rusqlite::Connection::open(path.trim_start_matches("sqlite://")).unwrap();
            client.execute_batch(&script).unwrap();
        }
        DatabaseKind::Postgres => {
            let (client, connection) = tokio_postgres::connect(&case.url, NoTls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute(&script).await.unwrap();
        }
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
