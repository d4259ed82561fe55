//! The record: one row for each applied revision.

use std::collections::HashMap;

use super::values::{Moment, columns, microseconds, moment, number, quoted};
use crate::connection::{Connection, TextRow};
use crate::dialect::Dialect;
use crate::error::MigrationError;
use crate::revision::Revision;

pub(super) const TABLE: &str = "chatstore_migrations";

/// Programs of all versions read this table, so its name, its columns and their order stay.
const CREATE_RECORD_SQLITE: &str = "\
create table chatstore_migrations (
  revision text not null,
  slug text not null,
  sha256 text not null,
  applied_at integer not null,
  duration_ms integer,
  application text,
  breaking integer not null default 0,
  progress text not null default 'applied',
  constraint pk_chatstore_migrations primary key (revision)
) strict, without rowid;
";

const CREATE_RECORD_POSTGRES: &str = "\
create table chatstore_migrations (
  revision text collate \"C\" not null,
  slug text collate \"C\" not null,
  sha256 text collate \"C\" not null,
  applied_at timestamptz not null,
  duration_ms bigint,
  application text collate \"C\",
  breaking boolean not null default false,
  progress text collate \"C\" not null default 'applied',
  constraint pk_chatstore_migrations primary key (revision)
);
";

/// How far a revision in the record is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Completely.
    Applied,
    /// Its step outside a transaction has begun and is not known to have ended.
    Running,
    /// Undoing its step outside a transaction has begun and is not known to have ended.
    Undoing,
}

impl Progress {
    /// As it is stored in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Running => "running",
            Self::Undoing => "undoing",
        }
    }
}

/// A revision in the record.
#[derive(Debug, Clone)]
pub struct HistoryEntry {
    /// Its id.
    pub id: String,
    /// Its name.
    pub slug: String,
    /// The digest of what was run.
    pub sha256: String,
    /// Microseconds since 1970.
    pub applied_at: i64,
    /// How long it took; unknown where a script applied it.
    pub duration_ms: Option<i64>,
    /// The version of the program that applied it.
    pub application: Option<String>,
    /// Whether programs that do not know it can no longer work with the database.
    pub breaking: bool,
    /// How far it is applied.
    pub progress: Progress,
}

/// The record of a database.
#[derive(Debug, Clone)]
pub(crate) struct History {
    /// Whether the tables exist.
    pub(crate) exists: bool,
    pub(crate) entries: HashMap<String, HistoryEntry>,
}

impl History {
    /// Reads the record; changes nothing.
    pub(crate) async fn read(connection: &mut dyn Connection) -> Result<Self, MigrationError> {
        let failed = |error| MigrationError::database("reading the history", error);
        let dialect = connection.dialect();
        let columns = columns(connection, TABLE).await.map_err(failed)?;
        let has = |names: &[&str]| names.iter().all(|name| columns.iter().any(|column| column == name));
        if columns.is_empty() {
            return Ok(Self { exists: false, entries: HashMap::new() });
        }
        if !has(&["revision", "slug", "sha256", "applied_at", "duration_ms", "breaking", "progress"]) {
            return Err(MigrationError::ExternalDatabase(format!(
                "the table {} has other columns than the history of chatstore",
                TABLE
            )));
        }
        let rows = connection.query(&select(dialect)).await.map_err(failed)?;
        let mut entries = HashMap::with_capacity(rows.len());
        for row in rows {
            let entry = read_entry(row).map_err(|reason| {
                MigrationError::ExternalDatabase(format!("the table {} cannot be read: {reason}", TABLE))
            })?;
            entries.insert(entry.id.clone(), entry);
        }
        Ok(Self { exists: true, entries })
    }

    pub(crate) fn progress(&self, id: &str) -> Option<Progress> {
        self.entries.get(id).map(|entry| entry.progress)
    }

    pub(crate) fn is_applied(&self, id: &str) -> bool {
        self.progress(id) == Some(Progress::Applied)
    }
}

fn select(dialect: Dialect) -> String {
    let at = microseconds(dialect, "applied_at");
    let breaking = match dialect {
        Dialect::Sqlite => "breaking",
        Dialect::Postgres => "cast(breaking as integer)",
    };
    format!(
        "select revision, slug, sha256, {at}, duration_ms, application, {breaking}, progress \
         from chatstore_migrations"
    )
}

fn read_entry(row: TextRow) -> Result<HistoryEntry, String> {
    let mut columns = row.into_iter();
    let mut next = || columns.next().flatten();
    let (id, slug, sha256) = (next(), next(), next());
    let number = |text: Option<String>| text.and_then(|text| text.parse::<i64>().ok());
    let (applied_at, duration_ms, application) = (number(next()), number(next()), next());
    let (breaking, progress) = (number(next()), next());
    let progress = match progress.as_deref() {
        Some("applied") => Progress::Applied,
        Some("running") => Progress::Running,
        Some("undoing") => Progress::Undoing,
        other => return Err(format!("a revision's progress is {other:?}")),
    };
    let (Some(id), Some(slug), Some(sha256), Some(applied_at)) = (id, slug, sha256, applied_at) else {
        return Err("a revision's row has no values".to_owned());
    };
    let breaking = breaking == Some(1);
    Ok(HistoryEntry { id, slug, sha256, applied_at, duration_ms, application, breaking, progress })
}

/// Creates the table of the record.
pub(super) const fn create(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => CREATE_RECORD_SQLITE,
        Dialect::Postgres => CREATE_RECORD_POSTGRES,
    }
}

/// Writes a revision's row.
pub(crate) fn insert(
    dialect: Dialect,
    revision: &Revision,
    at: Moment,
    duration_ms: Option<i64>,
    application: &str,
    progress: Progress,
) -> String {
    let breaking = match (dialect, revision.breaking) {
        (Dialect::Sqlite, false) => "0",
        (Dialect::Sqlite, true) => "1",
        (Dialect::Postgres, false) => "false",
        (Dialect::Postgres, true) => "true",
    };
    format!(
        "insert into chatstore_migrations\n  \
         (revision, slug, sha256, applied_at, duration_ms, application, breaking, progress)\n  \
         values ({}, {}, {}, {}, {}, {}, {breaking}, {});\n",
        quoted(&revision.id),
        quoted(&revision.slug),
        quoted(&revision.sha256(dialect)),
        moment(dialect, at),
        number(duration_ms),
        quoted(application),
        quoted(progress.as_str()),
    )
}

/// Marks a revision that has a row.
pub(crate) fn mark(
    dialect: Dialect,
    revision: &Revision,
    at: Moment,
    duration_ms: Option<i64>,
    progress: Progress,
) -> String {
    format!(
        "update chatstore_migrations\n  set progress = {}, sha256 = {}, applied_at = {}, duration_ms = {}\n  \
         where revision = {};\n",
        quoted(progress.as_str()),
        quoted(&revision.sha256(dialect)),
        moment(dialect, at),
        number(duration_ms),
        quoted(&revision.id),
    )
}

/// Deletes a revision's row.
pub(crate) fn delete(revision: &Revision) -> String {
    format!("delete from chatstore_migrations where revision = {};\n", quoted(&revision.id))
}
