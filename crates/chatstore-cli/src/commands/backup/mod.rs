//! `backup`: a copy of a SQLite database in use, and its verification.

mod shown;
mod verify;

use std::path::{Path, PathBuf};

use chatstore::operations::BackupError;
use chatstore_sql::DatabasePlace;
use clap::{Args, Subcommand};

use crate::config::{Alone, Config};
use crate::database;
use crate::error::CliError;
use crate::interrupt::until_interrupted;
use crate::progress::observe_backup;
use crate::token_key;

pub(super) use shown::print_backup;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The backup to create, with its checksum in FILE.sha256
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// Also copy the token key, to FILE.token-key
    #[arg(long)]
    with_token_key: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verify a backup
    Verify(Alone<verify::Arguments>),
}

pub(crate) async fn run(
    start: impl FnOnce() -> Result<Config, CliError>,
    arguments: Arguments,
) -> Result<(), CliError> {
    match (arguments.command, arguments.file) {
        (Some(Command::Verify(alone)), _) => verify::run(alone.arguments).await,
        (None, Some(file)) => back_up(&start()?, &file, arguments.with_token_key, arguments.json).await,
        (None, None) => Ok(()),
    }
}

async fn back_up(config: &Config, file: &Path, with_token_key: bool, json: bool) -> Result<(), CliError> {
    file_in_settings(config)?;
    database::refuse_absent_file(config)?;
    let store = database::open(config).await?;
    let key = if with_token_key { Some(token_key::copy_to_backup(config, &store, file)?) } else { None };
    let backing_up = store.operations().backup(file, observe_backup("backing up"));
    let done = until_interrupted(backing_up).await;
    store.close().await;
    let backup = done.inspect_err(|_| key.iter().for_each(token_key::Copied::remove))?;
    print_backup("backed up", &backup, None, json)
}

/// The SQLite file in the settings.
pub(super) fn file_in_settings(config: &Config) -> Result<PathBuf, CliError> {
    Err(match DatabasePlace::of(config.database_url())? {
        DatabasePlace::File(file) => return Ok(file),
        DatabasePlace::Memory => BackupError::InMemory.into(),
        DatabasePlace::Server(place) => BackupError::Server { place }.into(),
    })
}
