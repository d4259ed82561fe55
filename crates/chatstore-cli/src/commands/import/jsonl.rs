//! `import jsonl`: conversations as JSON lines.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chatstore::{Timestamp, UserId};
use chatstore_import::jsonl::{self, ImportError, OnError, Options, Report};
use clap::ValueEnum;

use super::{SHOWN, cannot_read, changed_at};
use crate::commands::{find_user, print, print_json, say};
use crate::config::Config;
use crate::database;
use crate::failure::{Failure, code};
use crate::progress::Progress;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file
    file: PathBuf,
    /// Who owns the conversations: an id, a user name or an e-mail address [default: anonymous]
    #[arg(long)]
    user: Option<String>,
    /// What to do about a line that cannot be imported
    #[arg(long, value_enum, default_value = "stop")]
    on_error: Policy,
    /// Check and compare every line, but write nothing
    #[arg(long)]
    dry_run: bool,
    /// The time of the first row; each further row is a microsecond later
    /// [default: when the file was last changed]
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

pub(crate) async fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, Failure> {
    let (file, size, changed_at) = open(&arguments.file)?;
    let store = database::open_ready(config).await?;
    let owner = match &arguments.user {
        Some(named) => find_user(&store, named).await?.id,
        None => UserId::ANONYMOUS,
    };
    let options = Options {
        owner,
        base_time: arguments.base_time.unwrap_or(changed_at),
        on_error: match arguments.on_error {
            Policy::Stop => OnError::Stop,
            Policy::Skip => OnError::Skip,
        },
        dry_run: arguments.dry_run,
    };
    let mut progress = Progress::of_bytes("importing", size);
    let imported = jsonl::import(&store, BufReader::new(file), options, |bytes| progress.set(bytes)).await;
    progress.finish();
    store.close().await;
    let report = imported.map_err(|error| failure(&arguments.file, error))?;
    if arguments.json {
        print_json(&report)?;
    } else {
        tell(&report, arguments.dry_run);
    }
    Ok(if report.skipped.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(code::SKIPPED) })
}

fn open(path: &Path) -> Result<(File, u64, Timestamp), Failure> {
    let failed = |error| cannot_read(path, &error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Failure::new(code::NO_INPUT, format!("{} is a directory", path.display())));
    }
    let changed_at = changed_at(&metadata).map_err(failed)?;
    Ok((file, metadata.len(), changed_at))
}

fn failure(path: &Path, error: ImportError) -> Failure {
    let message = format!("{}: {error}", path.display());
    match error {
        ImportError::BadLine(_) => Failure::new(code::BAD_DATA, message)
            .hint("lines before it are stored; mend it and import again, or use --on-error skip"),
        ImportError::Read { .. } => Failure::new(code::DAMAGED, message),
        ImportError::Store { source, .. } => Failure::from(source)
            .context(&message)
            .hint("import again: what is stored will not be added twice"),
    }
}

fn tell(report: &Report, dry_run: bool) {
    let (conversations, messages) = (report.imported.conversations, report.imported.messages);
    let verb = if dry_run { "would import" } else { "imported" };
    print(format_args!(
        "read {} lines: {verb} {conversations} conversations with {messages} messages, \
         {} were there already, {} skipped",
        report.read,
        report.unchanged,
        report.skipped.len()
    ));
    if conversations == 0 && report.skipped.is_empty() {
        say("nothing was added: every conversation is there already");
    }
    for skipped in report.skipped.iter().take(SHOWN) {
        say(format_args!("line {}: {}", skipped.line, skipped.reason));
    }
    if report.skipped.len() > SHOWN {
        say(format_args!("… and {} more; --json lists them all", report.skipped.len() - SHOWN));
    }
}
