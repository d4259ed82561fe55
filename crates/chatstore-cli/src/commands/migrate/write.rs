//! `migrate revision` and `migrate merge`: folders of new revisions.

use std::path::{Path, PathBuf};

use chatstore::operations::MigrationError;
use chatstore_migrate::model::Schema;
use chatstore_migrate::{
    DiffError, Difference, Graph, NewRevision, Renames, SNAPSHOT, read_folders, slug_of,
};
use chatstore_sql::schema::declared;
use clap::Args;

use super::cannot_write;
use crate::commands::{eprint_message, print};
use crate::error::{CliError, code};

/// The directory of this project's own revisions.
const DEFAULT_DIRECTORY: &str = "crates/chatstore-sql/migrations";

#[derive(Debug, Args)]
pub(crate) struct Revision {
    /// What it does
    #[arg(short, long, value_name = "TEXT")]
    message: String,
    /// A revision it comes after; default: the only head
    #[arg(long, value_name = "REV")]
    revises: Vec<String>,
    /// A revision of another branch that must be applied before it
    #[arg(long, value_name = "REV")]
    depends_on: Vec<String>,
    /// Write the SQL from the newest revision's schema to the declared one, up and down
    #[arg(long)]
    autogenerate: bool,
    /// Treat this as a rename of a table, OLD:NEW, or of a column, TABLE.OLD:NEW
    #[arg(long, value_name = "OLD:NEW", requires = "autogenerate")]
    rename: Vec<String>,
    /// Treat everything else that looks like a rename as a drop and an add
    #[arg(long, requires = "autogenerate")]
    no_rename: bool,
    /// The directory of the revisions' folders [default: crates/chatstore-sql/migrations]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// What it joins
    #[arg(short, long, value_name = "TEXT")]
    message: String,
    /// The heads to join
    #[arg(value_name = "REV", required = true, num_args = 2..)]
    heads: Vec<String>,
    /// The directory of the revisions' folders [default: crates/chatstore-sql/migrations]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Revision {
    pub(super) fn run(self) -> Result<(), CliError> {
        let directory = directory(self.dir.clone())?;
        let graph = Graph::new(read_folders(&directory)?)?;
        let revises = match graph.heads()[..] {
            _ if !self.revises.is_empty() => ids(&graph, &self.revises)?,
            [] => Vec::new(),
            [head] => vec![head.id.clone()],
            ref several => {
                let heads = several.iter().map(|head| head.id.clone()).collect();
                let failure = CliError::from(MigrationError::SeveralHeads(heads));
                return Err(failure.hint("or name the revisions it comes after with --revises REV"));
            }
        };
        let depends_on = ids(&graph, &self.depends_on)?;
        let id = chatstore_sql::new_revision_id();
        let message = &self.message;
        let difference = if self.autogenerate {
            let difference = self.difference(&directory, &graph, &revises)?;
            if difference.is_empty() {
                eprint_message("nothing to generate: the newest revision has the declared schema");
                return Ok(());
            }
            Some(difference)
        } else {
            None
        };
        let new = NewRevision { id, message, revises, depends_on, is_merge: false };
        write(&directory, &new, difference.as_ref())?;
        if let Some(difference) = &difference {
            difference.up.descriptions().iter().for_each(eprint_message);
        }
        eprint_message(match difference {
            Some(_) => "review its SQL; it becomes part of the program with the next build",
            None => "fill in its files; it becomes part of the program with the next build",
        });
        Ok(())
    }

    fn difference(
        &self,
        directory: &Path,
        graph: &Graph,
        revises: &[String],
    ) -> Result<Difference, CliError> {
        let before = match revises {
            [] => Schema::default(),
            [parent] => snapshot(directory, graph.find(parent)?)?,
            several => {
                return Err(CliError::from(MigrationError::SeveralHeads(several.to_vec()))
                    .hint("join them first: SQL is generated from a single schema"));
            }
        };
        let cannot = |error: DiffError| CliError::new(code::USAGE, error.to_string());
        let mut renames = Renames::parse(self.rename.iter().map(String::as_str)).map_err(cannot)?;
        if self.no_rename {
            renames = renames.and_no_others();
        }
        Difference::between(&before, &declared(), &renames).map_err(cannot)
    }
}

impl Merge {
    pub(super) fn run(self) -> Result<(), CliError> {
        let directory = directory(self.dir)?;
        let graph = Graph::new(read_folders(&directory)?)?;
        let revises = ids(&graph, &self.heads)?;
        let heads: Vec<&str> = graph.heads().iter().map(|head| head.id.as_str()).collect();
        if let Some(other) = revises.iter().find(|id| !heads.contains(&id.as_str())) {
            let message = format!("the revision {other} is not a head: another revision comes after it");
            return Err(CliError::new(code::USAGE, message)
                .hint(format!("join heads; the heads are: {}", heads.join(", "))));
        }
        if (1..revises.len()).any(|position| revises[..position].contains(&revises[position])) {
            return Err(CliError::new(
                code::USAGE,
                format!("one head is named twice: {}", revises.join(", ")),
            ));
        }
        let id = chatstore_sql::new_revision_id();
        let message = &self.message;
        let new = NewRevision { id, message, revises, depends_on: Vec::new(), is_merge: true };
        write(&directory, &new, None)
    }
}

pub(super) fn directory(given: Option<PathBuf>) -> Result<PathBuf, CliError> {
    let directory = given.unwrap_or_else(|| PathBuf::from(DEFAULT_DIRECTORY));
    if directory.is_dir() {
        return Ok(directory);
    }
    Err(CliError::new(code::NO_INPUT, format!("there is no directory {}", directory.display()))
        .hint("name the directory of the revisions' folders with --dir DIR"))
}

fn ids(graph: &Graph, names: &[String]) -> Result<Vec<String>, CliError> {
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        ids.push(graph.find(name)?.id.clone());
    }
    Ok(ids)
}

/// The schema after a revision.
fn snapshot(directory: &Path, revision: &chatstore::operations::Revision) -> Result<Schema, CliError> {
    let folder = directory.join(format!("{}_{}", revision.id, revision.slug));
    let read = Schema::read_snapshot(&folder).map_err(|error| {
        CliError::new(code::BAD_DATA, format!("cannot read {}: {error}", folder.join(SNAPSHOT).display()))
    })?;
    read.ok_or_else(|| {
        let message = format!("the revision {revision} has no {SNAPSHOT} to compare with");
        CliError::new(code::BAD_DATA, message).hint("write the revision without --autogenerate")
    })
}

fn write(directory: &Path, new: &NewRevision<'_>, difference: Option<&Difference>) -> Result<(), CliError> {
    if slug_of(new.message).is_empty() {
        let message = "the message has no letter or digit to name the revision by";
        return Err(CliError::new(code::USAGE, message));
    }
    let failed = |error: std::io::Error| {
        cannot_write(&format!("the revision {} below {}", new.id, directory.display()), &error)
    };
    let folder = new.write(directory).map_err(failed)?;
    if let Some(difference) = difference {
        difference.write(&folder).map_err(failed)?;
    }
    declared().write_snapshot(&folder).map_err(failed)?;
    print(folder.display());
    Ok(())
}
