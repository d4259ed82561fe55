//! Options that many commands have.

use std::path::{Path, PathBuf};

use chatstore_sql::DatabaseKind;
use tempfile::TempDir;

use crate::error::Error;

/// The databases of a run, and where they are.
#[derive(Debug, Clone, clap::Args)]
pub struct Databases {
    /// The databases to run on
    #[arg(long, value_enum, default_value = "both")]
    pub backend: Backends,
    /// Where SQLite's files are created: on a real disk, else a durable commit costs nothing
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    pub folder: PathBuf,
    /// The PostgreSQL server.
    #[command(flatten)]
    pub postgres: Postgres,
}

impl Databases {
    /// The same on another PostgreSQL server.
    #[must_use]
    pub fn on_postgres(&self, url: String) -> Self {
        let mut other = self.clone();
        other.postgres.url = Some(url);
        other
    }

    /// A new folder, removed when it is dropped.
    ///
    /// # Errors
    /// When the system cannot create it.
    pub fn temporary_folder(&self) -> Result<TempDir, Error> {
        Ok(tempfile::Builder::new().prefix("chatstore-bench-").tempdir_in(&self.folder)?)
    }
}

/// Which databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Backends {
    /// SQLite alone.
    Sqlite,
    /// PostgreSQL alone.
    Postgres,
    /// One after the other.
    Both,
}

impl Backends {
    /// Each of them.
    pub fn kinds(self) -> Vec<DatabaseKind> {
        match self {
            Self::Sqlite => vec![DatabaseKind::Sqlite],
            Self::Postgres => vec![DatabaseKind::Postgres],
            Self::Both => vec![DatabaseKind::Sqlite, DatabaseKind::Postgres],
        }
    }
}

/// Where PostgreSQL is; `cargo xtask bench` and `cargo xtask chaos` start a private server and pass its address.
#[derive(Debug, Clone, clap::Args)]
pub struct Postgres {
    /// A server on which databases may be created
    #[arg(long = "postgres-url", env = "CHATSTORE_BENCH_POSTGRES_URL", hide_env_values = true)]
    url: Option<String>,
    /// The folder of PostgreSQL's programs
    #[arg(long = "postgres-bin", env = "CHATSTORE_BENCH_POSTGRES_BIN")]
    programs: Option<PathBuf>,
}

impl Postgres {
    /// The server's address.
    ///
    /// # Errors
    /// When none was given.
    pub fn url(&self) -> Result<&str, Error> {
        let given = self.url.as_deref().filter(|url| !url.is_empty());
        given.ok_or_else(|| {
            "no PostgreSQL server: run `cargo xtask bench` or `cargo xtask chaos`, which start one, or give \
             --postgres-url, or leave PostgreSQL out by --backend sqlite"
                .into()
        })
    }

    /// The folder of PostgreSQL's programs, where it was given.
    pub fn programs(&self) -> Option<&Path> {
        self.programs.as_deref()
    }
}

/// Where the server's program is; `cargo xtask bench` and `cargo xtask chaos` build it and pass its path.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerBinary {
    /// The program `chatstore`
    #[arg(long = "server-binary", env = "CHATSTORE_BENCH_SERVER_BINARY")]
    path: Option<PathBuf>,
}

impl ServerBinary {
    /// The program's path.
    ///
    /// # Errors
    /// When none was given.
    pub fn path(&self) -> Result<&Path, Error> {
        self.given().ok_or_else(|| {
            "no server program: run `cargo xtask bench` or `cargo xtask chaos`, which build it, or give \
             --server-binary"
                .into()
        })
    }

    /// The program's path, where it was given.
    pub fn given(&self) -> Option<&Path> {
        self.path.as_deref().filter(|path| !path.as_os_str().is_empty())
    }
}

/// Reads a number of seconds above 0.
///
/// # Errors
/// When the text is no such number, or more than a day.
pub fn positive_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && number <= 86_400.0 => Ok(number),
        _ => Err("a number of seconds above 0 and no more than a day".to_owned()),
    }
}
