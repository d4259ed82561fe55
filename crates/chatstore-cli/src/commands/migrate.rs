//! `migrate`: the tables.

use std::process::ExitCode;

use chatstore::{Direction, Revision, Status};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::{print, print_json, say};
use crate::config::Config;
use crate::database;
use crate::failure::{Failure, code};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Apply every pending revision, all or none
    Upgrade,
    /// Undo the newest revision, or all of them
    #[command(allow_negative_numbers = true)]
    Downgrade {
        /// How far
        #[arg(value_enum, default_value = "-1", allow_hyphen_values = true)]
        to: Target,
        /// Undoing deletes what the tables hold: say that this is wanted
        #[arg(long)]
        allow_data_loss: bool,
    },
    /// Show which revisions are applied and which are pending
    Current {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Target {
    /// The newest revision only
    #[value(name = "-1")]
    One,
    /// Everything
    Base,
}

#[derive(Serialize)]
struct Shown<'s> {
    revisions: Vec<ShownRevision<'s>>,
}

#[derive(Serialize)]
struct ShownRevision<'s> {
    id: &'s str,
    slug: &'s str,
    applied_at: Option<String>,
}

pub(crate) async fn run(config: &Config, command: Command) -> Result<ExitCode, Failure> {
    let store = database::open(config).await?;
    match command {
        Command::Upgrade => {
            let status = store.migrate().await?;
            tell("applied", &status.changed);
            if status.changed.is_empty() {
                say("nothing to apply: the tables are up to date");
            }
        }
        Command::Downgrade { allow_data_loss: false, .. } => {
            return Err(Failure::new(code::FAILED, "undoing a revision deletes what its tables hold")
                .hint("add --allow-data-loss when that is wanted"));
        }
        Command::Downgrade { to, allow_data_loss: true } => {
            let direction = match to {
                Target::One => Direction::OneDown,
                Target::Base => Direction::Base,
            };
            let status = store.migrate_down(direction).await?;
            tell("undone", &status.changed);
            if status.changed.is_empty() {
                say("nothing to undo: no revision is applied");
            }
        }
        Command::Current { json } => show(&store.migration_status().await?, json)?,
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

fn tell(what: &str, revisions: &[Revision]) {
    for revision in revisions {
        say(format_args!("{what} {} {}", revision.id, revision.slug));
    }
}

fn show(status: &Status, json: bool) -> Result<(), Failure> {
    let applied = status.applied.iter().map(|(revision, at)| (revision, Some(at.to_string())));
    let pending = status.pending.iter().map(|revision| (revision, None));
    let revisions: Vec<ShownRevision<'_>> = applied
        .chain(pending)
        .map(|(revision, applied_at)| ShownRevision { id: &revision.id, slug: &revision.slug, applied_at })
        .collect();
    if json {
        return print_json(&Shown { revisions });
    }
    for revision in revisions {
        let when = revision.applied_at.map_or_else(|| "pending".to_owned(), |at| format!("applied {at}"));
        print(format_args!("{} {} {when}", revision.id, revision.slug));
    }
    Ok(())
}
