//! Indexes that PostgreSQL builds outside a transaction: built, undone, interrupted.

use chatstore_sql::migrate::{MigrationEvent, Target};
use chatstore_sql::{Database, DatabaseKind};
use chatstore_testkit::{TestDatabase, conformance};

use crate::migration_fixtures::{
    history, ids, indexed, log, migrator, open_fresh, run_on_server, schema, statements,
};

conformance!(
    an_index_built_outside_a_transaction_goes_up_and_down,
    an_invalid_index_left_behind_is_built_again,
    an_index_that_was_complete_when_the_process_died_is_kept,
    an_index_whose_undoing_was_interrupted_is_undone_or_kept,
    an_index_that_cannot_be_built_leaves_nothing,
);

const ROOT: &str = "000000000001";
const NEXT: &str = "000000000002";

const fn silent(_: &MigrationEvent<'_>) {}

async fn an_index_built_outside_a_transaction_goes_up_and_down(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let migrations = database.migrations_by(migrator(indexed()));
    for _ in 0..2 {
        migrations.upgrade(Target::Head, silent).await.unwrap();
        assert!(has_index(&database).await);
        migrations.downgrade(Target::Back(1), false, silent).await.unwrap();
        assert!(!has_index(&database).await);
    }
    assert_eq!(history(&database).await.len(), 1);
}

async fn has_index(database: &Database) -> bool {
    schema(database).await.iter().any(|line| {
        let is_it = line.contains("ix_000000000002");
        assert!(!is_it || !line.ends_with(" f"), "the index is valid: {line}");
        is_it
    })
}

const RUNNING: &str = "insert into chatstore_migrations (revision, slug, sha256, applied_at, application, progress) \
     select '000000000002', 'made_up', 'of another text', applied_at, '1', 'running' from chatstore_migrations; ";

/// Leaves the index half done, as a process does that was killed while PostgreSQL built it.
async fn interrupt(case: &TestDatabase, make_index: &str) {
    run_on_server(case, &format!("{RUNNING} insert into t_{ROOT} (id, name) values (1, 'a'), (2, 'a')"))
        .await;
    let (client, connection) =
        tokio_postgres::connect(case.server_url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    // A unique index cannot be built on these rows, and stays behind.
    let _ = client.batch_execute(make_index).await;
}

async fn an_invalid_index_left_behind_is_built_again(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let revisions = indexed();
    let migrations = database.migrations_by(migrator(revisions));
    migrations.upgrade(Target::Forward(1), silent).await.unwrap();
    if database.kind() == DatabaseKind::Postgres {
        interrupt(&case, "create unique index concurrently ix_000000000002 on t_000000000001 (name)").await;
        let pending = migrations.status().await.unwrap();
        assert_eq!(pending.pending().map(|revision| revision.id.as_str()).collect::<Vec<_>>(), [NEXT]);
    }

    assert_eq!(ids(&migrations.upgrade(Target::Head, silent).await.unwrap()), [NEXT]);

    assert!(has_index(&database).await);
    assert!(history(&database).await.iter().all(|line| !line.contains("running")));
}

async fn an_index_that_was_complete_when_the_process_died_is_kept(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let revisions = indexed();
    let migrations = database.migrations_by(migrator(revisions));
    migrations.upgrade(Target::Forward(1), silent).await.unwrap();
    if database.kind() == DatabaseKind::Postgres {
        interrupt(&case, "create index concurrently ix_000000000002 on t_000000000001 (name)").await;
    }

    assert_eq!(ids(&migrations.upgrade(Target::Head, silent).await.unwrap()), [NEXT]);
    migrations.downgrade(Target::Back(1), false, silent).await.unwrap();

    assert!(!has_index(&database).await);
}

async fn an_index_whose_undoing_was_interrupted_is_undone_or_kept(case: TestDatabase) {
    const UNDOING: &str =
        "update chatstore_migrations set progress = 'undoing' where revision = '000000000002'";
    let database = open_fresh(&case).await;
    let migrations = database.migrations_by(migrator(indexed()));
    migrations.upgrade(Target::Head, silent).await.unwrap();
    if database.kind() == DatabaseKind::Postgres {
        run_on_server(&case, &format!("drop index ix_000000000002; {UNDOING}")).await;
    }

    assert_eq!(ids(&migrations.downgrade(Target::Back(1), false, silent).await.unwrap()), [NEXT]);
    assert!(!has_index(&database).await);
    assert_eq!(history(&database).await.len(), 1);

    migrations.upgrade(Target::Head, silent).await.unwrap();
    if database.kind() == DatabaseKind::Postgres {
        run_on_server(&case, UNDOING).await;
        assert_eq!(ids(&migrations.upgrade(Target::Head, silent).await.unwrap()), [NEXT]);
    }
    assert!(has_index(&database).await);
    assert!(migrations.plan(Target::Head).await.unwrap().is_empty());
}

async fn an_index_that_cannot_be_built_leaves_nothing(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let unique = statements(
        NEXT,
        &[ROOT],
        "transaction = false",
        if database.kind() == DatabaseKind::Postgres {
            "create unique index concurrently ix_000000000002 on t_000000000001 (name)"
        } else {
            "create unique index ix_000000000002 on t_000000000001 (name)"
        },
        "drop index ix_000000000002",
    );
    let rows = "create table t_000000000001 (id bigint not null primary key, name text);\n\
                insert into t_000000000001 (id, name) values (1, 'a'), (2, 'a');";
    let revisions = vec![statements(ROOT, &[], "", rows, "drop table t_000000000001;"), unique];
    let migrations = database.migrations_by(migrator(revisions));

    let error = migrations.upgrade(Target::Head, silent).await.unwrap_err();

    assert!(error.to_string().contains("applying the revision 000000000002"), "{error}");
    assert!(!has_index(&database).await);
    assert_eq!(history(&database).await.len(), 1);
    assert!(log(&database).await[1].starts_with("failed 000000000002"));
}
