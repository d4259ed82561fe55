//! What the revisions and the declared schema make in a scratch database like this one, beside what
//! is there.

use chatstore_migrate::model::Schema;
use chatstore_migrate::{Catalog, DatabaseError, DatabaseErrorKind, Deviation, MigrationError, Revision};

use super::{Migrations, Work};
use crate::database::{Database, DatabaseKind, DatabaseOptions};
use crate::schema;

impl Migrations<'_> {
    /// How what all revisions make differs from the declared schema; changes nothing.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub async fn deviations_from_declared(&self) -> Result<Vec<Deviation>, MigrationError> {
        let made = self.replay(self.graph().revisions().to_vec()).await?;
        Ok(self.realise(schema::declared()).await?.deviations(&made))
    }

    /// How the database differs from what its applied revisions make; changes nothing.
    ///
    /// # Errors
    /// As [`replay`](Self::replay); [`MigrationError::UnknownRevision`] and the like when it is not
    /// known what the database should have.
    pub async fn drift(&self) -> Result<Vec<Deviation>, MigrationError> {
        let survey = self.survey().await?;
        survey.verify()?;
        let applied = survey.applied().map(|(revision, _)| revision.clone()).collect();
        Ok(self.replay(applied).await?.deviations(&self.catalog().await?))
    }

    /// What the database has; changes nothing.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn catalog(&self) -> Result<Catalog, MigrationError> {
        self.database.migrating(|it| Box::pin(async move { Catalog::read(it).await })).await
    }

    /// What these revisions make of nothing, in a scratch database; changes nothing.
    ///
    /// # Errors
    /// That the scratch database cannot be made, or the revision that failed there.
    pub async fn replay(&self, revisions: Vec<Revision>) -> Result<Catalog, MigrationError> {
        let migrator = self.migrator.clone();
        self.scratching(move |it| Box::pin(async move { migrator.replay(it, &revisions).await })).await
    }

    /// What a schema is in the words of the database; changes nothing.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub async fn realise(&self, schema: Schema) -> Result<Catalog, MigrationError> {
        self.scratching(move |it| Box::pin(async move { schema.realise(it).await })).await
    }

    /// Runs `work` where there is nothing: in memory, or on PostgreSQL on a connection on which the
    /// engine makes itself a schema that is rolled back.
    async fn scratching<T, F>(&self, work: F) -> Result<T, MigrationError>
    where
        F: for<'c> FnOnce(&'c mut dyn chatstore_migrate::Connection) -> Work<'c, T> + Send + 'static,
        T: Send + 'static,
    {
        if self.database.kind() == DatabaseKind::Postgres {
            return self.database.migrating(work).await;
        }
        let opened = Database::open(DatabaseOptions::new("sqlite://:memory:")).await;
        let database = opened.map_err(|error| MigrationError::Database {
            doing: "opening a database in memory".to_owned(),
            cause: DatabaseError::new(DatabaseErrorKind::Unavailable, error),
        })?;
        let outcome = database.migrating(work).await;
        database.close().await;
        outcome
    }
}
