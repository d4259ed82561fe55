//! One operation in a separate transaction: a revision is applied or undone, or a stamp is written.

use std::time::Instant;

use crate::connection::Connection;
use crate::data_step::{self, StepConnection};
use crate::dialect::Dialect;
use crate::error::{DatabaseErrorKind, MigrationError};
use crate::event::{MigrationEvent, Observe};
use crate::graph::Target;
use crate::history::{self, History, Moment, Progress};
use crate::introspect;
use crate::lock;
use crate::migrator::Migrator;
use crate::rebuild;
use crate::revision::Revision;

const WITH_FOREIGN_KEYS: &str = "pragma foreign_keys = on";

/// The direction of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

impl Direction {
    const fn is_left_to_do(self, progress: Option<Progress>) -> bool {
        match self {
            Self::Up => !matches!(progress, Some(Progress::Applied)),
            Self::Down => progress.is_some(),
        }
    }
}

/// An operation that no other migration can interleave with.
pub(crate) struct Operation<'c> {
    migrator: &'c Migrator,
    connection: &'c mut dyn Connection,
    dialect: Dialect,
    /// Whether there is a log to write to when the operation fails.
    has_history: bool,
    /// What is being applied or undone, and since when.
    revision: Option<(&'c Revision, Instant)>,
    /// Whether the history says that a step outside a transaction has begun, and it has not succeeded yet.
    is_marked: bool,
    /// Whether SQLite's foreign keys are off for as long as this lasts.
    is_without_foreign_keys: bool,
}

impl<'c> Operation<'c> {
    pub(crate) async fn begin(
        migrator: &'c Migrator,
        connection: &'c mut dyn Connection,
    ) -> Result<Self, MigrationError> {
        lock::begin(connection, migrator.lock_timeout).await?;
        let dialect = connection.dialect();
        Ok(Self {
            migrator,
            connection,
            dialect,
            has_history: false,
            revision: None,
            is_marked: false,
            is_without_foreign_keys: false,
        })
    }

    /// Takes the first remaining step of a path; `None` when there is none.
    pub(crate) async fn run_next(
        mut self,
        path: &[&'c Revision],
        direction: Direction,
        observe: Observe<'_>,
    ) -> Result<Option<&'c Revision>, MigrationError> {
        let outcome = self.take_next(path, direction, observe).await;
        self.settle(outcome).await
    }

    async fn take_next(
        &mut self,
        path: &[&'c Revision],
        direction: Direction,
        observe: Observe<'_>,
    ) -> Result<Option<&'c Revision>, MigrationError> {
        let (history, revision) = loop {
            let history = self.migrator.verified(self.connection).await?;
            self.prepare(&history).await?;
            let is_left = |revision: &&&Revision| direction.is_left_to_do(history.progress(&revision.id));
            let Some(revision) = path.iter().find(is_left).copied() else {
                self.execute("committing", "commit").await?;
                return Ok(None);
            };
            if !self.switch_foreign_keys(revision, direction).await? {
                break (history, revision);
            }
        };
        let progress = |revision: &Revision| history.progress(&revision.id);
        self.revision = Some((revision, Instant::now()));
        let graph = self.migrator.graph();
        let is_consistent = match direction {
            Direction::Up => revision.parents().all(|parent| history.is_applied(parent)),
            Direction::Down => {
                let mut above = graph.with_dependents(revision).into_iter().filter(|id| *id != revision.id);
                above.all(|id| history.progress(id).is_none())
            }
        };
        if !is_consistent {
            return Err(MigrationError::Overtaken(revision.to_string()));
        }
        let left = progress(revision);
        if direction == Direction::Up {
            observe(&MigrationEvent::Applying(revision));
            self.apply(revision, left, observe).await?;
        } else {
            self.undo(revision, left).await?;
        }
        self.execute(&format!("committing the revision {revision}"), "commit").await?;
        observe(&if direction == Direction::Up {
            MigrationEvent::Applied(revision)
        } else {
            MigrationEvent::Undone(revision)
        });
        Ok(Some(revision))
    }

    /// Switches foreign keys as the revision needs them, which is possible only outside a transaction. Returns
    /// whether a new transaction was begun for that; another process may have migrated before it.
    async fn switch_foreign_keys(
        &mut self,
        revision: &Revision,
        direction: Direction,
    ) -> Result<bool, MigrationError> {
        let text = match direction {
            Direction::Up => revision.up(self.dialect),
            Direction::Down => revision.down(self.dialect)?,
        };
        let wants_none = rebuild::asks_for_no_foreign_keys(self.dialect, text);
        if wants_none == self.is_without_foreign_keys {
            return Ok(false);
        }
        let doing = format!("switching foreign keys for the revision {revision}");
        self.execute(&doing, "commit").await?;
        let sql = if wants_none { rebuild::WITHOUT_FOREIGN_KEYS } else { WITH_FOREIGN_KEYS };
        self.execute(&doing, sql).await?;
        self.is_without_foreign_keys = wants_none;
        lock::begin(self.connection, self.migrator.lock_timeout).await?;
        Ok(true)
    }

    async fn prepare(&mut self, history: &History) -> Result<(), MigrationError> {
        self.has_history = history.exists;
        if history.exists {
            return Ok(());
        }
        self.execute("creating the tables of the history", &history::create(self.dialect)).await
    }

    async fn apply(
        &mut self,
        revision: &Revision,
        left: Option<Progress>,
        observe: Observe<'_>,
    ) -> Result<(), MigrationError> {
        let doing = format!("applying the revision {revision}");
        let (dialect, application) = (self.dialect, &self.migrator.application);
        if revision.runs_outside_transaction(dialect) {
            self.mark(revision, left, Progress::Running).await?;
            self.build(revision, left, &doing).await?;
            self.is_marked = false;
            lock::begin(self.connection, self.migrator.lock_timeout).await?;
            let sql = history::mark(dialect, revision, self.now(), self.duration(), Progress::Applied);
            self.execute(&doing, &sql).await?;
        } else {
            self.execute(&doing, &history::delete(revision)).await?;
            self.execute(&doing, revision.up(dialect)).await?;
            if let Some(step) = data_step::find(self.migrator.steps, revision)? {
                let mut connection = StepConnection { connection: self.connection, revision, observe };
                let done = step(&mut connection).await;
                done.map_err(|error| MigrationError::database(format!("the data step of {doing}"), error))?;
            }
            let (at, took) = (self.now(), self.duration());
            let sql = history::insert(dialect, revision, at, took, application, Progress::Applied);
            self.execute(&doing, &sql).await?;
        }
        self.log("upgrade", revision, None).await
    }

    /// Runs a step outside a transaction, unless an interrupted run completed it.
    async fn build(
        &mut self,
        revision: &Revision,
        left: Option<Progress>,
        doing: &str,
    ) -> Result<(), MigrationError> {
        if left.is_some() && self.drop_incomplete_index(revision).await? == Some(true) {
            return Ok(());
        }
        self.execute(doing, revision.up(self.dialect)).await
    }

    /// Drops the index of a step outside a transaction when it is incomplete. Returns whether it was complete;
    /// `None` when there is no index, or the step creates none.
    async fn drop_incomplete_index(&mut self, revision: &Revision) -> Result<Option<bool>, MigrationError> {
        let Some(index) = revision.index(self.dialect) else { return Ok(None) };
        let doing = format!("looking for what the revision {revision} left");
        let found = introspect::index_is_complete(self.connection, &index).await;
        let found = found.map_err(|error| MigrationError::database(doing.clone(), error))?;
        if found == Some(false) {
            self.execute(&doing, &format!("drop index concurrently if exists {index}")).await?;
        }
        Ok(found)
    }

    async fn undo(&mut self, revision: &Revision, left: Option<Progress>) -> Result<(), MigrationError> {
        let doing = format!("undoing the revision {revision}");
        let down = revision.down(self.dialect)?;
        if revision.runs_outside_transaction(self.dialect) {
            let was_interrupted = left != Some(Progress::Applied);
            self.mark(revision, left, Progress::Undoing).await?;
            let found = self.drop_incomplete_index(revision).await?;
            let is_gone = match found {
                Some(is_complete) => !is_complete,
                None => was_interrupted && revision.index(self.dialect).is_some(),
            };
            if !is_gone {
                self.execute(&doing, down).await?;
            }
            lock::begin(self.connection, self.migrator.lock_timeout).await?;
        } else {
            self.execute(&doing, down).await?;
        }
        self.execute(&doing, &history::delete(revision)).await?;
        self.log("downgrade", revision, None).await
    }

    /// Records in the history that a step outside a transaction begins.
    async fn mark(
        &mut self,
        revision: &Revision,
        left: Option<Progress>,
        progress: Progress,
    ) -> Result<(), MigrationError> {
        let doing = format!("marking the revision {revision}");
        let (dialect, at, application) = (self.dialect, self.now(), &self.migrator.application);
        let sql = if left.is_some() {
            history::mark(dialect, revision, at, None, progress)
        } else {
            history::insert(dialect, revision, at, None, application, progress)
        };
        self.execute(&doing, &sql).await?;
        self.execute(&doing, "commit").await?;
        self.has_history = true;
        self.is_marked = progress == Progress::Running;
        Ok(())
    }

    /// Writes a stamp; returns the revisions whose rows were written or deleted.
    pub(crate) async fn stamp(mut self, target: &Target) -> Result<Vec<Revision>, MigrationError> {
        let written = self.write_stamp(target).await;
        self.settle(written).await
    }

    async fn write_stamp(&mut self, target: &Target) -> Result<Vec<Revision>, MigrationError> {
        let history = History::read(self.connection).await?;
        self.prepare(&history).await?;
        let changes = self.migrator.stamped(&history, self.dialect, target)?;
        for (revision, is_applied) in &changes {
            let sql = self.migrator.stamp_sql(self.dialect, revision, *is_applied, self.now());
            self.execute(&format!("stamping the revision {revision}"), &sql).await?;
        }
        self.execute("committing", "commit").await?;
        Ok(changes.into_iter().map(|(revision, _)| revision.clone()).collect())
    }

    /// Leaves nothing of a failed operation but an entry in the log, if there is one.
    async fn settle<T>(mut self, outcome: Result<T, MigrationError>) -> Result<T, MigrationError> {
        let Err(error) = &outcome else {
            if self.is_without_foreign_keys {
                self.execute("switching foreign keys on again", WITH_FOREIGN_KEYS).await?;
            }
            return outcome;
        };
        let is_lost = matches!(error, MigrationError::Database { cause, .. } if cause.kind == DatabaseErrorKind::Unavailable);
        if is_lost {
            return outcome;
        }
        // Each of these may fail for the same reason as the operation, which is the one that is reported.
        let _ = self.connection.execute("rollback").await;
        if self.is_without_foreign_keys {
            let _ = self.connection.execute(WITH_FOREIGN_KEYS).await;
        }
        let Some((revision, _)) = self.revision else { return outcome };
        if self.is_marked && self.drop_incomplete_index(revision).await.is_ok() {
            let _ = self.connection.execute(&history::delete(revision)).await;
        }
        if self.has_history {
            let _ = self.log("failed", revision, Some(&error.to_string())).await;
        }
        outcome
    }

    async fn log(
        &mut self,
        action: &'static str,
        revision: &Revision,
        detail: Option<&str>,
    ) -> Result<(), MigrationError> {
        let (at, took) = (self.now(), self.duration());
        let sql = self.migrator.log(self.dialect, action, revision, at, took, detail);
        self.execute(&format!("logging the revision {revision}"), &sql).await
    }

    fn now(&self) -> Moment {
        Moment::Known(self.connection.now())
    }

    fn duration(&self) -> Option<i64> {
        let (_, begun) = self.revision?;
        i64::try_from(begun.elapsed().as_millis()).ok()
    }

    async fn execute(&mut self, doing: &str, sql: &str) -> Result<(), MigrationError> {
        let answer = self.connection.execute(sql).await;
        answer.map_err(|error| MigrationError::database(doing, error))
    }
}
