//! What `migrate` shows.

use std::collections::BTreeMap;

use chatstore::Timestamp;
use chatstore::operations::{Migrations, Revision};
use chatstore_migrate::{Dialect, LogEntry, MigrationStatus, Target};
use clap::Args;
use serde::Serialize;

use super::graph;
use crate::commands::table::print_table;
use crate::commands::{eprint_message, print, print_json};
use crate::error::CliError;

#[derive(Debug, Args)]
pub(crate) struct Json {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// How far: head, heads (of every branch), +N, or a revision
    #[arg(value_name = "TARGET", default_value = "heads")]
    to: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A revision in the history of the database.
#[derive(Serialize)]
struct ShownState<'s> {
    id: &'s str,
    slug: &'s str,
    /// `applied`, `pending`, `edited`, `unknown`, or `running` or `undoing` when it was interrupted.
    state: &'static str,
    applied_at: Option<String>,
    duration_ms: Option<i64>,
    application: Option<&'s str>,
}

/// An entry of the log.
#[derive(Serialize)]
struct ShownEntry {
    at: Option<String>,
    action: String,
    revision: String,
    sha256: String,
    duration_ms: Option<i64>,
    application: String,
    detail: Option<String>,
}

impl From<LogEntry> for ShownEntry {
    fn from(entry: LogEntry) -> Self {
        let LogEntry { at, action, revision, sha256, duration_ms, application, detail } = entry;
        Self { at: time(at), action, revision, sha256, duration_ms, application, detail }
    }
}

pub(super) fn history(Json { json }: Json) -> Result<(), CliError> {
    let graph = graph()?;
    let newest_first: Vec<&Revision> = graph.revisions().iter().rev().collect();
    list(&newest_first, json)
}

pub(super) fn heads(Json { json }: Json) -> Result<(), CliError> {
    list(&graph()?.heads(), json)
}

pub(super) fn branches() -> Result<(), CliError> {
    for (revision, children) in graph()?.branches() {
        let children: Vec<String> = children.iter().map(ToString::to_string).collect();
        print(format_args!("{} {} -> {}", revision.id, revision.slug, children.join(", ")));
    }
    Ok(())
}

fn list(revisions: &[&Revision], json: bool) -> Result<(), CliError> {
    if json {
        return print_json(&BTreeMap::from([("revisions", revisions)]));
    }
    for revision in revisions {
        print(line(revision));
    }
    Ok(())
}

fn line(revision: &Revision) -> String {
    let mut line = format!("{} {}", revision.id, revision.slug);
    for (what, ids) in
        [("revises", &revision.revises), ("depends on", &revision.depends_on), ("labels", &revision.labels)]
    {
        if !ids.is_empty() {
            line += &format!(", {what} {}", ids.join(" "));
        }
    }
    if revision.breaking {
        line += ", breaking";
    }
    if !revision.in_transaction {
        line += ", outside a transaction";
    }
    if let Some(step) = &revision.data_step {
        line += &format!(", data step {step}");
    }
    line
}

pub(super) fn one(name: &str) -> Result<(), CliError> {
    let graph = graph()?;
    let revision = graph.find(name)?;
    print(line(revision));
    print(&revision.message);
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let suffix = dialect.suffix();
        print(format_args!("\n-- up.{suffix}.sql, sha256 {}", revision.sha256(dialect)));
        print(revision.up(dialect).trim_end());
        match revision.down(dialect) {
            Ok(down) => print(format_args!("\n-- down.{suffix}.sql\n{}", down.trim_end())),
            Err(_) => print(format_args!("\n-- no down.{suffix}.sql: it cannot be undone on this database")),
        }
    }
    Ok(())
}

pub(super) fn current(status: &MigrationStatus, Json { json }: Json) -> Result<(), CliError> {
    let known = status.revisions.iter().map(|(revision, row)| {
        let state = match row {
            None => "pending",
            Some(row) if status.edited.contains(&row.id) => match row.progress.as_str() {
                "applied" => "edited",
                interrupted => interrupted,
            },
            Some(row) => row.progress.as_str(),
        };
        (revision.id.as_str(), revision.slug.as_str(), state, row.as_ref())
    });
    let unknown = status.unknown.iter().map(|row| (row.id.as_str(), row.slug.as_str(), "unknown", Some(row)));
    let revisions: Vec<ShownState<'_>> = known
        .chain(unknown)
        .map(|(id, slug, state, row)| ShownState {
            id,
            slug,
            state,
            applied_at: row.and_then(|row| time(row.applied_at)),
            duration_ms: row.and_then(|row| row.duration_ms),
            application: row.and_then(|row| row.application.as_deref()),
        })
        .collect();
    if json {
        return print_json(&BTreeMap::from([("revisions", revisions)]));
    }
    for ShownState { id, slug, state, applied_at, .. } in revisions {
        let at = applied_at.map(|at| format!(" {at}")).unwrap_or_default();
        print(format_args!("{id} {slug} {state}{at}"));
    }
    Ok(())
}

pub(super) async fn log(migrations: &Migrations<'_>, Json { json }: Json) -> Result<(), CliError> {
    let entries: Vec<ShownEntry> = migrations.log().await?.into_iter().map(ShownEntry::from).collect();
    if json {
        return print_json(&entries);
    }
    if entries.is_empty() {
        eprint_message("the database has no log: it was never migrated");
        return Ok(());
    }
    let graph = migrations.graph();
    let mut rows = Vec::with_capacity(entries.len());
    for ShownEntry { at, action, revision, duration_ms, application, detail, .. } in entries {
        let slug = graph.get(&revision).map(|known| format!(" {}", known.slug)).unwrap_or_default();
        rows.push([
            at.unwrap_or_default(),
            action,
            revision + &slug,
            duration_ms.map(|duration| format!("{duration} ms")).unwrap_or_default(),
            application,
            detail.unwrap_or_default(),
        ]);
    }
    print_table(["at", "action", "revision", "duration", "version", "detail"], &rows);
    Ok(())
}

fn time(microseconds: i64) -> Option<String> {
    Timestamp::from_microseconds(microseconds).ok().map(|at| at.to_string())
}

impl Plan {
    pub(super) async fn show(&self, migrations: &Migrations<'_>) -> Result<(), CliError> {
        let plan = migrations.plan(Target::from(self.to.as_str())).await?;
        if plan.is_empty() && !self.json {
            eprint_message("nothing to apply: the tables are up to date");
        }
        list(&plan.iter().collect::<Vec<_>>(), self.json)
    }
}
