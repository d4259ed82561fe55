//! `import sqlalchemy`: the databases of applications built with SQLAlchemy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chatstore::Timestamp;
use chatstore_import::sqlalchemy::{ExternalError, Mapping, Schema, SqlalchemyError, SqlalchemySource};
use chatstore_import::{ImportOptions, import_keeping_passwords};
use clap::ValueEnum;

use super::listener::{Listener, exit_code};
use super::passwords::{self, Passwords};
use super::{changed_at, owner};
use crate::config::Config;
use crate::database;
use crate::error::{CliError, cannot_read, code};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The database, as SQLAlchemy names it: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE
    #[arg(env = "CHATSTORE_IMPORT_URL", hide_env_values = true)]
    url: String,
    /// The application that the tables belong to
    #[arg(long, value_enum, default_value = "auto")]
    schema: Choice,
    /// Read and compare every row, but write nothing
    #[arg(long)]
    dry_run: bool,
    /// Import again what was deleted in the store since an earlier import, instead of leaving it out
    #[arg(long)]
    restore_deleted: bool,
    /// Which tables and columns are which: a TOML file, or langchain, openai-agents, chainlit or adk
    /// [default: recognized by the tables]
    #[arg(long, value_name = "FILE|NAME")]
    map: Option<PathBuf>,
    /// The owner of what names no owner: an id, a user name, an e-mail address, or anonymous
    #[arg(long, visible_alias = "user", value_name = "NAME")]
    owner: Option<String>,
    /// The time of a first row without one; later rows follow the row before
    /// [default: when a SQLite file was last changed, else 1970]
    #[arg(long, value_name = "TIME")]
    base_time: Option<Timestamp>,
    /// The file for generated passwords, which is created when there are any, for its owner alone
    #[arg(long, value_name = "FILE", default_value = passwords::DEFAULT)]
    passwords: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Choice {
    /// Recognized by the tables
    Auto,
    /// Users, conversations, messages and responses with integer keys and UUIDs
    ChatApp,
    /// Users by e-mail address, conversations by thread id
    Pakton,
    /// Users, conversations, messages with used_documents, and documents
    Chatcore,
    /// Users, chats and messages with UUIDs
    CoachBot,
    /// Users in shared conversations, with a creator and members
    Chatter,
}

pub(crate) async fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, CliError> {
    let mapping = match &arguments.map {
        Some(named) => mapping(named)?,
        None => Mapping::default(),
    };
    let schema = match arguments.schema {
        Choice::Auto => None,
        Choice::ChatApp => Some(Schema::ChatApp),
        Choice::Pakton => Some(Schema::Pakton),
        Choice::Chatcore => Some(Schema::Chatcore),
        Choice::CoachBot => Some(Schema::CoachBot),
        Choice::Chatter => Some(Schema::Chatter),
    };
    let map = arguments.map.as_deref();
    let source = SqlalchemySource::open(&arguments.url, schema, &mapping)
        .await
        .map_err(|error| failure(error, map))?;
    if source.names_no_owner() && arguments.owner.is_none() {
        let message = format!("nothing in {} says whose its conversations are", source.place());
        return Err(CliError::new(code::USAGE, message).hint(
            "say it with --owner: the id, user name or e-mail address of a user (chatstore user create), or anonymous",
        ));
    }
    let base_time = match (arguments.base_time, source.file()) {
        (Some(time), _) => time,
        (None, Some(file)) => {
            let changed = fs::metadata(file).and_then(|metadata| changed_at(&metadata));
            changed.map_err(|error| cannot_read(file.display(), &error))?
        }
        (None, None) => Timestamp::from_microseconds(0).unwrap_or(Timestamp::MIN),
    };
    let store = database::open_ready(config).await?;
    let source = match arguments.owner.as_deref() {
        Some(named) => source.owned_by(owner(&store, Some(named)).await?),
        None => source,
    };
    let (dry_run, restore_deleted) = (arguments.dry_run, arguments.restore_deleted);
    let options = ImportOptions { base_time, dry_run, restore_deleted };
    let schema = source.name();
    let mut listener = Listener::new(arguments.json, &format!("{schema} database"), arguments.dry_run);
    listener.begin(&[("schema", schema)]);
    let passwords = Passwords::in_file(arguments.passwords);
    let imported = import_keeping_passwords(
        source,
        &store,
        options,
        |generated| passwords.keep(generated),
        |event| listener.hear(event),
    )
    .await;
    store.close().await;
    let report = match imported {
        Ok(report) => report,
        Err(error) => {
            if let Some(failure) = passwords.failure() {
                listener.fail(&failure);
                return Err(failure);
            }
            let failure = failure(error, map);
            listener.fail(&failure);
            return Err(failure.hint("everything written so far is complete; import again to add the rest"));
        }
    };
    listener.finish(&report);
    passwords.finish();
    Ok(exit_code(&report))
}

/// A ready map, or what a file says; a file that is called like a ready map has its folder in its name.
fn mapping(path: &Path) -> Result<Mapping, CliError> {
    if let Some(ready) = path.to_str().and_then(Mapping::ready) {
        return Ok(ready);
    }
    let text = fs::read_to_string(path).map_err(|error| cannot_read(path.display(), &error))?;
    Mapping::parse(&text)
        .map_err(|error| CliError::new(code::BAD_DATA, format!("{}: {error}", path.display())))
}

fn failure(error: SqlalchemyError, map: Option<&Path>) -> CliError {
    let message = error.to_string();
    match error {
        SqlalchemyError::Store(error) => CliError::from(error),
        SqlalchemyError::TemporaryFile(_) => CliError::new(code::DAMAGED, message)
            .hint("TMPDIR names a folder with as much space as the database"),
        SqlalchemyError::Mapping(_) => {
            let place = map.map(|path| format!("{}: ", path.display())).unwrap_or_default();
            CliError::new(code::BAD_DATA, format!("{place}{message}"))
                .hint("nothing was imported; docs/coming-from.md says what a mapping can say")
        }
        SqlalchemyError::Unrecognized { .. } => CliError::new(code::BAD_DATA, message)
            .hint("if tables or columns were renamed, name them in a file for --map (docs/coming-from.md)"),
        SqlalchemyError::Foreign(error) => match error {
            ExternalError::InvalidUrl { .. } => CliError::new(code::CONFIGURATION, message),
            ExternalError::Absent { .. } => CliError::new(code::NO_INPUT, message)
                .hint("sqlite:///FILE is in this folder, sqlite:////FILE begins at the root"),
            ExternalError::Unreachable { cause, .. } => match cause.server_failure() {
                Some(failure) => CliError::of_server(failure, message),
                None => CliError::new(code::UNREACHABLE, message),
            },
            ExternalError::Denied { cause, .. } => match cause.server_failure() {
                Some(failure) => CliError::of_server(failure, message),
                None => CliError::new(code::NO_PERMISSION, message),
            },
            ExternalError::Unreadable { .. } => CliError::new(code::DAMAGED, message),
        },
    }
}
