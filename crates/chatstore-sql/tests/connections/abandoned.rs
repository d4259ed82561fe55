//! Callers who stop waiting, and statements that wait for too long.

use std::time::Duration;

use chatstore_sql::StoreError;
use chatstore_testkit::Backend;
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::fixtures::{GENEROUS, backend, connect, conversation, count, open, say, say_in_transaction};

const WAITING: &str = "select count(*) from pg_stat_activity \
    where datname = current_database() and wait_event_type = 'Lock'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_go_away_cost_no_connection() {
    let case = Backend::Postgres.database().await;
    let database = open(&case.url, 1).await;
    let talk = conversation(&database).await;
    let before = backend(&database).await;
    for number in 0..50 {
        let patience = Duration::from_micros(number * 40);
        // Some are answered before they go.
        drop(timeout(patience, say(&database, talk, "hello")).await);
        drop(timeout(patience, say_in_transaction(&database, talk, "hello")).await);
        drop(timeout(patience, count(&database)).await);
    }
    assert_eq!(backend(&database).await, before);
    let stored = count(&database).await.unwrap();
    assert_eq!(say(&database, talk, "the last").await.unwrap().seq, stored + 1, "no number is missing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_given_up_is_cancelled_and_its_connection_is_used_again() {
    let case = Backend::Postgres.database().await;
    let database = open(&case.url, 1).await;
    let talk = conversation(&database).await;
    let before = backend(&database).await;
    let other = connect(&case).await;
    other.batch_execute("begin; select from conversations for update").await.unwrap();

    let given_up = timeout(Duration::from_millis(200), say(&database, talk, "in vain")).await;
    assert!(given_up.is_err());

    // Before the lock's own time limit: the row is still locked.
    assert_eq!(backend(&database).await, before);
    let waiting: i64 = other.query_one(WAITING, &[]).await.unwrap().get(0);
    assert_eq!(waiting, 0);
    other.batch_execute("rollback").await.unwrap();
    assert_eq!(count(&database).await.unwrap(), 0, "what was cancelled did not happen");
    assert_eq!(say(&database, talk, "hello").await.unwrap().seq, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_locked_row_is_told_before_the_request_ends() {
    let case = Backend::Postgres.database().await;
    let database = open(&case.url, 4).await;
    let talk = conversation(&database).await;
    let other = connect(&case).await;
    other.batch_execute("begin; select from conversations for update").await.unwrap();

    let writers = (0..4).map(|_| say(&database, talk, "hello"));
    let answers = timeout(GENEROUS, join_all(writers)).await.unwrap();
    for answer in answers {
        assert!(matches!(answer, Err(StoreError::Timeout(_))), "{answer:?}");
    }
    let answer = say_in_transaction(&database, talk, "hello").await;
    assert!(matches!(answer, Err(StoreError::Timeout(_))), "{answer:?}");
    other.batch_execute("rollback").await.unwrap();
    assert_eq!(say(&database, talk, "hello").await.unwrap().seq, 1, "nothing was changed before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gets_no_connection_in_time_is_told_that_nothing_happened() {
    let case = Backend::Postgres.database().await;
    let database = open(&case.url, 1).await;
    let talk = conversation(&database).await;
    let (started, has_started) = tokio::sync::oneshot::channel();
    let (end, ended) = tokio::sync::oneshot::channel();
    let holder = database.clone();
    let mut signals = Some((started, ended));
    let holding = tokio::spawn(async move {
        let hold = async move |_: &mut chatstore_sql::WriteTx<'_>| {
            if let Some((started, ended)) = signals.take() {
                started.send(()).unwrap();
                ended.await.unwrap();
            }
            Ok::<_, StoreError>(())
        };
        holder.write("hold", hold).await
    });
    has_started.await.unwrap();

    for answer in [say(&database, talk, "a").await, say_in_transaction(&database, talk, "b").await] {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    end.send(()).unwrap();
    holding.await.unwrap().unwrap();
    assert_eq!(say(&database, talk, "hello").await.unwrap().seq, 1);
}
