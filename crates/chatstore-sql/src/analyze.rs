//! What PostgreSQL knows of its tables.

use crate::database::Database;

impl Database {
    /// Has PostgreSQL sample its tables, which is what it chooses indexes by. It does so by itself about a minute after many
    /// rows were stored; until then it takes the tables of a new or restored database for nearly empty. SQLite does nothing
    /// here.
    ///
    /// Nothing depends on it but time: a failure is logged, and tables of another owner are passed over.
    pub async fn analyze(&self) {
        #[cfg(feature = "postgres")]
        if let crate::database::Backend::Postgres(_) = self.backend()
            && let Err(error) = self.read("analyze", async |tx| tx.statistics().analyze().await).await
        {
            tracing::debug!(error.cause = %error, "the tables could not be analyzed");
        }
    }
}
