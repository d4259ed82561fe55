//! A server that takes no writes for a while.

use chatstore_sql::StoreError;
use chatstore_testkit::Backend;
use tokio::time::timeout;

use crate::fixtures::{GENEROUS, config, connect, conversation, open, say, say_in_transaction};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_succeed_again_when_the_server_takes_them_again() {
    let case = Backend::Postgres.database().await;
    let talk = conversation(&case.database).await;
    let other = connect(&case).await;
    let name = config(&case.url).get_dbname().unwrap().to_owned();
    let set = async |mode: &str| {
        let set = format!("alter database {name} set default_transaction_read_only = {mode}");
        other.batch_execute(&set).await.unwrap();
    };
    set("on").await;
    let database = open(&case.url, 4).await;

    for answer in [say(&database, talk, "a").await, say_in_transaction(&database, talk, "b").await] {
        assert!(matches!(answer, Err(StoreError::ReadOnly(_))), "{answer:?}");
    }
    let not_ready = database.ping().await;
    assert!(matches!(not_ready, Err(StoreError::ReadOnly(_))), "{not_ready:?}");

    // Like a fail-over, this is for connections that begin from now on.
    other.batch_execute("set default_transaction_read_only = off").await.unwrap();
    set("off").await;
    let retried = async {
        loop {
            match say(&database, talk, "hello").await {
                Err(StoreError::ReadOnly(_)) => tokio::task::yield_now().await,
                answer => return answer,
            }
        }
    };
    assert_eq!(timeout(GENEROUS, retried).await.unwrap().unwrap().seq, 1);
    database.ping().await.unwrap();
}
