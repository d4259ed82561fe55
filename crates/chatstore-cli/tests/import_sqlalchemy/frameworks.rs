//! Databases that chat frameworks wrote themselves, and what the import makes of them: for each thread the messages that
//! the framework reads back, in its order.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chatstore_testkit::{Backend, ExternalDatabase, TestDatabase, conformance};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::old::{Report, backend_of, digests};
use crate::program::{Finished, chatstore, finish};
use crate::support::{Application, column};

conformance!(
    threads_of_langchain_arrive_as_langchain_reads_them,
    sessions_of_openai_agents_arrive_as_the_sdk_reads_them,
    threads_of_chainlit_arrive_as_chainlit_reads_them,
    sessions_of_adk_arrive_as_adk_reads_them,
    sessions_of_adk_with_pickled_actions_arrive_without_them,
    a_framework_without_users_asks_whose_the_threads_are,
    tables_of_a_framework_that_have_other_names_are_named_in_a_file_based_on_its_map,
);

/// What the framework itself reads back.
#[derive(Debug, Deserialize)]
struct Expected {
    threads: BTreeMap<String, Thread>,
}

#[derive(Debug, Deserialize)]
struct Thread {
    user: Option<String>,
    title: Option<String>,
    messages: Vec<(String, String)>,
    items: Option<Vec<Value>>,
}

/// A database that a framework has written.
struct Fixture {
    place: ExternalDatabase,
    expected: Expected,
}

#[expect(clippy::disallowed_methods, reason = "larger fixtures are named by environment")]
fn folder() -> PathBuf {
    let given = std::env::var_os("CHATSTORE_FIXTURES").map(PathBuf::from);
    given.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/frameworks"))
}

impl Fixture {
    async fn load(name: &str, backend: Backend) -> Self {
        let dialect = if backend == Backend::Sqlite { "sqlite" } else { "postgres" };
        let read = |file: String| {
            let path = folder().join(file);
            std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}: cargo xtask fixtures", path.display()))
        };
        let place = backend.external_database().await;
        place.run_script(&read(format!("{name}.{dialect}.sql"))).await;
        let expected = serde_json::from_str(&read(format!("{name}.{dialect}.json"))).unwrap();
        Self { place, expected }
    }

    fn url(&self) -> String {
        self.place.url.replacen("sqlite://", "sqlite:///", 1)
    }

    fn import(&self, target: &str, more: &[&str]) -> Finished {
        let folder = tempfile::tempdir().unwrap();
        let mut command = chatstore(folder.path());
        command.args(["import", "sqlalchemy", &self.url(), "--json"]).args(more).env("DATABASE_URL", target);
        finish(&mut command)
    }

    fn messages(&self) -> u64 {
        self.expected.threads.values().map(|thread| thread.messages.len() as u64).sum()
    }
}

/// Imports a fixture twice, by name and recognized, and compares the threads with what the framework reads back.
async fn walk(
    case: TestDatabase,
    name: &str,
    map: &str,
    owner: Option<&str>,
    format: Option<&str>,
) -> Report {
    let fixture = Fixture::load(name, backend_of(&case)).await;
    let owner_arguments: Vec<&str> = owner.iter().flat_map(|owner| ["--owner", owner]).collect();
    if let Some(owner) = owner {
        let folder = tempfile::tempdir().unwrap();
        let create = ["user", "create", "--username", owner];
        finish(chatstore(folder.path()).args(create).env("DATABASE_URL", &case.url)).data();
    }
    let dry = fixture.import(&case.url, &[&owner_arguments[..], &["--dry-run"]].concat()).any_report();
    let report = fixture.import(&case.url, &owner_arguments).any_report();
    assert_eq!(report.schema, map);
    assert_eq!(dry.tables, report.tables);
    assert_eq!(report.tables["conversations"].added, fixture.expected.threads.len() as u64);
    assert_eq!(report.tables["messages"].added, fixture.messages());
    let before = digests(&case.url);
    let second = fixture.import(&case.url, &[&owner_arguments[..], &["--map", map]].concat());
    assert_eq!(second.code, 0, "{second:?}");
    assert!(second.any_report().tables.values().all(|counted| counted.added == 0), "{second:?}");
    assert_eq!(digests(&case.url), before);

    let application = Application::start(case);
    let service = application.service();
    for (thread, expected) in &fixture.expected.threads {
        let user = expected.user.as_deref().or(owner).unwrap();
        let caller = service.acting_for(&format!("name:{user}"));
        let path = format!("/threads/{}", utf8_percent_encode(thread, NON_ALPHANUMERIC));
        let stored = application.get(&caller, &path).await.data(200);
        assert_eq!(stored["title"], json!(expected.title));
        let stored = application.get(&caller, &format!("{path}/messages?order=asc")).await.data(200);
        let said: Vec<(String, String)> = serde_json::from_value(json!(
            column(&stored, "role").iter().zip(column(&stored, "content")).collect::<Vec<_>>()
        ))
        .unwrap();
        assert_eq!(said, expected.messages, "{thread}");
        if let Some(items) = &expected.items {
            let parts: Vec<Value> = items.iter().map(|item| json!([item])).collect();
            assert_eq!(column(&stored, "parts"), parts, "{thread}");
        }
        if let Some(format) = format {
            assert!(column(&stored, "format").iter().all(|stored| stored == format), "{stored}");
        }
    }
    report
}

fn problems(report: &Report) -> Vec<&str> {
    report.reported.iter().map(|reported| reported.problem.as_str()).collect()
}

async fn threads_of_langchain_arrive_as_langchain_reads_them(case: TestDatabase) {
    let report = walk(case, "langchain", "langchain", Some("ada"), Some("langchain/1")).await;
    assert_eq!(problems(&report), Vec::<&str>::new());
}

async fn sessions_of_openai_agents_arrive_as_the_sdk_reads_them(case: TestDatabase) {
    let format = Some("openai-agents/1");
    if case.url.starts_with("sqlite") {
        let another = Backend::Sqlite.database().await;
        walk(another, "openai-agents", "openai-agents", Some("ada"), format).await;
    }
    walk(case, "openai-agents-sqlalchemy", "openai-agents", Some("ada"), format).await;
}

async fn threads_of_chainlit_arrive_as_chainlit_reads_them(case: TestDatabase) {
    let report = walk(case, "chainlit", "chainlit", None, None).await;
    let runs = report.tables["messages"].left_out;
    assert_eq!(runs, report.tables["conversations"].added);
    let problems = problems(&report);
    assert!(problems.contains(&"the table feedbacks is not read: it has 1 rows"), "{problems:?}");
    assert!(problems.contains(&format!("{runs} rows have a type of run").as_str()), "{problems:?}");
    assert!(report.reported.iter().any(|reported| reported.column.as_deref() == Some("parentId")));
}

async fn sessions_of_adk_arrive_as_adk_reads_them(case: TestDatabase) {
    let report = walk(case, "adk", "adk", None, Some("google-adk/1")).await;
    assert_eq!(report.tables["users"].added, 2);
    let problems = problems(&report);
    assert!(problems.contains(&"the table adk_internal_metadata is not read: it has 1 rows"), "{problems:?}");
}

async fn sessions_of_adk_with_pickled_actions_arrive_without_them(case: TestDatabase) {
    let report = walk(case, "adk-pickled", "adk", None, None).await;
    let actions =
        report.reported.iter().find(|reported| reported.column.as_deref() == Some("actions")).unwrap();
    assert_eq!(actions.problem, "the column of events is not read");
}

async fn a_framework_without_users_asks_whose_the_threads_are(case: TestDatabase) {
    let fixture = Fixture::load("langchain", backend_of(&case)).await;
    let asked = fixture.import(&case.url, &[]);
    asked.assert_failed(2, "says whose its conversations are");
    assert!(asked.stderr.contains("--owner"), "{asked:?}");
    fixture
        .import(&case.url, &["--owner", "nobody-here"])
        .assert_failed(1, "there is no user \"nobody-here\"");
    let report = fixture.import(&case.url, &["--owner", "anonymous"]).any_report();
    assert_eq!(report.tables["messages"].added, fixture.messages());
    let other = fixture.import(&case.url, &["--map", "chainlit"]);
    other.assert_failed(65, "there is no table users");
}

async fn tables_of_a_framework_that_have_other_names_are_named_in_a_file_based_on_its_map(
    case: TestDatabase,
) {
    let fixture = Fixture::load("langchain", backend_of(&case)).await;
    fixture.place.run_script("alter table message_store rename to chat_history").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let import = |map: &str| {
        std::fs::write(path, map).unwrap();
        fixture.import(&case.url, &["--owner", "anonymous", "--map", path])
    };
    let named = "[conversations]\ntable = \"chat_history\"\n[messages]\ntable = \"chat_history\"\n";
    import(&format!("base = \"langchian\"\n{named}")).assert_failed(65, "line 1: base is \"langchian\"");
    import("base = \"langchain\"\n").assert_failed(65, "there is no table message_store");
    let report = import(&format!("base = \"langchain\"\n{named}")).any_report();
    assert_eq!((report.schema.as_str(), report.tables["messages"].added), ("langchain", fixture.messages()));
}

#[test]
fn the_fixtures_are_those_of_the_script_and_the_versions() {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let read = |name: &str| std::fs::read(fixtures.join(name)).unwrap();
    let written_by = [read("frameworks.py"), read("frameworks.txt")].concat();
    let digest: String = Sha256::digest(written_by).iter().map(|byte| format!("{byte:02x}")).collect();
    let stamp = String::from_utf8(read("frameworks/stamp")).unwrap();
    assert_eq!(stamp.trim(), digest, "the fixtures are stale: run `cargo xtask fixtures`");
}
