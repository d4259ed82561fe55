//! The program `chatstore`, for what starts it: tests of other packages, experiments, development commands.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The key that signs tokens, which a server on PostgreSQL does not create by itself.
pub const TOKEN_KEY: &str = "bdb+t4ym4+/NJrOjT4PNQ4F0IbwK0X5Mks/IttktZng=";

/// The program on one database.
#[derive(Debug)]
pub struct Program {
    /// The program itself.
    pub path: PathBuf,
    /// Where it runs, a folder without configuration files.
    pub folder: PathBuf,
    /// Its database.
    pub database_url: String,
}

impl Program {
    /// Runs a command to its end and returns what it prints.
    ///
    /// # Errors
    /// What it says when it fails, or why it cannot be run.
    pub fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.command(arguments).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("cannot run {}: {error}", self.path.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if !output.status.success() {
            return Err(format!("{arguments:?} failed: {}", text(&output.stderr)));
        }
        Ok(text(&output.stdout))
    }

    /// Starts the server on this port of the loopback interface, with its log in a file.
    ///
    /// # Errors
    /// When the system cannot start it or create the file.
    pub fn serve(&self, port: u16, log: &Path) -> io::Result<Child> {
        let output = File::create(log)?;
        let mut command = self.command(&["serve", "--bind", &format!("127.0.0.1:{port}")]);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(arguments).current_dir(&self.folder);
        command.env("DATABASE_URL", &self.database_url).env("CHATSTORE_TOKEN_KEY", TOKEN_KEY);
        command
    }
}

/// A port of the loopback interface that nothing listens on.
///
/// # Errors
/// When the system has none.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The program beside another program that cargo built for a test, at `other`. Builds it where the tests run alone.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn server_program(other: &Path) -> PathBuf {
    let program = other.with_file_name("chatstore");
    if !program.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        let status = cargo.args(["build", "--locked", "-p", "chatstore-cli"]).status();
        assert!(status.is_ok_and(|status| status.success()), "chatstore-cli could not be built");
    }
    program
}
