//! What imports of whole databases print.

use std::process::ExitCode;

use chatstore_import::{ImportEvent, ImportReport, Issue};
use serde_json::json;

use super::{SHOWN, eprint_rest};
use crate::commands::{eprint_message, print};
use crate::error::{CliError, code};
use crate::progress::{Progress, Unit};

/// Every table of a report, in the order in which it is printed.
const TABLES: [&str; 7] =
    ["users", "conversations", "messages", "responses", "members", "documents", "sessions"];

/// Success, unless a person should look at what was reported.
pub(super) fn exit_code(report: &ImportReport) -> ExitCode {
    if report.is_settled() { ExitCode::SUCCESS } else { ExitCode::from(code::SKIPPED) }
}

/// Prints what an import does. As JSON each issue is printed as it occurs, so that a million of them
/// take no memory.
pub(super) struct Listener {
    json: bool,
    dry_run: bool,
    /// What is imported, for a person.
    described: String,
    progress: Option<Progress>,
    shown: Vec<Issue>,
    reported: usize,
}

impl Listener {
    pub(super) fn new(json: bool, described: &str, dry_run: bool) -> Self {
        let described = described.to_owned();
        Self { json, dry_run, described, progress: None, shown: Vec::new(), reported: 0 }
    }

    /// Begins the report, whose first fields these are.
    pub(super) fn begin(&self, fields: &[(&str, &str)]) {
        if self.json {
            let fields: String =
                fields.iter().map(|(name, value)| format!("\"{name}\":{},", json!(value))).collect();
            print(format_args!("{{{fields}\"dry_run\":{},\"reported\":[", self.dry_run));
        }
    }

    pub(super) fn hear(&mut self, event: ImportEvent) {
        match event {
            ImportEvent::Issue(issue) => self.report(issue),
            ImportEvent::Progress { done, total } => {
                self.progress.get_or_insert_with(|| Progress::new("importing", Unit::Rows, total)).set(done);
            }
            _ => {}
        }
    }

    fn report(&mut self, issue: Issue) {
        if self.json {
            let comma = if self.reported == 0 { "" } else { "," };
            print(format_args!("{comma}{}", json!(issue)));
        } else if issue.is_password {
            // Nothing else tells it, so that each is printed, and at once.
            print(format_args!(
                "{} {}: {}",
                issue.table,
                issue.key.as_deref().unwrap_or_default(),
                issue.done
            ));
        } else if self.shown.len() < SHOWN {
            self.shown.push(issue);
        }
        self.reported += 1;
    }

    fn end_progress(&self) {
        if let Some(progress) = &self.progress {
            progress.finish();
        }
    }

    pub(super) fn fail(&self, failure: &CliError) {
        self.end_progress();
        if self.json {
            print(format_args!("],\"error\":{}}}", json!(failure.message())));
        }
    }

    pub(super) fn finish(self, report: &ImportReport) {
        self.end_progress();
        if self.json {
            let (tables, need_review) = (json!(report.tables), report.need_review);
            print(format_args!("],\"tables\":{tables},\"need_review\":{need_review}}}"));
            return;
        }
        let added = if self.dry_run { "would be added" } else { "added" };
        for table in TABLES {
            let Some(rows) = report.tables.get(table) else { continue };
            if rows.read == 0 && matches!(table, "documents" | "sessions" | "members") {
                continue;
            }
            print(format_args!(
                "{table}: {} rows, {} {added}, {} were there already, {} left out",
                rows.read, rows.added, rows.unchanged, rows.left_out
            ));
        }
        if report.added() == 0 {
            eprint_message(format_args!(
                "nothing was added: every row of this {} was there already or is left out",
                self.described
            ));
        }
        for issue in &self.shown {
            let key = issue.key.as_deref().map(|key| format!(" {key:?}")).unwrap_or_default();
            let column = issue.column.as_deref().map(|column| format!(", {column}")).unwrap_or_default();
            let Issue { table, problem, done, .. } = issue;
            eprint_message(format_args!("{table}{key}{column}: {problem}; {done}"));
        }
        eprint_rest(self.reported);
        if report.need_review > 0 {
            let count = report.need_review;
            eprint_message(format_args!(
                "accounts that a person should look at: {count}; --json marks them with \"needs_review\""
            ));
        }
    }
}
