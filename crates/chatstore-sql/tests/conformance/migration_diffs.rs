//! Revisions that are made by comparing two schemas, applied to tables with rows.

use std::collections::BTreeMap;

use chatstore_sql::migrate::model::{
    Action, Check, Column, ColumnType, ForeignKey, Index, IndexPart, Indexed, Key, Method, Schema, SqlText,
    Storage, Table,
};
use chatstore_sql::migrate::{Dialect, Difference, Event, Renames, Revision, RevisionFiles, Target};
use chatstore_sql::{Database, DatabaseKind, MigrationError, Sql};
use chatstore_testkit::{TestDatabase, conformance};

use crate::migration_fixtures::{lines, migrator, open_fresh};

conformance!(
    each_kind_of_change_is_found_and_made_without_losing_a_row,
    ten_thousand_children_survive_their_parents_rebuild,
    a_rebuild_that_would_leave_a_loose_reference_is_undone,
    a_script_of_a_rebuild_keeps_every_row,
);

const ROOT: &str = "000000000001";
const NEXT: &str = "000000000002";

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

fn column(name: &str, kind: ColumnType, nullable: bool, default: Option<&str>) -> Column {
    Column { name: name.to_owned(), kind, nullable, default: default.map(SqlText::from) }
}

fn names(columns: &[&str]) -> Vec<String> {
    columns.iter().map(|name| (*name).to_owned()).collect()
}

fn key(name: &str, columns: &[&str]) -> Key {
    Key { name: name.to_owned(), columns: names(columns) }
}

fn check(name: &str, condition: &str) -> Check {
    Check { name: name.to_owned(), condition: SqlText::from(condition) }
}

fn foreign_key(name: &str, column: &str) -> ForeignKey {
    ForeignKey {
        name: name.to_owned(),
        columns: names(&[column]),
        parent: "parent".to_owned(),
        parent_columns: names(&["id"]),
        on_delete: Action::Cascade,
        on_update: Action::NoAction,
    }
}

fn index(name: &str, of: &[Indexed], predicate: Option<&str>) -> Index {
    let part = |of: &Indexed| IndexPart { of: of.clone(), descending: false, operator_class: None };
    Index {
        name: name.to_owned(),
        parts: of.iter().map(part).collect(),
        unique: false,
        predicate: predicate.map(SqlText::from),
        method: Method::Btree,
    }
}

fn of_column(name: &str) -> Indexed {
    Indexed::Column(name.to_owned())
}

fn of_expression(text: &str) -> Indexed {
    Indexed::Expression(SqlText::from(text))
}

fn in_data(class: &str) -> Index {
    let mut index = index("ix_child_data", &[of_column("data")], None);
    index.method = Method::Gin;
    index.parts[0].operator_class = Some(class.to_owned());
    index
}

/// A parent and a child that is deleted with it.
fn schema() -> Schema {
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

/// A change, the renames to give, and what the comparison is to say.
struct Case {
    change: fn(&mut Table, &mut Table),
    renames: &'static [&'static str],
    found: &'static str,
}

const fn case(found: &'static str, change: fn(&mut Table, &mut Table)) -> Case {
    Case { change, renames: &[], found }
}

fn cases() -> Vec<Case> {
    use ColumnType::{Float, Int, Text};
    vec![
        case("add the column parent.extra", |parent, _| {
            parent.columns.push(column("extra", Int, true, None))
        }),
        case("add the column parent.extra", |parent, _| {
            parent.columns.push(column("extra", Text, false, Some("'it''s'")));
        }),
        case("drop the column parent.note", |parent, _| {
            parent.columns.retain(|column| column.name != "note");
        }),
        Case {
            change: |parent, _| parent.columns[3].name = "remark".to_owned(),
            renames: &["parent.note:remark"],
            found: "rename the column parent.note to remark",
        },
        Case {
            change: |parent, child| {
                parent.name = "ancestor".to_owned();
                child.foreign_keys[0].parent = "ancestor".to_owned();
            },
            renames: &["parent:ancestor"],
            found: "rename the table parent to ancestor",
        },
        case("change the check parent.ck_parent_name", |parent, _| {
            parent.checks[0] = check("ck_parent_name", "length(name) <= 200");
        }),
        case("change the column parent.size", |parent, _| parent.columns[2].kind = Float),
        case("change the column child.parent_id", |_, child| child.columns[1].nullable = false),
        case("change the column parent.flag", |parent, _| parent.columns[4].nullable = true),
        case("change the column parent.kind", |parent, _| {
            parent.columns[5].default = Some(SqlText::from("'b'"));
        }),
        case("add the unique constraint child.uq_child_parent", |_, child| {
            child.uniques.push(key("uq_child_parent", &["parent_id", "id"]));
        }),
        case("drop the unique constraint parent.uq_parent_name", |parent, _| parent.uniques.clear()),
        case("add the check parent.ck_parent_kind", |parent, _| {
            parent.checks.push(check("ck_parent_kind", "kind in ('a', 'b')"));
        }),
        case("change the check parent.ck_parent_size", |parent, _| {
            parent.checks[1] = check("ck_parent_size", "size >= 10");
        }),
        case("drop the check parent.ck_parent_size", |parent, _| parent.checks.truncate(1)),
        case("add the foreign key child.fk_child_other", |_, child| {
            child.foreign_keys.push(foreign_key("fk_child_other", "other_id"));
        }),
        case("change the foreign key child.fk_child_parent", |_, child| {
            child.foreign_keys[0].on_delete = Action::Restrict;
        }),
        case("add the index parent.ix_parent_note", |parent, _| {
            parent.indexes.push(index("ix_parent_note", &[of_column("note")], None));
        }),
        case("change the index parent.ix_parent_kind", |parent, _| {
            parent.indexes[0] = index("ix_parent_kind", &[of_column("kind"), of_column("id")], None);
        }),
        case("change the index parent.ix_parent_kind", |parent, _| {
            parent.indexes[0].predicate = Some(SqlText::from("kind <> 'b'"));
        }),
        case("change the index parent.ix_parent_size", |parent, _| {
            parent.indexes[1].predicate = Some(SqlText::from("size > 10"));
        }),
        case("change the index parent.ix_parent_lower", |parent, _| {
            parent.indexes[2] = index("ix_parent_lower", &[of_expression("upper(name)")], None);
        }),
        case("change the index child.ix_child_data", |_, child| child.indexes[0] = in_data("jsonb_ops")),
        case("change the primary key parent.pk_parent", |parent, _| {
            parent.primary_key = key("pk_parent", &["id", "name"]);
            parent.uniques.push(key("uq_parent_id", &["id"]));
        }),
    ]
}

fn revision(id: &str, revises: &[&str], up: [String; 2], down: [String; 2]) -> Revision {
    let description = format!(
        "id = {id:?}\nslug = \"made\"\nmessage = \"made\"\nrevises = {revises:?}\nloses_data = false\n"
    );
    let ([up_sqlite, up_postgres], [down_sqlite, down_postgres]) = (up, down);
    Revision::parse(RevisionFiles {
        folder: format!("{id}_made").into(),
        description: description.into(),
        up_sqlite: Some(up_sqlite.into()),
        up_postgres: Some(up_postgres.into()),
        down_sqlite: Some(down_sqlite.into()),
        down_postgres: Some(down_postgres.into()),
    })
    .unwrap()
}

/// The tables with rows.
fn root(rows: &str) -> Revision {
    let of = |dialect, truth: &str| {
        let common = ROWS.join(";\n").replace("FLAG", truth);
        format!("{}\n{common};\n{rows}", schema().create(dialect))
    };
    let down = "drop table child;\ndrop table parent;\n".to_owned();
    revision(ROOT, &[], [of(Dialect::Sqlite, "1"), of(Dialect::Postgres, "true")], [down.clone(), down])
}

fn next(difference: &Difference) -> Revision {
    let of = |change: &chatstore_sql::migrate::SchemaChange| {
        [change.sql(Dialect::Sqlite), change.sql(Dialect::Postgres)]
    };
    revision(NEXT, &[ROOT], of(&difference.up), of(&difference.down))
}

fn compared(after: &Schema, renames: &[&str]) -> Difference {
    Difference::between(&schema(), after, &Renames::parse(renames.iter().copied()).unwrap()).unwrap()
}

const fn silent(_: &Event<'_>) {}

async fn upgrade(database: &Database, revisions: Vec<Revision>) -> Result<Vec<Revision>, MigrationError> {
    database.migrations_by(migrator(revisions)).upgrade(Target::Heads, silent).await
}

/// The values of each column by its name, in the order of the rows' ids.
async fn values(database: &Database, schema: &Schema) -> BTreeMap<String, Vec<String>> {
    let mut values = BTreeMap::new();
    for table in &schema.tables {
        for column in &table.columns {
            let sql = format!(
                "select coalesce(cast({} as text), 'null') from {} order by id",
                column.name, table.name
            );
            let rows = lines(database, Sql::same("test.values", sql.leak())).await;
            values.insert(format!("{}.{}", table.name, column.name), rows);
        }
    }
    values
}

/// Numbers are the same whatever their type spells them.
fn assert_kept(before: &BTreeMap<String, Vec<String>>, after: &BTreeMap<String, Vec<String>>, case: &Case) {
    for (column, rows) in before {
        let renamed = match case.renames {
            ["parent:ancestor"] => column.replace("parent.", "ancestor."),
            ["parent.note:remark"] => column.replace(".note", ".remark"),
            _ => column.clone(),
        };
        let Some(found) = after.get(&renamed) else {
            assert_eq!(case.found, format!("drop the column {column}"));
            continue;
        };
        let found: Vec<&str> = found.iter().map(|value| value.trim_end_matches(".0")).collect();
        assert_eq!(rows, &found, "{}: {column}", case.found);
    }
}

async fn each_kind_of_change_is_found_and_made_without_losing_a_row(case: TestDatabase) {
    let all = cases();
    assert_eq!(all.len(), 24);
    for change in all {
        let mut after = schema();
        let [parent, child] = &mut after.tables[..] else { unreachable!() };
        (change.change)(parent, child);
        let difference = compared(&after, change.renames);
        assert!(difference.up.descriptions().iter().any(|line| line == change.found), "{}", change.found);

        let database = open_fresh(&case).await;
        upgrade(&database, vec![root("")]).await.unwrap();
        let before = values(&database, &schema()).await;
        let migrations = database.migrations_by(migrator(vec![root(""), next(&difference)]));
        let applied = migrations.upgrade(Target::Heads, silent).await;
        applied.unwrap_or_else(|error| panic!("{}: {error}", change.found));
        assert_kept(&before, &values(&database, &after).await, &change);
        let fresh = migrations.realise(after.clone()).await.unwrap();
        assert_eq!(fresh.deviations(&migrations.catalog().await.unwrap()), [], "{}", change.found);

        migrations.downgrade(Target::Back(1), false, silent).await.unwrap();
        let fresh = migrations.realise(schema()).await.unwrap();
        assert_eq!(fresh.deviations(&migrations.catalog().await.unwrap()), [], "{} undone", change.found);
        assert_eq!(lines(&database, CHILDREN).await, ["5"], "{} undone", change.found);
        assert_eq!(lines(&database, PARENTS).await, ["3"], "{} undone", change.found);
        assert_cascades(&database).await;
        migrations.downgrade(Target::Base, true, silent).await.unwrap();
        database.close().await;
        discard(&case);
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

/// The next one begins with nothing.
fn discard(case: &TestDatabase) {
    if case.database.kind() == DatabaseKind::Sqlite {
        let path = case.url.replace("case.db", "fresh.db");
        let path = path.trim_start_matches("sqlite://");
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{path}{suffix}"));
        }
    }
}

async fn ten_thousand_children_survive_their_parents_rebuild(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let rows = "insert into child (id, parent_id, data) with recursive numbers (id) as \
                (select 6 union all select id + 1 from numbers where id < 10000) \
                select id, 1 + id % 3, '{}' from numbers;\n";
    upgrade(&database, vec![root(rows)]).await.unwrap();
    let mut after = schema();
    after.tables[0].checks.clear();
    let difference = compared(&after, &[]);
    assert!(difference.up.sql(Dialect::Sqlite).contains("drop table parent;"));
    upgrade(&database, vec![root(rows), next(&difference)]).await.unwrap();
    assert_eq!(lines(&database, CHILDREN).await, ["10000"]);
    assert_eq!(lines(&database, PARENTS).await, ["3"]);
}

async fn a_rebuild_that_would_leave_a_loose_reference_is_undone(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let rows = "update child set other_id = 99 where id = 5;\n";
    upgrade(&database, vec![root(rows)]).await.unwrap();
    let mut after = schema();
    after.tables[1].foreign_keys.push(foreign_key("fk_child_other", "other_id"));
    let revisions = vec![root(rows), next(&compared(&after, &[]))];
    let error = upgrade(&database, revisions).await.unwrap_err().to_string();
    assert!(error.contains("references_hold") || error.contains("fk_child_other"), "{error}");
    let migrations = database.migrations_by(migrator(vec![root(rows)]));
    let fresh = migrations.realise(schema()).await.unwrap();
    assert_eq!(fresh.deviations(&migrations.catalog().await.unwrap()), []);
    assert_cascades(&database).await;
}

async fn a_script_of_a_rebuild_keeps_every_row(case: TestDatabase) {
    let database = open_fresh(&case).await;
    upgrade(&database, vec![root("")]).await.unwrap();
    let mut after = schema();
    after.tables[0].uniques.clear();
    let migrations = database.migrations_by(migrator(vec![root(""), next(&compared(&after, &[]))]));
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
    let fresh = migrations.realise(after).await.unwrap();
    assert_eq!(fresh.deviations(&migrations.catalog().await.unwrap()), []);
    assert_eq!(lines(&database, CHILDREN).await, ["5"]);
}
