//! `import`: conversations from elsewhere.

mod jsonl;
mod sqlalchemy;

use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use chatstore::Timestamp;
use clap::Subcommand;

use crate::config::Config;
use crate::failure::{Failure, code};

/// Reports that are shown one by one; `--json` has them all.
const SHOWN: usize = 20;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// JSON lines: {"id": …, "turns": [{"role": …, "content": …}, …]}
    ///
    /// A second import of the same file adds nothing. A conversation that is there already with
    /// other content is reported and left as it is.
    Jsonl(jsonl::Arguments),
    /// A database of chat_app or PAKTON, in SQLite or PostgreSQL, as SQLAlchemy made it
    ///
    /// It is only read. Every row is added, was there already, or is reported. A second import adds
    /// what is new; one that was interrupted is run again.
    Sqlalchemy(sqlalchemy::Arguments),
}

pub(crate) async fn run(config: &Config, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Jsonl(arguments) => jsonl::run(config, arguments).await,
        Command::Sqlalchemy(arguments) => sqlalchemy::run(config, arguments).await,
    }
}

/// What became of a file that could not be read.
fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => code::NO_INPUT,
        std::io::ErrorKind::PermissionDenied => code::NO_PERMISSION,
        _ => code::DAMAGED,
    };
    Failure::new(code, format!("cannot read {}: {error}", path.display()))
}

/// When a file was last changed.
fn changed_at(metadata: &std::fs::Metadata) -> std::io::Result<Timestamp> {
    let since_1970 = metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let microseconds = i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX);
    Ok(Timestamp::from_microseconds(microseconds).unwrap_or(Timestamp::MAX))
}
