//! `import`: conversations from other applications.

mod jsonl;
mod listener;
mod passwords;
mod sqlalchemy;
mod tinydb;

use std::panic::resume_unwind;
use std::process::ExitCode;
use std::time::SystemTime;

use chatstore::{Store, Timestamp, UserId};
use clap::Subcommand;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;

use super::{eprint_message, find_user};
use crate::config::Config;
use crate::error::{CliError, code};

/// Maximum number of issues that are printed; `--json` has all of them.
const SHOWN: usize = 20;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Import conversations from JSON lines: {"id": …, "turns": [{"role": …, "content": …}, …]}
    ///
    /// A second import of the same file adds nothing. An existing conversation with
    /// different content is reported and not changed.
    Jsonl(jsonl::Arguments),
    /// Import conversations from a SQLAlchemy database of an application or framework
    ///
    /// chat_app, PAKTON, chatcore, Coach Bot, Chatter, LangChain, OpenAI Agents SDK, Chainlit and Google ADK are
    /// recognized; --map describes any other. The database is only read. Every row is added, exists already, or is reported. A second import adds
    /// new rows; an interrupted one can be repeated.
    Sqlalchemy(sqlalchemy::Arguments),
    /// Import users, conversations, messages and documents from the JSON file of a TinyDB
    ///
    /// The file is only read. Every row is added, exists already, or is reported. Users without a password
    /// get a random one, which is printed. A second import adds new rows; an interrupted one can be repeated.
    Tinydb(tinydb::Arguments),
}

/// Imports on a thread of its own, which may wait for its input while this one waits for signals.
pub(crate) async fn run(config: Config, command: Command) -> Result<ExitCode, CliError> {
    let runtime = Handle::current();
    let import = spawn_blocking(move || {
        runtime.block_on(async {
            match command {
                Command::Jsonl(arguments) => jsonl::run(&config, arguments).await,
                Command::Sqlalchemy(arguments) => sqlalchemy::run(&config, arguments).await,
                Command::Tinydb(arguments) => tinydb::run(&config, arguments).await,
            }
        })
    });
    tokio::select! {
        ended = import => ended.unwrap_or_else(|error| resume_unwind(error.into_panic())),
        signal = interruption() => Err(interrupted(signal?)),
    }
}

/// The user who owns what names no owner.
async fn owner(store: &Store, named: Option<&str>) -> Result<UserId, CliError> {
    match named {
        Some("anonymous") => Ok(UserId::ANONYMOUS),
        Some(named) => Ok(find_user(store, named).await?.id),
        None => Ok(UserId::ANONYMOUS),
    }
}

/// Waits until the process is asked to end; how.
async fn interruption() -> Result<&'static str, CliError> {
    let failed = |error| CliError::new(code::FAILED, format!("signals cannot be received: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}

fn interrupted(signal: &str) -> CliError {
    CliError::new(code::TRY_AGAIN, format!("the import was interrupted by {signal}"))
        .hint("import again: what is stored will not be added twice, and the rest will be added")
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
