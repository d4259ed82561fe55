//! The revisions of a graph beside a database: which are applied, and which are on the path to a target.

use std::sync::Arc;
use std::time::Duration;

use crate::connection::Connection;
use crate::data_step::DataSteps;
use crate::dialect::Dialect;
use crate::error::MigrationError;
use crate::graph::{Graph, Target};
use crate::history::{self, History, HistoryEntry, Moment, Progress};
use crate::revision::Revision;
use crate::status::MigrationStatus;

/// How long a process waits for another one that migrates.
const LOCK_TIMEOUT: Duration = Duration::from_secs(120);

/// Migrates databases to and from the revisions of one graph. Cheap to clone.
#[derive(Clone)]
pub struct Migrator {
    pub(crate) graph: Arc<Graph>,
    pub(crate) application: String,
    pub(crate) steps: DataSteps,
    pub(crate) lock_timeout: Duration,
}

impl std::fmt::Debug for Migrator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Migrator").field("application", &self.application).finish_non_exhaustive()
    }
}

impl Migrator {
    /// Migrates along `graph`; the history records this version of the application.
    #[must_use]
    pub fn new(graph: Graph, application: impl Into<String>) -> Self {
        Self {
            graph: Arc::new(graph),
            application: application.into(),
            steps: &[],
            lock_timeout: LOCK_TIMEOUT,
        }
    }

    /// Sets the functions that revisions may name.
    #[must_use]
    pub const fn data_steps(mut self, steps: DataSteps) -> Self {
        self.steps = steps;
        self
    }

    /// Sets how long to wait for another process that migrates; two minutes by default.
    #[must_use]
    pub const fn lock_timeout(mut self, lock_timeout: Duration) -> Self {
        self.lock_timeout = lock_timeout;
        self
    }

    /// The revisions it knows.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Compares the history of the database with the known revisions; changes nothing.
    ///
    /// # Errors
    /// [`MigrationError::ExternalDatabase`], or a failure of the database.
    pub async fn status(&self, connection: &mut dyn Connection) -> Result<MigrationStatus, MigrationError> {
        let history = History::read(connection).await?;
        Ok(self.compare(&history, connection.dialect()))
    }

    fn compare(&self, history: &History, dialect: Dialect) -> MigrationStatus {
        let mut edited = Vec::new();
        let mut revisions = Vec::with_capacity(self.graph.revisions().len());
        for revision in self.graph.revisions() {
            let row = history.entries.get(&revision.id);
            // An interrupted revision is built again, with the text that it has now.
            let is_applied = |row: &&HistoryEntry| row.progress == Progress::Applied;
            if row.filter(is_applied).is_some_and(|row| row.sha256 != revision.sha256(dialect)) {
                edited.push(revision.id.clone());
            }
            revisions.push((revision.clone(), row.cloned()));
        }
        let mut unknown: Vec<HistoryEntry> =
            history.entries.values().filter(|row| self.graph.get(&row.id).is_none()).cloned().collect();
        unknown.sort_by(|one, other| (one.applied_at, &one.id).cmp(&(other.applied_at, &other.id)));
        MigrationStatus { revisions, unknown, edited }
    }

    /// The history, after checking that it fits the revisions.
    pub(crate) async fn verified(&self, connection: &mut dyn Connection) -> Result<History, MigrationError> {
        let history = History::read(connection).await?;
        self.compare(&history, connection.dialect()).verify()?;
        Ok(history)
    }

    /// What an upgrade would apply, in order; changes nothing.
    ///
    /// # Errors
    /// As [`upgrade`](Self::upgrade).
    pub async fn plan(
        &self,
        connection: &mut dyn Connection,
        target: &Target,
    ) -> Result<Vec<Revision>, MigrationError> {
        let history = self.verified(connection).await?;
        let path = self.graph.upgrade_path(|id| history.is_applied(id), target)?;
        Ok(path.into_iter().cloned().collect())
    }

    pub(crate) fn downgrade_path(
        &self,
        history: &History,
        dialect: Dialect,
        target: &Target,
        allow_data_loss: bool,
    ) -> Result<Vec<&Revision>, MigrationError> {
        let path = self.graph.downgrade_path(|id| history.progress(id).is_some(), target)?;
        for revision in &path {
            revision.down(dialect)?;
        }
        match path.iter().find(|revision| revision.destructive) {
            Some(revision) if !allow_data_loss => Err(MigrationError::Destructive(revision.to_string())),
            _ => Ok(path),
        }
    }

    /// The revisions whose rows a stamp writes, or else deletes.
    pub(crate) fn stamped(
        &self,
        history: &History,
        dialect: Dialect,
        target: &Target,
    ) -> Result<Vec<(&Revision, bool)>, MigrationError> {
        if let Some(unknown) = self.compare(history, dialect).unknown.first() {
            return Err(MigrationError::UnknownRevision(unknown.id.clone()));
        }
        let all = || self.graph.revisions().iter();
        let (applied, absent) = match target {
            Target::Base => (Vec::new(), all().map(|revision| revision.id.as_str()).collect()),
            Target::Heads => (all().map(|revision| revision.id.as_str()).collect(), Vec::new()),
            Target::Head => {
                self.graph.upgrade_path(|_| true, target)?;
                (all().map(|revision| revision.id.as_str()).collect(), Vec::new())
            }
            Target::Revision(name) => {
                let revision = self.graph.find(name)?;
                let applied: Vec<&str> = self.graph.with_ancestors(revision).into_iter().collect();
                let mut absent: Vec<&str> = self.graph.with_dependents(revision).into_iter().collect();
                absent.retain(|id| *id != revision.id);
                (applied, absent)
            }
            Target::Forward(_) | Target::Back(_) => {
                let message = "a stamp names a revision, head, heads or base";
                return Err(MigrationError::WrongTarget(message.to_owned()));
            }
        };
        let mut changes = Vec::new();
        for revision in all() {
            let row = history.entries.get(&revision.id);
            let is_right = row.is_some_and(|row| {
                row.progress == Progress::Applied && row.sha256 == revision.sha256(dialect)
            });
            if applied.contains(&revision.id.as_str()) && !is_right {
                changes.push((revision, true));
            }
            if absent.contains(&revision.id.as_str()) && row.is_some() {
                changes.push((revision, false));
            }
        }
        Ok(changes)
    }

    pub(crate) fn stamp_sql(
        &self,
        dialect: Dialect,
        revision: &Revision,
        is_applied: bool,
        at: Moment,
    ) -> String {
        let mut sql = history::delete(revision);
        if is_applied {
            sql += &history::insert(dialect, revision, at, None, &self.application, Progress::Applied);
        }
        let detail = Some(if is_applied { "as applied" } else { "as not applied" });
        sql + &self.log(dialect, "stamp", revision, at, None, detail)
    }

    pub(crate) fn log(
        &self,
        dialect: Dialect,
        action: &'static str,
        revision: &Revision,
        at: Moment,
        duration_ms: Option<i64>,
        detail: Option<&str>,
    ) -> String {
        history::log::insert(dialect, at, action, revision, duration_ms, &self.application, detail)
    }
}
