//! `import tinydb`: the file of a TinyDB.

use std::path::PathBuf;
use std::process::ExitCode;

use chatstore::Timestamp;
use chatstore_import::tinydb::{TinyDb, TinyDbError};
use chatstore_import::{ImportOptions, import_keeping_passwords};

use super::listener::{Listener, exit_code};
use super::passwords::{self, Passwords};
use super::{changed_at, owner};
use crate::config::Config;
use crate::database;
use crate::error::{CliError, cannot_read, code};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file that TinyDB writes
    file: PathBuf,
    /// The owner of what names no owner: an id, a user name or an e-mail address [default: anonymous]
    #[arg(long, visible_alias = "owner")]
    user: Option<String>,
    /// Read and compare every row, but write nothing
    #[arg(long)]
    dry_run: bool,
    /// Import again what was deleted in the store since an earlier import, instead of leaving it out
    #[arg(long)]
    restore_deleted: bool,
    /// The time of a first row without one; later rows follow the row before [default: when the file was last changed]
    #[arg(long, value_name = "TIME")]
    base_time: Option<Timestamp>,
    /// The file for generated passwords, which is created when there are any, for its owner alone
    #[arg(long, value_name = "FILE", default_value = passwords::DEFAULT)]
    passwords: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, CliError> {
    let path = arguments.file;
    let metadata = std::fs::metadata(&path).map_err(|error| cannot_read(path.display(), &error))?;
    if !metadata.is_file() {
        return Err(CliError::new(code::NO_INPUT, format!("{} is not a file", path.display())));
    }
    let changed_at = changed_at(&metadata).map_err(|error| cannot_read(path.display(), &error))?;
    let store = database::open_ready(config).await?;
    let owner = owner(&store, arguments.user.as_deref()).await?;
    let base_time = arguments.base_time.unwrap_or(changed_at);
    let (dry_run, restore_deleted) = (arguments.dry_run, arguments.restore_deleted);
    let options = ImportOptions { base_time, dry_run, restore_deleted };
    let mut listener = Listener::new(arguments.json, "file", arguments.dry_run);
    listener.begin(&[]);
    let shown = path.display().to_string();
    let passwords = Passwords::in_file(arguments.passwords);
    let source = TinyDb { path, owner };
    let imported = import_keeping_passwords(
        source,
        &store,
        options,
        |generated| passwords.keep(generated),
        |event| listener.hear(event),
    )
    .await;
    store.close().await;
    match imported {
        Ok(report) => {
            listener.finish(&report);
            passwords.finish();
            Ok(exit_code(&report))
        }
        Err(error) => {
            let failure = passwords.failure().unwrap_or_else(|| failure(&shown, error));
            listener.fail(&failure);
            Err(failure)
        }
    }
}

fn failure(path: &str, error: TinyDbError) -> CliError {
    const AGAIN: &str = "everything written so far is complete; import again to add the rest";
    let message = format!("{path}: {error}");
    match error {
        TinyDbError::Store(error) => CliError::from(error).context(&message).hint(AGAIN),
        TinyDbError::Format(_) => CliError::new(code::BAD_DATA, message).hint("nothing was imported"),
        TinyDbError::Read(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            CliError::new(code::BAD_DATA, message).hint("nothing was imported")
        }
        TinyDbError::Read(error) => cannot_read(path, &error),
        TinyDbError::TemporaryFile(_) => CliError::new(code::DAMAGED, message)
            .hint("TMPDIR names a folder with as much space as the file; import again to add the rest"),
    }
}
