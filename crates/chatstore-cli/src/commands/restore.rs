//! `restore`: a backup becomes the database in the settings.

use std::path::PathBuf;

use chatstore::operations::restore_backup;
use clap::Args;

use super::backup::{file_in_settings, print_backup};
use crate::config::Config;
use crate::error::CliError;
use crate::interrupt::until_interrupted;
use crate::progress::observe_backup;
use crate::token_key;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The backup
    file: PathBuf,
    /// Also restore the token key, from FILE.token-key
    #[arg(long)]
    with_token_key: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: &Config, arguments: Arguments) -> Result<(), CliError> {
    let Arguments { file, with_token_key, json } = arguments;
    let database = file_in_settings(config)?;
    let key =
        if with_token_key { Some(token_key::copy_from_backup(config, &file, &database)?) } else { None };
    let restoring = restore_backup(&file, &database, observe_backup("restoring"));
    let done = until_interrupted(restoring).await;
    let backup = done.inspect_err(|_| key.iter().for_each(token_key::Copied::remove))?;
    print_backup("restored", &backup, Some(&database), json)
}
