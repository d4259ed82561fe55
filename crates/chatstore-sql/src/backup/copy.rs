//! Copying: the pages of a database that is in use, and the bytes of a file that is not.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

use super::content::Content;
use super::error::BackupError;
use super::steps::Steps;
use crate::db::sqlite::{mark, store_error};
use crate::error::{Cause, StoreError};

/// Pages copied between two reports: 1 MiB of the usual ones.
const PAGES: i32 = 256;

/// Bytes read at a time.
const PIECE: usize = 1 << 20;

/// Bytes after which what was written is put on disk. One sync of everything at the end delays the commits
/// of others by more than half a second (`docs/adr/0011-backups-of-sqlite.md`).
const SYNC_BYTES: u64 = 16 << 20;

/// Copies the pages of the source, as they are at this moment, into an empty file. Writers go on meanwhile,
/// and what they write stays in the write-ahead log.
pub(super) fn copy_pages(source: &Connection, to: &Path, steps: &mut Steps) -> Result<(), BackupError> {
    let failed = |error| store_error(error, &format!("copying to {}", to.display()));
    let page_bytes: u32 = source.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(failed)?;
    let mut target = open(to).map_err(failed)?;
    // It is written once, and nothing reads it before it is complete.
    target.pragma_update_and_check(None, "journal_mode", "off", |_| Ok(())).map_err(failed)?;
    target.pragma_update(None, "synchronous", "off").map_err(failed)?;
    let written = OpenOptions::new().write(true).open(to).map_err(BackupError::file("write", to))?;
    // As long as the transaction is open, every step reads the state of the first.
    let snapshot = source.unchecked_transaction().map_err(failed)?;
    snapshot.query_row("select count(*) from sqlite_schema", (), |_| Ok(())).map_err(failed)?;
    let copy = Backup::new(&snapshot, &mut target).map_err(failed)?;
    let mut synced_bytes = 0;
    loop {
        let step = copy.step(PAGES).map_err(failed)?;
        let progress = copy.progress();
        let pages = |count: i32| u64::try_from(count).unwrap_or(0) * u64::from(page_bytes);
        let done_bytes = pages(progress.pagecount - progress.remaining);
        // Reading it all again for the checksum is the second half.
        steps.reached(done_bytes, 2 * pages(progress.pagecount))?;
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            _ => {
                let cause = Cause::new(format!("{} is locked by another process", to.display()));
                return Err(StoreError::Timeout(cause).into());
            }
        }
        if done_bytes - synced_bytes >= SYNC_BYTES {
            written.sync_data().map_err(BackupError::file("write", to))?;
            synced_bytes = done_bytes;
        }
    }
    drop(copy);
    snapshot.rollback().map_err(failed)?;
    target.close().map_err(|(_, error)| failed(error))?;
    Ok(())
}

/// Turns a copy of a database in use into one that is complete without a write-ahead log; what it holds.
pub(super) fn settle(copy: &Path) -> Result<Content, BackupError> {
    let failed = |error| store_error(error, &format!("completing {}", copy.display()));
    let mut connection = open(copy).map_err(failed)?;
    connection.pragma_update_and_check(None, "locking_mode", "exclusive", |_| Ok(())).map_err(failed)?;
    connection.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(())).map_err(failed)?;
    mark::clear(&connection).map_err(failed)?;
    let content = Content::read(&mut connection)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    Ok(content)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Size and SHA-256 of a file, which is copied to another on the way if there is one. `before` and `total`
/// are the bytes of the whole work.
pub(super) fn read_through(
    file: &Path,
    mut to: Option<(&File, &Path)>,
    [before, total]: [u64; 2],
    steps: &mut Steps,
) -> Result<(u64, String), BackupError> {
    let mut input = File::open(file).map_err(BackupError::file("read", file))?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE];
    let (mut size, mut synced_bytes) = (0, 0);
    loop {
        let read = match input.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(BackupError::file("read", file)(error)),
        };
        hasher.update(&piece[..read]);
        size += read as u64;
        if let Some((output, path)) = &mut to {
            output.write_all(&piece[..read]).map_err(BackupError::file("write", path))?;
            if size - synced_bytes >= SYNC_BYTES {
                output.sync_data().map_err(BackupError::file("write", path))?;
                synced_bytes = size;
            }
        }
        steps.reached(before + size, total.max(before + size))?;
    }
    if let Some((output, path)) = to {
        output.sync_all().map_err(BackupError::file("write", path))?;
    }
    Ok((size, hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}
