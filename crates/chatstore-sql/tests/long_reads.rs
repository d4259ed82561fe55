//! Reads of a SQLite file that take long: they keep no thread that others need, and they end.

#![allow(clippy::unwrap_used, missing_docs, reason = "a case that meets the unexpected fails at once")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chatstore_model::{NewUser, UserId, UserName};
use chatstore_sql::{Database, DatabaseOptions, Direction, ReadTx, Sql, StoreError, WriteTx};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tempfile::TempDir;

/// Counts to `$1`.
const COUNT: Sql = Sql::same(
    "case.count",
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < $1) select count(*) from n",
);

const ENDLESS: i64 = i64::MAX;

async fn database() -> (TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("chat.db").display());
    (folder, Database::open(DatabaseOptions::new(url)).await.unwrap())
}

async fn count(database: &Database, to: i64) -> Result<i64, StoreError> {
    let count =
        async move |tx: &mut ReadTx<'_>| tx.query(&COUNT, &[to.into()], |row| row.next::<i64>()).await;
    database.read("count", count).await.map(|rows| rows[0])
}

#[tokio::test]
async fn a_long_read_keeps_no_thread_that_others_need() {
    let (_folder, database) = database().await;
    let is_done = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&is_done);
    let long = async {
        let counted = count(&database, 3_000_000).await.unwrap();
        done.store(true, Ordering::SeqCst);
        counted
    };
    let short = async {
        for _ in 0..20 {
            assert_eq!(count(&database, 10).await.unwrap(), 10);
        }
        is_done.load(Ordering::SeqCst)
    };
    assert_eq!(tokio::join!(long, short), (3_000_000, false));
}

#[tokio::test]
async fn a_long_read_ends_when_its_caller_stops_waiting() {
    let (_folder, database) = database().await;
    for _ in 0..4 {
        let waited = tokio::time::timeout(Duration::from_millis(50), count(&database, ENDLESS)).await;
        assert!(waited.is_err());
    }
    // Both threads are free again.
    assert_eq!(count(&database, 300_000).await.unwrap(), 300_000);
}

#[tokio::test]
async fn too_many_long_reads_are_refused_at_once() {
    let (_folder, database) = database().await;
    let mut reads: FuturesUnordered<_> = (0..100).map(|_| count(&database, ENDLESS)).collect();
    let refused = reads.next().await.unwrap();
    assert!(matches!(refused, Err(StoreError::Overloaded(_))), "{refused:?}");
    assert_eq!(count(&database, 10).await.unwrap(), 10, "short ones are not");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_interrupts_long_reads_and_refuses_those_that_wait() {
    let (folder, database) = database().await;
    let reads: Vec<_> = (0..6)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move { count(&database, ENDLESS).await })
        })
        .collect();
    // A read that is not endless is answered only once those before it are running.
    let _ = tokio::time::timeout(Duration::from_millis(100), count(&database, ENDLESS)).await;
    database.close().await;
    for read in reads {
        let ended = read.await.unwrap();
        assert!(matches!(ended, Err(StoreError::Unavailable(_))), "{ended:?}");
    }
    assert!(!folder.path().join("chat.db-wal").exists(), "every connection is closed");
}

/// Counts to `$1` with a table open, so that no checkpoint goes beyond what it sees.
const COUNT_BESIDE_USERS: Sql = Sql::same(
    "case.count_beside_users",
    "select count(*) from users u, \
     (with recursive n(i) as (select 1 union all select i + 1 from n where i < $1) select i from n) as numbers",
);

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_checkpoints_beside_a_long_read_are_no_fault() {
    let (_folder, database) = database().await;
    database.migrate(Direction::Upgrade).await.unwrap();
    let reading = tokio::spawn({
        let database = database.clone();
        async move {
            let read = async move |tx: &mut ReadTx<'_>| {
                tx.query(&COUNT_BESIDE_USERS, &[ENDLESS.into()], |row| row.next::<i64>()).await
            };
            database.read("count", read).await
        }
    });
    for round in 0..100 {
        let create = async move |tx: &mut WriteTx<'_>| {
            for number in 0..40 {
                let name = UserName::new(format!("user {round} {number}")).unwrap();
                tx.users().create(&NewUser::named(name)).await?;
            }
            Ok::<_, StoreError>(())
        };
        database.write("create", create).await.unwrap();
    }
    assert!(!reading.is_finished());
    reading.abort();
    database.close().await;
}

#[tokio::test]
async fn a_panic_in_a_long_read_fails_that_read_alone() {
    let (_folder, database) = database().await;
    for _ in 0..3 {
        let panicking = async |tx: &mut ReadTx<'_>| {
            tx.query(&COUNT, &[500_000_i64.into()], |row| row.next::<i64>()).await?;
            panic!("a defect of the application");
            #[allow(unreachable_code, reason = "the type of the read")]
            Ok::<(), StoreError>(())
        };
        let failed = database.read("panicking", panicking).await;
        assert!(matches!(failed, Err(StoreError::Backend(_))), "{failed:?}");
    }
    let found = database.read("get", async |tx| tx.users().get(UserId::ANONYMOUS).await).await;
    assert!(matches!(found, Err(StoreError::Corrupt(_))), "the tables are not there yet: {found:?}");
}
