//! Finding the programs of PostgreSQL, and installing them where that is possible.

use std::fs;
use std::path::{Path, PathBuf};

use super::apt;
use super::error::ServerError;

const PROGRAMS: [&str; 3] = ["initdb", "postgres", "pg_ctl"];

/// Debian and its relatives keep the server's programs off PATH, one directory for each version.
const DEBIAN_ROOT: &str = "/usr/lib/postgresql";

/// The directory of the newest installed PostgreSQL's programs: from Debian's place for them, else from PATH.
#[must_use]
pub fn find_postgres() -> Option<PathBuf> {
    newest_version(Path::new(DEBIAN_ROOT)).or_else(on_path)
}

/// Finds PostgreSQL's programs; installs them first when they are missing, this process is root's and the system has
/// `apt-get`. What it installs it announces on standard error.
///
/// # Errors
/// [`ServerError::NotInstalled`] where it may not install, [`ServerError::Failed`] when `apt-get` fails.
pub fn ensure_postgres_installed() -> Result<PathBuf, ServerError> {
    if let Some(bin_dir) = find_postgres() {
        return Ok(bin_dir);
    }
    if !apt::can_install()? {
        return Err(ServerError::NotInstalled);
    }
    apt::install("PostgreSQL", "postgresql")?;
    find_postgres().ok_or(ServerError::NotInstalled)
}

fn newest_version(root: &Path) -> Option<PathBuf> {
    let mut newest: Option<(u32, PathBuf)> = None;
    for entry in fs::read_dir(root).ok()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(major) = name.split('.').next().and_then(|part| part.parse().ok()) else { continue };
        let bin_dir = entry.path().join("bin");
        let is_newer = newest.as_ref().is_none_or(|(version, _)| major > *version);
        if is_newer && has_programs(&bin_dir) {
            newest = Some((major, bin_dir));
        }
    }
    newest.map(|(_, bin_dir)| bin_dir)
}

/// Links are followed: `pgbench` lies beside the programs themselves, not always beside links to them.
fn on_path() -> Option<PathBuf> {
    let directory = std::env::split_paths(&apt::path_variable()).find(|directory| has_programs(directory))?;
    let program = fs::canonicalize(directory.join("pg_ctl")).ok()?;
    let bin_dir = program.parent()?;
    if has_programs(bin_dir) { Some(bin_dir.to_path_buf()) } else { Some(directory) }
}

fn has_programs(directory: &Path) -> bool {
    PROGRAMS.iter().all(|program| directory.join(program).is_file())
}
