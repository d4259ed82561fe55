//! What the tasks share: running cargo, reading the environment, choosing a PostgreSQL server.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use chatstore_testkit::server::{PostgresServer, RedisServer, Settings, ensure_postgres_installed};

/// Why a task could not be carried out.
pub(crate) type Error = Box<dyn std::error::Error>;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// A cargo command in the root of the repository.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root());
    command
}

/// A program as cargo leaves it in this profile's folder.
pub(crate) fn binary(profile: &str, program: &str) -> PathBuf {
    let target = variable("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join(profile).join(program)
}

/// Runs a command to its end with this program's standard streams.
pub(crate) fn run(command: &mut Command) -> Result<ExitStatus, Error> {
    command.status().map_err(|error| cannot_run(command, &error))
}

/// The failure to start a command at all.
pub(crate) fn cannot_run(command: &Command, error: &std::io::Error) -> Error {
    format!("cannot run {}: {error}", command.get_program().display()).into()
}

/// The exit code of a child as that of this program; 1 for a child ended by a signal.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// An environment variable; an empty one counts as not set.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A PostgreSQL server for one task. A private one ends when this is dropped.
pub(crate) enum Postgres {
    /// The address of a server that was started elsewhere.
    Given(OsString),
    Private(PostgresServer),
}

impl Postgres {
    /// The server that the environment variable names, else a private one. Says on standard error which; of an
    /// address it says nothing more, because that holds a password.
    pub(crate) fn given_or_private(variable_name: &str, settings: Settings) -> Result<Self, Error> {
        if let Some(url) = variable(variable_name) {
            eprintln!("PostgreSQL: the server given by {variable_name}");
            return Ok(Self::Given(url));
        }
        ensure_postgres_installed()?;
        let server = PostgresServer::start(settings)?;
        eprintln!(
            "PostgreSQL: a private server on 127.0.0.1:{}, from {} (set {variable_name} to use another)",
            server.port(),
            server.bin_dir().display()
        );
        Ok(Self::Private(server))
    }

    pub(crate) fn url(&self) -> OsString {
        match self {
            Self::Given(url) => url.clone(),
            Self::Private(server) => server.url().into(),
        }
    }
}

/// A Redis for one task. A private one ends when this is dropped.
pub(crate) enum Redis {
    /// The address of a server that was started elsewhere.
    Given(OsString),
    Private(RedisServer),
}

impl Redis {
    /// The server that the environment variable names, else a private one. Says on standard error which.
    pub(crate) fn given_or_private(variable_name: &str) -> Result<Self, Error> {
        if let Some(url) = variable(variable_name) {
            eprintln!("Redis: the server given by {variable_name}");
            return Ok(Self::Given(url));
        }
        let server = RedisServer::start()?;
        eprintln!(
            "Redis: a private server on 127.0.0.1:{} (set {variable_name} to use another)",
            server.port()
        );
        Ok(Self::Private(server))
    }

    pub(crate) fn url(&self) -> OsString {
        match self {
            Self::Given(url) => url.clone(),
            Self::Private(server) => server.url().into(),
        }
    }
}

/// A duration as people read it: `850 ms`, `12.3 s`, `4 min 05 s`.
pub(crate) struct Readable(pub(crate) Duration);

impl fmt::Display for Readable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if seconds >= 60 {
            write!(formatter, "{} min {:02} s", seconds / 60, seconds % 60)
        } else if seconds >= 1 {
            write!(formatter, "{:.1} s", self.0.as_secs_f64())
        } else {
            write!(formatter, "{} ms", self.0.as_millis())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_the_unit_that_fits() {
        let text = |milliseconds| Readable(Duration::from_millis(milliseconds)).to_string();

        assert_eq!(text(850), "850 ms");
        assert_eq!(text(12_340), "12.3 s");
        assert_eq!(text(245_000), "4 min 05 s");
    }
}
