//! `logs`: the events that are kept in the database.

mod tail;

use std::time::Duration;

use chatstore::Timestamp;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::key::duration;
use super::{eprint_message, print_json};
use crate::config::Config;
use crate::database;
use crate::error::{CliError, code};
use crate::interrupt::until_interrupted;
use crate::progress::{Progress, Unit};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the newest events, the oldest of them first
    Tail(tail::Arguments),
    /// Delete old events, beside a running server or without one
    Prune(Prune),
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Delete the events that are older, for example 90d, 12h or 30m [default: CHATSTORE_LOG_RETENTION_DAYS]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    older_than: Option<Duration>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Pruned {
    before: Timestamp,
    deleted: u64,
}

pub(crate) async fn run(config: &Config, command: Command) -> Result<(), CliError> {
    match command {
        Command::Tail(arguments) => tail::run(config, arguments).await,
        Command::Prune(arguments) => prune(config, arguments).await,
    }
}

async fn prune(config: &Config, arguments: Prune) -> Result<(), CliError> {
    let Some(age) = arguments.older_than.or(config.log_retention) else {
        let message = "events are kept for ever: CHATSTORE_LOG_RETENTION_DAYS is 0";
        return Err(CliError::new(code::CONFIGURATION, message).hint("say how old with --older-than"));
    };
    let store = database::open_existing(config).await?;
    let before = store.now().minus(age);
    let old = store.operations().count_events(before).await?;
    let mut progress = Progress::new("deleting old events", Unit::Rows, u64::try_from(old).unwrap_or(0));
    let deletion = store.operations().prune_events(before, |deleted| progress.set(deleted));
    let deleted = until_interrupted(deletion).await;
    drop(progress);
    store.close().await;
    let deleted = deleted?;
    if arguments.json {
        return print_json(&Pruned { before, deleted });
    }
    eprint_message(format_args!("deleted: {deleted} events before {before}"));
    Ok(())
}
