//! A file of TinyDB, and what an import of it says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use chatstore_testkit::python;
use serde_json::Value;

use crate::program::{Finished, chatstore, finish};

/// A file in a folder of its own.
pub struct OldFile {
    folder: tempfile::TempDir,
    /// By table.
    pub rows: BTreeMap<String, u64>,
}

impl OldFile {
    /// A file that TinyDB has filled with a variant.
    pub fn make(variant: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut old = Self { folder, rows: BTreeMap::new() };
        old.fill(variant);
        old
    }

    pub fn of_text(text: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("db.json"), text).unwrap();
        Self { folder, rows: BTreeMap::new() }
    }

    /// Lets the application write.
    pub fn fill(&mut self, variant: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import_tinydb/chatcore.py");
        let path = self.path();
        self.rows = serde_json::from_str(&python(&script, &[path.to_str().unwrap(), variant])).unwrap();
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("db.json")
    }

    /// The command that imports, not started.
    pub fn command(&self, target: &str, more: &[&str]) -> Command {
        let mut command = chatstore(self.folder.path());
        command.args(["import", "tinydb", "db.json", "--json"]).args(more).env("DATABASE_URL", target);
        command
    }

    pub fn import(&self, target: &str, more: &[&str]) -> Finished {
        finish(&mut self.command(target, more))
    }
}

/// What `--json` printed.
#[track_caller]
pub fn report(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

/// Fails the case unless each row is added, was there already or is left out.
#[track_caller]
pub fn assert_complete(report: &Value, rows: &BTreeMap<String, u64>) {
    for (table, count) in rows {
        let counted = &report["tables"][table];
        let of = |field: &str| counted[field].as_u64().unwrap();
        assert_eq!(of("read"), *count, "{table}: {counted}");
        assert_eq!(of("read"), of("added") + of("unchanged") + of("left_out"), "{table}: {counted}");
    }
}

/// What is said about a row.
pub fn said<'r>(report: &'r Value, table: &str, key: &str) -> Vec<&'r str> {
    let reported = report["reported"].as_array().unwrap();
    let of_row = reported.iter().filter(|issue| issue["table"] == table && issue["key"] == key);
    of_row.map(|issue| issue["problem"].as_str().unwrap()).collect()
}

/// What a database stores, by `chatstore stats --digest`.
pub fn digests(url: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let stats =
        finish(chatstore(folder.path()).args(["stats", "--json", "--digest"]).env("DATABASE_URL", url));
    stats.json()["digests"].clone()
}
