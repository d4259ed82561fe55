//! What is printed about a backup.

use std::collections::BTreeMap;
use std::path::Path;

use chatstore::operations::Backup;
use serde::Serialize;

use crate::commands::{print, print_json};
use crate::error::CliError;

#[derive(Serialize)]
struct Shown<'b> {
    file: String,
    size_bytes: u64,
    sha256: &'b str,
    taken_at: String,
    revision: Option<&'b str>,
    rows: BTreeMap<&'b str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
}

/// Prints what was done with a backup, and the database that it became if it did.
pub(in crate::commands) fn print_backup(
    done: &str,
    backup: &Backup,
    database: Option<&Path>,
    json: bool,
) -> Result<(), CliError> {
    if json {
        return print_json(&Shown {
            file: backup.file.display().to_string(),
            size_bytes: backup.size_bytes,
            sha256: &backup.sha256,
            taken_at: backup.taken_at.to_string(),
            revision: backup.revision.as_deref(),
            rows: backup.rows.iter().map(|(table, count)| (table.as_str(), *count)).collect(),
            database: database.map(|database| database.display().to_string()),
        });
    }
    let to = database.map(|database| format!(" to {}", database.display())).unwrap_or_default();
    print(format_args!(
        "{done} {}{to}: {} rows of {} tables, {} bytes, revision {}, the state of {}",
        backup.file.display(),
        backup.row_count(),
        backup.rows.len(),
        backup.size_bytes,
        backup.revision.as_deref().unwrap_or("none"),
        backup.taken_at
    ));
    Ok(())
}
