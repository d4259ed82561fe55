//! The revisions of our schema, applied by `chatstore-migrate` through both drivers.
//!
//! A revision is a folder under `migrations/`, embedded in the binary. A revision that names a
//! data step finds it in [`DATA_STEPS`].

mod addresses;
mod parts;
#[cfg(feature = "postgres")]
mod postgres;
mod scratch;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::pin::Pin;
#[cfg(all(feature = "sqlite", unix))]
use std::sync::Arc;

use chatstore_migrate::{
    Connection, DataSteps, DatabaseError, DatabaseErrorKind, Graph, LogEntry, MigrationError, MigrationEvent,
    MigrationStatus, Migrator, Revision, RevisionFiles, Script, Target,
};
#[cfg(all(feature = "sqlite", unix))]
use chatstore_model::SystemClock;
use chatstore_model::Timestamp;

use crate::database::{Backend, Database};
use crate::options::{DatabaseKind, DatabaseOptions};

/// The functions that our revisions may name as data steps.
pub const DATA_STEPS: DataSteps =
    &[("address_keys", addresses::address_keys), ("write_parts_canonically", parts::write_parts_canonically)];

/// Where to migrate to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Apply everything that is pending.
    Upgrade,
    /// Undo everything.
    Base,
    /// Undo the newest revision.
    OneDown,
}

/// The revisions of a database after a migration.
#[derive(Debug, Clone)]
pub struct MigrationSummary {
    /// Applied revisions, in order, with the time of each.
    pub applied: Vec<(Revision, Timestamp)>,
    /// Revisions that are not applied yet, in order.
    pub pending: Vec<Revision>,
    /// Revisions that this migration applied or undid.
    pub changed: Vec<Revision>,
}

/// Every revision this program knows, in the order in which they apply.
///
/// # Errors
/// [`MigrationError::Malformed`] and the like when an embedded folder is not well-formed.
pub fn revisions() -> Result<Vec<Revision>, MigrationError> {
    Ok(embedded_graph()?.revisions().to_vec())
}

/// The `schema.json` of a revision of this program.
#[must_use]
pub fn snapshot(id: &str) -> Option<&'static str> {
    let snapshots: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/snapshots.rs"));
    snapshots.iter().find(|(of, _)| *of == id).map(|(_, text)| *text)
}

fn embedded_graph() -> Result<Graph, MigrationError> {
    let embedded: Vec<RevisionFiles> = include!(concat!(env!("OUT_DIR"), "/revisions.rs")).into();
    let revisions: Result<Vec<Revision>, MigrationError> =
        embedded.into_iter().map(Revision::parse).collect();
    Graph::new(revisions?)
}

/// An id for a new revision, from the random numbers of the operating system.
#[must_use]
pub fn new_revision_id() -> String {
    let mut bytes = [0; 6];
    DatabaseOptions::new("").ids.random(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The history of a SQLite file that is not open as a [`Database`], compared with the revisions of this program;
/// changes nothing.
#[cfg(all(feature = "sqlite", unix))]
pub(crate) fn file_status(connection: &mut rusqlite::Connection) -> Result<MigrationStatus, MigrationError> {
    let migrator = Migrator::new(embedded_graph()?, env!("CARGO_PKG_VERSION"));
    sqlite::on_connection(connection, Arc::new(SystemClock), |it| {
        Box::pin(async move { migrator.status(it).await })
    })
}

impl Database {
    /// Which revisions are applied and which are pending; changes nothing.
    ///
    /// # Errors
    /// [`MigrationError::UnknownRevision`], [`MigrationError::Edited`], or what the database
    /// reports.
    pub async fn migration_summary(&self) -> Result<MigrationSummary, MigrationError> {
        let status = self.migrations()?.status().await?;
        status.verify()?;
        Ok(summary(&status))
    }

    /// Migrates by the revisions of this program; each is a transaction of its own.
    ///
    /// # Errors
    /// [`MigrationError`]; nothing of the revision that failed was changed then.
    pub async fn migrate(&self, direction: Direction) -> Result<MigrationSummary, MigrationError> {
        let migrations = self.migrations()?;
        let changed = match direction {
            Direction::Upgrade => migrations.upgrade(Target::Heads, log_notes).await?,
            Direction::Base => migrations.downgrade(Target::Base, true, |_| {}).await?,
            Direction::OneDown => match migrations.downgrade(Target::Back(1), true, |_| {}).await {
                Err(MigrationError::TooFar { left: 0, .. }) => Vec::new(),
                undone => undone?,
            },
        };
        Ok(MigrationSummary { changed, ..self.migration_summary().await? })
    }

    /// Migrations along the revisions of this program.
    ///
    /// # Errors
    /// As [`revisions`].
    pub fn migrations(&self) -> Result<Migrations<'_>, MigrationError> {
        let migrator = Migrator::new(embedded_graph()?, env!("CARGO_PKG_VERSION"));
        Ok(self.migrations_by(migrator.data_steps(DATA_STEPS)))
    }

    /// The same with other revisions than those of this program.
    #[must_use]
    pub const fn migrations_by(&self, migrator: Migrator) -> Migrations<'_> {
        Migrations { database: self, migrator }
    }

    /// Runs `work` on a separate connection, with no transaction open and no time limits.
    async fn migrating<T, F>(&self, work: F) -> Result<T, MigrationError>
    where
        F: for<'c> FnOnce(&'c mut dyn Connection) -> Work<'c, T> + Send + 'static,
        T: Send + 'static,
    {
        match self.backend() {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(database) => sqlite::migrating(database, self.clock(), work).await,
            #[cfg(feature = "postgres")]
            Backend::Postgres(database) => postgres::migrating(database, self.clock(), work).await,
        }
    }
}

/// For migrations that nobody watches.
fn log_notes(event: &MigrationEvent<'_>) {
    if let MigrationEvent::Note { revision, text } = event {
        tracing::info!(revision = revision.id, slug = revision.slug, "{text}");
    }
}

/// The work of the engine on a connection.
type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, MigrationError>> + Send + 'c>>;

fn summary(status: &MigrationStatus) -> MigrationSummary {
    let applied = status.applied().map(|(revision, row)| {
        let at = Timestamp::from_microseconds(row.applied_at).unwrap_or(Timestamp::MIN);
        (revision.clone(), at)
    });
    MigrationSummary {
        applied: applied.collect(),
        pending: status.pending().cloned().collect(),
        changed: Vec::new(),
    }
}

/// Migrations of a database along the revisions of one graph.
///
/// Every method changes the database unless it says otherwise; each may be called by any number of
/// processes at once.
#[derive(Debug)]
pub struct Migrations<'d> {
    database: &'d Database,
    migrator: Migrator,
}

impl Migrations<'_> {
    /// The revisions.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        self.migrator.graph()
    }

    /// Compares the history of the database with the revisions; changes nothing.
    ///
    /// # Errors
    /// As [`Migrator::status`].
    pub async fn status(&self) -> Result<MigrationStatus, MigrationError> {
        self.run(|migrator, it| Box::pin(async move { migrator.status(it).await })).await
    }

    /// What was done to the database and what failed, newest first; changes nothing.
    ///
    /// # Errors
    /// As [`LogEntry::read_all`].
    pub async fn log(&self) -> Result<Vec<LogEntry>, MigrationError> {
        self.run(|_, it| Box::pin(async move { LogEntry::read_all(it).await })).await
    }

    /// What an upgrade would apply; changes nothing.
    ///
    /// # Errors
    /// As [`Migrator::plan`].
    pub async fn plan(&self, target: Target) -> Result<Vec<Revision>, MigrationError> {
        self.run(|migrator, it| Box::pin(async move { migrator.plan(it, &target).await })).await
    }

    /// Applies what is pending on the path to a target; returns what it applied. `observe` receives each
    /// step as it happens.
    ///
    /// # Errors
    /// As [`Migrator::upgrade`]; [`MigrationError::Database`] with an [`UnsupportedEncoding`] before anything is
    /// written.
    ///
    /// [`UnsupportedEncoding`]: crate::UnsupportedEncoding
    pub async fn upgrade(
        &self,
        target: Target,
        mut observe: impl FnMut(&MigrationEvent<'_>) + Send + 'static,
    ) -> Result<Vec<Revision>, MigrationError> {
        self.database.check_encoding().map_err(|error| MigrationError::Database {
            doing: "examining the database".to_owned(),
            cause: DatabaseError::new(DatabaseErrorKind::Unsuitable, error),
        })?;
        self.run(|migrator, it| Box::pin(async move { migrator.upgrade(it, &target, &mut observe).await }))
            .await
    }

    /// Undoes what was applied after a target; returns what it undid.
    ///
    /// # Errors
    /// As [`Migrator::downgrade`].
    pub async fn downgrade(
        &self,
        target: Target,
        allow_data_loss: bool,
        mut observe: impl FnMut(&MigrationEvent<'_>) + Send + 'static,
    ) -> Result<Vec<Revision>, MigrationError> {
        self.run(move |migrator, it| {
            Box::pin(async move { migrator.downgrade(it, &target, allow_data_loss, &mut observe).await })
        })
        .await
    }

    /// Records in the history that revisions are applied, or are not, without running any; returns the
    /// revisions it recorded. The tables are compared first with what the revisions create that are applied then; tables
    /// of others beside them do not count.
    ///
    /// # Errors
    /// [`MigrationError::OtherTables`] when they differ; as [`Migrator::stamp`] and [`replay`](Self::replay).
    pub async fn stamp(&self, target: Target) -> Result<Vec<Revision>, MigrationError> {
        let to = target.clone();
        let applied = self
            .run(|migrator, it| Box::pin(async move { migrator.applied_by_stamp(it, &to).await }))
            .await?;
        let Some(applied) = applied else { return Ok(Vec::new()) };
        let deviations = self.replay(applied).await?.deviations(&self.catalog().await?);
        let deviations: Vec<String> = deviations
            .iter()
            .filter(|deviation| !deviation.is_other_table())
            .map(ToString::to_string)
            .collect();
        if !deviations.is_empty() {
            return Err(MigrationError::OtherTables(deviations));
        }
        self.run(|migrator, it| Box::pin(async move { migrator.stamp(it, &target).await })).await
    }

    /// The SQL that does the same when another client runs it; changes nothing.
    ///
    /// # Errors
    /// As [`Migrator::script`].
    pub async fn script(&self, script: Script) -> Result<String, MigrationError> {
        let text =
            self.run(|migrator, it| Box::pin(async move { migrator.script(it, &script).await })).await?;
        let preamble = match self.database.kind() {
            #[cfg(feature = "sqlite")]
            DatabaseKind::Sqlite => sqlite::preamble(),
            #[cfg(not(feature = "sqlite"))]
            DatabaseKind::Sqlite => String::new(),
            DatabaseKind::Postgres => String::new(),
        };
        Ok(if text.is_empty() { text } else { preamble + &text })
    }

    async fn run<T, F>(&self, work: F) -> Result<T, MigrationError>
    where
        F: for<'c> FnOnce(Migrator, &'c mut dyn Connection) -> Work<'c, T> + Send + 'static,
        T: Send + 'static,
    {
        let migrator = self.migrator.clone();
        self.database.migrating(move |it| work(migrator, it)).await
    }
}

#[cfg(test)]
mod tests {
    use super::revisions;

    #[test]
    fn every_folder_is_embedded() {
        let mut folders: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut known: Vec<String> = revisions()
            .unwrap()
            .iter()
            .map(|revision| format!("{}_{}", revision.id, revision.slug))
            .collect();
        folders.sort_unstable();
        known.sort_unstable();
        assert_eq!(folders, known);
    }
}
