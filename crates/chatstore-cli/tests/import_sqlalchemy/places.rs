//! Where an old database is and in what state an application leaves it.

use chatstore_testkit::{Backend, TestDatabase, conformance};
use rusqlite::Connection;
use serde_json::json;

use crate::old::{Maker, OldDatabase, counts, digests, look};
use crate::program::{chatstore, finish};

conformance!(
    a_url_is_read_as_sqlalchemy_reads_it,
    what_the_running_application_has_not_committed_is_not_there,
);

async fn a_url_is_read_as_sqlalchemy_reads_it(case: TestDatabase) {
    let (old, manifest) = Maker::Pakton.make(&case, "plain").await;
    let folder = tempfile::tempdir().unwrap();
    let urls = match old.url().strip_prefix("sqlite:///") {
        Some(file) => {
            std::fs::copy(file, folder.path().join("old app.db")).unwrap();
            vec![
                format!("sqlite:///{file}"),
                format!("sqlite://{file}"),
                format!("sqlite+pysqlite:///{file}"),
                "sqlite:///old app.db".to_owned(),
            ]
        }
        None => ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg"]
            .map(|scheme| old.url().replacen("postgresql+psycopg", scheme, 1))
            .to_vec(),
    };
    for url in urls {
        let mut command = chatstore(folder.path());
        command.args(["import", "sqlalchemy", &url, "--dry-run", "--json"]).env("DATABASE_URL", &case.url);
        finish(&mut command).report().assert_complete(&manifest);
    }
}

async fn what_the_running_application_has_not_committed_is_not_there(case: TestDatabase) {
    let (old, manifest) = Maker::Pakton.make(&case, "plain").await;
    let Some(file) = file_of(&old) else {
        // The same of PostgreSQL is PostgreSQL's own promise.
        old.import_into(&case.url, &[]).assert_complete(&manifest);
        return;
    };
    let application = Connection::open(file).unwrap();
    application.pragma_update(None, "journal_mode", "wal").unwrap();
    application.execute("update conversations set title = 'committed' where thread_id = 't1'", []).unwrap();
    application.execute_batch("begin immediate; delete from conversations").unwrap();
    old.import_into(&case.url, &[]).assert_complete(&manifest);
    application.execute_batch("rollback").unwrap();
    let titles = look(&case.url, "select title from conversations where thread_id = 't1'");
    assert_eq!(titles, [[json!("committed")]], "what is only in the log beside the file counts");
}

fn file_of(old: &OldDatabase) -> Option<String> {
    old.url().strip_prefix("sqlite:///").map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_time_rows_begin_at_the_base_time() {
    let [case, again] = [Backend::Sqlite.database().await, Backend::Sqlite.database().await];
    let (old, manifest) = Maker::ChatApp.make(&case, "plain").await;
    let file = Connection::open(file_of(&old).unwrap()).unwrap();
    for table in ["users", "conversations", "messages", "responses"] {
        file.execute(&format!("update {table} set created_at = 'never'"), []).unwrap();
    }
    file.execute("update conversations set updated_at = 'never'", []).unwrap();
    drop(file);
    for case in [&case, &again] {
        let report = old.import_into(&case.url, &["--base-time", "2020-02-03T04:05:06Z"]);
        report.assert_complete(&manifest);
        assert_eq!(counts(&case.url)["messages"], manifest.rows["messages"]);
    }
    assert_eq!(digests(&case.url), digests(&again.url));
    let base = 1_580_702_706_000_000_i64;
    for table in ["conversations", "messages", "responses"] {
        for row in look(&case.url, &format!("select created_at from {table}")) {
            let time = row[0].as_i64().unwrap();
            assert!((base..base + 60_000_000).contains(&time), "{table}: {time}");
        }
    }
}
