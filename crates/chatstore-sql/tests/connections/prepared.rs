//! Statements that the store prepares.

use std::collections::HashSet;

use chatstore_sql::{Sql, Via};
use chatstore_testkit::Backend;

use crate::fixtures::{connect, conversation, open, say, say_in_transaction};

const NAMES: Sql = Sql::only_postgres("test.names", "select name from pg_prepared_statements");

async fn names(database: &chatstore_sql::Database) -> HashSet<String> {
    let read =
        async |tx: &mut chatstore_sql::ReadTx<'_>| tx.query(&NAMES, &[], |row| row.next::<String>()).await;
    database.read("names", read).await.unwrap().into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_prepared_statement_has_a_name_of_its_own_store() {
    let case = Backend::Postgres.database().await;
    let mut prefixes = HashSet::new();
    for _ in 0..2 {
        let database = open(&case.url, 1).await;
        let talk = conversation(&database).await;
        say(&database, talk, "hello").await.unwrap();
        let names = names(&database).await;
        assert!(names.len() >= 3, "{names:?}");
        let of_names: HashSet<&str> = names.iter().map(|name| name.rsplit_once('_').unwrap().0).collect();
        let [prefix] = of_names.into_iter().collect::<Vec<_>>()[..] else { panic!("{names:?}") };
        let random = prefix.strip_prefix("chatstore_").unwrap();
        assert!(random.len() == 24 && random.bytes().all(|byte| byte.is_ascii_hexdigit()), "{prefix}");
        prefixes.insert(prefix.to_owned());
        database.close().await;
    }
    assert_eq!(prefixes.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_changes_its_type_under_a_running_store_is_read_as_before() {
    let case = Backend::Postgres.database().await;
    let database = open(&case.url, 4).await;
    let talk = conversation(&database).await;
    let (owner, id) = talk;
    let read = || async {
        let reads = (0..8).map(|_| {
            database.read("get", async move |tx| tx.conversations().get(Via::Owner(owner), id).await)
        });
        let found = futures_util::future::join_all(reads).await;
        found
            .into_iter()
            .for_each(|found| assert_eq!(found.unwrap().unwrap().0.title.as_deref(), Some("Trip")));
    };
    read().await;
    say(&database, talk, "hello").await.unwrap();
    say_in_transaction(&database, talk, "hello").await.unwrap();
    let other = connect(&case).await;
    for kind in ["varchar(900)", "text"] {
        let change = format!(
            "alter table conversations alter column title type {kind}; \
             alter table conversations alter column default_model type {kind}; \
             alter table messages alter column model type {kind}"
        );
        other.batch_execute(&change).await.unwrap();
        read().await;
        say(&database, talk, "hello").await.unwrap();
        say_in_transaction(&database, talk, "hello").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_the_session_has_forgotten_is_sent_again() {
    let case = Backend::Postgres.database().await;
    let database = open(&case.url, 1).await;
    let talk = conversation(&database).await;
    say(&database, talk, "hello").await.unwrap();
    const FORGET: Sql = Sql::only_postgres("test.forget", "deallocate all");

    for round in 2..5 {
        database.read("forget", async |tx| tx.query(&FORGET, &[], |_| Ok(())).await).await.unwrap();
        assert_eq!(say(&database, talk, "hello").await.unwrap().seq, 2 * round - 2);
        database.read("forget", async |tx| tx.query(&FORGET, &[], |_| Ok(())).await).await.unwrap();
        assert_eq!(say_in_transaction(&database, talk, "hello").await.unwrap().seq, 2 * round - 1);
    }
}
