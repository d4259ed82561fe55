//! A server that opens fewer connections than the pool may have.

use chatstore_testkit::Backend;
use futures_util::future::join_all;

use crate::fixtures::{config, connect, conversation, count, open, say, say_in_transaction};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_with_few_connections_is_served_by_those() {
    let case = Backend::Postgres.database().await;
    let talk = conversation(&case.database).await;
    let other = connect(&case).await;
    let role = format!("few_{}", config(&case.url).get_dbname().unwrap());
    let setup = format!(
        "create role {role} login password 'few' connection limit 3; \
         grant all on all tables in schema public to {role}"
    );
    other.batch_execute(&setup).await.unwrap();
    let (_, place) = case.url.split_once('@').unwrap();
    let database = open(&format!("postgresql://{role}:few@{place}"), 16).await;

    for round in 0..3 {
        let single = (0..20).map(|_| say(&database, talk, "hello"));
        let whole = (0..20).map(|_| say_in_transaction(&database, talk, "hello"));
        let reads = (0..20).map(|_| count(&database));
        let (single, whole, reads) = tokio::join!(join_all(single), join_all(whole), join_all(reads));
        for answer in single.into_iter().chain(whole) {
            answer.unwrap();
        }
        for answer in reads {
            answer.unwrap();
        }
        assert_eq!(count(&database).await.unwrap(), 40 * (round + 1));
    }
    let open: i64 = other
        .query_one("select count(*) from pg_stat_activity where usename = $1", &[&role])
        .await
        .unwrap()
        .get(0);
    assert!(open <= 3);
    database.close().await;
    other.batch_execute(&format!("drop owned by {role}; drop role {role}")).await.unwrap();
}
