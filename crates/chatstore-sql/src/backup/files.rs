//! Files that appear complete or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::BackupError;

/// What SQLite may leave beside a file of this name.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The file of this name and an ending.
pub(super) fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut path = file.to_path_buf().into_os_string();
    path.push(ending);
    PathBuf::from(path)
}

/// Refuses a place where a database exists, or something that SQLite would take for a part of it.
pub(super) fn refuse_existing_database(file: &Path) -> Result<(), BackupError> {
    refuse_existing(file)?;
    COMPANIONS.iter().try_for_each(|ending| refuse_existing(&beside(file, ending)))
}

/// Refuses a file that exists, a dangling link among them.
pub(super) fn refuse_existing(file: &Path) -> Result<(), BackupError> {
    match fs::symlink_metadata(file) {
        Ok(_) => Err(BackupError::Exists(file.to_path_buf())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(BackupError::file("create", file)(error)),
    }
}

/// The right to create a file of this name, which one process has at a time. It ends with the process.
pub(super) struct Claim {
    path: PathBuf,
    _locked: File,
}

impl Claim {
    pub(super) fn take(file: &Path) -> Result<Self, BackupError> {
        let path = beside(file, ".lock");
        loop {
            let locked = open_or_create(&path).map_err(BackupError::file("create", &path))?;
            match locked.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(BackupError::Busy(file.to_path_buf())),
                Err(TryLockError::Error(error)) => return Err(BackupError::file("create", &path)(error)),
            }
            // Its last holder removes it, so that the name may belong to another file by now.
            if is_at(&locked, &path).map_err(BackupError::file("create", &path))? {
                return Ok(Self { path, _locked: locked });
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Follows no link.
fn open_or_create(path: &Path) -> io::Result<File> {
    match create_private(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        created => return created,
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => Err(io::Error::other("it is not a regular file")),
        Err(error) if error.kind() == ErrorKind::NotFound => create_private(path),
        _ => File::open(path),
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let opened = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file under a temporary name; removed when dropped, unless it was published.
pub(super) struct Partial {
    pub(super) path: PathBuf,
}

impl Partial {
    /// Creates an empty file for its owner only, in place of one that a killed process left.
    pub(super) fn create(file: &Path) -> Result<(Self, File), BackupError> {
        let partial = Self { path: beside(file, ".partial") };
        partial.remove();
        let created = create_private(&partial.path).map_err(BackupError::file("create", &partial.path))?;
        Ok((partial, created))
    }

    /// Gives it its name, which must not exist. Its content must be on disk; [`sync_folder`] puts the name there.
    pub(super) fn publish(self, file: &Path) -> Result<(), BackupError> {
        match fs::hard_link(&self.path, file) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(BackupError::Exists(file.to_path_buf()));
            }
            // A file system without hard links, which can only rename.
            Err(_) => {
                refuse_existing(file)?;
                fs::rename(&self.path, file).map_err(BackupError::file("create", file))?;
            }
        }
        Ok(())
    }

    fn remove(&self) {
        remove(&self.path);
        COMPANIONS.iter().for_each(|ending| remove(&beside(&self.path, ending)));
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Removes a file if it exists. A failure is logged, because something else has usually failed before.
pub(super) fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(file = %path.display(), error.cause = %error, "a temporary file was not removed");
        }
        _ => {}
    }
}

/// Creates a file that only its owner can access, and that did not exist.
fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Puts the names in the folder of a file on disk.
pub(super) fn sync_folder(file: &Path) -> Result<(), BackupError> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(BackupError::file("write", folder))
}
