//! The revisions of a graph beside a database: which are applied, and which are on the way to a target.

use std::sync::Arc;
use std::time::Duration;

use crate::connection::Connection;
use crate::data_step::DataSteps;
use crate::dialect::Dialect;
use crate::error::MigrationError;
use crate::graph::{Graph, Target};
use crate::history::{self, Applied, History, Moment, Progress};
use crate::revision::Revision;
use crate::status::Survey;

/// How long a process waits for another that migrates.
const PATIENCE: Duration = Duration::from_secs(120);

/// Migrates databases to and from the revisions of one graph. Cheap to clone.
#[derive(Clone)]
pub struct Migrator {
    pub(crate) graph: Arc<Graph>,
    pub(crate) application: String,
    pub(crate) steps: DataSteps,
    pub(crate) patience: Duration,
}

impl std::fmt::Debug for Migrator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Migrator").field("application", &self.application).finish_non_exhaustive()
    }
}

impl Migrator {
    /// Migrates along `graph`; the history will say that this version of an application did it.
    #[must_use]
    pub fn new(graph: Graph, application: impl Into<String>) -> Self {
        Self { graph: Arc::new(graph), application: application.into(), steps: &[], patience: PATIENCE }
    }

    /// Has functions that revisions may name.
    #[must_use]
    pub const fn data_steps(mut self, steps: DataSteps) -> Self {
        self.steps = steps;
        self
    }

    /// Waits so long for another process that migrates; two minutes unless said otherwise.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The revisions it knows.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What the database remembers beside what is known here; changes nothing.
    ///
    /// # Errors
    /// [`MigrationError::ForeignDatabase`], or that the database failed.
    pub async fn survey(&self, connection: &mut dyn Connection) -> Result<Survey, MigrationError> {
        let history = History::read(connection).await?;
        Ok(self.compare(&history, connection.dialect()))
    }

    fn compare(&self, history: &History, dialect: Dialect) -> Survey {
        let mut edited = Vec::new();
        let mut revisions = Vec::with_capacity(self.graph.revisions().len());
        for revision in self.graph.revisions() {
            let row = history.entries.get(&revision.id);
            // One that was interrupted is yet to be built, by whatever text it has now.
            let is_applied = |row: &&Applied| row.progress == Progress::Applied;
            if row.filter(is_applied).is_some_and(|row| row.sha256 != revision.sha256(dialect)) {
                edited.push(revision.id.clone());
            }
            revisions.push((revision.clone(), row.cloned()));
        }
        let mut unknown: Vec<Applied> =
            history.entries.values().filter(|row| self.graph.get(&row.id).is_none()).cloned().collect();
        unknown.sort_by(|one, other| (one.applied_at, &one.id).cmp(&(other.applied_at, &other.id)));
        Survey { revisions, unknown, edited }
    }

    /// The history, once it is known to fit the revisions.
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
        let way = self.graph.way_up(|id| history.is_applied(id), target)?;
        Ok(way.into_iter().cloned().collect())
    }

    pub(crate) fn way_down(
        &self,
        history: &History,
        dialect: Dialect,
        target: &Target,
        may_lose_data: bool,
    ) -> Result<Vec<&Revision>, MigrationError> {
        let way = self.graph.way_down(|id| history.progress(id).is_some(), target)?;
        for revision in &way {
            revision.down(dialect)?;
        }
        match way.iter().find(|revision| revision.loses_data) {
            Some(revision) if !may_lose_data => Err(MigrationError::LosesData(revision.to_string())),
            _ => Ok(way),
        }
    }

    /// The revisions whose row is to be written, or else taken away.
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
                self.graph.way_up(|_| true, target)?;
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
        is_there: bool,
        at: Moment,
    ) -> String {
        let mut sql = history::delete(revision);
        if is_there {
            sql += &history::insert(dialect, revision, at, None, &self.application, Progress::Applied);
        }
        let detail = Some(if is_there { "as applied" } else { "as not applied" });
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
