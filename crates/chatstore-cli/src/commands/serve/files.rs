//! Who else can reach the files of a SQLite database.

use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use chatstore::Store;

/// What lies beside a database file, with everything in it or with what is needed to read it.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];

/// The permissions of all users but the owner.
const OTHERS: u32 = 0o077;

/// A folder in which every user may replace files: the sticky bit forbids it.
const WRITABLE_BY_ALL: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// A file that others can reach, and what to do about it.
#[derive(Debug)]
pub(crate) struct Reachable {
    pub(crate) found: String,
    pub(crate) todo: String,
}

/// The files of a database that others than their owner can access, and its folder if others may replace files there.
pub(crate) fn reachable(database: &Path) -> Vec<Reachable> {
    let mut found = Vec::new();
    for ending in BESIDE {
        let mut path: OsString = database.as_os_str().to_owned();
        path.push(ending);
        let path = PathBuf::from(path);
        let Ok(metadata) = path.metadata() else { continue };
        let mode = metadata.permissions().mode() & 0o777;
        if mode & OTHERS != 0 {
            found.push(Reachable {
                found: format!("{} is accessible to others than its owner (mode {mode:04o})", path.display()),
                todo: format!("run `chmod 600 {}`", path.display()),
            });
        }
    }
    let real = database.canonicalize().unwrap_or_else(|_| database.to_path_buf());
    if let Some(folder) = real.parent()
        && let Ok(metadata) = folder.metadata()
        && metadata.mode() & WRITABLE_BY_ALL != 0
        && metadata.mode() & STICKY == 0
    {
        found.push(Reachable {
            found: format!("every user may replace files in {}", folder.display()),
            todo: format!("run `chmod o-w {}`", folder.display()),
        });
    }
    found
}

/// Warns of files that others can reach. They stay as they are: it may be wanted, or have happened already.
pub(super) fn warn_of_access(store: &Store) {
    let Some(database) = store.file() else { return };
    for reachable in reachable(database) {
        tracing::warn!(todo = reachable.todo, "{}", reachable.found);
    }
}
