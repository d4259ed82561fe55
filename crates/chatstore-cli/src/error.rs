//! Errors of commands: a message that says what failed and where, a hint, and an exit code.

use std::process::ExitCode;

use chatstore::operations::{BackupError, MigrationError};
use chatstore::{ConnectError, Error, ErrorKind, ServerFailure, StoreError, UnsupportedEncoding};
use chatstore_migrate::DatabaseErrorKind;

use crate::escape;

/// Exit codes as in `sysexits.h`, where it has one.
pub(crate) mod code {
    pub(crate) const FAILED: u8 = 1;
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const SKIPPED: u8 = 3;
    pub(crate) const BAD_DATA: u8 = 65;
    pub(crate) const NO_INPUT: u8 = 66;
    pub(crate) const UNREACHABLE: u8 = 69;
    pub(crate) const CANNOT_CREATE: u8 = 73;
    pub(crate) const DAMAGED: u8 = 74;
    pub(crate) const TRY_AGAIN: u8 = 75;
    pub(crate) const NO_PERMISSION: u8 = 77;
    pub(crate) const CONFIGURATION: u8 = 78;
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct CliError {
    code: u8,
    message: String,
    hint: Option<String>,
}

impl CliError {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// Adds a hint: what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A PostgreSQL server that could not be connected to.
    pub(crate) fn of_server(failure: ServerFailure, message: String) -> Self {
        let (code, hint) = match failure {
            ServerFailure::Refused => (
                code::UNREACHABLE,
                "is the server running, and are host and port right? Nothing listens there",
            ),
            ServerFailure::UnknownHost => {
                (code::UNREACHABLE, "check the name of the host: it has no address")
            }
            ServerFailure::NoAnswer => (
                code::UNREACHABLE,
                "check host and port, and whether a firewall lets this machine through: nothing answered in time",
            ),
            ServerFailure::NotPostgres => {
                (code::UNREACHABLE, "check the port: what listens there does not answer like PostgreSQL")
            }
            ServerFailure::UnknownAuthority => (
                code::UNREACHABLE,
                "name the file with the certificate of the server's authority: sslrootcert=FILE in the URL",
            ),
            ServerFailure::WrongCertificate => (
                code::UNREACHABLE,
                "use the host's name that is in the server's certificate, and check that it has not expired",
            ),
            ServerFailure::NoTls => (
                code::UNREACHABLE,
                "switch TLS on at the server (ssl = on), or use sslmode=prefer or disable on a trusted network",
            ),
            ServerFailure::MissingPassword => (
                code::NO_PERMISSION,
                "the server asks for a password: add it to the URL, or set POSTGRES_PASSWORD",
            ),
            ServerFailure::WrongPassword => {
                (code::NO_PERMISSION, "check user and password: one is wrong, or there is no such role")
            }
            ServerFailure::NotAllowed => (
                code::NO_PERMISSION,
                "check that the role exists, may log in and connect, and that pg_hba.conf lets it in from here",
            ),
            ServerFailure::TooManyConnections => (
                code::TRY_AGAIN,
                "close other connections, use fewer (CHATSTORE_POOL), or raise max_connections or the role's limit",
            ),
            ServerFailure::Starting => (code::TRY_AGAIN, "wait until the server has started"),
            _ => (code::UNREACHABLE, "the server's log may say more"),
        };
        Self::new(code, message).hint(hint)
    }

    /// Replaces the message by one that also says where it happened.
    pub(crate) fn context(mut self, message: &str) -> Self {
        self.message = message.to_owned();
        self
    }

    /// Whether the database is damaged or full.
    pub(crate) const fn is_damage(&self) -> bool {
        self.code == code::DAMAGED
    }

    /// The message.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The message and the hint.
    pub(crate) fn into_parts(self) -> (String, Option<String>) {
        (self.message, self.hint)
    }

    /// Prints the error to standard error; its exit code.
    #[allow(clippy::print_stderr, reason = "the one place where commands report their failure")]
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("error: {}", escape::lines(&self.message));
        if let Some(hint) = &self.hint {
            eprintln!("hint: {}", escape::lines(hint));
        }
        ExitCode::from(self.code)
    }
}

/// The error of a file that cannot be read.
pub(crate) fn cannot_read(file: impl std::fmt::Display, error: &std::io::Error) -> CliError {
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => code::NO_INPUT,
        std::io::ErrorKind::PermissionDenied => code::NO_PERMISSION,
        _ => code::DAMAGED,
    };
    CliError::new(code, format!("cannot read {file}: {error}"))
}

impl From<ConnectError> for CliError {
    fn from(error: ConnectError) -> Self {
        let message = error.to_string();
        if let Some(failure) = error.server_failure() {
            return Self::of_server(failure, message);
        }
        match error {
            ConnectError::InvalidUrl { .. } => Self::new(code::CONFIGURATION, message),
            ConnectError::Unreachable { .. } => Self::new(code::UNREACHABLE, message)
                .hint("is the server running, and are host and port in DATABASE_URL right?"),
            ConnectError::Denied { .. } => Self::new(code::NO_PERMISSION, message).hint(
                "check user and password in DATABASE_URL, or the permissions of the file and its directory",
            ),
            ConnectError::InUse { .. } => Self::new(code::TRY_AGAIN, message)
                .hint("stop it first, or use PostgreSQL to run several servers"),
            ConnectError::NotWritable { .. } => Self::new(code::NO_PERMISSION, message).hint(
                "SQLite needs a file and a directory that this user can write, on a writable file system",
            ),
            ConnectError::StorageFull { .. } => Self::new(code::DAMAGED, message).hint(
                "free some space; SQLite keeps the files -wal and -shm beside the database while it is open",
            ),
            ConnectError::NoLocks { .. } => Self::new(code::DAMAGED, message)
                .hint("put the database on a local file system: SQLite relies on the locks of its files"),
            ConnectError::FileFailed { .. } => Self::new(code::DAMAGED, message)
                .hint("look for errors of the disk in the log of the system, then run `chatstore doctor`"),
            ConnectError::CannotCreate { .. } => Self::new(code::CANNOT_CREATE, message),
            ConnectError::Unusable { .. } => Self::new(code::DAMAGED, message),
        }
    }
}

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::Invalid => code::BAD_DATA,
            ErrorKind::Unavailable => code::UNREACHABLE,
            ErrorKind::Timeout => code::TRY_AGAIN,
            ErrorKind::StorageFull | ErrorKind::Corrupt => code::DAMAGED,
            ErrorKind::ReadOnly => code::NO_PERMISSION,
            _ => code::FAILED,
        };
        Self::new(code, error.to_string())
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl From<BackupError> for CliError {
    fn from(error: BackupError) -> Self {
        let message = error.to_string();
        match error {
            BackupError::Server { .. } => Self::new(code::USAGE, message).hint(
                "use pg_dump and pg_restore, or archive PostgreSQL's log: docs/operations.md, section Backups",
            ),
            BackupError::InMemory => Self::new(code::USAGE, message)
                .hint("such a database ends with its process; name a file in DATABASE_URL"),
            BackupError::Exists(_) => Self::new(code::CANNOT_CREATE, message).hint(
                "nothing is overwritten: stop the server that may have it open, and move it away, or choose \
                 another name",
            ),
            BackupError::Missing(_) => Self::new(code::NO_INPUT, message)
                .hint("a backup is two files with one name: FILE and FILE.sha256"),
            BackupError::Busy(_) => Self::new(code::TRY_AGAIN, message),
            BackupError::InvalidName(_) => Self::new(code::USAGE, message),
            BackupError::File { doing, cause, .. } => {
                let code = match (doing, cause.kind()) {
                    (_, std::io::ErrorKind::PermissionDenied) => code::NO_PERMISSION,
                    ("create", _) => code::CANNOT_CREATE,
                    _ => code::DAMAGED,
                };
                Self::new(code, message)
            }
            BackupError::Damaged { .. } => {
                Self::new(code::DAMAGED, message).hint("use another backup, and keep this one for analysis")
            }
            BackupError::Schema(error) => Self::from(error).context(&message),
            BackupError::Connect(error) => error.into(),
            BackupError::Store(error) => error.into(),
            _ => Self::new(code::FAILED, message),
        }
    }
}

impl From<UnsupportedEncoding> for CliError {
    fn from(error: UnsupportedEncoding) -> Self {
        Self::new(code::CONFIGURATION, error.to_string()).hint(UnsupportedEncoding::REMEDY)
    }
}

impl From<MigrationError> for CliError {
    fn from(error: MigrationError) -> Self {
        let code = match &error {
            MigrationError::Malformed { .. }
            | MigrationError::Duplicate(_)
            | MigrationError::DuplicateLabel { .. }
            | MigrationError::UnknownParent { .. }
            | MigrationError::Cycle(_) => code::BAD_DATA,
            MigrationError::NoSuchRevision(_)
            | MigrationError::Ambiguous { .. }
            | MigrationError::SeveralHeads(_)
            | MigrationError::TooFar { .. }
            | MigrationError::WrongTarget(_)
            | MigrationError::NotApplied(_) => code::USAGE,
            MigrationError::UnknownRevision(_)
            | MigrationError::Edited(_)
            | MigrationError::ExternalDatabase(_) => code::CONFIGURATION,
            MigrationError::OtherTables(_)
            | MigrationError::MissingDown { .. }
            | MigrationError::Destructive(_)
            | MigrationError::UnknownDataStep { .. }
            | MigrationError::DataStepInScript { .. }
            | MigrationError::InterruptedInScript(_) => code::FAILED,
            MigrationError::Busy(_) | MigrationError::Overtaken(_) => code::TRY_AGAIN,
            MigrationError::Denied { .. } => code::NO_PERMISSION,
            MigrationError::Database { cause, .. } => match cause.kind {
                DatabaseErrorKind::Busy => code::TRY_AGAIN,
                DatabaseErrorKind::Denied => code::NO_PERMISSION,
                DatabaseErrorKind::Unavailable => code::UNREACHABLE,
                DatabaseErrorKind::StorageFull | DatabaseErrorKind::Corrupt => code::DAMAGED,
                DatabaseErrorKind::Unsuitable => code::CONFIGURATION,
                DatabaseErrorKind::UnsuitableRows => code::BAD_DATA,
                DatabaseErrorKind::Failed => code::FAILED,
            },
        };
        let failure = Self::new(code, error.to_string());
        if let MigrationError::Database { cause, .. } = &error
            && cause.kind == DatabaseErrorKind::Unsuitable
        {
            return failure.hint(UnsupportedEncoding::REMEDY);
        }
        match error {
            MigrationError::Destructive(_) => failure.hint("add --allow-data-loss when that is wanted"),
            MigrationError::OtherTables(_) => failure.hint(
                "give chatstore a database of its own if the tables belong to another program; \
                 `chatstore migrate stamp --sql` prints what would be recorded",
            ),
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chatstore::operations::MigrationError;
    use chatstore_migrate::{DatabaseError, DatabaseErrorKind};

    use super::{CliError, code};

    /// Errors that no test of a command provokes.
    #[test]
    fn a_failed_migration_has_its_documented_exit_code() {
        let named = || "0123456789ab (step)".to_owned();
        let step = || "fill".to_owned();
        let database = |kind| MigrationError::Database {
            doing: String::new(),
            cause: DatabaseError::new(kind, "the database's words"),
        };
        for (error, expected) in [
            (MigrationError::MissingDown { revision: named(), file: String::new() }, code::FAILED),
            (MigrationError::UnknownDataStep { revision: named(), step: step() }, code::FAILED),
            (MigrationError::DataStepInScript { revision: named(), step: step() }, code::FAILED),
            (MigrationError::InterruptedInScript(named()), code::FAILED),
            (MigrationError::NotApplied(named()), code::USAGE),
            (MigrationError::Busy(Duration::ZERO), code::TRY_AGAIN),
            (MigrationError::Overtaken(named()), code::TRY_AGAIN),
            (database(DatabaseErrorKind::Busy), code::TRY_AGAIN),
            (database(DatabaseErrorKind::Unavailable), code::UNREACHABLE),
            (database(DatabaseErrorKind::StorageFull), code::DAMAGED),
            (database(DatabaseErrorKind::Corrupt), code::DAMAGED),
            (database(DatabaseErrorKind::Denied), code::NO_PERMISSION),
            (database(DatabaseErrorKind::UnsuitableRows), code::BAD_DATA),
        ] {
            let failure = CliError::from(error);
            assert_eq!(failure.code, expected, "{}", failure.message);
        }
    }
}
