//! `import sqlalchemy`: the databases of chat_app and PAKTON.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chatstore::Timestamp;
use chatstore_import::sqlalchemy::{ExternalError, Mapping, Schema, SqlalchemyError, SqlalchemySource};
use chatstore_import::{ImportEvent, ImportOptions, ImportReport, Issue, import};
use clap::ValueEnum;
use serde_json::json;

use super::{SHOWN, changed_at, eprint_rest};
use crate::commands::{eprint_message, print};
use crate::config::Config;
use crate::database;
use crate::error::{CliError, cannot_read, code};
use crate::progress::{Progress, Unit};

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
    /// A TOML file with the names of renamed tables and columns
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// The time of a first row without one; later rows follow the row before
    /// [default: when a SQLite file was last changed, else 1970]
    #[arg(long, value_name = "TIME")]
    base_time: Option<Timestamp>,
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
}

pub(crate) async fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, CliError> {
    let mapping = match &arguments.map {
        Some(path) => mapping(path)?,
        None => Mapping::default(),
    };
    let schema = match arguments.schema {
        Choice::Auto => None,
        Choice::ChatApp => Some(Schema::ChatApp),
        Choice::Pakton => Some(Schema::Pakton),
    };
    let source = SqlalchemySource::open(&arguments.url, schema, &mapping).await.map_err(failure)?;
    let base_time = match (arguments.base_time, source.file()) {
        (Some(time), _) => time,
        (None, Some(file)) => {
            let changed = fs::metadata(file).and_then(|metadata| changed_at(&metadata));
            changed.map_err(|error| cannot_read(file.display(), &error))?
        }
        (None, None) => Timestamp::from_microseconds(0).unwrap_or(Timestamp::MIN),
    };
    let store = database::open_ready(config).await?;
    let options = ImportOptions { base_time, dry_run: arguments.dry_run };
    let mut listener = Listener::new(arguments.json, source.schema(), arguments.dry_run);
    let imported = import(source, &store, options, |event| listener.hear(event)).await;
    store.close().await;
    let report = match imported {
        Ok(report) => report,
        Err(error) => {
            let failure = failure(error);
            listener.fail(&failure);
            return Err(failure.hint("everything written so far is complete; import again to add the rest"));
        }
    };
    let is_settled = report.left_out() == 0 && report.need_review == 0;
    listener.finish(&report);
    Ok(if is_settled { ExitCode::SUCCESS } else { ExitCode::from(code::SKIPPED) })
}

fn mapping(path: &Path) -> Result<Mapping, CliError> {
    let text = fs::read_to_string(path).map_err(|error| cannot_read(path.display(), &error))?;
    Mapping::parse(&text)
        .map_err(|error| CliError::new(code::BAD_DATA, format!("{}: {error}", path.display())))
}

fn failure(error: SqlalchemyError) -> CliError {
    let message = error.to_string();
    match error {
        SqlalchemyError::Store(error) => CliError::from(error),
        SqlalchemyError::Mapping(_) => CliError::new(code::BAD_DATA, message),
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

/// Prints what an import does. As JSON each issue is printed as it occurs, so that a million of them
/// take no memory.
struct Listener {
    json: bool,
    dry_run: bool,
    schema: Schema,
    progress: Option<Progress>,
    shown: Vec<Issue>,
    reported: usize,
}

impl Listener {
    fn new(json: bool, schema: Schema, dry_run: bool) -> Self {
        if json {
            let schema = json!(schema.as_str());
            print(format_args!("{{\"schema\":{schema},\"dry_run\":{dry_run},\"reported\":["));
        }
        Self { json, dry_run, schema, progress: None, shown: Vec::new(), reported: 0 }
    }

    fn hear(&mut self, event: ImportEvent) {
        match event {
            ImportEvent::Issue(issue) => self.report(issue),
            ImportEvent::Progress { done, total } => {
                self.progress.get_or_insert_with(|| Progress::new("importing", Unit::Rows, total)).set(done);
            }
            _ => {}
        }
    }

    fn report(&mut self, issue: Issue) {
        if self.json {
            let comma = if self.reported == 0 { "" } else { "," };
            print(format_args!("{comma}{}", json!(issue)));
        } else if self.shown.len() < SHOWN {
            self.shown.push(issue);
        }
        self.reported += 1;
    }

    fn end_progress(&self) {
        if let Some(progress) = &self.progress {
            progress.finish();
        }
    }

    fn fail(&self, failure: &CliError) {
        self.end_progress();
        if self.json {
            print(format_args!("],\"error\":{}}}", json!(failure.message())));
        }
    }

    fn finish(self, report: &ImportReport) {
        self.end_progress();
        if self.json {
            let (tables, need_review) = (json!(report.tables), report.need_review);
            print(format_args!("],\"tables\":{tables},\"need_review\":{need_review}}}"));
            return;
        }
        let added = if self.dry_run { "would be added" } else { "added" };
        for table in ["users", "conversations", "messages", "responses"] {
            let Some(rows) = report.tables.get(table) else { continue };
            print(format_args!(
                "{table}: {} rows, {} {added}, {} were there already, {} left out",
                rows.read, rows.added, rows.unchanged, rows.left_out
            ));
        }
        if report.added() == 0 {
            eprint_message(format_args!(
                "nothing was added: every row of this {} database was there already or is left out",
                self.schema.as_str()
            ));
        }
        for issue in &self.shown {
            let key = issue.key.as_deref().map(|key| format!(" {key:?}")).unwrap_or_default();
            let column = issue.column.as_deref().map(|column| format!(", {column}")).unwrap_or_default();
            let Issue { table, problem, done, .. } = issue;
            eprint_message(format_args!("{table}{key}{column}: {problem}; {done}"));
        }
        eprint_rest(self.reported);
        if report.need_review > 0 {
            let count = report.need_review;
            eprint_message(format_args!(
                "accounts that a person should look at: {count}; --json marks them with \"needs_review\""
            ));
        }
    }
}
