//! What cannot be imported is reported clearly, and nothing is written.

use std::net::TcpListener;

use chatstore_testkit::{TestDatabase, conformance};

use crate::old::{Maker, backend_of, counts, digests};
use crate::program::{Finished, chatstore, finish};

conformance!(
    a_database_of_neither_application_is_refused,
    the_other_schema_is_refused,
    a_missing_file_is_reported_and_not_created,
    a_file_that_is_not_a_database_is_reported,
    an_unreachable_server_is_reported,
    an_invalid_url_is_reported_without_its_password,
    a_database_is_not_imported_into_itself,
);

fn import(case: &TestDatabase, url: &str, more: &[&str]) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let mut command = chatstore(folder.path());
    command.args(["import", "sqlalchemy", url, "--json"]).args(more).env("DATABASE_URL", &case.url);
    let finished = finish(&mut command);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was created");
    finished
}

#[track_caller]
fn assert_empty(case: &TestDatabase) {
    assert!(counts(&case.url).values().all(|count| *count == 0));
}

async fn a_database_of_neither_application_is_refused(case: TestDatabase) {
    // chatstore's own has users and conversations, too.
    let own = backend_of(&case).database().await;
    let empty = backend_of(&case).external_database().await;
    if let Some(file) = empty.url.strip_prefix("sqlite://") {
        rusqlite::Connection::open(file).unwrap().execute_batch("create table users (name text)").unwrap();
    }
    for url in [&own.url, &empty.url] {
        let refused = import(&case, url, &[]);
        refused.assert_failed(65, "chat-app");
        assert!(refused.stderr.contains("pakton"), "both are named: {refused:?}");
    }
    assert_empty(&case);
}

async fn the_other_schema_is_refused(case: TestDatabase) {
    for (maker, other) in [(Maker::ChatApp, "pakton"), (Maker::Pakton, "chat-app")] {
        let (old, _) = maker.make(&case, "plain").await;
        let refused = old.try_import_into(&case.url, &["--schema", other]);
        assert_eq!(refused.code, 65, "{refused:?}");
        assert!(!refused.stderr.is_empty());
    }
    assert_empty(&case);
}

async fn a_missing_file_is_reported_and_not_created(case: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("absent.db");
    for url in [format!("sqlite:///{}", file.display()), format!("sqlite://{}", file.display())] {
        import(&case, &url, &[]).assert_failed(66, "absent.db");
    }
    import(&case, "sqlite:///absent.db", &[]).assert_failed(66, "absent.db");
    assert!(!file.exists());
    assert_empty(&case);
}

async fn a_file_that_is_not_a_database_is_reported(case: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text.db");
    let content = "not a database at all ".repeat(500);
    std::fs::write(&file, &content).unwrap();
    let url = format!("sqlite:///{}", file.display());
    import(&case, &url, &[]).assert_failed(74, "text.db");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), content, "it is left as it is");
    std::fs::write(&file, "").unwrap();
    import(&case, &url, &[]).assert_failed(65, "text.db");
    assert_empty(&case);
}

async fn an_unreachable_server_is_reported(case: TestDatabase) {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgresql://someone:secret-word@127.0.0.1:{port}/chat_app");
    let refused = import(&case, &url, &[]);
    refused.assert_failed(69, &port.to_string());
    assert!(!refused.stderr.contains("secret-word"), "{refused:?}");
    assert_empty(&case);
}

async fn an_invalid_url_is_reported_without_its_password(case: TestDatabase) {
    let refused = import(&case, "mysql+pymysql://someone:secret-word@localhost/chat_app", &[]);
    refused.assert_failed(78, "postgresql");
    assert!(!refused.stderr.contains("secret-word"), "{refused:?}");
    for url in ["sqlite://", "chat_app.db", ""] {
        let refused = import(&case, url, &[]);
        assert!([66, 78].contains(&refused.code), "{refused:?}");
    }
    assert_empty(&case);
}

async fn a_database_is_not_imported_into_itself(case: TestDatabase) {
    let before = digests(&case.url);
    let refused = import(&case, &case.url, &[]);
    assert_eq!(refused.code, 65, "{refused:?}");
    assert_eq!(digests(&case.url), before);
}
