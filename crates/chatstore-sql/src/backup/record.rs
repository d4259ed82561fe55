//! The file `FILE.sha256` of a backup: a line of `sha256sum`, and what the backup holds in comments above it.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use chatstore_model::Timestamp;

use super::error::BackupError;
use super::files::beside;

/// Longer ones are not read: a line for each table and a few more.
const MAX_BYTES: u64 = 64 * 1_024;

const TITLE: &str = "# chatstore backup";

/// The word for a database whose tables do not exist yet.
const NO_REVISION: &str = "none";

/// A backup and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The backup, a SQLite database.
    pub file: PathBuf,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// When it was begun: every write that was acknowledged before is in it.
    pub taken_at: Timestamp,
    /// The newest revision of its tables; `None` without tables.
    pub revision: Option<String>,
    /// The number of rows of each table, by name.
    pub rows: Vec<(String, u64)>,
}

impl Backup {
    /// The number of rows of all tables.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.rows.iter().map(|(_, count)| count).sum()
    }
}

/// The file with the checksum of a backup.
pub(super) fn record_of(backup: &Path) -> PathBuf {
    beside(backup, ".sha256")
}

/// The name by which the record calls its backup.
pub(super) fn name_of(backup: &Path) -> Result<&str, BackupError> {
    let name = backup.file_name().and_then(|name| name.to_str());
    let is_plain = |name: &&str| !name.chars().any(|character| character.is_control() || character == '\\');
    name.filter(is_plain).ok_or_else(|| BackupError::InvalidName(backup.to_path_buf()))
}

/// Writes the record to disk.
pub(super) fn write(backup: &Backup, mut to: &File) -> Result<(), BackupError> {
    let mut text = format!("{TITLE}\n# taken at {}\n# size {}\n", backup.taken_at, backup.size_bytes);
    text.push_str(&format!("# revision {}\n", backup.revision.as_deref().unwrap_or(NO_REVISION)));
    for (table, count) in &backup.rows {
        text.push_str(&format!("# rows {count} {table}\n"));
    }
    text.push_str(&format!("{}  {}\n", backup.sha256, name_of(&backup.file)?));
    let written = to.write_all(text.as_bytes()).and_then(|()| to.sync_all());
    written.map_err(BackupError::file("write", &record_of(&backup.file)))
}

/// Reads the record of a backup.
pub(super) fn read(backup: &Path) -> Result<Backup, BackupError> {
    let path = record_of(backup);
    let mut text = String::new();
    let file = File::open(&path).map_err(BackupError::file("read", &path))?;
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(BackupError::file("read", &path))?;
    parse(&text, backup).ok_or_else(|| BackupError::damaged(&path, "it is not the record of a backup"))
}

fn parse(text: &str, backup: &Path) -> Option<Backup> {
    let mut lines = text.lines();
    if lines.next()? != TITLE || !text.ends_with('\n') {
        return None;
    }
    let taken_at = lines.next()?.strip_prefix("# taken at ")?.parse().ok()?;
    let size_bytes = lines.next()?.strip_prefix("# size ")?.parse().ok()?;
    let revision = lines.next()?.strip_prefix("# revision ")?;
    let mut rows = Vec::new();
    loop {
        let line = lines.next()?;
        let Some(counted) = line.strip_prefix("# rows ") else {
            let (sha256, _name) = line.split_once("  ")?;
            let is_digest = sha256.len() == 64 && sha256.bytes().all(|digit| digit.is_ascii_hexdigit());
            return (is_digest && lines.next().is_none()).then(|| Backup {
                file: backup.to_path_buf(),
                size_bytes,
                sha256: sha256.to_owned(),
                taken_at,
                revision: (revision != NO_REVISION).then(|| revision.to_owned()),
                rows,
            });
        };
        let (count, table) = counted.split_once(' ')?;
        rows.push((table.to_owned(), count.parse().ok()?));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup() -> Backup {
        Backup {
            file: PathBuf::from("/somewhere/monday.db"),
            size_bytes: 8_192,
            sha256: "ab".repeat(32),
            taken_at: Timestamp::from_microseconds(1).unwrap(),
            revision: Some("0123456789ab".to_owned()),
            rows: vec![("my notes".to_owned(), 0), ("users".to_owned(), 3)],
        }
    }

    fn text(backup: &Backup) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        write(backup, &File::create(&path).unwrap()).unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for backup in [backup(), Backup { revision: None, rows: Vec::new(), ..backup() }] {
            assert_eq!(parse(&text(&backup), &backup.file), Some(backup));
        }
    }

    #[test]
    fn a_record_that_was_cut_off_is_none() {
        let whole = text(&backup());
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end], &backup().file), None, "{end}");
        }
    }
}
