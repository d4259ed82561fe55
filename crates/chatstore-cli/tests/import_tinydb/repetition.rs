//! Repeated imports, interrupted ones, and dry runs.

use std::process::Stdio;
use std::time::Instant;

use chatstore_testkit::{Backend, TestDatabase, conformance};
use serde_json::Value;

use crate::file::{OldFile, digests, report};
use crate::kills::moments;
use crate::support::Application;

conformance!(
    a_second_import_adds_nothing_and_exits_with_0,
    an_import_that_is_killed_and_run_again_comes_to_the_same,
    a_dry_run_writes_nothing_and_counts_what_the_real_one_does,
    a_file_that_is_cut_off_is_bad_data_of_which_nothing_is_imported,
    a_user_who_exists_gets_the_conversations_of_their_name,
);

async fn a_second_import_adds_nothing_and_exits_with_0(case: TestDatabase) {
    for variant in ["plain", "oddities", "many"] {
        let old = OldFile::make(variant);
        let case = backend_of(&case).database().await;
        let first = report(&old.import(&case.url, &[]));
        let before = digests(&case.url);
        let second = old.import(&case.url, &[]);
        assert_eq!(second.code, 0, "{variant}: {second:?}");
        let second = report(&second);
        for (table, counted) in second["tables"].as_object().unwrap() {
            let stored =
                |counted: &Value| counted["added"].as_u64().unwrap() + counted["unchanged"].as_u64().unwrap();
            assert_eq!(counted["added"], 0, "{variant} {table}");
            assert_eq!(stored(counted), stored(&first["tables"][table]), "{variant} {table}");
        }
        assert_eq!(digests(&case.url), before, "{variant}");
    }
}

fn backend_of(case: &TestDatabase) -> Backend {
    if case.url.starts_with("sqlite") { Backend::Sqlite } else { Backend::Postgres }
}

async fn an_import_that_is_killed_and_run_again_comes_to_the_same(case: TestDatabase) {
    let old = OldFile::make("many");
    let backend = backend_of(&case);
    let whole = backend.database().await;
    let begun = Instant::now();
    assert_eq!(old.import(&whole.url, &[]).code, 0);
    let duration = begun.elapsed();
    let expected = digests(&whole.url);
    for limit in moments(duration) {
        let target = backend.database().await;
        let mut child = old
            .command(&target.url, &[])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        tokio::time::sleep(limit).await;
        // Without effect on one that has ended.
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
        assert_eq!(old.import(&target.url, &[]).code, 0);
        assert_eq!(digests(&target.url), expected, "killed after {limit:?}");
    }
}

async fn a_dry_run_writes_nothing_and_counts_what_the_real_one_does(case: TestDatabase) {
    for variant in ["plain", "oddities"] {
        let case = backend_of(&case).database().await;
        let old = OldFile::make(variant);
        let empty = digests(&case.url);
        let dry = report(&old.import(&case.url, &["--dry-run"]));
        assert_eq!(digests(&case.url), empty, "{variant}");
        let real = report(&old.import(&case.url, &[]));
        assert_eq!(dry["tables"], real["tables"], "{variant}");
        let reported = |report: &Value| report["reported"].as_array().unwrap().len();
        assert_eq!(reported(&dry), reported(&real), "{variant}");
    }
}

async fn a_file_that_is_cut_off_is_bad_data_of_which_nothing_is_imported(case: TestDatabase) {
    let whole = OldFile::make("plain");
    let text = std::fs::read(whole.path()).unwrap();
    let empty = digests(&case.url);
    for cut in [OldFile::of_text(&text[..text.len() / 2]), OldFile::of_text("[]"), OldFile::of_text("")] {
        let failed = cut.import(&case.url, &[]);
        assert_eq!(failed.code, 65, "{failed:?}");
        assert!(failed.stderr.contains("db.json: not a file of TinyDB"), "{failed:?}");
        assert_eq!(digests(&case.url), empty);
    }
}

async fn a_user_who_exists_gets_the_conversations_of_their_name(case: TestDatabase) {
    let old = OldFile::make("plain");
    let application = Application::start(case);
    let ada = application.person("ADA");
    let imported = old.import(&application.case.url, &[]);
    assert_eq!(imported.code, 3, "a person should look at who is who: {imported:?}");
    application.get(&ada, "/threads/trip").await.data(200);
    assert_eq!(old.import(&application.case.url, &[]).code, 0);
}
