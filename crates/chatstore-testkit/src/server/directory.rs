//! The temporary directory of a private server, and what makes sure that neither outlives its owner.
//!
//! - A guard, a shell that waits for the end of a pipe the owner holds. The pipe ends with the owner, also when that
//!   is killed; the guard then stops the server and deletes the directory. It leads a process group of its own, so
//!   that Ctrl-C, which ends the owner, does not end the guard before its work is done.
//! - The file `owner.pid`, locked by the owner as long as it lives. [`sweep`] takes what it can lock for abandoned.
//!   Unlike the process id in the file, which is for people, a lock cannot be mistaken for that of a later process.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::account::Account;
use super::apt;
use super::error::ServerError;

const PREFIX: &str = "chatstore-postgres-";
const OWNER_FILE: &str = "owner.pid";

/// Arguments: the directory, the program `pg_ctl`. A server frozen by an experiment has to go on to be able to stop.
/// A server that does not stop in time is left to itself: without its data directory it ends within a minute.
const CLEAN_UP: &str = r#"
cat > /dev/null
server=$(head -n 1 "$1/data/postmaster.pid") && kill -CONT "$server"
"$2" stop --pgdata "$1/data" --mode immediate --wait --timeout 30
rm -rf -- "$1"
"#;

pub(super) struct ServerDirectory {
    path: PathBuf,
    bin_dir: PathBuf,
    account: Account,
    guard: Child,
    _owner: File,
}

impl ServerDirectory {
    pub(super) fn create(parent: &Path, bin_dir: PathBuf) -> Result<Self, ServerError> {
        let account = Account::for_server()?;
        let path = create_private(parent, PREFIX, account)?;
        let owner = lock_owner_file(&path, account)?;
        let mut waiting = clean_up(&path, &bin_dir, account);
        let guard = waiting.stdin(Stdio::piped()).spawn().map_err(ServerError::run(&waiting))?;
        Ok(Self { path, bin_dir, account, guard, _owner: owner })
    }

    pub(super) fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("server.log")
    }

    /// A program of PostgreSQL, to be run as the server's user, which may not be able to enter the current directory.
    pub(super) fn command(&self, program: &str) -> Command {
        self.run_as_server(Command::new(self.bin_dir.join(program)))
    }

    /// A script for `sh`, which ends at the first failure and finds the programs of PostgreSQL first.
    pub(super) fn script(&self, text: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-eu", "-c", text]);
        let mut directories = vec![self.bin_dir.clone()];
        directories.extend(std::env::split_paths(&apt::path_variable()));
        if let Ok(path) = std::env::join_paths(directories) {
            shell.env("PATH", path);
        }
        self.run_as_server(shell)
    }

    fn run_as_server(&self, mut command: Command) -> Command {
        command.uid(self.account.user).gid(self.account.group).current_dir(&self.path);
        command.env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    pub(super) fn write_file(&self, name: &str, content: &str) -> Result<PathBuf, ServerError> {
        let path = self.path.join(name);
        write_owned(&path, content, self.account)?;
        Ok(path)
    }

    /// Has the guard do its work now. A second call finds nothing left to do.
    pub(super) fn close(&mut self) -> Result<(), ServerError> {
        drop(self.guard.stdin.take());
        let mut again = clean_up(&self.path, &self.bin_dir, self.account);
        let guarded = self.guard.wait().is_ok_and(|status| status.success());
        if !guarded && self.path.exists() {
            again.status().map_err(ServerError::run(&again))?;
        }
        if self.path.exists() {
            fs::remove_dir_all(&self.path).map_err(ServerError::files("delete", &self.path))?;
        }
        Ok(())
    }
}

impl Drop for ServerDirectory {
    fn drop(&mut self) {
        // What cannot be deleted now is swept by a later start.
        let _ = self.close();
    }
}

/// Ends and deletes what processes of this user left behind, as far as that is possible.
pub(super) fn sweep(parent: &Path, bin_dir: &Path) {
    let Ok(account) = Account::for_server() else { return };
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == account.user);
        if is_ours {
            sweep_one(&entry.path(), bin_dir, account);
        }
    }
}

fn sweep_one(path: &Path, bin_dir: &Path, account: Account) {
    let Ok(owner) = File::open(path.join(OWNER_FILE)) else { return };
    let is_abandoned = owner.try_lock().is_ok();
    if is_abandoned {
        let _ = clean_up(path, bin_dir, account).status();
        let _ = fs::remove_dir_all(path);
    }
}

fn clean_up(path: &Path, bin_dir: &Path, account: Account) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", CLEAN_UP, "chatstore-postgres-guard"]).arg(path).arg(bin_dir.join("pg_ctl"));
    command.uid(account.user).gid(account.group).process_group(0).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

pub(super) fn create_private(parent: &Path, prefix: &str, account: Account) -> Result<PathBuf, ServerError> {
    let mut number = 0;
    loop {
        let name = format!("{prefix}{}-{number}", std::process::id());
        let path = parent.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {
                give_to(&path, account)?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(ServerError::files("create", &path)(error)),
        }
    }
}

/// The file gets its name when it is locked already: a sweep in between would take it for abandoned.
fn lock_owner_file(directory: &Path, account: Account) -> Result<File, ServerError> {
    let unlocked = directory.join("owner.new");
    let file = write_owned(&unlocked, &std::process::id().to_string(), account)?;
    file.lock().map_err(ServerError::files("lock", &unlocked))?;
    fs::rename(&unlocked, directory.join(OWNER_FILE)).map_err(ServerError::files("rename", &unlocked))?;
    Ok(file)
}

pub(super) fn write_owned(path: &Path, content: &str, account: Account) -> Result<File, ServerError> {
    let mut file = File::create_new(path).map_err(ServerError::files("create", path))?;
    give_to(path, account)?;
    file.write_all(content.as_bytes()).map_err(ServerError::files("write", path))?;
    Ok(file)
}

fn give_to(path: &Path, account: Account) -> Result<(), ServerError> {
    chown(path, Some(account.user), Some(account.group))
        .map_err(ServerError::files("change the owner of", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::ensure_postgres_installed;

    #[test]
    fn a_sweep_deletes_what_has_no_living_owner_and_nothing_else() {
        let bin_dir = ensure_postgres_installed().unwrap();
        let place = ServerDirectory::create(&std::env::temp_dir(), bin_dir.clone()).unwrap();
        let owned = ServerDirectory::create(&place.path, bin_dir.clone()).unwrap();
        let account = Account::for_server().unwrap();
        let abandoned = create_private(&place.path, PREFIX, account).unwrap();
        write_owned(&abandoned.join(OWNER_FILE), "1", account).unwrap();

        sweep(&place.path, &bin_dir);

        assert!(owned.path.exists());
        assert!(!abandoned.exists());
    }

    #[test]
    fn closing_deletes_the_directory_even_when_the_guard_was_killed() {
        let bin_dir = ensure_postgres_installed().unwrap();
        let mut directory = ServerDirectory::create(&std::env::temp_dir(), bin_dir).unwrap();
        directory.guard.kill().unwrap();

        directory.close().unwrap();

        assert!(!directory.path.exists());
    }
}
