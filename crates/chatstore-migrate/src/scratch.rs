//! What the revisions create, and what the declared schema creates, in a scratch database that leaves nothing
//! behind.

use crate::catalog::Catalog;
use crate::connection::Connection;
use crate::data_step::{self, StepConnection};
use crate::dialect::Dialect;
use crate::error::MigrationError;
use crate::event::MigrationEvent;
use crate::migrator::Migrator;
use crate::model::Schema;
use crate::rebuild::WITHOUT_FOREIGN_KEYS;
use crate::revision::Revision;

/// On PostgreSQL the scratch database is a schema of its own that is rolled back. On SQLite it is the
/// whole database, which must be an empty one.
const SCRATCH_SCHEMA: &str = "\
create schema chatstore_migrations_scratch;
set local search_path to chatstore_migrations_scratch;
";

impl Migrator {
    /// What these revisions create, one after the other; nothing of it stays. On SQLite the database must be
    /// empty.
    ///
    /// # Errors
    /// [`MigrationError::Database`], which names the revision.
    pub async fn replay<'r>(
        &self,
        connection: &mut dyn Connection,
        revisions: impl IntoIterator<Item = &'r Revision> + Send,
    ) -> Result<Catalog, MigrationError> {
        let revisions: Vec<&Revision> = revisions.into_iter().collect();
        begin(connection).await?;
        let outcome = self.run(connection, &revisions).await;
        read_and_roll_back(connection, outcome).await
    }

    async fn run(
        &self,
        connection: &mut dyn Connection,
        revisions: &[&Revision],
    ) -> Result<(), MigrationError> {
        let dialect = connection.dialect();
        for revision in revisions {
            let doing = format!("replaying the revision {revision}");
            let up = revision.up(dialect);
            if revision.runs_outside_transaction(dialect) {
                execute(connection, &doing, &up.replacen("concurrently", "", 1)).await?;
            } else {
                execute(connection, &doing, up).await?;
            }
            if let Some(step) = data_step::find(self.steps, revision)? {
                let observe = &mut |_: &MigrationEvent<'_>| {};
                let done = step(&mut StepConnection { connection, revision, observe }).await;
                done.map_err(|error| MigrationError::database(format!("the data step of {doing}"), error))?;
            }
        }
        Ok(())
    }
}

impl Schema {
    /// The schema in the words of a database, in which nothing of it stays. On SQLite the database must be
    /// empty.
    ///
    /// # Errors
    /// [`MigrationError::Database`] when the database does not accept it.
    pub async fn catalog_in(&self, connection: &mut dyn Connection) -> Result<Catalog, MigrationError> {
        begin(connection).await?;
        let sql = self.create(connection.dialect());
        let outcome = execute(connection, "creating the declared schema", &sql).await;
        read_and_roll_back(connection, outcome).await
    }
}

async fn begin(connection: &mut dyn Connection) -> Result<(), MigrationError> {
    let doing = "creating a scratch database";
    match connection.dialect() {
        Dialect::Sqlite => execute(connection, doing, &format!("{WITHOUT_FOREIGN_KEYS}; begin")).await,
        Dialect::Postgres => {
            execute(connection, doing, "begin").await?;
            let outcome = execute(connection, doing, SCRATCH_SCHEMA).await;
            if outcome.is_err() {
                let _ = connection.execute("rollback").await;
            }
            outcome
        }
    }
}

async fn read_and_roll_back(
    connection: &mut dyn Connection,
    outcome: Result<(), MigrationError>,
) -> Result<Catalog, MigrationError> {
    let catalog = match outcome {
        Ok(()) => Catalog::read(connection).await,
        Err(error) => Err(error),
    };
    let rolled_back = execute(connection, "leaving the scratch database", "rollback").await;
    if connection.dialect() == Dialect::Sqlite {
        execute(connection, "leaving the scratch database", "pragma foreign_keys = on").await?;
    }
    let catalog = catalog?;
    rolled_back.map(|()| catalog)
}

async fn execute(connection: &mut dyn Connection, doing: &str, sql: &str) -> Result<(), MigrationError> {
    let answer = connection.execute(sql).await;
    answer.map_err(|error| MigrationError::database(doing, error))
}
