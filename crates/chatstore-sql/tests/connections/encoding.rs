//! Databases whose encoding cannot hold every text.

use chatstore_sql::migrate::Target;
use chatstore_sql::{Database, DatabaseOptions, Direction};
use chatstore_testkit::Backend;
use tokio_postgres::NoTls;

async fn execute(url: &str, statement: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(statement).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_hold_every_text_is_refused_before_anything_is_written() {
    let case = Backend::Postgres.external_database().await;
    let (server, name) = case.url.rsplit_once('/').unwrap();
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let other = format!("{name}_{}", encoding.to_lowercase());
        let create = format!(
            "create database {other} encoding '{encoding}' template template0 lc_collate 'C' lc_ctype 'C'"
        );
        execute(&case.url, &create).await;
        let url = format!("{server}/{other}");
        let database = Database::open(DatabaseOptions::new(&url)).await.unwrap();

        let words = format!("the database has the encoding {encoding}, which cannot hold every text");
        assert_eq!(database.check_encoding().unwrap_err().to_string(), words);
        let refused = database.migrate(Direction::Upgrade).await.unwrap_err();
        assert!(refused.to_string().contains(&words), "{refused}");
        let refused = database.migrations().unwrap().upgrade(Target::Heads, |_| {}).await.unwrap_err();
        assert!(refused.to_string().contains(&words), "{refused}");
        execute(
            &url,
            "do $$ begin assert not exists (select from pg_tables where schemaname = 'public'); end $$",
        )
        .await;
        database.close().await;
        execute(&case.url, &format!("drop database {other} with (force)")).await;
    }
    let database = Database::open(DatabaseOptions::new(&case.url)).await.unwrap();
    assert_eq!(database.check_encoding(), Ok(()));
    database.migrate(Direction::Upgrade).await.unwrap();
    database.close().await;
}
