//! Applies, undoes and stamps revisions, one transaction after the other, while other processes wait.

use crate::connection::Connection;
use crate::data_step;
use crate::error::MigrationError;
use crate::event::{MigrationEvent, Observe};
use crate::graph::Target;
use crate::history::{History, Progress};
use crate::lock;
use crate::migrator::Migrator;
use crate::operation::{Direction, Operation};
use crate::revision::Revision;

impl Migrator {
    /// Applies what is pending on the path to a target; returns what it applied, in order. Each revision is
    /// a separate transaction, so what was applied before a failure stays. Any number of processes may do
    /// this at once: each revision is applied once.
    ///
    /// # Errors
    /// [`MigrationError`], which names the target, the history or the revision that failed.
    pub async fn upgrade(
        &self,
        connection: &mut dyn Connection,
        target: &Target,
        observe: Observe<'_>,
    ) -> Result<Vec<Revision>, MigrationError> {
        let before = self.verified(connection).await?;
        let path = self.graph.upgrade_path(|id| before.is_applied(id), target)?;
        if path.is_empty() {
            return Ok(Vec::new());
        }
        for revision in &path {
            data_step::find(self.steps, revision)?;
        }
        self.walk(connection, &path, Direction::Up, observe).await
    }

    /// Undoes what was applied after a target; returns what it undid, in order.
    ///
    /// # Errors
    /// As [`upgrade`](Self::upgrade); [`MigrationError::Destructive`] before anything is undone, when
    /// data would be deleted and that is not allowed.
    pub async fn downgrade(
        &self,
        connection: &mut dyn Connection,
        target: &Target,
        allow_data_loss: bool,
        observe: Observe<'_>,
    ) -> Result<Vec<Revision>, MigrationError> {
        let before = self.verified(connection).await?;
        let path = self.downgrade_path(&before, connection.dialect(), target, allow_data_loss)?;
        if path.is_empty() {
            return Ok(Vec::new());
        }
        self.walk(connection, &path, Direction::Down, observe).await
    }

    /// Takes the remaining steps of a path, each in a separate transaction.
    async fn walk(
        &self,
        connection: &mut dyn Connection,
        path: &[&Revision],
        direction: Direction,
        observe: Observe<'_>,
    ) -> Result<Vec<Revision>, MigrationError> {
        lock::acquire(connection, self.lock_timeout, || observe(&MigrationEvent::Waiting)).await?;
        let mut done = Vec::new();
        let outcome = loop {
            let step = match Operation::begin(self, connection).await {
                Ok(operation) => operation.run_next(path, direction, observe).await,
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

    /// The revisions that are applied according to the history once it is stamped; nothing when the stamp would change
    /// nothing.
    ///
    /// # Errors
    /// As [`stamp`](Self::stamp), without writing anything.
    pub async fn applied_by_stamp(
        &self,
        connection: &mut dyn Connection,
        target: &Target,
    ) -> Result<Option<Vec<Revision>>, MigrationError> {
        let history = History::read(connection).await?;
        let changes = self.stamped(&history, connection.dialect(), target)?;
        if changes.is_empty() {
            return Ok(None);
        }
        let becomes = |revision: &Revision| {
            let change = changes.iter().find(|(changed, _)| changed.id == revision.id);
            change.map_or(history.progress(&revision.id) == Some(Progress::Applied), |(_, is_applied)| {
                *is_applied
            })
        };
        Ok(Some(self.graph.revisions().iter().filter(|revision| becomes(revision)).cloned().collect()))
    }

    /// Writes into the history that a revision and everything it builds on are applied and nothing
    /// that builds on it is, without running any of them; other branches stay as they are. Returns the
    /// revisions whose rows it wrote or deleted. [`Target::Heads`] is everything, [`Target::Base`] nothing.
    ///
    /// # Errors
    /// As [`upgrade`](Self::upgrade), except for edited revisions, whose new text it records.
    pub async fn stamp(
        &self,
        connection: &mut dyn Connection,
        target: &Target,
    ) -> Result<Vec<Revision>, MigrationError> {
        let changes = self.stamped(&History::read(connection).await?, connection.dialect(), target)?;
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        lock::acquire(connection, self.lock_timeout, || {}).await?;
        let outcome = match Operation::begin(self, connection).await {
            Ok(operation) => operation.stamp(target).await,
            Err(error) => Err(error),
        };
        lock::release(connection).await;
        outcome
    }
}
