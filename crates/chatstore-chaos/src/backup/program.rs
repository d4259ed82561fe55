//! The program as an operator runs it, in a folder for backups.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chatstore_bench::databases::url;
use chatstore_bench::error::Error;
use serde_json::json;

/// Messages of each conversation that fills the database.
const TURNS: usize = 50;

pub(super) struct Program {
    binary: PathBuf,
    folder: PathBuf,
    database_url: String,
}

impl Program {
    pub(super) fn new(binary: &Path, folder: &Path, database: &Path) -> Result<Self, Error> {
        let binary = fs::canonicalize(binary)?;
        Ok(Self { binary, folder: folder.to_owned(), database_url: url(database) })
    }

    /// A file in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Imports this many messages.
    pub(super) fn fill(&self, messages: usize) -> Result<(), Error> {
        let file = self.path("fill.jsonl");
        let mut lines = BufWriter::new(File::create(&file)?);
        let content = "word ".repeat(200);
        for conversation in 0..messages.div_ceil(TURNS) {
            let turn = json!({ "role": "user", "content": content });
            let turns = vec![turn; TURNS];
            writeln!(lines, "{}", json!({ "id": format!("fill-{conversation}"), "turns": turns }))?;
        }
        lines.flush()?;
        self.run(&self.database_url, &["import", "jsonl", "fill.jsonl"])?;
        Ok(fs::remove_file(file)?)
    }

    pub(super) fn begin_backup(&self, name: &str) -> Result<Child, Error> {
        Ok(self.command(&self.database_url, &["backup", name]).spawn()?)
    }

    pub(super) fn back_up(&self, name: &str) -> Result<(), Error> {
        self.run(&self.database_url, &["backup", name])
    }

    pub(super) fn verify(&self, name: &str) -> Result<(), Error> {
        self.run(&self.database_url, &["backup", "verify", name])
    }

    pub(super) fn restore(&self, name: &str, target: &str) -> Result<(), Error> {
        self.run(&url(&self.path(target)), &["restore", name])
    }

    /// Runs `doctor` on a database in the folder.
    pub(super) fn examine(&self, target: &str) -> Result<(), Error> {
        self.run(&url(&self.path(target)), &["doctor"])
    }

    /// Begins a backup and kills it after some time.
    pub(super) async fn kill_backup(&self, name: &str, after: Duration) -> Result<(), Error> {
        kill(self.begin_backup(name)?, after).await
    }

    /// Begins a restore and kills it after some time.
    pub(super) async fn kill_restore(&self, name: &str, target: &str, after: Duration) -> Result<(), Error> {
        let begun = self.command(&url(&self.path(target)), &["restore", name]).spawn()?;
        kill(begun, after).await
    }

    /// What a killed command left under the name of its result, unless it is complete. Without such a file the command
    /// must succeed when it is run again.
    pub(super) fn what_looks_complete(&self, name: &str, command: &str) -> Result<Option<String>, Error> {
        let is_there = fs::exists(self.path(name))?;
        let checked = match (command, is_there) {
            ("backup", true) => self.verify(name),
            ("backup", false) => self.back_up(name).and_then(|()| self.verify(name)),
            (_, true) => self.examine(name),
            (_, false) => self.restore("whole.db", name).and_then(|()| self.examine(name)),
        };
        let Err(error) = checked else { return Ok(None) };
        let state = if is_there { "left a file that is not complete" } else { "cannot be run again" };
        Ok(Some(format!("a killed {command} {state}: {error}")))
    }

    /// Removes a file and everything beside it.
    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(name) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn run(&self, database_url: &str, arguments: &[&str]) -> Result<(), Error> {
        let output =
            self.command(database_url, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
        if output.status.success() {
            return Ok(());
        }
        let text = [output.stdout, output.stderr].concat();
        Err(format!("{arguments:?} ended with {}: {}", output.status, String::from_utf8_lossy(&text)).into())
    }

    fn command(&self, database_url: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).env("DATABASE_URL", database_url).current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

async fn kill(mut child: Child, after: Duration) -> Result<(), Error> {
    tokio::time::sleep(after).await;
    child.kill()?;
    child.wait()?;
    Ok(())
}
