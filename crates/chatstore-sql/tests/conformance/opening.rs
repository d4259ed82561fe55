//! Opening a database: what cannot be one is explained, without any secret.

use std::sync::{Arc, Barrier};
use std::thread;

use chatstore_sql::{ConnectError, Database, DatabaseKind, DatabaseOptions};
use chatstore_testkit::{Backend, TestDatabase, conformance};

use crate::fixtures::arbitrary_owner;

conformance!(a_database_says_what_and_where_it_is);

async fn open(url: impl Into<String>) -> Result<Database, ConnectError> {
    Database::open(DatabaseOptions::new(url)).await
}

/// The password in the URL of a case on PostgreSQL.
fn password(url: &str) -> &str {
    let (credentials, _) = url.split_once('@').unwrap();
    credentials.rsplit_once(':').unwrap().1
}

async fn a_database_says_what_and_where_it_is(case: TestDatabase) {
    arbitrary_owner(&case).await;
    let database = &case.database;
    assert!(database.size_bytes().await.unwrap() > 4_096);
    match database.kind() {
        DatabaseKind::Sqlite => {
            assert_eq!(case.url, format!("sqlite://{}", database.place()));
            assert_eq!(database.file(), Some(std::path::Path::new(database.place())));
        }
        DatabaseKind::Postgres => {
            assert_eq!(database.file(), None);
            let named = case.url.split('?').next().unwrap();
            assert!(named.ends_with(database.place()));
            assert!(!format!("{database:?} {}", database.place()).contains(password(&case.url)));
        }
    }
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_not_opened_and_not_touched() {
    let case = Backend::Sqlite.database().await;
    let folder = std::path::Path::new(case.database.place()).parent().unwrap();
    let text = folder.join("text");
    std::fs::write(&text, "a text of several lines\n".repeat(100)).unwrap();
    let foreign = folder.join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("create table notes (note text)").unwrap();
    let before = std::fs::read(&foreign).unwrap();
    for (path, reason) in [
        (text, "it is not a SQLite database"),
        (foreign.clone(), "it is another application's SQLite database"),
    ] {
        let error = open(format!("sqlite://{}", path.display())).await.unwrap_err();
        assert!(matches!(error, ConnectError::Unusable { .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert_eq!(std::fs::read(&foreign).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_explained() {
    let case = Backend::Sqlite.database().await;
    let folder = std::path::Path::new(case.database.place()).parent().unwrap();
    for (path, reason) in [
        (folder.to_path_buf(), "it is a directory"),
        (folder.join("absent/chat.db"), "does not exist; create it first"),
    ] {
        let error = open(format!("sqlite://{}", path.display())).await.unwrap_err();
        assert!(matches!(error, ConnectError::CannotCreate { .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_us_is_told_from_one_that_does_not_answer() {
    let case = Backend::Postgres.database().await;
    // A pooler would answer for the server.
    let url = case.server_url();
    let secret = password(url);
    let name = case.database.place().rsplit_once('/').unwrap().1;
    let port = url.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()).unwrap();

    let error = open(url.replace(secret, "wrong-password")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Denied { .. }), "{error:?}");
    assert!(!error.to_string().contains("wrong-password"), "{error}");
    let error = open(url.replace(name, "absent")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains("create it first"), "{error}");
    let error = open(url.replace(&format!(":{port}/"), ":1/")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    assert!(!error.to_string().contains(secret), "{error}");
}

#[tokio::test]
async fn a_password_is_in_no_error_wherever_the_url_holds_it() {
    for url in [
        "postgresql://ada:s3cret@localhost:port/chat",
        "postgresql://localhost:port/chat?user=ada&password=s3cret",
        "postgresql://ada:s3cret@localhost:port/chat?password=s3cret",
        "mysql://ada:s3@s3cret@localhost/chat",
        "postgresql://ada:s3cret@localhost/chat?sslmode=absent",
        "sqlite://chat.db?password=s3cret",
        "password=s3cret",
    ] {
        let error = open(url).await.unwrap_err();
        assert!(matches!(error, ConnectError::InvalidUrl { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
}

/// On threads of their own, because opening a file does not give up its thread.
#[tokio::test]
async fn eight_may_open_one_fresh_file_at_once() {
    let case = Backend::Sqlite.database().await;
    for round in 0..60 {
        let url = case.url.replace("case.db", &format!("fresh-{round}.db"));
        let ready = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (url, ready) = (url.clone(), Arc::clone(&ready));
                thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    ready.wait();
                    runtime.block_on(open(url)).map(|_| ())
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    }
}
