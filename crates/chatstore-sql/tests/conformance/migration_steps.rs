//! Revisions with more than SQL in a transaction, and scripts that other clients run.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chatstore_sql::migrate::{
    DataSteps, MigrationEvent, Revision, Script, StepAnswer, StepConnection, Target,
};
use chatstore_sql::{DATA_STEPS, Database, DatabaseKind, MigrationError, Sql, revisions};
use chatstore_testkit::{Backend, TestDatabase, conformance};

use crate::migration_fixtures::{
    fresh, history, ids, index, indexed, lines, log, migrator, open, open_fresh, run_on_server, schema,
    statements, table,
};

conformance!(
    a_data_step_runs_in_batches_in_the_transaction_of_its_revision,
    a_failing_data_step_leaves_nothing_of_its_revision,
    a_data_step_that_panics_leaves_a_store_that_works,
    an_unknown_data_step_is_named_before_anything_is_applied,
    a_script_run_by_another_client_gives_the_same_schema_and_history,
    a_script_cannot_hold_a_data_step,
    an_upgrade_that_waits_too_long_for_another_process_fails,
    every_revision_goes_up_down_and_up_again_without_a_difference,
);

const ROOT: &str = "000000000001";
const NEXT: &str = "000000000002";

const fn silent(_: &MigrationEvent<'_>) {}

const STEPS: DataSteps = &[("name_rows", name_rows), ("fail", fail), ("panic", panic)];

fn name_rows<'a>(connection: &'a mut StepConnection<'_>) -> StepAnswer<'a> {
    Box::pin(async move {
        let sql = "update t_000000000001 set name = 'row ' || id where id in \
                   (select id from t_000000000001 where name is null order by id limit 40) returning id";
        assert_eq!(connection.batches(sql).await?, 100);
        let left = connection.query("select count(*) from t_000000000001 where name is null").await?;
        assert_eq!(left, [[Some("0".to_owned())]]);
        Ok(())
    })
}

fn fail<'a>(connection: &'a mut StepConnection<'_>) -> StepAnswer<'a> {
    Box::pin(async move {
        connection.execute("update t_000000000001 set name = 'half'").await?;
        connection.execute("insert into nowhere values (1)").await
    })
}

fn panic<'a>(connection: &'a mut StepConnection<'_>) -> StepAnswer<'a> {
    Box::pin(async move {
        connection.execute("update t_000000000001 set name = 'half'").await?;
        panic!("a defect of the data step");
    })
}

const HUNDRED: &str = "create table t_000000000001 (id bigint not null primary key, name text);\n\
     insert into t_000000000001 (id) with recursive numbers (id) as \
     (select 1 union all select id + 1 from numbers where id < 100) select id from numbers;";

fn rows_and_step(step: &str) -> Vec<Revision> {
    vec![
        statements(ROOT, &[], "", HUNDRED, "drop table t_000000000001;"),
        statements(NEXT, &[ROOT], &format!("data_step = {step:?}\ndestructive = false"), "", ""),
    ]
}

async fn names(database: &Database) -> Vec<String> {
    const NAMES: Sql =
        Sql::same("test.names", "select distinct coalesce(name, 'none') from t_000000000001 order by 1");
    lines(database, NAMES).await
}

async fn a_data_step_runs_in_batches_in_the_transaction_of_its_revision(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let migrator = migrator(rows_and_step("name_rows")).data_steps(STEPS);
    let reported = Arc::new(Mutex::new(Vec::new()));
    let reporting = Arc::clone(&reported);
    let observe = move |event: &MigrationEvent<'_>| {
        if let MigrationEvent::Rows { revision, rows } = event {
            reporting.lock().unwrap().push((revision.id.clone(), *rows));
        }
    };

    database.migrations_by(migrator).upgrade(Target::Head, observe).await.unwrap();

    let reported: Vec<u64> = reported.lock().unwrap().iter().map(|(_, rows)| *rows).collect();
    assert_eq!(reported, [40, 80, 100]);
    assert_eq!(names(&database).await.len(), 100);
}

async fn a_failing_data_step_leaves_nothing_of_its_revision(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let migrations = database.migrations_by(migrator(rows_and_step("fail")).data_steps(STEPS));

    let error = migrations.upgrade(Target::Head, silent).await.unwrap_err();

    assert!(error.to_string().contains("the data step of applying the revision 000000000002"), "{error}");
    assert_eq!(names(&database).await, ["none"]);
    assert_eq!(history(&database).await.len(), 1);
}

async fn a_data_step_that_panics_leaves_a_store_that_works(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let migrations = migrator(rows_and_step("panic")).data_steps(STEPS);
    let also = database.clone();
    let upgrade = tokio::spawn(async move {
        also.migrations_by(migrations).upgrade(Target::Head, silent).await.map(|_| ())
    });

    // On SQLite the panic is the writing thread's, which says so; on PostgreSQL it is the caller's.
    assert!(!matches!(upgrade.await, Ok(Ok(()))));

    assert_eq!(names(&database).await, ["none"]);
    let corrected = migrator(rows_and_step("name_rows")).data_steps(STEPS);
    let done = database.migrations_by(corrected).upgrade(Target::Head, silent).await.unwrap();
    assert_eq!(ids(&done), [NEXT]);
}

async fn an_unknown_data_step_is_named_before_anything_is_applied(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let migrations = database.migrations_by(migrator(rows_and_step("absent")).data_steps(STEPS));

    let error = migrations.upgrade(Target::Head, silent).await.unwrap_err();

    assert!(matches!(&error, MigrationError::UnknownDataStep { step, .. } if step == "absent"), "{error}");
    assert_eq!(schema(&database).await, [] as [&str; 0]);
}

/// Runs a script with the database's usual client: psql, or Python's own SQLite.
fn run_elsewhere(url: &str, script: &str) {
    let mut command = if let Some(file) = url.strip_prefix("sqlite://") {
        let mut python = Command::new("python3");
        let program = "import sqlite3, sys\n\
                       sqlite3.connect(sys.argv[1], isolation_level=None).executescript(sys.stdin.read())";
        python.args(["-c", program, file]);
        python
    } else {
        let mut psql = Command::new("psql");
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-", url]);
        psql
    };
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{script}", String::from_utf8_lossy(&output.stderr));
}

async fn a_script_run_by_another_client_gives_the_same_schema_and_history(case: TestDatabase) {
    let roots: Vec<String> = revisions().unwrap().into_iter().map(|revision| revision.id).collect();
    let root = roots.last().unwrap().as_str();
    let more = [
        table(ROOT, &[root], "breaking = true"),
        index(NEXT, &[ROOT], ROOT),
        statements(
            "000000000003",
            &[root],
            "",
            "create table \"q;'uoted\" (a text) -- no end",
            "drop table \"q;'uoted\"",
        ),
        statements("000000000004", &[NEXT, "000000000003"], "", "", ""),
    ];
    let migrator = migrator([revisions().unwrap(), more.to_vec()].concat()).data_steps(DATA_STEPS);
    let database = open_fresh(&case).await;
    let migrations = database.migrations_by(migrator.clone());
    let script = migrations.script(Script::Upgrade(Target::Head)).await.unwrap();
    assert_eq!(schema(&database).await, [] as [&str; 0], "printing runs nothing");
    migrations.upgrade(Target::Head, silent).await.unwrap();
    let online = (schema(&database).await, history(&database).await, log(&database).await);
    let down = migrations.script(Script::Downgrade(Target::Back(4))).await.unwrap();
    let stamp = migrations.script(Script::Stamp(Target::Base)).await.unwrap();
    database.close().await;
    if let Some(file) = case.url.strip_prefix("sqlite://") {
        std::fs::remove_file(file.replace("case.db", "fresh.db")).unwrap();
    }
    let url = fresh(&case).await;

    run_elsewhere(&url, &script);

    let database = open(&url).await;
    let elsewhere = (schema(&database).await, history(&database).await, log(&database).await);
    assert_eq!(elsewhere, online);
    let migrations = database.migrations_by(migrator);
    migrations.status().await.unwrap().verify().unwrap();
    assert_eq!(ids(&migrations.plan(Target::Head).await.unwrap()), [] as [&str; 0]);

    run_elsewhere(&url, &down);
    let pending = migrations.plan(Target::Head).await.unwrap();
    assert_eq!(ids(&pending).len(), 4);
    migrations.upgrade(Target::Head, silent).await.unwrap();
    assert_eq!(schema(&database).await, online.0, "down by script and up online");
    run_elsewhere(&url, &stamp);
    assert_eq!(history(&database).await, [] as [&str; 0]);
}

async fn a_script_cannot_hold_a_data_step(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let migrations = database.migrations_by(migrator(rows_and_step("name_rows")).data_steps(STEPS));

    let error = migrations.script(Script::Upgrade(Target::Head)).await.unwrap_err();

    assert!(error.to_string().contains("000000000002 (made_up) runs the data step name_rows"), "{error}");
}

async fn an_upgrade_that_waits_too_long_for_another_process_fails(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let migrator = migrator(indexed()).lock_timeout(Duration::from_millis(100));
    let (client, connection) = match database.kind() {
        DatabaseKind::Postgres => {
            let (client, connection) =
                tokio_postgres::connect(case.server_url(), tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute("select pg_advisory_lock(7163375912570417010)").await.unwrap();
            (Some(client), None)
        }
        DatabaseKind::Sqlite => {
            let connection = rusqlite::Connection::open(database.file().unwrap()).unwrap();
            connection.execute_batch("begin immediate").unwrap();
            (None, Some(connection))
        }
    };

    let error = database.migrations_by(migrator.clone()).upgrade(Target::Head, silent).await.unwrap_err();

    assert!(matches!(error, MigrationError::Busy(_)), "{error}");
    drop((client, connection));
    let patient = migrator.lock_timeout(Duration::from_secs(20));
    let done = database.migrations_by(patient).upgrade(Target::Head, silent).await.unwrap();
    assert_eq!(ids(&done), [ROOT, NEXT]);
}

async fn every_revision_goes_up_down_and_up_again_without_a_difference(case: TestDatabase) {
    crate::fixtures::arbitrary_owner(&case).await;
    let database = &case.database;
    let migrations = database.migrations().unwrap();
    let mut schemas = vec![schema(database).await];
    for _ in revisions().unwrap() {
        migrations.downgrade(Target::Back(1), true, silent).await.unwrap();
        schemas.push(schema(database).await);
    }
    for _ in revisions().unwrap() {
        let before = schemas.pop().unwrap();
        assert_eq!(schema(database).await, before);
        migrations.upgrade(Target::Forward(1), silent).await.unwrap();
        assert_eq!(&schema(database).await, schemas.last().unwrap());
        insert_old_rows(&case).await;
        migrations.downgrade(Target::Back(1), true, silent).await.unwrap();
        assert_eq!(schema(database).await, before);
        migrations.upgrade(Target::Forward(1), silent).await.unwrap();
        assert_eq!(&schema(database).await, schemas.last().unwrap());
    }
}

/// A user with a conversation, as every revision has them.
async fn insert_old_rows(case: &TestDatabase) {
    const USER: Sql = Sql::same(
        "old.user",
        "insert into users (id, username, username_key, role, is_active, must_change_password, metadata, created_at, \
         updated_at) values ($1, $2, $2, 'user', true, false, '{}', $3, $3)",
    );
    const CONVERSATION: Sql = Sql::same(
        "old.conversation",
        "insert into conversations (owner_id, id, last_seq, message_count, revision, metadata, created_at, \
         updated_at) values ($1, $2, 0, 0, 1, '{}', $3, $3)",
    );
    let id = crate::fixtures::arbitrary_uuid(case);
    let insert = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
        let (name, now) = (id.to_string(), tx.now());
        tx.execute(&USER, &[id.into(), (&name).into(), now.into()]).await?;
        tx.execute(&CONVERSATION, &[id.into(), id.into(), now.into()]).await
    };
    case.database.write("old_rows", insert).await.unwrap();
}

/// On SQLite, a file that cannot be written is refused when it is opened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_user_who_cannot_create_tables_is_told_which_permission_is_missing() {
    let case = Backend::Postgres.database().await;
    drop(open_fresh(&case).await);
    let role = format!("reader_{}", std::process::id());
    run_on_server(
        &case,
        &format!("create role {role} login password 'reads'; grant usage on schema public to {role}"),
    )
    .await;
    let (_, place) = case.url.split_once('@').unwrap();
    let reader = open(&format!("postgresql://{role}:reads@{place}")).await;

    let error = reader.migrations_by(migrator(indexed())).upgrade(Target::Head, silent).await.unwrap_err();

    reader.close().await;
    run_on_server(&case, &format!("drop owned by {role}; drop role {role}")).await;
    assert!(matches!(error, MigrationError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("permission denied for schema public"), "{error}");
}
