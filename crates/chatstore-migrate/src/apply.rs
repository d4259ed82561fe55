//! Applies, undoes and stamps revisions, one transaction after the other, while others wait.

use crate::change::{Change, Direction};
use crate::connection::Connection;
use crate::data_step;
use crate::error::MigrationError;
use crate::event::{Event, Observe};
use crate::graph::Target;
use crate::history::History;
use crate::lock;
use crate::migrator::Migrator;
use crate::revision::Revision;

impl Migrator {
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
}
