//! `import jsonl`: conversations and documents from JSON lines.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chatstore::Timestamp;
use chatstore_import::jsonl::{Jsonl, JsonlError, OnError};
use chatstore_import::{ImportEvent, ImportOptions, ImportReport, Issue, import};
use clap::ValueEnum;
use serde::Serialize;

use super::{SHOWN, changed_at, eprint_rest, owner};
use crate::commands::{eprint_message, print, print_json};
use crate::config::Config;
use crate::database;
use crate::error::{CliError, cannot_read, code};
use crate::progress::{Progress, Unit};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file, or - for standard input
    file: PathBuf,
    /// The owner of the conversations and documents: an id, a user name or an e-mail address [default: anonymous]
    #[arg(long, visible_alias = "owner")]
    user: Option<String>,
    /// What to do about a line that cannot be imported
    #[arg(long, value_enum, default_value = "stop")]
    on_error: Policy,
    /// Check and compare every line, but write nothing
    #[arg(long)]
    dry_run: bool,
    /// Import again what was deleted in the store since an earlier import, instead of leaving it out
    #[arg(long)]
    restore_deleted: bool,
    /// The time of the first row; each further row is a microsecond later
    /// [default: when the file was last changed; 1970 for standard input]
    #[arg(long, value_name = "TIME")]
    base_time: Option<Timestamp>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Policy {
    /// Stop at the first one
    Stop,
    /// Report it and go on
    Skip,
}

pub(crate) async fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, CliError> {
    let (input, size, changed_at) = open(&arguments.file)?;
    let store = database::open_ready(config).await?;
    let owner = owner(&store, arguments.user.as_deref()).await?;
    let on_error = match arguments.on_error {
        Policy::Stop => OnError::Stop,
        Policy::Skip => OnError::Skip,
    };
    let source = Jsonl { input, size, owner, on_error };
    let base_time = arguments.base_time.unwrap_or(changed_at);
    let (dry_run, restore_deleted) = (arguments.dry_run, arguments.restore_deleted);
    let options = ImportOptions { base_time, dry_run, restore_deleted };
    let mut progress = Progress::new("importing", Unit::Bytes, size);
    let mut skipped = Vec::new();
    let imported = import(source, &store, options, |event| match event {
        ImportEvent::Issue(issue) => skipped.push(issue),
        ImportEvent::Progress { done, .. } => progress.set(done),
        _ => {}
    })
    .await;
    progress.finish();
    store.close().await;
    let report = imported.map_err(|error| failure(&arguments.file, error))?;
    if arguments.json {
        print_json(&JsonReport::new(&report, &skipped))?;
    } else {
        tell(&report, &skipped, arguments.dry_run);
    }
    Ok(if skipped.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(code::SKIPPED) })
}

/// The lines, their size where it is known, and when they were changed.
fn open(path: &Path) -> Result<(Box<dyn BufRead>, u64, Timestamp), CliError> {
    if path == Path::new("-") {
        return Ok((
            Box::new(BufReader::new(std::io::stdin())),
            0,
            Timestamp::from_microseconds(0).unwrap_or(Timestamp::MIN),
        ));
    }
    let failed = |error| cannot_read(path.display(), &error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(CliError::new(code::NO_INPUT, format!("{} is a directory", path.display())));
    }
    let changed_at = changed_at(&metadata).map_err(failed)?;
    Ok((Box::new(BufReader::new(file)), metadata.len(), changed_at))
}

fn failure(path: &Path, error: JsonlError) -> CliError {
    let message = format!("{}: {error}", path.display());
    match error {
        JsonlError::BadLine { .. } => CliError::new(code::BAD_DATA, message)
            .hint("lines before it are stored; mend it and import again, or use --on-error skip"),
        JsonlError::Read { .. } => CliError::new(code::DAMAGED, message),
        JsonlError::Store { source, .. } => CliError::from(source)
            .context(&message)
            .hint("import again: what is stored will not be added twice"),
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct JsonReport {
    read: u64,
    imported: Imported,
    unchanged: u64,
    skipped: Vec<Skipped>,
}

#[derive(Serialize)]
struct Imported {
    conversations: u64,
    messages: u64,
    /// When there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    documents: Option<u64>,
    /// Owners of lines who were created.
    #[serde(skip_serializing_if = "is_none")]
    users: u64,
}

#[derive(Serialize)]
struct Skipped {
    line: Option<u64>,
    reason: String,
}

impl JsonReport {
    fn new(report: &ImportReport, skipped: &[Issue]) -> Self {
        let (conversations, messages) = (report.table("conversations"), report.table("messages"));
        let documents = report.table("documents");
        let skipped = skipped
            .iter()
            .map(|issue| Skipped { line: line(issue).parse().ok(), reason: issue.problem.clone() });
        Self {
            read: conversations.read + documents.read,
            imported: Imported {
                conversations: conversations.added,
                messages: messages.added,
                documents: (documents.read > 0).then_some(documents.added),
                users: report.table("users").added,
            },
            unchanged: conversations.unchanged + documents.unchanged,
            skipped: skipped.collect(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_none(count: &u64) -> bool {
    *count == 0
}

/// The number of the line that an issue is about.
fn line(issue: &Issue) -> &str {
    issue.key.as_deref().unwrap_or_default()
}

fn tell(report: &ImportReport, skipped: &[Issue], dry_run: bool) {
    let (conversations, messages) = (report.table("conversations"), report.table("messages"));
    let verb = if dry_run { "would import" } else { "imported" };
    let documents = report.table("documents");
    let and_documents =
        if documents.read == 0 { String::new() } else { format!(" and {} documents", documents.added) };
    let users = report.table("users").added;
    let and_users = if users == 0 { String::new() } else { format!(" of {users} new users") };
    print(format_args!(
        "read {} lines: {verb} {} conversations with {} messages{and_documents}{and_users}, {} were there already, {} skipped",
        conversations.read + documents.read,
        conversations.added,
        messages.added,
        conversations.unchanged + documents.unchanged,
        skipped.len()
    ));
    if conversations.added + documents.added == 0 && skipped.is_empty() {
        eprint_message("nothing was added: everything is there already");
    }
    for issue in skipped.iter().take(SHOWN) {
        eprint_message(format_args!("line {}: {}", line(issue), issue.problem));
    }
    eprint_rest(skipped.len());
}
