//! The log: what was done and what failed. Entries are only ever added.

use super::values::{Moment, columns, microseconds, moment, number, quoted};
use crate::connection::{Connection, TextRow};
use crate::dialect::Dialect;
use crate::error::MigrationError;
use crate::revision::Revision;

pub(super) const TABLE: &str = "chatstore_migrations_log";

const CREATE_LOG_SQLITE: &str = "\
create table chatstore_migrations_log (
  entry integer not null,
  at integer not null,
  action text not null,
  revision text not null,
  sha256 text not null,
  duration_ms integer,
  application text not null,
  detail text,
  constraint pk_chatstore_migrations_log primary key (entry)
) strict, without rowid;
";

const CREATE_LOG_POSTGRES: &str = "\
create table chatstore_migrations_log (
  entry bigint not null,
  at timestamptz not null,
  action text collate \"C\" not null,
  revision text collate \"C\" not null,
  sha256 text collate \"C\" not null,
  duration_ms bigint,
  application text collate \"C\" not null,
  detail text collate \"C\",
  constraint pk_chatstore_migrations_log primary key (entry)
);
";

/// Something in the log that was done or that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Microseconds since 1970.
    pub at: i64,
    /// `upgrade`, `downgrade`, `stamp`, or `failed`.
    pub action: String,
    /// The revision's id.
    pub revision: String,
    /// The digest of what applying it runs.
    pub sha256: String,
    /// How long it took; unknown where a script did it, or nothing was run.
    pub duration_ms: Option<i64>,
    /// The version of the program that did it.
    pub application: String,
    /// What a stamp recorded for the revision, or why it failed.
    pub detail: Option<String>,
}

impl LogEntry {
    /// The whole log, newest first; empty where there is none. Changes nothing.
    ///
    /// # Errors
    /// [`MigrationError::ExternalDatabase`], or a failure of the database.
    pub async fn read_all(connection: &mut dyn Connection) -> Result<Vec<Self>, MigrationError> {
        let failed = |error| MigrationError::database("reading the log", error);
        if columns(connection, TABLE).await.map_err(failed)?.is_empty() {
            return Ok(Vec::new());
        }
        let at = microseconds(connection.dialect(), "at");
        let sql = format!(
            "select {at}, action, revision, sha256, duration_ms, application, detail \
             from chatstore_migrations_log order by entry desc"
        );
        let rows = connection.query(&sql).await.map_err(failed)?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            entries.push(Self::of(row).ok_or_else(|| {
                MigrationError::ExternalDatabase(format!("the table {} has a row without values", TABLE))
            })?);
        }
        Ok(entries)
    }

    fn of(row: TextRow) -> Option<Self> {
        let mut columns = row.into_iter();
        let mut next = || columns.next().flatten();
        Some(Self {
            at: next()?.parse().ok()?,
            action: next()?,
            revision: next()?,
            sha256: next()?,
            duration_ms: next().and_then(|text| text.parse().ok()),
            application: next()?,
            detail: next(),
        })
    }
}

/// Creates the table of the log.
pub(super) const fn create(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => CREATE_LOG_SQLITE,
        Dialect::Postgres => CREATE_LOG_POSTGRES,
    }
}

/// Adds an entry to the log.
pub(crate) fn insert(
    dialect: Dialect,
    at: Moment,
    action: &str,
    revision: &Revision,
    duration_ms: Option<i64>,
    application: &str,
    detail: Option<&str>,
) -> String {
    let detail = detail.map_or_else(|| "null".to_owned(), quoted);
    format!(
        "insert into chatstore_migrations_log\n  \
         (entry, at, action, revision, sha256, duration_ms, application, detail)\n  \
         select coalesce(max(entry), 0) + 1, {}, {}, {}, {}, {}, {}, {detail} from chatstore_migrations_log;\n",
        moment(dialect, at),
        quoted(action),
        quoted(&revision.id),
        quoted(&revision.sha256(dialect)),
        number(duration_ms),
        quoted(application),
    )
}
