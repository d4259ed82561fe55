//! Backups of a SQLite file: taken beside its writers, verified, and restored to a fresh place.
//!
//! A backup is two files: a SQLite database that is complete by itself, and beside it `FILE.sha256`, which
//! `sha256sum -c` understands and which says what the backup holds. The second appears before the first, each
//! complete or not at all, so that what was interrupted has no name that looks like a backup.
//! `docs/adr/0011-backups-of-sqlite.md` has the measurements.

mod content;
mod copy;
mod error;
mod files;
mod record;
mod steps;

use std::path::Path;

use chatstore_model::Clock;

use crate::database::{Backend, Database};
use crate::db::sqlite::OpenFile;

pub use error::BackupError;
pub use record::Backup;
pub use steps::BackupProgress;

use files::{Claim, Partial, refuse_existing, refuse_existing_database};
use record::{name_of, record_of};
use steps::Steps;

impl Database {
    /// Writes a backup of a SQLite file to `file` and its record to `FILE.sha256`, both accessible to their owner only.
    ///
    /// The backup is the state of one moment: it has every write that was acknowledged before the call, and each
    /// transaction wholly or not at all. Writers of this and other processes go on. Until the pages are copied,
    /// the write-ahead log is not emptied and grows by what they write; afterwards the next checkpoint empties
    /// it. Takes memory for one page cache. `observe` is called about every MiB, on another thread.
    ///
    /// A caller that stops waiting ends the work, which then removes its temporary files. Those of a killed
    /// process (`FILE.partial`, `FILE.sha256.partial`) are removed by the next backup to the same name.
    ///
    /// # Errors
    /// [`BackupError::Server`] and [`InMemory`](BackupError::InMemory) for a database that is no file,
    /// [`Exists`](BackupError::Exists) if a file is in the way, [`Busy`](BackupError::Busy) while another process
    /// writes a backup to the same name, and the errors of files and databases.
    pub async fn backup(
        &self,
        file: &Path,
        observe: impl FnMut(BackupProgress) + Send + 'static,
    ) -> Result<Backup, BackupError> {
        let source = match self.backend() {
            Backend::Sqlite(database) => database.file().ok_or(BackupError::InMemory)?,
            #[cfg(feature = "postgres")]
            Backend::Postgres(_) => return Err(BackupError::Server { place: self.place().to_owned() }),
        };
        let (file, clock) = (file.to_path_buf(), self.clock());
        steps::run(observe, move |steps| take(&source, &file, clock.as_ref(), steps)).await
    }
}

/// Verifies a backup and changes nothing: its checksum, the integrity of the file, every foreign key, the number
/// of rows of each table, and that this version can work with its revision.
///
/// # Errors
/// [`BackupError::Missing`] without the backup or its record, [`Damaged`](BackupError::Damaged) if it is not what
/// was written, [`Schema`](BackupError::Schema) if it needs another version of the program.
pub async fn verify_backup(
    file: &Path,
    observe: impl FnMut(BackupProgress) + Send + 'static,
) -> Result<Backup, BackupError> {
    let file = file.to_path_buf();
    steps::run(observe, move |steps| verify(&file, steps)).await
}

/// Restores a backup as the database `to`, which must not exist. What is written there is verified like
/// [`verify_backup`] before it gets its name, so that the database appears complete and sound, or not at all.
///
/// # Errors
/// As [`verify_backup`]; [`BackupError::Exists`] if `to` or one of SQLite's files beside it exists,
/// [`Busy`](BackupError::Busy) while another process restores to the same place.
pub async fn restore_backup(
    file: &Path,
    to: &Path,
    observe: impl FnMut(BackupProgress) + Send + 'static,
) -> Result<Backup, BackupError> {
    let (file, to) = (file.to_path_buf(), to.to_path_buf());
    steps::run(observe, move |steps| restore(&file, &to, steps)).await
}

fn take(source: &OpenFile, file: &Path, clock: &dyn Clock, steps: &mut Steps) -> Result<Backup, BackupError> {
    name_of(file)?;
    let record_file = record_of(file);
    let _claim = Claim::take(file)?;
    refuse_existing_database(file)?;
    refuse_existing(&record_file)?;
    let connection = source.open_anew()?;
    let (partial, copied) = Partial::create(file)?;
    let taken_at = clock.now();
    copy::copy_pages(&connection, &partial.path, steps)?;
    drop(connection);
    let content = copy::settle(&partial.path)?;
    copied.sync_all().map_err(BackupError::file("write", &partial.path))?;
    let copied_bytes = copied.metadata().map_err(BackupError::file("read", &partial.path))?.len();
    let place_in_work = [copied_bytes, 2 * copied_bytes];
    let (size_bytes, sha256) = copy::read_through(&partial.path, None, place_in_work, steps)?;
    let backup = Backup {
        file: file.to_path_buf(),
        size_bytes,
        sha256,
        taken_at,
        revision: content.revision,
        rows: content.rows,
    };
    let (partial_record, written) = Partial::create(&record_file)?;
    record::write(&backup, &written)?;
    partial_record.publish(&record_file)?;
    partial.publish(file).inspect_err(|_| files::remove(&record_file))?;
    files::sync_folder(file)?;
    Ok(backup)
}

fn verify(file: &Path, steps: &mut Steps) -> Result<Backup, BackupError> {
    let record = record::read(file)?;
    let found = copy::read_through(file, None, [0, record.size_bytes], steps)?;
    compare(&record, found)?;
    content::check(file, &record)?;
    Ok(record)
}

fn restore(file: &Path, to: &Path, steps: &mut Steps) -> Result<Backup, BackupError> {
    let _claim = Claim::take(to)?;
    refuse_existing_database(to)?;
    let record = record::read(file)?;
    let (partial, copied) = Partial::create(to)?;
    let target = Some((&copied, partial.path.as_path()));
    let found = copy::read_through(file, target, [0, record.size_bytes], steps)?;
    compare(&record, found)?;
    content::check(&partial.path, &record)?;
    partial.publish(to)?;
    files::sync_folder(to)?;
    Ok(record)
}

fn compare(record: &Backup, (size_bytes, sha256): (u64, String)) -> Result<(), BackupError> {
    if size_bytes != record.size_bytes {
        let reason = format!("it has {size_bytes} bytes, and its record says {}", record.size_bytes);
        return Err(BackupError::damaged(&record.file, reason));
    }
    if sha256 != record.sha256.to_ascii_lowercase() {
        return Err(BackupError::damaged(&record.file, "its checksum is not the one in its record"));
    }
    Ok(())
}
