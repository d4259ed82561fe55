//! What the revisions and the declared schema create in a scratch database of the same kind, compared with the
//! real one.

use chatstore_migrate::model::Schema;
use chatstore_migrate::{Catalog, DatabaseError, DatabaseErrorKind, Deviation, MigrationError, Revision};

use super::{Migrations, Work};
use crate::database::Database;
use crate::options::{DatabaseKind, DatabaseOptions};
use crate::schema;

impl Migrations<'_> {
    /// How the result of all revisions differs from the declared schema; changes nothing.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub async fn deviations_from_declared(&self) -> Result<Vec<Deviation>, MigrationError> {
        let replayed = self.replay(self.graph().revisions().to_vec()).await?;
        Ok(self.catalog_of(schema::declared()).await?.deviations(&replayed))
    }

    /// How the database differs from what its applied revisions create; changes nothing.
    ///
    /// # Errors
    /// As [`replay`](Self::replay); [`MigrationError::UnknownRevision`] and the like when it is not
    /// known what the database should contain.
    pub async fn drift(&self) -> Result<Vec<Deviation>, MigrationError> {
        let status = self.status().await?;
        status.verify()?;
        let applied = status.applied().map(|(revision, _)| revision.clone()).collect();
        Ok(self.replay(applied).await?.deviations(&self.catalog().await?))
    }

    /// The catalog of the database; changes nothing.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn catalog(&self) -> Result<Catalog, MigrationError> {
        self.database.migrating(|it| Box::pin(async move { Catalog::read(it).await })).await
    }

    /// What these revisions create in a scratch database; changes nothing.
    ///
    /// # Errors
    /// The scratch database cannot be created, or a revision failed in it.
    pub async fn replay(&self, revisions: Vec<Revision>) -> Result<Catalog, MigrationError> {
        let migrator = self.migrator.clone();
        self.scratching(move |it| Box::pin(async move { migrator.replay(it, &revisions).await })).await
    }

    /// A schema in the words of the database; changes nothing.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub async fn catalog_of(&self, schema: Schema) -> Result<Catalog, MigrationError> {
        self.scratching(move |it| Box::pin(async move { schema.catalog_in(it).await })).await
    }

    /// Runs `work` on an empty database: in memory, or on PostgreSQL on a connection on which the engine
    /// creates a schema that is rolled back.
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
