//! How a database is opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chatstore_model::{Clock, IdSource, MonotonicIds, SystemClock};

#[cfg(feature = "postgres")]
use crate::error::ConnectError;
use crate::file_lock::FileLock;
#[cfg(feature = "postgres")]
use crate::url::{PostgresTarget, Target, mask};

/// Connections to PostgreSQL: the best of those measured on two cores.
const POOL: usize = 16;

/// The model that answers when nothing else says which.
const DEFAULT_MODEL: &str = "echo";

/// Maximum messages of a conversation, and rows of a user, that are deleted at once.
const ROWS_AT_ONCE: u32 = 1_000;

/// Which database system it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatabaseKind {
    /// One file, or memory.
    Sqlite,
    /// A server.
    Postgres,
}

impl DatabaseKind {
    /// `sqlite` or `postgres`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// How to open a database.
#[derive(Clone)]
pub struct DatabaseOptions {
    /// `sqlite://path`, `sqlite://:memory:` or `postgresql://user:password@host:port/database`.
    pub url: String,
    /// The URL of the server itself where that of `url` is a pooler, for what needs a session.
    pub direct_url: Option<String>,
    /// URLs of PostgreSQL servers that replay what is written to the one of `url`, for reads. They need not answer yet.
    pub standby_urls: Vec<String>,
    /// Maximum connections to PostgreSQL, and to each standby; SQLite does not look at it.
    pub pool: usize,
    /// Whether other processes may own a SQLite file meanwhile; PostgreSQL does not look at it.
    pub file_lock: FileLock,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where new ids come from.
    pub ids: Arc<dyn IdSource>,
    /// The model that answers when neither message nor conversation says which.
    pub default_model: Arc<str>,
    /// Above how many messages a conversation, and above how many rows a user is deleted in pieces: 1,000. For tests,
    /// where a few are many.
    pub rows_at_once: u32,
    /// A statement that takes as long is logged as a warning, with its name and the number of its rows, ten of them in a
    /// second at most; none when it is `None`.
    pub slow_statement: Option<Duration>,
}

impl DatabaseOptions {
    /// The machine's clock and randomness, 16 connections, a shared file, the model `echo`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            direct_url: None,
            standby_urls: Vec::new(),
            pool: POOL,
            file_lock: FileLock::Share,
            clock: Arc::new(SystemClock),
            ids: Arc::new(MonotonicIds::new(machine_random)),
            default_model: DEFAULT_MODEL.into(),
            rows_at_once: ROWS_AT_ONCE,
            slow_statement: None,
        }
    }
}

impl fmt::Debug for DatabaseOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DatabaseOptions").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// The server that a URL names.
#[cfg(feature = "postgres")]
pub(crate) fn server_of(url: &str) -> Result<PostgresTarget, ConnectError> {
    match Target::parse(url)? {
        Target::Postgres(server) => Ok(server),
        #[cfg(feature = "sqlite")]
        Target::Sqlite(_) => {
            let reason = "it is for the PostgreSQL server behind a pooler".to_owned();
            Err(ConnectError::InvalidUrl { url: mask(url), reason })
        }
    }
}

/// How to connect to the standbys of a database.
#[cfg(feature = "postgres")]
pub(crate) fn standby_servers(
    primary: &Target,
    urls: &[String],
) -> Result<Vec<PostgresTarget>, ConnectError> {
    #[cfg(feature = "sqlite")]
    let unusable =
        |url: &String, reason: &str| ConnectError::InvalidUrl { url: mask(url), reason: reason.to_owned() };
    let servers = urls.iter().map(|url| match (primary, Target::parse(url)?) {
        (Target::Postgres(_), Target::Postgres(server)) => Ok(server),
        #[cfg(feature = "sqlite")]
        (_, Target::Sqlite(_)) => Err(unusable(url, "reads can go to standbys of a PostgreSQL server only")),
        #[cfg(feature = "sqlite")]
        (Target::Sqlite(_), Target::Postgres(_)) => {
            Err(unusable(url, "it is for reads on a standby, and SQLite has none"))
        }
    });
    servers.collect()
}

#[allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "the one source of randomness; it fails on no supported system once it started"
)]
pub(crate) fn machine_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system has randomness");
}
