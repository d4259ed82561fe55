//! Why a private server could not be started, stopped or installed.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// How to install PostgreSQL on the usual systems.
const INSTALL_HINT: &str = "install it with `sudo apt-get install postgresql` (Debian, Ubuntu), \
                            `sudo dnf install postgresql-server` (Fedora), or `brew install postgresql@17` (macOS; put \
                            its `bin` directory on PATH)";

/// Why a private server could not be started, stopped or installed. The message says what to do about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerError {
    /// The programs of PostgreSQL are not on this machine.
    NotInstalled,
    /// PgBouncer is not on this machine.
    NoPooler,
    /// Redis is not on this machine.
    NoRedis,
    /// This process is root's, and there is no user `postgres` or `nobody` to run the server as.
    NoAccount,
    /// A file, directory or address of the server is not usable.
    Files {
        /// What was tried, such as `create`.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A program could not be run at all.
    Run {
        /// The program.
        program: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A program ran and failed.
    Failed {
        /// The program.
        program: PathBuf,
        /// What it printed.
        output: String,
        /// The last lines of the server's log, empty before there is one.
        log: String,
    },
}

impl ServerError {
    pub(super) fn files<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Files { action, path: path.to_path_buf(), source }
    }

    pub(super) fn run(command: &Command) -> impl FnOnce(io::Error) -> Self + use<> {
        let program = PathBuf::from(command.get_program());
        move |source| Self::Run { program, source }
    }

    pub(super) fn failed(command: &Command, output: &Output, log: String) -> Self {
        let mut text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        text.push('\n');
        text.push_str(String::from_utf8_lossy(&output.stderr).trim());
        Self::Failed { program: PathBuf::from(command.get_program()), output: text.trim().to_owned(), log }
    }
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotInstalled => write!(formatter, "PostgreSQL is not installed; {INSTALL_HINT}"),
            Self::NoPooler => formatter.write_str(
                "PgBouncer is not installed; install it with `sudo apt-get install pgbouncer` (Debian, Ubuntu), \
                 `sudo dnf install pgbouncer` (Fedora), or `brew install pgbouncer` (macOS)",
            ),
            Self::NoRedis => formatter.write_str(
                "Redis is not installed; install it with `sudo apt-get install redis-server` (Debian, Ubuntu), \
                 `sudo dnf install redis` (Fedora), or `brew install redis` (macOS)",
            ),
            Self::NoAccount => formatter.write_str(
                "PostgreSQL does not run as root and there is neither a user `postgres` nor `nobody`; \
                 create one of them or start this as another user",
            ),
            Self::Files { action, path, source } => {
                write!(formatter, "cannot {action} {}: {source}", path.display())
            }
            Self::Run { program, source } => write!(
                formatter,
                "cannot run {}: {source}; see that it exists, and that the user of the server may run it and may \
                 enter the temporary directory (TMPDIR)",
                program.display()
            ),
            Self::Failed { program, output, log } => {
                write!(formatter, "{} failed", program.display())?;
                if !output.is_empty() {
                    write!(formatter, "; it printed:\n{output}")?;
                }
                if !log.is_empty() {
                    write!(formatter, "\nthe log of the server ends with:\n{log}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ServerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Files { source, .. } | Self::Run { source, .. } => Some(source),
            Self::NotInstalled | Self::NoPooler | Self::NoRedis | Self::NoAccount | Self::Failed { .. } => {
                None
            }
        }
    }
}

/// Runs a command to its end and collects what it prints.
pub(super) fn run(command: &mut Command) -> Result<Output, ServerError> {
    let failure = ServerError::run(command);
    command.output().map_err(failure)
}
