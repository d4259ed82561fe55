//! Connections that stay open and carry nothing any more.

use std::time::Duration;

use chatstore_testkit::{Backend, Proxy};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::fixtures::{GENEROUS, conversation, count, open, port, say, through};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_are_replaced_after_the_first_one_is_noticed() {
    let case = Backend::Postgres.database().await;
    let proxy = Proxy::start(port(&case.url)).unwrap();
    let database = open(&through(&case.url, proxy.port()), 16).await;
    let talk = conversation(&database).await;
    for answer in join_all((0..32).map(|_| say(&database, talk, "hello"))).await {
        answer.unwrap();
    }

    proxy.silence();

    // As long as a request waits.
    let unanswered = timeout(Duration::from_secs(5), say(&database, talk, "lost")).await;
    assert!(unanswered.is_err());
    let answers = timeout(GENEROUS, join_all((0..32).map(|_| count(&database)))).await.unwrap();
    for answer in answers {
        assert_eq!(answer.unwrap(), 32);
    }
    assert_eq!(say(&database, talk, "hello").await.unwrap().seq, 33);
}
