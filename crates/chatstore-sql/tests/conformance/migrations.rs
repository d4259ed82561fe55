//! Migrations of our schema: up, down, up again, concurrently, and refused by name.

use chatstore_model::{NewMessage, NewUser, UserId};
use chatstore_sql::{Database, DatabaseKind, Direction, MigrationError, Sql, Via, revisions};
use chatstore_testkit::{TestDatabase, conformance};
use futures_util::future::join_all;

use crate::fixtures::{arbitrary_owner, create_user, name, read, reply, reply_of, write};
use crate::migration_fixtures::{fresh, open, schema};

conformance!(
    up_and_down_and_up_again_gives_the_same_schema,
    down_and_up_again_with_data_gives_an_empty_store_that_works,
    undoing_the_newest_revision_undoes_one,
    a_second_upgrade_changes_nothing,
    the_status_of_a_fresh_database_is_all_pending_and_changes_nothing,
    eight_may_migrate_one_fresh_database_at_once,
    eight_tasks_of_one_process_may_migrate_at_once,
    a_revision_of_a_newer_program_is_refused_by_name,
    a_revision_that_was_edited_is_refused_by_name,
    a_failed_upgrade_leaves_nothing_behind,
);

async fn migrate(database: &Database, direction: Direction) -> Vec<String> {
    let status = database.migrate(direction).await.unwrap();
    status.changed.into_iter().map(|revision| revision.id).collect()
}

fn known() -> Vec<String> {
    revisions().unwrap().into_iter().map(|revision| revision.id).collect()
}

async fn up_and_down_and_up_again_gives_the_same_schema(case: TestDatabase) {
    let database = &case.database;
    let before = schema(database).await;
    assert!(before.len() > 10);

    let undone = migrate(database, Direction::Base).await;
    let mut expected = known();
    expected.reverse();
    assert_eq!(undone, expected);
    let empty = schema(database).await;
    assert!(empty.iter().all(|line| line.contains("chatstore_migrations")), "{empty:?}");
    let status = database.migration_summary().await.unwrap();
    assert_eq!((status.applied.len(), status.pending.len()), (0, known().len()));

    assert_eq!(migrate(database, Direction::Upgrade).await, known());
    assert_eq!(schema(database).await, before);
}

async fn down_and_up_again_with_data_gives_an_empty_store_that_works(case: TestDatabase) {
    let database = &case.database;
    let fresh = read(&case, async |tx| tx.statistics().digests().await).await;
    let (owner, conversation) = arbitrary_owner(&case).await;
    reply(&case, owner, conversation, reply_of("m", 1, 1)).await.unwrap();
    assert_ne!(read(&case, async |tx| tx.statistics().digests().await).await, fresh);

    migrate(database, Direction::Base).await;
    migrate(database, Direction::Upgrade).await;

    assert_eq!(read(&case, async |tx| tx.statistics().digests().await).await, fresh);
    let (owner, conversation) = arbitrary_owner(&case).await;
    reply(&case, owner, conversation, reply_of("m", 1, 1)).await.unwrap();
    let append = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("hello")).await
    };
    assert_eq!(write(&case, append).await.unwrap().seq, 2);
}

async fn undoing_the_newest_revision_undoes_one(case: TestDatabase) {
    let database = &case.database;
    for undone in known().into_iter().rev() {
        assert_eq!(migrate(database, Direction::OneDown).await, [undone]);
    }
    assert_eq!(migrate(database, Direction::OneDown).await, [] as [&str; 0], "nothing is left to undo");
    assert_eq!(migrate(database, Direction::Upgrade).await, known());
}

async fn a_second_upgrade_changes_nothing(case: TestDatabase) {
    let database = &case.database;
    create_user(&case, NewUser::named(name("Ada"))).await.unwrap();
    let before = (schema(database).await, read(&case, async |tx| tx.statistics().digests().await).await);
    let applied = database.migration_summary().await.unwrap().applied;

    let status = database.migrate(Direction::Upgrade).await.unwrap();

    assert!(status.changed.is_empty() && status.pending.is_empty());
    let times = |applied: &[(chatstore_sql::Revision, chatstore_model::Timestamp)]| {
        applied.iter().map(|(revision, at)| (revision.id.clone(), *at)).collect::<Vec<_>>()
    };
    assert_eq!(times(&status.applied), times(&applied));
    assert_eq!(applied.len(), known().len());
    let after = (schema(database).await, read(&case, async |tx| tx.statistics().digests().await).await);
    assert_eq!(after, before);
}

async fn the_status_of_a_fresh_database_is_all_pending_and_changes_nothing(case: TestDatabase) {
    let database = open(&fresh(&case).await).await;

    let status = database.migration_summary().await.unwrap();

    let pending: Vec<String> = status.pending.into_iter().map(|revision| revision.id).collect();
    assert_eq!((status.applied.len(), pending), (0, known()));
    assert_eq!(schema(&database).await, [] as [&str; 0]);
}

/// Each with connections of its own, as processes have.
async fn eight_may_migrate_one_fresh_database_at_once(case: TestDatabase) {
    let expected = schema(&case.database).await;
    let url = fresh(&case).await;
    let migrating = (0..8).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { migrate(&open(&url).await, Direction::Upgrade).await })
    });
    let mut changed: Vec<Vec<String>> = join_all(migrating).await.into_iter().map(Result::unwrap).collect();

    changed.retain(|changed| !changed.is_empty());
    match case.database.kind() {
        DatabaseKind::Postgres => assert_eq!(changed, [known()], "one of them applied every revision"),
        // The lock lasts for one revision, so another may go on with the next.
        DatabaseKind::Sqlite => {
            let (mut applied, mut all) = (changed.concat(), known());
            applied.sort();
            all.sort();
            assert_eq!(applied, all, "each revision was applied once");
        }
    }
    let database = open(&url).await;
    assert_eq!(schema(&database).await, expected);
    let built_in = database.read("get", async |tx| tx.users().get(UserId::ANONYMOUS).await).await;
    assert!(built_in.unwrap().is_some());
}

async fn eight_tasks_of_one_process_may_migrate_at_once(case: TestDatabase) {
    let database = open(&fresh(&case).await).await;
    let migrating = (0..8).map(|_| migrate(&database, Direction::Upgrade));

    let mut changed = join_all(migrating).await;

    changed.retain(|changed| !changed.is_empty());
    assert_eq!(changed, [known()]);
}

async fn assert_refused(database: &Database, is_expected: impl Fn(&MigrationError) -> bool) {
    let before = schema(database).await;
    let status = database.migration_summary().await.unwrap_err();
    assert!(is_expected(&status), "{status:?}");
    for direction in [Direction::Upgrade, Direction::OneDown, Direction::Base] {
        let refused = database.migrate(direction).await.unwrap_err();
        assert!(is_expected(&refused), "{direction:?}: {refused:?}");
    }
    assert_eq!(schema(database).await, before);
}

async fn a_revision_of_a_newer_program_is_refused_by_name(case: TestDatabase) {
    const INSERT: Sql = Sql::same(
        "test.newer",
        "insert into chatstore_migrations (revision, slug, sha256, applied_at) \
         select 'abcdef012345', 'newer', sha256, applied_at from chatstore_migrations order by revision limit 1",
    );
    assert_eq!(write(&case, async |tx| tx.execute(&INSERT, &[]).await).await.unwrap(), 1);

    assert_refused(&case.database, |error| {
        let named = matches!(error, MigrationError::UnknownRevision(id) if id == "abcdef012345");
        named && error.to_string().contains("abcdef012345")
    })
    .await;
}

async fn a_revision_that_was_edited_is_refused_by_name(case: TestDatabase) {
    const EDIT: Sql = Sql::same("test.edit", "update chatstore_migrations set sha256 = 'edited'");
    write(&case, async |tx| tx.execute(&EDIT, &[]).await).await.unwrap();

    assert_refused(&case.database, |error| {
        let named = matches!(error, MigrationError::Edited(id) if *id == known()[0]);
        named && error.to_string().contains(&known()[0])
    })
    .await;
}

async fn a_failed_upgrade_leaves_nothing_behind(case: TestDatabase) {
    const IN_THE_WAY: Sql = Sql::same("test.in_the_way", "create table messages (note text)");
    const AWAY: Sql = Sql::same("test.away", "drop table messages");
    let database = open(&fresh(&case).await).await;
    database.write("plant", async |tx| tx.execute(&IN_THE_WAY, &[]).await).await.unwrap();
    let before = schema(&database).await;

    let error = database.migrate(Direction::Upgrade).await.unwrap_err();

    assert!(matches!(error, MigrationError::Database { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains(&known()[0]) && message.contains("messages"), "{message}");
    assert_eq!(schema(&database).await, before);
    database.write("clear", async |tx| tx.execute(&AWAY, &[]).await).await.unwrap();
    assert_eq!(migrate(&database, Direction::Upgrade).await, known());
}
