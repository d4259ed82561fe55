//! Databases of other applications, read and never changed.
//!
//! Their tables have names and columns that are known only at run time, so values come as
//! [`ExternalValue`]s and what is read is said by a [`Selection`], never by text. Everything is read
//! in one transaction: what the other application writes meanwhile is not seen.

#[cfg(feature = "postgres")]
mod postgres;
mod selection;
#[cfg(feature = "sqlite")]
mod sqlite;

use crate::error::{Cause, ConnectError};

pub use selection::{Joined, Selection};

/// Rows are handed over in chunks, whose size is limited by rows and, a little less strictly, by bytes.
const PIECE_ROWS: usize = 512;
const PIECE_BYTES: usize = 1024 * 1024;

/// A value of another application's table.
#[derive(Debug, Clone, PartialEq)]
pub enum ExternalValue {
    /// Null.
    Null,
    /// A truth value; SQLite gives 0 or 1 instead.
    Bool(bool),
    /// An integer of up to 64 bits.
    Int(i64),
    /// A float.
    Real(f64),
    /// Text, and in PostgreSQL everything that is none of the others, as its text.
    Text(String),
    /// Bytes, and text that is not UTF-8.
    Bytes(Vec<u8>),
}

/// One row, its values in the order of the selection's columns.
pub type ExternalRow = Vec<ExternalValue>;

/// A column of another application's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalColumn {
    /// Its name.
    pub name: String,
    /// Its declared type, in lower case; empty when SQLite was told none.
    pub declared: String,
}

/// A table of another application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalTable {
    /// Its name, with its schema before a dot when it has been asked for so.
    pub name: String,
    /// Its columns in order.
    pub columns: Vec<ExternalColumn>,
}

impl ExternalTable {
    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ExternalColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// Another application's database that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// The URL names no database we know, or not in a form we understand.
    #[error("cannot use the database URL {url}: {reason}")]
    InvalidUrl {
        /// The URL without its password.
        url: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// There is no such file or database.
    #[error("there is no database {place}")]
    Absent {
        /// File, or host, port and name.
        place: String,
    },
    /// Nothing answers there, or not in time.
    #[error("cannot reach the database at {place}: {cause}")]
    Unreachable {
        /// Host, port and name.
        place: String,
        /// The driver's words.
        cause: Cause,
    },
    /// The server or the file system refuses us.
    #[error("no permission to read the database at {place}: {cause}")]
    Denied {
        /// File, or host, port and name.
        place: String,
        /// The driver's words.
        cause: Cause,
    },
    /// It is no database, it is damaged, or the connection was lost.
    #[error("cannot read {place}: {reason}")]
    Unreadable {
        /// File, or host, port and name.
        place: String,
        /// Why.
        reason: String,
    },
}

impl From<ConnectError> for ExternalError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::InvalidUrl { url, reason } => Self::InvalidUrl { url, reason },
            ConnectError::Unreachable { place, cause } => Self::Unreachable { place, cause },
            ConnectError::Denied { place, cause } => Self::Denied { place, cause },
            ConnectError::CannotCreate { place, reason }
            | ConnectError::NotWritable { place, reason }
            | ConnectError::Unusable { place, reason } => Self::Unreadable { place, reason },
            ConnectError::StorageFull { place, cause }
            | ConnectError::NoLocks { place, cause }
            | ConnectError::FileFailed { place, cause } => {
                Self::Unreadable { place, reason: cause.to_string() }
            }
            ConnectError::InUse { place, holder } => {
                Self::Unreadable { place, reason: format!("{holder} uses it") }
            }
        }
    }
}

/// Another application's database.
#[derive(Debug)]
pub struct ExternalDatabase {
    place: String,
    connection: Connection,
}

#[derive(Debug)]
enum Connection {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlite::SqliteReader),
    #[cfg(feature = "postgres")]
    Postgres(postgres::PostgresReader),
}

impl ExternalDatabase {
    /// Opens a database and begins the transaction in which all of it is read. Takes the URLs of
    /// SQLAlchemy (`sqlite:///chat.db`, `postgresql+psycopg://…`), our own, and the path of a
    /// SQLite file.
    ///
    /// # Errors
    /// [`ExternalError`], which says what is wrong with the URL, the file or the server.
    pub async fn open(url: &str) -> Result<Self, ExternalError> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("sqlite", url));
        let reason = match scheme.split('+').next().unwrap_or(scheme) {
            #[cfg(feature = "sqlite")]
            "sqlite" => {
                let (reader, place) = sqlite::SqliteReader::open(rest).await?;
                return Ok(Self { place, connection: Connection::Sqlite(reader) });
            }
            #[cfg(not(feature = "sqlite"))]
            "sqlite" => crate::url::NO_SQLITE.to_owned(),
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => {
                let (reader, place) = postgres::PostgresReader::open(rest).await?;
                return Ok(Self { place, connection: Connection::Postgres(reader) });
            }
            #[cfg(not(feature = "postgres"))]
            "postgres" | "postgresql" => crate::url::NO_POSTGRES.to_owned(),
            other => format!(
                "the scheme {other} is unknown; SQLite (sqlite:///FILE) and PostgreSQL \
                 (postgresql://USER:PASSWORD@HOST/DATABASE) can be read"
            ),
        };
        Err(ExternalError::InvalidUrl { url: crate::url::mask(url), reason })
    }

    /// Where it lies: file, or host, port and name; never a password.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The file of a SQLite database.
    #[must_use]
    pub fn file(&self) -> Option<&std::path::Path> {
        match &self.connection {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(_) => Some(std::path::Path::new(&self.place)),
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => None,
        }
    }

    /// The names of its tables and views.
    ///
    /// # Errors
    /// [`ExternalError::Unreadable`], [`ExternalError::Denied`].
    pub async fn table_names(&self) -> Result<Vec<String>, ExternalError> {
        let names = on_either!(Connection: &self.connection, reader => reader.table_names().await);
        names.map_err(|reason| self.unreadable(reason))
    }

    /// The table or view of this name, when there is one.
    ///
    /// # Errors
    /// As [`table_names`](Self::table_names).
    pub async fn table(&self, name: &str) -> Result<Option<ExternalTable>, ExternalError> {
        let columns = on_either!(Connection: &self.connection, reader => reader.columns(name).await);
        let columns = columns.map_err(|reason| self.unreadable(reason))?;
        Ok((!columns.is_empty()).then(|| ExternalTable { name: name.to_owned(), columns }))
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// As [`table_names`](Self::table_names).
    pub async fn count(&self, table: &ExternalTable) -> Result<u64, ExternalError> {
        let text = selection::count(table);
        let count = on_either!(Connection: &self.connection, reader => reader.number(text).await);
        let count = count.map_err(|reason| self.unreadable(reason))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Reads what the selection says, a piece at a time; a piece is read when it is asked for.
    ///
    /// # Errors
    /// As [`table_names`](Self::table_names).
    pub async fn rows(&mut self, selection: &Selection<'_>) -> Result<ExternalRows<'_>, ExternalError> {
        let pieces = match &self.connection {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(reader) => reader.rows(selection.sqlite()).await.map(Pieces::Sqlite),
            #[cfg(feature = "postgres")]
            Connection::Postgres(reader) => {
                reader.rows(&selection.postgres(), selection.declared()).await.map(Pieces::Postgres)
            }
        };
        let pieces = pieces.map_err(|reason| self.unreadable(reason))?;
        Ok(ExternalRows { place: &self.place, pieces })
    }

    fn unreadable(&self, reason: String) -> ExternalError {
        ExternalError::Unreadable { place: self.place.clone(), reason }
    }
}

/// Rows that are being read.
#[derive(Debug)]
pub struct ExternalRows<'d> {
    place: &'d str,
    pieces: Pieces,
}

#[derive(Debug)]
enum Pieces {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlite::SqliteRows),
    #[cfg(feature = "postgres")]
    Postgres(postgres::PostgresRows),
}

impl ExternalRows<'_> {
    /// The next rows; `None` after the last.
    ///
    /// # Errors
    /// [`ExternalError::Unreadable`].
    pub async fn next(&mut self) -> Result<Option<Vec<ExternalRow>>, ExternalError> {
        let piece = on_either!(Pieces: &mut self.pieces, rows => rows.next().await);
        piece.map_err(|reason| ExternalError::Unreadable { place: self.place.to_owned(), reason })
    }
}

/// About how much memory a value takes.
fn size(value: &ExternalValue) -> usize {
    let held = match value {
        ExternalValue::Text(text) => text.len(),
        ExternalValue::Bytes(bytes) => bytes.len(),
        _ => 0,
    };
    size_of::<ExternalValue>() + held
}
