//! `migrate lint`: what in revisions endangers rows, or blocks clients.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chatstore::operations::Revision;
use chatstore_migrate::model::Schema;
use chatstore_migrate::{Graph, LintFinding, Parent, SNAPSHOT, lint, read_folders};
use clap::Args;
use serde::Serialize;

use super::{counted, graph, write};
use crate::commands::{eprint_message, print, print_json};
use crate::error::{CliError, code};

#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// The revisions, by id, beginning of the id, or label; default: all
    #[arg(value_name = "REV")]
    revisions: Vec<String>,
    /// Read the revisions from this directory instead of those in the program
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct ShownFinding<'s> {
    revision: &'s str,
    slug: &'s str,
    #[serde(flatten)]
    finding: LintFinding,
}

impl Lint {
    pub(super) fn run(self) -> Result<ExitCode, CliError> {
        let directory = self.dir.map(|directory| write::directory(Some(directory))).transpose()?;
        let graph = match &directory {
            Some(directory) => Graph::new(read_folders(directory)?)?,
            None => graph()?,
        };
        let revisions: Vec<&Revision> = if self.revisions.is_empty() {
            graph.revisions().iter().collect()
        } else {
            self.revisions.iter().map(|name| graph.find(name)).collect::<Result<_, _>>()?
        };
        let mut findings = Vec::new();
        for revision in &revisions {
            for finding in hazards(&graph, revision, directory.as_deref())? {
                findings.push(ShownFinding { revision: &revision.id, slug: &revision.slug, finding });
            }
        }
        let (count, is_clean) = (findings.len(), findings.is_empty());
        if self.json {
            print_json(&BTreeMap::from([("findings", findings)]))?;
        } else {
            findings.iter().for_each(show);
            let revisions = counted(revisions.len(), "revision");
            eprint_message(format_args!("{} in {revisions}", counted(count, "hazard")));
        }
        Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::from(code::FAILED) })
    }
}

fn hazards(
    graph: &Graph,
    revision: &Revision,
    directory: Option<&Path>,
) -> Result<Vec<LintFinding>, CliError> {
    let mut parents = Vec::new();
    for revision in revision.revises.iter().filter_map(|id| graph.get(id)) {
        parents.push(Parent { revision, schema: snapshot(revision, directory)? });
    }
    Ok(lint(revision, &parents, snapshot(revision, directory)?.as_ref()))
}

fn snapshot(revision: &Revision, directory: Option<&Path>) -> Result<Option<Schema>, CliError> {
    let read = match directory {
        Some(directory) => {
            Schema::read_snapshot(&directory.join(format!("{}_{}", revision.id, revision.slug)))
        }
        None => chatstore_sql::snapshot(&revision.id).map(Schema::from_json).transpose().map_err(Into::into),
    };
    read.map_err(|error| {
        let message = format!("cannot read the {SNAPSHOT} of the revision {revision}: {error}");
        CliError::new(code::BAD_DATA, message)
    })
}

fn show(shown: &ShownFinding<'_>) {
    let ShownFinding { revision, slug, finding } = shown;
    let LintFinding { hazard, table, column, what, instead } = finding;
    let place = match column {
        Some(columns) if columns.contains(", ") => format!("{table} ({columns})"),
        Some(column) => format!("{table}.{column}"),
        None => table.clone(),
    };
    print(format_args!("{revision} {slug}: {hazard}: {place}: {what}\n  instead: {instead}"));
}
