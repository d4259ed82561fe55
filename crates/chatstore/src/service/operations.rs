use chatstore_sql::migrate::MigrationStatus;
use chatstore_sql::{Counts, MigrationError, TableDigest};

use crate::error::Result;
use crate::store::Store;

/// What those who operate a store want of it, rather than its users.
#[derive(Debug, Clone, Copy)]
pub struct Operations<'s>(pub(crate) &'s Store);

impl Store {
    /// For those who operate the store: how large it is, what may be removed, whether two are alike.
    #[must_use]
    pub const fn operations(&self) -> Operations<'_> {
        Operations(self)
    }
}

impl Operations<'_> {
    /// What the database remembers beside the revisions of this version; changes nothing. Whether this
    /// version can work with it is what [`MigrationStatus::verify_for_service`] says.
    ///
    /// # Errors
    /// [`MigrationError`], when the history cannot be read.
    pub async fn migration_status(self) -> std::result::Result<MigrationStatus, MigrationError> {
        self.0.database.migrations()?.status().await
    }

    /// Forgets the idempotency keys that are more than a day old; how many there were.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn prune_idempotency_keys(self) -> Result<u64> {
        let now = self.0.now();
        Ok(self.0.write("idempotency_prune", async move |tx| tx.idempotency_keys().prune(now).await).await?)
    }

    /// Deletes the sessions and refresh tokens that expired; how many there were.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn prune_sessions(self) -> Result<u64> {
        let (now, mut pruned) = (self.0.now(), 0);
        loop {
            let sessions =
                self.0.write("session_prune", async move |tx| tx.sessions().prune(now).await).await?;
            let tokens =
                self.0.write("token_prune", async move |tx| tx.refresh_tokens().prune(now).await).await?;
            pruned += sessions + tokens;
            if sessions == 0 && tokens == 0 {
                return Ok(pruned);
            }
        }
    }

    /// Counts everything; takes time in proportion to what there is.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn counts(self) -> Result<Counts> {
        Ok(self.0.read("counts", async |tx| tx.statistics().counts().await).await?)
    }

    /// Reads every row: equal digests mean equal databases.
    ///
    /// # Errors
    /// That the database is unavailable, or holds something unexpected.
    pub async fn digests(self) -> Result<Vec<TableDigest>> {
        Ok(self.0.read("digests", async |tx| tx.statistics().digests().await).await?)
    }

    /// Bytes on disk.
    ///
    /// # Errors
    /// When file or server cannot be asked.
    pub async fn size_bytes(self) -> Result<u64> {
        Ok(self.0.database.size_bytes().await?)
    }

    /// Statements sent to the database so far.
    #[must_use]
    pub fn statements(self) -> u64 {
        self.0.database.statements()
    }

    /// Fills `bytes` with randomness from where ids come from.
    pub fn random(self, bytes: &mut [u8]) {
        self.0.database.ids().random(bytes);
    }
}
