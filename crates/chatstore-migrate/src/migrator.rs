//! Applies, undoes and records revisions.

use std::sync::Arc;
use std::time::Duration;

use crate::change::{Change, Direction};
use crate::connection::{Connection, Dialect};
use crate::data_step::{self, DataSteps};
use crate::error::MigrationError;
use crate::graph::{Graph, Target};
use crate::history::{self, Applied, History, Moment, Progress};
use crate::lock;
use crate::log;
use crate::revision::Revision;

/// How long a process waits for another that migrates.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is told while migrating.
#[derive(Debug)]
pub enum Event<'e> {
    /// Another process migrates; this one waits.
    Waiting,
    /// A revision is being applied.
    Applying(&'e Revision),
    /// A revision is applied; what was done is on disk.
    Applied(&'e Revision),
    /// A revision is undone; what was done is on disk.
    Undone(&'e Revision),
    /// A data step has changed so many rows so far.
    Rows {
        /// The revision whose step it is.
        revision: &'e Revision,
        /// Rows so far.
        rows: u64,
    },
}

/// How the engine tells what it does.
pub(crate) type Observe<'o> = &'o mut (dyn FnMut(&Event<'_>) + Send);

/// The known revisions beside what a database remembers.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The known revisions, in order, each with what the database remembers of it.
    pub revisions: Vec<(Revision, Option<Applied>)>,
    /// What the database remembers and nobody here knows, oldest first.
    pub unknown: Vec<Applied>,
    /// Applied revisions whose text is another here, in order.
    pub edited: Vec<String>,
}

impl Survey {
    /// Applied revisions, in order.
    pub fn applied(&self) -> impl Iterator<Item = (&Revision, &Applied)> {
        let known = self.revisions.iter().filter_map(|(revision, row)| Some((revision, row.as_ref()?)));
        known.filter(|(_, row)| row.progress == Progress::Applied)
    }

    /// Revisions that are not applied, or not completely, in order.
    pub fn pending(&self) -> impl Iterator<Item = &Revision> {
        let is_applied =
            |row: &Option<Applied>| row.as_ref().is_some_and(|row| row.progress == Progress::Applied);
        self.revisions.iter().filter(move |(_, row)| !is_applied(row)).map(|(revision, _)| revision)
    }

    /// Refuses a database with revisions that nobody here knows, or that are another here.
    ///
    /// # Errors
    /// [`MigrationError::UnknownRevision`], [`MigrationError::Edited`], or
    /// [`MigrationError::ForeignDatabase`] when none of its revisions is known.
    pub fn verify(&self) -> Result<(), MigrationError> {
        if let Some(unknown) = self.unknown.first() {
            if self.revisions.iter().all(|(_, row)| row.is_none()) {
                return Err(MigrationError::ForeignDatabase(format!(
                    "the database's history begins with the revision {}, and none of its revisions is known here",
                    unknown.id
                )));
            }
            return Err(MigrationError::UnknownRevision(unknown.id.clone()));
        }
        self.refuse_edited()
    }

    /// Whether a program with these revisions can work with the database as it is: revisions of a
    /// newer program do no harm unless they are marked as breaking.
    ///
    /// # Errors
    /// [`MigrationError::UnknownRevision`] of a breaking one, or [`MigrationError::Edited`].
    pub fn verify_for_service(&self) -> Result<(), MigrationError> {
        if let Some(breaking) = self.unknown.iter().find(|unknown| unknown.breaking) {
            return Err(MigrationError::UnknownRevision(breaking.id.clone()));
        }
        self.refuse_edited()
    }

    fn refuse_edited(&self) -> Result<(), MigrationError> {
        self.edited.first().map_or(Ok(()), |id| Err(MigrationError::Edited(id.clone())))
    }
}

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

    /// Applies what is pending on the way to a target; what it applied, in order. Each revision is a
    /// transaction of its own, so what was applied before a failure stays. Any number of processes
    /// may do it at once: each revision is applied once.
    ///
    /// # Errors
    /// Whatever [`MigrationError`] says of the target, the history or the revision that failed.
    pub async fn upgrade(
        &self,
        connection: &mut dyn Connection,
        target: &Target,
        observe: Observe<'_>,
    ) -> Result<Vec<Revision>, MigrationError> {
        let before = self.verified(connection).await?;
        let way = self.graph.way_up(|id| before.is_applied(id), target)?;
        if way.is_empty() {
            return Ok(Vec::new());
        }
        for revision in &way {
            data_step::find(self.steps, revision)?;
        }
        self.walk(connection, &way, Direction::Up, observe).await
    }

    /// Undoes what was applied after a target; what it undid, in order.
    ///
    /// # Errors
    /// As [`upgrade`](Self::upgrade); [`MigrationError::LosesData`] when that is not allowed and would
    /// happen, before anything is undone.
    pub async fn downgrade(
        &self,
        connection: &mut dyn Connection,
        target: &Target,
        may_lose_data: bool,
        observe: Observe<'_>,
    ) -> Result<Vec<Revision>, MigrationError> {
        let before = self.verified(connection).await?;
        let way = self.way_down(&before, connection.dialect(), target, may_lose_data)?;
        if way.is_empty() {
            return Ok(Vec::new());
        }
        self.walk(connection, &way, Direction::Down, observe).await
    }

    /// Makes the steps of a way that are not made yet, each in a transaction of its own.
    async fn walk(
        &self,
        connection: &mut dyn Connection,
        way: &[&Revision],
        direction: Direction,
        observe: Observe<'_>,
    ) -> Result<Vec<Revision>, MigrationError> {
        lock::acquire(connection, self.patience, || observe(&Event::Waiting)).await?;
        let mut done = Vec::new();
        let outcome = loop {
            let step = match Change::begin(self, connection).await {
                Ok(change) => change.next_of(way, direction, observe).await,
                Err(error) => Err(error),
            };
            match step {
                Ok(Some(revision)) => done.push(revision.clone()),
                Ok(None) => break Ok(done),
                Err(error) => break Err(error),
            }
        };
        lock::release(connection).await;
        outcome
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

    /// Writes into the history that a revision and everything it builds on are applied and nothing
    /// that builds on it is, without running any of them; other branches are left as they are. What
    /// it wrote or took away. [`Target::Heads`] is everything, [`Target::Base`] nothing.
    ///
    /// # Errors
    /// As [`upgrade`](Self::upgrade), but for edited revisions, whose new text it records.
    pub async fn stamp(
        &self,
        connection: &mut dyn Connection,
        target: &Target,
    ) -> Result<Vec<Revision>, MigrationError> {
        let changes = self.stamped(&History::read(connection).await?, connection.dialect(), target)?;
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        lock::acquire(connection, self.patience, || {}).await?;
        let outcome = match Change::begin(self, connection).await {
            Ok(change) => change.stamp(target).await,
            Err(error) => Err(error),
        };
        lock::release(connection).await;
        outcome
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
        log::insert(dialect, at, action, revision, duration_ms, &self.application, detail)
    }
}
