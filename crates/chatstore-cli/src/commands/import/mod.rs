//! `import`: conversations from other applications.

mod jsonl;
mod sqlalchemy;

use std::process::ExitCode;
use std::time::SystemTime;

use chatstore::Timestamp;
use clap::Subcommand;

use super::eprint_message;
use crate::config::Config;
use crate::error::CliError;

/// Maximum number of issues that are printed; `--json` has all of them.
const SHOWN: usize = 20;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Import conversations from JSON lines: {"id": …, "turns": [{"role": …, "content": …}, …]}
    ///
    /// A second import of the same file adds nothing. An existing conversation with
    /// different content is reported and not changed.
    Jsonl(jsonl::Arguments),
    /// Import conversations from a SQLAlchemy database of chat_app or PAKTON, in SQLite or PostgreSQL
    ///
    /// The database is only read. Every row is added, exists already, or is reported. A second import adds
    /// new rows; an interrupted one can be repeated.
    Sqlalchemy(sqlalchemy::Arguments),
}

pub(crate) async fn run(config: &Config, command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Jsonl(arguments) => jsonl::run(config, arguments).await,
        Command::Sqlalchemy(arguments) => sqlalchemy::run(config, arguments).await,
    }
}

/// Says how many issues were not printed.
fn eprint_rest(issues: usize) {
    if issues > SHOWN {
        eprint_message(format_args!("… and {} more; --json lists them all", issues - SHOWN));
    }
}

/// When a file was last changed.
fn changed_at(metadata: &std::fs::Metadata) -> std::io::Result<Timestamp> {
    let since_1970 = metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let microseconds = i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX);
    Ok(Timestamp::from_microseconds(microseconds).unwrap_or(Timestamp::MAX))
}
