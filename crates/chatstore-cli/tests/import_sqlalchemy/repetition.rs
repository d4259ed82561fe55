//! Repeated imports, later ones, and dry runs.

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::old::{Maker, backend_of, counts, digests, look};
use crate::program::{chatstore, finish};
use crate::support::{Application, text};

conformance!(
    a_second_import_adds_nothing_and_says_so,
    an_import_after_the_application_went_on_adds_what_is_new,
    a_regenerated_answer_is_imported,
    a_conversation_whose_user_changed_is_not_imported_twice,
    what_people_did_since_the_first_import_stays,
    what_was_deleted_here_is_left_out_and_reported,
    a_dry_run_writes_nothing_and_reports_what_the_real_one_does,
    a_dry_run_after_an_import_says_that_nothing_would_be_added,
    the_printed_summary_names_the_tables_and_what_was_left_out,
);

async fn a_second_import_adds_nothing_and_says_so(case: TestDatabase) {
    for maker in Maker::ALL {
        for variant in ["plain", "dialogs"] {
            let case = backend_of(&case).database().await;
            let (old, manifest) = maker.make(&case, variant).await;
            old.import_into(&case.url, &[]);
            let before = digests(&case.url);
            let second = old.import_into(&case.url, &[]);
            second.assert_complete(&manifest);
            for (table, counted) in &second.tables {
                assert_eq!(
                    (counted.added, counted.unchanged),
                    (0, counted.read),
                    "{maker:?} {variant} {table}"
                );
            }
            assert_eq!(digests(&case.url), before, "{maker:?} {variant}");
        }
    }
}

async fn an_import_after_the_application_went_on_adds_what_is_new(case: TestDatabase) {
    for maker in Maker::ALL {
        let case = backend_of(&case).database().await;
        let (old, first) = maker.make(&case, "plain").await;
        old.import_into(&case.url, &[]);
        let later = old.fill("more");
        let report = old.import_into(&case.url, &[]);
        report.assert_complete(&later);
        for (table, counted) in &report.tables {
            assert_eq!(counted.added, later.rows[table] - first.rows[table], "{maker:?} {table}");
            assert_eq!(counted.unchanged, first.rows[table], "{maker:?} {table}");
            assert_eq!(counts(&case.url)[table.as_str()], later.rows[table], "{maker:?} {table}");
        }
        let at_once = backend_of(&case).database().await;
        old.import_into(&at_once.url, &[]);
        for (in_parts, at_once) in tables_of(&case.url).iter().zip(tables_of(&at_once.url)) {
            assert_eq!(*in_parts, at_once, "{maker:?}: in two parts or in one is the same");
        }
        let heads = "select id, message_count, last_seq, last_message, last_message_at from conversations order by id";
        assert_eq!(look(&case.url, heads), look(&at_once.url, heads), "{maker:?}");
    }
}

/// The digests of the tables, without the one whose rows say how often they were changed.
fn tables_of(url: &str) -> Vec<Value> {
    let tables = digests(url).as_array().expect("a list").clone();
    tables.into_iter().filter(|table| table["table"] != "conversations").collect()
}

async fn a_regenerated_answer_is_imported(case: TestDatabase) {
    let (old, _) = Maker::ChatApp.make(&case, "plain").await;
    old.import_into(&case.url, &[]);
    let later = old.fill("regenerated");
    let report = old.import_into(&case.url, &[]);
    report.assert_complete(&later);
    assert_eq!((report.tables["messages"].added, report.tables["responses"].added), (1, 1), "{report:?}");
    let found = look(&case.url, "select role from messages where content = 'You are welcome'");
    assert_eq!(found, [[json!("assistant")]]);
}

async fn a_conversation_whose_user_changed_is_not_imported_twice(case: TestDatabase) {
    let (old, manifest) = Maker::ChatApp.make(&case, "plain").await;
    old.import_into(&case.url, &[]);
    old.fill("claimed");
    let report = old.import_into(&case.url, &[]);
    report.assert_complete(&manifest);
    assert_eq!(report.tables["messages"].added, 0, "{report:?}");
    for (table, rows) in &manifest.rows {
        assert_eq!(counts(&case.url)[table.as_str()], *rows, "{table}");
    }
}

async fn what_was_deleted_here_is_left_out_and_reported(case: TestDatabase) {
    let (old, manifest) = Maker::ChatApp.make(&case, "plain").await;
    old.import_into(&case.url, &[]);
    let application = Application::start(case);
    let ada = application.service().acting_for("name:ada");
    let listed = application.get(&ada, "/conversations").await.data(200);
    let found = listed["data"].as_array().unwrap().iter().find(|row| row["title"] == "Relativity").unwrap();
    let messages = format!("/conversations/{}/messages", text(&found["id"]));
    application.delete(&ada, &format!("{messages}/2")).await.done();
    let before = application.get(&ada, &messages).await.data(200);
    let report = old.import_into(&application.case.url, &[]);
    report.assert_complete(&manifest);
    assert!(report.added().values().all(|added| *added == 0), "{:?}", report.tables);
    assert_eq!((report.tables["messages"].left_out, report.tables["responses"].left_out), (1, 1));
    assert_eq!(application.get(&ada, &messages).await.data(200), before);
}

async fn what_people_did_since_the_first_import_stays(case: TestDatabase) {
    let (old, _) = Maker::ChatApp.make(&case, "plain").await;
    old.import_into(&case.url, &[]);
    let application = Application::start(case);
    let ada = application.service().acting_for("name:ada");
    let listed = application.get(&ada, "/conversations").await.data(200);
    let found = listed["data"].as_array().unwrap().iter().find(|row| row["title"] == "Relativity").unwrap();
    let path = format!("/conversations/{}", text(&found["id"]));
    application.say(&ada, &path, "said here").await;
    application.patch(&ada, &path, json!({"title": "Renamed here"})).await.data(200);
    let before = application.get(&ada, &format!("{path}?include=messages")).await.data(200);
    let report = old.import_into(&application.case.url, &[]);
    assert!(report.added().values().all(|added| *added == 0), "{:?}", report.tables);
    let after = application.get(&ada, &format!("{path}?include=messages")).await.data(200);
    assert_eq!(after, before);
}

async fn a_dry_run_writes_nothing_and_reports_what_the_real_one_does(case: TestDatabase) {
    for maker in Maker::ALL {
        for variant in ["plain", "oddities"] {
            let case = backend_of(&case).database().await;
            let (old, manifest) = maker.make(&case, variant).await;
            let empty = digests(&case.url);
            let dry = old.import_into(&case.url, &["--dry-run"]);
            dry.assert_complete(&manifest);
            assert!(dry.dry_run);
            assert_eq!(digests(&case.url), empty, "{maker:?} {variant}");
            let real = old.import_into(&case.url, &[]);
            assert!(!real.dry_run);
            assert_eq!(dry.tables, real.tables, "{maker:?} {variant}");
            assert_eq!(dry.reported, real.reported, "{maker:?} {variant}");
        }
    }
}

async fn a_dry_run_after_an_import_says_that_nothing_would_be_added(case: TestDatabase) {
    let (old, manifest) = Maker::ChatApp.make(&case, "plain").await;
    old.import_into(&case.url, &[]);
    let later = old.fill("more");
    let dry = old.import_into(&case.url, &["--dry-run"]);
    let real = old.import_into(&case.url, &[]);
    assert_eq!(dry.tables, real.tables);
    assert_eq!(dry.tables["messages"].added, later.rows["messages"] - manifest.rows["messages"]);
}

async fn the_printed_summary_names_the_tables_and_what_was_left_out(case: TestDatabase) {
    let (old, _) = Maker::ChatApp.make(&case, "oddities").await;
    let folder = tempfile::tempdir().unwrap();
    let told = finish(
        chatstore(folder.path()).args(["import", "sqlalchemy", &old.url()]).env("DATABASE_URL", &case.url),
    );
    assert_eq!(told.code, 3, "{told:?}");
    for table in ["users", "conversations", "messages", "responses"] {
        assert!(told.stdout.contains(table), "{table}: {told:?}");
    }
    assert!(serde_json::from_str::<Value>(&told.stdout).is_err(), "a summary, not JSON");
    let password = old.url().split('@').next().and_then(|start| start.rsplit(':').next()).map(str::to_owned);
    if let Some(password) = password.filter(|_| !case.url.starts_with("sqlite")) {
        assert!(!told.stdout.contains(&password) && !told.stderr.contains(&password), "no password is shown");
    }
}
