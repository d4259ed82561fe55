//! Reads and writes of a user, who never reads less than what they wrote last.

use chatstore_model::UserId;

use crate::database::Database;
use crate::error::StoreError;
use crate::standby_reads::{StandbyReads, WalPosition};
use crate::tx::{ReadTx, WriteTx};

/// Whose read it is, and how it may be done.
#[derive(Debug, Clone, Copy)]
pub struct UserRead {
    /// Whose.
    pub user: UserId,
    /// From where on the database has to be shown, beside what the user wrote in this process.
    pub least: Option<WalPosition>,
    /// Whether its time grows with what is stored, as for [`Database::read_long`].
    pub is_long: bool,
}

/// Whose write it is, and what has to be known of it.
#[derive(Debug, Clone, Copy)]
pub struct UserWrite {
    /// Whose.
    pub user: UserId,
    /// Whether it changes something in at most one statement, as for [`Database::write_single`].
    pub is_single: bool,
    /// Whether the caller is told where the write is in the write-ahead log, which asks the server a second question.
    /// Otherwise it is asked when the user reads next.
    pub is_position_told: bool,
}

impl Database {
    /// Reads for a user, on a standby if there is one that has replayed what they wrote last; else, and when anything is
    /// wrong there, as [`read`](Self::read) or [`read_long`](Self::read_long). A read waits up to 50 ms for a standby.
    ///
    /// # Errors
    /// As those.
    pub async fn read_for<T, E, F>(&self, name: &'static str, of: UserRead, work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut ReadTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        #[cfg(feature = "postgres")]
        let work = {
            let mut work = work;
            if let (Some(standbys), crate::database::Backend::Postgres(primary)) =
                (self.standbys(), self.backend())
            {
                tracing::trace!(name, "read_for");
                let written = standbys.position_of(of.user, primary).await;
                let position = written.max(of.least.unwrap_or_default());
                if let Some(value) = Box::pin(standbys.read(position, of.is_long, &mut work)).await {
                    return Ok(value);
                }
            }
            work
        };
        match of.is_long {
            true => self.read_long(name, work).await,
            false => self.read(name, work).await,
        }
    }

    /// As [`write`](Self::write), or [`write_single`](Self::write_single), for a user, whose reads see it from then on
    /// wherever they go. Returns with it, where there are standbys and it is to be told, from where on it is in the
    /// write-ahead log.
    ///
    /// # Errors
    /// As those.
    pub async fn write_for<T, E, F>(
        &self,
        name: &'static str,
        of: UserWrite,
        work: F,
    ) -> Result<(T, Option<WalPosition>), E>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        #[cfg(feature = "postgres")]
        if let (Some(standbys), crate::database::Backend::Postgres(database)) =
            (self.standbys(), self.backend())
        {
            tracing::trace!(name, "write_for");
            if !of.is_position_told {
                let result = Box::pin(database.write(of.is_single, None, work)).await;
                standbys.positions().note(of.user, WalPosition::UNKNOWN);
                return Ok((result?, None));
            }
            let noted = std::sync::atomic::AtomicU64::new(0);
            let result = Box::pin(database.write(of.is_single, Some(&noted), work)).await;
            let position = WalPosition::new(noted.into_inner());
            let is_changed = position != WalPosition::default();
            if is_changed {
                standbys.positions().note(of.user, position);
            }
            let told = Some(position).filter(|position| is_changed && *position != WalPosition::UNKNOWN);
            return Ok((result?, told));
        }
        let written = match of.is_single {
            true => self.write_single(name, work).await,
            false => self.write(name, work).await,
        };
        Ok((written?, None))
    }

    /// What reads have done with standbys so far; `None` when there are none.
    #[must_use]
    pub fn standby_reads(&self) -> Option<StandbyReads> {
        #[cfg(feature = "postgres")]
        {
            self.standbys().map(crate::db::postgres::Standbys::reads)
        }
        #[cfg(not(feature = "postgres"))]
        None
    }
}
