//! Deletes the rows of what is marked, in pieces that are short enough not to hold others up.

use std::time::{Duration, Instant};

use crate::database::Database;
use crate::error::StoreError;
use crate::marked::Marked;
use crate::piece_rows::PieceRows;
use crate::repo::PiecePosition;
use crate::tx::WriteTx;

/// How long to wait for another sweep of the same.
const BUSY: Duration = Duration::from_millis(20);

/// The deletion of one marked object, piece by piece.
#[derive(Debug)]
pub struct Sweep<'d> {
    database: &'d Database,
    marked: Marked,
    position: PiecePosition,
    rows: PieceRows,
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
        Sweep { database: self, marked, position: PiecePosition::START, rows: PieceRows::first(self.kind()) }
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
        let (marked, position, rows) = (self.marked, self.position, self.rows.count());
        let work =
            async move |tx: &mut WriteTx<'_>| tx.deletions().delete_piece(marked, position, rows).await;
        let Some(piece) = self.database.write("delete_piece", work).await? else {
            return self.busy_or_gone().await;
        };
        if piece.is_last {
            return Ok(Swept::Gone);
        }
        self.position = piece.position;
        let pause = self.rows.pause_after(begun.elapsed());
        self.rows = self.rows.after(piece.took);
        tokio::time::sleep(pause).await;
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
