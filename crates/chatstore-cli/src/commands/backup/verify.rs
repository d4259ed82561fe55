//! `backup verify`: whether a backup can be restored.

use std::path::PathBuf;

use chatstore::operations::verify_backup;

use super::print_backup;
use crate::error::CliError;
use crate::interrupt::until_interrupted;
use crate::progress::observe_backup;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The backup
    file: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), CliError> {
    let verifying = verify_backup(&arguments.file, observe_backup("verifying"));
    let backup = until_interrupted(verifying).await?;
    print_backup("verified", &backup, None, arguments.json)
}
