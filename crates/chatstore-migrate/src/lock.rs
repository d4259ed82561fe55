//! One process migrates at a time.
//!
//! On PostgreSQL a session lock is requested again and again: a request that waits would be a transaction,
//! and `create index concurrently` would wait for it in turn. The session that holds the lock is the one that
//! migrates, so the lock lasts as long as its work, even when the process is killed and its last
//! statement goes on. On SQLite every transaction takes the write lock before it reads the history.

use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::dialect::Dialect;
use crate::error::{DatabaseError, DatabaseErrorKind, MigrationError};

/// The time between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// "chatstor" as a number.
const TRY_LOCK: &str = "select cast(pg_try_advisory_lock(7163375912570417010) as integer)";
/// Why the lock cannot be taken, and what to do.
const POOLER: &str = "a pooler is in front of the database, and the lock needs a session of its own; name the server \
    itself in DATABASE_DIRECT_URL";

const UNLOCK: &str = "select pg_advisory_unlock(7163375912570417010)";

/// Waits until no other process migrates; calls `waits` once if it has to.
pub(crate) async fn acquire(
    connection: &mut dyn Connection,
    lock_timeout: Duration,
    mut waits: impl FnMut() + Send,
) -> Result<(), MigrationError> {
    if connection.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let failed = |error| MigrationError::database("taking the lock for migrations", error);
    if !connection.is_one_session() {
        return Err(failed(DatabaseError::new(DatabaseErrorKind::Failed, POOLER)));
    }
    let begun = Instant::now();
    let mut asked = 0_u32;
    loop {
        let rows = connection.query(TRY_LOCK).await.map_err(failed)?;
        if rows.first().and_then(|row| row.first()?.as_deref()) == Some("1") {
            return Ok(());
        }
        if begun.elapsed() >= lock_timeout {
            return Err(MigrationError::Busy(lock_timeout));
        }
        if asked == 0 {
            waits();
        }
        asked += 1;
        connection.pause(PAUSE).await.map_err(failed)?;
    }
}

/// Releases the lock. A failure means that the session is gone, and the lock with it.
pub(crate) async fn release(connection: &mut dyn Connection) {
    if connection.dialect() == Dialect::Postgres {
        let _ = connection.query(UNLOCK).await;
    }
}

/// Begins a transaction that no other migration can interleave with.
pub(crate) async fn begin(
    connection: &mut dyn Connection,
    lock_timeout: Duration,
) -> Result<(), MigrationError> {
    let sql = match connection.dialect() {
        Dialect::Sqlite => "begin immediate",
        Dialect::Postgres => "begin",
    };
    let begun = Instant::now();
    loop {
        match connection.execute(sql).await {
            Ok(()) => return Ok(()),
            Err(error) if error.kind == DatabaseErrorKind::Busy => {
                if begun.elapsed() >= lock_timeout {
                    return Err(MigrationError::Busy(lock_timeout));
                }
            }
            Err(error) => return Err(MigrationError::database("beginning a transaction", error)),
        }
        let paused = connection.pause(PAUSE).await;
        paused.map_err(|error| MigrationError::database("waiting for another process", error))?;
    }
}
