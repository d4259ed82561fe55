//! Old applications' databases, and what an import says about them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use chatstore_testkit::{Backend, ExternalDatabase, TestDatabase, python};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::program::{Finished, chatstore, finish};

/// Which application's databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Maker {
    ChatApp,
    Pakton,
    /// chatcore and Coach Bot, by the variant.
    Linked,
}

/// The database of an old application.
pub struct OldDatabase {
    maker: Maker,
    place: ExternalDatabase,
}

/// What is in an old database, by the script that filled it.
#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    /// By table.
    pub rows: BTreeMap<String, u64>,
    pub oddities: Vec<Oddity>,
    pub kept: Vec<Kept>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Oddity {
    pub table: String,
    pub key: String,
    pub what: String,
    /// Whether the import has to say something; else it may.
    pub must: bool,
}

/// A value of a column that no model knows.
#[derive(Debug, Clone, Deserialize)]
pub struct Kept {
    pub table: String,
    pub key: String,
    pub field: String,
    pub value: Value,
}

/// What `import sqlalchemy --json` prints.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    pub schema: String,
    pub dry_run: bool,
    pub reported: Vec<Reported>,
    pub tables: BTreeMap<String, Counted>,
    pub need_review: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reported {
    pub table: String,
    /// Nothing where it is about many rows.
    pub key: Option<String>,
    pub column: Option<String>,
    pub problem: String,
    pub done: String,
    pub left_out: bool,
    pub needs_review: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    pub read: u64,
    pub added: u64,
    pub unchanged: u64,
    pub left_out: u64,
}

impl Maker {
    pub const ALL: [Self; 2] = [Self::ChatApp, Self::Pakton];

    pub const fn schema(self) -> &'static str {
        match self {
            Self::ChatApp => "chat-app",
            Self::Pakton => "pakton",
            Self::Linked => "chatcore",
        }
    }

    const fn script(self) -> &'static str {
        match self {
            Self::ChatApp => "chat_app.py",
            Self::Pakton => "pakton.py",
            Self::Linked => "linked.py",
        }
    }

    /// A database of the same kind as the case's, filled with a variant.
    pub async fn make(self, like: &TestDatabase, variant: &str) -> (OldDatabase, Manifest) {
        self.make_on(backend_of(like), variant).await
    }

    pub async fn make_on(self, backend: Backend, variant: &str) -> (OldDatabase, Manifest) {
        let key = (self, backend == Backend::Sqlite, variant.to_owned());
        let cell = Arc::clone(TEMPLATES.lock().expect("no panic").entry(key).or_default());
        let template = cell.get_or_init(|| self.make_template(backend, variant)).await;
        let old = OldDatabase { maker: self, place: template.place.copy().await };
        (old, template.manifest.clone())
    }

    async fn make_template(self, backend: Backend, variant: &str) -> Template {
        let old = OldDatabase { maker: self, place: backend.external_database().await };
        let manifest = old.fill(variant);
        Template { place: old.place, manifest }
    }
}

/// A database that others are copied from, because creating it takes a while.
struct Template {
    place: ExternalDatabase,
    manifest: Manifest,
}

type Templates = BTreeMap<(Maker, bool, String), Arc<OnceCell<Template>>>;
static TEMPLATES: Mutex<Templates> = Mutex::new(Templates::new());

pub fn backend_of(case: &TestDatabase) -> Backend {
    if case.url.starts_with("sqlite") { Backend::Sqlite } else { Backend::Postgres }
}

impl OldDatabase {
    /// Lets the application write.
    pub fn fill(&self, variant: &str) -> Manifest {
        let url = self.url();
        let mut arguments = vec![url.as_str(), variant, "--conversations", "100"];
        let file = dialogs();
        if let Some(file) = &file {
            arguments.extend(["--dialogs", file]);
        }
        serde_json::from_str(&run_script(self.maker.script(), &arguments)).expect("a manifest")
    }

    /// As SQLAlchemy writes it.
    pub fn url(&self) -> String {
        let url = &self.place.url;
        match url.strip_prefix("sqlite://") {
            Some(file) => format!("sqlite:///{file}"),
            None => url.replacen("postgresql://", "postgresql+psycopg://", 1),
        }
    }

    /// Imports into a database that must take it.
    #[track_caller]
    pub fn import_into(&self, target: &str, more: &[&str]) -> Report {
        self.try_import_into(target, more).report()
    }

    pub fn try_import_into(&self, target: &str, more: &[&str]) -> Finished {
        let folder = tempfile::tempdir().unwrap();
        finish(&mut self.import_command(folder.path(), target, more))
    }

    /// The command that imports, not started.
    pub fn import_command(&self, folder: &Path, target: &str, more: &[&str]) -> Command {
        let mut command = chatstore(folder);
        command.args(["import", "sqlalchemy", &self.url(), "--json"]).args(more).env("DATABASE_URL", target);
        command
    }

    pub fn look(&self, sql: &str) -> Vec<Vec<Value>> {
        look(&self.url(), sql)
    }
}

impl Finished {
    /// What an import reported that went through.
    #[track_caller]
    pub fn any_report(&self) -> Report {
        assert!(self.code == 0 || self.code == 3, "{self:?}");
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in the report of an import: {self:?}"))
    }

    /// What an import reported that went through, with the exit code that fits.
    #[track_caller]
    pub fn report(&self) -> Report {
        let report = self.any_report();
        // Sessions end with the old application, which is as it should be.
        let mut left_out = report.tables.iter().filter(|(table, _)| *table != "sessions");
        let is_odd = report.need_review > 0 || left_out.any(|(_, counted)| counted.left_out > 0);
        let is_repetition = report.tables.values().all(|counted| counted.added == 0)
            && report.tables.values().any(|counted| counted.unchanged > 0);
        let needs_a_look = is_odd && !is_repetition;
        assert_eq!(self.code, if needs_a_look { 3 } else { 0 }, "{self:?}");
        let marked = report.reported.iter().filter(|reported| reported.needs_review).count();
        assert_eq!(u64::try_from(marked), Ok(report.need_review));
        report
    }
}

impl Report {
    pub fn added(&self) -> BTreeMap<&str, u64> {
        self.tables.iter().map(|(table, counted)| (table.as_str(), counted.added)).collect()
    }

    /// What is said about single rows.
    pub fn of_rows(&self) -> Vec<&Reported> {
        self.reported.iter().filter(|reported| reported.key.is_some()).collect()
    }

    /// Fails the case unless every row that was read is accounted for, one by one.
    #[track_caller]
    pub fn assert_complete(&self, manifest: &Manifest) {
        let read: BTreeMap<String, u64> =
            self.tables.iter().map(|(table, counted)| (table.clone(), counted.read)).collect();
        assert_eq!(read, manifest.rows, "every row is read");
        for (table, counted) in &self.tables {
            let Counted { read, added, unchanged, left_out } = counted;
            assert_eq!(*read, added + unchanged + left_out, "{table}: {counted:?}");
            let named: BTreeSet<&str> = self
                .reported
                .iter()
                .filter(|reported| reported.left_out && reported.table == *table)
                .filter_map(|reported| reported.key.as_deref())
                .collect();
            assert_eq!(named.len() as u64, *left_out, "{table}: what is left out is named: {named:?}");
        }
        for reported in &self.reported {
            assert!(!reported.problem.is_empty() && !reported.done.is_empty(), "{reported:?}");
            assert!(self.tables.contains_key(&reported.table), "{reported:?}");
        }
    }
}

/// What a database stores, by `chatstore stats --digest`; a database that is equal has equal digests.
pub fn digests(url: &str) -> Value {
    stats(url, &["--digest"])["digests"].clone()
}

pub fn counts(url: &str) -> BTreeMap<&'static str, u64> {
    let stats = stats(url, &[]);
    ["users", "conversations", "messages", "responses"]
        .into_iter()
        .map(|table| (table, stats[table].as_u64().expect("a count")))
        .collect()
}

fn stats(url: &str, more: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    finish(chatstore(folder.path()).args(["stats", "--json"]).args(more).env("DATABASE_URL", url)).json()
}

/// What a query gives, past chatstore, alike on both databases; see `look.py`.
pub fn look(url: &str, sql: &str) -> Vec<Vec<Value>> {
    let url = match url.strip_prefix("sqlite:///") {
        // A path that begins with a slash of its own has another for SQLAlchemy.
        Some(file) => format!("sqlite:////{}", file.trim_start_matches('/')),
        None => url.to_owned(),
    };
    serde_json::from_str(&run_script("look.py", &[&url, sql])).expect("rows")
}

/// What the stored rows of a table keep of their old ones.
pub fn sources(url: &str, table: &str) -> Vec<Value> {
    stored(url, table, "id").into_iter().map(|(_, source)| source).collect()
}

/// The stored rows of a table, each with what it keeps of its old one.
pub fn stored(url: &str, table: &str, columns: &str) -> Vec<(Vec<Value>, Value)> {
    let rows = look(url, &format!("select metadata, {columns} from {table}"));
    let with_source = |mut row: Vec<Value>| {
        let metadata = match row.remove(0) {
            Value::String(text) => serde_json::from_str(&text).expect("metadata is JSON"),
            other => other,
        };
        (row, metadata["source"].clone())
    };
    rows.into_iter().map(with_source).collect()
}

#[expect(clippy::disallowed_methods, reason = "the test command says where the dialogs are")]
fn dialogs() -> Option<String> {
    std::env::var("CHATSTORE_DIALOGS").ok().filter(|file| !file.is_empty())
}

fn run_script(name: &str, arguments: &[&str]) -> String {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import_sqlalchemy");
    python(&scripts.join(name), arguments)
}
