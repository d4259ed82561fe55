//! Deletes the rows of what is marked, in pieces that are short enough not to hold others up.

use std::time::{Duration, Instant};

use crate::database::{Database, DatabaseKind};
use crate::error::StoreError;
use crate::marked::Marked;
use crate::repo::{Piece, PiecePosition};
use crate::tx::WriteTx;

/// Rows of the first piece on SQLite.
const FIRST_ROWS: i64 = 50;

/// Minimum rows of a piece on PostgreSQL, where no write waits for a piece, and much of its time on a busy machine is
/// that of its round trips, however few rows it has.
const MIN_ROWS_ON_POSTGRES: i64 = 500;

/// Maximum rows of a piece.
const MAX_ROWS: i64 = 2_000;

/// How long to wait for another sweep of the same.
const BUSY: Duration = Duration::from_millis(20);

/// The deletion of one marked object, piece by piece.
#[derive(Debug)]
pub struct Sweep<'d> {
    database: &'d Database,
    marked: Marked,
    position: PiecePosition,
    rows: i64,
}

/// What came of a step of a [`Sweep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swept {
    /// So many rows were deleted, beside those that went with them; more are left.
    Rows(i64),
    /// Another sweep is at it.
    Busy,
    /// Nothing is left of it.
    Gone,
}

impl Database {
    /// The deletion of something that is marked.
    #[must_use]
    pub fn sweep(&self, marked: Marked) -> Sweep<'_> {
        Sweep {
            database: self,
            marked,
            position: PiecePosition::START,
            rows: FIRST_ROWS.max(min_rows(self.kind())),
        }
    }
}

impl Sweep<'_> {
    /// Deletes one piece in a transaction of its own, then pauses: most of the time belongs to others. A piece aims at
    /// 2 ms of SQLite's writer, and the pause is ten times as long as it took; on PostgreSQL it is 20 ms of a connection,
    /// and three times.
    ///
    /// # Errors
    /// What the database reports; what earlier pieces deleted stays deleted.
    pub async fn next(&mut self) -> Result<Swept, StoreError> {
        let begun = Instant::now();
        let (marked, position, rows) = (self.marked, self.position, self.rows);
        let work =
            async move |tx: &mut WriteTx<'_>| tx.deletions().delete_piece(marked, position, rows).await;
        let Some(piece) = self.database.write("delete_piece", work).await? else {
            return self.busy_or_gone().await;
        };
        if piece.is_last {
            return Ok(Swept::Gone);
        }
        self.position = piece.position;
        let kind = self.database.kind();
        self.rows = rows_of_next(self.rows, piece, aim(kind)).max(min_rows(kind));
        tokio::time::sleep(pause_after(kind, begun.elapsed())).await;
        Ok(Swept::Rows(piece.rows))
    }

    async fn busy_or_gone(&self) -> Result<Swept, StoreError> {
        let marked = self.marked;
        let is_left =
            self.database.read("is_left", async move |tx| tx.deletions().is_left(marked).await).await?;
        if !is_left {
            return Ok(Swept::Gone);
        }
        tokio::time::sleep(BUSY).await;
        Ok(Swept::Busy)
    }
}

/// How long a piece should take inside of its transaction.
const fn aim(kind: DatabaseKind) -> Duration {
    match kind {
        DatabaseKind::Sqlite => Duration::from_millis(2),
        DatabaseKind::Postgres => Duration::from_millis(20),
    }
}

/// How long others have after a piece. On SQLite it waits for its disk as they do, and what it changed has to be written
/// into the file afterwards.
fn pause_after(kind: DatabaseKind, piece: Duration) -> Duration {
    match kind {
        DatabaseKind::Sqlite => 10 * piece,
        DatabaseKind::Postgres => 3 * piece,
    }
}

const fn min_rows(kind: DatabaseKind) -> i64 {
    match kind {
        DatabaseKind::Sqlite => 1,
        DatabaseKind::Postgres => MIN_ROWS_ON_POSTGRES,
    }
}

fn rows_of_next(rows: i64, piece: Piece, aim: Duration) -> i64 {
    if piece.took > aim {
        return (rows / 2).max(1);
    }
    if piece.took < aim / 2 { (rows * 2).min(MAX_ROWS) } else { rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_the_time_that_they_take() {
        let aim = Duration::from_millis(5);
        let next = |rows, micros| {
            let took = Duration::from_micros(micros);
            rows_of_next(rows, Piece { rows, is_last: false, took, position: PiecePosition::START }, aim)
        };
        assert_eq!(next(50, 1_000), 100);
        assert_eq!(next(1_500, 1_000), MAX_ROWS);
        assert_eq!(next(50, 3_000), 50);
        assert_eq!(next(50, 6_000), 25);
        assert_eq!(next(1, 6_000_000), 1);
    }
}
