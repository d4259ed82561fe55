//! An import beside whatever else goes on, and one that is killed.

use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::kills::moments;
use crate::old::{Maker, backend_of, counts, digests};
use crate::program::finish;
use crate::support::{Answer, Application, column};

conformance!(
    an_import_beside_a_busy_server_loses_no_message,
    an_import_that_is_killed_and_run_again_comes_to_the_same,
    two_imports_at_once_come_to_the_same,
    the_old_database_is_only_read,
);

async fn an_import_beside_a_busy_server_loses_no_message(case: TestDatabase) {
    let (old, manifest) = Maker::ChatApp.make(&case, "dialogs").await;
    let application = Application::start(case);
    let zoe = application.person("zoe");
    let path = application.conversation(&zoe, json!({"title": "Meanwhile"})).await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = old.import_command(folder.path(), &application.case.url, &[]);
    let import = tokio::task::spawn_blocking(move || finish(&mut command));
    let mut said = Vec::new();
    while !import.is_finished() {
        let content = format!("line {}", said.len());
        let body = json!({"content": content});
        application.post(&zoe, &format!("{path}/messages"), body).await.data(201);
        said.push(content);
    }
    let report = import.await.unwrap().report();
    report.assert_complete(&manifest);
    assert!(said.len() > 3, "the import took {} messages", said.len());

    let mut found = Vec::new();
    while found.len() < said.len() {
        let page = format!("{path}/messages?limit=200&after={}", found.len());
        let page = column(&application.get(&zoe, &page).await.data(200), "content");
        assert!(!page.is_empty(), "{} of {} messages are there", found.len(), said.len());
        found.extend(page);
    }
    assert_eq!(found, said);
    let held = counts(&application.case.url);
    assert_eq!(held["messages"], manifest.rows["messages"] + said.len() as u64);
    let user00 = application.service().acting_for("name:USER00");
    let seen = Answer::to(application.request(&user00, "GET", "/conversations/count")).await.data(200);
    assert!(seen["count"].as_u64().unwrap() > 0, "the server sees what came in beside it");
}

/// Every application's databases, each with enough to be interrupted.
const SYSTEMS: [(Maker, &str); 5] = [
    (Maker::ChatApp, "dialogs"),
    (Maker::Pakton, "dialogs"),
    (Maker::Linked, "chatcore-many"),
    (Maker::Linked, "coach-bot-many"),
    (Maker::Linked, "chatter-many"),
];

async fn an_import_that_is_killed_and_run_again_comes_to_the_same(case: TestDatabase) {
    for (maker, variant) in SYSTEMS {
        kill_and_repeat(&case, maker, variant).await;
    }
}

async fn kill_and_repeat(case: &TestDatabase, maker: Maker, variant: &str) {
    let (old, _) = maker.make(case, variant).await;
    let whole = backend_of(case).database().await;
    let begun = Instant::now();
    let complete = old.import_into(&whole.url, &[]);
    let duration = begun.elapsed();
    let expected = digests_of(&whole.url, variant);

    for limit in moments(duration) {
        let target = backend_of(case).database().await;
        let folder = tempfile::tempdir().unwrap();
        let was_killed = run_for(old.import_command(folder.path(), &target.url, &[]), limit);
        let held = counts(&target.url);
        let report = old.import_into(&target.url, &[]);
        for (table, counted) in &report.tables {
            let whole = complete.tables[table];
            let place = format!("{variant}, {table}, killed after {limit:?}: {was_killed}, {held:?}");
            assert_eq!((counted.read, counted.left_out), (whole.read, whole.left_out), "{place}");
            assert_eq!(counted.added + counted.unchanged, whole.added + whole.unchanged, "{place}");
            if let Some(held) = held.get(table.as_str()) {
                assert_eq!(counted.unchanged, *held, "{place}");
            }
        }
        let found = digests_of(&target.url, variant);
        assert_eq!(found, expected, "{variant}, killed after {limit:?}: {was_killed}, {held:?}");
    }
}

/// The digests of all tables, but of Coach Bot's users, each of whom gets a random password.
fn digests_of(url: &str, variant: &str) -> Value {
    let mut digests = digests(url);
    if variant.starts_with("coach-bot") {
        digests.as_array_mut().unwrap().retain(|digest| digest["table"] != "users");
    }
    digests
}

/// Lets a command run for a maximum of this time, and kills it then; whether it had to.
fn run_for(mut command: Command, limit: Duration) -> bool {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary runs");
    let mut output = child.stdout.take().expect("its output is piped");
    let (sender, ended) = channel();
    std::thread::spawn(move || {
        // The output ends when the program does.
        let _ = std::io::copy(&mut output, &mut std::io::sink());
        let _ = sender.send(());
    });
    let in_time = ended.recv_timeout(limit).is_ok();
    // Without effect on one that has ended.
    child.kill().expect("it is ours");
    child.wait().expect("it ends");
    !in_time
}

async fn two_imports_at_once_come_to_the_same(case: TestDatabase) {
    let (old, manifest) = Maker::ChatApp.make(&case, "dialogs").await;
    let whole = backend_of(&case).database().await;
    old.import_into(&whole.url, &[]);
    let folder = tempfile::tempdir().unwrap();
    let imports = [0, 1].map(|_| {
        let mut command = old.import_command(folder.path(), &case.url, &[]);
        tokio::task::spawn_blocking(move || finish(&mut command))
    });
    let mut added = 0;
    for import in imports {
        added += import.await.unwrap().report().tables["messages"].added;
    }
    assert_eq!(added, manifest.rows["messages"]);
    assert_eq!(digests(&case.url), digests(&whole.url));
}

async fn the_old_database_is_only_read(case: TestDatabase) {
    let (old, _) = Maker::ChatApp.make(&case, "plain").await;
    let all = |table: &str| old.look(&format!("select * from {table} order by id"));
    let before = ["users", "conversations", "messages", "responses"].map(all);
    let file = old.url().strip_prefix("sqlite:///").map(str::to_owned);
    let bytes = file.as_ref().map(|file| std::fs::read(file).unwrap());
    old.import_into(&case.url, &[]);
    assert_eq!(["users", "conversations", "messages", "responses"].map(all), before);
    if let (Some(file), Some(bytes)) = (file, bytes) {
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
        let beside = std::path::Path::new(&file).parent().unwrap();
        assert_eq!(std::fs::read_dir(beside).unwrap().count(), 1, "no file is left beside it");
    }
}
