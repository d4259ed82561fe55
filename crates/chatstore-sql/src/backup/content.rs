//! What is in a copy, and whether it is sound.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::error::BackupError;
use super::record::Backup;
use crate::db::sqlite::{mark, store_error};
use crate::migrations::file_status;

/// Each line names one defect; a few are enough.
const INTEGRITY: &str = "select integrity_check from pragma_integrity_check limit 5";

const FOREIGN_KEYS: &str = "select \"table\", count(*) from pragma_foreign_key_check group by 1 limit 1";

const TABLES: &str = "select name from sqlite_schema where type = 'table' and name not like 'sqlite\\_%' escape '\\' \
    and rootpage > 0 order by name";

/// What a copy holds.
pub(super) struct Content {
    pub(super) revision: Option<String>,
    pub(super) rows: Vec<(String, u64)>,
}

impl Content {
    /// Reads it through a connection that nothing else uses.
    pub(super) fn read(connection: &mut Connection) -> Result<Self, BackupError> {
        let rows = count_rows(connection).map_err(|error| store_error(error, "backup.rows"))?;
        let status = file_status(connection)?;
        let newest = status.applied().last().map(|(revision, _)| revision.id.clone());
        let revision = status.unknown.last().map(|unknown| unknown.id.clone()).or(newest);
        Ok(Self { revision, rows })
    }
}

fn count_rows(connection: &Connection) -> rusqlite::Result<Vec<(String, u64)>> {
    let mut statement = connection.prepare(TABLES)?;
    let names: rusqlite::Result<Vec<String>> = statement.query_map((), |row| row.get(0))?.collect();
    let mut rows = Vec::new();
    for name in names? {
        let quoted = name.replace('"', "\"\"");
        let counted: i64 =
            connection.query_row(&format!("select count(*) from \"{quoted}\""), (), |row| row.get(0))?;
        rows.push((name, u64::try_from(counted).unwrap_or(0)));
    }
    Ok(rows)
}

/// Fails unless `file` is a sound database with what the record says; changes nothing.
pub(super) fn check(file: &Path, record: &Backup) -> Result<(), BackupError> {
    let damaged = |reason: String| BackupError::damaged(&record.file, reason);
    let mut connection =
        Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(|error| damaged(error.to_string()))?;
    let defects = defects(&connection).map_err(|error| damaged(error.to_string()))?;
    if let Some(defect) = defects {
        return Err(damaged(defect));
    }
    file_status(&mut connection)?.verify_for_service()?;
    let content = Content::read(&mut connection)?;
    if content.revision != record.revision {
        let (found, expected) = (content.revision, &record.revision);
        return Err(damaged(format!("its revision is {found:?}, and its record says {expected:?}")));
    }
    if content.rows != record.rows {
        let differs = record.rows.iter().find(|counted| !content.rows.contains(counted));
        let table = differs.map_or("a table", |(table, _)| table);
        return Err(damaged(format!("the rows of {table} are not as many as its record says")));
    }
    Ok(())
}

/// The first defect that is found.
fn defects(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if !mark::is_ours(id) {
        return Ok(Some("it is another application's SQLite database".to_owned()));
    }
    let mut statement = connection.prepare(INTEGRITY)?;
    let lines: rusqlite::Result<Vec<String>> = statement.query_map((), |row| row.get(0))?.collect();
    let lines = lines?;
    if lines != ["ok"] {
        return Ok(Some(lines.join("; ")));
    }
    let mut statement = connection.prepare(FOREIGN_KEYS)?;
    let mut rows = statement.query(())?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (table, count): (String, i64) = (row.get(0)?, row.get(1)?);
    Ok(Some(format!("{count} rows of {table} refer to rows that do not exist")))
}
