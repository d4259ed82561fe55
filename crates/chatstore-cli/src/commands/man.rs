//! `man`: manual pages.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::print;
use crate::error::{CliError, code};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The directory, which must exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let directory = &arguments.directory;
    if !directory.is_dir() {
        let message = format!("{} is no directory", directory.display());
        return Err(CliError::new(code::NO_INPUT, message).hint("create it first"));
    }
    let command = crate::Arguments::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, directory).map_err(|error| {
        let message = format!("cannot write manual pages to {}: {error}", directory.display());
        CliError::new(code::CANNOT_CREATE, message)
    })?;
    print(format_args!("{}", directory.display()));
    Ok(())
}
