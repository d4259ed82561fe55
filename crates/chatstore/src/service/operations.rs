#[cfg(all(feature = "sqlite", unix))]
use std::path::Path;
use std::time::{Duration, Instant};

use chatstore_model::Timestamp;
use chatstore_sql::migrate::MigrationStatus;
#[cfg(all(feature = "sqlite", unix))]
use chatstore_sql::{Backup, BackupError, BackupProgress};
use chatstore_sql::{Counts, MigrationError, PieceRows, ReadTx, StoreError, TableDigest, WriteTx};

use crate::error::{Error, Result};
use crate::measures::StoreMeasures;
use crate::store::Store;

/// What those who operate a store want of it, rather than its users.
#[derive(Debug, Clone, Copy)]
pub struct Operations<'s>(pub(crate) &'s Store);

/// How many rows [`Store::maintain`] deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintained {
    /// Idempotency keys that were more than a day old.
    pub idempotency_keys: u64,
    /// Sessions and refresh tokens that expired.
    pub sessions: u64,
    /// Events that were older than they are kept.
    pub events: u64,
    /// Rows of what was being deleted in pieces.
    pub deleted_rows: u64,
}

/// What is deleted some time after it expired.
#[derive(Debug, Clone, Copy)]
enum Expired {
    IdempotencyKeys,
    RefreshTokens,
    Sessions,
    /// Events before an instant.
    Events(Timestamp),
}

impl Expired {
    /// What logs and metrics call the deletion.
    const fn pruning(self) -> &'static str {
        match self {
            Self::IdempotencyKeys => "idempotency_prune",
            Self::RefreshTokens => "token_prune",
            Self::Sessions => "session_prune",
            Self::Events(_) => "event_prune",
        }
    }
}

impl Store {
    /// For those who operate the store: how large it is, what may be removed, whether two are alike.
    #[must_use]
    pub const fn operations(&self) -> Operations<'_> {
        Operations(self)
    }

    /// Deletes what expired; see [`Operations::maintain`].
    ///
    /// # Errors
    /// As [`Operations::maintain`].
    pub async fn maintain(&self, kept_events: Option<Duration>) -> Result<Maintained> {
        self.operations().maintain(kept_events).await
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

    /// Forgets the idempotency keys that are more than a day old; how many there were. They are deleted in transactions
    /// of about 2 ms of SQLite's writer or 20 ms of a connection to PostgreSQL, with pauses: what is deleted stays
    /// deleted when the call fails, or is given up.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn prune_idempotency_keys(self) -> Result<u64> {
        self.prune(Expired::IdempotencyKeys).await
    }

    /// Deletes the sessions and refresh tokens that expired, as
    /// [`prune_idempotency_keys`](Self::prune_idempotency_keys) does; how many there were.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn prune_sessions(self) -> Result<u64> {
        // Tokens first: a session takes all of its tokens along, in one statement.
        let tokens = self.prune(Expired::RefreshTokens).await?;
        Ok(tokens + self.prune(Expired::Sessions).await?)
    }

    /// How many events there are before an instant.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn count_events(self, before: Timestamp) -> Result<i64> {
        let count = async move |tx: &mut ReadTx<'_>| tx.logs().count_before(before).await;
        Ok(self.0.database.read_long("event_count", count).await?)
    }

    /// Deletes the events before an instant, as [`prune_idempotency_keys`](Self::prune_idempotency_keys) does, oldest first;
    /// how many there were. `observe` is told how many are deleted so far.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn prune_events(self, before: Timestamp, observe: impl FnMut(u64)) -> Result<u64> {
        self.prune_observed(Expired::Events(before), observe).await
    }

    /// Does what a server does when it starts and every 15 minutes: deletes idempotency keys after a day, sessions and
    /// refresh tokens that expired, events that are older than `kept_events`, and finishes what is being
    /// [deleted in pieces](Self::finish_deletions). Each in short transactions with pauses, so it may take long and
    /// may be given up at any time. A program that embeds the store calls it likewise; several processes may.
    ///
    /// ```no_run
    /// # async fn example(store: chatstore::Store) {
    /// use std::time::Duration;
    ///
    /// let mut ticks = tokio::time::interval(Duration::from_secs(15 * 60));
    /// loop {
    ///     ticks.tick().await;
    ///     if let Err(error) = store.maintain(Some(Duration::from_secs(90 * 86_400))).await {
    ///         eprintln!("what expired was not deleted: {error}");
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// That the database is unavailable. What could be deleted is deleted: a part that fails keeps no other from running.
    /// Each error is logged as a warning, and the first one returned.
    pub async fn maintain(self, kept_events: Option<Duration>) -> Result<Maintained> {
        let prune = async {
            let idempotency_keys =
                self.prune_idempotency_keys().await.inspect_err(not_deleted("idempotency keys"));
            let sessions = self.prune_sessions().await.inspect_err(not_deleted("sessions"));
            let events = match kept_events {
                Some(kept) => {
                    let before = self.0.now().minus(kept);
                    self.prune_events(before, |_| {}).await.inspect_err(not_deleted("events"))
                }
                None => Ok(0),
            };
            (idempotency_keys, sessions, events)
        };
        let ((idempotency_keys, sessions, events), deleted_rows) =
            tokio::join!(prune, self.finish_deletions());
        let deleted_rows = deleted_rows.inspect_err(not_deleted("the rest of deletions"));
        Ok(Maintained {
            idempotency_keys: idempotency_keys?,
            sessions: sessions?,
            events: events?,
            deleted_rows: deleted_rows?,
        })
    }

    async fn prune(self, expired: Expired) -> Result<u64> {
        self.prune_observed(expired, |_| {}).await
    }

    async fn prune_observed(self, expired: Expired, mut observe: impl FnMut(u64)) -> Result<u64> {
        let (now, mut rows, mut pruned) = (self.0.now(), PieceRows::first(self.0.kind()), 0);
        loop {
            let (begun, limit) = (Instant::now(), rows.count());
            let work = async move |tx: &mut WriteTx<'_>| {
                let begun = Instant::now();
                let count = match expired {
                    Expired::IdempotencyKeys => tx.idempotency_keys().prune(now, limit).await?,
                    Expired::RefreshTokens => tx.refresh_tokens().prune(now, limit).await?,
                    Expired::Sessions => tx.sessions().prune(now, limit).await?,
                    Expired::Events(before) => tx.logs().prune(before, limit).await?,
                };
                Ok::<_, StoreError>((count, begun.elapsed()))
            };
            let (count, took) = self.0.write(expired.pruning(), work).await?;
            if count == 0 {
                return Ok(pruned);
            }
            pruned += count;
            observe(pruned);
            let pause = rows.pause_after(begun.elapsed());
            rows = rows.after(took);
            tokio::time::sleep(pause).await;
        }
    }

    /// Counts everything; takes time in proportion to what there is.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn counts(self) -> Result<Counts> {
        Ok(self.0.read("counts", async |tx| tx.statistics().counts().await).await?)
    }

    /// Has PostgreSQL look at what it holds; see [`Database::analyze`](chatstore_sql::Database::analyze).
    pub async fn analyze(self) {
        self.0.database.analyze().await;
    }

    /// Reads every row: equal digests mean equal databases. PostgreSQL looks at what it holds first: it would read the
    /// tables of a restored database in the wrong way.
    ///
    /// # Errors
    /// That the database is unavailable, or holds something unexpected.
    pub async fn digests(self) -> Result<Vec<TableDigest>> {
        self.analyze().await;
        Ok(self.0.read("digests", async |tx| tx.statistics().digests().await).await?)
    }

    /// Looks for damage of a SQLite file; see [`Database::check_file`](chatstore_sql::Database::check_file). A server
    /// calls it when it starts.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt), and for everything else from then on, if there is damage.
    /// That the database is unavailable.
    pub async fn check_file(self) -> Result<()> {
        Ok(self.0.database.check_file().await?)
    }

    /// Leaves nothing of deleted rows in SQLite's write-ahead log; see
    /// [`Database::empty_log`](chatstore_sql::Database::empty_log). PostgreSQL does so by itself.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) when reads kept the log from being emptied for 5 seconds; it
    /// is done as soon as they end. That the database is unavailable.
    pub async fn empty_log(self) -> Result<()> {
        Ok(self.0.database.empty_log().await?)
    }

    /// Bytes on disk.
    ///
    /// # Errors
    /// When file or server cannot be asked.
    pub async fn size_bytes(self) -> Result<u64> {
        Ok(self.0.database.size_bytes().await?)
    }

    /// Writes a backup of a SQLite file to `file`, which must not exist, and its record to `FILE.sha256`.
    ///
    /// The backup is the state of one moment: it has every write that was answered before the call, and each
    /// transaction wholly or not at all. Reads and writes go on. Until the pages are copied, the write-ahead log
    /// is not emptied: it grows by what is written meanwhile. `observe` is called about every MiB, on another
    /// thread. A caller that stops waiting ends the work, which then removes its temporary files.
    ///
    /// ```no_run
    /// # use std::path::Path;
    /// # async fn example(store: chatstore::Store) -> Result<(), chatstore::operations::BackupError> {
    /// use chatstore::operations::{restore_backup, verify_backup};
    ///
    /// let backup = store.operations().backup(Path::new("monday.db"), |_progress| {}).await?;
    /// assert_eq!(verify_backup(Path::new("monday.db"), |_progress| {}).await?, backup);
    /// restore_backup(Path::new("monday.db"), Path::new("fresh.db"), |_progress| {}).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`BackupError::Server`] and [`InMemory`](BackupError::InMemory) for a database that is no file,
    /// [`Exists`](BackupError::Exists) if a file is in the way, [`Busy`](BackupError::Busy) while another process
    /// writes a backup to the same name, and the errors of files and databases.
    #[cfg(all(feature = "sqlite", unix))]
    pub async fn backup(
        self,
        file: &Path,
        observe: impl FnMut(BackupProgress) + Send + 'static,
    ) -> std::result::Result<Backup, BackupError> {
        self.0.database.backup(file, observe).await
    }

    /// Whether a SQLite file looked like a copy of one in use, without the write-ahead log that has its newest rows, when
    /// it was opened.
    #[must_use]
    pub fn may_lack_rows(self) -> bool {
        self.0.database.may_lack_rows()
    }

    /// What the store has done since it was opened.
    #[must_use]
    pub fn measures(self) -> StoreMeasures {
        self.0.measures.read(self.0.database.measures())
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

/// Logs why what expired stays until the next turn.
fn not_deleted(what: &'static str) -> impl FnOnce(&Error) {
    move |error| tracing::warn!(error.cause = %error, what, "what expired was not deleted")
}
